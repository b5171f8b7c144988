"""What was written goes out until it is acknowledged, and never changes."""

import random

from hypothesis import given
from hypothesis import strategies as st

from trioquic._protocol.streams.send_buffer import SMALL_CHUNK, SendBuffer

CONTENT = random.Random(2).randbytes(1 << 16)


@given(
    st.lists(st.integers(1, 6000), min_size=1, max_size=5),
    st.integers(0, 1 << 32),
    st.integers(300, 2000),
)
def test_a_model_of_bytes(writes: list[int], seed: int, frame: int) -> None:
    """Random frames, losses and acknowledgements; the model is a state per byte."""
    rng = random.Random(seed)
    buffer = SendBuffer()
    acked: set[int] = set()
    lost: set[int] = set()
    in_flight: list[tuple[int, int]] = []
    while writes or buffer.base < buffer.end:
        step = rng.random()
        if writes and step < 0.3:
            size = writes.pop()
            buffer.write(CONTENT[buffer.end : buffer.end + size])
        elif step < 0.6:
            if buffer.lost.ends:
                low, high = buffer.lost.first()
                high = min(high, low + frame)
                buffer.lost.remove(low, high)
                lost.difference_update(range(low, high))
            else:
                low, high = buffer.sent, min(buffer.end, buffer.sent + frame)
                buffer.sent = high
            if low < high:
                assert buffer.slice(low, high) == CONTENT[low:high]
                in_flight.append((low, high))
        elif in_flight:
            low, high = in_flight[rng.randrange(len(in_flight))]
            if rng.random() < 0.5:
                buffer.on_acked(low, high)
                acked.update(range(low, high))
                lost.difference_update(range(low, high))
            else:
                buffer.on_lost(low, high)
                lost.update(set(range(low, high)) - acked)
        assert {
            n
            for low, high in zip(buffer.lost.starts, buffer.lost.ends, strict=True)
            for n in range(low, high)
        } == lost
        base = 0
        while base in acked:
            base += 1
        assert buffer.base == base
    assert not buffer._chunks
    assert not buffer._acked


def test_small_writes_are_joined_and_large_ones_kept_as_they_are() -> None:
    buffer = SendBuffer()
    for _ in range(10_000):
        buffer.write(b"x")
    assert len(buffer._chunks) <= 10_000 // SMALL_CHUNK + 1
    large = bytes(100_000)
    buffer.write(large)
    assert buffer._chunks[-1] is large


def test_a_slice_across_chunks() -> None:
    buffer = SendBuffer()
    for start in range(0, 50_000, 5000):
        buffer.write(CONTENT[start : start + 5000])
    assert buffer.slice(4999, 40_001) == CONTENT[4999:40_001]


def test_chunks_are_dropped_once_they_have_arrived() -> None:
    buffer = SendBuffer()
    for start in range(0, 50_000, 5000):
        buffer.write(CONTENT[start : start + 5000])
    buffer.sent = 50_000
    buffer.on_acked(10_000, 50_000)
    assert len(buffer._chunks) == 10
    buffer.on_acked(0, 5001)
    assert len(buffer._chunks) == 9
    buffer.on_acked(5001, 10_000)
    assert buffer.base == 50_000
    assert not buffer._chunks


def test_discard() -> None:
    buffer = SendBuffer()
    buffer.write(CONTENT[:3000])
    buffer.sent = 2000
    buffer.on_lost(0, 1000)
    buffer.discard()
    assert (buffer.base, buffer.sent, buffer.end) == (2000, 2000, 2000)
    buffer.on_lost(0, 2000)
    buffer.on_acked(0, 2000)
    assert not buffer.lost
