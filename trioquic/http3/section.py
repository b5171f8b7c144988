"""How much a compressed field section can grow, seen before it is decompressed (RFC 9204, 4.5).

One byte may stand for a whole entry of the dynamic table, so a section of a few kilobytes could
become tens of megabytes in the decoder. Counting the references before bounds that: whoever refers
to the table more often than the table can have entries, twice over, is not describing a response.
"""

from typing import Final

# RFC 9204 section 3.2.1: an entry counts as at least this much
ENTRY_OVERHEAD: Final = 32
_REFERENCES_PER_ENTRY: Final = 2
_FEW: Final = 64


def most_references(table_capacity: int) -> int:
    """How many references to a dynamic table of this size a field section may have."""
    return _FEW + _REFERENCES_PER_ENTRY * (table_capacity // ENTRY_OVERHEAD)


def dynamic_references(section: bytes) -> int:
    """How many of a field section's lines take something from the dynamic table.

    A section that is cut off or not well formed is counted up to there: the decoder refuses it.
    """
    count = 0
    position = _skip_integer(section, _skip_integer(section, 0, 8), 7)
    while position < len(section):
        first = section[position]
        if first & 0x80:  # indexed; the next bit says: static table
            count += not first & 0x40
            position = _skip_integer(section, position, 6)
        elif first & 0x40:  # literal value, name by index; the bit after the next says: static
            count += not first & 0x10
            position = _skip_string(section, _skip_integer(section, position, 4), 7)
        elif first & 0x20:  # literal name and value
            position = _skip_string(section, _skip_string(section, position, 3), 7)
        elif first & 0x10:  # indexed, behind the base
            count += 1
            position = _skip_integer(section, position, 4)
        else:  # literal value, name by index behind the base
            count += 1
            position = _skip_string(section, _skip_integer(section, position, 3), 7)
    return count


def _integer(data: bytes, position: int, bits: int) -> tuple[int, int]:
    """An integer with a prefix of `bits` bits (RFC 7541 section 5.1), and what follows it."""
    if position >= len(data):
        return 0, len(data)
    limit = (1 << bits) - 1
    value = data[position] & limit
    position += 1
    if value < limit:
        return value, position
    shift = 0
    while position < len(data) and shift < 63:
        byte = data[position]
        position += 1
        value += (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
    return 0, len(data)


def _skip_integer(data: bytes, position: int, bits: int) -> int:
    return _integer(data, position, bits)[1]


def _skip_string(data: bytes, position: int, bits: int) -> int:
    length, position = _integer(data, position, bits)
    return position + length
