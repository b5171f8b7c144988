"""What somebody who writes a trace gets to see of a connection.

The core has no log. It has one observer or none (`facts.py`), which decides nothing and must not
call back. It is told in the order in which things happen; the time is told with packets only.

This is a protocol and no base class, as observers are written in plain Python, compiled or not; and
for the same reason it is itself never compiled (see setup.py).
"""

from typing import Protocol

from .machine import Label
from .path.state import PathState
from .recovery.path_recovery import PathRecovery


class Observer(Protocol):
    """Payloads are decrypted frames: what is kept of them must not be what the application sent."""

    def packet_sent(
        self, now: float, path_id: int, space: int, number: int, size: int, payload: bytes
    ) -> None:
        """A packet of `size` bytes was sealed. What of it is padding is in the payload as well.
        `space` may be `ZERO_RTT`."""

    def packet_received(
        self, now: float, path_id: int, space: int, number: int, size: int, payload: bytes
    ) -> None:
        """An authentic packet came in; its frames have not been processed yet."""

    def answer_received(self, path_id: int, kind: int, size: int) -> None:
        """A Retry or Version Negotiation packet (wire/packets.py) was believed."""

    def packet_lost(self, path_id: int, space: int, number: int, reordered: bool) -> None:
        """Loss detection gave a packet up, by the packet threshold or else by time."""

    def recovery_updated(self, path: PathRecovery) -> None:
        """An ACK was processed, or a PTO expired: any of the path's figures may have changed."""

    def path_added(
        self, path_id: int, local: tuple[str, int] | None, remote: tuple[str, int], peer_id: bytes
    ) -> None:
        """A path exists, a candidate. `peer_id` is the connection ID that its packets go to; empty
        for the first path, whose ID changes in the handshake."""

    def path_stepped(self, path_id: int, old: PathState, new: PathState, why: Label) -> None:
        """One of the tables of a path took a step for this input, perhaps back to where it was."""

    def datagram_size_changed(self, path_id: int, old: int, new: int) -> None:
        """Full datagrams of a path have another size from now on."""
