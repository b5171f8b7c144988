"""Anything at all: mutated datagrams, and arbitrary frames sealed with the right keys.

Mutated datagrams are what a network or an attacker beside the way can do: nothing may come of them.
Arbitrary plaintext is what a hostile server can do: the connection may end with a typed reason, but
no exception may leave the core, and it must stop sending sooner or later.
"""

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.attacks.expect import goes_on, read, stream_frame
from tests.attacks.test_packets import FRAMES
from tests.peer.packets import APPLICATION, HANDSHAKE, INITIAL
from tests.peer.script import ServerScript
from tests.peer.tls_server import TlsScript
from tests.peer.world import REMOTE, World
from trioquic._protocol import events as ev
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint

QUICK = settings(max_examples=60, derandomize=True)
THOROUGH = settings(max_examples=150, derandomize=True)
TYPED = {ev.Ending.PROTOCOL_ERROR, ev.Ending.TLS_ERROR, ev.Ending.PEER_CLOSE, ev.Ending.VERSION}
INTEGERS = st.one_of(
    st.integers(0, 20),
    st.integers(0, 20_000),
    st.sampled_from([1 << 14, 1 << 30, (1 << 60) - 1, 1 << 60, (1 << 60) + 1, (1 << 62) - 1]),
)

# --- mutated datagrams ------------------------------------------------------------------------


