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
from typing import Any, Final

import certifi
import httpcore
import httpx
import trio

from .. import TLSConfig
from ._tcp import Backend, Ways

# httpcore's name of the moment when there is a connection, after "http11." or "http2."
_CONNECTED: Final = ".send_request_headers.started"


class _Connection(httpcore.AsyncHTTPConnection):
    """One of httpcore's connections, which a request has got its place on."""

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send the request; it waits for the connection as long as its connect timeout says."""
        connect = request.extensions.get("timeout", {}).get("connect")
        with trio.move_on_after(math.inf if connect is None else connect) as scope:
            return await super().handle_async_request(_tell_connected(request, scope))
        raise httpcore.ConnectTimeout(f"no connection to {self._origin} in time")


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

    def __init__(self, context: ssl.SSLContext, limits: httpx.Limits, ways: Ways) -> None:
        super().__init__(verify=context)
        self._pool = _Pool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            http1=True,
            http2=importlib.util.find_spec("h2") is not None,
            network_backend=Backend(ways),
        )


class DefaultFallback(httpx.AsyncBaseTransport):
    """httpx's transport that believes whom `tls` believes and goes where `ways` lead. HTTP/2 needs
    the package h2."""

    def __init__(self, tls: TLSConfig, limits: httpx.Limits, ways: Ways) -> None:
        self._tls = tls
        self._limits = limits
        self._ways = ways
        self._making = trio.Lock()
        self._inner: httpx.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx's exceptions, ConnectError also where `tls` names no good files."""
        async with self._making:
            if self._inner is None:
                self._inner = await trio.to_thread.run_sync(self._make)
        return await self._inner.handle_async_request(request)

    def _make(self) -> httpx.AsyncHTTPTransport:
        try:
            return _Transport(ssl_context(self._tls), self._limits, self._ways)
        except OSError as error:
            # ssl.SSLError is one
            raise httpx.ConnectError(str(error)) from error

    async def aclose(self) -> None:
        """Close its connections."""
        if self._inner is not None:
            await self._inner.aclose()


def _tell_connected(request: httpcore.Request, scope: trio.CancelScope) -> httpcore.Request:
    """The request, for which the scope's deadline is lifted when there is a connection."""
    users: Any = request.extensions.get("trace")

    async def trace(name: str, info: dict[str, Any]) -> None:
        if name.endswith(_CONNECTED):
            scope.deadline = math.inf
        if users is not None:
            await users(name, info)

    return httpcore.Request(
        request.method,
        request.url,
        headers=request.headers,
        content=request.stream,
        extensions={**request.extensions, "trace": trace},
    )


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
        context.load_cert_chain(tls.client_cert, tls.client_key)
    if tls.keylog_file is not None:
        context.keylog_filename = os.fspath(tls.keylog_file)
    return context


def _cadata(data: bytes) -> bytes | str:
    """PEM is text to the ssl module, DER is bytes."""
    return data.decode("ascii", "replace") if b"-----BEGIN" in data else data
