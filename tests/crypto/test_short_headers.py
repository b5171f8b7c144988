"""Header protection of a batch is taken off as it was put on (RFC 9001 section 5.4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioquic._protocol.cid.own import OWN_ID_LENGTH
from trioquic._protocol.crypto.keys import (
    TLS_AES_128_GCM_SHA256,
    TLS_CHACHA20_POLY1305_SHA256,
    PacketKeys,
    protect,
)
from trioquic._protocol.crypto.short_headers import (
    BLOCK,
    MOST_HEADERS,
    PN_OFFSET,
    unmask,
)
from trioquic._protocol.errors import INTERNAL_ERROR, BadPacketError
from trioquic._protocol.wire.packets import encode_short_header

KEYS = {
    suite: PacketKeys.derive(suite, bytes(range(32)))
    for suite in (TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256)
}
OURS = b"our ID.."
headers = st.tuples(
    st.sampled_from((OURS, b"other ID", bytes(OWN_ID_LENGTH))),
    st.integers(0, 2**62 - 1),
    st.integers(1, 4),
    st.integers(0, 1),
    st.integers(0, 1),
)


@given(
    st.sampled_from(sorted(KEYS)),
    st.lists(headers, min_size=1, max_size=MOST_HEADERS),
)
def test_every_header_comes_out_as_it_was(
    suite: int, cases: list[tuple[bytes, int, int, int, int]]
) -> None:
    keys = KEYS[suite]
    plain: list[bytes] = []
    packets: list[bytes] = []
    for connection_id, number, pn_length, phase, spin in cases:
        header = encode_short_header(connection_id, number, pn_length, phase, spin)
        sealed = keys.seal(number, header, b"three or more bytes")
        plain.append(header)
        packets.append(protect(keys, header, pn_length, sealed))
    masks = keys.masks(b"".join([packet[PN_OFFSET + 4 : PN_OFFSET + 20] for packet in packets]))
    blocks, known = unmask(b"".join([packet[:BLOCK] for packet in packets]), masks, OURS)
    for index, header in enumerate(plain):
        at = index * BLOCK
        assert blocks[at : at + len(header)] == header
    assert known is all(case[0] == OURS for case in cases)


@pytest.mark.parametrize("suite", sorted(KEYS))
@pytest.mark.parametrize("size", [1, 7, 8, 15, 17, 31, 47])
def test_a_piece_of_a_sample_is_refused_and_changes_no_mask(suite: int, size: int) -> None:
    keys = PacketKeys.derive(suite, bytes(range(32)))
    sample = bytes(range(16))
    before = keys.masks(sample)
    with pytest.raises(BadPacketError) as caught:
        keys.masks(bytes(size))
    assert caught.value.code == INTERNAL_ERROR
    assert keys.masks(sample) == before
    assert keys.masks(b"") == b""


@pytest.mark.parametrize("position", range(OWN_ID_LENGTH))
def test_one_wrong_bit_of_an_id_is_noticed(position: int) -> None:
    wrong = bytearray(OURS)
    wrong[position] ^= 1
    block = bytes((0x40,)) + OURS + bytes(BLOCK - PN_OFFSET)
    other = bytes((0x40,)) + bytes(wrong) + bytes(BLOCK - PN_OFFSET)
    masks = bytes(3 * BLOCK)
    assert unmask(block * 3, masks, OURS)[1]
    assert not unmask(block + other + block, masks, OURS)[1]
