"""What a sent frame carried, so that its acknowledgement or loss finds its owner.

The component that writes a frame hands over a token; the ledger of sent packets keeps it and calls
it back without knowing what it is. That is the only way components learn of each other's packets.
"""


class Token:
    """Base of all tokens. A token may be told `lost()` and still be told `acked()` later: a packet
    that was declared lost, or retransmitted as a probe, can turn out to have arrived."""

    __slots__ = ()

    def acked(self) -> None:
        """The packet that carried the frame was acknowledged."""

    def lost(self) -> None:
        """The packet is considered lost: whatever of it still matters must be sent again."""
