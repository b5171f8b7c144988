"""Which interface the system would send through, and how much, asked before anything is sent.

A socket that is tied to no interface follows the routing table: when the network under it goes, the
system may send its packets through another, with the old path's connection ID from a new address.
That would link the two networks for an observer (RFC 9000 section 9.5), and would be a migration
that nobody decided. So the sockets of paths are tied to the interface that the system chose, where
it tells which that is: on Linux by rtnetlink(7), without privileges.

The largest packet of the route is where the search for a path's MTU ends (`_protocol/path/mtu.py`).
"""

import socket
import sys
from typing import Final

import trio

from ..._protocol.path.mtu import ETHERNET
from ...paths import Address
from . import netlink
from .linux_routes import ask
from .shortage import is_shortage

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
    machine itself, or when the system does not tell. The kernel answers at once. OSError where it
    may tell the next time: a socket that is not tied for that reason would follow any route."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        with netlink.open_for_questions() as sock:
            answer = ask(sock, family, remote, source=local)
        if answer is None or answer.local or not answer.interfaces:
            return None
        return socket.if_indextoname(answer.interfaces[0])
    except OSError as error:
        if is_shortage(error):
            raise
        return None
