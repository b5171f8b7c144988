"""httpcore's connections over TCP, made fit for requests that are cancelled at any moment.

Of two ways to a response the one that loses is cancelled, so the fallback sees far more of that
than a client over TCP alone. httpcore 1.0 is hurt by it in some places:

- The pool forgets a connection whose first request was cancelled while it connected, though others
  wait for it, the next of which connects: nobody closes it then.
- The beginning of an HTTP/2 connection, one request's work, takes most of its places for streams
  one by one; cut there, it hands out more places than there are, or begins a second time.
- What a request was about to write is lost to all (`_tcp.py`).
- A stream that was given up is not reset, so h2 counts it as open while the connection lives.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Any

import httpcore
import trio

from ._finishing import hurried

_MOST_GIVEN_UP = 10
"""Of the 100 streams that a connection has at most; they are few where nothing is wrong."""

_BEGINS = "http2.send_connection_init.started"
_HAS_BEGUN = "http2.send_request_headers.started"

_Trace = Callable[[str, dict[str, Any]], Awaitable[None]]


class _Beginning:
    """A request's trace extension, which lets nobody cancel it while it begins the connection.

    What it does there waits for nothing but the first bytes' way into an empty socket, and has
    little time for that (`_finishing.py`).
    """

    def __init__(self, scope: trio.CancelScope, trace: _Trace | None) -> None:
        self._scope = scope
        self._trace = trace

    async def __call__(self, name: str, info: dict[str, Any]) -> None:
        if name == _BEGINS:
            self._scope.shield = True
        elif name == _HAS_BEGUN:
            self._scope.shield = False
        if self._trace is not None:
            await self._trace(name, info)


class Connection(httpcore.AsyncHTTPConnection):
    """One of httpcore's connections, which requests have got their places on."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._made = False
        # requests that have no response yet
        self._under_way: set[trio.CancelScope] = set()
        self._given_up = 0

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send the request; it waits for the connection as long as its connect timeout says, and
        for one of HTTP/2's streams as long as it takes."""
        connect = request.extensions.get("timeout", {}).get("connect")
        if self._made or connect is None:
            connect = math.inf
        with trio.move_on_after(connect) as scope:
            self._under_way.add(scope)
            try:
                return await self._send(request)
            except BaseException:
                self._given_up += self._made
                raise
            finally:
                self._under_way.discard(scope)
        raise httpcore.ConnectTimeout(f"no connection to {self._origin} in time")

    async def _send(self, request: httpcore.Request) -> httpcore.Response:
        """The same request, which finishes what it begins for all."""
        scope = trio.CancelScope()
        trace = _Beginning(scope, request.extensions.get("trace"))
        finishing = httpcore.Request(
            request.method,
            request.url,
            headers=request.headers,
            content=request.stream,
            extensions={**request.extensions, "trace": trace},
        )
        async with hurried(scope):
            return await super().handle_async_request(finishing)
        # cancelled, and it took too long
        await trio.sleep_forever()

    async def _connect(self, request: httpcore.Request) -> httpcore.AsyncNetworkStream:
        # httpcore's own; it has no other name for the moment when there is a connection for all
        stream = await super()._connect(request)
        self._made = True
        for scope in self._under_way:
            scope.deadline = math.inf
        return stream

    @property
    def _is_worn(self) -> bool:
        return self._given_up >= _MOST_GIVEN_UP

    def is_available(self) -> bool:
        """Whether it takes another request."""
        return super().is_available() and not self._is_worn

    def has_expired(self) -> bool:
        """Whether the pool is to close it."""
        if self._under_way:
            return False
        return super().has_expired() or (self._is_worn and self.is_idle())

    def is_idle(self) -> bool:
        """Whether the pool may close it."""
        # httpcore calls it idle until a request that has entered has got its stream
        return super().is_idle() and not self._under_way

    def is_closed(self) -> bool:
        """Whether the pool may forget it."""
        is_awaited = self._connection is None and bool(self._under_way)
        return super().is_closed() and not is_awaited


class Pool(httpcore.AsyncConnectionPool):
    """httpcore's, with such connections."""

    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        """A connection that has still to be made."""
        return Connection(
            origin,
            ssl_context=self._ssl_context,
            keepalive_expiry=self._keepalive_expiry,
            http1=self._http1,
            http2=self._http2,
            network_backend=self._network_backend,
        )
