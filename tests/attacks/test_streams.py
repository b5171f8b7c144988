"""Attacks 34 to 37: streams beyond their limits, floods of fragments and resets."""

import time

import pytest

from tests.attacks.expect import closed_with, goes_on, read, stream_frame
from tests.attacks.small import (
    DATA_WINDOW,
    OURS,
    OURS_UNI,
    STREAM_WINDOW,
    STREAMS,
    THEIRS,
    THEIRS_UNI,
    small,
)
from tests.peer.packets import APPLICATION
from tests.peer.world import World
from trioquic._protocol import events as ev
from trioquic._protocol.errors import (
    FINAL_SIZE_ERROR,
    FLOW_CONTROL_ERROR,
    FRAME_ENCODING_ERROR,
    STREAM_LIMIT_ERROR,
    STREAM_STATE_ERROR,
)
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint

# --- 34 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream_id", [OURS, THEIRS, THEIRS_UNI])
@pytest.mark.parametrize("offset", [STREAM_WINDOW, 1 << 40, (1 << 62) - 2])
def test_34_data_beyond_a_streams_limit(stream_id: int, offset: int) -> None:
    world = small()
    world.attack(stream_frame(stream_id, offset, b"x"))
    closed_with(world, FLOW_CONTROL_ERROR, fr.STREAM)
    assert not [e for e in world.seen(ev.StreamReadable) if e.stream_id == stream_id]


def test_34_up_to_the_limit_is_allowed() -> None:
    world = small()
    world.attack(stream_frame(OURS, STREAM_WINDOW - 1, b"x"))
    assert world.terminated is None


def test_34_data_beyond_the_connections_limit() -> None:
    world = small()
    for stream_id in (OURS, THEIRS):
        world.attack(stream_frame(stream_id, STREAM_WINDOW - 1, b"x"))
    world.attack(stream_frame(THEIRS_UNI, DATA_WINDOW - 2 * STREAM_WINDOW - 1, b"x"))
    assert world.terminated is None
    world.attack(stream_frame(THEIRS_UNI, DATA_WINDOW - 2 * STREAM_WINDOW, b"x"))
    closed_with(world, FLOW_CONTROL_ERROR, fr.STREAM)


def test_34_final_sizes_count_against_the_limits() -> None:
    """RFC 9000 section 4.5: a RESET_STREAM takes the credit of its final size."""
    world = small()
    world.attack(fr.encode_integers(fr.RESET_STREAM, OURS, 1, STREAM_WINDOW + 1))
    closed_with(world, FLOW_CONTROL_ERROR, fr.RESET_STREAM)
    world = small(initial_max_data=STREAM_WINDOW)
    world.attack(stream_frame(THEIRS, STREAM_WINDOW - 1, b"x"))
    world.attack(fr.encode_integers(fr.RESET_STREAM, THEIRS + 4, 1, 1))
    closed_with(world, FLOW_CONTROL_ERROR, fr.RESET_STREAM)


@pytest.mark.parametrize("kind", [THEIRS, THEIRS_UNI])
@pytest.mark.parametrize("index", [STREAMS, 1 << 30, (1 << 60) - 1])
def test_34_more_streams_than_allowed(kind: int, index: int) -> None:
    world = small()
    world.attack(stream_frame(index << 2 | kind, 0, b"x"))
    closed_with(world, STREAM_LIMIT_ERROR, fr.STREAM)


LIMIT_FRAMES = {
    "RESET_STREAM": lambda number: fr.encode_integers(fr.RESET_STREAM, number, 1, 0),
    "STOP_SENDING": lambda number: fr.encode_integers(fr.STOP_SENDING, number, 1),
    "MAX_STREAM_DATA": lambda number: fr.encode_integers(fr.MAX_STREAM_DATA, number, 1),
    "STREAM_DATA_BLOCKED": lambda number: fr.encode_integers(fr.STREAM_DATA_BLOCKED, number, 1),
}


@pytest.mark.parametrize("name", sorted(LIMIT_FRAMES))
def test_34_other_frames_for_streams_beyond_the_limit(name: str) -> None:
    world = small()
    frame = LIMIT_FRAMES[name](STREAMS << 2 | THEIRS)
    world.attack(frame)
    closed_with(world, STREAM_LIMIT_ERROR, frame[0])


