"""The transport for hosts without HTTP/3: HTTP/2 and HTTP/1.1 over TLS, with the same trust.

It is httpx's own, with three things mended. Its first use takes a quarter of a second of
computation, which is done in a thread. It lets requests to one host wait for each other's attempts
to connect, five seconds each; here a request waits for a connection as long as its connect timeout
says, whoever makes it. And it would go wherever the system sends packets; here it keeps to where
the transport's other connections may go (`_tcp.py`).
"""

import importlib.util
import math
import os
import ssl
from typing import Any

import certifi
import httpcore
import httpx
import trio

from .. import TLSConfig
from ..http3.blocks import Blocks
from ._failures import CLOSED
from ._tcp import Backend
from ._tunnels import Tunnels


class _Connection(httpcore.AsyncHTTPConnection):
    """One of httpcore's connections, which requests have got their places on."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._made = False
        self._hurried: set[trio.CancelScope] = set()

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send the request; it waits for the connection as long as its connect timeout says, and
        for one of HTTP/2's streams as long as it takes."""
        connect = request.extensions.get("timeout", {}).get("connect")
        if self._made or connect is None:
            return await super().handle_async_request(request)
        with trio.move_on_after(connect) as scope:
            self._hurried.add(scope)
            try:
                return await super().handle_async_request(request)
            finally:
                self._hurried.discard(scope)
        raise httpcore.ConnectTimeout(f"no connection to {self._origin} in time")

    async def _connect(self, request: httpcore.Request) -> httpcore.AsyncNetworkStream:
        # httpcore's own; it has no other name for the moment when there is a connection for all
        stream = await super()._connect(request)
        self._made = True
        for scope in self._hurried:
            scope.deadline = math.inf
        return stream


class _Pool(httpcore.AsyncConnectionPool):
    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        return _Connection(
            origin,
            ssl_context=self._ssl_context,
            keepalive_expiry=self._keepalive_expiry,
            http1=self._http1,
            http2=self._http2,
            network_backend=self._network_backend,
        )


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's, with a network of ours below, which its constructor does not take."""

    def __init__(self, context: ssl.SSLContext, limits: httpx.Limits, tunnels: Tunnels) -> None:
        super().__init__(verify=context)
        self._pool = _Pool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            http1=True,
            http2=importlib.util.find_spec("h2") is not None,
            network_backend=Backend(tunnels),
        )


class DefaultFallback(httpx.AsyncBaseTransport):
    """httpx's transport, made when it is first needed, that believes whom `tls` believes and goes
    where `tunnels` allow it. HTTP/2 needs the package h2."""

    def __init__(self, tls: TLSConfig, limits: httpx.Limits, tunnels: Tunnels) -> None:
        self._tls = tls
        self._limits = limits
        self._tunnels = tunnels
        self._making = trio.Lock()
        self._inner: httpx.AsyncHTTPTransport | None = None
        self._under_way = Blocks()
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx's exceptions, ConnectError also where `tls` names no good files."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            raise httpx.ConnectError(CLOSED)
        with self._under_way.entered():
            async with self._making:
                if self._inner is None:
                    self._inner = await trio.to_thread.run_sync(self._make)
            return await self._inner.handle_async_request(request)
        # nobody knows whether it was sent
        raise httpx.ReadError(CLOSED)

    def _make(self) -> httpx.AsyncHTTPTransport:
        try:
            return _Transport(ssl_context(self._tls), self._limits, self._tunnels)
        except OSError as error:
            # ssl.SSLError is one
            raise httpx.ConnectError(str(error)) from error

    async def aclose(self) -> None:
        """Close its connections. Requests that are waiting for one, or for a response, fail:
        httpcore would go on with those and keep the connection that comes of it."""
        self._closed = True
        self._under_way.leave()
        if self._inner is not None:
            await self._inner.aclose()


def ssl_context(tls: TLSConfig) -> ssl.SSLContext:
    """`tls` for a TCP connection. Cipher suites and groups stay the platform's own. Raises OSError
    for files that cannot be read, ssl.SSLError for such with the wrong content."""
    roots = []
    if tls.ca_file is not None:
        with open(tls.ca_file, "rb") as file:
            roots.append(file.read())
    if tls.ca_data is not None:
        roots.append(tls.ca_data if isinstance(tls.ca_data, bytes) else tls.ca_data.encode())
    if not all(roots):
        # the ssl module would believe whom the system believes
        raise ssl.SSLError("there are no certificates in ca_file or ca_data")
    if roots:
        context = ssl.create_default_context(cadata=_cadata(roots[0]))
        for more in roots[1:]:
            context.load_verify_locations(cadata=_cadata(more))
    else:
        context = ssl.create_default_context(cafile=certifi.where())
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.client_cert is not None:
        # without a password OpenSSL would ask the terminal for that of an encrypted key
        context.load_cert_chain(tls.client_cert, tls.client_key, password="")
    if tls.keylog_file is not None:
        context.keylog_filename = os.fspath(tls.keylog_file)
    return context


def _cadata(data: bytes) -> bytes | str:
    """PEM is text to the ssl module, ASCII only, though comments in it need not be (RFC 7468
    section 2); DER is bytes."""
    return data.decode("ascii", "ignore") if b"-----BEGIN" in data else data
