"""UDP sockets of simulated hosts, with the interface and the manners of `trio.socket`.

The subset is what a UDP program uses: bind, connect, send, sendto, recv, recvfrom and their `_into`
forms, the names, options and close. Everything else that `trio.socket.SocketType` declares raises
NotImplementedError. Like trio's own, a socket raises OSError for what the network refuses, EBADF
once it is closed, ClosedResourceError in a task that waits while it is closed, and
BusyResourceError if a second task wants to receive. IPv6 sockets carry IPv6 only.

Of the options SO_BINDTODEVICE, SO_RCVBUF, SO_REUSEADDR, SO_REUSEPORT and SO_ERROR have an effect,
and IP_MTU and IPV6_MTU tell the MTU of the interface that a connected socket sends through; all
others are accepted, remembered and otherwise ignored.
"""

import errno
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, overload

import trio

from .._construction import NoPublicConstructor
from ._addresses import Endpoint, from_sockaddr, to_sockaddr
from ._errors import failure
from ._flight import DatagramInFlight
from ._host import Host, Interface
from ._ports import BOOKKEEPING, BoundSocket

if TYPE_CHECKING:
    from typing_extensions import Buffer

# The numbers are Linux's; the simulated host understands them on every platform.
SO_BINDTODEVICE: Final[int] = getattr(socket, "SO_BINDTODEVICE", 25)
SO_REUSEPORT: Final[int] = getattr(socket, "SO_REUSEPORT", 15)
MTU_OPTIONS: Final = ((socket.IPPROTO_IP, 14), (socket.IPPROTO_IPV6, 24))

MAX_PAYLOAD: Final = 65_507
LOOPBACK_MTU: Final = 65_536


