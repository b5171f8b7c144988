"""Closing at every moment of a connection's life: the peer is told in packets it can read."""

import math
from collections.abc import Callable

import pytest

from tests.path.driver import add, standby, upload
from tests.peer.packets import APPLICATION, HANDSHAKE, INITIAL
from tests.peer.script import ServerScript
from tests.peer.world import World
from trioquic._protocol.events import Ending, HandshakeCompleted
from trioquic._protocol.lifetime import CoreState
from trioquic._protocol.wire import frames as fr

CODE = 0x77


def fresh() -> World:
    return World()


def unanswered() -> World:
    world = World(ServerScript(send_crypto=False, acknowledge=False))
    world.run_until(lambda: world.peer.packets)
    return world


def in_the_flight() -> World:
    world = World(ServerScript(send_crypto=False))
    world.run_until(lambda: world.peer.tls.output)
    (_, hello), (_, rest) = world.peer.tls.output[:2]
    world.peer.send_crypto(INITIAL, hello)
    world.peer.send_crypto(HANDSHAKE, rest[:300])
    world.settle()
    return world


def unconfirmed() -> World:
    world = World(ServerScript(handshake_done=False))
    world.run_until(lambda: world.seen(HandshakeCompleted))
    world.settle()
    return world


def confirmed() -> World:
    return World().connect()


def window_full() -> World:
    world = World().connect()
    upload(world, bytes(1 << 20))
    world.peer.script.acknowledge = False
    world.run_for(0.05)
    return world


def validating() -> World:
    world = World(ServerScript(answer_challenges=False)).connect()
    world.client.validate(add(world), world.now)
    world.run_for(0.05)
    return world


def just_moved() -> World:
    world = World().connect()
    world.client.migrate(standby(world), world.now)
    return world


MOMENTS = {
    fresh: {INITIAL},
    unanswered: {INITIAL},
    in_the_flight: {HANDSHAKE},
    unconfirmed: {HANDSHAKE, APPLICATION},
    confirmed: {APPLICATION},
    window_full: {APPLICATION},
    validating: {APPLICATION},
    just_moved: {APPLICATION},
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_close_is_told_in_every_space_the_peer_can_read(
    moment: Callable[[], World],
) -> None:
    world = moment()
    before = len(world.peer.packets)
    world.client.close(CODE, "enough", True, world.now)
    world.run_for(0.05)
    assert world.terminated is not None
    assert world.terminated.ending is Ending.LOCAL_CLOSE
    closing = [p for p in world.peer.packets[before:] if p.has(0x1C, 0x1D)]
    told = [p for p in closing if p.datagram == closing[0].datagram]
    assert {p.space for p in told} == MOMENTS[moment]
    # a peer that goes on sending (a challenge after a move) is told once more
    assert len(closing) <= len(told) + (moment is just_moved)
    for packet in told:
        if packet.space == APPLICATION:
            assert packet.all(fr.CONNECTION_CLOSE_APP) == [(CODE, None, b"enough")]
        else:
            # Section 10.2.3: nothing of the application before the handshake is over
            assert packet.all(fr.CONNECTION_CLOSE) == [(0x0C, 0, b"")]
        if packet.space == INITIAL:
            assert len(world.peer.datagrams[packet.datagram].data) >= 1200


@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_close_nothing_goes_out_unasked_and_it_ends(moment: Callable[[], World]) -> None:
    world = moment()
    world.client.close(CODE, "", True, world.now)
    world.run_for(0.05)
    sent = len(world.peer.datagrams)
    world.run_for(10.0, steps=50)
    assert len(world.peer.datagrams) == sent
    assert world.client.state is CoreState.CLOSED
    assert world.client.next_deadline(world.now) == math.inf


def test_packets_during_closing_are_answered_less_and_less() -> None:
    world = World().connect()
    world.client.close(CODE, "", True, world.now)
    world.flush()
    sent = 0

    def count(_path: int, _data: bytes) -> None:
        nonlocal sent
        sent += 1

    world.to_peer = count
    for _ in range(64):
        world.inject(world.peer.seal(APPLICATION, bytes([fr.PING])))
    assert 3 <= sent <= 8


def test_a_close_without_any_path_ends_at_once() -> None:
    world = World().connect()
    world.client.abandon(0, world.now)
    world.client.close(CODE, "", True, world.now)
    world.run_for(1.0, steps=20)
    assert world.client.state is CoreState.CLOSED


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_idle_timeout_ends_every_moment(moment: Callable[[], World]) -> None:
    world = moment()
    world.cut.update(world.client.live_paths())
    world.run_until(lambda: world.terminated, limit=60.0, steps=300)
    assert world.terminated is not None
    assert world.terminated.ending is Ending.IDLE_TIMEOUT
    assert world.client.state is CoreState.CLOSED
    assert world.client.next_deadline(world.now) == math.inf


def test_a_reason_that_utf8_cannot_say_is_said_otherwise() -> None:
    """Such as a file's name that is no text (PEP 383): nothing may raise while closing."""
    world = World().connect()
    world.client.close(CODE, "no \udcff", True, world.now)
    world.settle()
    assert world.peer.close == (CODE, None, b"no \\udcff")
