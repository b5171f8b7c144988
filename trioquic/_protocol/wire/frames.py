"""The frames of RFC 9000 section 19: an encoder and a decoder for each form, no state.

An encoder returns the whole frame with its type, or (of frames with data) all that comes before the
data, which the caller appends without copying it twice. A decoder gets a Reader that stands behind
the type; those of frequent frames and of frames with data (`parse_...`) work on positions, and tell
where the data is instead of copying it. Decoders check what can be judged from the frame alone and
raise FRAME_ENCODING_ERROR for it; they do not know at which frame the packet's reader started, so
the dispatcher fills in `BadPacketError.frame_type`.
"""

from dataclasses import dataclass, field
from typing import Final

from ..errors import FRAME_ENCODING_ERROR, BadPacketError
from .packets import MAX_CONNECTION_ID_LENGTH
from .varint import MAX_VARINT, ONE_BYTE, Reader, decode_varint_untrusted, encode_varint

PADDING: Final = 0x00
PING: Final = 0x01
ACK: Final = 0x02
ACK_ECN: Final = 0x03
RESET_STREAM: Final = 0x04
STOP_SENDING: Final = 0x05
CRYPTO: Final = 0x06
NEW_TOKEN: Final = 0x07
STREAM: Final = 0x08  # to 0x0f: with the three bits below
MAX_DATA: Final = 0x10
MAX_STREAM_DATA: Final = 0x11
MAX_STREAMS_BIDI: Final = 0x12
MAX_STREAMS_UNI: Final = 0x13
DATA_BLOCKED: Final = 0x14
STREAM_DATA_BLOCKED: Final = 0x15
STREAMS_BLOCKED_BIDI: Final = 0x16
STREAMS_BLOCKED_UNI: Final = 0x17
NEW_CONNECTION_ID: Final = 0x18
RETIRE_CONNECTION_ID: Final = 0x19
PATH_CHALLENGE: Final = 0x1A
PATH_RESPONSE: Final = 0x1B
CONNECTION_CLOSE: Final = 0x1C
CONNECTION_CLOSE_APP: Final = 0x1D
HANDSHAKE_DONE: Final = 0x1E
DATAGRAM: Final = 0x30  # RFC 9221 section 4
DATAGRAM_WITH_LENGTH: Final = 0x31

# the frames with a number of streams
OF_STREAMS: Final = (MAX_STREAMS_BIDI, MAX_STREAMS_UNI, STREAMS_BLOCKED_BIDI, STREAMS_BLOCKED_UNI)

STREAM_FIN_BIT: Final = 0x01
STREAM_LENGTH_BIT: Final = 0x02
STREAM_OFFSET_BIT: Final = 0x04

# RFC 9000 section 4.6: more streams than this could not be numbered
MAX_STREAM_COUNT: Final = 1 << 60
RESET_TOKEN_LENGTH: Final = 16
PATH_DATA_LENGTH: Final = 8
# What an honest peer would never exceed; more ranges are checked but not remembered.
MAX_ACK_RANGES: Final = 256


class AckFrame:
    """`ranges`: (lowest, highest) packet numbers, both inclusive, highest range first."""

    __slots__ = ("delay", "ecn", "largest", "ranges")

    def __init__(
        self,
        largest: int,
        delay: int,
        ranges: list[tuple[int, int]],
        ecn: tuple[int, int, int] | None,
    ) -> None:
        self.largest = largest
        # as on the wire: in units of the sender's ack_delay_exponent
        self.delay = delay
        self.ranges = ranges
        # ECT(0), ECT(1) and CE counts
        self.ecn = ecn


@dataclass(slots=True, eq=False)
class NewConnectionId:
    """One connection ID of the peer, with the token of a stateless reset that belongs to it."""

    sequence: int
    retire_prior_to: int
    connection_id: bytes
    # who knows it can end the connection; empty: there is none
    reset_token: bytes = field(repr=False)


# ACK (19.3)


def encode_ack(
    ranges: list[tuple[int, int]],
    delay: int,
    ecn: tuple[int, int, int] | None,
    least: int = 0,
) -> bytes:
    """`ranges` as in AckFrame: inclusive, highest first, with gaps between them. A frame that would
    have fewer than `least` bytes becomes seven bytes longer, in the field of the delay."""
    smallest, largest = ranges[0]
    parts = [
        b"\x02" if ecn is None else b"\x03",
        encode_varint(largest),
        encode_varint(delay),
        encode_varint(len(ranges) - 1),
        encode_varint(largest - smallest),
    ]
    for index in range(1, len(ranges)):
        low, high = ranges[index]
        parts.append(encode_varint(smallest - high - 2))
        parts.append(encode_varint(high - low))
        smallest = low
    if ecn is not None:
        for count in ecn:
            parts.append(encode_varint(count))
    frame = b"".join(parts)
    if len(frame) < least:
        # section 16: only frame types need the shortest encoding
        parts[2] = (delay | 3 << 62).to_bytes(8, "big")
        frame = b"".join(parts)
    return frame