def test_34_the_last_stream_allowed_is_allowed() -> None:
    world = small()
    world.attack(stream_frame((STREAMS - 1) << 2 | THEIRS, 0, b"x"))
    assert len(world.seen(ev.StreamOpened)) == STREAMS
    assert world.terminated is None


WITH_FIN = stream_frame(OURS, 0, b"0123456789", True)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (WITH_FIN, stream_frame(OURS, 10, b"x")),
        (WITH_FIN, stream_frame(OURS, 0, b"01234567890", True)),
        (WITH_FIN, stream_frame(OURS, 0, b"012345678", True)),
        (WITH_FIN, stream_frame(OURS, 3, b"", True)),
        (WITH_FIN, fr.encode_integers(fr.RESET_STREAM, OURS, 1, 9)),
        (WITH_FIN, fr.encode_integers(fr.RESET_STREAM, OURS, 1, 11)),
        (stream_frame(OURS, 5, b"x"), stream_frame(OURS, 0, b"012", True)),
        (stream_frame(OURS, 5, b"x"), fr.encode_integers(fr.RESET_STREAM, OURS, 1, 5)),
        (
            fr.encode_integers(fr.RESET_STREAM, OURS, 1, 5),
            fr.encode_integers(fr.RESET_STREAM, OURS, 1, 6),
        ),
        (fr.encode_integers(fr.RESET_STREAM, OURS, 1, 5), stream_frame(OURS, 5, b"x")),
        (fr.encode_integers(fr.RESET_STREAM, OURS, 1, 5), stream_frame(OURS, 4, b"", True)),
    ],
)
def test_34_a_final_size_that_changes(first: bytes, second: bytes) -> None:
    world = small()
    world.attack(first)
    assert world.terminated is None
    world.attack(second)
    closed_with(world, FINAL_SIZE_ERROR, second[0] if second[0] < fr.STREAM else None)


WRONG_DIRECTION = {
    "STREAM on our one-way stream": stream_frame(OURS_UNI, 0, b"x"),
    "RESET_STREAM on our one-way stream": fr.encode_integers(fr.RESET_STREAM, OURS_UNI, 1, 0),
    "STREAM_DATA_BLOCKED on our one-way stream": fr.encode_integers(
        fr.STREAM_DATA_BLOCKED, OURS_UNI, 1
    ),
    "STOP_SENDING on their one-way stream": fr.encode_integers(fr.STOP_SENDING, THEIRS_UNI, 1),
    "MAX_STREAM_DATA on their one-way stream": fr.encode_integers(
        fr.MAX_STREAM_DATA, THEIRS_UNI, 1
    ),
    "STREAM on a stream we have not opened": stream_frame(OURS + 4, 0, b"x"),
    "RESET_STREAM on a stream we have not opened": fr.encode_integers(
        fr.RESET_STREAM, OURS + 4, 1, 0
    ),
    "STOP_SENDING on a stream we have not opened": fr.encode_integers(fr.STOP_SENDING, OURS + 4, 1),
    "MAX_STREAM_DATA on a stream we have not opened": fr.encode_integers(
        fr.MAX_STREAM_DATA, OURS + 4, 1
    ),
    "MAX_STREAM_DATA on a one-way stream not opened": fr.encode_integers(
        fr.MAX_STREAM_DATA, OURS_UNI + 4, 1
    ),
    "STOP_SENDING on a one-way stream not opened": fr.encode_integers(
        fr.STOP_SENDING, OURS_UNI + 4, 1
    ),
}


@pytest.mark.parametrize("name", list(WRONG_DIRECTION))
def test_34_wrong_direction(name: str) -> None:
    world = small()
    world.attack(WRONG_DIRECTION[name])
    closed_with(world, STREAM_STATE_ERROR)


@pytest.mark.parametrize("kind", [0x12, 0x13, 0x16, 0x17])
@pytest.mark.parametrize("count", [(1 << 60) + 1, (1 << 62) - 1])
def test_34_stream_counts_above_2_to_the_60(kind: int, count: int) -> None:
    world = small()
    world.attack(bytes([kind]) + encode_varint(count))
    closed_with(world, FRAME_ENCODING_ERROR, kind)


