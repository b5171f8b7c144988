"""Handshakes in which something is lost, late or odd: no deadlock, no idle spinning."""

import itertools

import pytest

from tests.attacks.expect import goes_on
from tests.peer.packets import APPLICATION, HANDSHAKE, INITIAL
from tests.peer.script import ServerScript
from tests.peer.world import World
from trioquic._protocol.events import HandshakeCompleted, HandshakeConfirmed
from trioquic._protocol.path.refusal import PathRefusedError, Refusal
from trioquic._protocol.wire import frames as fr


def answered_in_part() -> World:
    """The server's flight has arrived up to the middle of its certificate, as if its
    anti-amplification limit had cut it there; nothing of the client's reaches it from now on."""
    world = World(ServerScript(send_crypto=False))
    world.run_until(lambda: world.peer.tls.output)
    world.peer.acknowledge(INITIAL)
    (first, hello), (second, rest) = world.peer.tls.output[:2]
    assert (first, second) == (INITIAL, HANDSHAKE)
    world.peer.send_crypto(INITIAL, hello)
    world.peer.send_crypto(HANDSHAKE, rest[:500])
    world.peer.tls.output[:2] = [(HANDSHAKE, rest[500:])]
    world.to_peer = lambda path, data: None
    return world


def test_a_lost_ack_in_a_long_server_flight_is_no_deadlock() -> None:
    # RFC 9002 section 6.2.2.1: packets of the server do not show that it may send freely. It
    # waits for a Handshake packet of ours, and the only one, an ACK, was lost.
    world = answered_in_part()
    world.run_for(0.2)
    heard = len(world.peer.packets)
    world.to_peer = None
    world.run_until(lambda: len(world.peer.packets) > heard, limit=5.0)
    assert world.peer.packets[-1].space == HANDSHAKE
    assert world.peer.packets[-1].ack_eliciting
    # nothing is left to be acknowledged, and still what was received is said again
    assert world.peer.packets[-1].has(fr.ACK)
    world.peer.script.send_crypto = True
    world.peer.send_flight()
    world.connect()
    goes_on(world)


def test_the_wait_for_the_server_backs_off() -> None:
    world = answered_in_part()
    sent: list[float] = []
    world.to_peer = lambda path, data: sent.append(world.now)
    world.run_for(25.0)
    gaps = [b - a for a, b in itertools.pairwise(sent[1:])]
    assert len(gaps) >= 3
    assert all(b > 1.8 * a for a, b in itertools.pairwise(gaps))


def test_data_written_before_the_first_handshake_packet_arrives_unharmed() -> None:
    # Initial ACK, Handshake and 1-RTT data share a datagram, which must be expanded to 1200
    # bytes: padding is no part of a STREAM frame that has no length.
    world = World()
    data = bytes(range(1, 256)) * 20
    # World flushes after each step: write between the step that completes and that flush
    while not world.client.handshake_complete:
        world.flush()
        world._step(world._next())
    stream_id = world.client.streams.open(True)
    assert world.client.streams.write(stream_id, data) == len(data)
    world.run_until(lambda: len(world.peer.stream(stream_id)) >= len(data))
    assert bytes(world.peer.stream(stream_id)) == data
    together = [[packet.space for packet in d.packets] for d in world.peer.datagrams]
    assert [INITIAL, HANDSHAKE, APPLICATION] in together, together


def test_a_challenge_before_confirmation_is_answered_in_full() -> None:
    # Section 8.2.2: expanded to 1200 bytes; section 9.3.3: with more than a probe.
    world = World(ServerScript(handshake_done=False))
    world.run_until(lambda: world.seen(HandshakeCompleted))
    world.settle()
    assert not world.client.handshake_confirmed
    world.peer.challenge(0, b"8 bytes!")
    world.settle()
    (answer,) = [p for p in world.peer.packets if p.has(fr.PATH_RESPONSE)]
    assert len(world.peer.datagrams[answer.datagram].data) == 1200
    assert not answer.probing