def parse_ack_untrusted(data: bytes, pos: int, end: int, with_ecn: bool) -> tuple[AckFrame, int]:
    """The frame, and the position after it. Work is linear in the bytes read: every range takes at
    least two of them. One byte for each number is by far the most frequent."""
    largest, pos = decode_varint_untrusted(data, pos, end)
    delay, pos = decode_varint_untrusted(data, pos, end)
    if pos + 1 < end and data[pos] < 0x40 and data[pos + 1] < 0x40:
        count = data[pos]
        length = data[pos + 1]
        pos += 2
    else:
        count, pos = decode_varint_untrusted(data, pos, end)
        length, pos = decode_varint_untrusted(data, pos, end)
    if count > (end - pos) >> 1:
        raise _bad("more ACK ranges announced than the packet can hold")
    low = largest - length
    if low < 0:
        raise _bad("ACK range below packet number 0")
    ranges = [(low, largest)]
    for index in range(count):
        if pos + 1 < end and data[pos] < 0x40 and data[pos + 1] < 0x40:
            gap = data[pos]
            length = data[pos + 1]
            pos += 2
        else:
            gap, pos = decode_varint_untrusted(data, pos, end)
            length, pos = decode_varint_untrusted(data, pos, end)
        high = low - gap - 2
        low = high - length
        if low < 0:
            raise _bad("ACK range below packet number 0")
        if index < MAX_ACK_RANGES - 1:
            ranges.append((low, high))
    ecn: tuple[int, int, int] | None = None
    if with_ecn:
        ect0, pos = decode_varint_untrusted(data, pos, end)
        ect1, pos = decode_varint_untrusted(data, pos, end)
        ce, pos = decode_varint_untrusted(data, pos, end)
        ecn = (ect0, ect1, ce)
    return AckFrame(largest, delay, ranges, ecn), pos


def _bad(reason: str) -> BadPacketError:
    return BadPacketError(FRAME_ENCODING_ERROR, reason)


# Frames that are made of integers: RESET_STREAM and STOP_SENDING (19.4, 19.5), flow control and its
# blocked frames (19.9 to 19.14), RETIRE_CONNECTION_ID (19.16)


def _integer_table() -> bytes:
    """By frame type, how many integers the frame is made of; 0 for all that are made otherwise."""
    table = bytearray(256)
    table[RESET_STREAM] = 3
    for kind in (STOP_SENDING, MAX_STREAM_DATA, STREAM_DATA_BLOCKED):
        table[kind] = 2
    for kind in (MAX_DATA, DATA_BLOCKED, RETIRE_CONNECTION_ID, *OF_STREAMS):
        table[kind] = 1
    return bytes(table)


INTEGERS: Final = _integer_table()


def encode_integers(kind: int, *values: int) -> bytes:
    """A frame that is made of integers only, in the order of section 19."""
    return ONE_BYTE[kind] + b"".join([encode_varint(value) for value in values])


def read_integers_untrusted(reader: Reader, kind: int) -> tuple[int, ...]:
    """The integers of such a frame."""
    values = tuple([reader.varint_untrusted() for _ in range(INTEGERS[kind])])
    if kind in OF_STREAMS and values[0] > MAX_STREAM_COUNT:
        raise reader.bad("a number of streams beyond 2^60")
    return values


# CRYPTO (19.6), NEW_TOKEN (19.7)


def encode_crypto(offset: int, data: bytes) -> bytes:
    return b"\x06" + encode_varint(offset) + encode_varint(len(data)) + data


def parse_crypto_untrusted(data: bytes, pos: int, end: int) -> tuple[int, int, int]:
    """(offset, where the data begins and ends)"""
    offset, pos = decode_varint_untrusted(data, pos, end)
    size, pos = decode_varint_untrusted(data, pos, end)
    stop = pos + size
    if stop > end:
        raise _bad("CRYPTO frame is cut short")
    if offset + size > MAX_VARINT:
        raise _bad("CRYPTO data beyond offset 2^62-1")
    return offset, pos, stop


