"""Attacks 1 to 8: what arrives in datagrams and packets, before a frame means anything."""

import random

import pytest

from tests.attacks.expect import (
    closed_with,
    deliver,
    dropped,
    goes_on,
    read,
    released,
    stream_frame,
)
from tests.attacks.handshakes import half_open
from tests.peer.packets import APPLICATION, HANDSHAKE, INITIAL
from tests.peer.script import ServerScript
from tests.peer.wire import encode_new_token
from tests.peer.world import World
from trioquic._protocol import events as ev
from trioquic._protocol.crypto.keys import packet_limits
from trioquic._protocol.errors import (
    AEAD_LIMIT_REACHED,
    FRAME_ENCODING_ERROR,
    PROTOCOL_VIOLATION,
    TRANSPORT_PARAMETER_ERROR,
)
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint

TOKEN = b"0123456789abcdef"
# One valid frame of every type that a server may send in 1-RTT packets. The first bidirectional
# stream of the client is open when they are sent.
FRAMES: dict[str, bytes] = {
    "PADDING": bytes(3),
    "PING": b"\x01",
    "ACK": fr.encode_ack([(0, 0)], 0, None),
    "ACK_ECN": fr.encode_ack([(0, 0)], 0, (0, 0, 0)),
    "RESET_STREAM": fr.encode_integers(fr.RESET_STREAM, 0, 300, 5),
    "STOP_SENDING": fr.encode_integers(fr.STOP_SENDING, 0, 300),
    "CRYPTO": fr.encode_crypto(0, b""),
    "NEW_TOKEN": encode_new_token(b"token"),
    "STREAM": stream_frame(0, 70, b"x"),
    "MAX_DATA": fr.encode_integers(fr.MAX_DATA, 1 << 21),
    "MAX_STREAM_DATA": fr.encode_integers(fr.MAX_STREAM_DATA, 0, 1 << 20),
    "MAX_STREAMS_BIDI": fr.encode_integers(fr.MAX_STREAMS_BIDI, 200),
    "MAX_STREAMS_UNI": fr.encode_integers(fr.MAX_STREAMS_UNI, 200),
    "DATA_BLOCKED": fr.encode_integers(fr.DATA_BLOCKED, 1000),
    "STREAM_DATA_BLOCKED": fr.encode_integers(fr.STREAM_DATA_BLOCKED, 0, 1000),
    "STREAMS_BLOCKED_BIDI": fr.encode_integers(fr.STREAMS_BLOCKED_BIDI, 100),
    "STREAMS_BLOCKED_UNI": fr.encode_integers(fr.STREAMS_BLOCKED_UNI, 100),
    "NEW_CONNECTION_ID": fr.encode_new_connection_id(300, 0, b"another1", TOKEN),
    "RETIRE_CONNECTION_ID": fr.encode_integers(fr.RETIRE_CONNECTION_ID, 1),
    "PATH_CHALLENGE": fr.encode_path_data(fr.PATH_CHALLENGE, b"\xffhallenge"[:8]),
    "PATH_RESPONSE": fr.encode_path_data(fr.PATH_RESPONSE, b"\xffesponse"[:8]),
    "CONNECTION_CLOSE": fr.encode_connection_close(300, 6, b"bye"),
    "CONNECTION_CLOSE_APP": fr.encode_connection_close(300, None, b"bye"),
    "HANDSHAKE_DONE": b"\x1e",
}
EARLY = {"PADDING", "PING", "ACK", "ACK_ECN", "CRYPTO", "CONNECTION_CLOSE"}


def in_space(space: int) -> World:
    return World().connect() if space == APPLICATION else half_open(space)


def with_stream() -> World:
    world = World().connect()
    assert world.client.streams.open(True) == 0
    world.client.streams.write(0, b"request")
    world.settle()
    return world


# --- 1 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["handshaking", "connected"])
def test_1_garbage_and_empty_datagrams_are_dropped_and_counted(when: str) -> None:
    world = World()
    if when == "connected":
        world.connect()
    source = random.Random(7)
    before = dropped(world)
    sent = len(world.peer.datagrams)
    for size in [0, 1, 2, 5, 20, 21, 22, *range(0, 1500, 11)] * 3:
        world.inject(source.randbytes(size))
        world.inject(bytes(size))
        world.inject(b"\x40" + source.randbytes(size))
        world.inject(b"\xc0\x00\x00\x00\x01" + source.randbytes(size))
    assert dropped(world) - before > 1000
    assert len(world.peer.datagrams) == sent, "nothing is answered"
    world.run_until(lambda: world.seen(ev.HandshakeConfirmed))
    goes_on(world)


# --- 2 ------------------------------------------------------------------------------------------


def test_2_corrupt_packets_are_dropped_without_an_ack() -> None:
    world = with_stream()
    before = dropped(world)
    good = world.peer.seal(APPLICATION, stream_frame(0, 0, b"forged?") + b"\x01")
    number = world.peer.next_number[APPLICATION] - 1
    for position in range(1 + 8, len(good)):
        world.inject(good[:position] + bytes([good[position] ^ 0x10]) + good[position + 1 :])
    world.settle()
    assert not world.seen(ev.StreamReadable)
    acked = [high for ack in world.peer.frames(fr.ACK) for _, high in ack.value.ranges]
    assert number not in acked
    assert dropped(world) - before == len(good) - 9
    goes_on(world)


