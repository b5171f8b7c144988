"""Each frame: a round trip, every truncation refused, its own rules, and mutated bytes."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.peer.packets import DATA_KINDS, read_data_frame
from tests.peer.wire import encode_new_token, read_ack, read_integers
from trioquic._protocol.errors import FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION, BadPacketError
from trioquic._protocol.wire import frames as f
from trioquic._protocol.wire.varint import MAX_VARINT, Reader, encode_varint

integers = st.integers(0, MAX_VARINT)
contents = st.binary(max_size=40)


def ack_ranges() -> st.SearchStrategy[list[tuple[int, int]]]:
    """Descending ranges with real gaps between them, from random steps."""
    steps = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=12)

    def build(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
        ranges: list[tuple[int, int]] = []
        bottom = 0
        for gap, length in pairs:
            low = bottom + gap
            ranges.append((low, low + length))
            bottom = low + length + 2
        return ranges[::-1]

    return steps.map(build)


def read(frame_type: int, reader: Reader) -> Any:
    """The decoded content, plainly comparable; None for a frame that has none."""
    if frame_type in (f.ACK, f.ACK_ECN):
        ack = read_ack(reader, frame_type == f.ACK_ECN)
        return ack.ranges, ack.delay, ack.ecn
    if f.STREAM <= frame_type <= f.STREAM | 7 or frame_type in DATA_KINDS:
        return read_data_frame(frame_type, reader)
    if frame_type in (f.CONNECTION_CLOSE, f.CONNECTION_CLOSE_APP):
        return f.read_connection_close_untrusted(reader, frame_type == f.CONNECTION_CLOSE_APP)
    if frame_type == f.NEW_CONNECTION_ID:
        new = f.read_new_connection_id_untrusted(reader)
        return new.sequence, new.retire_prior_to, new.connection_id, new.reset_token
    if frame_type < len(f.INTEGERS) and f.INTEGERS[frame_type]:
        return read_integers(reader, frame_type)
    decoder = DECODERS.get(frame_type)
    return decoder(reader) if decoder else None


DECODERS: dict[int, Callable[[Reader], Any]] = {
    f.PATH_CHALLENGE: f.read_path_data_untrusted,
    f.PATH_RESPONSE: f.read_path_data_untrusted,
}


@st.composite
def any_frame(draw: st.DrawFn) -> tuple[int, bytes, Any]:
    """A frame's type, the whole frame and what its decoder must return."""
    kinds = [*range(f.ACK, f.CONNECTION_CLOSE_APP + 1), f.DATAGRAM, f.DATAGRAM_WITH_LENGTH]
    kind = draw(st.sampled_from(kinds))
    a, b, c = draw(integers), draw(integers), draw(integers)
    data = draw(contents)
    if kind in (f.ACK, f.ACK_ECN):
        ranges = draw(ack_ranges())
        ecn = (a, b, c) if kind == f.ACK_ECN else None
        return kind, f.encode_ack(ranges, a, ecn), (ranges, a, ecn)
    if f.STREAM <= kind <= f.STREAM | 7:
        offset = b % (MAX_VARINT - 100) + 1 if kind & f.STREAM_OFFSET_BIT else 0
        fin = kind & f.STREAM_FIN_BIT != 0
        has_length = kind & f.STREAM_LENGTH_BIT != 0
        header = f.encode_stream_header(a, offset, len(data), fin, has_length)
        return kind, header + data, (a, offset, data, fin)
    stream_count = a % (f.MAX_STREAM_COUNT + 1)
    offset = a % (MAX_VARINT - 100)
    low, high = sorted((a, b))
    cid = draw(st.binary(min_size=1, max_size=20))
    token = draw(st.binary(min_size=16, max_size=16))
    cases: dict[int, tuple[bytes, Any]] = {
        f.RESET_STREAM: (f.encode_integers(f.RESET_STREAM, a, b, c), (a, b, c)),
        f.STOP_SENDING: (f.encode_integers(f.STOP_SENDING, a, b), (a, b)),
        f.CRYPTO: (f.encode_crypto(offset, data), (offset, data)),
        f.NEW_TOKEN: (encode_new_token(cid), cid),
        f.MAX_DATA: (f.encode_integers(f.MAX_DATA, a), a),
        f.MAX_STREAM_DATA: (f.encode_integers(f.MAX_STREAM_DATA, a, b), (a, b)),
        f.MAX_STREAMS_BIDI: (f.encode_integers(f.MAX_STREAMS_BIDI, stream_count), stream_count),
        f.MAX_STREAMS_UNI: (f.encode_integers(f.MAX_STREAMS_UNI, stream_count), stream_count),
        f.DATA_BLOCKED: (f.encode_integers(f.DATA_BLOCKED, a), a),
        f.STREAM_DATA_BLOCKED: (f.encode_integers(f.STREAM_DATA_BLOCKED, a, b), (a, b)),
        f.STREAMS_BLOCKED_BIDI: (
            f.encode_integers(f.STREAMS_BLOCKED_BIDI, stream_count),
            stream_count,
        ),
        f.STREAMS_BLOCKED_UNI: (
            f.encode_integers(f.STREAMS_BLOCKED_UNI, stream_count),
            stream_count,
        ),
        f.NEW_CONNECTION_ID: (
            f.encode_new_connection_id(high, low, cid, token),
            (high, low, cid, token),
        ),
        f.RETIRE_CONNECTION_ID: (f.encode_integers(f.RETIRE_CONNECTION_ID, a), a),
        f.PATH_CHALLENGE: (f.encode_path_data(f.PATH_CHALLENGE, token[:8]), token[:8]),
        f.PATH_RESPONSE: (f.encode_path_data(f.PATH_RESPONSE, token[:8]), token[:8]),
        f.DATAGRAM: (b"\x30" + data, data),
        f.DATAGRAM_WITH_LENGTH: (f.encode_datagram_header(len(data)) + data, data),
        f.CONNECTION_CLOSE: (f.encode_connection_close(a, b, data), (a, b, data)),
        f.CONNECTION_CLOSE_APP: (f.encode_connection_close(a, None, data), (a, None, data)),
    }
    frame, expected = cases[kind]
    return kind, frame, expected


