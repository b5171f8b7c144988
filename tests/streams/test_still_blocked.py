"""Who is held up by flow control says so again and again (section 4.1): the connection of a sender
that waits for a slow reader does not end for being idle."""

import pytest

from tests.peer.script import (
    MAX_DATA,
    MAX_IDLE_TIMEOUT,
    STREAM_DATA_BIDI_REMOTE,
    STREAM_DATA_UNI,
    STREAMS_BIDI,
    STREAMS_UNI,
    ServerScript,
)
from tests.peer.world import World
from trioquic._protocol.events import HandshakeConfirmed
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint

LIMIT = 10_000
IDLE = 30.0
PACE = IDLE / 3


def held_up(limits: dict[int, int], bidirectional: bool = False) -> tuple[World, int]:
    """A connection that has sent all it may, and the stream's number."""
    parameters: dict[int, bytes | None] = {
        number: encode_varint(value) for number, value in limits.items()
    }
    world = World(ServerScript(parameters=parameters), idle_timeout=IDLE).connect()
    stream_id = world.client.streams.open(bidirectional)
    world.client.streams.write(stream_id, bytes(2 * LIMIT))
    world.settle()
    return world, stream_id


@pytest.mark.parametrize(
    ("parameter", "bidirectional", "kind"),
    [
        (STREAM_DATA_UNI, False, fr.STREAM_DATA_BLOCKED),
        (STREAM_DATA_BIDI_REMOTE, True, fr.STREAM_DATA_BLOCKED),
        (MAX_DATA, False, fr.DATA_BLOCKED),
    ],
)
def test_a_writer_outlives_the_idle_timeout(parameter: int, bidirectional: bool, kind: int) -> None:
    world, stream_id = held_up({parameter: LIMIT}, bidirectional)
    assert len(world.peer.stream(stream_id)) == LIMIT
    world.run_for(10 * IDLE)
    assert world.terminated is None
    said = [frame.value for frame in world.peer.frames(kind)]
    assert len(said) <= 10 * IDLE / PACE + 2
    # where an answer is waited for there are PINGs as well, and less is left to say
    assert len(said) >= (5 if bidirectional else 10 * IDLE / PACE - 2)
    # once there is credit there is nothing to say, and idle is idle
    world.attack(
        fr.encode_integers(fr.MAX_DATA, 3 * LIMIT)
        + fr.encode_integers(fr.MAX_STREAM_DATA, stream_id, 3 * LIMIT)
    )
    assert len(world.peer.stream(stream_id)) == 2 * LIMIT
    world.run_for(2 * IDLE)
    # a stream of both directions has an answer to come
    assert (world.terminated is None) == bidirectional
    assert [frame.value for frame in world.peer.frames(kind)] == said


def test_a_stream_that_is_reset_waits_for_nothing() -> None:
    world, stream_id = held_up({STREAM_DATA_UNI: LIMIT})
    world.client.streams.reset(stream_id, 0)
    world.run_for(2 * IDLE)
    assert world.terminated is not None


@pytest.mark.parametrize("bidirectional", [True, False])
def test_who_waits_for_a_stream_outlives_the_idle_timeout(bidirectional: bool) -> None:
    parameter = STREAMS_BIDI if bidirectional else STREAMS_UNI
    world, _ = held_up({parameter: 1}, bidirectional)
    assert world.client.streams.open(bidirectional) == -1
    world.run_for(3 * IDLE)
    assert world.terminated is None
    kind = fr.STREAMS_BLOCKED_BIDI if bidirectional else fr.STREAMS_BLOCKED_UNI
    assert (2 if bidirectional else 8) <= len(world.peer.frames(kind)) <= 11
    said = len(world.peer.frames(kind))
    world.client.streams.stop_opening(bidirectional)
    world.run_for(2 * IDLE)
    assert (world.terminated is None) == bidirectional
    assert len(world.peer.frames(kind)) == said


def test_a_connection_that_waits_for_nothing_is_idle() -> None:
    world, _ = held_up({})
    world.run_for(2 * IDLE)
    assert world.terminated is not None


def test_a_server_with_a_tiny_idle_timeout_is_not_told_with_each_round_trip() -> None:
    """No idle timeout is shorter than three PTOs (section 10.1), and a PTO is pace enough."""
    parameters: dict[int, bytes | None] = {
        MAX_IDLE_TIMEOUT: encode_varint(1),
        STREAM_DATA_UNI: encode_varint(LIMIT),
    }
    world = World(ServerScript(parameters=parameters))
    world.run_until(lambda: world.seen(HandshakeConfirmed))
    stream_id = world.client.streams.open(False)
    world.client.streams.write(stream_id, bytes(2 * LIMIT))
    world.run_until(lambda: len(world.peer.stream(stream_id)) == LIMIT)
    world.run_for(1.0)
    before = len(world.peer.frames(fr.STREAM_DATA_BLOCKED))
    pto = world.client.path_view(0).pto
    assert pto > 2 * (2 * world.delay)
    world.run_for(100 * pto)
    assert world.terminated is None
    # a PTO after each acknowledgement
    assert 60 <= len(world.peer.frames(fr.STREAM_DATA_BLOCKED)) - before <= 102
