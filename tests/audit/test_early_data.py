"""Early data in the core, against a server that cannot read it: it has never heard of the ticket.

So everything is rejected, and must arrive once and whole under the server's own limits. What a
server does that takes it is in tests/runtime/test_early_data.py and tests/real/test_early_data.py.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer.certificates import WALL_TIME, identity
from tests.peer.packets import Frame, parse_frames
from tests.peer.script import STREAMS_BIDI, ServerScript
from tests.peer.tls_server import P256, TlsScript
from tests.peer.world import World
from trioquic._protocol import events as ev
from trioquic._protocol.connection import ClientConnection
from trioquic._protocol.errors import PROTOCOL_VIOLATION
from trioquic._protocol.space import APPLICATION, INITIAL, ZERO_RTT
from trioquic._protocol.tls.resumption import Resumption
from trioquic._protocol.tls.state import EarlyData
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.transport_parameters import (
    TransportParameters,
    encode_transport_parameters,
)
from trioquic._protocol.wire.varint import encode_varint

DATA = bytes(range(256)) * 20
# RFC 9000 section 12.5, table 3, without what we have no use for
ALLOWED = {
    fr.PADDING,
    fr.PING,
    fr.RESET_STREAM,
    fr.STOP_SENDING,
    fr.STREAM,
    fr.DATA_BLOCKED,
    fr.STREAM_DATA_BLOCKED,
    fr.STREAMS_BLOCKED_BIDI,
    fr.STREAMS_BLOCKED_UNI,
}


class Watch:
    """Remembers the packets that were sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, int, int, tuple[Frame, ...]]] = []

    def packet_sent(
        self, now: float, path_id: int, space: int, number: int, size: int, payload: bytes
    ) -> None:
        self.sent.append((now, space, number, parse_frames(payload)))

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None

    def early(self) -> list[tuple[float, int, tuple[Frame, ...]]]:
        return [(now, n, frames) for now, space, n, frames in self.sent if space == ZERO_RTT]


def ticket(**limits: int) -> Resumption:
    """Of an earlier connection, which was allowed this much."""
    kept = TransportParameters(
        **{
            "initial_max_data": 1 << 20,
            "initial_max_stream_data_bidi_remote": 1 << 18,
            "initial_max_stream_data_uni": 1 << 18,
            "initial_max_streams_bidi": 100,
            "initial_max_streams_uni": 100,
            **limits,
        }  # type: ignore[arg-type]
    )
    return Resumption(
        ticket=b"t" * 32,
        secret=b"s" * 32,
        cipher_suite=0x1301,
        age_add=1,
        issued_at=WALL_TIME.timestamp() - 10,
        expires_at=WALL_TIME.timestamp() + 3600,
        alpn="test",
        peer_certificates=tuple(identity().chain),
        transport_parameters=encode_transport_parameters(kept, None),
        early_data=True,
    )


def world(script: ServerScript | None = None, **limits: int) -> tuple[World, Watch]:
    watch = Watch()
    made: Any = watch
    return World(script, early=ticket(**limits), observer=made), watch


def upload(client: ClientConnection, data: bytes = DATA) -> int:
    stream = client.streams.open(True)
    assert stream >= 0
    assert client.streams.write(stream, data) == len(data)
    client.streams.finish(stream)
    return stream


def outcome(w: World) -> EarlyData:
    [event] = w.seen(ev.HandshakeCompleted)
    return event.early_data


@pytest.mark.parametrize("retry_group", [None, P256])
def test_what_was_rejected_arrives_once(retry_group: int | None) -> None:
    w, watch = world(ServerScript(tls=TlsScript(retry_group=retry_group)))
    assert w.client.sends_early_data
    stream = upload(w.client)
    w.connect()
    assert outcome(w) is EarlyData.REJECTED
    assert w.peer.streams[stream] == DATA
    assert w.client.streams.all_acked(stream)
    early = watch.early()
    carried = sum(len(f.value[2]) for _, _, frames in early for f in frames if f.kind == fr.STREAM)
    assert carried == len(DATA)
    # nothing of the kind after the server's first word
    answered = next(d.now for d in w.peer.datagrams) + w.delay
    assert max(now for now, _, _ in early) < answered
    # section 12.3: one sequence of numbers
    numbers = [number for _, space, number, _ in watch.sent if space in (ZERO_RTT, APPLICATION)]
    assert numbers == sorted(set(numbers))


def test_nothing_else_is_sent_early() -> None:
    w, watch = world(initial_max_data=6000, initial_max_stream_data_bidi_remote=2000)
    for _ in range(4):
        upload(w.client)
    w.client.streams.stop_sending(0, 5)
    w.client.streams.reset(4, 6)
    w.run_until(lambda: w.client.handshake_complete)
    kinds = {frame.kind for _, _, frames in watch.early() for frame in frames}
    assert kinds <= ALLOWED
    assert {fr.STREAM, fr.STOP_SENDING, fr.RESET_STREAM, fr.STREAM_DATA_BLOCKED} <= kinds


