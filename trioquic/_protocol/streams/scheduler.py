"""Whose turn it is to send (RFC 9000 section 2.3, with the two parameters of RFC 9218).

A stream has an urgency from 0 (first) to 7 (last) and is incremental or not. A lower number always
goes first. Among equals, incremental streams take turns, a frame each; the others are served to
their end in the order of their numbers, and together they take one place in the round.

Only streams that have something to send are in here, so that idle ones cost nothing.
"""

from bisect import bisect_left, insort
from collections import deque
from typing import Final

URGENCIES: Final = 8
NOTHING: Final = 8  # the urgency of an empty scheduler, behind all real ones
DEFAULT_URGENCY: Final = 3


class _Level:
    """The streams of one urgency."""

    __slots__ = ("ordered", "ordered_turn", "rotating")

    def __init__(self) -> None:
        self.rotating: deque[int] = deque()
        self.ordered: list[int] = []
        self.ordered_turn = True

    def from_ordered(self) -> bool:
        """Whether the next turn belongs to the streams that are not incremental."""
        return bool(self.ordered) and (self.ordered_turn or not self.rotating)


_EMPTY: Final = _Level()  # in the place of all that nobody has used yet


class Scheduler:
    """A set of stream numbers that yields them in the order of their turns."""

    def __init__(self) -> None:
        self._levels = [_EMPTY] * URGENCIES
        self._mask = 0  # bit n: level n is not empty
        self.urgency = NOTHING  # of the next turn
        self._places: dict[int, tuple[int, bool]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, stream_id: int) -> bool:
        return stream_id in self._places

    def add(self, stream_id: int, urgency: int, incremental: bool) -> None:
        """The stream has something to send. Nothing changes when that was known."""
        if stream_id in self._places:
            return
        self._places[stream_id] = (urgency, incremental)
        self._mask |= 1 << urgency
        if urgency < self.urgency:
            self.urgency = urgency
        level = self._levels[urgency]
        if level is _EMPTY:
            level = self._levels[urgency] = _Level()
        if incremental:
            level.rotating.append(stream_id)
        else:
            insort(level.ordered, stream_id)

    def remove(self, stream_id: int) -> None:
        """The stream has nothing to send any more."""
        place = self._places.pop(stream_id, None)
        if place is None:
            return
        urgency, incremental = place
        level = self._levels[urgency]
        if incremental:
            # normally it is the first, which has just sent its last bytes
            level.rotating.remove(stream_id)
        else:
            del level.ordered[bisect_left(level.ordered, stream_id)]
        level.ordered_turn = incremental
        if not level.rotating and not level.ordered:
            mask = self._mask & ~(1 << urgency)
            self._mask = mask
            self.urgency = (mask & -mask).bit_length() - 1 if mask else NOTHING

    def next(self) -> int:
        """The stream whose turn it is. There must be one."""
        level = self._levels[self.urgency]
        return level.ordered[0] if level.from_ordered() else level.rotating[0]

    def served(self) -> None:
        """The stream given by `next` had its turn."""
        if len(self._places) == 1:
            return
        level = self._levels[self.urgency]
        if level.from_ordered():
            level.ordered_turn = False
        else:
            level.rotating.rotate(-1)
            level.ordered_turn = True
