"""Makes the sockets of paths: bound to an interface or address if that is wanted, connected.

`trio.socket.socket` makes them, so that a custom socket factory (a simulated network) takes part by
itself. A socket of trio's own is then taken over as a plain non-blocking one, because the batched
calls that make UDP fast are not in trio's interface; a socket of a factory, which has no `detach`,
is driven through its asynchronous methods.
"""

import errno
import ipaddress
import os
import socket
from typing import Final

import trio

from ..errors import LocalAddressError
from ..networks import NetworkSource
from .factory_socket import FactorySocket
from .native_socket import NativeSocket
from .sockets import DatagramSocket, Remote

# The option's number on Linux; simulated sockets understand it on every platform.
_SO_BINDTODEVICE: Final[int] = getattr(socket, "SO_BINDTODEVICE", 25)
# The system knows the interface but does not let us bind to it, or has no such option.
_CANNOT_BIND_TO_DEVICE: Final = (errno.EPERM, errno.EACCES, errno.ENOPROTOOPT, errno.EOPNOTSUPP)


async def bind_socket(
    family: int,
    *,
    interface: str | None,
    local: str | None,
    local_port: int,
    networks: NetworkSource,
) -> trio.socket.SocketType:
    """A UDP socket that is bound as far as the caller cares; LocalAddressError if it cannot be.

    Bound to the interface itself where the system allows that, so that what it sends really goes
    there; else to an address of the interface. Nothing is sent. Cancelled, nothing is left open.
    """
    try:
        sock = trio.socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise local_error(error, "cannot make a UDP socket") from error
    try:
        try:
            if interface is not None and not _bind_to_device(sock, interface):
                local = local or _address_of(interface, family, networks)
            if local is not None or local_port:
                wildcard = "::" if family == socket.AF_INET6 else "0.0.0.0"
                await sock.bind((local or wildcard, local_port))
        except LocalAddressError:
            raise
        except OSError as error:
            raise local_error(error, f"cannot use {_describe(interface, local)}") from error
    except BaseException:
        sock.close()
        raise
    return sock


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


def _bind_to_device(sock: trio.socket.SocketType, interface: str) -> bool:
    """Whether the system bound the socket to the interface; OSError if there is no such thing."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, os.fsencode(interface))
    except OSError as error:
        if error.errno in _CANNOT_BIND_TO_DEVICE:
            return False
        raise
    return True


def _address_of(interface: str, family: int, networks: NetworkSource) -> str:
    """The first address of an interface that fits; where binding to the interface is impossible."""
    version = 6 if family == socket.AF_INET6 else 4
    for candidate in networks.snapshot():
        if candidate.name == interface:
            for entry in candidate.addresses:
                # A link-local address would need a zone, and reaches no server behind a router.
                local = ipaddress.ip_address(entry.address).is_link_local
                if entry.version == version and not local:
                    return entry.address
            raise LocalAddressError(
                errno.EADDRNOTAVAIL, f"interface {interface!r} has no IPv{version} address"
            )
    raise LocalAddressError(errno.ENODEV, f"no interface {interface!r}")


async def connect_socket(
    sock: trio.socket.SocketType, remote: Remote, interface: str | None
) -> DatagramSocket:
    """Fix the peer of a bound socket and take it over; OSError when there is no way there.

    Nothing is sent. The socket is closed when this raises or is cancelled.
    """
    try:
        await sock.connect(remote.sockaddr)
        try:
            descriptor = sock.detach()
        except (NotImplementedError, AttributeError):
            return FactorySocket(sock, remote.address, interface)
    except BaseException:
        sock.close()
        raise
    plain = socket.socket(fileno=descriptor)
    try:
        return NativeSocket(plain, remote.address, interface)
    except BaseException:
        plain.close()
        raise
