"""The versions of QUIC that are spoken here: 1 (RFC 9000) and 2 (RFC 9369).

Version 2 is version 1 with other numbers: the types of long headers, and the salts and labels of
keys. It exists so that nobody on the way comes to rely on those of version 1. A connection begins
with one version; the server may answer with another that the client offers, which costs no round
trip (compatible negotiation, RFC 9368 section 2.3).
"""

from typing import Final

VERSION_1: Final = 1
VERSION_2: Final = 0x6B3343CF
SPOKEN: Final = (VERSION_1, VERSION_2)


def kind_of(version: int, type_bits: int) -> int:
    """What kind of packet, in version 1's numbers, the type bits of a long header mean."""
    return (type_bits + 3) & 3 if version == VERSION_2 else type_bits


def type_bits_of(version: int, kind: int) -> int:
    """The type bits for a kind of packet (RFC 9369 section 3.2)."""
    return (kind + 1) & 3 if version == VERSION_2 else kind


def reserved_version(dice: bytes) -> int:
    """One of the numbers that exist to exercise negotiation only (RFC 9000 section 15), by four
    random bytes."""
    return int.from_bytes(dice, "big") & 0xF0F0F0F0 | 0x0A0A0A0A
