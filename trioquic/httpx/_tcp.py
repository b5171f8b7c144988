"""TCP connections of the default fallback, as httpcore wants them made.

httpcore would connect to wherever the system sends packets. Here each connection goes one of the
ways that the transport's connections may go (`_tunnels.py`): bound to an interface where that
matters, so that no packet of it leaves by another, whatever becomes of the routes. Addresses are
tried as RFC 8305 section 5 wants it; what the system does not let us bind is not used.
"""

# ruff: noqa: ASYNC109 - the timeouts are httpcore's

import math
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, Final

import httpcore
import trio

from .. import bind_to_interface
from .._groups import alone
from .._resolver import Resolved
from ..http3.url import unescaped
from ._finishing import hurried
from ._tunnels import TCPRoute, Tunnels, addresses_of

# RFC 8305 section 8
_ATTEMPT_DELAY: Final = 0.25


class Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, tunnels: Tunnels) -> None:
        self._tunnels = tunnels

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to one of the host's addresses. Raises httpcore's exceptions."""
        host = unescaped(host)
        with _translated(timeout, httpcore.ConnectTimeout, httpcore.ConnectError):
            found = await addresses_of(host, port)
            routes = _take_turns(self._tunnels.routes(host, list(found), port))
            sock, route = await _first([(found[route.remote], route) for route in routes])
        tied = route.interface
        inside = tied is not None and self._tunnels.is_inside(host, tied)
        return _Stream(trio.SocketStream(sock), lambda: not inside and self._tunnels.holds(host))

    async def sleep(self, seconds: float) -> None:
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
        with _translated(timeout, httpcore.ReadTimeout, httpcore.ReadError):
            return bytes(await self._stream.receive_some(max_bytes))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _translated(timeout, httpcore.WriteTimeout, httpcore.WriteError):
            if self._is_astray():
                raise trio.BrokenResourceError("the connection is outside the tunnel")
            await self._send(buffer)

    async def _send(self, buffer: bytes) -> None:
        """Send all of it, though the caller is cancelled: with HTTP/2 it has taken the bytes out of
        a state that all of the connection's requests share, such as their headers' compression, so
        that without them nobody could go on. Where that takes long the connection ends."""
        scope = trio.CancelScope(shield=True)
        async with hurried(scope):
            await self._stream.send_all(buffer)
        if scope.cancelled_caught:
            await trio.aclose_forcefully(self._stream)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if server_hostname is not None:
            # of an address, the zone is not the server's to know
            server_hostname = unescaped(server_hostname).partition("%")[0]
        stream = trio.SSLStream(
            self._stream, ssl_context, server_hostname=server_hostname, https_compatible=True
        )
        try:
            with _translated(timeout, httpcore.ConnectTimeout, httpcore.ConnectError):
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


def _take_turns(routes: list[TCPRoute]) -> list[TCPRoute]:
    """The first route's family begins, then the other one has its turn (RFC 8305 section 4): a
    family that is broken costs one attempt."""
    families: dict[bool, list[TCPRoute]] = {}
    for route in routes:
        families.setdefault(":" in route.remote, []).append(route)
    rounds = zip_longest(*families.values())
    return [route for one_round in rounds for route in one_round if route is not None]


async def _first(
    routes: list[tuple[Resolved, TCPRoute]],
) -> tuple[trio.socket.SocketType, TCPRoute]:
    """The first route on which there is a connection, each with a start before the next one. Raises
    OSError if there is none."""
    winners: list[tuple[trio.socket.SocketType, TCPRoute]] = []
    errors: list[OSError] = []

    async def attempt(resolved: Resolved, route: TCPRoute, failed: trio.Event) -> None:
        try:
            sock = await _connected(resolved, route)
        except OSError as error:
            # also of a family that the system does not have
            # its traceback refers to the list
            errors.append(error.with_traceback(None))
            failed.set()
        else:
            winners.append((sock, route))
            nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for resolved, route in routes:
                failed = trio.Event()
                nursery.start_soon(attempt, resolved, route, failed)
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
    raise errors.pop(0)


async def _connected(resolved: Resolved, route: TCPRoute) -> trio.socket.SocketType:
    sock = trio.socket.socket(resolved[0], socket.SOCK_STREAM)
    try:
        if route.interface is not None:
            bind_to_interface(sock, route.interface)
        await sock.connect(resolved[4])
    except BaseException:
        sock.close()
        raise
    return sock


def _close(some: list[tuple[trio.socket.SocketType, TCPRoute]]) -> None:
    for sock, _ in some:
        sock.close()


@contextmanager
def _translated(
    timeout: float | None, late: type[Exception], otherwise: type[Exception]
) -> Iterator[None]:
    """`timeout` seconds at most; trio's exceptions as httpcore's."""
    try:
        with trio.fail_after(math.inf if timeout is None else timeout):
            yield
    except trio.TooSlowError as error:
        raise late(str(error)) from error
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
        # trio says what OpenSSL says in the cause
        raise otherwise(str(error) or str(error.__cause__ or "")) from error
