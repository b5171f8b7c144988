"""What makes the system's network source look again.

On Linux a netlink socket hears of every change of a link, address or route (rtnetlink(7)). It says
only that there is something to see: the snapshot is the truth. Elsewhere, and where netlink is
forbidden (Android), the trigger is a clock.

A trigger lives for one wait. From the moment it is open no change escapes it.
"""

import errno
import socket
import struct
from abc import ABC, abstractmethod
from typing import Final

import trio

# Numbers of Linux that Python does not name, or names on Linux only
_AF_NETLINK: Final = 16
_NETLINK_ROUTE: Final = 0
_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # links; addresses and routes of both families
_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, sender
_NEW_ROUTE: Final = 24
_DEL_ROUTE: Final = 25

_RECEIVE_SIZE: Final = 65_536
_MOST_MESSAGES_AT_ONCE: Final = 64


class Trigger(ABC):
    """Waits for a reason to look."""

    @abstractmethod
    async def wait(self) -> bool:
        """Wait; True if there is something new that a snapshot may not show (a route)."""

    def close(self) -> None:
        """Release what the trigger holds."""
        return None


class Clock(Trigger):
    """A reason to look every `interval` seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval

    async def wait(self) -> bool:
        await trio.sleep(self._interval)
        return False


class NetlinkTrigger(Trigger):
    """The kernel's own news. Takes over a netlink socket that is subscribed already."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @classmethod
    def open(cls) -> "NetlinkTrigger":
        """Subscribe; OSError where that is not possible."""
        sock = socket.socket(_AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE)
        try:
            sock.setblocking(False)
            # the sender's number 0 lets the kernel choose one
            sock.bind((0, _GROUPS))  # type: ignore[arg-type,unused-ignore]
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def wait(self) -> bool:
        await trio.lowlevel.wait_readable(self._sock)
        return self._drain()

    def _drain(self) -> bool:
        """Read what is there, up to a bound; the rest makes the next wait short."""
        routes = False
        for _ in range(_MOST_MESSAGES_AT_ONCE):
            try:
                data = self._sock.recv(_RECEIVE_SIZE)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                # The kernel dropped messages: anything may have changed.
                routes = True
            else:
                routes = routes or has_default_route(data)
        return routes

    def close(self) -> None:
        self._sock.close()


def has_default_route(data: bytes) -> bool:
    """Whether one of the netlink messages says that a default route came or went."""
    position = 0
    while position + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, position)
        if length < _HEADER.size or position + length > len(data):
            return False
        # After the header: address family, then the length of the destination's prefix.
        if kind in (_NEW_ROUTE, _DEL_ROUTE) and length >= _HEADER.size + 2:
            if data[position + _HEADER.size + 1] == 0:
                return True
        position += (length + 3) & ~3
    return False


def open_trigger(platform: str, interval: float) -> Trigger:
    """The best trigger that `sys.platform` has; `interval` is a clock's."""
    if platform in ("linux", "android"):
        try:
            return NetlinkTrigger.open()
        except OSError:
            # Forbidden, or out of descriptors, in which case the next wait may get one.
            pass
    return Clock(interval)
