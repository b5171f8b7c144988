"""A stream table and a peer of a few lines: what was sent comes as readable tuples."""

from typing import Any

import pytest

from tests.peer.packets import read_data_frame
from trioquic._protocol.builder import PacketBuilder
from trioquic._protocol.errors import BadPacketError
from trioquic._protocol.streams.config import StreamConfig
from trioquic._protocol.streams.receiving_part import ReceiveState
from trioquic._protocol.streams.sending_part import SendState
from trioquic._protocol.streams.table import StreamTable
from trioquic._protocol.token import Token
from trioquic._protocol.wire import frames
from trioquic._protocol.wire.transport_parameters import TransportParameters
from trioquic._protocol.wire.varint import Reader

Frame = tuple[Any, ...]
ROOM = 1200

NAMES = {
    frames.RESET_STREAM: "RESET_STREAM",
    frames.STOP_SENDING: "STOP_SENDING",
    frames.MAX_DATA: "MAX_DATA",
    frames.MAX_STREAM_DATA: "MAX_STREAM_DATA",
    frames.MAX_STREAMS_BIDI: "MAX_STREAMS_BIDI",
    frames.MAX_STREAMS_UNI: "MAX_STREAMS_UNI",
    frames.DATA_BLOCKED: "DATA_BLOCKED",
    frames.STREAM_DATA_BLOCKED: "STREAM_DATA_BLOCKED",
    frames.STREAMS_BLOCKED_BIDI: "STREAMS_BLOCKED_BIDI",
    frames.STREAMS_BLOCKED_UNI: "STREAMS_BLOCKED_UNI",
}


def limits(data: int = 1 << 20, stream: int = 1 << 20, streams: int = 100) -> TransportParameters:
    """What the peer allows."""
    return TransportParameters(
        initial_max_data=data,
        initial_max_stream_data_bidi_local=stream,
        initial_max_stream_data_bidi_remote=stream,
        initial_max_stream_data_uni=stream,
        initial_max_streams_bidi=streams,
        initial_max_streams_uni=streams,
    )


def config(data: int = 1 << 20, stream: int = 1 << 20, streams: int = 100) -> StreamConfig:
    """What we allow, with windows that do not tune themselves."""
    return StreamConfig(
        initial_max_data=data,
        initial_max_stream_data=stream,
        max_data_window=data,
        max_stream_window=stream,
        initial_max_streams_bidi=streams,
        initial_max_streams_uni=streams,
    )


def make(
    ours: StreamConfig | None = None, theirs: TransportParameters | None = None
) -> StreamTable:
    """A table after the handshake."""
    table = StreamTable(config() if ours is None else ours)
    table.apply_peer_limits(limits() if theirs is None else theirs)
    table.poll_events()
    return table


def parse(data: bytes) -> list[Frame]:
    """The frames of a packet as tuples: a name, then the fields."""
    reader = Reader(data)
    found: list[Frame] = []
    while reader.remaining:
        kind = reader.varint_untrusted()
        if frames.STREAM <= kind <= frames.STREAM + 7:
            found.append(("STREAM", *read_data_frame(kind, reader)))
        elif kind == frames.CRYPTO:
            found.append(("CRYPTO", *read_data_frame(kind, reader)))
        else:
            found.append((NAMES[kind], *frames.read_integers_untrusted(reader, kind)))
    return found


class Packet:
    """One packet that went out; it can arrive or be lost."""

    def __init__(self, builder: PacketBuilder) -> None:
        self.size = builder.size
        self.frames = parse(b"".join(builder.parts))
        self.tokens: list[Token] = builder.tokens

    def acked(self) -> None:
        """The packet has arrived."""
        for token in self.tokens:
            token.acked()

    def lost(self) -> None:
        """The packet is thought lost."""
        for token in self.tokens:
            token.lost()


def send(source: Any, room: int = ROOM) -> Packet:
    """One packet of a StreamTable or CryptoStream."""
    builder = PacketBuilder(room)
    source.write_frames(builder)
    assert builder.room >= 0
    assert builder.size <= room
    return Packet(builder)


def send_all(source: Any, room: int = ROOM) -> list[Packet]:
    """Packets until nothing is left to send. One that says so must have something."""
    packets: list[Packet] = []
    while source.has_pending():
        packets.append(send(source, room))
        assert packets[-1].frames, "has_pending, and then there was nothing"
        assert len(packets) < 100_000
    assert not send(source, room).frames, "something to send, and has_pending did not say so"
    return packets


def sent_frames(source: Any, room: int = ROOM) -> list[Frame]:
    """All frames there are to send."""
    return [frame for packet in send_all(source, room) for frame in packet.frames]


def refused(code: int) -> pytest.RaisesExc[BadPacketError]:
    """The peer's frame is refused with this error code."""
    return pytest.raises(BadPacketError, check=lambda error: error.code == code)


def send_state(table: StreamTable, number: int) -> SendState:
    """The state of the sending half, also of a stream that was reclaimed."""
    _stream, half = table._sender(number)
    if half is not None:
        return half.state
    stopped = table._inventory.codes(number)[1] is not None
    return SendState.RESET_RECVD if stopped else SendState.DATA_RECVD


def receive_state(table: StreamTable, number: int) -> ReceiveState:
    """The state of the receiving half, also of a stream that was reclaimed."""
    _stream, half = table._receiver(number)
    if half is not None:
        return half.state
    was_reset = table._inventory.codes(number)[0] is not None
    return ReceiveState.RESET_READ if was_reset else ReceiveState.DATA_READ


def buffered(table: StreamTable, number: int) -> int:
    """Bytes written and not yet acknowledged."""
    _stream, half = table._sender(number)
    return half.buffered if half is not None else 0
