"""What makes the system's network source look again.

Each system tells in its own way that there is something to see; the snapshot is the truth:

- Linux: a netlink socket hears of every change of a link, address, route, next hop or rule
  (rtnetlink(7)).
- macOS, iOS, FreeBSD: a routing socket hears the same (route(4)).
- Windows: a function of ours is called when an interface, address or route changes
  (windows_news.py).
- elsewhere, and where it is forbidden (netlink on Android): a clock.

What is not Linux's is bounded by the clock as well, so that a message that never comes costs a
delay and nothing worse. A trigger lives for one wait. Once it is open no change escapes it.
"""

import errno
import math
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from ..system import netlink
from ..system.shortage import is_shortage
from .windows_news import subscribe as subscribe_on_windows

# Numbers of Linux that Python does not name
# links; addresses, routes and rules of both families
_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000
# next hops that routes name (ip-nexthop(8)), beyond what a mask can say; since 5.3
_SOL_NETLINK: Final = 270
_ADD_MEMBERSHIP: Final = 1
_NEXT_HOPS: Final = 32
_NEW_NEXT_HOP: Final = 104
_DEL_NEXT_HOP: Final = 105
_NEW_ROUTE: Final = 24
_DEL_ROUTE: Final = 25
_NEW_RULE: Final = 32
_DEL_RULE: Final = 33
_ROUTE_SIZE: Final = 12
_ROUTE_TYPE: Final = 7  # where it is told
# These come and go with each address: local, broadcast, anycast, multicast.
_OWN_ADDRESSES: Final = (2, 3, 4, 5)

# The same of the BSDs
_AF_ROUTE: Final = 17
_ROUTING_HEADER: Final = struct.Struct("=HBBHxxi")  # length, version, type, interface, flags
_ROUTE_CHANGES: Final = (1, 2, 3)  # RTM_ADD, RTM_DELETE, RTM_CHANGE
_RTF_HOST: Final = 0x4
_BSDS: Final = ("darwin", "ios", "freebsd")

_RECEIVE_SIZE: Final = 65_536
_MOST_MESSAGES_AT_ONCE: Final = 64


