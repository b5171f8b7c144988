"""Transport parameters: defaults, a round trip, and every rule of RFC 9000 section 18.2."""

from dataclasses import fields
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer.wire import encode_server_parameters
from trioquic._protocol.errors import TRANSPORT_PARAMETER_ERROR, BadPacketError
from trioquic._protocol.wire.transport_parameters import (
    PreferredAddressParameter,
    TransportParameters,
    decode_transport_parameters_untrusted,
    encode_transport_parameters,
)
from trioquic._protocol.wire.varint import MAX_VARINT, encode_varint

integers = st.integers(0, MAX_VARINT)
stream_counts = st.integers(0, 1 << 60)
connection_ids = st.none() | st.binary(max_size=20)
tokens = st.binary(min_size=16, max_size=16)
ports = st.integers(1, 65535)
versions = st.integers(1, (1 << 32) - 1)
ipv4 = st.integers(1, (1 << 32) - 1).map(lambda n: str(IPv4Address(n)))
ipv6 = st.integers(1, (1 << 128) - 1).map(lambda n: str(IPv6Address(n)))

preferred_addresses = st.builds(
    PreferredAddressParameter,
    ipv4=st.none() | st.tuples(ipv4, ports),
    ipv6=st.none() | st.tuples(ipv6, ports),
    connection_id=st.binary(min_size=1, max_size=20),
    stateless_reset_token=tokens,
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "original_destination_connection_id": connection_ids,
    "max_idle_timeout": integers,
    "stateless_reset_token": st.none() | tokens,
    "max_udp_payload_size": st.integers(1200, MAX_VARINT),
    "initial_max_data": integers,
    "initial_max_stream_data_bidi_local": integers,
    "initial_max_stream_data_bidi_remote": integers,
    "initial_max_stream_data_uni": integers,
    "initial_max_streams_bidi": stream_counts,
    "initial_max_streams_uni": stream_counts,
    "ack_delay_exponent": st.integers(0, 20),
    "max_ack_delay": st.integers(0, (1 << 14) - 1),
    "disable_active_migration": st.booleans(),
    "preferred_address": st.none() | preferred_addresses,
    "active_connection_id_limit": st.integers(2, MAX_VARINT),
    "initial_source_connection_id": connection_ids,
    "retry_source_connection_id": connection_ids,
    "max_datagram_frame_size": st.none() | integers,
    "grease_quic_bit": st.booleans(),
    "version_information": st.none()
    | st.tuples(versions, st.lists(versions, max_size=5).map(tuple)),
}
parameters = st.builds(TransportParameters, **FIELDS)


def raw(*entries: tuple[int, bytes]) -> bytes:
    return b"".join([encode_varint(i) + encode_varint(len(v)) + v for i, v in entries])


def refused(data: bytes) -> str:
    with pytest.raises(BadPacketError) as caught:
        decode_transport_parameters_untrusted(data)
    assert caught.value.code == TRANSPORT_PARAMETER_ERROR
    return caught.value.reason


def test_the_strategy_fills_every_field() -> None:
    """Otherwise a new parameter would be missing from the round trip without a word."""
    assert {field.name for field in fields(TransportParameters)} == set(FIELDS)


@given(parameters, st.none() | st.tuples(st.just(31 * 7 + 27), st.binary(max_size=20)))
def test_round_trip(p: TransportParameters, grease: tuple[int, bytes] | None) -> None:
    assert decode_transport_parameters_untrusted(encode_server_parameters(p, grease)) == p


def test_defaults_take_no_bytes() -> None:
    assert encode_transport_parameters(TransportParameters(), None) == b""
    p = decode_transport_parameters_untrusted(b"")
    assert p == TransportParameters()
    assert (p.max_udp_payload_size, p.ack_delay_exponent, p.max_ack_delay) == (65527, 3, 25)
    assert (p.active_connection_id_limit, p.max_idle_timeout) == (2, 0)


def test_known_bytes() -> None:
    """Written out by hand from RFC 9000 section 18, with an empty connection ID that counts."""
    p = TransportParameters(
        max_idle_timeout=30_000,
        initial_max_streams_bidi=100,
        disable_active_migration=True,
        initial_source_connection_id=b"",
    )
    data = bytes.fromhex("01048000753008024064" + "0c00" + "0f00")
    assert encode_transport_parameters(p, None) == data
    assert encode_transport_parameters(p, (0x1B, b"g")) == data + b"\x1b\x01g"
    assert decode_transport_parameters_untrusted(data) == p


def test_unknown_parameters_are_skipped() -> None:
    data = raw((0x12, bytes(8)), (0x2AB2, b""), (MAX_VARINT, b"?"), (0x04, b"\x07"))
    assert decode_transport_parameters_untrusted(data).initial_max_data == 7


