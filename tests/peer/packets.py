"""Packets of the scripted peer: sealed with any header it likes, opened and taken apart.

Header protection is done here a second time, apart from the client's own code, because the peer
wants to write headers that a correct sender never writes (reserved bits, a forged key phase).
"""

from dataclasses import dataclass, field
from typing import Any

from tests.peer.wire import read_ack, read_integers
from trioquic._protocol.crypto.keys import PacketKeys
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.packets import decode_packet_number
from trioquic._protocol.wire.varint import Reader

INITIAL, HANDSHAKE, APPLICATION = 0, 1, 2
PROBING = frozenset({fr.PADDING, fr.PATH_CHALLENGE, fr.PATH_RESPONSE, fr.NEW_CONNECTION_ID})
NOT_ELICITING = frozenset(
    {fr.PADDING, fr.ACK, fr.ACK_ECN, fr.CONNECTION_CLOSE, fr.CONNECTION_CLOSE_APP}
)


@dataclass(frozen=True)
class Frame:
    """A frame the client sent: its type and what the decoder of that type returned."""

    kind: int
    value: Any = None


@dataclass(frozen=True)
class Packet:
    """A packet the client sent, opened."""

    now: float
    path: int
    space: int
    number: int
    dcid: bytes
    scid: bytes
    token: bytes
    first_byte: int  # without header protection
    generation: int  # of the 1-RTT keys that opened it
    datagram: int  # index into ScriptedServer.datagrams
    frames: tuple[Frame, ...]

    def has(self, *kinds: int) -> bool:
        return any(frame.kind in kinds for frame in self.frames)

    def all(self, *kinds: int) -> list[Any]:
        return [frame.value for frame in self.frames if frame.kind in kinds]

    @property
    def ack_eliciting(self) -> bool:
        return any(frame.kind not in NOT_ELICITING for frame in self.frames)

    @property
    def probing(self) -> bool:
        return all(frame.kind in PROBING for frame in self.frames)


@dataclass
class Datagram:
    """A datagram the client sent, with the packets that could be opened."""

    now: float
    path: int
    data: bytes
    ecn: int = 0  # the codepoint in the IP header
    packets: list[Packet] = field(default_factory=list)


STREAM_KINDS = frozenset(range(fr.STREAM, fr.STREAM + 8))
DATA_KINDS = frozenset((fr.CRYPTO, fr.NEW_TOKEN, fr.DATAGRAM, fr.DATAGRAM_WITH_LENGTH))
SIMPLE = {
    fr.NEW_CONNECTION_ID: fr.read_new_connection_id_untrusted,
    fr.PATH_CHALLENGE: fr.read_path_data_untrusted,
    fr.PATH_RESPONSE: fr.read_path_data_untrusted,
}


def read_data_frame(kind: int, reader: Reader) -> Any:
    """A frame with data by the parser that runs in the dispatcher: its fields, the data as bytes,
    and for STREAM whether it is the last. The reader stands behind it afterwards."""
    data, pos, end = reader.data, reader.pos, reader.end
    if kind == fr.CRYPTO:
        offset, start, reader.pos = fr.parse_crypto_untrusted(data, pos, end)
        return offset, data[start : reader.pos]
    if kind == fr.NEW_TOKEN:
        start, reader.pos = fr.parse_new_token_untrusted(data, pos, end)
        return data[start : reader.pos]
    if kind in (fr.DATAGRAM, fr.DATAGRAM_WITH_LENGTH):
        start, reader.pos = fr.parse_datagram_untrusted(data, kind, pos, end)
        return data[start : reader.pos]
    stream_id, offset, start, reader.pos = fr.parse_stream_untrusted(data, kind, pos, end)
    return stream_id, offset, data[start : reader.pos], kind & fr.STREAM_FIN_BIT != 0


def parse_frames(payload: bytes) -> tuple[Frame, ...]:
    """Every frame of a client's packet; a run of PADDING becomes one Frame with its length."""
    frames: list[Frame] = []
    reader = Reader(payload)
    while reader.remaining:
        kind = reader.varint_untrusted()
        if kind == fr.PADDING:
            start = reader.pos - 1
            while reader.remaining and payload[reader.pos] == 0:
                reader.pos += 1
            frames.append(Frame(kind, reader.pos - start))
        elif kind in (fr.PING, fr.HANDSHAKE_DONE):
            frames.append(Frame(kind))
        elif kind in (fr.ACK, fr.ACK_ECN):
            frames.append(Frame(kind, read_ack(reader, kind == fr.ACK_ECN)))
        elif kind in STREAM_KINDS:
            frames.append(Frame(fr.STREAM, read_data_frame(kind, reader)))
        elif fr.INTEGERS[kind]:
            frames.append(Frame(kind, read_integers(reader, kind)))
        elif kind in DATA_KINDS:
            frames.append(Frame(kind, read_data_frame(kind, reader)))
        elif kind in (fr.CONNECTION_CLOSE, fr.CONNECTION_CLOSE_APP):
            value = fr.read_connection_close_untrusted(reader, kind == fr.CONNECTION_CLOSE_APP)
            frames.append(Frame(kind, value))
        else:
            frames.append(Frame(kind, SIMPLE[kind](reader)))
    return tuple(frames)


def seal(
    keys: PacketKeys,
    header: bytes,
    pn_length: int,
    number: int,
    payload: bytes,
    mask_keys: PacketKeys | None = None,
) -> bytes:
    """A protected packet from a complete plain header that ends with the packet number."""
    sealed = keys.seal(number, header, payload)
    sample = sealed[4 - pn_length : 20 - pn_length]
    mask = (mask_keys or keys).masks(sample)
    packet = bytearray(header)
    packet[0] ^= mask[0] & (0x0F if header[0] & 0x80 else 0x1F)
    for i in range(pn_length):
        packet[len(header) - pn_length + i] ^= mask[1 + i]
    return bytes(packet) + sealed


def unmask(mask_keys: PacketKeys, packet: bytes, pn_offset: int) -> tuple[bytes, int]:
    """The plain header of a protected packet, and the length of its packet number."""
    mask = mask_keys.masks(packet[pn_offset + 4 : pn_offset + 20])
    first = packet[0] ^ (mask[0] & (0x0F if packet[0] & 0x80 else 0x1F))
    pn_length = (first & 3) + 1
    number = bytes(packet[pn_offset + i] ^ mask[1 + i] for i in range(pn_length))
    return bytes([first]) + packet[1:pn_offset] + number, pn_length


def number_from(header: bytes, pn_length: int, largest: int) -> int:
    truncated = int.from_bytes(header[-pn_length:], "big")
    return decode_packet_number(truncated, 8 * pn_length, largest)
