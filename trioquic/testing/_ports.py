"""The ports of a simulated host: which socket has which, and which of them a datagram is for.

A socket is seen here as the system sees it: what it is bound and connected to, and the buffer that
its datagrams wait in. What a program sees of it is in `_sockets.py`.
"""

import errno
from collections import deque
from typing import Final

import trio

from ._addresses import Endpoint, family_of
from ._errors import failure
from ._flight import DatagramInFlight
from ._record import Fate

FIRST_EPHEMERAL_PORT: Final = 49_152
LAST_PORT: Final = 65_535
RECEIVE_BUFFER: Final = 212_992
# What the system adds to each datagram, so that a flood of empty ones fills the buffer as well.
BOOKKEEPING: Final = 64


class BoundSocket(trio.socket.SocketType):
    """What a host knows of a socket."""

    def __init__(self, family: int) -> None:
        super().__init__()
        self._family = family
        self._device = ""
        self._reuse = False
        self._local: Endpoint = ("", 0)
        self._fixed_source = ""
        self._remote: Endpoint | None = None
        self._closed = False
        self._error = 0
        self._queue: deque[tuple[bytes, Endpoint]] = deque()
        self._queued = 0
        self._capacity = RECEIVE_BUFFER
        self._reader: trio.lowlevel.Task | None = None
        self.drops: int = 0
        """Datagrams that found the receive buffer full."""

    def _conflicts(self, other: "BoundSocket", address: str) -> bool:
        """Whether this socket, to be bound to `address`, gets in the way of another."""
        if self._family != other._family or (self._reuse and other._reuse):
            return False
        if self._device and other._device and self._device != other._device:
            return False
        return not address or not other._local[0] or address == other._local[0]

    def _score(self, flight: DatagramInFlight, device: str) -> int:
        """How well a datagram fits this socket: -1 not at all, else the more the better."""
        if self._device and device and self._device != device:
            return -1
        if self._family != family_of(flight.destination[0]):
            return -1
        score = 0
        bound = self._local[0] or self._fixed_source
        if bound:
            if bound != flight.destination[0]:
                return -1
            score += 2
        if self._remote is not None:
            if self._remote != flight.source:
                return -1
            score += 4
        return score + (1 if self._device else 0)

    def _deliver(self, flight: DatagramInFlight) -> bool:
        """Queue a datagram; False if there is no room for it."""
        size = len(flight.payload) + BOOKKEEPING
        if self._queued + size > self._capacity:
            self.drops += 1
            return False
        self._queue.append((flight.payload, flight.source))
        self._queued += size
        self._wake()
        return True

    def _refuse(self, destination: Endpoint) -> None:
        """Port unreachable came back; only a connected socket is told (RFC 1122, 4.1.3.3)."""
        if not self._closed and self._remote == destination:
            self._error = errno.ECONNREFUSED
            self._wake()

    def _wake(self) -> None:
        if self._reader is not None:
            trio.lowlevel.reschedule(self._reader)
            self._reader = None


class Ports:
    """All bound sockets of one host, by their ports."""

    def __init__(self) -> None:
        self._sockets: dict[int, list[BoundSocket]] = {}
        self._next = FIRST_EPHEMERAL_PORT

    @property
    def sockets(self) -> tuple[BoundSocket, ...]:
        """Those that are not closed."""
        return tuple(s for sockets in self._sockets.values() for s in sockets)

    def bind(self, sock: BoundSocket, local: Endpoint) -> Endpoint:
        """Enter a socket under its port, or under a free one for port 0; raises OSError."""
        address, port = local
        if port == 0:
            port = self._free()
        elif any(sock._conflicts(other, address) for other in self._sockets.get(port, ())):
            raise failure(errno.EADDRINUSE)
        self._sockets.setdefault(port, []).append(sock)
        return address, port

    def _free(self) -> int:
        for _ in range(FIRST_EPHEMERAL_PORT, LAST_PORT + 1):
            port = self._next
            self._next = port + 1 if port < LAST_PORT else FIRST_EPHEMERAL_PORT
            if port not in self._sockets:
                return port
        raise failure(errno.EADDRINUSE)

    def unbind(self, sock: BoundSocket, port: int) -> None:
        """The socket is closed."""
        sockets = self._sockets[port]
        sockets.remove(sock)
        if not sockets:
            del self._sockets[port]

    def deliver(self, flight: DatagramInFlight, device: str) -> Fate:
        """Hand a datagram to the socket it fits best; `device` is where it came in, or empty."""
        fitting = [
            (s._score(flight, device), s) for s in self._sockets.get(flight.destination[1], ())
        ]
        score, best = max(fitting, key=lambda entry: entry[0], default=(-1, None))
        if best is None or score < 0:
            return Fate.PORT_CLOSED
        return Fate.DELIVERED if best._deliver(flight) else Fate.BUFFER_FULL
