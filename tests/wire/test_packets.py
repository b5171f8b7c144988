"""Packet headers: what we write is read back, what is malformed is dropped, numbers expand."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.peer.wire import encode_retry, encode_version_negotiation
from trioquic._protocol.errors import BadPacketError
from trioquic._protocol.wire.packets import (
    HANDSHAKE_PACKET,
    INITIAL_PACKET,
    RETRY_PACKET,
    UNKNOWN_VERSION_PACKET,
    VERSION_NEGOTIATION_PACKET,
    ZERO_RTT_PACKET,
    decode_packet_number,
    encode_long_header,
    encode_short_header,
    packet_number_length,
    parse_long_header_untrusted,
)
from trioquic._protocol.wire.versions import SPOKEN

connection_ids = st.binary(max_size=20)
packet_numbers = st.integers(0, (1 << 62) - 1)


@given(
    st.sampled_from([INITIAL_PACKET, ZERO_RTT_PACKET, HANDSHAKE_PACKET]),
    connection_ids,
    connection_ids,
    st.binary(max_size=100),
    packet_numbers,
    st.integers(1, 4),
    st.binary(max_size=300),
    st.binary(max_size=30),
    st.sampled_from(SPOKEN),
)
def test_long_headers_round_trip_between_other_packets(
    kind: int,
    dcid: bytes,
    scid: bytes,
    token: bytes,
    pn: int,
    pn_length: int,
    payload: bytes,
    others: bytes,
    version: int,
) -> None:
    header = encode_long_header(kind, dcid, scid, token, pn, pn_length, len(payload), version)
    packet = header + payload + bytes(16)
    parsed = parse_long_header_untrusted(others + packet + others, len(others))
    assert (parsed.kind, parsed.version) == (kind, version)
    assert (parsed.dcid, parsed.scid) == (dcid, scid)
    assert parsed.token == (token if kind == INITIAL_PACKET else b"")
    assert parsed.start == len(others)
    assert parsed.pn_offset == parsed.start + len(header) - pn_length
    assert parsed.end == parsed.start + len(packet)
    assert header[0] & 0x0F == pn_length - 1
    assert header[-pn_length:] == (pn % (1 << 8 * pn_length)).to_bytes(pn_length, "big")


@given(connection_ids, packet_numbers, st.integers(1, 4), st.integers(0, 1), st.integers(0, 1))
def test_short_headers(dcid: bytes, pn: int, pn_length: int, phase: int, spin: int) -> None:
    header = encode_short_header(dcid, pn, pn_length, phase, spin)
    assert header[0] == 0x40 | spin << 5 | phase << 2 | pn_length - 1
    assert header[1:-pn_length] == dcid
    assert header[-pn_length:] == (pn % (1 << 8 * pn_length)).to_bytes(pn_length, "big")


def test_a_packet_that_is_too_long_for_its_length_field() -> None:
    encode_long_header(INITIAL_PACKET, b"", b"", b"", 0, 4, 0x3FFF - 20)
    with pytest.raises(ValueError):
        encode_long_header(INITIAL_PACKET, b"", b"", b"", 0, 4, 0x3FFF - 19)


@given(connection_ids, connection_ids, st.binary(min_size=1, max_size=60), st.binary())
def test_retry_round_trip(dcid: bytes, scid: bytes, token: bytes, before: bytes) -> None:
    tag = bytes(range(16))
    packet = encode_retry(dcid, scid, token, tag)
    parsed = parse_long_header_untrusted(before + packet, len(before))
    assert parsed.kind == RETRY_PACKET
    assert (parsed.dcid, parsed.scid, parsed.token) == (dcid, scid, token)
    assert parsed.integrity_tag == tag
    assert (parsed.pn_offset, parsed.end) == (0, len(before) + len(packet))


@pytest.mark.parametrize("length", range(17))
def test_a_retry_without_a_token_is_dropped(length: int) -> None:
    with pytest.raises(BadPacketError):
        parse_long_header_untrusted(encode_retry(b"ab", b"cd", bytes(length), b""), 0)


@given(
    st.binary(max_size=255),
    st.binary(max_size=255),
    st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=20).map(tuple),
)
def test_version_negotiation_round_trip(
    dcid: bytes, scid: bytes, versions: tuple[int, ...]
) -> None:
    packet = encode_version_negotiation(dcid, scid, versions)
    # RFC 8999: all bits but the first of the first byte are unspecified, IDs may be long
    for first in (0x80, 0xC0, 0xFF):
        parsed = parse_long_header_untrusted(bytes((first,)) + packet[1:], 0)
        assert parsed.kind == VERSION_NEGOTIATION_PACKET
        assert (parsed.dcid, parsed.scid, parsed.versions) == (dcid, scid, versions)
        assert parsed.end == len(packet)


def test_version_negotiation_needs_whole_versions() -> None:
    for versions in (b"", bytes(3), bytes(9)):
        with pytest.raises(BadPacketError):
            parse_long_header_untrusted(b"\x80\0\0\0\0\x01a\x01b" + versions, 0)


def test_an_unknown_version_is_reported_and_not_parsed_further() -> None:
    long_id = bytes(range(200))
    datagram = b"\x80\x6b\x33\x43\xce\xc8" + long_id + b"\x00rest of an alien packet"
    parsed = parse_long_header_untrusted(datagram, 0)
    assert parsed.kind == UNKNOWN_VERSION_PACKET == -1
    assert (parsed.version, parsed.dcid, parsed.scid) == (0x6B3343CE, long_id, b"")
    assert parsed.end == len(datagram)


def valid_initial() -> bytes:
    return encode_long_header(INITIAL_PACKET, b"dcid", b"scid", b"token", 0, 1, 20) + bytes(36)


def test_malformed_headers_are_dropped() -> None:
    packet = valid_initial()
    parse_long_header_untrusted(packet, 0)
    for broken in (
        b"",
        bytes((packet[0] & 0x7F,)) + packet[1:],  # short header
        packet[:5] + b"\x15" + bytes(21) + packet[10:],  # dcid of 21 bytes
        packet[:10] + b"\x15" + bytes(21) + packet[15:],  # scid of 21 bytes
        packet[:15] + b"\xff\xff\xff\xff\xff\xff\xff\xff" + packet[16:],  # endless token
        packet[:-1],  # its Length runs over the datagram's end
    ):
        with pytest.raises(BadPacketError):
            parse_long_header_untrusted(broken, 0)


def test_every_truncation_is_dropped() -> None:
    packet = valid_initial()
    for length in range(len(packet)):
        with pytest.raises(BadPacketError):
            parse_long_header_untrusted(packet[:length], 0)


@given(st.binary(max_size=80), st.integers(0, 90))
@example(b"\xc0\0\0\0\x01\0\0\0\0", 0)
@example(b"\xf0\0\0\0\x01\0\0", 0)
def test_only_bad_packet_error_escapes(data: bytes, start: int) -> None:
    try:
        parsed = parse_long_header_untrusted(data, start)
    except BadPacketError:
        return
    assert start < parsed.end <= len(data)
    assert 0 <= parsed.pn_offset <= parsed.end


@given(st.integers(0, 60), st.integers(0, 255))
def test_mutated_headers_stay_within_the_datagram(at: int, value: int) -> None:
    packet = bytearray(valid_initial())
    packet[at % len(packet)] = value
    try:
        parsed = parse_long_header_untrusted(bytes(packet), 0)
    except BadPacketError:
        return
    assert 0 < parsed.end <= len(packet)


@given(packet_numbers, st.integers(0, 1 << 30))
def test_what_is_written_expands_at_any_receiver(pn: int, outstanding: int) -> None:
    """The receiver has seen something between what it acknowledged and the packet itself."""
    largest_acked = max(-1, pn - 1 - outstanding)
    bits = 8 * packet_number_length(pn, largest_acked)
    truncated = pn & (1 << bits) - 1
    for largest_received in {largest_acked, (largest_acked + pn) // 2, pn - 1}:
        assert decode_packet_number(truncated, bits, largest_received) == pn
    # and when it was overtaken by a window's half
    assert decode_packet_number(truncated, bits, pn + outstanding % (1 << bits - 1) - 1) == pn


def test_packet_number_lengths_cover_twice_the_distance() -> None:
    assert [packet_number_length(pn, -1) for pn in (0, 0x7E, 0x7F, 0x7FFE, 0x7FFF)] == [
        1,
        1,
        2,
        2,
        3,
    ]
    assert packet_number_length(0x7FFFFE, -1) == 3
    assert packet_number_length(0x7FFFFF, -1) == 4
    assert packet_number_length(1_000_000, 999_999) == 1


def test_packet_number_windows_do_not_leave_the_number_space() -> None:
    assert decode_packet_number(0xFF, 8, -1) == 0xFF
    assert decode_packet_number(0xFF, 8, 3) == 0xFF
    assert decode_packet_number(0x00, 8, (1 << 62) - 2) == (1 << 62) - 256


def test_of_two_numbers_equally_near_the_larger_is_meant() -> None:
    """RFC 9000 appendix A.3: the window reaches from expected - half, exclusive, to expected +
    half, inclusive."""
    assert decode_packet_number(0x80, 8, 0xFF) == 0x180
    assert decode_packet_number(0x00, 8, 0x17F) == 0x200
    assert decode_packet_number(0x81, 8, 0xFF) == 0x81
    assert decode_packet_number(0x01, 8, 0x17F) == 0x101
