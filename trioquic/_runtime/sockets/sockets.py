"""The seam between paths and the network: one connected UDP socket a path.

The rest of the runtime sees `DatagramSocket` only. `binding.py` makes the sockets; one of the
operating system becomes a `NativeSocket`, one of a custom trio socket factory a `FactorySocket`.

Errors of a socket in use are hints about its path: counted, and no end. Only making one raises.
"""

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import trio

from ..._protocol.sending.outgoing import Batch
from ...networks import address_of
from ...paths import Address

# This many errors without a datagram between them, and a reader slows down to this pace.
MOST_ERRORS_IN_A_ROW: Final = 16
PAUSE: Final = 0.1
# Of the payload, which every path of QUIC's has to carry (RFC 9000 section 14)
_LEAST_DATAGRAM: Final = 1200


class Received(NamedTuple):
    """One datagram, or several of `segment_size` bytes each but the last, with one ECN mark."""

    data: bytes
    segment_size: int
    ecn: int


class Remote(NamedTuple):
    """Where to: an address as `getaddrinfo` returns it."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]
    zone: str = ""
    """The link that the address is on, if it means something on one only (RFC 4007): the name or
    the number of an interface."""

    @property
    def address(self) -> Address:
        """IP address, with its zone if it has one, and port."""
        host, port = self.sockaddr[0], self.sockaddr[1]
        return (f"{host}%{self.zone}", port) if self.zone else (host, port)

    def on(self, index: int | None) -> tuple[str, int] | tuple[str, int, int, int]:
        """What a socket connects to on the interface with this number, if it is known: one that has
        come back may have another."""
        if not self.zone or index is None:
            return self.sockaddr
        return self.sockaddr[0], self.sockaddr[1], 0, index


def remote_of(family: int, sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> Remote:
    """As `getaddrinfo` says it."""
    host, _, zone = address_of(sockaddr).partition("%")
    if len(sockaddr) == 2:
        return Remote(family, sockaddr)
    _, port, flow, scope = sockaddr
    return Remote(family, (host, port, flow, scope), zone)


class TooNarrowError(OSError):
    """The way out takes no datagrams of the least size that QUIC has (RFC 9000 section 14)."""


def is_refusal(error: OSError) -> bool:
    """Whether the other host says that nobody listens there; anyone on the way could say so."""
    # Windows says "reset" for what others call "refused".
    return isinstance(error, ConnectionRefusedError | ConnectionResetError)


class DatagramSocket(ABC):
    """A connected UDP socket. Who reads is one task, who sends is one at a time."""

    def __init__(self, local: Address, remote: Address, interface: str | None, mtu: int) -> None:
        self.local = local
        self.remote = remote
        self.interface = interface
        # the largest IP packet that the way out takes
        self.mtu = mtu
        self.errors = 0
        self.last_error: OSError | None = None
        self.datagrams_dropped = 0
        self.closed = False
        self._listeners: list[Callable[[OSError], None]] = []

    @abstractmethod
    def receive_nowait(self) -> Received | None:
        """What has already arrived, None if there is nothing or the socket cannot say."""

    @abstractmethod
    async def receive(self) -> Received:
        """Wait for the next datagrams; cancelled, nothing is lost."""

    @abstractmethod
    def send_nowait(self, batch: Batch) -> bool:
        """Send the batch, or return False: then it must be given to `send`."""

    @abstractmethod
    async def send(self, batch: Batch) -> None:
        """Send a batch that `send_nowait` did not take; cancelled, the rest of it is not sent."""

    @abstractmethod
    def _close(self) -> None:
        """Close at once; a task in `receive` or `send` gets ClosedResourceError."""

    def close(self) -> None:
        """Close at once, as `_close`. Idempotent."""
        if not self.closed:
            self.closed = True
            # who is told holds the socket
            self._listeners.clear()
            self._close()

    async def check_open(self) -> None:
        """Stop a task whose socket was closed on its way from one wait to the next."""
        if self.closed:
            await trio.lowlevel.checkpoint()
            raise trio.ClosedResourceError("the path's socket is closed")

    def note_error(self, error: OSError) -> None:
        """Count an error: refused, unreachable, too long, no buffers."""
        self.errors += 1
        self.last_error = error.with_traceback(None)
        for listener in self._listeners:
            listener(self.last_error)

    def note_unsent(self, error: OSError, size: int, datagrams: int = 1) -> None:
        """Count an error and the datagrams of this size that it cost. It is this machine's own word
        on what the interface takes: datagrams are not fragmented, so nobody else is asked."""
        self.datagrams_dropped += datagrams
        if error.errno == errno.EMSGSIZE and size <= _LEAST_DATAGRAM:
            name = "the interface" if self.interface is None else f"interface {self.interface!r}"
            reason = f"{name} refuses datagrams of {_LEAST_DATAGRAM} bytes, which QUIC needs"
            error = TooNarrowError(errno.EMSGSIZE, reason)
        self.note_error(error)

    def tell(self, listener: Callable[[OSError], None]) -> None:
        """Tell of every error until the socket is closed."""
        self._listeners.append(listener)

    @contextmanager
    def telling(self, listener: Callable[[OSError], None]) -> Iterator[None]:
        """Tell of every error until the block is left."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            if not self.closed:
                self._listeners.remove(listener)
