"""Routes of systems that are asked by connecting UDP sockets: macOS, the BSDs, and unknown ones.

Connecting a UDP socket sends nothing: the system looks for a route, and refuses if there is none.
A socket without wishes gets the source address of the system's own choice, and so names its
interface. One that is tied to an interface is refused if that has no route. Metrics cannot be asked
in this way. Where a socket cannot be tied, whether there is a route is unknown, and is supposed.
"""

import errno
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ...networks import Interface, Route
from ...paths import Address
from .interface_binding import InterfaceBinder, try_to_bind

_ANY_PORT: Final = 9
_NO_WAY: Final = (
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
    errno.EHOSTDOWN,
)

MakeSocket = Callable[[int, int], socket.socket]


def probed_routes(
    interfaces: Sequence[Interface],
    servers: Sequence[Address],
    *,
    binder: InterfaceBinder,
    make_socket: MakeSocket = socket.socket,
) -> tuple[Route, ...] | None:
    """The routes to these servers; None if the system does not tell."""
    try:
        return tuple(
            route
            for server in servers
            for route in _routes_to(interfaces, server, binder, make_socket)
        )
    except OSError:
        return None


def _routes_to(
    interfaces: Sequence[Interface],
    server: Address,
    binder: InterfaceBinder,
    make_socket: MakeSocket,
) -> Iterable[Route]:
    remote, port = server
    plain, _, zone = remote.partition("%")
    address = ipaddress.ip_address(plain)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    usable = [
        interface
        for interface in interfaces
        if interface.up and any(a.version == address.version for a in interface.addresses)
        if zone in ("", interface.name, str(interface.index))
    ]
    if not usable:
        # A system without IPv6 makes no socket of it, which is no reason to know nothing of IPv4.
        return
    own = any(a.address == str(address) for i in interfaces for a in i.addresses)
    if own or address.is_loopback or address.is_link_local:
        # this machine itself, or a neighbour: which link it is on is no matter of routes
        for interface in usable:
            yield Route(remote=remote, interface=interface.name, chosen=bool(zone))
        return
    to = (plain, port or _ANY_PORT)
    source = _source_to(family, to, make_socket)
    for interface in usable:
        chosen = any(a.address == source for a in interface.addresses)
        if chosen or _has_route(family, to, interface, binder, make_socket):
            yield Route(
                remote=remote,
                interface=interface.name,
                source=source if chosen else None,
                chosen=chosen,
            )


def _source_to(family: int, server: Address, make_socket: MakeSocket) -> str | None:
    """The address that the system would send from; None if there is no route. One that leads
    nowhere but to neighbours is none: macOS has such for each utun device, VPN or not."""
    with make_socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(server)
        except OSError as error:
            if error.errno in _NO_WAY:
                return None
            raise
        name = sock.getsockname()[0].partition("%")[0]
        return None if ipaddress.ip_address(name).is_link_local else name


def _has_route(
    family: int,
    server: Address,
    interface: Interface,
    binder: InterfaceBinder,
    make_socket: MakeSocket,
) -> bool:
    with make_socket(family, socket.SOCK_DGRAM) as sock:
        if not try_to_bind(binder, sock, family, interface.name, interface.index):
            return True
        try:
            sock.connect(server)
        except OSError as error:
            if error.errno in _NO_WAY:
                return False
            raise
    return True
