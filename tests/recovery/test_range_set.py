"""RangeSet against a plain set of integers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioquic._protocol.range_set import RangeSet

BOUND = 40
spans = st.tuples(st.integers(0, BOUND), st.integers(0, BOUND))
steps = st.lists(st.tuples(st.sampled_from(["add", "remove"]), spans), max_size=30)


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
    assert {n for low, high in ranges for n in range(low, high)} == model
    assert ranges.total() == len(model)
    assert [n for n in range(BOUND + 2) if ranges.contains(n)] == sorted(model)


@given(steps)
def test_ranges_are_sorted_disjoint_and_joined(actions: list[tuple[str, tuple[int, int]]]) -> None:
    ranges, _ = build(actions)
    listed = list(ranges)
    assert len(ranges) == len(listed)
    assert all(low < high for low, high in listed)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(listed))


@given(steps, spans)
def test_covers(actions: list[tuple[str, tuple[int, int]]], span: tuple[int, int]) -> None:
    ranges, model = build(actions)
    assert ranges.covers(*span) == all(n in model for n in range(*span))


def test_first_last_and_pop() -> None:
    ranges = RangeSet()
    ranges.add(10, 20)
    ranges.add(0, 5)
    ranges.add(30, 31)
    assert ranges.first() == (0, 5)
    assert ranges.last() == (30, 31)
    assert ranges.pop_first() == (0, 5)
    assert list(ranges) == [(10, 20), (30, 31)]
    ranges.clear()
    assert len(ranges) == 0
    with pytest.raises(IndexError):
        ranges.pop_first()
    with pytest.raises(IndexError):
        ranges.first()


def test_may_be_changed_while_iterating() -> None:
    ranges = RangeSet()
    for low in range(0, 10, 2):
        ranges.add(low, low + 1)
    for low, high in ranges:
        ranges.remove(low, high)
    assert len(ranges) == 0
