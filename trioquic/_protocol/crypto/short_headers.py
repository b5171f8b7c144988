"""Takes the header protection off many short headers at once (RFC 9001 section 5.4).

Of every packet of a batch the first 16 bytes form a block, and all blocks together one large
integer; so do the masks. Which bits of a mask apply is the same in every block, so that two ANDs, a
shift and an XOR over the large integers do for the batch what would otherwise take several
operations and objects a packet. What follows the packet number in a block comes out as garbage,
which nobody may look at: how long the number is stands in the first byte.

The same arithmetic tells whether all packets carry the connection ID that is expected.
"""

from typing import Final

from ..cid.own import OWN_ID_LENGTH

BLOCK: Final = 16
# The Destination Connection ID of what we receive has a fixed length, so everything has its place:
# first byte, ID, up to 4 bytes of packet number.
PN_OFFSET: Final = 1 + OWN_ID_LENGTH
# As many as the kernel joins; what is longer is done in parts
MOST_HEADERS: Final = 64

_BITS: Final = 8 * BLOCK
# Within a block: byte 0 of the mask hides five bits of the first byte (section 5.4.1), bytes 1 to 4
# hide those behind the ID.
_FIRST: Final = 0x1F << _BITS - 8
_NUMBER: Final = 0xFFFFFFFF << _BITS - 40
_NUMBER_SHIFT: Final = 8 * OWN_ID_LENGTH
_ID_SHIFT: Final = _BITS - 8 * PN_OFFSET
_ID: Final = ((1 << 8 * OWN_ID_LENGTH) - 1) << _ID_SHIFT


def _repeat(block: int) -> list[int]:
    """`block` n times in a row, for every n up to the largest batch."""
    repeated = [0]
    for _ in range(MOST_HEADERS):
        repeated.append(repeated[-1] << _BITS | block)
    return repeated


_EVERY: Final = _repeat(1)
_FIRSTS: Final = _repeat(_FIRST)
_NUMBERS: Final = _repeat(_NUMBER)
_IDS: Final = _repeat(_ID)


def unmask(headers: bytes, masks: bytes, connection_id: bytes) -> tuple[bytes, bool]:
    """The unprotected headers, a block each, and whether all of them carry `connection_id`.

    Both arguments are blocks, `MOST_HEADERS` of them at most."""
    count = len(headers) // BLOCK
    wire = int.from_bytes(headers, "big")
    mask = int.from_bytes(masks, "big")
    plain = wire ^ mask & _FIRSTS[count] ^ (mask & _NUMBERS[count]) >> _NUMBER_SHIFT
    expected = _EVERY[count] * (int.from_bytes(connection_id, "big") << _ID_SHIFT)
    return plain.to_bytes(len(headers), "big"), wire & _IDS[count] == expected