@st.composite
def mutations(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A change that leaves no datagram as it was."""
    kind = draw(st.sampled_from(["flip", "flip first", "cut", "overwrite", "drop head"]))
    position = draw(st.floats(0, 1, exclude_max=True))
    bit = 1 << draw(st.integers(0, 7))
    noise = draw(st.binary(min_size=1, max_size=20))

    def change(data: bytes) -> bytes:
        if not data:
            return noise
        at = 0 if kind == "flip first" else int(position * len(data))
        if kind in ("flip", "flip first"):
            return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
        if kind == "cut":
            return data[:at]
        if kind == "drop head":
            return data[at + 1 :]
        changed = data[:at] + noise + data[at + len(noise) :]
        return changed if changed != data else data[::-1]

    return change


@QUICK
@given(st.lists(mutations(), min_size=1, max_size=8))
def test_2_mutated_copies_of_a_handshakes_datagrams_change_nothing(
    changes: list[Callable[[bytes], bytes]],
) -> None:
    """Every datagram of the server is preceded by mutated copies of it."""
    world = World()
    count = 0

    def precede(path: int, data: bytes) -> bytes:
        nonlocal count
        for change in changes:
            world.client.receive(path, change(data), len(data), 0, world.now)
        count += 1
        return data

    world.to_client = precede
    world.connect()
    assert count > 3
    goes_on(world)


@QUICK
@given(st.lists(mutations(), min_size=1, max_size=20))
def test_2_mutated_packets_release_nothing(changes: list[Callable[[bytes], bytes]]) -> None:
    world = World().connect()
    assert world.client.streams.open(True) == 0
    genuine = world.peer.seal(APPLICATION, stream_frame(0, 0, b"the only genuine bytes"))
    for change in changes:
        mutant = change(genuine)
        if mutant.startswith(genuine):
            continue
        world.inject(mutant)
        assert read(world, 0) == b""
    world.inject(genuine)
    assert read(world, 0) == b"the only genuine bytes"
    goes_on(world)


@QUICK
@given(st.binary(max_size=1500), st.sampled_from([0x00, 0x40, 0x80, 0xC0, 0xE0, 0xF0]))
def test_1_arbitrary_datagrams_change_nothing(data: bytes, first: int) -> None:
    world = World()
    for _ in range(2):
        for datagram in (data, bytes([first]) + data, bytes([first]) + b"\x00\x00\x00\x01" + data):
            world.inject(datagram)
        world.connect()
    goes_on(world)


@QUICK
@given(st.data())
def test_1_batches_of_any_shape(data: st.DataObject) -> None:
    """Several datagrams in one buffer, of a segment size that may not fit."""
    world = World().connect()
    packets = [world.peer.seal(APPLICATION, b"\x01", pad_to=60) for _ in range(4)]
    size = data.draw(st.integers(-1, 300))
    world.client.receive(0, b"".join(packets), size, data.draw(st.integers(0, 3)), world.now)
    world.settle()
    goes_on(world)


@QUICK
@given(st.lists(mutations(), min_size=1, max_size=3), st.integers(0, 6))
def test_16_a_handshake_with_altered_messages_never_completes(
    changes: list[Callable[[bytes], bytes]], which: int
) -> None:
    """The server's own TLS believes what it said; the client heard something else."""
    script = ServerScript(send_crypto=False)
    world = World(script)
    world.run_until(lambda: world.peer.tls.output)
    output = world.peer.tls.output
    level, message = output[which % len(output)]
    altered = message
    for change in changes:
        altered = change(altered) or b"\x00"
    if altered == message:
        return
    output[which % len(output)] = (level, altered)
    world.peer.send_flight()
    world.run_for(3.0)
    assert not world.seen(ev.HandshakeCompleted)
    if world.terminated is not None:
        assert world.terminated.ending in TYPED


# --- arbitrary plaintext ----------------------------------------------------------------------


def numbers(*names: str) -> st.SearchStrategy[bytes]:
    """The fields of a frame, all integers."""
    return st.tuples(*[INTEGERS for _ in names]).map(lambda t: b"".join(map(encode_varint, t)))


def typed(kind: int, body: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return body.map(lambda fields: bytes([kind]) + fields)


DATA = st.binary(max_size=40)
WELL_FORMED = st.one_of(
    st.sampled_from(sorted(FRAMES.values())),
    typed(fr.RESET_STREAM, numbers("stream", "code", "size")),
    typed(fr.STOP_SENDING, numbers("stream", "code")),
    st.builds(fr.encode_crypto, st.integers(0, 3000), DATA),
    st.builds(stream_frame, st.integers(0, 30), INTEGERS.filter(lambda n: n < 1 << 61), DATA),
    st.builds(stream_frame, st.integers(0, 30), st.integers(0, 50), DATA, st.booleans()),
    typed(fr.MAX_DATA, numbers("limit")),
    typed(fr.MAX_STREAM_DATA, numbers("stream", "limit")),
    typed(fr.MAX_STREAMS_BIDI, numbers("count")),
    typed(fr.MAX_STREAMS_UNI, numbers("count")),
    typed(fr.STREAMS_BLOCKED_BIDI, numbers("count")),
    typed(fr.STREAM_DATA_BLOCKED, numbers("stream", "limit")),
    typed(fr.RETIRE_CONNECTION_ID, numbers("sequence")),
    typed(fr.ACK, numbers("largest", "delay", "count", "first", "gap", "length")),
    typed(fr.ACK_ECN, numbers("largest", "delay", "none", "first", "ect0", "ect1", "ce")),
    st.builds(
        fr.encode_new_connection_id,
        INTEGERS,
        INTEGERS,
        st.binary(min_size=1, max_size=20),
        st.binary(min_size=16, max_size=16),
    ),
    st.builds(fr.encode_path_data, st.just(fr.PATH_CHALLENGE), st.binary(min_size=8, max_size=8)),
    st.builds(fr.encode_path_data, st.just(fr.PATH_RESPONSE), st.binary(min_size=8, max_size=8)),
)


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """Frames that mean something, frames that were bent a little, and noise."""
    payload = b"".join(draw(st.lists(WELL_FORMED, min_size=1, max_size=6)))
    kind = draw(st.sampled_from(["as it is", "bent", "noise"]))
    if kind == "noise":
        return draw(st.binary(max_size=200))
    if kind == "bent":
        at = draw(st.integers(0, len(payload) - 1))
        payload = payload[:at] + bytes([draw(st.integers(0, 255))]) + payload[at + 1 :]
    return payload[:1100]


def ends_or_goes_on(world: World, streams: bool = True) -> None:
    """Typed end or life; in both cases it comes to rest."""
    world.settle()
    if world.terminated is not None:
        assert world.terminated.ending in TYPED
        assert world.terminated.reason
        sent = len(world.peer.datagrams)
        world.run_for(20.0)
        assert len(world.peer.datagrams) == sent, "nothing but one CONNECTION_CLOSE"
    elif streams:
        assert world.client.streams.open(True) >= -1
        world.run_for(3.0, steps=2000)


@THOROUGH
@given(st.lists(st.tuples(payloads(), st.integers(0, 1)), min_size=1, max_size=5))
@example([(fr.encode_integers(fr.RESET_STREAM, 0, 0, 0) * 2, 0)])
@example([(b"\x1e" * 3, 1)])
def test_arbitrary_frames_in_1_rtt_packets(sent: list[tuple[bytes, int]]) -> None:
    world = World().connect()
    assert world.client.streams.open(True) == 0
    assert world.client.streams.open(False) == 2
    world.client.streams.write(0, bytes(3000))
    world.client.streams.write(2, bytes(3000))
    world.client.streams.finish(2)
    path = world.client.add_path(("192.0.2.2", 50002), REMOTE)
    world.client.validate(path, world.now)
    world.settle()
    for payload, where in sent:
        world.peer.send(APPLICATION, payload, path=path if where else 0)
        world.run_for(3 * world.delay)
        if world.terminated is None:
            for stream_id in (0, 1, 3):
                use(world, stream_id)
    ends_or_goes_on(world)


def use(world: World, stream_id: int) -> None:
    """What a runtime does with a stream that it was told of."""
    streams = world.client.streams
    opened = {event.stream_id for event in world.seen(ev.StreamOpened)}
    if stream_id == 0 or stream_id in opened:
        read(world, stream_id)
        streams.reset_code(stream_id)
        streams.at_end(stream_id)


@THOROUGH
@given(st.sampled_from([INITIAL, HANDSHAKE]), st.lists(payloads(), min_size=1, max_size=3))
def test_arbitrary_frames_in_early_packets(space: int, sent: list[bytes]) -> None:
    world = World(ServerScript(send_crypto=False))
    world.run_until(lambda: world.peer.tls.output)
    if space == HANDSHAKE:
        world.peer.send_crypto(INITIAL, world.peer.tls.output.pop(0)[1])
        world.settle()
    for payload in sent:
        world.attack(payload, space)
    assert not world.seen(ev.HandshakeCompleted)
    ends_or_goes_on(world, streams=False)


@THOROUGH
@given(
    st.sampled_from(
        [
            "server_hello",
            "encrypted_extensions",
            "certificate",
            "certificate_verify",
            "finished",
        ]
    ),
    st.lists(mutations(), min_size=1, max_size=3),
)
def test_arbitrary_tls_messages_within_a_consistent_handshake(
    name: str, changes: list[Callable[[bytes], bytes]]
) -> None:
    """The server changes its mind before it hashes: only the client's own checks can object."""

    def rewrite(seen: str, data: bytes) -> bytes:
        if seen == name:
            for change in changes:
                data = change(data)
        return data

    world = World(ServerScript(tls=TlsScript(rewrite=rewrite)))
    try:
        world.run_for(3.0)
    except AssertionError as error:
        # the scripted server itself may be the one who cannot go on
        if "Finished does not verify" not in str(error):
            raise
        return
    if world.terminated is not None:
        assert world.terminated.ending in TYPED


@THOROUGH
@given(st.binary(max_size=120), st.booleans())
def test_12_arbitrary_transport_parameters(data: bytes, after_good_ones: bool) -> None:
    script = ServerScript(parameter_suffix=data)
    if not after_good_ones:
        script.tls.transport_parameters = data or None
    world = World(script)
    world.run_for(1.0)
    if world.terminated is not None:
        assert world.terminated.ending in TYPED
    elif not after_good_ones:
        pytest.fail("a server without the right connection IDs was accepted")


@THOROUGH
@given(st.binary(max_size=300), st.binary(min_size=4, max_size=40), st.booleans())
def test_15_arbitrary_post_handshake_messages(data: bytes, more: bytes, framed: bool) -> None:
    world = World().connect()
    if framed:
        data = b"\x04" + len(data).to_bytes(3, "big") + data
    world.peer.send_crypto(APPLICATION, data + more)
    ends_or_goes_on(world)
