"""Attacks 38 to 41: key updates, DATAGRAM, idle timeout, CONNECTION_CLOSE."""

import math
import time

import pytest

from tests.attacks.expect import closed_with, dropped, goes_on, read, stream_frame
from tests.attacks.small import (
    OURS,
    small,
)
from tests.peer.packets import APPLICATION, HANDSHAKE, INITIAL
from tests.peer.script import MAX_IDLE_TIMEOUT, ServerScript
from tests.peer.world import World
from trioquic._protocol import events as ev
from trioquic._protocol.errors import (
    APPLICATION_ERROR,
    KEY_UPDATE_ERROR,
    PROTOCOL_VIOLATION,
)
from trioquic._protocol.lifetime import CoreState
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint

# --- 38 -----------------------------------------------------------------------------------------


def test_38_key_updates_of_the_peer_are_followed() -> None:
    world = World().connect()
    for generation in range(1, 6):
        world.peer.write_generation = generation
        goes_on(world)
        assert world.peer.packets[-1].generation == generation
    assert world.client.statistics().key_updates == 5


def test_38_key_updates_of_our_own() -> None:
    world = World().connect()
    for generation in range(1, 4):
        assert world.client.update_keys()
        assert not world.client.update_keys(), "not twice before the first is acknowledged"
        goes_on(world)
        assert world.peer.packets[-1].generation == generation
        world.run_for(2.0)
        goes_on(world)  # which notices that the old keys' time is over


def test_38_a_second_update_before_the_first_was_answered() -> None:
    world = World().connect()
    for generation in (1, 2):
        packet = world.peer.seal(APPLICATION, b"\x01", generation=generation)
        world.client.receive(0, packet, len(packet), 0, world.now)
    world.settle()
    closed_with(world, KEY_UPDATE_ERROR)


def test_38_our_update_acknowledged_with_the_old_keys() -> None:
    """RFC 9001 section 6.2."""
    world = World(ServerScript(acknowledge=False)).connect()
    world.peer.acknowledge(APPLICATION)
    world.settle()
    assert world.client.update_keys()
    world.client.ping()
    world.run_until(lambda: world.peer.packets[-1].generation == 1)
    world.peer.write_generation = 0
    frame = fr.encode_ack(world.peer.ranges(APPLICATION), 0, None)
    world.peer.send(APPLICATION, frame, generation=0)
    world.settle()
    closed_with(world, KEY_UPDATE_ERROR)


def test_38_old_keys_used_again() -> None:
    """RFC 9001 section 6.4: a higher packet number with older keys."""
    world = World().connect()
    number = world.peer.next_number[APPLICATION]
    world.peer.send(APPLICATION, b"\x01", generation=1, number=number)
    world.peer.send(APPLICATION, b"\x01", generation=1, number=number + 5)
    world.run_for(2 * world.delay)
    world.peer.send(APPLICATION, b"\x01", generation=0, number=number + 2)
    world.run_for(2 * world.delay)
    world.peer.write_generation = 1
    world.settle()
    closed_with(world, KEY_UPDATE_ERROR)


def test_38_old_keys_with_the_newest_number() -> None:
    world = small()
    number = world.peer.next_number[APPLICATION]
    world.peer.send(APPLICATION, b"\x01", generation=1, number=number)
    world.run_for(2 * world.delay)
    frame = stream_frame(OURS, 0, b"old keys")
    world.peer.send(APPLICATION, frame, generation=0, number=number + 5)
    world.run_for(2 * world.delay)
    assert read(world, OURS) == b""
    world.peer.write_generation = 1
    world.settle()
    closed_with(world, KEY_UPDATE_ERROR)


def test_38_reordered_packets_of_the_old_keys_are_welcome_for_three_ptos() -> None:
    world = small()
    peer = world.peer
    number = peer.next_number[APPLICATION]
    early = [
        peer.seal(APPLICATION, stream_frame(OURS, 4 * n, b"data"), generation=0, number=number + n)
        for n in range(2)
    ]
    peer.write_generation = 1
    peer.send(APPLICATION, b"\x01")
    world.run_for(2 * world.delay)
    assert world.client.statistics().key_updates == 1
    world.inject(early[0])
    assert read(world, OURS) == b"data"
    world.run_for(5.0)
    goes_on(world)
    world.inject(early[1])
    assert read(world, OURS) == b"", "the old keys are gone"


def test_38_a_forged_key_phase_bit_changes_nothing() -> None:
    world = small()
    packet = bytearray(world.peer.seal(APPLICATION, stream_frame(OURS, 0, b"forged")))
    packet[0] ^= 0x04
    before = dropped(world)
    for _ in range(500):
        world.inject(bytes(packet))
    assert dropped(world) - before == 500
    assert world.client.statistics().key_updates == 0
    assert read(world, OURS) == b""
    packet[0] ^= 0x04
    world.inject(bytes(packet))
    assert read(world, OURS) == b"forged"
    world.peer.write_generation = 1
    goes_on(world)
    assert world.client.statistics().key_updates == 1


