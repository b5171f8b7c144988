"""RFC 9001 appendix A: every value it prints is reproduced, in both directions."""

from cryptography.hazmat.primitives import hashes

from tests.peer.wire import encode_retry, read_ack
from tests.vectors import rfc9001 as v
from trioquic._protocol.crypto.keys import (
    TLS_AES_128_GCM_SHA256,
    TLS_CHACHA20_POLY1305_SHA256,
    PacketKeys,
    hkdf_expand_label,
    initial_secrets,
    protect,
    protect_batch,
    unprotect_long_untrusted,
)
from trioquic._protocol.crypto.retry import retry_is_authentic, retry_tag
from trioquic._protocol.wire import frames
from trioquic._protocol.wire.packets import (
    INITIAL_PACKET,
    RETRY_PACKET,
    decode_packet_number,
    encode_long_header,
    encode_short_header,
    parse_long_header_untrusted,
)
from trioquic._protocol.wire.varint import Reader

SHA256 = hashes.SHA256()


def client_keys() -> PacketKeys:
    return PacketKeys.derive(TLS_AES_128_GCM_SHA256, v.CLIENT_INITIAL_SECRET)


def server_keys() -> PacketKeys:
    return PacketKeys.derive(TLS_AES_128_GCM_SHA256, v.SERVER_INITIAL_SECRET)


def chacha_keys() -> PacketKeys:
    return PacketKeys.derive(TLS_CHACHA20_POLY1305_SHA256, v.CHACHA_SECRET)


def test_a1_secrets_and_keys() -> None:
    assert initial_secrets(v.DCID) == (v.CLIENT_INITIAL_SECRET, v.SERVER_INITIAL_SECRET)
    for secret, key, iv, hp in (
        (v.CLIENT_INITIAL_SECRET, v.CLIENT_KEY, v.CLIENT_IV, v.CLIENT_HP),
        (v.SERVER_INITIAL_SECRET, v.SERVER_KEY, v.SERVER_IV, v.SERVER_HP),
    ):
        assert hkdf_expand_label(SHA256, secret, b"quic key", 16) == key
        assert hkdf_expand_label(SHA256, secret, b"quic iv", 12) == iv
        assert hkdf_expand_label(SHA256, secret, b"quic hp", 16) == hp


def test_a2_client_initial_is_written() -> None:
    header = encode_long_header(
        INITIAL_PACKET, v.DCID, b"", b"", v.CLIENT_PACKET_NUMBER, 4, len(v.CLIENT_PAYLOAD)
    )
    assert header == v.CLIENT_HEADER
    keys = client_keys()
    sealed = keys.seal(v.CLIENT_PACKET_NUMBER, header, v.CLIENT_PAYLOAD)
    assert sealed[:16] == v.CLIENT_SAMPLE
    assert keys.masks(v.CLIENT_SAMPLE)[:5] == v.CLIENT_MASK
    assert protect(keys, header, 4, sealed) == v.CLIENT_PACKET
    assert protect_batch(keys, [(header, 18, sealed)]) == v.CLIENT_PACKET


def test_a2_client_initial_is_read() -> None:
    parsed = parse_long_header_untrusted(v.CLIENT_PACKET, 0)
    assert (parsed.kind, parsed.version) == (INITIAL_PACKET, 1)
    assert (parsed.dcid, parsed.scid, parsed.token) == (v.DCID, b"", b"")
    assert (parsed.pn_offset, parsed.end) == (18, 1200)
    keys = client_keys()
    number, first, header, ciphertext = unprotect_long_untrusted(keys, v.CLIENT_PACKET, parsed, -1)
    assert (number, first, header) == (v.CLIENT_PACKET_NUMBER, 0xC3, v.CLIENT_HEADER)
    payload = keys.open(number, header, ciphertext)
    assert payload == v.CLIENT_PAYLOAD
    reader = Reader(payload)
    assert reader.frame_type_untrusted() == frames.CRYPTO
    offset, start, end = frames.parse_crypto_untrusted(payload, reader.pos, reader.end)
    assert offset == 0 and frames.encode_crypto(0, payload[start:end]) == v.CLIENT_CRYPTO_FRAME


