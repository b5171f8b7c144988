"""When a client may use a new path (RFC 9000 sections 9, 9.5, 9.6 and 18.2).

Pure rules over plain facts. Every refusal has a reason that a person can read.
"""

from .path import Address
from .refusal import PathRefusedError, Refusal


class PathRules:
    """The facts that decide over migration, gathered in the handshake."""

    def __init__(
        self, largest_datagram: int, degraded_after: int = 3, spin_bit: bool = True
    ) -> None:
        # that we want to send, or the server to receive (section 18.2)
        self.largest_datagram = largest_datagram
        # PTOs in a row without an answer after which the active path counts as degraded
        self.degraded_after = degraded_after
        # whether anybody on the way may measure the round-trip time (section 17.4)
        self.spin_bit = spin_bit
        self.confirmed = False
        self.disabled_by_peer = False
        self.acted_on_preferred = False
        self.handshake_local: Address | None = None
        self.handshake_remote: Address | None = None
        # server addresses that have answered us
        self.proven_remotes: set[Address] = set()

    @property
    def migration_allowed(self) -> bool:
        """Whether the server lets us use new local addresses to reach where it is now."""
        return self.confirmed and (not self.disabled_by_peer or self.acted_on_preferred)

    def check_new_path(self, local: Address | None, remote: Address, zero_length: bool) -> None:
        """Raise PathRefusedError unless packets may go from `local` to `remote`."""
        if not self.confirmed:
            raise PathRefusedError(Refusal.NOT_CONFIRMED)
        if zero_length:
            raise PathRefusedError(Refusal.ZERO_LENGTH_ID)
        if (
            self.disabled_by_peer
            and not self.acted_on_preferred
            and remote == self.handshake_remote
            and (local is None or local != self.handshake_local)
        ):
            raise PathRefusedError(Refusal.DISABLED_BY_PEER)
