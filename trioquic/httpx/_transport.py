"""`HTTP3Transport`: its settings, and how it is entered, used and left."""

import math
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Final

import httpx
import trio

from .. import MigrationPolicy, NetworkSource, TLSConfig, TransportConfig, _checks
from ..http3 import HTTP3Config
from ..http3.client.discovery import Mode
from ..http3.client.origins import Origins, open_origins
from ..http3.client.settings import PoolLimits, Settings
from ..http3.exchange import Exchange
from ..sessions import SessionStore
from ._around import AroundHTTP3
from ._failures import check_host, translated
from ._fields import call_of, origin_of
from ._home import Home
from ._response import make_response

_FALLBACK: Final = _checks.optional(_checks.instance(httpx.AsyncBaseTransport))
_NURSERY: Final = _checks.optional(_checks.instance(trio.Nursery))


class HTTP3Transport(httpx.AsyncBaseTransport):
    """HTTP/3 for httpx: `async with httpx.AsyncClient(transport=HTTP3Transport()) as client`.

    Requests to one origin share a connection, which moves to another network when it must; requests
    go on meanwhile. Its connections are tasks, which need a nursery. Within `async with`, of the
    client or of the transport itself, a hidden one will do; enter it first, and any number of
    clients may enter it again inside the block, in the same task. With a `nursery` of yours no
    `async with` is needed, as with httpx itself, and every task may use, close and leave it; the
    nursery waits until `aclose` is called.

    `mode` says when HTTP/3 is used for https URLs:

    - "direct": it is tried first. A host that has no HTTP/3, or no connection after `head_start`
      seconds (at most half of httpx's connect timeout), is asked through `fallback`.
    - "alt-svc": `fallback` is asked first, HTTP/3 is used where the origin advertises it (RFC 7838,
      RFC 9114 section 3.1.1).
    - "only": there is nothing else; errors of HTTP/3 are raised.

    Where an origin's Alt-Svc fields name places, these are used in the modes "direct" and "only",
    too; their certificate must be valid for the origin. `fallback` is a transport for all that does
    not go over HTTP/3, such as http URLs; it is entered and closed with this one. By default it is
    httpx's own with HTTP/2 and HTTP/1.1 and the trust of `tls`.

    `tls`, `transport`, `migration`, `networks` and `sessions` are those of
    `trioquic.open_connection`, `http3` that of `trioquic.http3.open_http3`. `limits` are httpx's,
    for HTTP/3 connections here and for TCP connections in the default fallback.

    With `early_data`, GET, HEAD and OPTIONS requests without a body do not wait for the handshake
    with a server that `sessions` has a ticket of. Who records them can send them to the server
    again, so it is for applications that know that this does no harm (RFC 8470).

    Raises ValueError for a `fingerprint` in `tls` without a `fallback` or "only", as httpx's
    transport cannot be told to trust one certificate, and for `early_data` without `sessions`.
    """

    def __init__(
        self,
        *,
        mode: Mode = "direct",
        tls: TLSConfig = TLSConfig(),  # noqa: B008 - frozen
        transport: TransportConfig = TransportConfig(),  # noqa: B008 - frozen
        migration: MigrationPolicy = MigrationPolicy(),  # noqa: B008 - frozen
        networks: NetworkSource | None = None,
        sessions: SessionStore | None = None,
        early_data: bool = False,
        http3: HTTP3Config = HTTP3Config(),  # noqa: B008 - frozen
        limits: httpx.Limits = httpx.Limits(  # noqa: B008 - never changed
            max_connections=100, max_keepalive_connections=20
        ),
        fallback: httpx.AsyncBaseTransport | None = None,
        head_start: float = 0.3,
        nursery: trio.Nursery | None = None,
    ) -> None:
        _checks.check(_checks.instance(httpx.Limits), "limits", limits)
        _checks.check(_FALLBACK, "fallback", fallback)
        _checks.check(_NURSERY, "nursery", nursery)
        self._settings = Settings(
            mode=mode,
            tls=tls,
            transport=transport,
            migration=migration,
            networks=networks,
            sessions=sessions,
            early_data=early_data,
            http3=http3,
            head_start=head_start,
            limits=PoolLimits(
                max_connections=_number(limits.max_connections),
                max_idle_connections=_number(limits.max_keepalive_connections),
                idle_expiry=_number(limits.keepalive_expiry),
            ),
        )
        if mode == "only" and fallback is not None:
            raise ValueError('mode "only" has no fallback')
        if tls.fingerprint is not None and fallback is None and mode != "only":
            raise ValueError('a fingerprint needs mode "only", or a fallback of your own')
        self._limits = limits
        self._fallback = fallback
        self._home = Home(nursery, self._live)
        self._origins: Origins
        self._around: AroundHTTP3 | None = None

    def __repr__(self) -> str:
        return f"<HTTP3Transport {self._settings.mode}>"

    async def __aenter__(self) -> "HTTP3Transport":
        """Open the block that its connections live in.

        Raises RuntimeError when it was closed, without trio, and, unless it has a `nursery`, in
        another task than that of the block.
        """
        await self._home.enter()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Close: gracefully, or at once when an exception or a cancellation ends the block."""
        await self._home.leave(exc_value)

    async def aclose(self) -> None:
        """Close all connections; requests that are not complete fail. From any task. Idempotent;
        cancelled, it closes at once. A block is still to be left."""
        await self._home.aclose()

    @asynccontextmanager
    async def _live(self) -> AsyncGenerator[None]:
        """What the one task of the transport does."""
        settings, fallback = self._settings, self._fallback
        async with AsyncExitStack() as stack:
            if fallback is not None:
                await stack.enter_async_context(fallback)
            async with open_origins(settings) as origins:
                self._origins = origins
                if settings.mode != "only":
                    self._around = AroundHTTP3(origins, settings, fallback, self._limits)
                    stack.push_async_callback(self._around.aclose)
                yield

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, its body unread; httpx calls this.

        Raises httpx's exceptions, and RuntimeError where there is no place for a connection's tasks
        or it was closed. Cancelled, the request is cancelled, and nothing of it is left.
        """
        await self._home.ensure()
        try:
            with translated():
                return await self._send(request)
        except httpx.TransportError:
            # Whoever cancels the block cancels the connections, which may be the first to end.
            await trio.lowlevel.checkpoint_if_cancelled()
            raise

    async def _send(self, request: httpx.Request) -> httpx.Response:
        check_host(origin_of(request).host)
        scheme, around = request.url.scheme, self._around
        if scheme != "https":
            if around is None:
                raise httpx.UnsupportedProtocol(f"HTTP/3 is for https URLs, not for {scheme}")
            return await around.send(request, trio.current_time())
        call = call_of(request)
        detour = None if around is None else partial(around.send, request)
        response = await self._origins.router.send(call, detour)
        if isinstance(response, Exchange):
            return make_response(response, call.timeouts.write)
        assert isinstance(response, httpx.Response)
        return response


def _number(limit: float | None) -> float:
    return math.inf if limit is None else limit
