"""How far the data of all streams had come at each time, and when it stood still.

What counts is what an application notices: bytes received in order, or bytes sent and acknowledged.
Long silences are kept, the longest of them and those with a handover in them, and so is what came
shortly before and after a handover, finer than the curve of the whole can be.
"""

import heapq
from bisect import bisect_left, bisect_right, insort
from collections import deque
from typing import Final

from ._model import Curve, Gap

_MOST_SILENCES: Final = 256
_MOST_STREAMS: Final = 1 << 16
_MOST_PIECES: Final = 1 << 17
_FINE: Final = 0.001  # seconds between the points around a handover
_MOST_FINE: Final = 1024
# A silence that begins so soon after a handover, in seconds or RTTs, is taken for its consequence.
_NEAR: Final = 0.1
_NEAR_RTTS: Final = 2.0


class DirectionProgress:
    """How far one direction of a connection has come."""

    def __init__(self) -> None:
        self.curve = Curve()
        self.total = 0
        self._last: float | None = None
        self._silences: list[tuple[float, float]] = []  # a heap of (length, start)
        self._waiting: list[int] = []
        self._around: dict[int, Gap] = {}
        self._recent: deque[tuple[float, float]] = deque(maxlen=_MOST_FINE)
        self._details: list[list[tuple[float, float]]] = []

    def add(self, time: float, size: int) -> None:
        """So many bytes more, or none."""
        if not size:
            return
        self.total += size
        self.curve.add(time, self.total)
        if self._last is not None:
            self._note_silence(self._last, time)
        self._last = time
        if not self._recent or time - self._recent[-1][0] >= _FINE:
            point = (time, float(self.total))
            self._recent.append(point)
            for detail in self._details[-2:]:
                if len(detail) < 2 * _MOST_FINE:
                    detail.append(point)

    def _note_silence(self, start: float, end: float) -> None:
        for move in self._waiting:
            self._around[move] = Gap(start=start, end=end)
        self._waiting.clear()
        entry = (end - start, start)
        if len(self._silences) < _MOST_SILENCES:
            heapq.heappush(self._silences, entry)
        elif entry > self._silences[0]:
            heapq.heapreplace(self._silences, entry)

    def note_move(self) -> None:
        """The connection moves now, for the first, second, ... time."""
        self._waiting.append(len(self._details))
        self._details.append(list(self._recent))

    def detail(self, move: int) -> tuple[tuple[float, float], ...]:
        return tuple(self._details[move])

    def gap(self, move: int, time: float, rtt: float | None) -> Gap | None:
        """The longest silence that has to do with a handover."""
        near = max(_NEAR, _NEAR_RTTS * (rtt or 0.0))
        found = [
            Gap(start=start, end=start + length)
            for length, start in self._silences
            if start <= time + near and start + length >= time
        ]
        if move in self._around:
            found.append(self._around[move])
        return max(found, key=lambda gap: gap.length, default=None)


class Order:
    """What of all streams has come in order, piece by piece."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}
        self._later: dict[int, list[tuple[int, int]]] = {}
        self._pieces = 0

    def add(self, stream: int, start: int, end: int) -> int:
        """Bytes from `start` to `end` came: how many are in order that were not before?"""
        if stream not in self._next and len(self._next) >= _MOST_STREAMS:
            return 0
        front = self._next.setdefault(stream, 0)
        if start > front:
            if self._pieces < _MOST_PIECES:
                self._pieces += 1
                heapq.heappush(self._later.setdefault(stream, []), (start, end))
            return 0
        reached = max(front, end)
        later = self._later.get(stream)
        while later and later[0][0] <= reached:
            reached = max(reached, heapq.heappop(later)[1])
            self._pieces -= 1
        self._next[stream] = reached
        return reached - front


class Outstanding:
    """Stream data in 1-RTT packets that were sent and not acknowledged yet.

    An ACK frame says again and again what it has said before, and what was lost stays here for
    long: neither is looked at packet by packet.
    """

    _OLD: Final = 1 << 14  # so many packets later it is lost, or sent again

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._numbers: list[int] = []  # the same, in order

    def sent(self, number: int, size: int) -> None:
        if number not in self._sizes:
            if self._numbers and number < self._numbers[-1]:
                insort(self._numbers, number)
            else:
                self._numbers.append(number)
        self._sizes[number] = size

    def acked(self, ranges: list[tuple[int, int]]) -> int:
        """How much of it do these ranges acknowledge, each with its lowest and highest number?"""
        if not ranges:
            return 0
        numbers = self._numbers
        gained = 0
        for low, high in ranges:
            start = bisect_left(numbers, low)
            end = bisect_right(numbers, high, start)
            if start < end:
                gained += sum([self._sizes.pop(number) for number in numbers[start:end]])
                del numbers[start:end]
        old = bisect_left(numbers, max(high for _, high in ranges) - self._OLD)
        for number in numbers[:old]:
            del self._sizes[number]
        del numbers[:old]
        return gained