def test_what_was_given_up_early_is_given_up_again() -> None:
    """The server knows neither stream, so nothing of the reset one counts (section 4.5)."""
    w, _ = world()
    reset, stopped = upload(w.client), upload(w.client)
    w.flush()
    w.client.streams.reset(reset, 7)
    w.client.streams.stop_sending(stopped, 8)
    w.connect()
    frames = [f for p in w.peer.packets if p.space == APPLICATION for f in p.frames]
    assert [f.value for f in frames if f.kind == fr.RESET_STREAM] == [(reset, 7, 0)]
    assert [f.value for f in frames if f.kind == fr.STOP_SENDING] == [(stopped, 8)]
    assert w.peer.streams[stopped] == DATA
    assert w.peer.streams[reset] == b""


def test_streams_beyond_the_new_limit_wait_for_it() -> None:
    w, _ = world(ServerScript(parameters={STREAMS_BIDI: encode_varint(2)}))
    streams = [upload(w.client) for _ in range(4)]
    w.flush()
    w.client.streams.reset(streams[3], 9)
    w.connect()
    assert w.client.streams.openable(True) == 0
    assert w.client.streams.open(True) == -1
    assert [bytes(w.peer.streams[s]) for s in streams] == [DATA, DATA, b"", b""]
    # section 4.6: the peer is told what is missing
    assert 2 in [f for p in w.peer.packets for f in p.all(fr.STREAMS_BLOCKED_BIDI)]
    w.attack(fr.encode_integers(fr.MAX_STREAMS_BIDI, 3))
    assert w.peer.streams[streams[2]] == DATA
    assert not any(p.has(fr.RESET_STREAM) for p in w.peer.packets)
    w.attack(fr.encode_integers(fr.MAX_STREAMS_BIDI, 5))
    [given_up] = [f for p in w.peer.packets for f in p.all(fr.RESET_STREAM)]
    assert given_up == (streams[3], 9, 0)
    assert w.client.streams.openable(True) == 1


@pytest.mark.parametrize("place", [0, -1])
def test_nobody_can_acknowledge_what_was_rejected(place: int) -> None:
    """RFC 9001 section 4.6.2: who cannot read it has not received it."""
    w, watch = world(ServerScript(acknowledge=False))
    stream = upload(w.client)
    w.run_until(lambda: w.client.handshake_complete)
    number = [number for _, number, _ in watch.early()][place]
    w.attack(fr.encode_ack([(number, number)], 0, None))
    assert not w.client.streams.all_acked(stream)
    assert w.terminated is not None
    assert w.terminated.code == PROTOCOL_VIOLATION
    assert "0-RTT" in w.terminated.reason


def test_a_probe_repeats_it_with_the_client_hello() -> None:
    w, watch = world()
    upload(w.client, b"again")
    w.cut.add(0)
    w.run_for(1.5)
    repeated = [
        frames for _, _, frames in watch.early() if any(f.kind == fr.STREAM for f in frames)
    ]
    assert len(repeated) >= 2
    w.cut.clear()
    w.connect()
    assert w.peer.streams[0] == b"again"


def test_after_a_retry_it_goes_to_the_new_id() -> None:
    """RFC 9000 section 17.2.5.3: again, with the same keys, and with new numbers."""
    w, watch = world(ServerScript(retry=True))
    upload(w.client)
    w.connect()
    early = [raw for _, raw in w.peer.undecryptable if raw[0] & 0xF0 == 0xD0]
    ids = [raw[6 : 6 + raw[5]] for raw in early]
    assert ids[0] == w.peer.original_dcid
    assert w.peer.script.retry_cid in ids
    numbers = [number for _, number, _ in watch.early()]
    assert numbers == sorted(set(numbers))
    assert w.peer.streams[0] == DATA


def test_limits_are_those_of_the_ticket() -> None:
    w, watch = world(initial_max_streams_bidi=2, initial_max_data=3000)
    assert w.client.streams.openable(True) == 2
    upload(w.client)
    upload(w.client)
    assert w.client.streams.open(True) == -1
    w.flush()
    sent = sum(len(f.value[2]) for _, _, fs in watch.early() for f in fs if f.kind == fr.STREAM)
    assert sent == 3000
    w.connect()
    assert [bytes(w.peer.streams[s]) for s in (0, 4)] == [DATA, DATA]


@pytest.mark.parametrize("kept", [b"\x04", b"\x04\x08abc", b"\x03\x01\x01"])
def test_parameters_that_cannot_be_read_are_as_none(kept: bytes) -> None:
    w = World(early=dataclasses.replace(ticket(), transport_parameters=kept))
    assert not w.client.sends_early_data
    w.connect()
    assert outcome(w) is EarlyData.NONE


def test_closing_before_the_server_has_answered() -> None:
    w, _ = world()
    upload(w.client)
    w.client.close(3, "changed my mind", True, w.now)
    w.run_for(0.1)
    assert w.terminated is not None
    assert w.peer.close_packet is not None
    assert w.peer.close_packet.space == INITIAL
    assert w.peer.streams == {}
