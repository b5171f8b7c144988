"""What the application should look at, at most one notice of a kind per stream and poll."""

from ..events import Event, StreamOpened, StreamReadable, StreamsAvailable, StreamWritable


class Notices:
    """Collects events until the caller fetches them. Dictionaries serve as ordered sets."""

    def __init__(self) -> None:
        self._opened: list[int] = []
        self.readable: dict[int, None] = {}
        self.writable: dict[int, None] = {}
        self._available: dict[bool, None] = {}

    def opened(self, stream_id: int) -> None:
        self._opened.append(stream_id)

    def available(self, bidirectional: bool) -> None:
        self._available[bidirectional] = None

    def poll(self) -> list[Event]:
        """All events since the last call."""
        if not (self._opened or self.readable or self.writable or self._available):
            return []
        events: list[Event] = [StreamOpened(stream_id=number) for number in self._opened]
        events.extend([StreamReadable(stream_id=number) for number in self.readable])
        events.extend([StreamWritable(stream_id=number) for number in self.writable])
        events.extend([StreamsAvailable(bidirectional=kind) for kind in self._available])
        self._opened.clear()
        self.readable.clear()
        self.writable.clear()
        self._available.clear()
        return events
