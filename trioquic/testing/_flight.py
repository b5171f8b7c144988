"""A datagram on its way through the simulated network."""

from typing import TYPE_CHECKING

from ._addresses import Endpoint
from ._record import Entry, Fate

if TYPE_CHECKING:
    from ._sockets import SimulatedSocket


class Flight:
    """The mutable thing that travels; links and NATs change it as they pass it on.

    `time` is the instant at which it is where it is now. It is kept apart from the clock so that
    sums of delays are exact and do not depend on when the delivery task got its turn.
    `refused` marks the message "port unreachable" that goes back to the socket `origin`.
    """

    __slots__ = (
        "destination",
        "entry",
        "origin",
        "original_destination",
        "payload",
        "refused",
        "source",
        "time",
    )

    def __init__(
        self,
        time: float,
        source: Endpoint,
        destination: Endpoint,
        payload: bytes,
        origin: "SimulatedSocket",
    ) -> None:
        self.time: float = time
        self.source: Endpoint = source
        self.destination: Endpoint = destination
        self.payload: bytes = payload
        self.origin: SimulatedSocket = origin
        self.original_destination: Endpoint = destination
        self.refused: bool = False
        self.entry: Entry | None = None

    def end(self, fate: Fate) -> None:
        """Note what became of it."""
        if self.entry is not None:
            self.entry.fate = fate
            self.entry.ended = self.time

    def corrupt(self, position: float) -> None:
        """Change the byte that lies `position` (0 to 1) into the payload."""
        if not self.payload:
            return
        damaged = bytearray(self.payload)
        # The first of eight bits is flipped as likely as the last; a byte never stays the same.
        offset = position * len(damaged)
        damaged[int(offset)] ^= 1 << int((offset - int(offset)) * 8)
        self.payload = bytes(damaged)
        if self.entry is not None:
            self.entry.corrupted = True

    def duplicate(self) -> "Flight":
        """A second datagram with the same content."""
        twin = Flight(self.time, self.source, self.destination, self.payload, self.origin)
        twin.original_destination = self.original_destination
        twin.refused = self.refused
        if self.entry is not None:
            twin.entry = self.entry.twin()
        return twin