def test_2_truncated_packets_are_dropped() -> None:
    world = with_stream()
    good = world.peer.seal(APPLICATION, stream_frame(0, 0, b"forged?"))
    for size in range(len(good)):
        world.inject(good[:size])
    world.settle()
    assert not world.seen(ev.StreamReadable)
    world.inject(good)
    assert read(world, 0) == b"forged?", "the whole one is still welcome"


def test_2_too_many_failures_reach_the_aead_limit() -> None:
    world = World().connect()
    world.client._receiver.counters.dropped_unauthentic = packet_limits(0x1301)[1] - 2
    packet = world.peer.seal(APPLICATION, b"\x01")
    broken = packet[:-1] + bytes([packet[-1] ^ 1])
    for _ in range(2):
        world.inject(broken)
    assert world.terminated is None
    for _ in range(2):
        world.inject(broken)
    world.settle()
    closed_with(world, AEAD_LIMIT_REACHED)


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE])
def test_2_failures_count_under_all_keys_together(space: int) -> None:
    """RFC 9001 section 6.6: "during the lifetime of a connection ... across all keys"."""
    world = half_open(space)
    packet = world.peer.seal(space, b"\x01")
    for _ in range(10):
        world.inject(packet[:-1] + bytes([packet[-1] ^ 1]))
    world.peer.send_flight()
    world.connect()
    assert world.client.statistics().dropped_unauthentic == 10
    keys = world.client._parts.handshake.one_rtt
    assert keys is not None
    keys.failure_limit = 11
    for position in (-1, -2):
        assert world.terminated is None
        forged = bytearray(world.peer.seal(APPLICATION, b"\x01"))
        forged[position] ^= 1
        world.inject(bytes(forged))
    world.settle()
    closed_with(world, AEAD_LIMIT_REACHED)


# --- 3 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE, APPLICATION])
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_3_reserved_header_bits_after_decryption(space: int, bits: int) -> None:
    world = in_space(space)
    world.peer.send(space, b"\x01", reserved=bits)
    world.settle()
    closed_with(world, PROTOCOL_VIOLATION)


def test_3_reserved_bits_of_a_forged_packet_mean_nothing() -> None:
    world = World().connect()
    packet = world.peer.seal(APPLICATION, b"\x01", reserved=3)
    world.inject(packet[:-1] + bytes([packet[-1] ^ 1]))
    goes_on(world)


# --- 4 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE, APPLICATION])
def test_4_a_packet_without_frames(space: int) -> None:
    world = in_space(space)
    world.attack(b"", space)
    closed_with(world, PROTOCOL_VIOLATION)


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE])
@pytest.mark.parametrize("name", sorted(set(FRAMES) - EARLY))
def test_4_a_frame_forbidden_at_that_level(space: int, name: str) -> None:
    world = half_open(space)
    world.attack(FRAMES[name], space)
    closed_with(world, PROTOCOL_VIOLATION, FRAMES[name][0])
    assert not released(world)


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE])
@pytest.mark.parametrize("name", ["PADDING", "PING"])
def test_4_frames_allowed_at_that_level(space: int, name: str) -> None:
    world = half_open(space)
    world.attack(FRAMES[name], space)
    assert world.terminated is None


@pytest.mark.parametrize("name", sorted(set(FRAMES) - {"CONNECTION_CLOSE", "CONNECTION_CLOSE_APP"}))
def test_4_every_frame_is_allowed_in_1_rtt(name: str) -> None:
    world = with_stream()
    world.attack(FRAMES[name])
    assert world.terminated is None


# --- 5 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE, APPLICATION])
@pytest.mark.parametrize("kind", [0x1F, 0x20, 0x3F, 0x40, 0xAF, 0x15228C00, (1 << 62) - 1])
def test_5_unknown_frame_type(space: int, kind: int) -> None:
    world = in_space(space)
    world.attack(encode_varint(kind) + bytes(8), space)
    closed_with(world, FRAME_ENCODING_ERROR, kind)


@pytest.mark.parametrize("kind", [b"\x40\x01", b"\x80\x00\x00\x1e", b"\xc0" + bytes(6) + b"\x08"])
def test_5_frame_type_in_a_longer_encoding_than_needed(kind: bytes) -> None:
    """RFC 9000 section 12.4."""
    world = with_stream()
    world.attack(kind + bytes(8))
    closed_with(world, PROTOCOL_VIOLATION)


# --- 6 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(FRAMES) - {"PADDING", "PING", "HANDSHAKE_DONE"}))
def test_6_truncated_anywhere_in_a_frame(name: str) -> None:
    whole = FRAMES[name]
    for size in range(1, len(whole)):
        world = with_stream()
        world.attack(whole[:size])
        closed_with(world, FRAME_ENCODING_ERROR, whole[0])
        assert not world.seen(ev.StreamReadable)


