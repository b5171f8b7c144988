"""The bytes of a stream from the moment they are written until they are acknowledged.

Offsets, in order: `base` (everything below is acknowledged and forgotten) <= `sent` (everything
below went out at least once) <= `end` (everything below was written). Between `base` and `sent` two
sets of ranges tell what was acknowledged out of order and what was lost and must go out again.

Written chunks are kept as they came, so that a large write is never copied; only small ones are
joined, which bounds the number of chunks by the size of the buffer. Data sent at an offset never
changes (RFC 9000 section 2.2). Used by the send side of streams and by the CRYPTO streams.
"""

from bisect import bisect_right
from typing import Final

from ..range_set import RangeSet

SMALL_CHUNK: Final = 4096  # a chunk below this is joined with what is written next
# Do not put the beginning of a longer piece into what is left of a packet below this size
MIN_PIECE: Final = 32


class SendBuffer:
    __slots__ = ("_acked", "_chunks", "_starts", "base", "end", "lost", "sent")

    def __init__(self) -> None:
        self.base = 0
        self.sent = 0
        self.end = 0
        self.lost = RangeSet()
        self._acked = RangeSet()
        self._chunks: list[bytes] = []
        self._starts: list[int] = []  # the offset at which each chunk begins

    def write(self, data: bytes) -> None:
        """Append `data`. The caller has checked that there is room."""
        size = len(data)
        if not size:
            return
        chunks = self._chunks
        if chunks and len(chunks[-1]) + size <= SMALL_CHUNK:
            chunks[-1] += data
        else:
            chunks.append(data)
            self._starts.append(self.end)
        self.end += size

    def slice(self, low: int, high: int) -> bytes:
        """The bytes of `low <= offset < high`, all of which must be between `base` and `end`."""
        chunks = self._chunks
        starts = self._starts
        index = bisect_right(starts, low) - 1
        chunk = chunks[index]
        start = starts[index]
        if high - start <= len(chunk):
            return chunk[low - start : high - start]
        pieces = [chunk[low - start :]]
        index += 1
        while index < len(chunks) and starts[index] < high:
            pieces.append(chunks[index][: high - starts[index]])
            index += 1
        return b"".join(pieces)

    def on_acked(self, low: int, high: int) -> None:
        """The bytes of `low <= offset < high` have arrived."""
        acked = self._acked
        if high <= self.base:
            return
        if low > self.base:
            acked.add(low, high)
        else:
            self.base = high
            while acked.ends and acked.starts[0] <= self.base:
                self.base = max(self.base, acked.pop_first()[1])
            self._forget()
        if self.lost.ends:
            # a packet that was thought lost had arrived after all
            self.lost.remove(low, high)

    def on_lost(self, low: int, high: int) -> None:
        """Send `low <= offset < high` again, except what was acknowledged by another packet."""
        low = max(low, self.base)
        starts = self._acked.starts
        ends = self._acked.ends
        index = bisect_right(ends, low)
        while low < high:
            if index == len(starts) or starts[index] >= high:
                self.lost.add(low, high)
                return
            self.lost.add(low, starts[index])
            low = ends[index]
            index += 1

    def discard(self) -> None:
        """Forget all bytes: they need not arrive any more. The offsets stay."""
        self._chunks.clear()
        self._starts.clear()
        self._acked.clear()
        self.lost.clear()
        self.end = self.sent
        self.base = self.sent

    def restart(self) -> None:
        """Nothing that was sent was read: begin again, from the first byte that there is."""
        if not self._chunks:
            self.base = self.end = 0
        self.sent = self.base
        self.lost.clear()

    def _forget(self) -> None:
        """Drop the chunks that lie below `base`."""
        chunks = self._chunks
        starts = self._starts
        count = 0
        while count < len(chunks) and starts[count] + len(chunks[count]) <= self.base:
            count += 1
        if count:
            del chunks[:count]
            del starts[:count]
