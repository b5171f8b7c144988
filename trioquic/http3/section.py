"""How much a compressed field section can grow, seen before it is decompressed (RFC 9204, 4.5).

One byte may stand for a whole entry of the dynamic table, so a section of a few kilobytes could
become gigabytes in the decoder. All entries together are no larger than the table, so what a
section takes from it is no larger than the table times the references to the one entry that is used
most. Counting these before bounds it: whoever names one entry over and over is not describing a
response.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from .fields import FIELD_OVERHEAD

# bytes that one section may take from the dynamic table
MOST_FROM_TABLE: Final = 1 << 22


def most_repeats(table_capacity: int) -> int:
    """How often a field section may refer to one and the same entry of a dynamic table of this
    size."""
    return MOST_FROM_TABLE // max(1, table_capacity)


def count_lines(section: bytes, table_capacity: int, most: int) -> tuple[int, int]:
    """How many field lines a section has, and how often it refers to the entry of the dynamic table
    that it refers to most. It is read no further than to the first line beyond `most`.

    A section that is cut off or not well formed is read up to there: the decoder refuses it.
    """
    # A decoder may count entries in a circle of this size (section 4.5.1.1) and take an index that
    # goes around it for another name of a near entry; so one that does may be any of them.
    circle = 2 * (table_capacity // FIELD_OVERHEAD)
    far = 0
    lines = 0
    entries: Counter[int] = Counter()
    for index, behind_base in _references(section):
        lines += 1
        if lines > most:
            break
        if index >= circle:
            far += 1
        elif index >= 0:
            entries[index if behind_base else circle - 1 - index] += 1
    return lines, far + max(entries.values(), default=0)


def _references(section: bytes) -> Iterator[tuple[int, bool]]:
    """What each field line takes from the dynamic table: an index, -1 for nothing, and whether it
    counts from the base on, or back from it."""
    position = 0
    for prefix in (8, 7):
        _, position = _integer(section, position, prefix)
    while position < len(section):
        first = section[position]
        if first & 0x80:  # indexed; the next bit says: static table
            index, position = _integer(section, position, 6)
            yield -1 if first & 0x40 else index, False
        elif first & 0x40:  # literal value, name by index; the bit after the next says: static
            index, position = _integer(section, position, 4)
            yield -1 if first & 0x10 else index, False
            position = _skip_string(section, position, 7)
        elif first & 0x20:  # literal name and value
            position = _skip_string(section, _skip_string(section, position, 3), 7)
            yield -1, False
        elif first & 0x10:  # indexed, behind the base
            index, position = _integer(section, position, 4)
            yield index, True
        else:  # literal value, name by index behind the base
            index, position = _integer(section, position, 3)
            yield index, True
            position = _skip_string(section, position, 7)


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


def _skip_string(data: bytes, position: int, bits: int) -> int:
    length, position = _integer(data, position, bits)
    return position + length