MakeSocket = Callable[[int, int, int], socket.socket]
"""Makes a socket as `socket.socket` does; OSError where there is no such socket."""
Subscribe = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes what is to be called, in any thread, when there is news; returns what ends that."""


class ChangeTrigger(ABC):
    """Waits for a reason to look."""

    stands_in = False
    """Whether there may be a better one soon."""

    @abstractmethod
    async def wait(self) -> bool:
        """Wait; True if there is something new that a snapshot may not show (a route)."""

    def heard_nothing(self) -> bool:
        """Whether there is certainly no reason to look now; False if the trigger cannot tell."""
        return False

    def close(self) -> None:
        """Release what the trigger holds."""
        return None


class Clock(ChangeTrigger):
    """A reason to look every `interval` seconds."""

    def __init__(self, interval: float, *, stands_in: bool = False) -> None:
        self._interval = interval
        self.stands_in = stands_in

    async def wait(self) -> bool:
        await trio.sleep(self._interval)
        return False


class SocketTrigger(ChangeTrigger):
    """The kernel's own news. Takes over a socket that hears of them already.

    `tells_of_route` finds in a message what a snapshot does not show; `longest` bounds a wait.
    """

    def __init__(
        self,
        sock: socket.socket,
        tells_of_route: Callable[[bytes], bool],
        longest: float = math.inf,
    ) -> None:
        self._sock = sock
        self._tells_of_route = tells_of_route
        self._longest = longest
        # the kernel dropped messages: anything may have changed
        self._overflown = False

    async def wait(self) -> bool:
        with trio.move_on_after(self._longest):
            await trio.lowlevel.wait_readable(self._sock)
        return self._drain()

    def heard_nothing(self) -> bool:
        if self._longest < math.inf:
            return False  # not trusted alone
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError as error:
            self._note(error)
        return False

    def _note(self, error: OSError) -> None:
        """Errors are told once, whoever reads."""
        if error.errno != errno.ENOBUFS:
            raise error
        self._overflown = True

    def _drain(self) -> bool:
        """Read what is there, up to a bound; the rest makes the next wait short."""
        routes = False
        for _ in range(_MOST_MESSAGES_AT_ONCE):
            try:
                data = self._sock.recv(_RECEIVE_SIZE)
            except BlockingIOError:
                break
            except OSError as error:
                self._note(error)
            else:
                routes = routes or self._tells_of_route(data)
        overflown, self._overflown = self._overflown, False
        return routes or overflown

    def close(self) -> None:
        self._sock.close()


def tells_of_routes(data: bytes) -> bool:
    """Whether netlink says that a route to elsewhere, a next hop or a rule came or went."""
    try:
        for kind, _, body in netlink.messages(data):
            if kind in (_NEW_RULE, _DEL_RULE, _NEW_NEXT_HOP, _DEL_NEXT_HOP):
                return True
            if kind in (_NEW_ROUTE, _DEL_ROUTE) and len(body) >= _ROUTE_SIZE:
                if body[_ROUTE_TYPE] not in _OWN_ADDRESSES:
                    return True
    except OSError:
        pass  # the rest of it cannot be read
    return False


def has_network_route(data: bytes) -> bool:
    """Whether a message of a routing socket says that a way to a network came or went.

    Such are the default route and a VPN's. Routes to single hosts come and go all the time and
    mean nothing."""
    if len(data) < _ROUTING_HEADER.size:
        return False
    _, _, kind, _, flags = _ROUTING_HEADER.unpack_from(data)
    return kind in _ROUTE_CHANGES and not flags & _RTF_HOST


def open_netlink(make_socket: MakeSocket) -> socket.socket:
    """Subscribe on Linux; OSError where that is not possible."""
    sock = make_socket(*netlink.FAMILY)
    try:
        sock.setblocking(False)
        # the sender's number 0 lets the kernel choose one
        sock.bind((0, _GROUPS))  # type: ignore[arg-type,unused-ignore]
        with suppress(OSError):  # a kernel that has none
            sock.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NEXT_HOPS)
    except BaseException:
        sock.close()
        raise
    return sock


class CallbackTrigger(ChangeTrigger):
    """News that the system tells by calling a function, in a thread of its own."""

    def __init__(self, subscribe: Subscribe, longest: float) -> None:
        self._longest = longest
        self._news = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        self._unsubscribe = subscribe(self._hear)

    def _hear(self) -> None:
        try:
            self._token.run_sync_soon(self._note, idempotent=True)
        except trio.RunFinishedError:
            pass  # nobody is there to be told

    def _note(self) -> None:
        self._news.set()

    async def wait(self) -> bool:
        with trio.move_on_after(self._longest):
            await self._news.wait()
        # what it was is not told: it may have been a route
        heard = self._news.is_set()
        self._news = trio.Event()
        return heard

    def close(self) -> None:
        self._unsubscribe()


def open_trigger(
    platform: str,
    interval: float,
    *,
    make_socket: MakeSocket = socket.socket,
    subscribe: Subscribe = subscribe_on_windows,
) -> ChangeTrigger:
    """The best trigger that `sys.platform` has; `interval` is a clock's. The rest are seams."""
    try:
        if platform in ("linux", "android"):
            return SocketTrigger(open_netlink(make_socket), tells_of_routes)
        if platform.startswith(_BSDS):
            # news of all address families
            sock = make_socket(_AF_ROUTE, socket.SOCK_RAW, 0)
            sock.setblocking(False)
            return SocketTrigger(sock, has_network_route, longest=interval)
        if platform == "win32":
            return CallbackTrigger(subscribe, longest=interval)
    except OSError as error:
        # Forbidden, or out of descriptors, in which case there may be one soon.
        return Clock(interval, stands_in=is_shortage(error))
    return Clock(interval)
