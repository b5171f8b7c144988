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

from ...networks import Interface, Route, is_own
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
    usable, near = usable_for(remote, interfaces)
    if near or not usable:
        # A system without IPv6 makes no socket of it, which is no reason to know nothing of IPv4.
        yield from near
        return
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    to = (remote.partition("%")[0], port or _ANY_PORT)
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


def usable_for(remote: str, interfaces: Sequence[Interface]) -> tuple[list[Interface], list[Route]]:
    """The interfaces that may lead to an address, and what need not be asked: routes to this
    machine itself or a neighbour, as which link that is on is no matter of routes."""
    plain, _, zone = remote.partition("%")
    address = ipaddress.ip_address(plain)
    usable = [
        interface
        for interface in interfaces
        if interface.up and any(a.version == address.version for a in interface.addresses)
        if zone in ("", interface.name, str(interface.index))
    ]
    near = address.is_link_local or is_own(str(address), interfaces)
    return usable, [
        Route(remote=remote, interface=interface.name, chosen=bool(zone))
        for interface in usable
        if near
    ]


def _source_to(family: int, server: Address, make_socket: MakeSocket) -> str | None:
    """The address that the system would send from; None if there is no route. One that leads
    nowhere but to neighbours is none: macOS has such for each utun device, VPN or not."""
    with make_socket(family, socket.SOCK_DGRAM) as sock:
        if not _connects(sock, server):
            return None
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
        tied = try_to_bind(binder, sock, family, interface.name, interface.index)
        return not tied or _connects(sock, server)


def _connects(sock: socket.socket, server: Address) -> bool:
    try:
        sock.connect(server)
    except OSError as error:
        if error.errno in _NO_WAY:
            return False
        raise
    return True
