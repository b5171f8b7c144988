"""Packets of another implementation open with our keys, and ours with theirs, in every suite."""

import pytest
from aioquic.quic.crypto import CryptoPair
from aioquic.tls import CipherSuite

from trioquic._protocol.crypto.keys import PacketKeys, protect, unprotect_long_untrusted
from trioquic._protocol.wire.packets import (
    HANDSHAKE_PACKET,
    encode_long_header,
    encode_short_header,
    parse_long_header_untrusted,
)

SUITES = [0x1301, 0x1302, 0x1303]


@pytest.mark.parametrize("suite", SUITES)
def test_both_ways_and_over_a_key_update(suite: int) -> None:
    secret = bytes(range(48 if suite == 0x1302 else 32))
    theirs = CryptoPair()
    theirs.send.setup(cipher_suite=CipherSuite(suite), secret=secret, version=1)
    theirs.recv.setup(cipher_suite=CipherSuite(suite), secret=secret, version=1)
    ours = PacketKeys.derive(suite, secret)

    header = encode_long_header(HANDSHAKE_PACKET, b"dcid", b"scid", b"", 77, 2, 500)
    payload = bytes(range(250)) * 2
    packet = protect(ours, header, 2, ours.seal(77, header, payload))
    parsed = parse_long_header_untrusted(packet, 0)
    assert theirs.encrypt_packet(header, payload, 77) == packet
    assert theirs.decrypt_packet(packet, parsed.pn_offset, 70) == (header, payload, 77)
    number, _, plain, ciphertext = unprotect_long_untrusted(ours, packet, parsed, 70)
    assert ours.open(number, plain, ciphertext) == payload

    updated = ours.next_secret_keys()
    header = encode_short_header(b"dcid", 99, 3, 1, 0)
    packet = protect(updated, header, 3, updated.seal(99, header, payload))
    assert theirs.decrypt_packet(packet, 5, 98) == (header, payload, 99)
