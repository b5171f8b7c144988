"""`http3.Client`: requests by URL, to any number of servers.

What is here is about URLs, redirects and whole responses. Connections, and which request goes over
which of them how often, are the business of `Origins`.
"""

import json as json_text
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Final, TypedDict, Unpack

import trio

from ... import MigrationPolicy, NetworkSource, TLSConfig, TransportConfig, __version__, _checks
from ..._construction import create
from ...sessions import SessionStore
from ..connection import HTTP3Connection
from ..errors import RedirectError
from ..exchange import Exchange
from ..failure import unwrapped
from ..fields import TEXT, HeaderTypes, completed, pseudo_fields, request_fields
from ..priority import PRIORITY, Priority
from ..response import LIMIT, CompleteResponse, Content, Response, checked_content, reading
from ..settings import HTTP3Config
from ..url import parse_url
from .call import Call
from .origins import Origins, open_origins
from .redirect import REDIRECTS, after_redirect
from .settings import PoolLimits, Settings

HEADERS: Final = ((b"user-agent", f"trioquic/{__version__}".encode()), (b"accept", b"*/*"))
# Once its response is complete a request may be so, too: as long as it gets on, in seconds
_STILL: Final = 5.0
_NO_TUNNEL: Final = (
    "http3.Client makes no tunnels: CONNECT has HOST:PORT in the place of a URL, see"
    " HTTP3Connection.open_request"
)


class Options(TypedDict, total=False):
    """The arguments of `Client.request` beside method and URL."""

    headers: HeaderTypes
    content: Content | None
    json: Any
    priority: Priority | None
    max_bytes: int | None
    max_redirects: int | None


