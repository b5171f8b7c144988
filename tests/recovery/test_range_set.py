"""RangeSet against a plain set of integers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioquic._protocol.range_set import RangeSet

BOUND = 40
spans = st.tuples(st.integers(0, BOUND), st.integers(0, BOUND))
steps = st.lists(st.tuples(st.sampled_from(["add", "remove"]), spans), max_size=30)


def listed(ranges: RangeSet) -> list[tuple[int, int]]:
    return list(zip(ranges.starts, ranges.ends, strict=True))


def build(actions: list[tuple[str, tuple[int, int]]]) -> tuple[RangeSet, set[int]]:
    ranges = RangeSet()
    model: set[int] = set()
    for action, (low, high) in actions:
        if action == "add":
            ranges.add(low, high)
            model |= set(range(low, high))
        else:
            ranges.remove(low, high)
            model -= set(range(low, high))
    return ranges, model


@given(steps)
def test_behaves_like_a_set(actions: list[tuple[str, tuple[int, int]]]) -> None:
    ranges, model = build(actions)
    assert {n for low, high in listed(ranges) for n in range(low, high)} == model
    assert [n for n in range(BOUND + 2) if ranges.contains(n)] == sorted(model)


@given(steps)
def test_ranges_are_sorted_disjoint_and_joined(actions: list[tuple[str, tuple[int, int]]]) -> None:
    ranges, _ = build(actions)
    pairs = listed(ranges)
    assert len(ranges) == len(pairs)
    assert all(low < high for low, high in pairs)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(pairs))


def test_first_last_and_pop() -> None:
    ranges = RangeSet()
    ranges.add(10, 20)
    ranges.add(0, 5)
    ranges.add(30, 31)
    assert ranges.first() == (0, 5)
    assert ranges.pop_first() == (0, 5)
    assert listed(ranges) == [(10, 20), (30, 31)]
    ranges.clear()
    assert len(ranges) == 0
    with pytest.raises(IndexError):
        ranges.pop_first()
    with pytest.raises(IndexError):
        ranges.first()
