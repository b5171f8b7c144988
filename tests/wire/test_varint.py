"""Variable-length integers and the cursor: exact sizes, exact ends, nothing but BadPacketError."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioquic._protocol.errors import (
    FRAME_ENCODING_ERROR,
    PROTOCOL_VIOLATION,
    TRANSPORT_PARAMETER_ERROR,
    BadPacketError,
)
from trioquic._protocol.wire.varint import (
    MAX_VARINT,
    Reader,
    decode_varint_untrusted,
    encode_varint,
    varint_size,
)

EDGES = [
    (0, 1),
    (0x3F, 1),
    (0x40, 2),
    (0x3FFF, 2),
    (0x4000, 4),
    (0x3FFFFFFF, 4),
    (0x40000000, 8),
    (MAX_VARINT, 8),
]


@pytest.mark.parametrize(("value", "size"), EDGES)
def test_sizes_change_where_the_rfc_says(value: int, size: int) -> None:
    assert len(encode_varint(value)) == size == varint_size(value)


@pytest.mark.parametrize("value", [-1, MAX_VARINT + 1, 1 << 64])
def test_what_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(ValueError):
        encode_varint(value)


@given(st.integers(0, MAX_VARINT), st.binary(max_size=4), st.binary(max_size=4))
def test_round_trip(value: int, before: bytes, after: bytes) -> None:
    encoded = encode_varint(value)
    data = before + encoded + after
    stop = len(before) + len(encoded)
    assert decode_varint_untrusted(data, len(before), len(data)) == (value, stop)
    reader = Reader(data, start=len(before))
    assert reader.varint_untrusted() == value
    assert reader.rest() == after


@given(st.integers(0, MAX_VARINT), st.binary(max_size=8))
def test_a_cut_integer_is_never_completed_from_behind_the_end(value: int, after: bytes) -> None:
    encoded = encode_varint(value)
    for cut in range(len(encoded)):
        with pytest.raises(BadPacketError) as caught:
            decode_varint_untrusted(encoded + after, 0, cut)
        assert caught.value.code == FRAME_ENCODING_ERROR
        with pytest.raises(BadPacketError) as caught:
            Reader(encoded + after, TRANSPORT_PARAMETER_ERROR, 0, cut).varint_untrusted()
        assert caught.value.code == TRANSPORT_PARAMETER_ERROR


@given(st.binary(max_size=12))
@example(b"\xc0")
def test_both_decoders_agree_on_any_bytes(data: bytes) -> None:
    try:
        expected = decode_varint_untrusted(data, 0, len(data))
    except BadPacketError:
        with pytest.raises(BadPacketError):
            Reader(data).varint_untrusted()
    else:
        reader = Reader(data)
        assert (reader.varint_untrusted(), reader.pos) == expected


def test_reader_takes_fixed_sizes() -> None:
    reader = Reader(bytes(range(1, 12)))
    assert reader.u8_untrusted() == 1
    assert reader.take_untrusted(2) == b"\x02\x03"
    assert reader.u32_untrusted() == 0x04050607
    assert reader.take_untrusted(2) == b"\x08\x09"
    assert reader.remaining == 2
    assert reader.rest() == b"\x0a\x0b"
    assert reader.rest() == b""
    assert reader.take_untrusted(0) == b""


READS: list[tuple[int, Callable[[Reader], object]]] = [
    (1, Reader.u8_untrusted),
    (2, lambda reader: reader.take_untrusted(2)),
    (4, Reader.u32_untrusted),
    (3, lambda reader: reader.take_untrusted(3)),
    (9, lambda reader: reader.take_untrusted(MAX_VARINT)),
    (9, lambda reader: reader.take_untrusted(-1)),
]


@pytest.mark.parametrize(("needed", "read"), READS)
def test_reader_does_not_read_over_its_end(needed: int, read: Callable[[Reader], object]) -> None:
    data = bytes(8)
    for end in range(min(needed, 8)):
        reader = Reader(data, end=end)
        with pytest.raises(BadPacketError):
            read(reader)
        assert reader.pos == 0
    if needed <= 8:
        read(Reader(data, end=needed))


def test_a_frame_type_has_its_shortest_encoding() -> None:
    assert Reader(b"\x1e").frame_type_untrusted() == 0x1E
    assert Reader(b"\x40\x40").frame_type_untrusted() == 0x40
    for padded in ("401e", "8000001e", "c00000000000001e"):
        with pytest.raises(BadPacketError) as caught:
            Reader(bytes.fromhex(padded)).frame_type_untrusted()
        assert caught.value.code == PROTOCOL_VIOLATION
        assert caught.value.frame_type == 0x1E