def test_38_a_forged_key_phase_bit_costs_what_any_forgery_costs() -> None:
    world = World().connect()
    genuine = bytearray(world.peer.seal(APPLICATION, bytes(1100)))

    def cost(flip: int) -> float:
        packet = bytes([genuine[0] ^ flip]) + bytes(genuine[1:-1]) + bytes([genuine[-1] ^ 1])
        started = time.process_time()
        for _ in range(2000):
            world.client.receive(0, packet, len(packet), 0, world.now)
        return time.process_time() - started

    costs = [(cost(0), cost(4)) for _ in range(5)]
    plain, phase = (min(column) for column in zip(*costs, strict=True))
    assert phase < 3 * plain


# --- 39 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [b"\x30data", b"\x31\x04data"])
def test_39_datagram_that_was_not_negotiated(frame: bytes) -> None:
    world = World().connect()
    world.attack(frame)
    closed_with(world, PROTOCOL_VIOLATION, frame[0])


# --- 40 -----------------------------------------------------------------------------------------


def test_40_an_idle_timeout_of_1_ms_is_three_ptos() -> None:
    world = World(ServerScript(parameters={MAX_IDLE_TIMEOUT: encode_varint(1)}), delay=0.050)
    world.run_until(lambda: world.seen(ev.HandshakeConfirmed))
    pto = world.client.path_view(0).pto
    assert 0.1 < pto < 0.5
    heard = world.now
    world.run_until(lambda: world.terminated)
    assert world.terminated is not None
    assert world.terminated.ending is ev.Ending.IDLE_TIMEOUT
    assert world.now - heard >= 3 * pto - 0.001


# --- 41 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE])
def test_41_application_close_in_an_early_packet(space: int) -> None:
    world = World(ServerScript(send_crypto=False))
    world.run_until(lambda: world.peer.tls.output)
    if space == HANDSHAKE:
        world.peer.send_crypto(INITIAL, world.peer.tls.output[0][1])
        world.settle()
    world.attack(fr.encode_connection_close(1, None, b"bye"), space)
    closed_with(world, PROTOCOL_VIOLATION, 0x1D)


@pytest.mark.parametrize("frame_type", [None, 0, 0x06])
def test_41_a_hostile_reason_is_bounded_and_escaped(frame_type: int | None) -> None:
    world = World().connect()
    reason = b"\x1b[2J\x00\r\n\x07\xff\xfe\x7f" + "\u202e\u2028".encode() + b"A" * 1000
    world.attack(fr.encode_connection_close(0x1234, frame_type, reason))
    event = world.terminated
    assert event is not None
    assert event.ending is ev.Ending.PEER_CLOSE
    assert (event.code, event.frame_type) == (0x1234, frame_type)
    assert event.application is (frame_type is None)
    assert event.reason.isprintable()
    assert len(event.reason) < 1200
    assert "AAAA" in event.reason
    assert "\\x1b" in event.reason


def test_41_an_ordinary_reason_stays_readable() -> None:
    world = World().connect()
    world.attack(fr.encode_connection_close(3, None, "Auf Wiedersehen, schöne Welt".encode()))
    assert world.terminated is not None
    assert world.terminated.reason == "Auf Wiedersehen, schöne Welt"


def test_41_the_peers_close_is_answered_with_silence() -> None:
    world = World().connect()
    sent = len(world.peer.datagrams)
    for _ in range(10):
        world.attack(fr.encode_connection_close(3, None, b"bye"))
    assert len(world.peer.datagrams) - sent <= 1


def test_41_our_own_close_is_repeated_ever_more_rarely() -> None:
    """RFC 9000 section 10.2.1: a flood after the close gets no flood in return."""
    world = World().connect()
    world.client.close(5, "enough", True, world.now)
    world.run_for(3 * world.delay)
    assert world.peer.close == (5, None, b"enough")
    sent = len(world.peer.datagrams)
    packet = world.peer.seal(APPLICATION, b"\x01")
    for _ in range(1000):
        world.inject(packet)
    world.settle()
    assert 1 <= len(world.peer.datagrams) - sent <= 12
    world.run_for(10.0)
    assert world.client.state is CoreState.CLOSED
    assert world.client.next_deadline(world.now) == math.inf


@pytest.mark.parametrize("application", [True, False])
def test_41_a_close_in_the_handshake_tells_nothing_of_the_application(application: bool) -> None:
    """RFC 9000 section 10.2.3."""
    world = World(ServerScript(send_crypto=False))
    world.run_until(lambda: world.peer.tls.output)
    world.client.close(5, "a secret", application, world.now)
    world.settle()
    expected = (APPLICATION_ERROR, 0, b"") if application else (5, 0, b"a secret")
    assert world.peer.close == expected
