"""What the lab reads off an IP packet that passes: UDP addresses and the connection ID used.

The ID of a short-header packet is not encrypted (RFC 9000 section 17.3.1, RFC 9001 section 5.4),
but its length is not said either. The first bytes are enough to tell two IDs apart.
"""

import socket
import struct
from typing import Final, NamedTuple

_UDP: Final = 17
_PORTS: Final = struct.Struct("!HH")
_LONG_HEADER: Final = 0x80
# Both servers choose IDs of at least this many bytes.
ID_PREFIX: Final = 8


class Datagram(NamedTuple):
    """The addresses of a UDP datagram, its payload's size, and the beginning of its ID."""

    source: tuple[str, int]
    destination: tuple[str, int]
    size: int
    connection_id: str
    """Hexadecimal; empty for a long header, whose IDs are those of the handshake."""


def read_datagram(packet: bytes) -> Datagram | None:
    """None for anything but UDP."""
    if len(packet) >= 28 and packet[0] >> 4 == 4 and packet[9] == _UDP:
        start = (packet[0] & 15) * 4
        addresses = [socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16)]
    elif len(packet) >= 48 and packet[0] >> 4 == 6 and packet[6] == _UDP:
        start = 40
        addresses = [socket.inet_ntop(socket.AF_INET6, packet[at : at + 16]) for at in (8, 24)]
    else:
        return None
    source_port, destination_port = _PORTS.unpack_from(packet, start)
    payload = packet[start + 8 :]
    short = bool(payload) and not payload[0] & _LONG_HEADER
    return Datagram(
        (addresses[0], source_port),
        (addresses[1], destination_port),
        len(payload),
        payload[1 : 1 + ID_PREFIX].hex() if short else "",
    )
