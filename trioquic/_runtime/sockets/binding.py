"""Makes the sockets of paths: bound to an interface or address if that is wanted, connected.

`trio.socket.socket` makes them, so that a custom socket factory (a simulated network) takes part by
itself. A socket of trio's own is then taken over as a plain non-blocking one, because the batched
calls that make UDP fast are not in trio's interface; a socket of a factory, which has no `detach`,
is driven through its asynchronous methods.
"""

import errno
import ipaddress
import socket
import sys
from contextlib import suppress

import trio

from ..._address.local import LEAST_MTU, resolve_zone
from ...errors import LocalAddressError
from ...networks import Interface, NetworkSource, is_own, routes_of
from ...paths import Address
from ..system.interface_binding import bind_by_name, binder_for, send_through, try_to_bind
from ..system.route import outgoing_interface, route_mtu
from .factory_socket import FactorySocket
from .native_socket import NativeSocket
from .sockets import DatagramSocket, Remote


async def bind_socket(
    family: int,
    *,
    interface: str | None,
    local: str | None,
    local_port: int = 0,
    networks: NetworkSource,
) -> trio.socket.SocketType:
    """A UDP socket that is bound as far as the caller cares; LocalAddressError if it cannot be.

    Bound to the interface itself where the system allows that, so that what it sends really goes
    there; else to an address of the interface. Nothing is sent. Cancelled, nothing is left open.
    """
    if local is not None:
        local = str(ipaddress.ip_address(local))
    check_owner(interface, local, networks)
    try:
        sock = trio.socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise local_error(error, "cannot make a UDP socket") from error
    try:
        try:
            if interface is not None and not _bind_to_interface(sock, family, interface, networks):
                _send_through(sock, interface)
                local = local or _address_of(interface, family, networks)
            if local is not None or local_port:
                await sock.bind(_to_bind(family, local, local_port, interface, networks))
        except LocalAddressError:
            raise
        except OSError as error:
            if interface is None and error.errno == errno.EADDRNOTAVAIL:
                raise LocalAddressError(
                    error.errno, f"no interface has the address {local}"
                ) from error
            raise local_error(error, f"cannot use {_describe(interface, local)}") from error
    except BaseException:
        sock.close()
        raise
    return sock


def _to_bind(
    family: int, local: str | None, port: int, interface: str | None, networks: NetworkSource
) -> tuple[str, int] | tuple[str, int, int, int]:
    """The address to bind to; a link-local one needs its interface's number."""
    if local is None:
        local = "::" if family == socket.AF_INET6 else "0.0.0.0"
    elif family == socket.AF_INET6 and ipaddress.ip_address(local).is_link_local:
        known = None if interface is None else _find(interface, networks)
        if known is not None and known.index is not None:
            return local, port, 0, known.index
    return local, port


def local_error(error: OSError, what: str) -> LocalAddressError:
    """The typed form of an OSError about something on this machine."""
    text = error.strerror or str(error)
    return LocalAddressError(error.errno or errno.EINVAL, f"{what}: {text}")


def _describe(interface: str | None, local: str | None) -> str:
    parts = []
    if interface is not None:
        parts.append(f"interface {interface!r}")
    if local is not None:
        parts.append(f"local address {local!r}")
    return " with ".join(parts) or "any local address"


def interface_of(local: str, server: Address | None, networks: NetworkSource) -> str | None:
    """The interface that a local address belongs to, so that what is sent from there leaves there;
    the system's routes may lead elsewhere. None where nobody knows, or where no network leads to
    the server. An address may be borrowed (`networks.with_borrowed`), or belong to an interface
    that leads nowhere, such as lo or dummy0: then the system says which one sends."""
    interfaces = networks.snapshot()
    if server is not None:
        if is_own(server[0], interfaces):
            return None
        for route in routes_of(networks, (server,)) or ():
            if route.chosen and route.source == local:
                return route.interface
    owners = [
        interface
        for interface in interfaces
        if interface.kind != "loopback"
        and any(entry.address == local for entry in interface.addresses)
    ]
    owner = min(owners, key=lambda interface: not interface.up, default=None)
    return None if owner is None else owner.name


def interface_on(remote: Remote, interface: str | None, networks: NetworkSource) -> str | None:
    """The interface to begin on, which is that of the server's address if that is on one link only
    (RFC 4007). LocalAddressError if `interface` is another one."""
    zone = _zone_of(remote, networks)
    if zone is None or interface is None or zone == interface:
        return interface if zone is None else zone
    reason = f"{remote.address[0]} is on interface {zone!r}, and not on {interface!r}"
    raise LocalAddressError(errno.EADDRNOTAVAIL, reason)


def with_named_zone(remote: Remote, networks: NetworkSource) -> Remote:
    """With the name of the interface in the place of its number: one that is made anew has another
    number, and its old one may be another interface's by then."""
    if not remote.zone:
        return remote
    numbers = {interface.name: interface.index for interface in networks.snapshot()}
    return remote._replace(zone=resolve_zone(remote.zone, numbers))


def _zone_of(remote: Remote, networks: NetworkSource) -> str | None:
    """The name of the interface; None if it is a number that nobody here has."""
    name = with_named_zone(remote, networks).zone
    known = not name.isdecimal() or _find(name, networks) is not None
    return name if name and known else None


def _check_width(sock: DatagramSocket, networks: NetworkSource) -> None:
    """QUIC does not run where datagrams of 1200 bytes do not fit (RFC 9000 section 14): the
    interface's own size counts, as that of a route may be what somebody on the way has forged."""
    name = interface_name(sock, networks)
    known = None if name is None else _find(name, networks)
    least = LEAST_MTU[ipaddress.ip_address(sock.remote[0]).version]
    if known is not None and known.mtu is not None and known.mtu < least:
        reason = f"interface {name!r} carries packets of {known.mtu} bytes, QUIC needs {least}"
        raise LocalAddressError(errno.EMSGSIZE, reason)


