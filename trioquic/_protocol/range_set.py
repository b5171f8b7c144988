"""A set of integers kept as sorted, disjoint, half-open ranges.

Used for the packet numbers that were received and for the bytes of a stream that were received,
acknowledged or must be sent again. Nearly every change touches the last range, so that case is
handled before any search. The ranges are two parallel lists of ints (no tuple per range is kept),
and neighbours are always joined: `ends[i] < starts[i + 1]`. The set has no bound of its own.
"""

from bisect import bisect_left, bisect_right


class RangeSet:
    """`starts[i] <= n < ends[i]` for a member n.

    `starts` and `ends` may be read, for the sake of speed; methods alone keep them in step."""

    __slots__ = ("ends", "starts")

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []

    def add(self, low: int, high: int) -> None:
        """Add `low <= n < high`; an empty range changes nothing."""
        if low >= high:
            return
        starts = self.starts
        ends = self.ends
        if not ends or low > ends[-1]:
            starts.append(low)
            ends.append(high)
            return
        if low >= starts[-1]:
            # begins inside or right behind the last range
            if high > ends[-1]:
                ends[-1] = high
            return
        # [first, last) are the ranges that overlap or touch the new one
        first = bisect_left(ends, low)
        last = bisect_right(starts, high)
        if first < last:
            low = min(low, starts[first])
            high = max(high, ends[last - 1])
        starts[first:last] = [low]
        ends[first:last] = [high]

    def remove(self, low: int, high: int) -> None:
        """Remove `low <= n < high`, wherever it is in the set."""
        starts = self.starts
        ends = self.ends
        if low >= high or not ends or low >= ends[-1] or high <= starts[0]:
            return
        # [first, last) are the ranges that overlap the removed one
        first = bisect_right(ends, low)
        last = bisect_left(starts, high)
        if first >= last:
            return
        new_starts: list[int] = []
        new_ends: list[int] = []
        if starts[first] < low:
            new_starts.append(starts[first])
            new_ends.append(low)
        if ends[last - 1] > high:
            new_starts.append(high)
            new_ends.append(ends[last - 1])
        starts[first:last] = new_starts
        ends[first:last] = new_ends

    def contains(self, value: int) -> bool:
        index = bisect_right(self.starts, value) - 1
        return index >= 0 and value < self.ends[index]

    def first(self) -> tuple[int, int]:
        """The lowest range; IndexError when the set is empty."""
        return self.starts[0], self.ends[0]

    def pop_first(self) -> tuple[int, int]:
        """Remove the lowest range and return it; IndexError when the set is empty."""
        return self.starts.pop(0), self.ends.pop(0)

    def clear(self) -> None:
        self.starts.clear()
        self.ends.clear()

    def __len__(self) -> int:
        """The number of ranges (not of members)."""
        return len(self.starts)