def test_validation_before_the_handshake_is_complete_is_refused() -> None:
    # 1-RTT keys are not there yet: a challenge that cannot be sent must not be due for ever
    world = World(ServerScript(send_crypto=False, acknowledge=False))
    with pytest.raises(PathRefusedError) as caught:
        world.client.validate(0, world.now)
    assert caught.value.refusal is Refusal.NOT_CONFIRMED
    world.run_for(3.0, steps=100)


def test_a_stream_wanted_before_there_is_credit_does_not_turn_the_timer_idly() -> None:
    world = World()
    assert world.client.streams.open(True) == -1  # STREAMS_BLOCKED waits for 1-RTT keys
    world.to_peer = lambda path, data: None
    world.run_for(3.0, steps=100)
    world.to_peer = None
    world.connect()
    goes_on(world)


def test_the_first_path_can_be_validated_before_confirmation() -> None:
    world = World(ServerScript(handshake_done=False))
    world.run_until(lambda: world.seen(HandshakeCompleted))
    world.client.validate(0, world.now)
    world.settle()
    assert world.client.path_view(0).validations == 1


def test_the_ack_of_a_1_rtt_packet_confirms_the_handshake() -> None:
    # RFC 9001 section 4.1.2. A server may say nothing for long, and does not answer Handshake
    # packets any more (section 4.9.2): probes there are taken for silence.
    world = World(ServerScript(handshake_done=False))
    world.run_until(lambda: world.seen(HandshakeCompleted))
    stream_id = world.client.streams.open(True)
    world.client.streams.write(stream_id, b"GET")
    world.settle()
    assert not world.client.handshake_confirmed
    world.peer.acknowledge(APPLICATION)
    world.settle()
    assert world.client.handshake_confirmed
    # whoever wants to move has no connection ID yet
    assert not world.seen(HandshakeConfirmed)
    before = len(world.peer.packets)
    world.run_for(5.0)
    assert {packet.space for packet in world.peer.packets[before:]} == {APPLICATION}
    world.peer.send(APPLICATION, bytes([fr.HANDSHAKE_DONE]))
    world.settle()
    assert len(world.seen(HandshakeConfirmed)) == 1
    world.peer.script.handshake_done = True
    goes_on(world)


def test_a_retry_restarts_the_timers() -> None:
    # RFC 9002 section 6.3: recovery starts anew, so that a lost Initial is repeated after one PTO
    # and not after the backed-off one of the first attempt.
    world = World(ServerScript(retry=True))
    world.to_peer = lambda path, data: None
    world.run_for(4.0)
    assert world.client.path_view(0).pto_count == 2
    world.to_peer = None
    world.run_until(lambda: world.peer.datagrams)
    assert not world.peer.packets
    world.to_peer = lambda path, data: None
    world.run_for(0.1)  # the Retry arrives, its Initial is lost
    assert world.client.path_view(0).pto_count == 0
    at = world.now
    world.to_peer = None
    world.run_until(lambda: world.peer.packets, limit=1.1)
    assert world.peer.packets[0].token == world.peer.script.retry_token
    assert world.now - at > 0.8
    world.connect()
    goes_on(world)


def test_the_wait_for_keys_is_part_of_our_ack_delay_and_of_no_sample() -> None:
    """RFC 9000 section 13.2.5, RFC 9002 section 5.3: what is kept counts from when it came."""
    world = World(ServerScript(handshake_done=False))
    held: list[bytes] = []

    def hold(path: int, data: bytes) -> bytes | None:
        if data[0] & 0x80:
            held.append(data)
            return None
        return data

    world.to_client = hold
    world.run_until(lambda: APPLICATION in world.peer.keys.write)
    world.peer.send(APPLICATION, bytes([fr.PING]))
    world.run_for(2 * world.delay)
    world.run_for(0.200)
    world.to_client = None
    for data in held:
        world.inject(data)
    world.run_until(lambda: world.peer.frames(fr.ACK, space=APPLICATION))
    ack = world.peer.frames(fr.ACK, space=APPLICATION)[0].value
    assert (ack.delay << 3) / 1_000_000 == pytest.approx(0.200 + world.delay, abs=0.012)
