"""Packet headers of QUIC (RFC 9000 section 17, RFC 9369) and packet-number truncation.

The parser works on one packet of a datagram and reads only what is in the clear: the packet number,
its length and the reserved bits are under header protection and belong to `crypto/`, and of short
headers nothing is left to parse here. Headers of other versions are parsed as far as RFC 8999
allows, with kind -1. A BadPacketError from here means that the rest of the datagram is dropped
without a word: nothing has been authenticated yet.
"""

from typing import Final

from ..errors import PROTOCOL_VIOLATION
from .varint import MAX_VARINT, ONE_BYTE, Reader, encode_varint
from .versions import SPOKEN, VERSION_1, kind_of, type_bits_of

INITIAL_PACKET: Final = 0
ZERO_RTT_PACKET: Final = 1
HANDSHAKE_PACKET: Final = 2
RETRY_PACKET: Final = 3
VERSION_NEGOTIATION_PACKET: Final = 4
UNKNOWN_VERSION_PACKET: Final = -1

MAX_CONNECTION_ID_LENGTH: Final = 20
AEAD_TAG_LENGTH: Final = 16

# first byte: header form, and the fixed bit that both versions demand
_LONG_FORM: Final = 0x80
QUIC_BIT: Final = 0x40


class LongHeader:
    """One long-header packet in a datagram, from `start` to `end`."""

    def __init__(
        self, kind: int, version: int, dcid: bytes, scid: bytes, start: int, end: int
    ) -> None:
        self.kind = kind
        self.version = version
        self.dcid = dcid
        self.scid = scid
        self.start = start
        self.end = end
        # where the protected packet number begins; 0 when the packet has none
        self.pn_offset = 0
        # of an Initial or a Retry
        self.token = b""
        # of a Version Negotiation packet
        self.versions: tuple[int, ...] = ()
        # of a Retry: its last 16 bytes
        self.integrity_tag = b""


def parse_long_header_untrusted(datagram: bytes, start: int) -> LongHeader:
    """The long header at `start`; BadPacketError when the rest of the datagram is to be dropped."""
    reader = Reader(datagram, PROTOCOL_VIOLATION, start)
    first = reader.u8_untrusted()
    if not first & _LONG_FORM:
        raise reader.bad("not a long header")
    version = reader.u32_untrusted()
    dcid = reader.take_untrusted(reader.u8_untrusted())
    scid = reader.take_untrusted(reader.u8_untrusted())
    end = len(datagram)
    if version == 0:
        header = LongHeader(VERSION_NEGOTIATION_PACKET, 0, dcid, scid, start, end)
        header.versions = reader.versions_untrusted()
        return header
    if version not in SPOKEN:
        return LongHeader(UNKNOWN_VERSION_PACKET, version, dcid, scid, start, end)
    # The fixed bit may be clear: we allow that (RFC 9287 section 3), and nothing depends on it.
    if len(dcid) > MAX_CONNECTION_ID_LENGTH or len(scid) > MAX_CONNECTION_ID_LENGTH:
        raise reader.bad("connection ID of more than 20 bytes")
    header = LongHeader(kind_of(version, first >> 4 & 3), version, dcid, scid, start, end)
    if header.kind == RETRY_PACKET:
        _read_retry_untrusted(reader, header)
        return header
    if header.kind == INITIAL_PACKET:
        header.token = reader.take_untrusted(reader.varint_untrusted())
    length = reader.varint_untrusted()
    header.pn_offset = reader.pos
    header.end = reader.pos + length
    if header.end > end:
        raise reader.bad(f"length of {length} bytes, {reader.remaining} left in the datagram")
    return header


def _read_retry_untrusted(reader: Reader, header: LongHeader) -> None:
    # RFC 9000 section 17.2.5.2: a client discards a Retry with an empty token
    token_length = reader.remaining - AEAD_TAG_LENGTH
    if token_length <= 0:
        raise reader.bad("Retry without a token")
    header.token = reader.take_untrusted(token_length)
    header.integrity_tag = reader.rest()


def encode_long_header(
    kind: int,
    dcid: bytes,
    scid: bytes,
    token: bytes,
    pn: int,
    pn_length: int,
    payload_length: int,
    version: int = VERSION_1,
) -> bytes:
    """An unprotected Initial, 0-RTT or Handshake header up to and including the packet number.

    `payload_length` is that of the frames; the AEAD's tag is added here. The Length field always
    takes two bytes, so that a header's size does not depend on what follows it.
    """
    length = pn_length + payload_length + AEAD_TAG_LENGTH
    if length > 0x3FFF:
        raise ValueError(f"packet of {length} bytes is too long for a two-byte Length")
    head = b"%c%b%c%b%c%b" % (
        _LONG_FORM | QUIC_BIT | type_bits_of(version, kind) << 4 | pn_length - 1,
        version.to_bytes(4, "big"),
        len(dcid),
        dcid,
        len(scid),
        scid,
    )
    if kind == INITIAL_PACKET:
        head += encode_varint(len(token)) + token
    tail = (0x4000 | length) << 8 * pn_length | pn & (1 << 8 * pn_length) - 1
    return head + tail.to_bytes(2 + pn_length, "big")


def encode_short_header(
    dcid: bytes, pn: int, pn_length: int, key_phase: int, spin: int, quic_bit: int = QUIC_BIT
) -> bytes:
    """An unprotected 1-RTT header (RFC 9000 section 17.3.1)."""
    first = quic_bit | spin << 5 | key_phase << 2 | pn_length - 1
    truncated = pn & (1 << 8 * pn_length) - 1
    return ONE_BYTE[first] + dcid + truncated.to_bytes(pn_length, "big")


def decode_packet_number(truncated: int, bits: int, largest: int) -> int:
    """The full packet number nearest to what is expected next (RFC 9000 appendix A.3).

    `largest` is the largest number received in this space so far, -1 for none.
    """
    expected = largest + 1
    window = 1 << bits
    half = window >> 1
    candidate = expected & ~(window - 1) | truncated
    if candidate <= expected - half and candidate < (1 << 62) - window:
        return candidate + window
    if (candidate > expected + half or candidate > MAX_VARINT) and candidate >= window:
        return candidate - window
    return candidate


def packet_number_length(pn: int, largest_acked: int) -> int:
    """How many bytes of `pn` the peer needs (RFC 9000 section 17.1, appendix A.2).

    The encoding must cover more than twice the distance to the largest acknowledged number
    (-1: none yet).
    """
    distance = pn - largest_acked
    if distance < 0x80:
        return 1
    if distance < 0x8000:
        return 2
    if distance < 0x800000:
        return 3
    return 4
