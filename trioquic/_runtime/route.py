"""Which interface the system would send through, and how much, asked before anything is sent.

A socket that is tied to no interface follows the routing table: when the network under it goes, the
system may send its packets through another, with the old path's connection ID from a new address.
That would link the two networks for an observer (RFC 9000 section 9.5), and would be a migration
that nobody decided. So the sockets of paths are tied to the interface that the system chose, where
it tells which that is: on Linux by rtnetlink(7), without privileges.

The largest packet of the route is where the search for a path's MTU ends (`_protocol/path/mtu.py`).
"""

import socket
import struct
import sys
from typing import Final

import trio

from .._protocol.path.mtu import ETHERNET
from ..paths import Address

_AF_NETLINK: Final = 16
_NETLINK_ROUTE: Final = 0
_GET_ROUTE: Final = 26
_NEW_ROUTE: Final = 24
_REQUEST: Final = 1
_UNICAST: Final = 1  # a route to elsewhere: not to this machine itself
_DESTINATION: Final = 1
_SOURCE: Final = 2
_OUTPUT: Final = 4
_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, sender
# family, lengths of both prefixes, service, table, protocol, scope, type, flags
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
_INDEX: Final = struct.Struct("=I")
_ANSWER_WITHIN: Final = 0.1
# Linux's options, which simulated sockets understand as well
_IP_MTU: Final = 14
_IPV6_MTU: Final = 24


def route_mtu(sock: trio.socket.SocketType) -> int:
    """The largest IP packet of the route that a connected socket takes, as far as the system tells:
    that of the interface, or less if somebody has said so."""
    ipv6 = sock.family == socket.AF_INET6
    level, option = (socket.IPPROTO_IPV6, _IPV6_MTU) if ipv6 else (socket.IPPROTO_IP, _IP_MTU)
    try:
        mtu = sock.getsockopt(level, option)
    except (OSError, NotImplementedError):
        return ETHERNET
    return mtu or ETHERNET


def outgoing_interface(family: int, local: Address, remote: Address) -> str | None:
    """The name of the interface that leads from one address to the other; None when that is this
    machine itself, or when the system does not tell. The kernel answers at once."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        with socket.socket(_AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE) as sock:
            sock.settimeout(_ANSWER_WITHIN)
            sock.send(_question(family, local, remote))
            index = _read(sock.recv(4096))
        return None if index is None else socket.if_indextoname(index)
    except (OSError, struct.error):
        return None


def _question(family: int, local: Address, remote: Address) -> bytes:
    bits = 128 if family == socket.AF_INET6 else 32
    body = _ROUTE.pack(family, bits, bits, 0, 0, 0, 0, 0, 0)
    for kind, address in ((_DESTINATION, remote), (_SOURCE, local)):
        packed = socket.inet_pton(family, address[0].partition("%")[0])
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), kind) + packed
    return _HEADER.pack(_HEADER.size + len(body), _GET_ROUTE, _REQUEST, 1, 0) + body


def _read(answer: bytes) -> int | None:
    """The number of the interface in the kernel's answer."""
    if len(answer) < _HEADER.size + _ROUTE.size or _HEADER.unpack_from(answer)[1] != _NEW_ROUTE:
        return None
    if _ROUTE.unpack_from(answer, _HEADER.size)[7] != _UNICAST:
        return None
    position = _HEADER.size + _ROUTE.size
    while position + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, position)
        if kind == _OUTPUT:
            index: int = _INDEX.unpack_from(answer, position + _ATTRIBUTE.size)[0]
            return index
        position += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return None
