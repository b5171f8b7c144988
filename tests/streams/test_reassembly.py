"""Data in any order and segmentation comes out as it was written."""

import gc
import itertools
import random
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioquic._protocol.streams.reassembly import MANY, MERGED, SPAN_OF_PIECE, TINY, Reassembly

CONTENT = random.Random(1).randbytes(5000)


@st.composite
def segmentations(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Ranges in any order that overlap, repeat, and cover the content in the end."""
    top = draw(st.sampled_from([40, 5000]))
    inside = st.tuples(st.integers(0, top), st.integers(0, top))
    noise = [(min(pair), max(pair)) for pair in draw(st.lists(inside, max_size=40))]
    cuts = sorted({0, top, *draw(st.lists(st.integers(0, top), max_size=40))})
    cover = list(itertools.pairwise(cuts))
    return draw(st.permutations(noise + cover))


@given(segmentations(), st.lists(st.integers(1, 6000), min_size=1))
def test_any_segmentation(ranges: list[tuple[int, int]], reads: list[int]) -> None:
    data = Reassembly()
    known: set[int] = set()
    output = b""
    for index, (low, high) in enumerate(ranges):
        data.add(low, CONTENT[low:high])
        known.update(range(low, high))
        ready = 0
        while ready in known:
            ready += 1
        assert data.ready == ready
        assert data.has_gap == any(n >= ready for n in known)
        limit = reads[index % len(reads)]
        piece = data.take(limit)
        assert len(piece) == min(limit, ready - len(output))
        output += piece
        assert data.read == len(output)
    output += data.take(10_000)
    assert output == CONTENT[: max(high for _low, high in ranges)]
    assert data.take(10_000) == b""
    assert not data.has_gap


def test_whole_pieces_are_handed_out_as_they_came() -> None:
    data = Reassembly()
    piece = bytes(TINY)
    data.add(0, piece)
    assert data.take(TINY) is piece


def test_a_long_queue_read_bit_by_bit_lets_go_of_what_was_read() -> None:
    content = random.Random(2).randbytes(300 * TINY)
    data = Reassembly()
    for start in range(0, 200 * TINY, TINY):
        data.add(start, content[start : start + TINY])
    output = b""
    end = 200 * TINY
    while len(output) < len(content):
        output += data.take(3 * TINY // 2)
        if end < len(content):
            data.add(end, content[end : end + TINY])
            end += TINY
        kept = [piece for piece in data._queue if piece]
        assert sum(map(len, kept)) < data.ready - data.read + TINY
        assert len(data._queue) <= 2 * len(kept) + 1
    assert output == content


def test_the_first_of_two_overlapping_frames_wins() -> None:
    data = Reassembly()
    data.add(2, b"CD")
    data.add(0, b"abcdef")
    assert data.take(10) == b"abCDef"


def test_nothing_is_taken_for_a_limit_of_zero() -> None:
    data = Reassembly()
    data.add(0, b"abc")
    assert data.take(0) == b""
    assert data.take(-1) == b""
    assert data.take(3) == b"abc"


def pieces_held(data: Reassembly) -> int:
    return len(data._queue) + len(data._pieces)


def test_single_bytes_in_order_do_not_cost_an_object_each() -> None:
    """attacks: the memory stays near the bytes that flow control admits."""
    data = Reassembly()
    for offset in range(20_000):
        data.add(offset, b"x")
    assert pieces_held(data) <= 20_000 // MERGED + 1
    assert data.take(30_000) == b"x" * 20_000


def test_single_bytes_in_reverse_order_do_not_cost_an_object_each() -> None:
    data = Reassembly()
    for offset in reversed(range(20_000)):
        data.add(offset, b"%d" % (offset % 10))
        assert data.has_gap == (offset > 0)
    assert pieces_held(data) <= 20_000 // MERGED + 1
    assert data.take(30_000) == b"0123456789" * 2000


def test_every_second_byte_and_then_the_others() -> None:
    data = Reassembly()
    for offset in range(1, 2000, 2):
        data.add(offset, b"b")
    assert data.has_gap
    for offset in range(1998, -1, -2):
        data.add(offset, b"a")
    assert not data.has_gap
    assert data.take(2000) == b"ab" * 1000


SPAN = 1 << 14


def every(step: int, size: int) -> Iterator[tuple[int, int]]:
    return ((at, at + size) for at in range(1, SPAN - size, step))


def clusters() -> Iterator[tuple[int, int]]:
    """Just so many pieces that the span allows them, all in one place, and then single bytes."""
    yield SPAN - 1, SPAN
    yield from ((at, at + 1) for at in range(1, SPAN // SPAN_OF_PIECE * 2, 2))
    yield from ((at, at + 1) for at in range(4095, SPAN, 4096))


def backwards() -> Iterator[tuple[int, int]]:
    return ((at, at + 1) for at in range(SPAN - 1, 0, -2))


def uneven() -> Iterator[tuple[int, int]]:
    """A byte beside a piece that is too large to be merged with it."""
    for at in range(1, SPAN - 3 * TINY, TINY + 2):
        yield at, at + 1
        yield at + 1, at + 1 + TINY


PATTERNS: dict[str, Callable[[], Iterator[tuple[int, int]]]] = {
    "every second byte": lambda: every(2, 1),
    "every second byte backwards": backwards,
    "one byte in 100": lambda: every(100, 1),
    "one byte in 140": lambda: every(140, 1),
    "one byte in 4096": lambda: every(4096, 1),
    "100 bytes of 110": lambda: every(110, 100),
    "clusters": clusters,
    "uneven": uneven,
    "tiny pieces in order": lambda: ((at, at + 1) for at in range(SPAN // 4)),
    "small pieces in order": lambda: ((at, at + TINY) for at in range(0, SPAN, TINY)),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_what_is_held_is_less_than_three_times_what_flow_control_admits(name: str) -> None:
    """attacks 35 and 46: all the while, not only in the end."""
    ranges = list(PATTERNS[name]())
    content = random.Random(4).randbytes(SPAN)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        data = Reassembly()
        span = excess = 0
        for low, high in ranges:
            data.add(low, content[low:high])
            span = max(span, high)
            held = tracemalloc.get_traced_memory()[0] - before
            excess = max(excess, held - 3 * span)
    finally:
        tracemalloc.stop()
    assert excess < 2000
    for low in range(0, SPAN, 1000):
        data.add(low, content[low : low + 1000])
    assert data.take(2 * SPAN) == content
    assert not data.has_gap


def test_many_streams_with_a_few_gaps_each_cost_a_little_each() -> None:
    """attacks 46"""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        streams = [Reassembly() for _ in range(100)]
        empty = tracemalloc.get_traced_memory()[0] - before
        for data in streams:
            for at in range(1, 40, 2):
                data.add(at, b"x")
        held = tracemalloc.get_traced_memory()[0] - before - empty
    finally:
        tracemalloc.stop()
    assert held < 100 * 1000


def test_a_new_piece_never_has_to_push_many_tiny_ones_aside() -> None:
    """Attack 35: the last first, as far apart as the span allows."""
    data = Reassembly()
    places = range(1, 3 * MANY * (SPAN_OF_PIECE + 2), SPAN_OF_PIECE + 2)
    for at in reversed(places):
        data.add(at, b"x")
        assert pieces_held(data) < MANY
    step = 100_000
    for at in range(0, places[-1] + 1, step):
        data.add(at, b"." * step)
    expected = bytearray(b"." * data.ready)
    expected[1 : places[-1] + 1 : SPAN_OF_PIECE + 2] = b"x" * len(places)
    assert data.take(data.ready) == bytes(expected)
    assert not data.has_gap


def test_many_honest_pieces_behind_one_gap_are_not_copied() -> None:
    """A large window behind a packet that was lost."""
    data = Reassembly()
    piece = bytes(1200)
    for number in range(1, 4 * MANY):
        data.add(number * len(piece), piece)
    assert data._pieces[-1] is piece
    data.add(0, piece)
    assert data.ready == 4 * MANY * len(piece)


def test_the_first_of_overlapping_frames_wins_with_many_gaps_too() -> None:
    data = Reassembly()
    for at in range(1, 5000, 2):
        data.add(at, b"1")
    data.add(1000, b"22")
    data.add(0, b"3" * 6000)
    expected = bytearray(b"31" * 2500 + b"3" * 1000)
    expected[1000] = ord("2")
    assert data.take(9999) == bytes(expected)
    assert not data.has_gap


def test_a_piece_that_overlaps_both_neighbours_and_covers_others() -> None:
    data = Reassembly()
    data.add(10, b"aaaa")
    data.add(16, b"b")
    data.add(19, b"ccc")
    data.add(12, b"0123456789")
    data.add(0, b"." * 10)
    assert data.take(99) == b"." * 10 + b"aaaa" + b"23" + b"b" + b"56" + b"ccc"


def test_discard_forgets_everything() -> None:
    data = Reassembly()
    data.add(0, b"abc")
    data.add(10, b"xyz")
    assert data.take(1) == b"a"
    data.discard()
    assert (data.read, data.ready, data.has_gap) == (3, 3, False)
    assert pieces_held(data) == 0
    assert data.take(10) == b""
