"""The queue of frames that carry no data: which are due, not what they say.

An entry is a kind of frame and the stream it is about. What the frame says is looked up when it is
written, so that it always carries the newest value (RFC 9000 section 13.3), and a second reason to
send the same frame adds nothing. The queue is bounded by the number of streams.
"""

from collections import deque
from typing import Final

CONNECTION: Final = -1  # in place of a stream's number
# In the place of an empty queue, which would take 760 bytes. All connections share it; it can hold
# nothing.
_NOTHING: Final[deque[tuple[int, int]]] = deque(maxlen=0)


class ControlQueue:
    def __init__(self) -> None:
        self._queue = _NOTHING
        self._due: set[tuple[int, int]] = set()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, kind: int, stream_id: int = CONNECTION) -> None:
        entry = (kind, stream_id)
        if entry not in self._due:
            self._due.add(entry)
            if self._queue is _NOTHING:
                self._queue = deque()
            self._queue.append(entry)

    def first(self) -> tuple[int, int]:
        """The entry that has waited longest. There must be one."""
        return self._queue[0]

    def pop(self) -> None:
        self._due.discard(self._queue.popleft())
        if not self._queue:
            self._queue = _NOTHING
