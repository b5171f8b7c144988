"""Puts the data of STREAM or CRYPTO frames into order (RFC 9000 section 2.2).

Offsets: `read` (handed out) <= `ready` (received without a gap). What is in order is a queue of the
very `bytes` objects that came out of the packets, joined once. It is a list, since it is mostly
emptied at once, and an empty deque takes 760 bytes. What is ahead of a gap is a sorted list of such
pieces, which do not overlap; of overlapping data, what came first counts.

A hostile peer may send the data in one-byte frames with gaps (section 21.7). So every insertion is
a bisection, and tiny pieces are merged with their neighbours, small into large. Where gaps keep
them apart and they are many for what they span, all of them move into a mosaic, whose price does
not depend on gaps (mosaic.py), until the last of them is closed. So what is held is less than three
bytes for each byte that flow control admits, and half a kilobyte a stream, whatever comes in
whatever order: no number of gaps is too many, and none ends the connection.
"""

from bisect import bisect_left, bisect_right
from typing import Final

from .mosaic import Mosaic

TINY: Final = 256  # a piece below this is merged with its neighbour, up to
MERGED: Final = 4096  # this size
# A piece ahead of a gap costs about a hundred bytes beside its data. So there may be one for so
# many bytes that they span, and a few more, which cost less than a mosaic does.
SPAN_OF_PIECE: Final = 128
_FREE_SPAN: Final = 4 * SPAN_OF_PIECE
# From so many pieces on, and whenever they have doubled, it is looked whether most are tiny.
MANY: Final = 4096


class Reassembly:
    __slots__ = (
        "_head",
        "_look_at",
        "_mosaic",
        "_pieces",
        "_queue",
        "_starts",
        "_used",
        "read",
        "ready",
    )

    def __init__(self) -> None:
        self.read = 0
        self.ready = 0
        self._queue: list[bytes] = []
        self._used = 0  # how many pieces of the queue were handed out already
        self._head = 0  # and how much of the next one
        # What lies beyond the first gap: where each piece begins, and the pieces; or else the
        # mosaic that has all of them.
        self._starts: list[int] = []
        self._pieces: list[bytes] = []
        self._mosaic: Mosaic | None = None
        self._look_at = MANY

    @property
    def has_gap(self) -> bool:
        """Whether something is missing before the last byte received."""
        return len(self._starts) > 0 or self._mosaic is not None

    def add(self, offset: int, data: bytes) -> None:
        """Take the bytes at `offset`, as far as they are new."""
        ready = self.ready
        end = offset + len(data)
        starts = self._starts
        if offset == ready and self._mosaic is None and (not starts or end <= starts[0]):
            if len(data) >= TINY:
                self._queue.append(data)
                self.ready = end
            else:
                self._enqueue(data)
            if starts and starts[0] == end:
                self._take_pieces()
            return
        if offset < ready:
            if end <= ready:
                return
            data = data[ready - offset :]
            offset = ready
        if offset == end:
            return
        if self._mosaic is not None:
            self._mosaic.put(offset, data)
            if offset == ready:
                self._take_tiles(self._mosaic)
            return
        last = starts[-1] + len(self._pieces[-1]) if starts else ready
        if offset > last or (offset == last and end >= offset + TINY):
            # by far the most frequent: behind all the others, with a gap or without
            starts.append(offset)
            self._pieces.append(data)
        else:
            self._insert(offset, end, data)
        if starts[0] == ready:
            self._take_pieces()
        elif len(starts) * SPAN_OF_PIECE > _FREE_SPAN + end - ready:
            span = starts[-1] + len(self._pieces[-1]) - ready
            if len(starts) * SPAN_OF_PIECE > _FREE_SPAN + span:
                self._move_into_mosaic()
        elif len(starts) >= self._look_at:
            self._look_at = 2 * len(starts)
            if sum([len(piece) for piece in self._pieces]) < len(starts) * TINY:
                self._move_into_mosaic()

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
        self._pieces.clear()
        self._mosaic = None
        self.read = self.ready

    def _enqueue(self, data: bytes) -> None:
        queue = self._queue
        if len(data) >= TINY:
            queue.append(data)
        elif queue and len(queue[-1]) < MERGED:
            queue[-1] += data
        elif data:
            queue.append(data)
        self.ready += len(data)

    def _take_pieces(self) -> None:
        """Queue the pieces that no gap is before any more."""
        starts = self._starts
        pieces = self._pieces
        queue = self._queue
        ready = self.ready
        count = 0
        while count < len(starts) and starts[count] == ready:
            ready += len(pieces[count])
            count += 1
        if queue and len(queue[-1]) < TINY and len(pieces[0]) < MERGED:
            pieces[0] = queue.pop() + pieces[0]
        queue.extend(pieces[:count])
        del starts[:count]
        del pieces[:count]
        self.ready = ready
        if not starts:
            self._look_at = MANY

    def _insert(self, low: int, high: int, data: bytes) -> None:
        """Put what is new of `data`, from `low` to `high`, among the pieces."""
        starts = self._starts
        pieces = self._pieces
        # [first, behind) will be the pieces that lie within the data
        first = bisect_right(starts, low)
        adjacent = False
        if first:
            end = starts[first - 1] + len(pieces[first - 1])
            if end >= high:
                return
            if end >= low:
                data = data[end - low :]
                low = end
                adjacent = True
        behind = bisect_left(starts, high)
        if behind > first and starts[behind - 1] + len(pieces[behind - 1]) >= high:
            behind -= 1
            high = starts[behind]
            if high <= low:
                return
            data = data[: high - low]
        if behind > first:
            whole = bytearray(data)
            for index in range(first, behind):
                at = starts[index] - low
                whole[at : at + len(pieces[index])] = pieces[index]
            data = bytes(whole)
        if len(data) < TINY and adjacent and len(pieces[first - 1]) < MERGED:
            pieces[first - 1] += data
            del starts[first:behind]
            del pieces[first:behind]
        elif (
            len(data) < TINY
            and behind < len(starts)
            and starts[behind] == high
            and len(pieces[behind]) < MERGED
        ):
            starts[first : behind + 1] = [low]
            pieces[first : behind + 1] = [data + pieces[behind]]
        else:
            starts[first:behind] = [low]
            pieces[first:behind] = [data]

    def _move_into_mosaic(self) -> None:
        """From the last piece to the first, letting go of each."""
        mosaic = Mosaic()
        while self._starts:
            mosaic.put(self._starts.pop(), self._pieces.pop())
        self._mosaic = mosaic
        self._look_at = MANY

    def _take_tiles(self, mosaic: Mosaic) -> None:
        """Queue what no gap is before any more."""
        data = mosaic.take(self.ready)
        while data:
            self._enqueue(data)
            data = mosaic.take(self.ready)
        if not mosaic.held:
            self._mosaic = None
