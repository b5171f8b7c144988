"""What only a server writes, and frames read whole."""

from ipaddress import IPv4Address, IPv6Address

from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.packets import QUIC_BIT, RETRY_PACKET
from trioquic._protocol.wire.transport_parameters import (
    PREFERRED_ADDRESS,
    STATELESS_RESET_TOKEN,
    TransportParameters,
    encode_transport_parameters,
)
from trioquic._protocol.wire.varint import Reader, encode_varint

LONG_FORM = 0x80


def encode_new_token(token: bytes) -> bytes:
    """NEW_TOKEN (RFC 9000 section 19.7)."""
    return b"\x07" + encode_varint(len(token)) + token


def encode_version_negotiation(dcid: bytes, scid: bytes, versions: tuple[int, ...]) -> bytes:
    """A Version Negotiation packet (RFC 9000 section 17.2.1)."""
    head = b"%c\x00\x00\x00\x00" % (LONG_FORM | QUIC_BIT)
    ids = b"%c%b%c%b" % (len(dcid), dcid, len(scid), scid)
    return head + ids + b"".join([version.to_bytes(4, "big") for version in versions])


def encode_retry(dcid: bytes, scid: bytes, token: bytes, tag: bytes, unused: int = 0) -> bytes:
    """A Retry packet (section 17.2.5); with an empty tag, what the tag is computed of. `unused`:
    the four bits that mean nothing."""
    head = b"%c\x00\x00\x00\x01" % (LONG_FORM | QUIC_BIT | RETRY_PACKET << 4 | unused)
    return head + b"%c%b%c%b%b%b" % (len(dcid), dcid, len(scid), scid, token, tag)


def encode_server_parameters(
    p: TransportParameters, grease: tuple[int, bytes] | None = None
) -> bytes:
    """All transport parameters, also those that only a server sends (section 18.2)."""
    encoded = encode_transport_parameters(p, grease)
    for parameter, value in (
        (STATELESS_RESET_TOKEN, p.stateless_reset_token),
        (PREFERRED_ADDRESS, _preferred_address(p)),
    ):
        if value is not None:
            encoded += encode_varint(parameter) + encode_varint(len(value)) + value
    return encoded


def _preferred_address(p: TransportParameters) -> bytes | None:
    preferred = p.preferred_address
    if preferred is None:
        return None
    host4, port4 = preferred.ipv4 or ("0.0.0.0", 0)
    host6, port6 = preferred.ipv6 or ("::", 0)
    addresses = IPv4Address(host4).packed + port4.to_bytes(2, "big")
    addresses += IPv6Address(host6).packed + port6.to_bytes(2, "big")
    size = bytes((len(preferred.connection_id),))
    return addresses + size + preferred.connection_id + preferred.stateless_reset_token


def read_ack(reader: Reader, with_ecn: bool) -> fr.AckFrame:
    """An ACK frame behind its type."""
    ack, reader.pos = fr.parse_ack_untrusted(reader.data, reader.pos, reader.end, with_ecn)
    return ack


def read_integers(reader: Reader, kind: int) -> int | tuple[int, ...]:
    """What a frame that is made of integers says: one, or several."""
    values = fr.read_integers_untrusted(reader, kind)
    return values[0] if len(values) == 1 else values
