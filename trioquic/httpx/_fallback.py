"""The transport for hosts without HTTP/3: HTTP/2 and HTTP/1.1 over TLS, with the same trust.

It is httpx's own, with three things mended. Its first use takes a quarter of a second of
computation, which is done in a thread. It lets requests to one host wait for each other's attempts
to connect, five seconds each; here a request waits for a connection as long as its connect timeout
says, whoever makes it, and may be cancelled at any moment (`_httpcore.py`). And it would go
wherever the system sends packets; here it keeps to where the transport's other connections may go
(`_tcp.py`).
"""

import importlib.util
import os
import ssl

import certifi
import httpx
import trio

from .. import TLSConfig
from ..http3.blocks import Blocks
from ._failures import CLOSED
from ._httpcore import Pool
from ._tcp import Backend
from ._tunnels import Tunnels


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's, with a network of ours below, which its constructor does not take."""

    def __init__(self, context: ssl.SSLContext, limits: httpx.Limits, tunnels: Tunnels) -> None:
        super().__init__(verify=context)
        self._pool = Pool(
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
