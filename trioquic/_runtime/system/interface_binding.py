"""How a socket is tied to an interface, so that a probe for a path really takes that path.

An address alone does not do it: most systems route by destination, and send a packet from the
address of one interface through another. Each has its own option:

- Linux: SO_BINDTODEVICE with the interface's name (from Linux 5.7 on without privileges). Before,
  IP_UNICAST_IF and IPV6_UNICAST_IF with the index in network byte order ask for no privileges, and
  choose the way out only, when the route is looked up again: enough to keep what is sent from
  another interface when the routes of this one are gone.
- macOS and iOS: IP_BOUND_IF and IPV6_BOUND_IF with the interface's index.
- Windows: IP_UNICAST_IF with the index in network byte order, IPV6_UNICAST_IF with the index in
  the host's. They choose the way out only.

Simulated sockets understand Linux's option wherever they run.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final, Protocol

from ...networks import Interface

IP_BOUND_IF: Final = 25
IPV6_BOUND_IF: Final = 125
IP_UNICAST_IF: Final = 31
IPV6_UNICAST_IF: Final = 31
_LINUX_UNICAST_IF: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, 50),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 76),
}
SO_BINDTODEVICE: Final[int] = getattr(socket, "SO_BINDTODEVICE", 25)

# The system does not let us, has no such option, or does not know the interface by that name or
# index (it may be one that the application made up). An address of the interface may still do.
_NOT_POSSIBLE: Final = (
    errno.EPERM,
    errno.EACCES,
    errno.ENOPROTOOPT,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.ENODEV,
    errno.ENXIO,
    errno.EADDRNOTAVAIL,
)


class OptionSocket(Protocol):
    """What tying takes: a socket with options."""

    def setsockopt(self, level: int, optname: int, value: int | bytes, /) -> None: ...


InterfaceBinder = Callable[[OptionSocket, int, str, int | None], None]
"""Ties a socket of a family to the interface of this name and index; OSError: it is refused."""


def bind_by_name(sock: OptionSocket, family: int, name: str, index: int | None, /) -> None:
    """Linux, and simulated sockets."""
    sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, os.fsencode(name))


def send_through(sock: OptionSocket, family: int, index: int) -> None:
    """Linux, where a socket cannot be bound to an interface: at least it sends by this one."""
    level, option = _LINUX_UNICAST_IF[socket.AddressFamily(family)]
    sock.setsockopt(level, option, struct.pack("!I", index))


def bind_on_apple(sock: OptionSocket, family: int, name: str, index: int | None, /) -> None:
    """macOS and iOS."""
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_BOUND_IF, _known(index))
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_BOUND_IF, _known(index))


def bind_on_windows(sock: OptionSocket, family: int, name: str, index: int | None, /) -> None:
    """Windows, which wants the two in different byte orders."""
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_UNICAST_IF, _known(index))
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_UNICAST_IF, struct.pack("!I", _known(index)))


def no_binding(sock: OptionSocket, family: int, name: str, index: int | None, /) -> None:
    """A system that has no such option."""
    raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))


def binder_for(platform: str) -> InterfaceBinder:
    """The way of `sys.platform`."""
    if platform in ("linux", "android"):
        return bind_by_name
    if platform in ("darwin", "ios"):
        return bind_on_apple
    if platform == "win32":
        return bind_on_windows
    return no_binding


class BindableSocket(OptionSocket, Protocol):
    """What `bind_to_interface` takes: a socket of Python's or of trio's."""

    @property
    def family(self) -> int: ...


def bind_to_interface(sock: BindableSocket, interface: Interface) -> None:
    """Tie a socket of yours, TCP's for instance, to an interface as those of connections are tied:
    before it is connected, so that nothing of it leaves by another one. Returns at once.

    Raises OSError where the system does not let us (Linux before 5.7 without privileges).
    """
    binder_for(sys.platform)(sock, sock.family, interface.name, interface.index)


def try_to_bind(
    binder: InterfaceBinder, sock: OptionSocket, family: int, name: str, index: int | None
) -> bool:
    """Whether the socket is tied now; False if only an address can do. Raises other OSErrors."""
    try:
        binder(sock, family, name, index)
    except OSError as error:
        if error.errno in _NOT_POSSIBLE:
            return False
        raise
    return True


def _known(index: int | None) -> int:
    if index is None:
        raise OSError(errno.ENXIO, "the interface has no number")
    return index