def parse_new_token_untrusted(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Where the token begins and ends."""
    size, pos = decode_varint_untrusted(data, pos, end)
    stop = pos + size
    if stop > end:
        raise _bad("NEW_TOKEN frame is cut short")
    if not size:
        raise _bad("NEW_TOKEN without a token")
    return pos, stop


# STREAM (19.8)


def encode_stream_header(
    stream_id: int, offset: int, length: int, fin: bool, has_length: bool = True
) -> bytes:
    """Everything before the data. Without a length the data reaches to the packet's end."""
    bits = STREAM_FIN_BIT if fin else 0
    fields = encode_varint(stream_id)
    if offset:
        bits |= STREAM_OFFSET_BIT
        fields += encode_varint(offset)
    if has_length:
        bits |= STREAM_LENGTH_BIT
        fields += encode_varint(length)
    return ONE_BYTE[STREAM | bits] + fields


def parse_stream_untrusted(
    data: bytes, frame_type: int, pos: int, end: int
) -> tuple[int, int, int, int]:
    """(stream_id, offset, where the data begins and ends). The lengths of integers that are most
    frequent in each place are spelled out."""
    if pos < end and data[pos] < 0x40:
        stream_id = data[pos]
        pos += 1
    else:
        stream_id, pos = decode_varint_untrusted(data, pos, end)
    offset = 0
    if frame_type & STREAM_OFFSET_BIT:
        first = data[pos] if pos < end else 0
        if 0x40 <= first < 0x80 and pos + 1 < end:
            offset = (first & 0x3F) << 8 | data[pos + 1]
            pos += 2
        elif 0x80 <= first < 0xC0 and pos + 3 < end:
            offset = (first & 0x3F) << 24 | data[pos + 1] << 16
            offset |= data[pos + 2] << 8 | data[pos + 3]
            pos += 4
        else:
            offset, pos = decode_varint_untrusted(data, pos, end)
    stop = end
    if frame_type & STREAM_LENGTH_BIT:
        if pos < end and data[pos] < 0x40:
            length = data[pos]
            pos += 1
        else:
            length, pos = decode_varint_untrusted(data, pos, end)
        stop = pos + length
        if stop > end:
            raise _bad("STREAM frame is cut short")
    if offset + (stop - pos) > MAX_VARINT:
        raise _bad("STREAM data beyond offset 2^62-1")
    return stream_id, offset, pos, stop


# NEW_CONNECTION_ID (19.15)


def encode_new_connection_id(
    sequence: int, retire_prior_to: int, connection_id: bytes, reset_token: bytes
) -> bytes:
    return b"\x18%b%b%c%b%b" % (
        encode_varint(sequence),
        encode_varint(retire_prior_to),
        len(connection_id),
        connection_id,
        reset_token,
    )


def read_new_connection_id_untrusted(reader: Reader) -> NewConnectionId:
    sequence = reader.varint_untrusted()
    retire_prior_to = reader.varint_untrusted()
    if retire_prior_to > sequence:
        raise reader.bad("Retire Prior To is larger than the sequence number")
    length = reader.u8_untrusted()
    if not 1 <= length <= MAX_CONNECTION_ID_LENGTH:
        raise reader.bad(f"connection ID of {length} bytes")
    connection_id = reader.take_untrusted(length)
    reset_token = reader.take_untrusted(RESET_TOKEN_LENGTH)
    return NewConnectionId(sequence, retire_prior_to, connection_id, reset_token)


# Path validation (19.17, 19.18)


def encode_path_data(kind: int, data: bytes) -> bytes:
    return ONE_BYTE[kind] + data


def read_path_data_untrusted(reader: Reader) -> bytes:
    """Of either of them."""
    return reader.take_untrusted(PATH_DATA_LENGTH)


# CONNECTION_CLOSE (19.19)


def encode_connection_close(code: int, frame_type: int | None, reason: bytes) -> bytes:
    """With a frame type it is the transport's close (0x1c), with None the application's (0x1d)."""
    tail = encode_varint(len(reason)) + reason
    if frame_type is None:
        return b"\x1d" + encode_varint(code) + tail
    return b"\x1c" + encode_varint(code) + encode_varint(frame_type) + tail


def read_connection_close_untrusted(
    reader: Reader, application: bool
) -> tuple[int, int | None, bytes]:
    """(error code, the frame type that caused it or None, reason)"""
    code = reader.varint_untrusted()
    frame_type: int | None = None
    if not application:
        frame_type = reader.varint_untrusted()
    return code, frame_type, reader.take_untrusted(reader.varint_untrusted())


# DATAGRAM (RFC 9221 section 4)


def encode_datagram_header(size: int) -> bytes:
    """What comes before a datagram of this size; two bytes of length also where one would do, so
    that the overhead is known beforehand."""
    if size < 1 << 14:
        return b"\x31" + (size | 0x4000).to_bytes(2, "big")
    return b"\x31" + encode_varint(size)


def parse_datagram_untrusted(data: bytes, frame_type: int, pos: int, end: int) -> tuple[int, int]:
    """Where the datagram begins and ends; without a length it reaches to the packet's end."""
    if frame_type != DATAGRAM_WITH_LENGTH:
        return pos, end
    if pos < end and data[pos] < 0x40:
        size = data[pos]
        pos += 1
    else:
        size, pos = decode_varint_untrusted(data, pos, end)
    if pos + size > end:
        raise _bad("DATAGRAM frame is cut short")
    return pos, pos + size
