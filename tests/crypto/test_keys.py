"""Packet keys of all three cipher suites: seal and open, masks in batches, whole packets."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from trioquic._protocol.crypto.keys import (
    TLS_AES_128_GCM_SHA256,
    TLS_AES_256_GCM_SHA384,
    TLS_CHACHA20_POLY1305_SHA256,
    PacketKeys,
    hkdf_expand_label,
    initial_secrets,
    packet_limits,
    protect,
    protect_batch,
    suite_hash,
    unprotect_long_untrusted,
)
from trioquic._protocol.errors import BadPacketError
from trioquic._protocol.wire.packets import (
    HANDSHAKE_PACKET,
    INITIAL_PACKET,
    encode_long_header,
    encode_short_header,
    parse_long_header_untrusted,
)

SUITES = [TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256]
KEYS = {suite: PacketKeys.derive(suite, bytes(range(48))) for suite in SUITES}

suites = st.sampled_from(SUITES)
packet_numbers = st.integers(0, (1 << 62) - 1)


@given(suites, packet_numbers, st.binary(max_size=40), st.binary(max_size=2000))
def test_seal_and_open(suite: int, pn: int, header: bytes, payload: bytes) -> None:
    keys = KEYS[suite]
    sealed = keys.seal(pn, header, payload)
    assert len(sealed) == len(payload) + 16
    assert keys.open(pn, header, sealed) == payload


@given(suites, st.data())
def test_nothing_opens_that_was_changed(suite: int, data: st.DataObject) -> None:
    keys = KEYS[suite]
    sealed = bytearray(keys.seal(5, b"header", b"payload"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    assert keys.open(5, b"header", bytes(sealed)) is None


@pytest.mark.parametrize("suite", SUITES)
def test_number_header_key_and_length_are_authenticated(suite: int) -> None:
    keys = KEYS[suite]
    sealed = keys.seal(5, b"header", b"payload")
    assert keys.open(6, b"header", sealed) is None
    assert keys.open(5, b"Header", sealed) is None
    assert PacketKeys.derive(suite, bytes(48)).open(5, b"header", sealed) is None
    assert keys.next_secret_keys().open(5, b"header", sealed) is None
    for length in range(len(sealed)):
        assert keys.open(5, b"header", sealed[:length]) is None


@pytest.mark.parametrize("suite", SUITES)
def test_a_failed_packet_leaves_the_keys_as_they_were(suite: int) -> None:
    keys = KEYS[suite]
    sealed = keys.seal(5, b"header", b"payload")
    assert keys.open(5, b"header", bytes(len(sealed))) is None
    assert keys.open(5, b"header", sealed) == b"payload"


@given(suites, st.lists(st.binary(min_size=16, max_size=16), max_size=70))
def test_masks_in_a_batch_are_those_one_by_one(suite: int, samples: list[bytes]) -> None:
    keys = KEYS[suite]
    masks = keys.masks(b"".join(samples))
    assert len(masks) == 16 * len(samples)
    for index, sample in enumerate(samples):
        assert keys.masks(sample)[:5] == masks[16 * index : 16 * index + 5]


@given(suites, packet_numbers, st.integers(1, 4), st.binary(min_size=3, max_size=300), st.data())
def test_long_packets_are_protected_and_unprotected(
    suite: int, pn: int, pn_length: int, payload: bytes, data: st.DataObject
) -> None:
    keys = KEYS[suite]
    before, after = data.draw(st.binary(max_size=30)), data.draw(st.binary(max_size=30))
    header = encode_long_header(
        HANDSHAKE_PACKET, b"destination", b"source", b"", pn, pn_length, len(payload)
    )
    packet = protect(keys, header, pn_length, keys.seal(pn, header, payload))
    assert len(packet) == len(header) + len(payload) + 16
    datagram = before + packet + after
    parsed = parse_long_header_untrusted(datagram, len(before))
    number, first, plain, ciphertext = unprotect_long_untrusted(keys, datagram, parsed, pn - 1)
    assert (number, first, plain) == (pn, header[0], header)
    assert keys.open(number, plain, ciphertext) == payload


@given(suites, st.data())
def test_a_mutated_packet_is_dropped_or_fails_to_open(suite: int, data: st.DataObject) -> None:
    keys = KEYS[suite]
    header = encode_long_header(INITIAL_PACKET, b"destination", b"src", b"token", 1, 2, 30)
    packet = bytearray(protect(keys, header, 2, keys.seal(1, header, bytes(30))))
    at = data.draw(st.integers(0, len(packet) - 1))
    packet[at] ^= data.draw(st.integers(1, 255))
    try:
        parsed = parse_long_header_untrusted(bytes(packet), 0)
        if not parsed.pn_offset:
            return
        number, _, plain, ciphertext = unprotect_long_untrusted(keys, bytes(packet), parsed, 0)
    except BadPacketError:
        return
    assert keys.open(number, plain, ciphertext) is None


@pytest.mark.parametrize("suite", SUITES)
def test_protect_hides_four_bits_of_a_long_and_five_of_a_short_header(suite: int) -> None:
    keys = KEYS[suite]
    for header, hidden in (
        (encode_long_header(HANDSHAKE_PACKET, b"d", b"s", b"", 1, 2, 30), 0x0F),
        (encode_short_header(b"dcid", 1, 2, 0, 0), 0x1F),
    ):
        changed = 0
        for filling in range(64):
            sealed = keys.seal(1, header, bytes((filling,)) * 30)
            mask = keys.masks(sealed[2:18])
            packet = protect(keys, header, 2, sealed)
            assert packet[0] ^ header[0] == mask[0] & hidden
            assert packet[1 : len(header) - 2] == header[1:-2]
            assert packet[len(header) :] == sealed
            changed |= packet[0] ^ header[0]
        assert changed == hidden


@given(suites, st.lists(st.tuples(packet_numbers, st.integers(1, 4), st.binary(min_size=3))))
def test_protect_batch_is_protect_for_each(suite: int, cases: list[tuple[int, int, bytes]]) -> None:
    keys = KEYS[suite]
    packets: list[tuple[bytes, int, bytes]] = []
    expected: list[bytes] = []
    for pn, pn_length, payload in cases:
        header = encode_short_header(b"8 bytes!", pn, pn_length, 0, 0)
        sealed = keys.seal(pn, header, payload)
        packets.append((header, 9, sealed))
        expected.append(protect(keys, header, pn_length, sealed))
    assert protect_batch(keys, packets) == b"".join(expected)


@pytest.mark.parametrize("pn_length", [1, 2, 3, 4])
def test_a_payload_must_be_long_enough_for_a_sample(pn_length: int) -> None:
    """RFC 9001 section 5.4.2: packet number and payload are at least four bytes."""
    keys = KEYS[TLS_AES_128_GCM_SHA256]
    header = encode_short_header(b"", 1, pn_length, 0, 0)
    enough = keys.seal(1, header, bytes(4 - pn_length))
    protect(keys, header, pn_length, enough)
    short = enough[:-1]
    with pytest.raises(ValueError):
        protect(keys, header, pn_length, short)
    with pytest.raises(ValueError):
        protect_batch(keys, [(header, 1, enough), (header, 1, short)])


def test_a_received_packet_too_short_for_a_sample_is_dropped() -> None:
    header = encode_long_header(HANDSHAKE_PACKET, b"", b"", b"", 1, 4, 0)
    datagram = header + bytes(16)
    keys = KEYS[TLS_AES_128_GCM_SHA256]
    unprotect_long_untrusted(keys, datagram, parse_long_header_untrusted(datagram, 0), -1)
    header = encode_long_header(HANDSHAKE_PACKET, b"", b"", b"", 1, 3, 0)
    datagram = header + bytes(16)
    # what follows in the datagram is another packet's and must not be sampled
    parsed = parse_long_header_untrusted(datagram + bytes(40), 0)
    with pytest.raises(BadPacketError):
        unprotect_long_untrusted(keys, datagram + bytes(40), parsed, -1)


def test_an_unknown_cipher_suite_is_refused() -> None:
    with pytest.raises(ValueError):
        PacketKeys.derive(0x1304, bytes(32))


def test_suites_have_their_hashes_and_limits() -> None:
    """RFC 9001 section 6.6; for ChaCha20 the number of packets is not a limit."""
    assert [suite_hash(suite).digest_size for suite in SUITES] == [32, 48, 32]
    assert [packet_limits(suite)[0] for suite in SUITES] == [1 << 23, 1 << 23, 1 << 62]
    assert [packet_limits(suite)[1] for suite in SUITES] == [1 << 52, 1 << 52, 1 << 36]


def test_expand_label_encodes_its_context() -> None:
    """RFC 8446 section 7.1, spelled out by hand."""
    sha384 = hashes.SHA384()
    info = b"\x00\x30" + b"\x0ftls13 c hs traf" + b"\x03abc"
    expected = HKDFExpand(sha384, 48, info).derive(bytes(48))
    assert hkdf_expand_label(sha384, bytes(48), b"c hs traf", 48, b"abc") == expected


def test_initial_secrets_depend_on_the_connection_id() -> None:
    assert initial_secrets(b"") != initial_secrets(bytes(1))