class Client:
    """Requests over HTTP/3: `async with Client() as client: r = await client.get(url)`.

    Any number of tasks may use it at once. Requests to one origin share a connection, which moves
    to another network when it must; the connections are tasks of the block. One that is lost, that
    the server leaves, or on which it is not heard for three PTOs (RFC 9002 section 6.2) is replaced
    by another. A request is sent again only where that does no harm: if the server says that it did
    nothing for it, or if the connection is lost before a response came and the method is idempotent
    (RFC 9110 section 9.2.2); never if its content is an iterator. While nobody answers on its
    connection such a request is sent on another one beside it, and the first response counts.

    `tls`, `transport`, `migration`, `networks` and `sessions` are those of
    `trioquic.open_connection`, `http3` is that of `open_http3`. Connections begin on the first of
    the `interfaces` that is up, if any are named. With `early_data`, GET, HEAD and OPTIONS requests
    without content do not wait for the handshake with a server that `sessions` has a ticket of: who
    records them can send them to the server again (RFC 8470). `headers` go with every request,
    unless it has fields of the same name; by default they say `user-agent` and `accept`.

    `limits` bound how many connections there are. Where an origin names other places for HTTP/3 in
    Alt-Svc fields (RFC 7838), these are used.

    There are no timeouts but those of `transport`; use trio's cancel scopes. Works on trio, and
    on anyio's trio backend. Raises ValueError and TypeError for settings that cannot be right.
    """

    def __init__(
        self,
        *,
        tls: TLSConfig = TLSConfig(),  # noqa: B008 - frozen
        transport: TransportConfig = TransportConfig(),  # noqa: B008 - frozen
        migration: MigrationPolicy = MigrationPolicy(),  # noqa: B008 - frozen
        networks: NetworkSource | None = None,
        interfaces: Sequence[str] = (),
        sessions: SessionStore | None = None,
        early_data: bool = False,
        http3: HTTP3Config = HTTP3Config(),  # noqa: B008 - frozen
        limits: PoolLimits = PoolLimits(),  # noqa: B008 - frozen
        headers: HeaderTypes = (),
        max_redirects: int = 10,
    ) -> None:
        own = request_fields(headers)
        given = {name for name, _ in own}
        self._headers = (*own, *(one for one in HEADERS if one[0] not in given))
        _checks.check(_checks.whole(0), "max_redirects", max_redirects)
        self._redirects = max_redirects
        self._settings = Settings(
            tls=tls,
            transport=transport,
            migration=migration,
            networks=networks,
            interfaces=interfaces,
            sessions=sessions,
            early_data=early_data,
            http3=http3,
            limits=limits,
        )
        if limits.max_connections < 1:
            # no timeout would end the wait for one
            raise ValueError("max_connections must be at least 1, not 0")
        self._block: AbstractAsyncContextManager[Origins] | None = None
        self._origins: Origins | None = None

    def __repr__(self) -> str:
        return f"<Client with {len(self.connections)} connections>"

    @property
    def connections(self) -> tuple[HTTP3Connection, ...]:
        """Those that are open, oldest first."""
        pool = () if self._origins is None else self._origins.pool.connections
        return tuple(one.http3 for one in pool if one.http3 is not None and one.connected)

    async def __aenter__(self) -> "Client":
        """Open the block that its connections live in. Raises RuntimeError without trio, and when
        it was entered before."""
        if not trio.lowlevel.in_trio_task():
            raise RuntimeError("http3.Client works on trio only: run the program by trio.run()")
        if self._block is not None:
            raise RuntimeError("this http3.Client was entered before; make another one")
        self._block = open_origins(self._settings)
        self._origins = await self._block.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Close all connections: gracefully, or at once when an exception or a cancellation ends
        the block."""
        assert self._block is not None
        return await self._block.__aexit__(exc_type, exc_value, traceback)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes = (),
        content: Content | None = None,
        json: Any = None,
        priority: Priority | None = None,
        max_bytes: int | None = None,
        max_redirects: int | None = None,
    ) -> CompleteResponse:
        """A request, and all of the response to it.

        `method` is sent in capitals, `content` as it is, `json` as JSON (RFC 8259), called
        `application/json` unless `headers`, or those of the client, have a Content-Type. Who is
        named in `url` (RFC 7617) is sent as an Authorization field, if `headers` has none. At most
        `max_redirects` redirects are followed, those of the client by default; 0: a redirect is a
        response like others. Authorization, Cookie and Host fields go to the origin of `url` only.

        Raises `HTTP3Error` (`RedirectError`; if the response is larger than `max_bytes`; and others
        of the server's doing), `trioquic.HandshakeError` and OSError if there is no connection,
        `trioquic.ConnectionLostError`, `trio.ClosedResourceError` when the client was left,
        ValueError for what HTTP does not allow, and what `content` raises. Cancelled, the request
        is cancelled, and nothing of it is left.
        """
        _checks.check(LIMIT, "max_bytes", max_bytes)
        call, url = self._call(method, url, headers, content, json, priority)
        exchange, url = await self._follow(call, url, max_redirects)
        async with aclosing(exchange):
            received = await create(Response, exchange, url).read(max_bytes=max_bytes)
            await exchange.wait_uploaded(_STILL)
        return CompleteResponse(
            status=exchange.head.status,
            headers=exchange.head.headers,
            informational=exchange.head.informational,
            url=url,
            content=received,
            trailers=exchange.request.trailers,
        )

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes = (),
        content: Content | None = None,
        json: Any = None,
        priority: Priority | None = None,
        max_redirects: int | None = None,
    ) -> AsyncGenerator[Response]:
        """The same, with a response that is read while it comes: `async with client.stream("GET",
        url) as response`. Leaving the block cancels what is not complete."""
        call, url = self._call(method, url, headers, content, json, priority)
        exchange, url = await self._follow(call, url, max_redirects)
        async with reading(exchange, url) as response:
            yield response

    async def get(self, url: str, **more: Unpack[Options]) -> CompleteResponse:
        """`request("GET", url)`, with the other arguments of `request`."""
        return await self.request("GET", url, **more)

    async def head(self, url: str, **more: Unpack[Options]) -> CompleteResponse:
        """The same with HEAD."""
        return await self.request("HEAD", url, **more)

    async def post(self, url: str, **more: Unpack[Options]) -> CompleteResponse:
        """The same with POST."""
        return await self.request("POST", url, **more)

    async def put(self, url: str, **more: Unpack[Options]) -> CompleteResponse:
        """The same with PUT."""
        return await self.request("PUT", url, **more)

    async def delete(self, url: str, **more: Unpack[Options]) -> CompleteResponse:
        """The same with DELETE."""
        return await self.request("DELETE", url, **more)

    def _call(
        self,
        method: str,
        url: str,
        headers: HeaderTypes,
        content: Content | None,
        json: Any,
        priority: Priority | None,
    ) -> tuple[Call, str]:
        """The request, and its URL as the server is asked for it. What can be checked is checked
        here, before anything is sent."""
        _checks.check(TEXT, "url", url)
        _checks.check(TEXT, "method", method)
        if method.upper() == "CONNECT":
            raise ValueError(_NO_TUNNEL)
        _checks.check(PRIORITY, "priority", priority)
        sent = checked_content(content)
        if content is not None and json is not None:
            raise ValueError("content and json exclude each other")
        target, fields = parse_url(url), request_fields(headers)
        pseudo_fields(method, "https", target.authority, target.path, None)
        given = {name for name, _ in fields}
        fields += [(name, value) for name, value in self._headers if name not in given]
        if json is not None:
            sent = json_text.dumps(json, allow_nan=False).encode()
            if all(name != b"content-type" for name, _ in fields):
                fields.append((b"content-type", b"application/json"))
        call = Call(
            # as applications write it; on the wire "get" is another method (RFC 9110 section 9.1)
            method=method.upper(),
            origin=target.origin,
            authority=target.authority,
            path=target.path,
            fields=completed(fields, target.authorization, sent),
            content=sent,
            priority=priority,
        )
        return call, target.url

    async def _follow(
        self, call: Call, url: str, max_redirects: int | None
    ) -> tuple[Exchange, str]:
        """The response that redirects lead to, its content unread, and its URL."""
        _checks.check(LIMIT, "max_redirects", max_redirects)
        most = self._redirects if max_redirects is None else max_redirects
        if self._origins is None:
            raise RuntimeError("http3.Client needs a place for its tasks: use `async with`")
        followed = 0
        while True:
            with unwrapped():
                exchange = await self._origins.router.send(call)
            assert isinstance(exchange, Exchange)
            status, location = exchange.head.status, exchange.head.header("location")
            if not most or location is None or status not in REDIRECTS:
                return exchange, url
            await exchange.aclose()
            if followed == most:
                last = _checks.without_password(location)
                raise RedirectError(f"more than {most} redirects, the last to {last!r}")
            followed += 1
            call, url = after_redirect(call, url, status, location.encode("latin-1"))