def test_34_stream_data_beyond_2_to_the_62() -> None:
    world = small()
    frame = b"\x0e\x00" + encode_varint((1 << 62) - 1) + b"\x02xy"
    world.attack(frame)
    closed_with(world, FRAME_ENCODING_ERROR, 0x0E)


# --- 35 -----------------------------------------------------------------------------------------


def fragments(world: World, offsets: list[int], stream_id: int = OURS) -> int:
    """One-byte STREAM frames, 150 in a packet; returns how many packets were taken. They come as
    slowly as the client takes so many."""
    taken = 0
    for start in range(0, len(offsets), 150):
        part = offsets[start : start + 150]
        frame = b"".join(stream_frame(stream_id, offset, b"%c" % (offset & 255)) for offset in part)
        packet = world.peer.seal(APPLICATION, frame)
        world.client.receive(0, packet, len(packet), 0, world.now)
        world.now += 0.01
        taken += 1
        world.flush()
        if world.terminated is not None:
            break
    return taken


def test_35_one_byte_fragments_with_gaps_are_held_at_a_bounded_price() -> None:
    """However many there are; where a whole window of them stays, tests/floods measures it."""
    size = 1 << 14
    world = small(initial_max_stream_data=size, initial_max_data=size)
    fragments(world, list(range(1, size, 2)))
    assert read(world, OURS) == b""
    fragments(world, list(range(0, size, 2)))
    assert read(world, OURS) == bytes(offset & 255 for offset in range(size))
    goes_on(world)


@pytest.mark.parametrize("order", ["rising", "falling", "odd first"])
def test_35_one_byte_fragments_without_lasting_gaps_are_delivered(order: str) -> None:
    size = 1500
    offsets = list(range(size))
    if order == "falling":
        offsets.reverse()
    elif order == "odd first":
        offsets = [*range(1, size, 2), *range(0, size, 2)]
    world = small()
    started = time.perf_counter()
    fragments(world, offsets)
    assert time.perf_counter() - started < 5.0
    assert read(world, OURS) == bytes(offset & 255 for offset in range(size))
    goes_on(world)


def test_35_work_grows_linearly_with_the_fragments() -> None:
    def cost(size: int) -> float:
        world = small(initial_max_stream_data=1 << 20, initial_max_data=1 << 20)
        started = time.process_time()
        fragments(world, list(range(size - 1, 0, -1)))
        taken = time.process_time() - started
        fragments(world, [0])
        assert len(read(world, OURS)) == size
        return taken

    small_cost = min(cost(4000) for _ in range(3))
    large_cost = min(cost(32_000) for _ in range(2))
    assert large_cost < 8 * 4 * small_cost, "8 times the work, with room for noise"


# --- 36 -----------------------------------------------------------------------------------------


def test_36_sparse_offsets_inflate_no_window() -> None:
    """The last byte of each window came; nothing was read; no credit is given."""
    world = small(initial_max_data=1 << 20)
    for index in range(STREAMS):
        world.attack(stream_frame(index << 2 | THEIRS, STREAM_WINDOW - 1, b"x"))
        world.attack(stream_frame(index << 2 | THEIRS_UNI, STREAM_WINDOW - 1, b"x"))
    world.run_for(5.0)
    assert not world.peer.frames(fr.MAX_DATA, fr.MAX_STREAM_DATA)
    world.attack(stream_frame(THEIRS, STREAM_WINDOW, b"x"))
    closed_with(world, FLOW_CONTROL_ERROR, fr.STREAM)


def test_36_credit_grows_with_what_was_read() -> None:
    world = small()
    for start in range(0, STREAM_WINDOW, 1000):
        world.attack(stream_frame(OURS, start, bytes(1000)))
    assert not world.peer.frames(fr.MAX_DATA, fr.MAX_STREAM_DATA)
    assert len(read(world, OURS)) == STREAM_WINDOW
    world.settle()
    (limit,) = world.peer.frames(fr.MAX_STREAM_DATA)
    assert limit.value == (OURS, 2 * STREAM_WINDOW)
    assert all(f.value <= STREAM_WINDOW + DATA_WINDOW for f in world.peer.frames(fr.MAX_DATA))