def to_the_end(kind: int) -> bool:
    """Whether the frame's data reaches to the end of the packet."""
    return kind == f.DATAGRAM or (
        f.STREAM <= kind <= f.STREAM | 7 and not kind & f.STREAM_LENGTH_BIT
    )


@given(any_frame(), st.binary(max_size=20))
def test_round_trip(case: tuple[int, bytes, Any], after: bytes) -> None:
    kind, frame, expected = case
    if to_the_end(kind):
        after = b""
    reader = Reader(frame + after)
    assert reader.frame_type_untrusted() == kind
    assert read(kind, reader) == expected
    assert reader.rest() == after


@given(any_frame())
def test_every_truncation_is_a_frame_encoding_error(case: tuple[int, bytes, Any]) -> None:
    kind, frame, _ = case
    whole = Reader(frame)
    whole.frame_type_untrusted()
    # without a length a frame is complete wherever its data is cut
    needed = len(frame)
    if to_the_end(kind):
        content = read(kind, whole)
        needed -= len(content if kind == f.DATAGRAM else content[2])
    for cut in range(1, needed):
        reader = Reader(frame, end=cut)
        reader.frame_type_untrusted()
        with pytest.raises(BadPacketError) as caught:
            read(kind, reader)
        assert caught.value.code == FRAME_ENCODING_ERROR


def error_code(payload: bytes) -> int | None:
    """Read all frames of a packet; the code it is refused with, None if it is not."""
    reader = Reader(payload)
    try:
        while reader.remaining:
            before = reader.pos
            read(reader.frame_type_untrusted(), reader)
            assert before < reader.pos <= reader.end
    except BadPacketError as error:
        return error.code
    return None


@given(st.binary(max_size=120))
@example(b"\x02\x05\x00\xff")
def test_only_bad_packet_error_escapes_random_bytes(payload: bytes) -> None:
    assert error_code(payload) in (None, FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION)