def check_owner(interface: str | None, local: str | None, networks: NetworkSource) -> None:
    """Raises LocalAddressError for an address that is not that of the interface."""
    known = None if interface is None or local is None else _find(interface, networks)
    if known is None or local is None or known.kind == "loopback":
        return
    version = ipaddress.ip_address(local).version
    own = [entry.address for entry in known.addresses if entry.version == version]
    # an unnumbered link has none, and borrows one
    if own and local not in own:
        raise LocalAddressError(
            errno.EADDRNOTAVAIL, f"{local} is no address of interface {interface!r}"
        )


def _bind_to_interface(
    sock: trio.socket.SocketType, family: int, name: str, networks: NetworkSource
) -> bool:
    """Whether the system tied the socket to the interface itself."""
    # a socket of a factory takes Linux's option, or says that it has none
    binder = binder_for(sys.platform) if _is_of_the_system(sock) else bind_by_name
    known = None if binder is bind_by_name else _find(name, networks)
    return try_to_bind(binder, sock, family, name, None if known is None else known.index)


def _is_of_the_system(sock: trio.socket.SocketType) -> bool:
    detach = getattr(type(sock), "detach", None)
    return detach is not None and detach is not trio.socket.SocketType.detach


def _find(name: str, networks: NetworkSource) -> Interface | None:
    return next((i for i in networks.snapshot() if i.name == name), None)


def _address_of(name: str, family: int, networks: NetworkSource) -> str:
    """The best address of an interface; where binding to the interface is impossible."""
    version = 6 if family == socket.AF_INET6 else 4
    interface = _find(name, networks)
    if interface is None:
        raise LocalAddressError(errno.ENODEV, f"no interface {name!r}")
    usable = [
        entry
        for entry in interface.addresses
        # A link-local address would need a zone, and reaches no server behind a router.
        if entry.version == version
        and not entry.tentative
        and not ipaddress.ip_address(entry.address).is_link_local
    ]
    if not usable:
        raise LocalAddressError(
            errno.EADDRNOTAVAIL, f"interface {name!r} has no IPv{version} address"
        )
    # RFC 6724 section 5, rules 3 and 7; the first of equals
    return min(usable, key=lambda entry: (entry.deprecated, not entry.temporary)).address


def _send_through(sock: trio.socket.SocketType, name: str) -> None:
    """Where the socket cannot be bound to an interface: what can be done on Linux."""
    if sys.platform == "linux" and _is_of_the_system(sock):
        with suppress(OSError):  # an interface that only the application knows
            send_through(sock, sock.family, socket.if_nametoindex(name))


def _tie(sock: trio.socket.SocketType, remote: Remote, name: str) -> str | None:
    """Tie a connected socket to an interface; its name if that is possible."""
    local = sock.getsockname()[:2]
    # Without privileges it cannot be undone, so whether it works is tried on another socket.
    with socket.socket(sock.family, socket.SOCK_DGRAM) as trial:
        trial.setblocking(False)
        try:
            if not try_to_bind(bind_by_name, trial, sock.family, name, None):
                return None
            trial.bind((local[0], 0))
            trial.connect(remote.sockaddr)
        except OSError:
            return None
    return name if try_to_bind(bind_by_name, sock, sock.family, name, None) else None


async def connect_socket(
    sock: trio.socket.SocketType,
    remote: Remote,
    interface: str | None,
    *,
    networks: NetworkSource,
    tie: bool = False,
) -> DatagramSocket:
    """Fix the peer of a bound socket and take it over; OSError when there is no way there,
    LocalAddressError where QUIC cannot be used on the way out.

    With `tie` a socket without an interface is tied to the one that its packets take now, where
    the system allows that. Nothing is sent. The socket is closed when this raises or is cancelled.
    """
    try:
        known = None if interface is None else _find(interface, networks)
        await sock.connect(remote.on(None if known is None else known.index))
        way_out = interface
        if interface is None and tie and _is_of_the_system(sock):
            # what the socket's packets take, where the system tells
            way_out = outgoing_interface(sock.family, sock.getsockname()[:2], remote.address)
            interface = None if way_out is None else _tie(sock, remote, way_out)
        connected = _take_over(sock, remote, interface, route_mtu(sock))
        if way_out is not None and isinstance(connected, NativeSocket):
            connected.stay_with(way_out)
    except BaseException:
        sock.close()
        raise
    try:
        _check_width(connected, networks)
    except BaseException:
        connected.close()
        raise
    return connected


def _take_over(
    sock: trio.socket.SocketType, remote: Remote, interface: str | None, mtu: int
) -> DatagramSocket:
    try:
        descriptor = sock.detach()
    except (NotImplementedError, AttributeError):
        return FactorySocket(sock, remote.address, interface, mtu)
    plain = socket.socket(fileno=descriptor)
    try:
        return NativeSocket(plain, remote.address, interface, mtu)
    except BaseException:
        plain.close()
        raise


def interface_name(sock: DatagramSocket, networks: NetworkSource) -> str | None:
    """The interface that the socket is bound to, or that has its address: the application may call
    it by another name than the system."""
    interfaces = networks.snapshot()
    if any(interface.name == sock.interface for interface in interfaces):
        return sock.interface
    for interface in interfaces:
        if any(entry.address == sock.local[0] for entry in interface.addresses):
            return interface.name
    return sock.interface