# --- 37 -----------------------------------------------------------------------------------------


def test_37_reset_churn_leaves_nothing_behind() -> None:
    world = small()
    opened = 0
    for round_number in range(600):
        stream_id = round_number << 2 | THEIRS_UNI
        frame = stream_frame(stream_id, 0, b"x") + fr.encode_integers(
            fr.RESET_STREAM, stream_id, 7, 1
        )
        world.peer.send(APPLICATION, frame)
        world.run_for(4 * world.delay)
        assert world.terminated is None
        for event in world.seen(ev.StreamOpened)[opened:]:
            opened += 1
            assert world.client.streams.reset_code(event.stream_id) == 7
        world.run_for(2 * world.delay)
    assert opened == 600
    assert len(world.client.streams._inventory.streams) == 2, "only our own two are left"
    goes_on(world)


def test_37_reset_churn_before_an_application_that_does_not_look() -> None:
    """What it has not seen is kept, and the peer gets no credit for more."""
    world = small()
    for round_number in range(STREAMS):
        stream_id = round_number << 2 | THEIRS
        world.attack(
            stream_frame(stream_id, 0, b"x") + fr.encode_integers(fr.RESET_STREAM, stream_id, 7, 1)
        )
    world.run_for(5.0)
    assert not world.peer.frames(fr.MAX_STREAMS_BIDI)
    assert len(world.client.streams._inventory.streams) == 2 + STREAMS
    world.attack(fr.encode_integers(fr.RESET_STREAM, STREAMS << 2 | THEIRS, 7, 0))
    closed_with(world, STREAM_LIMIT_ERROR, fr.RESET_STREAM)


def test_37_an_application_that_does_not_read() -> None:
    """The peer may send a window, and is refused the next byte."""
    world = small()
    for start in range(0, STREAM_WINDOW, 1000):
        world.attack(stream_frame(OURS, start, bytes(1000)))
    world.run_for(5.0)
    assert not world.peer.frames(fr.MAX_DATA, fr.MAX_STREAM_DATA)
    world.attack(stream_frame(OURS, STREAM_WINDOW, b"x"))
    closed_with(world, FLOW_CONTROL_ERROR)


def test_37_stop_sending_churn() -> None:
    """A stream that the peer stops is answered with one reset, and reclaimed."""
    world = World().connect()
    for _ in range(300):
        stream_id = world.client.streams.open(True)
        assert stream_id >= 0
        world.client.streams.write(stream_id, bytes(3000))
        world.run_for(2 * world.delay)
        frame = fr.encode_integers(fr.STOP_SENDING, stream_id, 9) + stream_frame(
            stream_id, 0, b"", True
        )
        limit = fr.encode_integers(fr.MAX_STREAMS_BIDI, stream_id // 4 + 100)
        world.peer.send(APPLICATION, frame + limit)
        world.run_for(4 * world.delay)
        assert world.client.streams.stop_code(stream_id) == 9
        assert world.client.streams.at_end(stream_id)
    world.settle()
    assert len(world.peer.frames(fr.RESET_STREAM)) == 300
    assert len(world.client.streams._inventory.streams) == 0
    goes_on(world)


def test_37_floods_of_control_frames_queue_nothing() -> None:
    world = small()
    before = len(world.peer.packets)
    frames = [
        b"\x01" * 300,
        b"".join(fr.encode_integers(fr.MAX_DATA, DATA_WINDOW + n) for n in range(150)),
        b"".join(
            fr.encode_integers(fr.MAX_STREAM_DATA, OURS, STREAM_WINDOW + n) for n in range(150)
        ),
        b"".join(fr.encode_integers(fr.DATA_BLOCKED, n) for n in range(150)),
        b"".join(fr.encode_integers(fr.STREAMS_BLOCKED_BIDI, n) for n in range(150)),
        b"".join(fr.encode_integers(fr.STREAM_DATA_BLOCKED, OURS, n) for n in range(150)),
    ]
    for _ in range(20):
        for frame in frames:
            packet = world.peer.seal(APPLICATION, frame)
            world.client.receive(0, packet, len(packet), 0, world.now)
    world.settle()
    assert len(world.peer.packets) - before < 20, "120 packets of them get one acknowledgement"
    goes_on(world)
