"""Puts the data of STREAM or CRYPTO frames into order (RFC 9000 section 2.2).

Offsets: `read` (handed out) <= `ready` (received without a gap). What is in order is a queue of the
very `bytes` objects that came out of the packets: appended, handed out and joined once, never
copied in between. It is a list, since it is mostly emptied at once, and an empty deque takes 760
bytes, of which a connection may have many; used pieces at its front are removed when they are half
of it. What is ahead of a gap is kept in runs of adjacent pieces, which grow at both ends.

A hostile peer may send the data in one-byte frames with gaps (section 21.7). So the number of runs
is bounded, every insertion is a bisection, runs are joined small into large, and tiny pieces are
merged, which bounds the memory to a small multiple of the bytes that flow control admits.
Overlapping data is taken from whichever frame came first.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from typing import Final

TINY: Final = 256  # a piece below this is merged with its neighbour, up to
MERGED: Final = 4096  # this size


class Reassembly:
    """Bytes received, in order as far as possible."""

    __slots__ = ("_ends", "_head", "_queue", "_runs", "_starts", "_used", "read", "ready")

    def __init__(self) -> None:
        self.read = 0
        self.ready = 0
        self._queue: list[bytes] = []
        self._used = 0  # how many pieces of the queue were handed out already
        self._head = 0  # and how much of the next one
        # the runs beyond the first gap: disjoint, sorted, never adjacent to each other
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._runs: list[deque[bytes]] = []

    @property
    def gaps(self) -> int:
        """How many gaps there are before the last byte received."""
        return len(self._starts)

    def add(self, offset: int, data: bytes) -> None:
        """Take the bytes at `offset`, as far as they are new."""
        ready = self.ready
        end = offset + len(data)
        if offset == ready and (not self._starts or end <= self._starts[0]):
            queue = self._queue
            if len(data) >= TINY:
                queue.append(data)
            elif queue and len(queue[-1]) < MERGED:
                queue[-1] += data
            elif data:
                queue.append(data)
            self.ready = end
            if self._starts and self._starts[0] == end:
                self._take_first_run()
            return
        if offset < ready:
            if end <= ready:
                return
            data = data[ready - offset :]
            offset = ready
        if offset < end:
            if self._ends and offset <= self._ends[-1]:
                self._insert(offset, end, data)
            else:  # by far the most frequent case: one more gap after all the others
                self._starts.append(offset)
                self._ends.append(end)
                self._runs.append(deque((data,)))
            if self._starts[0] == ready:
                self._take_first_run()

    def take(self, limit: int) -> bytes:
        """Hand out at most `limit` of the bytes that are in order; b"" when there are none."""
        available = self.ready - self.read
        queue = self._queue
        if not available or limit <= 0:
            return b""
        if available <= limit:
            self.read = self.ready
            if self._head:
                queue[self._used] = queue[self._used][self._head :]
                self._head = 0
            data = queue[0] if len(queue) == 1 else b"".join(queue)
            self._queue = []
            self._used = 0
            return data
        self.read += limit
        pieces: list[bytes] = []
        wanted = limit
        used = self._used
        while wanted:
            piece = queue[used]
            head = self._head
            size = len(piece) - head
            if size > wanted:
                pieces.append(piece[head : head + wanted])
                self._head = head + wanted
                break
            pieces.append(piece[head:] if head else piece)
            self._head = 0
            queue[used] = b""
            used += 1
            wanted -= size
        if 2 * used >= len(queue):
            del queue[:used]
            used = 0
        self._used = used
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def discard(self) -> None:
        """Forget all data."""
        self._queue = []
        self._used = 0
        self._head = 0
        self._starts.clear()
        self._ends.clear()
        self._runs.clear()
        self.read = self.ready

    def _take_first_run(self) -> None:
        """Queue the run that the gap before it has been filled for."""
        queue = self._queue
        run = self._runs.pop(0)
        if queue and len(queue[-1]) < TINY and len(run[0]) < MERGED:
            run[0] = queue.pop() + run[0]
        queue.extend(run)
        self.ready = self._ends.pop(0)
        self._starts.pop(0)

    def _insert(self, low: int, high: int, data: bytes) -> None:
        """Put what is new of `data` among the runs, piece by piece from left to right."""
        start = low
        index = bisect_right(self._ends, low)  # the first run that ends after `low`
        while low < high:
            if index < len(self._starts) and self._starts[index] <= low:
                low = self._ends[index]
                index += 1
                continue
            stop = high
            if index < len(self._starts) and self._starts[index] < high:
                stop = self._starts[index]
            self._place(low, stop, data[low - start : stop - start])
            low = stop
            index = bisect_right(self._ends, low)

    def _place(self, low: int, high: int, data: bytes) -> None:
        """Add a piece that overlaps no run, but may be adjacent to its neighbours."""
        index = bisect_left(self._starts, high)
        after = index < len(self._starts) and self._starts[index] == high
        before = index > 0 and self._ends[index - 1] == low
        if before:
            self._append_small(self._runs[index - 1], data)
            self._ends[index - 1] = high
            if after:
                self._join(index - 1)
        elif after:
            run = self._runs[index]
            if len(data) < TINY and len(run[0]) < MERGED:
                run[0] = data + run[0]
            else:
                run.appendleft(data)
            self._starts[index] = low
        else:
            self._starts.insert(index, low)
            self._ends.insert(index, high)
            self._runs.insert(index, deque((data,)))

    def _join(self, index: int) -> None:
        """Make one run of two adjacent ones by moving the shorter into the longer."""
        left = self._runs[index]
        right = self._runs[index + 1]
        if len(left) < len(right):
            right.extendleft(reversed(left))
            self._runs[index] = right
        else:
            left.extend(right)
        self._ends[index] = self._ends[index + 1]
        del self._starts[index + 1]
        del self._ends[index + 1]
        del self._runs[index + 1]

    def _append_small(self, run: deque[bytes], data: bytes) -> None:
        """Append to a run, merging what is tiny."""
        if not data:
            return
        if run and len(data) < TINY and len(run[-1]) < MERGED:
            run[-1] += data
        else:
            run.append(data)