def test_6_truncated_transport_parameters() -> None:
    for suffix in [b"\x04", b"\x04\x01", b"\x04\x02\x01", b"\x40", b"\x04\x04\x80\x00", b"\x1b@"]:
        script = ServerScript(parameters={4: None}, parameter_suffix=suffix)
        world = World(script)
        world.run_until(lambda world=world: world.terminated)  # type: ignore[misc]
        world.settle()
        closed_with(world, TRANSPORT_PARAMETER_ERROR)
        assert not released(world)


# --- 7 ------------------------------------------------------------------------------------------


def test_7_packets_before_their_keys_wait_in_a_bounded_buffer() -> None:
    world = World(ServerScript(send_crypto=False))
    world.run_until(lambda: world.peer.tls.output)
    for number in range(200):
        world.peer.send(APPLICATION, stream_frame(3, number, b"%d" % (number % 10)))
    world.settle()
    assert not released(world)
    kept = len(world.client._receiver._long._undecryptable._kept)
    assert 1 <= kept <= 64
    assert world.client.statistics().dropped_no_keys == 200 - kept
    world.peer.script.send_crypto = True
    world.peer.send_flight()
    world.run_until(lambda: world.seen(ev.HandshakeConfirmed))
    world.settle()
    early = read(world, 3)
    assert early == b"".join(b"%d" % (n % 10) for n in range(len(early)))
    assert 1 <= len(early) <= 64, "what was buffered is processed, the rest was dropped"
    goes_on(world)


def test_7_handshake_packets_before_the_server_hello() -> None:
    world = World(ServerScript(send_crypto=False))
    world.run_until(lambda: world.peer.tls.output)
    hello, *rest = world.peer.tls.output
    world.peer.tls.output.clear()
    for level, data in rest:
        world.peer.send_crypto(level, data)
    world.settle()
    assert not released(world)
    world.peer.send_crypto(*hello)
    world.connect()
    goes_on(world)


# --- 8 ------------------------------------------------------------------------------------------


def test_8_duplicated_and_replayed_packet_numbers_are_dropped() -> None:
    world = with_stream()
    first = world.peer.seal(APPLICATION, stream_frame(0, 0, b"abc"))
    number = world.peer.next_number[APPLICATION] - 1
    world.inject(first)
    assert read(world, 0) == b"abc"
    duplicates = world.client.statistics().dropped_duplicate
    for _ in range(5):
        world.inject(first)
    other = world.peer.seal(APPLICATION, stream_frame(0, 3, b"def"), number=number)
    world.inject(other)
    world.settle()
    assert read(world, 0) == b""
    assert world.client.statistics().dropped_duplicate - duplicates == 6
    deliver(world, 0, b"abcdefg")
    assert read(world, 0) == b"defg"


def test_8_packets_below_the_remembered_floor_count_as_replayed() -> None:
    """More gaps than are remembered: what is below them may not be processed twice."""
    world = with_stream()
    peer = world.peer
    replayed = peer.seal(APPLICATION, stream_frame(0, 0, b"once"))
    world.inject(replayed)
    assert read(world, 0) == b"once"
    start = peer.next_number[APPLICATION]
    peer.script.acknowledge = False
    for step in range(500):
        world.inject(peer.seal(APPLICATION, bytes(4), number=start + 2 * step))
    world.inject(peer.seal(APPLICATION, stream_frame(0, 4, b"late"), number=start + 1))
    assert read(world, 0) == b"", "its place in the ledger is forgotten"
    world.inject(replayed)
    assert read(world, 0) == b""


# --- 12.2 and 7.2: whose packets they are -------------------------------------------------------


def test_coalesced_packets_for_another_connection_are_dropped() -> None:
    """RFC 9000 section 12.2."""
    world = half_open(INITIAL)
    good = world.peer.seal(INITIAL, b"\x01")
    stranger = world.peer.seal(INITIAL, fr.encode_connection_close(1, 0, b""), dcid=b"stranger")
    before = dropped(world)
    world.inject(good + stranger)
    world.inject(stranger + good)
    world.settle()
    assert world.terminated is None
    assert dropped(world) - before == 2


def test_a_server_cannot_change_its_connection_id_half_way() -> None:
    """RFC 9000 section 7.2: what comes with another one later is discarded."""
    world = half_open(INITIAL)
    world.attack(b"\x01", INITIAL)
    packet = world.peer.seal(INITIAL, fr.encode_connection_close(1, 0, b""), scid=b"changed!")
    world.inject(packet)
    world.settle()
    assert world.terminated is None


def test_an_initial_of_a_server_with_a_token_is_dropped() -> None:
    """RFC 9000 section 17.2.2."""
    world = half_open(INITIAL)
    close = fr.encode_connection_close(1, 0, b"")
    world.inject(world.peer.seal(INITIAL, close, token=b"token"))
    assert world.terminated is None


def test_packets_of_discarded_spaces_are_dropped() -> None:
    world = World().connect()
    before = dropped(world)
    for space in (INITIAL, HANDSHAKE):
        world.attack(fr.encode_connection_close(1, 0, b""), space)
    assert dropped(world) - before == 2
    goes_on(world)
