"""Transport parameters (RFC 9000 section 18; max_datagram_frame_size of RFC 9221 section 3).

They travel inside a TLS extension as a sequence of (id, length, value). A value outside of what
section 18.2 allows, a wrong length and a parameter that occurs twice are
TRANSPORT_PARAMETER_ERROR; unknown parameters are skipped. Whether the connection IDs in them
are the right ones (section 7.3) is for the handshake to judge.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ..errors import TRANSPORT_PARAMETER_ERROR
from .frames import MAX_STREAM_COUNT, RESET_TOKEN_LENGTH
from .packets import MAX_CONNECTION_ID_LENGTH
from .varint import MAX_VARINT, Reader, encode_varint

# By id, section 18.2: the parameters that are one integer, with the smallest and the largest value,
_INTEGERS: Final = {
    0x01: ("max_idle_timeout", 0, MAX_VARINT),
    0x03: ("max_udp_payload_size", 1200, MAX_VARINT),
    0x04: ("initial_max_data", 0, MAX_VARINT),
    0x05: ("initial_max_stream_data_bidi_local", 0, MAX_VARINT),
    0x06: ("initial_max_stream_data_bidi_remote", 0, MAX_VARINT),
    0x07: ("initial_max_stream_data_uni", 0, MAX_VARINT),
    0x08: ("initial_max_streams_bidi", 0, MAX_STREAM_COUNT),
    0x09: ("initial_max_streams_uni", 0, MAX_STREAM_COUNT),
    0x0A: ("ack_delay_exponent", 0, 20),
    0x0B: ("max_ack_delay", 0, (1 << 14) - 1),
    0x0E: ("active_connection_id_limit", 2, MAX_VARINT),
    0x20: ("max_datagram_frame_size", 0, MAX_VARINT),
}
# those that say something by being there,
_FLAGS: Final = {0x0C: "disable_active_migration", 0x2AB2: "grease_quic_bit"}
# those that are a connection ID,
_CONNECTION_IDS: Final = {
    0x00: "original_destination_connection_id",
    0x0F: "initial_source_connection_id",
    0x10: "retry_source_connection_id",
}
# and the others.
STATELESS_RESET_TOKEN: Final = 0x02
PREFERRED_ADDRESS: Final = 0x0D
VERSION_INFORMATION: Final = 0x11


@dataclass(slots=True, kw_only=True)
class PreferredAddressParameter:
    """An address of (text, port) is None when the server has none of that family."""

    ipv4: tuple[str, int] | None
    ipv6: tuple[str, int] | None
    connection_id: bytes
    stateless_reset_token: bytes = field(repr=False)


@dataclass(slots=True, kw_only=True)
class TransportParameters:
    """All parameters, with the values that count when the peer leaves one out.

    `max_idle_timeout` and `max_ack_delay` are in milliseconds, as on the wire.
    """

    original_destination_connection_id: bytes | None = None
    max_idle_timeout: int = 0
    stateless_reset_token: bytes | None = field(default=None, repr=False)
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
    preferred_address: PreferredAddressParameter | None = None
    active_connection_id_limit: int = 2
    initial_source_connection_id: bytes | None = None
    retry_source_connection_id: bytes | None = None
    max_datagram_frame_size: int | None = None
    # RFC 9287 section 3: the fixed bit need not be set in what is sent to this endpoint
    grease_quic_bit: bool = False
    # RFC 9368 section 3: the version in use, and those that could be, best first
    version_information: tuple[int, tuple[int, ...]] | None = None


_DEFAULTS: Final = TransportParameters()


def encode_transport_parameters(p: TransportParameters, grease: tuple[int, bytes] | None) -> bytes:
    """What a client may send of them; integers that have their default value are left out.
    `grease`: one more (id, value), of a reserved id 31*N+27 (section 18.1), so that servers keep
    ignoring what they do not know."""
    out: list[bytes] = []
    for parameter, (name, _low, _high) in _INTEGERS.items():
        value: int | None = getattr(p, name)
        if value is not None and value != getattr(_DEFAULTS, name):
            _put(out, parameter, encode_varint(value))
    for parameter, name in _FLAGS.items():
        if getattr(p, name):
            _put(out, parameter, b"")
    for parameter, name in _CONNECTION_IDS.items():
        _put(out, parameter, getattr(p, name))
    if p.version_information is not None:
        chosen, available = p.version_information
        versions = [version.to_bytes(4, "big") for version in (chosen, *available)]
        _put(out, VERSION_INFORMATION, b"".join(versions))
    if grease is not None:
        _put(out, grease[0], grease[1])
    return b"".join(out)


def _put(out: list[bytes], parameter: int, value: bytes | None) -> None:
    if value is not None:
        out.append(encode_varint(parameter) + encode_varint(len(value)) + value)


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
        if not _read_untrusted(p, parameter, content):
            continue
        if content.remaining:
            raise reader.bad(f"transport parameter {parameter:#x} is longer than its value")
    return p


def _read_untrusted(p: TransportParameters, parameter: int, content: Reader) -> bool:
    """Take a known parameter; False when it is unknown."""
    if parameter in _INTEGERS:
        name, low, high = _INTEGERS[parameter]
        value = content.varint_untrusted()
        if not low <= value <= high:
            raise content.bad(f"{name} of {value} is outside of {low} to {high}")
        setattr(p, name, value)
    elif parameter in _FLAGS:
        setattr(p, _FLAGS[parameter], True)
    elif parameter in _CONNECTION_IDS:
        if content.remaining > MAX_CONNECTION_ID_LENGTH:
            raise content.bad(f"connection ID of {content.remaining} bytes")
        setattr(p, _CONNECTION_IDS[parameter], content.rest())
    elif parameter == STATELESS_RESET_TOKEN:
        p.stateless_reset_token = content.take_untrusted(RESET_TOKEN_LENGTH)
    elif parameter == PREFERRED_ADDRESS:
        p.preferred_address = _read_preferred_address_untrusted(content)
    elif parameter == VERSION_INFORMATION:
        versions = content.versions_untrusted()
        if 0 in versions:
            # RFC 9368 section 4
            raise content.bad("version_information names version 0")
        p.version_information = versions[0], versions[1:]
    else:
        return False
    return True


def _read_preferred_address_untrusted(content: Reader) -> PreferredAddressParameter:
    host4 = str(IPv4Address(content.take_untrusted(4)))
    port4 = int.from_bytes(content.take_untrusted(2), "big")
    host6 = str(IPv6Address(content.take_untrusted(16)))
    port6 = int.from_bytes(content.take_untrusted(2), "big")
    length = content.u8_untrusted()
    # Section 18.2: a zero-length ID here is an error, there would be none to migrate with.
    if not 1 <= length <= MAX_CONNECTION_ID_LENGTH:
        raise content.bad(f"preferred_address with a connection ID of {length} bytes")
    return PreferredAddressParameter(
        # All zero means "none of this family". Nothing can be sent to a port 0 either.
        ipv4=(host4, port4) if port4 and host4 != "0.0.0.0" else None,
        ipv6=(host6, port6) if port6 and host6 != "::" else None,
        connection_id=content.take_untrusted(length),
        stateless_reset_token=content.take_untrusted(RESET_TOKEN_LENGTH),
    )