@pytest.mark.parametrize("value", [b"", b"\0\0\0", b"\0\0\0\1\0", bytes(4), b"\0\0\0\1" + bytes(4)])
def test_malformed_version_information(value: bytes) -> None:
    assert "version" in refused(raw((0x11, value)))


@pytest.mark.parametrize("parameter", [0x00, 0x01, 0x0C, 0x0F, 0x1B])
def test_twice_is_refused(parameter: int) -> None:
    value = b"\x01" if parameter == 0x01 else b""
    assert "occurs twice" in refused(raw((parameter, value), (0x04, b"\x01"), (parameter, value)))


@pytest.mark.parametrize(
    ("parameter", "name", "legal", "illegal"),
    [
        (0x03, "max_udp_payload_size", 1200, 1199),
        (0x08, "initial_max_streams_bidi", 1 << 60, (1 << 60) + 1),
        (0x09, "initial_max_streams_uni", 1 << 60, (1 << 60) + 1),
        (0x0A, "ack_delay_exponent", 20, 21),
        (0x0B, "max_ack_delay", (1 << 14) - 1, 1 << 14),
        (0x0E, "active_connection_id_limit", 2, 1),
    ],
)
def test_limits(parameter: int, name: str, legal: int, illegal: int) -> None:
    p = decode_transport_parameters_untrusted(raw((parameter, encode_varint(legal))))
    assert getattr(p, name) == legal
    assert name in refused(raw((parameter, encode_varint(illegal))))


INTEGER_IDS = [0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0E, 0x20]


@pytest.mark.parametrize("parameter", INTEGER_IDS)
def test_an_integer_fills_its_length(parameter: int) -> None:
    refused(raw((parameter, b"")))
    refused(raw((parameter, b"\x44")))
    # a legal value for all of them is 1200, 2 or 10
    value = b"\x44\xb0" if parameter == 0x03 else b"\x0a"
    decode_transport_parameters_untrusted(raw((parameter, value)))
    refused(raw((parameter, value + b"\x00")))


def test_fixed_lengths() -> None:
    for length in (0, 15, 17):
        refused(raw((0x02, bytes(length))))
    refused(raw((0x0C, b"\x00")))
    for parameter in (0x00, 0x0F, 0x10):
        decode_transport_parameters_untrusted(raw((parameter, bytes(20))))
        assert "21 bytes" in refused(raw((parameter, bytes(21))))


def preferred(connection_id: bytes, token: bytes = bytes(16), port4: int = 443) -> bytes:
    v4 = bytes((192, 0, 2, 1)) + port4.to_bytes(2, "big")
    return v4 + bytes(18) + bytes((len(connection_id),)) + connection_id + token


def test_preferred_address() -> None:
    p = decode_transport_parameters_untrusted(raw((0x0D, preferred(b"cid"))))
    assert p.preferred_address == PreferredAddressParameter(
        ipv4=("192.0.2.1", 443),
        ipv6=None,
        connection_id=b"cid",
        stateless_reset_token=bytes(16),
    )


def test_a_preferred_address_without_a_port_is_none() -> None:
    p = decode_transport_parameters_untrusted(raw((0x0D, preferred(b"cid", port4=0))))
    assert p.preferred_address is not None
    assert p.preferred_address.ipv4 is None


def test_malformed_preferred_addresses() -> None:
    assert "0 bytes" in refused(raw((0x0D, preferred(b""))))
    assert "21 bytes" in refused(raw((0x0D, preferred(bytes(21)))))
    refused(raw((0x0D, preferred(b"cid", bytes(17)))))
    whole = preferred(b"cid")
    for cut in range(len(whole)):
        refused(raw((0x0D, whole[:cut])))


def test_truncation_is_a_transport_parameter_error() -> None:
    data = raw((0x04, b"\x07"), (0x2AB2, b"abc"))
    for cut in (1, 2, 4, 5, 6, 8):
        refused(data[:cut])


def error_code(data: bytes) -> int | None:
    """What decoding `data` is refused with, None if it is not."""
    try:
        decode_transport_parameters_untrusted(data)
    except BadPacketError as error:
        return error.code
    return None


@given(st.binary(max_size=100))
def test_only_bad_packet_error_escapes_random_bytes(data: bytes) -> None:
    assert error_code(data) in (None, TRANSPORT_PARAMETER_ERROR)


@given(parameters, st.data())
def test_only_bad_packet_error_escapes_mutations(
    p: TransportParameters, data: st.DataObject
) -> None:
    encoded = bytearray(encode_server_parameters(p, (0x1B, b"grease")))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] = data.draw(st.integers(0, 255))
    assert error_code(bytes(encoded)) in (None, TRANSPORT_PARAMETER_ERROR)