@given(st.lists(any_frame(), min_size=1, max_size=4), st.data())
def test_only_bad_packet_error_escapes_mutated_frames(
    cases: list[tuple[int, bytes, Any]], data: st.DataObject
) -> None:
    payload = bytearray(b"".join([frame for _, frame, _ in cases]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at] = data.draw(st.integers(0, 255))
    assert error_code(bytes(payload)) in (None, FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION)


def refused(kind: int, content: bytes) -> str:
    with pytest.raises(BadPacketError) as caught:
        read(kind, Reader(content))
    assert caught.value.code == FRAME_ENCODING_ERROR
    return caught.value.reason


def varints(*values: int) -> bytes:
    return b"".join([encode_varint(value) for value in values])


def test_ack_ranges_may_touch_zero_but_not_go_below() -> None:
    ack = read_ack(Reader(varints(10, 0, 1, 3, 2, 3)), False)
    assert ack.ranges == [(7, 10), (0, 3)]
    assert "below packet number 0" in refused(f.ACK, varints(10, 0, 0, 11))
    assert "below packet number 0" in refused(f.ACK, varints(10, 0, 1, 3, 2, 4))
    assert "below packet number 0" in refused(f.ACK, varints(10, 0, 1, 3, 6, 0))
    assert "below packet number 0" in refused(f.ACK, varints(10, 0, 1, 3, MAX_VARINT, 0))


def test_an_ack_range_count_is_not_believed() -> None:
    """The announced count costs nothing: what follows must be able to hold it."""
    assert "announced" in refused(f.ACK, varints(10, 0, MAX_VARINT, 0) + bytes(100))
    assert "announced" in refused(f.ACK, varints(1000, 0, 51, 0) + bytes(101))


def test_ack_ranges_are_all_checked_but_only_256_are_kept() -> None:
    top = 10_000
    ack = read_ack(Reader(varints(top, 0, 600, 0) + bytes(1200)), False)
    assert ack.ranges == [(pn, pn) for pn in range(top, top - 512, -2)]
    late = varints(top, 0, 600, 0) + bytes(1198) + varints(0, top)
    assert "below packet number 0" in refused(f.ACK, late)


def test_stream_and_crypto_data_end_below_2_to_the_62() -> None:
    last = varints(0, MAX_VARINT - 3, 3) + b"abc"
    assert read(0x0E, Reader(last)) == (0, MAX_VARINT - 3, b"abc", False)
    assert "2^62" in refused(0x0E, varints(0, MAX_VARINT - 2, 3) + b"abc")
    assert "2^62" in refused(0x0C, varints(0, MAX_VARINT - 2) + b"abc")
    assert read(f.CRYPTO, Reader(last[1:])) == (MAX_VARINT - 3, b"abc")
    assert "2^62" in refused(f.CRYPTO, varints(MAX_VARINT - 2, 3) + b"abc")


def test_stream_counts_end_at_2_to_the_60() -> None:
    for kind in (
        f.MAX_STREAMS_BIDI,
        f.MAX_STREAMS_UNI,
        f.STREAMS_BLOCKED_BIDI,
        f.STREAMS_BLOCKED_UNI,
    ):
        assert read(kind, Reader(varints(1 << 60))) == 1 << 60
        assert "2^60" in refused(kind, varints((1 << 60) + 1))


def test_new_token_has_a_token() -> None:
    refused(f.NEW_TOKEN, b"\x00")


def test_new_connection_id_rules() -> None:
    token = bytes(16)
    assert "Retire Prior To" in refused(f.NEW_CONNECTION_ID, varints(3, 4) + b"\x04abcd" + token)
    assert "0 bytes" in refused(f.NEW_CONNECTION_ID, varints(3, 3) + b"\x00" + token)
    assert "21 bytes" in refused(f.NEW_CONNECTION_ID, varints(3, 3) + b"\x15" + bytes(21) + token)
    refused(f.NEW_CONNECTION_ID, varints(3, 3) + b"\x04abcd" + token[:15])


def test_frames_have_their_numbers() -> None:
    """Against the bytes of RFC 9000 table 3, not against our own decoder."""
    assert f.encode_ack([(0, 0)], 0, None) == b"\x02\0\0\0\0"
    assert f.encode_ack([(0, 0)], 0, (1, 2, 3)) == b"\x03\0\0\0\0\x01\x02\x03"
    assert f.encode_integers(f.RESET_STREAM, 1, 2, 3) == b"\x04\x01\x02\x03"
    assert f.encode_integers(f.STOP_SENDING, 1, 2) == b"\x05\x01\x02"
    assert f.encode_crypto(1, b"x") == b"\x06\x01\x01x"
    assert encode_new_token(b"x") == b"\x07\x01x"
    assert f.encode_stream_header(4, 0, 5, False, False) == b"\x08\x04"
    assert f.encode_stream_header(4, 0, 5, True) == b"\x0b\x04\x05"
    assert f.encode_stream_header(4, 1, 5, False) == b"\x0e\x04\x01\x05"
    assert f.encode_stream_header(4, 1, 5, True, False) == b"\x0d\x04\x01"
    assert f.encode_integers(f.MAX_DATA, 1) == b"\x10\x01"
    assert f.encode_integers(f.MAX_STREAM_DATA, 1, 2) == b"\x11\x01\x02"
    assert f.encode_integers(f.MAX_STREAMS_BIDI, 1) == b"\x12\x01"
    assert f.encode_integers(f.MAX_STREAMS_UNI, 1) == b"\x13\x01"
    assert f.encode_integers(f.DATA_BLOCKED, 1) == b"\x14\x01"
    assert f.encode_integers(f.STREAM_DATA_BLOCKED, 1, 2) == b"\x15\x01\x02"
    assert f.encode_integers(f.STREAMS_BLOCKED_BIDI, 1) == b"\x16\x01"
    assert f.encode_integers(f.STREAMS_BLOCKED_UNI, 1) == b"\x17\x01"
    assert f.encode_new_connection_id(2, 1, b"c", bytes(16)) == b"\x18\x02\x01\x01c" + bytes(16)
    assert f.encode_integers(f.RETIRE_CONNECTION_ID, 1) == b"\x19\x01"
    assert f.encode_path_data(f.PATH_CHALLENGE, b"12345678") == b"\x1a12345678"
    assert f.encode_path_data(f.PATH_RESPONSE, b"12345678") == b"\x1b12345678"
    assert f.encode_connection_close(1, 2, b"r") == b"\x1c\x01\x02\x01r"
    assert f.encode_connection_close(1, None, b"r") == b"\x1d\x01\x01r"
    assert (f.PADDING, f.PING, f.HANDSHAKE_DONE) == (0, 1, 0x1E)
