"""TCP connections of the default fallback, as httpcore wants them made.

httpcore would connect to wherever the system sends packets. Here each connection goes one of the
ways that the transport's connections may go (`_tunnels.py`): bound to an interface where that
matters, so that no packet of it leaves by another, whatever becomes of the routes. Addresses are
tried as RFC 8305 section 5 wants it; what the system does not let us bind is not used.
"""

# ruff: noqa: ASYNC109 - the timeouts are httpcore's

import ipaddress
import math
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, Final, NamedTuple, Protocol

import httpcore
import trio

from .. import Interface, bind_to_interface
from .._groups import alone

# RFC 8305 section 8
_ATTEMPT_DELAY: Final = 0.25
_SocketAddress = tuple[Any, ...]
_Resolved = tuple[int, int, int, str, _SocketAddress]


class Way(NamedTuple):
    """One of a host's addresses, and the interface to go there by; None: the system's choice."""

    remote: str
    interface: Interface | None


class Ways(Protocol):
    """Who knows the ways."""

    def ways(self, host: str, remotes: Sequence[str]) -> list[Way]:
        """Those to a host with these addresses, the best first. Raises OSError if none may be
        used."""
        ...

    def holds(self, host: str) -> bool:
        """Whether nothing to this host may follow the system's routes."""
        ...


class Backend(httpcore.AsyncNetworkBackend):
    """How httpcore reaches the network."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to one of the host's addresses. Raises httpcore's exceptions."""
        with _translated(httpcore.ConnectTimeout, httpcore.ConnectError):
            with trio.fail_after(math.inf if timeout is None else timeout):
                found = await resolve(host, port)
                ways = _take_turns(self._ways.ways(host, list(found)))
                sock, way = await _first([(found[way.remote], way) for way in ways])
        inside = way.interface is not None and way.interface.kind == "tunnel"
        return _Stream(trio.SocketStream(sock), lambda: not inside and self._ways.holds(host))

    async def sleep(self, seconds: float) -> None:
        """Between httpcore's attempts."""
        await trio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection; `is_astray` tells that it must not be used any more: it was made outside the
    tunnels, and the host is to be reached through them since then."""

    def __init__(
        self, stream: trio.SocketStream | trio.SSLStream[Any], is_astray: Callable[[], bool]
    ) -> None:
        self._stream = stream
        self._is_astray = is_astray

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _translated(httpcore.ReadTimeout, httpcore.ReadError):
            with trio.fail_after(math.inf if timeout is None else timeout):
                return bytes(await self._stream.receive_some(max_bytes))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _translated(httpcore.WriteTimeout, httpcore.WriteError):
            if self._is_astray():
                raise trio.BrokenResourceError("the connection is outside the tunnel")
            with trio.fail_after(math.inf if timeout is None else timeout):
                await self._stream.send_all(buffer)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = trio.SSLStream(
            self._stream, ssl_context, server_hostname=server_hostname, https_compatible=True
        )
        try:
            with _translated(httpcore.ConnectTimeout, httpcore.ConnectError):
                with trio.fail_after(math.inf if timeout is None else timeout):
                    await stream.do_handshake()
        except BaseException:
            await self.aclose()
            raise
        return _Stream(stream, self._is_astray)

    def get_extra_info(self, info: str) -> Any:
        """What httpcore and users of its extension `network_stream` ask for."""
        sock: Any = self._stream
        while isinstance(sock, trio.SSLStream):
            if info == "ssl_object":
                return sock._ssl_object  # as trio has no other name for it
            sock = sock.transport_stream
        match info:
            case "client_addr":
                return sock.socket.getsockname()
            case "server_addr":
                return sock.socket.getpeername()
            case "socket":
                return sock.socket
            case "is_readable":
                # what can be read on an idle connection is its end
                return self._is_astray() or sock.socket.is_readable()
        return None


async def resolve(host: str, port: int) -> dict[str, _Resolved]:
    """A host's addresses, in the order of the resolver, and for each what `socket.getaddrinfo` says
    of it. An IPv4-mapped one is named as the IPv4 address it is. Raises OSError."""
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses: dict[str, _Resolved] = {}
    for one in found:
        addresses.setdefault(_plain(str(one[4][0])), one)
    return addresses


def _plain(address: str) -> str:
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return address if mapped is None else str(mapped)


def _take_turns(ways: list[Way]) -> list[Way]:
    """The first way's family begins, then the other one has its turn (RFC 8305 section 4): a family
    that is broken costs one attempt."""
    families: dict[bool, list[Way]] = {}
    for way in ways:
        families.setdefault(":" in way.remote, []).append(way)
    rounds = zip_longest(*families.values())
    return [way for one_round in rounds for way in one_round if way is not None]


async def _first(ways: list[tuple[_Resolved, Way]]) -> tuple[trio.socket.SocketType, Way]:
    """The first way on which there is a connection, each with a start before the next one. Raises
    OSError if there is none."""
    winners: list[tuple[trio.socket.SocketType, Way]] = []
    errors: list[OSError] = []

    async def attempt(resolved: _Resolved, way: Way, failed: trio.Event) -> None:
        try:
            sock = await _connected(resolved, way)
        except OSError as error:
            # also of a family that the system does not have
            errors.append(error)
            failed.set()
        else:
            winners.append((sock, way))
            nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for resolved, way in ways:
                failed = trio.Event()
                nursery.start_soon(attempt, resolved, way, failed)
                with trio.move_on_after(_ATTEMPT_DELAY):
                    await failed.wait()
    except BaseExceptionGroup as group:
        _close(winners)
        raise alone(group, "trioquic.httpx") from None
    except BaseException:
        _close(winners)
        raise
    _close(winners[1:])
    if winners:
        return winners[0]
    raise errors[0]


async def _connected(resolved: _Resolved, way: Way) -> trio.socket.SocketType:
    sock = trio.socket.socket(resolved[0], socket.SOCK_STREAM)
    try:
        if way.interface is not None:
            bind_to_interface(sock, way.interface)
        await sock.connect(resolved[4])
    except BaseException:
        sock.close()
        raise
    return sock


def _close(some: list[tuple[trio.socket.SocketType, Way]]) -> None:
    for sock, _ in some:
        sock.close()


@contextmanager
def _translated(timeout: type[Exception], otherwise: type[Exception]) -> Iterator[None]:
    """trio's exceptions as httpcore's."""
    try:
        yield
    except trio.TooSlowError as error:
        raise timeout(str(error)) from error
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
        # trio says what OpenSSL says in the cause
        raise otherwise(str(error) or str(error.__cause__ or "")) from error