class SimulatedSocket(
    BoundSocket,
    metaclass=NoPublicConstructor,
    made_by="trio.socket.socket in a block of Host.as_current",
):
    """A UDP socket; `trio.socket.socket` makes it while a `SimulatedNetwork` is running."""

    def __init__(self, host: Host, family: int, kind: int, proto: int) -> None:
        super().__init__(family)
        self._host = host
        self._type = socket.SocketKind(kind)
        self._proto = proto
        self._options: dict[tuple[int, int], int | bytes] = {}

    # Names and options

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self._local} -> {self._remote}"
        return f"<SimulatedSocket of {self._host.name}: {state}>"

    @property
    def host(self) -> Host:
        """The host it was made on."""
        return self._host

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AddressFamily(self._family)

    @property
    def type(self) -> socket.SocketKind:
        return self._type

    @property
    def proto(self) -> int:
        return self._proto

    @property
    def did_shutdown_SHUT_WR(self) -> bool:  # noqa: N802 - trio's name
        return False

    def fileno(self) -> int:
        """Always -1: the operating system knows nothing of this socket."""
        return -1

    def getsockname(self) -> Any:
        self._check_open()
        return to_sockaddr(self._family, (self._local[0] or self._fixed_source, self._local[1]))

    def getpeername(self) -> Any:
        self._check_open()
        if self._remote is None:
            raise failure(errno.ENOTCONN)
        return to_sockaddr(self._family, self._remote)

    @overload
    def getsockopt(self, level: int, optname: int) -> int: ...

    @overload
    def getsockopt(self, level: int, optname: int, buflen: int) -> bytes: ...

    def getsockopt(self, level: int, optname: int, buflen: int | None = None) -> int | bytes:
        self._check_open()
        if level == socket.SOL_SOCKET and optname == socket.SO_ERROR:
            self._error, error = 0, self._error
            return error
        if (level, optname) in MTU_OPTIONS:
            if self._remote is None:
                raise failure(errno.ENOTCONN)
            interface, _ = self._route(self._remote)
            return LOOPBACK_MTU if interface is None else interface.mtu
        value = self._options.get((level, optname), 0 if buflen is None else b"")
        if buflen is None:
            return value if isinstance(value, int) else int.from_bytes(value[:4], "little")
        return value.to_bytes(4, "little")[:buflen] if isinstance(value, int) else value[:buflen]

    @overload
    def setsockopt(self, level: int, optname: int, value: "int | Buffer") -> None: ...

    @overload
    def setsockopt(self, level: int, optname: int, value: None, optlen: int) -> None: ...

    def setsockopt(
        self, level: int, optname: int, value: "int | Buffer | None", optlen: int | None = None
    ) -> None:
        self._check_open()
        stored = bytes(optlen or 0) if value is None else value
        if not isinstance(stored, int):
            stored = bytes(stored)
        if level == socket.SOL_SOCKET:
            self._set_effective(optname, stored)
        self._options[level, optname] = stored

    def _set_effective(self, optname: int, value: int | bytes) -> None:
        if optname == SO_BINDTODEVICE and isinstance(value, bytes):
            name = value.rstrip(b"\0").decode()
            if name and name not in self._host._interfaces:
                raise failure(errno.ENODEV)
            self._device = name
        elif optname == socket.SO_RCVBUF and isinstance(value, int):
            self._capacity = max(value, BOOKKEEPING)
        elif optname in (socket.SO_REUSEADDR, SO_REUSEPORT):
            self._reuse = bool(value)

    # Binding, connecting, closing

    async def bind(self, address: Any) -> None:
        """Take a local address and port; a checkpoint.

        OSError: EINVAL if it is bound, EADDRINUSE, EADDRNOTAVAIL. Names are not resolved.
        """
        await trio.lowlevel.checkpoint()
        self._check_open()
        if self._local[1]:
            raise failure(errno.EINVAL)
        self._local = self._host._bind(self, from_sockaddr(self._family, address))

    async def connect(self, address: Any) -> None:
        """Fix the peer, and the source address by the route to it; a checkpoint.

        OSError: ENETUNREACH or EADDRNOTAVAIL if there is no way. Names are not resolved.
        """
        await trio.lowlevel.checkpoint()
        self._check_open()
        remote = self._check_destination(address)
        _, source = self._host._egress(self._local[0], self._device, remote[0])
        self._ensure_bound()
        self._fixed_source = source
        self._remote = remote
        self._error = 0

    def close(self) -> None:
        """Free the port and forget what was received; a waiting task gets ClosedResourceError."""
        if self._closed:
            return
        self._closed = True
        if self._local[1]:
            self._host._ports.unbind(self, self._local[1])
        self._queue.clear()
        self._queued = 0
        self._wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise failure(errno.EBADF)

    def _check_destination(self, address: Any) -> Endpoint:
        """A destination that one can send to; the wildcard means this very host, as on Linux."""
        host, port = from_sockaddr(self._family, address)
        loopback = "::1" if self._family == socket.AF_INET6 else "127.0.0.1"
        return host or loopback, port

    def _ensure_bound(self) -> None:
        if not self._local[1]:
            self._local = self._host._bind(self, ("", 0))

    # Sending

    async def send(self, data: "Buffer", flags: int = 0, /) -> int:
        """Send one datagram to the peer; a checkpoint, and cancelled it has sent nothing.

        OSError as for `sendto`; EDESTADDRREQ if the socket is not connected.
        """
        return await self._send(data, flags)

    async def sendto(self, *args: Any) -> int:
        """Send one datagram: `sendto(data, address)` or `sendto(data, flags, address)`.

        A checkpoint; cancelled it has sent nothing. Never blocks for long: what the network
        cannot take it drops. OSError: ENETUNREACH (interface down, no route), EADDRNOTAVAIL (the
        source address is gone), EMSGSIZE, ECONNREFUSED (on a connected socket, for an earlier
        datagram).
        """
        if len(args) not in (2, 3):
            raise TypeError("sendto() takes data, optional flags, and an address")
        return await self._send(args[0], args[1] if len(args) == 3 else 0, args[-1])

    async def _send(self, data: "Buffer", flags: int, *address: Any) -> int:
        """Send to this address, or without one to the peer."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        self._raise_pending()
        remote = self._check_destination(*address) if address else self._remote
        if remote is None:
            raise failure(errno.EDESTADDRREQ)
        if flags & ~getattr(socket, "MSG_DONTWAIT", 0):
            raise failure(errno.EOPNOTSUPP)
        payload = bytes(data)
        if len(payload) > MAX_PAYLOAD:
            raise failure(errno.EMSGSIZE)
        interface, source = self._route(remote)
        self._ensure_bound()
        now = trio.current_time()
        refuse = partial(self._refuse, remote)
        flight = DatagramInFlight(now, (source, self._local[1]), remote, payload, refuse)
        self._host._send(flight, interface)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return len(payload)

    def _route(self, remote: Endpoint) -> tuple[Interface | None, str]:
        # A connected socket keeps the source address that it was given when it was connected.
        wanted = self._local[0] or (self._fixed_source if remote == self._remote else "")
        return self._host._egress(wanted, self._device, remote[0])

    async def wait_writable(self) -> None:
        """Return at the next checkpoint: a datagram socket is always writable."""
        await trio.lowlevel.checkpoint()

    # Receiving

    async def recv(self, buflen: int, flags: int = 0, /) -> bytes:
        """Wait for one datagram; what is longer than `buflen` is cut off.

        Cancelled it has taken nothing. ClosedResourceError if the socket is closed meanwhile;
        ECONNREFUSED if an earlier datagram met a closed port.
        """
        data, _ = await self._take(flags)
        return data[:buflen]

    async def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """`recv`, with the sender's address."""
        data, source = await self._take(flags)
        return data[:bufsize], to_sockaddr(self._family, source)

    async def recv_into(self, buffer: "Buffer", nbytes: int = 0, flags: int = 0) -> int:
        """`recv` into a buffer; returns the number of bytes written."""
        size, _ = await self.recvfrom_into(buffer, nbytes, flags)
        return size

    async def recvfrom_into(
        self, buffer: "Buffer", nbytes: int = 0, flags: int = 0
    ) -> tuple[int, Any]:
        """`recvfrom` into a buffer."""
        view = memoryview(buffer).cast("B")
        room = min(nbytes or len(view), len(view))
        data, source = await self._take(flags)
        data = data[:room]
        view[: len(data)] = data
        return len(data), to_sockaddr(self._family, source)

    def is_readable(self) -> bool:
        """Whether a receive would return, or raise, at once."""
        return bool(self._queue or self._error)

    async def _take(self, flags: int) -> tuple[bytes, Endpoint]:
        if flags & ~getattr(socket, "MSG_DONTWAIT", 0):
            raise failure(errno.EOPNOTSUPP)
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_open()
        if self._queue or self._error:
            await trio.lowlevel.cancel_shielded_checkpoint()
            # The socket may have been closed, or read by another task, in the meantime.
            self._check_open()
        while not self._queue:
            self._raise_pending()
            await self._wait()
        data, source = self._queue.popleft()
        self._queued -= len(data) + BOOKKEEPING
        return data, source

    async def _wait(self) -> None:
        """Sleep until a datagram, an error or the end."""
        if self._reader is not None:
            raise trio.BusyResourceError("another task is already receiving from this socket")
        self._reader = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._reader = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        if self._closed:
            raise trio.ClosedResourceError("another task closed this socket")

    def _raise_pending(self) -> None:
        self._error, error = 0, self._error
        if error:
            raise failure(error)
