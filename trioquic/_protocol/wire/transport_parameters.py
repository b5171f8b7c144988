"""Transport parameters (RFC 9000 section 18; max_datagram_frame_size of RFC 9221 section 3).

They travel inside a TLS extension as a sequence of (id, length, value). A value outside of what
section 18.2 allows, a wrong length and a parameter that occurs twice are
TRANSPORT_PARAMETER_ERROR; unknown parameters are skipped. Whether the connection IDs in them
are the right ones (section 7.3) is for the handshake to judge.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ..errors import TRANSPORT_PARAMETER_ERROR
from .frames import MAX_STREAM_COUNT, RESET_TOKEN_LENGTH
from .packets import MAX_CONNECTION_ID_LENGTH
from .varint import MAX_VARINT, Reader, encode_varint

ORIGINAL_DESTINATION_CONNECTION_ID: Final = 0x00
MAX_IDLE_TIMEOUT: Final = 0x01
STATELESS_RESET_TOKEN: Final = 0x02
MAX_UDP_PAYLOAD_SIZE: Final = 0x03
INITIAL_MAX_DATA: Final = 0x04
INITIAL_MAX_STREAM_DATA_BIDI_LOCAL: Final = 0x05
INITIAL_MAX_STREAM_DATA_BIDI_REMOTE: Final = 0x06
INITIAL_MAX_STREAM_DATA_UNI: Final = 0x07
INITIAL_MAX_STREAMS_BIDI: Final = 0x08
INITIAL_MAX_STREAMS_UNI: Final = 0x09
ACK_DELAY_EXPONENT: Final = 0x0A
MAX_ACK_DELAY: Final = 0x0B
DISABLE_ACTIVE_MIGRATION: Final = 0x0C
PREFERRED_ADDRESS: Final = 0x0D
ACTIVE_CONNECTION_ID_LIMIT: Final = 0x0E
INITIAL_SOURCE_CONNECTION_ID: Final = 0x0F
RETRY_SOURCE_CONNECTION_ID: Final = 0x10
MAX_DATAGRAM_FRAME_SIZE: Final = 0x20
VERSION_INFORMATION: Final = 0x11
GREASE_QUIC_BIT: Final = 0x2AB2

# The parameters that are one integer: id, attribute, default, smallest and largest legal value.
_INTEGERS: Final[list[tuple[int, str, int, int, int]]] = [
    (MAX_IDLE_TIMEOUT, "max_idle_timeout", 0, 0, MAX_VARINT),
    (MAX_UDP_PAYLOAD_SIZE, "max_udp_payload_size", 65527, 1200, MAX_VARINT),
    (INITIAL_MAX_DATA, "initial_max_data", 0, 0, MAX_VARINT),
    (
        INITIAL_MAX_STREAM_DATA_BIDI_LOCAL,
        "initial_max_stream_data_bidi_local",
        0,
        0,
        MAX_VARINT,
    ),
    (
        INITIAL_MAX_STREAM_DATA_BIDI_REMOTE,
        "initial_max_stream_data_bidi_remote",
        0,
        0,
        MAX_VARINT,
    ),
    (INITIAL_MAX_STREAM_DATA_UNI, "initial_max_stream_data_uni", 0, 0, MAX_VARINT),
    (INITIAL_MAX_STREAMS_BIDI, "initial_max_streams_bidi", 0, 0, MAX_STREAM_COUNT),
    (INITIAL_MAX_STREAMS_UNI, "initial_max_streams_uni", 0, 0, MAX_STREAM_COUNT),
    (ACK_DELAY_EXPONENT, "ack_delay_exponent", 3, 0, 20),
    (MAX_ACK_DELAY, "max_ack_delay", 25, 0, (1 << 14) - 1),
    (ACTIVE_CONNECTION_ID_LIMIT, "active_connection_id_limit", 2, 2, MAX_VARINT),
]
_INTEGER_BY_ID: Final = {row[0]: row for row in _INTEGERS}


@dataclass(slots=True, kw_only=True)
class PreferredAddress:
    """An address of (text, port) is None when the server has none of that family."""

    ipv4: tuple[str, int] | None
    ipv6: tuple[str, int] | None
    connection_id: bytes
    stateless_reset_token: bytes


@dataclass(slots=True, kw_only=True)
class TransportParameters:
    """All parameters, with the values that count when the peer leaves one out.

    `max_idle_timeout` and `max_ack_delay` are in milliseconds, as on the wire.
    """

    original_destination_connection_id: bytes | None = None
    max_idle_timeout: int = 0
    stateless_reset_token: bytes | None = None
    max_udp_payload_size: int = 65527
    initial_max_data: int = 0
    initial_max_stream_data_bidi_local: int = 0
    initial_max_stream_data_bidi_remote: int = 0
    initial_max_stream_data_uni: int = 0
    initial_max_streams_bidi: int = 0
    initial_max_streams_uni: int = 0
    ack_delay_exponent: int = 3
    max_ack_delay: int = 25
    disable_active_migration: bool = False
    preferred_address: PreferredAddress | None = None
    active_connection_id_limit: int = 2
    initial_source_connection_id: bytes | None = None
    retry_source_connection_id: bytes | None = None
    max_datagram_frame_size: int | None = None
    # RFC 9287 section 3: the fixed bit need not be set in what is sent to this endpoint
    grease_quic_bit: bool = False
    # RFC 9368 section 3: the version in use, and those that could be, best first
    version_information: tuple[int, tuple[int, ...]] | None = None


def encode_transport_parameters(p: TransportParameters, grease: tuple[int, bytes] | None) -> bytes:
    """Integers that have their default value are left out. `grease`: one more (id, value), of a
    reserved id 31*N+27 (section 18.1), so that servers keep ignoring what they do not know."""
    out: list[bytes] = []
    for parameter, name, default, _low, _high in _INTEGERS:
        value: int = getattr(p, name)
        if value != default:
            _put(out, parameter, encode_varint(value))
    _put(out, ORIGINAL_DESTINATION_CONNECTION_ID, p.original_destination_connection_id)
    _put(out, STATELESS_RESET_TOKEN, p.stateless_reset_token)
    if p.disable_active_migration:
        _put(out, DISABLE_ACTIVE_MIGRATION, b"")
    if p.preferred_address is not None:
        _put(out, PREFERRED_ADDRESS, _encode_preferred_address(p.preferred_address))
    _put(out, INITIAL_SOURCE_CONNECTION_ID, p.initial_source_connection_id)
    _put(out, RETRY_SOURCE_CONNECTION_ID, p.retry_source_connection_id)
    if p.max_datagram_frame_size is not None:
        _put(out, MAX_DATAGRAM_FRAME_SIZE, encode_varint(p.max_datagram_frame_size))
    if p.grease_quic_bit:
        _put(out, GREASE_QUIC_BIT, b"")
    if p.version_information is not None:
        chosen, available = p.version_information
        _put(out, VERSION_INFORMATION, _encode_versions((chosen, *available)))
    if grease is not None:
        _put(out, grease[0], grease[1])
    return b"".join(out)


def _put(out: list[bytes], parameter: int, value: bytes | None) -> None:
    if value is not None:
        out.append(encode_varint(parameter) + encode_varint(len(value)) + value)


def _encode_preferred_address(address: PreferredAddress) -> bytes:
    host4, port4 = address.ipv4 or ("0.0.0.0", 0)
    host6, port6 = address.ipv6 or ("::", 0)
    return b"".join(
        [
            IPv4Address(host4).packed,
            port4.to_bytes(2, "big"),
            IPv6Address(host6).packed,
            port6.to_bytes(2, "big"),
            bytes((len(address.connection_id),)),
            address.connection_id,
            address.stateless_reset_token,
        ]
    )


def decode_transport_parameters_untrusted(data: bytes) -> TransportParameters:
    p = TransportParameters()
    seen: set[int] = set()
    reader = Reader(data, TRANSPORT_PARAMETER_ERROR)
    while reader.remaining:
        parameter = reader.varint_untrusted()
        value = reader.take_untrusted(reader.varint_untrusted())
        if parameter in seen:
            raise reader.bad(f"transport parameter {parameter:#x} occurs twice")
        seen.add(parameter)
        content = Reader(value, TRANSPORT_PARAMETER_ERROR)
        row = _INTEGER_BY_ID.get(parameter)
        if row is not None:
            setattr(p, row[1], _read_integer_untrusted(content, row[1], row[3], row[4]))
        elif not _read_other_untrusted(p, parameter, content):
            continue
        if content.remaining:
            raise reader.bad(f"transport parameter {parameter:#x} is longer than its value")
    return p


def _read_integer_untrusted(content: Reader, name: str, low: int, high: int) -> int:
    value = content.varint_untrusted()
    if not low <= value <= high:
        raise content.bad(f"{name} of {value} is outside of {low} to {high}")
    return value


def _read_other_untrusted(p: TransportParameters, parameter: int, content: Reader) -> bool:
    """Take a known parameter that is not a plain integer; False when it is unknown."""
    if parameter == ORIGINAL_DESTINATION_CONNECTION_ID:
        p.original_destination_connection_id = _read_connection_id_untrusted(content)
    elif parameter == INITIAL_SOURCE_CONNECTION_ID:
        p.initial_source_connection_id = _read_connection_id_untrusted(content)
    elif parameter == RETRY_SOURCE_CONNECTION_ID:
        p.retry_source_connection_id = _read_connection_id_untrusted(content)
    elif parameter == STATELESS_RESET_TOKEN:
        p.stateless_reset_token = content.take_untrusted(RESET_TOKEN_LENGTH)
    elif parameter == DISABLE_ACTIVE_MIGRATION:
        p.disable_active_migration = True
    elif parameter == PREFERRED_ADDRESS:
        p.preferred_address = _read_preferred_address_untrusted(content)
    elif parameter == MAX_DATAGRAM_FRAME_SIZE:
        p.max_datagram_frame_size = content.varint_untrusted()
    elif parameter == GREASE_QUIC_BIT:
        p.grease_quic_bit = True
    elif parameter == VERSION_INFORMATION:
        p.version_information = _read_version_information_untrusted(content)
    else:
        return False
    return True


def _encode_versions(versions: tuple[int, ...]) -> bytes:
    return b"".join([version.to_bytes(4, "big") for version in versions])


def _read_version_information_untrusted(content: Reader) -> tuple[int, tuple[int, ...]]:
    """RFC 9368 section 4: whole versions, none of them 0."""
    if content.remaining < 4 or content.remaining % 4:
        raise content.bad(f"version_information of {content.remaining} bytes")
    versions: list[int] = []
    while content.remaining:
        versions.append(content.u32_untrusted())
    if 0 in versions:
        raise content.bad("version_information names version 0")
    return versions[0], tuple(versions[1:])


def _read_connection_id_untrusted(content: Reader) -> bytes:
    if content.remaining > MAX_CONNECTION_ID_LENGTH:
        raise content.bad(f"connection ID of {content.remaining} bytes")
    return content.rest()


def _read_preferred_address_untrusted(content: Reader) -> PreferredAddress:
    host4 = str(IPv4Address(content.take_untrusted(4)))
    port4 = content.u16_untrusted()
    host6 = str(IPv6Address(content.take_untrusted(16)))
    port6 = content.u16_untrusted()
    length = content.u8_untrusted()
    # Section 18.2: a zero-length ID here is an error, there would be none to migrate with.
    if not 1 <= length <= MAX_CONNECTION_ID_LENGTH:
        raise content.bad(f"preferred_address with a connection ID of {length} bytes")
    return PreferredAddress(
        # All zero means "none of this family". Nothing can be sent to a port 0 either.
        ipv4=(host4, port4) if port4 and host4 != "0.0.0.0" else None,
        ipv6=(host6, port6) if port6 and host6 != "::" else None,
        connection_id=content.take_untrusted(length),
        stateless_reset_token=content.take_untrusted(RESET_TOKEN_LENGTH),
    )
