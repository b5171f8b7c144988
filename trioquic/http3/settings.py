"""What both sides tell each other first (RFC 9114 section 7.2.4, RFC 9204 section 5, RFC 9220)."""

import random
from dataclasses import dataclass
from typing import Final

from .. import TransportConfig, _checks
from .errors import ErrorCode, PeerError
from .frames import SETTINGS, decode_varint, encode_frame, encode_varint

QPACK_MAX_TABLE_CAPACITY: Final = 0x01
MAX_FIELD_SECTION_SIZE: Final = 0x06
QPACK_BLOCKED_STREAMS: Final = 0x07
ENABLE_CONNECT_PROTOCOL: Final = 0x08
H3_DATAGRAM: Final = 0x33
# HTTP/2's settings without a meaning here (section 11.2.2)
RESERVED: Final = frozenset((0x00, 0x02, 0x03, 0x04, 0x05))
BOOLEAN: Final = frozenset((ENABLE_CONNECT_PROTOCOL, H3_DATAGRAM))
# 0x1f * N + 0x21 means nothing (section 7.2.4.1); so many take four bytes
_MEANINGLESS: Final = range(0x21 + 0x1F * (1 << 10), 1 << 30, 0x1F)
_MEANINGLESS_VALUES: Final = range(1 << 6)
# section 6.2: control, and QPACK's two
_LEAST_STREAMS: Final = 3
# bytes; there are about a dozen settings in the whole registry
MOST_SETTINGS: Final = 4096
# with more, section.py would let one entry be named a few times only
_LARGEST_TABLE: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTP3Config:
    """Limits of an HTTP/3 connection; sizes in bytes."""

    max_field_section_size: int = _checks.checked(65536, _checks.whole(0, 1 << 30))
    """The largest headers or trailers accepted: names and values uncompressed, and 32 for each
    field (RFC 9114 section 4.2.2)."""
    qpack_table_capacity: int = _checks.checked(4096, _checks.whole(0, _LARGEST_TABLE))
    """The dynamic table that the server may fill (RFC 9204 section 3.2), at most 64 kB. 0: none."""
    qpack_blocked_streams: int = _checks.checked(16, _checks.whole(0, 1 << 16))
    """Responses that may wait at once for the table's updates (RFC 9204 section 2.1.2)."""
    max_informational: int = _checks.checked(16, _checks.whole(0, 1 << 16))
    """Interim (1xx) responses accepted for each request."""

    def __post_init__(self) -> None:
        _checks.check_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """What the server has said about itself."""

    max_field_section_size: int | None
    """The largest request headers it wants; None: it did not say."""
    qpack_max_table_capacity: int
    qpack_blocked_streams: int
    enable_connect_protocol: bool
    """Extended CONNECT can be used (RFC 9220), for example for WebSockets."""
    h3_datagram: bool
    """HTTP Datagrams can be used (RFC 9297)."""


def check_transport(transport: TransportConfig) -> None:
    """Raises ValueError if the server could not say what it has to say."""
    if transport.max_streams_uni < _LEAST_STREAMS:
        raise ValueError(
            f"HTTP/3 needs TransportConfig(max_streams_uni={_LEAST_STREAMS}) at least, not"
            f" {transport.max_streams_uni} (RFC 9114 section 6.2)"
        )


def encode_settings(config: HTTP3Config) -> bytes:
    """Our SETTINGS frame, with one setting that does not exist, so that servers go on to ignore
    what they do not know (section 7.2.4.1)."""
    settings = (
        (QPACK_MAX_TABLE_CAPACITY, config.qpack_table_capacity),
        (MAX_FIELD_SECTION_SIZE, config.max_field_section_size),
        (QPACK_BLOCKED_STREAMS, config.qpack_blocked_streams),
        (random.choice(_MEANINGLESS), random.choice(_MEANINGLESS_VALUES)),
    )
    payload = b"".join(encode_varint(name) + encode_varint(value) for name, value in settings)
    return encode_frame(SETTINGS, payload)


def read_settings(payload: bytes) -> PeerSettings:
    """The server's SETTINGS frame; unknown ones are ignored. Raises `PeerError`."""
    values: dict[int, int] = {}
    position = 0
    while position < len(payload):
        name = decode_varint(payload, position)
        value = None if name is None else decode_varint(payload, name[1])
        if name is None or value is None:
            raise PeerError(ErrorCode.H3_FRAME_ERROR, "the SETTINGS frame ends within a setting")
        identifier = name[0]
        if identifier in values:
            raise PeerError(ErrorCode.H3_SETTINGS_ERROR, f"setting {identifier:#x} comes twice")
        if identifier in RESERVED:
            raise PeerError(ErrorCode.H3_SETTINGS_ERROR, f"setting {identifier:#x} is HTTP/2's")
        if identifier in BOOLEAN and value[0] > 1:
            raise PeerError(ErrorCode.H3_SETTINGS_ERROR, f"setting {identifier:#x} is {value[0]}")
        values[identifier] = value[0]
        position = value[1]
    return PeerSettings(
        max_field_section_size=values.get(MAX_FIELD_SECTION_SIZE),
        qpack_max_table_capacity=values.get(QPACK_MAX_TABLE_CAPACITY, 0),
        qpack_blocked_streams=values.get(QPACK_BLOCKED_STREAMS, 0),
        enable_connect_protocol=values.get(ENABLE_CONNECT_PROTOCOL, 0) == 1,
        h3_datagram=values.get(H3_DATAGRAM, 0) == 1,
    )
