"""`HTTP3Transport`: its settings, and how it is entered, used and left."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final

import httpx
import trio

from .. import (
    MigrationPolicy,
    NetworkSource,
    TLSConfig,
    TransportConfig,
    _checks,
    open_connection,
    system_networks,
)
from .._application_code import guarded
from ..http3 import HTTP3Config, HTTP3Connection, open_http3
from ..http3.background import background
from ..sessions import SessionStore
from ._discovery import Discovery, Endpoint, Mode
from ._fallback import DefaultFallback
from ._home import Home
from ._pool import Pool
from ._router import Router
from ._tunnels import Tunnels

_ALPN: Final = ("h3",)

_ROWS: Final[_checks.Table] = {
    "mode": _checks.one_of(("direct", "alt-svc", "only")),
    "tls": _checks.instance(TLSConfig),
    "transport": _checks.instance(TransportConfig),
    "migration": _checks.instance(MigrationPolicy),
    "networks": _checks.optional(_checks.instance(NetworkSource)),
    "sessions": _checks.optional(_checks.instance(SessionStore)),
    "early_data": _checks.flag,
    "http3": _checks.instance(HTTP3Config),
    "limits": _checks.instance(httpx.Limits),
    "fallback": _checks.optional(_checks.instance(httpx.AsyncBaseTransport)),
    "head_start": _checks.number(),
    "nursery": _checks.optional(_checks.instance(trio.Nursery)),
}


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
      seconds (at most half of httpx's connect timeout), is asked through `fallback`. An attempt
      that takes longer goes on, for later requests; one that fails is not repeated for ten
      seconds, twice that each time it fails again, five minutes at most; or until the network
      changes.
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
        given = locals()
        for name, row in _ROWS.items():
            _checks.check(row, name, given[name])
        if mode == "only" and fallback is not None:
            raise ValueError('mode "only" has no fallback')
        if tls.fingerprint is not None and fallback is None and mode != "only":
            raise ValueError('a fingerprint needs mode "only", or a fallback of your own')
        if early_data and sessions is None:
            raise ValueError("early_data needs sessions: it is sent with what an earlier one left")
        self._mode = mode
        self._tls = tls
        self._transport = transport
        self._migration = migration
        self._networks = networks
        self._sessions = sessions
        self._early_data = early_data
        self._http3 = http3
        self._limits = limits
        self._given = fallback
        self._fallback: httpx.AsyncBaseTransport | None = None
        self._head_start = head_start
        # RFC 7838 section 2.1: elsewhere only a certificate shows that it is the same origin
        self._discovery = Discovery(mode, other_hosts=tls.verify)
        self._home = Home(nursery, self._live)
        self._pool: Pool | None = None
        self._router: Router | None = None
        self._tunnels: Tunnels

    def __repr__(self) -> str:
        return f"<HTTP3Transport {self._mode}>"

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
        if self._given is not None:
            await self._given.__aenter__()
        self._fallback = self._given
        try:
            async with background("trioquic.httpx") as nursery:
                self._open(nursery)
                assert self._pool is not None
                try:
                    yield
                finally:
                    self._pool.close_to_new()
                await self._pool.aclose()
        finally:
            fallback, self._fallback = self._fallback, None
            if fallback is not None:
                await fallback.__aexit__(None, None, None)

    def _open(self, nursery: trio.Nursery) -> None:
        early = self._early_data
        networks = guarded(system_networks() if self._networks is None else self._networks)
        self._tunnels = Tunnels(networks, self._migration)
        self._pool = Pool(nursery, self._open_http3, self._limits, self._tell, early_data=early)
        self._router = Router(
            nursery,
            self._pool,
            self._discovery,
            None if self._mode == "only" else self._find_fallback,
            self._head_start,
            self._tunnels,
            early_data=early,
        )
        nursery.start_soon(self._watch_networks, networks)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, its body unread; httpx calls this.

        Raises httpx's exceptions, and RuntimeError where there is no place for a connection's tasks
        or it was closed. Cancelled, the request is cancelled, and nothing of it is left.
        """
        await self._home.ensure()
        assert self._router is not None
        try:
            return await self._router.send(request)
        except httpx.TransportError:
            # Whoever cancels the block cancels the connections, which may be the first to end.
            await trio.lowlevel.checkpoint_if_cancelled()
            raise

    @asynccontextmanager
    async def _open_http3(
        self, endpoint: Endpoint, early_data: bool
    ) -> AsyncGenerator[HTTP3Connection]:
        migration = self._migration
        if self._tunnels.holds(endpoint.origin.host):
            migration = migration.inside()
        async with (
            open_connection(
                endpoint.host,
                endpoint.port,
                alpn=_ALPN,
                server_name=endpoint.server_name,
                tls=self._tls,
                transport=self._transport,
                migration=migration,
                networks=self._networks,
                sessions=self._sessions,
                early_data=early_data,
            ) as connection,
            open_http3(connection, self._http3) as http3,
        ):
            with self._tunnels.watching(endpoint.origin.host, connection):
                yield http3

    def _tell(self, endpoint: Endpoint, worked: bool) -> None:
        if worked:
            self._discovery.worked(endpoint)
        else:
            self._discovery.failed(endpoint, trio.current_time())

    def _find_fallback(self) -> httpx.AsyncBaseTransport:
        if self._fallback is None:
            self._fallback = DefaultFallback(self._tls, self._limits, self._tunnels)
        return self._fallback

    async def _watch_networks(self, networks: NetworkSource) -> None:
        """What was found out about hosts holds on this network only."""
        before = networks.snapshot()
        while True:
            await networks.wait_changed()
            after = networks.snapshot()
            if after != before:
                self._discovery.network_changed()
            before = after
