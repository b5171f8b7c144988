"""A datagram on its way through the simulated network."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ._addresses import Endpoint
from ._record import Fate, RecordEntry


@dataclass(slots=True, eq=False)
class DatagramInFlight:
    """The mutable thing that travels; links and NATs change it as they pass it on."""

    time: float
    """The instant at which it is where it is now. It is kept apart from the clock so that sums of
    delays are exact and do not depend on when the delivery task got its turn."""
    source: Endpoint
    destination: Endpoint
    payload: bytes
    refuse: Callable[[], None]
    """Tells the socket that sent it that "port unreachable" came back."""
    refused: bool = False
    """Whether it is that message."""
    entry: RecordEntry | None = None

    def end(self, fate: Fate) -> None:
        """Note what became of it."""
        if self.entry is not None:
            self.entry.record = replace(self.entry.record, fate=fate, ended=self.time)

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
            self.entry.record = replace(self.entry.record, corrupted=True)

    def duplicate(self) -> "DatagramInFlight":
        """A second datagram with the same content."""
        return replace(self, entry=None if self.entry is None else self.entry.twin())

    def answer_refused(self) -> "DatagramInFlight":
        """The message "port unreachable", with the beginning of this one (RFC 1122, 3.2.2.1)."""
        return replace(
            self,
            source=self.destination,
            destination=self.source,
            payload=self.payload[:8],
            refused=True,
            entry=None,
        )
