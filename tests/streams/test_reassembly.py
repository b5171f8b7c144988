"""Data in any order and segmentation comes out as it was written."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from trioquic._protocol.streams.reassembly import MERGED, TINY, Reassembly

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
        ahead = [n for n in known if n >= ready]
        assert data.gaps == sum(1 for n in ahead if n - 1 not in known)
        limit = reads[index % len(reads)]
        piece = data.take(limit)
        assert len(piece) == min(limit, ready - len(output))
        output += piece
        assert data.read == len(output)
    output += data.take(10_000)
    assert output == CONTENT[: max(high for _low, high in ranges)]
    assert data.take(10_000) == b""
    assert data.gaps == 0


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
    return len(data._queue) + sum(len(run) for run in data._runs)


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
        if offset:
            assert data.gaps == 1
    assert pieces_held(data) <= 20_000 // MERGED + 1
    assert data.take(30_000) == b"0123456789" * 2000


def test_every_second_byte_and_then_the_others() -> None:
    data = Reassembly()
    for offset in range(1, 2000, 2):
        data.add(offset, b"b")
    assert data.gaps == 1000
    for offset in range(1998, -1, -2):
        data.add(offset, b"a")
    assert data.gaps == 0
    assert data.take(2000) == b"ab" * 1000


def test_discard_forgets_everything() -> None:
    data = Reassembly()
    data.add(0, b"abc")
    data.add(10, b"xyz")
    assert data.take(1) == b"a"
    data.discard()
    assert (data.read, data.ready, data.gaps) == (3, 3, 0)
    assert pieces_held(data) == 0
    assert data.take(10) == b""