def test_a3_server_initial_is_written() -> None:
    header = encode_long_header(
        INITIAL_PACKET, b"", v.SERVER_SCID, b"", v.SERVER_PACKET_NUMBER, 2, len(v.SERVER_PAYLOAD)
    )
    assert header == v.SERVER_HEADER
    keys = server_keys()
    sealed = keys.seal(v.SERVER_PACKET_NUMBER, header, v.SERVER_PAYLOAD)
    assert keys.masks(v.SERVER_SAMPLE)[:5] == v.SERVER_MASK
    assert protect(keys, header, 2, sealed) == v.SERVER_PACKET


def test_a3_server_initial_is_read() -> None:
    parsed = parse_long_header_untrusted(v.SERVER_PACKET, 0)
    assert (parsed.dcid, parsed.scid) == (b"", v.SERVER_SCID)
    keys = server_keys()
    number, _, header, ciphertext = unprotect_long_untrusted(keys, v.SERVER_PACKET, parsed, -1)
    assert (number, header) == (v.SERVER_PACKET_NUMBER, v.SERVER_HEADER)
    payload = keys.open(number, header, ciphertext)
    assert payload == v.SERVER_PAYLOAD
    reader = Reader(payload)
    assert reader.frame_type_untrusted() == frames.ACK
    ack = read_ack(reader, False)
    assert (ack.largest, ack.delay, ack.ranges) == (0, 0, [(0, 0)])
    assert reader.frame_type_untrusted() == frames.CRYPTO
    _, start, end = frames.parse_crypto_untrusted(payload, reader.pos, reader.end)
    assert end - start == 90
    assert end == len(payload)


def test_a4_retry() -> None:
    without_tag = encode_retry(b"", v.SERVER_SCID, b"token", b"")
    # the four unused bits of the first byte are arbitrary; the RFC's sample has them set
    without_tag = b"\xff" + without_tag[1:]
    tag = retry_tag(v.DCID, without_tag)
    assert without_tag + tag == v.RETRY_PACKET
    parsed = parse_long_header_untrusted(v.RETRY_PACKET, 0)
    assert (parsed.kind, parsed.scid, parsed.token) == (RETRY_PACKET, v.SERVER_SCID, b"token")
    assert parsed.integrity_tag == tag
    assert retry_is_authentic(v.DCID, v.RETRY_PACKET[:-16], parsed.integrity_tag)
    assert not retry_is_authentic(v.DCID[:-1], v.RETRY_PACKET[:-16], tag)
    assert not retry_is_authentic(v.DCID, v.RETRY_PACKET[:-17] + b"m", tag)


def test_a5_chacha20_keys() -> None:
    for label, length, value in (
        (b"quic key", 32, v.CHACHA_KEY),
        (b"quic iv", 12, v.CHACHA_IV),
        (b"quic hp", 32, v.CHACHA_HP),
        (b"quic ku", 32, v.CHACHA_NEXT_SECRET),
    ):
        assert hkdf_expand_label(SHA256, v.CHACHA_SECRET, label, length) == value


def test_a5_chacha20_short_header() -> None:
    header = encode_short_header(b"", v.CHACHA_PACKET_NUMBER, 3, key_phase=0, spin=0)
    assert header == v.CHACHA_HEADER
    keys = chacha_keys()
    sealed = keys.seal(v.CHACHA_PACKET_NUMBER, header, v.CHACHA_PAYLOAD)
    assert sealed == v.CHACHA_SEALED
    assert keys.masks(v.CHACHA_SAMPLE)[:5] == v.CHACHA_MASK
    assert protect(keys, header, 3, sealed) == v.CHACHA_PACKET
    assert protect_batch(keys, [(header, 1, sealed)] * 3) == v.CHACHA_PACKET * 3
    assert keys.open(v.CHACHA_PACKET_NUMBER, header, sealed) == v.CHACHA_PAYLOAD
    assert decode_packet_number(49140, 24, v.CHACHA_PACKET_NUMBER - 1) == v.CHACHA_PACKET_NUMBER


def test_a5_next_keys_come_from_the_next_secret_and_keep_header_protection() -> None:
    updated = chacha_keys().next_secret_keys()
    fresh = PacketKeys.derive(TLS_CHACHA20_POLY1305_SHA256, v.CHACHA_NEXT_SECRET)
    assert updated.open(7, b"header", fresh.seal(7, b"header", b"payload")) == b"payload"
    assert updated.masks(v.CHACHA_SAMPLE)[:5] == v.CHACHA_MASK
    assert fresh.masks(v.CHACHA_SAMPLE)[:5] != v.CHACHA_MASK
