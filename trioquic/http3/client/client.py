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
from ..failure import unwrapped
from ..fields import HeaderTypes, completed, pseudo_fields, request_fields
from ..priority import Priority
from ..response import CONTENT, Content, Response, reading
from ..settings import HTTP3Config
from ..url import parse_url
from .attempt import Answer
from .call import Call
from .complete import CompleteResponse
from .origins import Origins, open_origins
from .redirect import Wish, is_redirect, led_by
from .settings import Settings

HEADERS: Final = ((b"user-agent", f"trioquic/{__version__}".encode()), (b"accept", b"*/*"))
# Once its response is complete a request may be so, too: as long as it gets on, in seconds
_STILL: Final = 5.0
_URL: Final = _checks.instance(str)
_LIMIT: Final = _checks.optional(_checks.whole(0))
_PRIORITY: Final = _checks.optional(_checks.instance(Priority))


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

    At most `max_connections` are open at once, and `max_idle_connections` of them without a request
    for at most `idle_expiry` seconds. Where an origin names other places for HTTP/3 in Alt-Svc
    fields (RFC 7838), these are used.

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
        headers: HeaderTypes = (),
        max_redirects: int = 10,
        max_connections: float = 100,
        max_idle_connections: float = 20,
        idle_expiry: float = 5.0,
    ) -> None:
        self._headers = tuple(request_fields(headers))
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
            max_connections=max_connections,
            max_idle_connections=max_idle_connections,
            idle_expiry=idle_expiry,
        )
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

        `content` is sent as it is, `json` as JSON (RFC 8259). Who is named in `url` (RFC 7617) is
        sent as an Authorization field, if `headers` has none. At most `max_redirects` redirects are
        followed, those of the client by default; 0: a redirect is a response like others.
        Authorization, Cookie and Host fields go to the origin of `url` only.

        Raises `HTTP3Error` (`RedirectError`; if the response is larger than `max_bytes`; and others
        of the server's doing), `trioquic.HandshakeError` and OSError if there is no connection,
        `trioquic.ConnectionLostError`, `trio.ClosedResourceError` when the client was left,
        ValueError for what HTTP does not allow, and what `content` raises. Cancelled, the request
        is cancelled, and nothing of it is left.
        """
        _checks.check(_LIMIT, "max_bytes", max_bytes)
        wish = self._wish(method, url, headers, content, json)
        answer, reached = await self._follow(wish, priority, self._most(max_redirects))
        async with aclosing(answer):
            response = create(Response, answer.exchange, answer.head, reached)
            received = await response.read(max_bytes=max_bytes)
            await answer.exchange.wait_uploaded(_STILL)
        return CompleteResponse(
            status=answer.head.status,
            headers=answer.head.headers,
            informational=answer.head.informational,
            url=reached,
            content=received,
            trailers=response.trailers,
        )

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: HeaderTypes = (),
        content: Content | None = None,
        json: Any = None,
        priority: Priority | None = None,
        max_redirects: int | None = None,
    ) -> AbstractAsyncContextManager[Response]:
        """The same, with a response that is read while it comes: `async with client.stream("GET",
        url) as response`. Leaving the block cancels what is not complete."""
        wish = self._wish(method, url, headers, content, json)
        return self._stream(wish, priority, self._most(max_redirects))

    @asynccontextmanager
    async def _stream(
        self, wish: Wish, priority: Priority | None, redirects: int
    ) -> AsyncGenerator[Response]:
        answer, reached = await self._follow(wish, priority, redirects)
        async with reading(answer.exchange, reached, answer.head) as response:
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

    def _most(self, redirects: int | None) -> int:
        _checks.check(_LIMIT, "max_redirects", redirects)
        return self._redirects if redirects is None else redirects

    def _wish(
        self, method: str, url: str, headers: HeaderTypes, content: Content | None, json: Any
    ) -> Wish:
        """All that can be checked is checked here, before anything is sent."""
        _checks.check(_URL, "url", url)
        _checks.check(CONTENT, "content", content)
        if content is not None and json is not None:
            raise ValueError("content and json exclude each other")
        target, fields = parse_url(url), request_fields(headers)
        pseudo_fields(method, "https", target.authority, target.path, None)
        given = {name for name, _ in fields}
        if json is not None:
            content = json_text.dumps(json).encode()
            if b"content-type" not in given:
                fields.append((b"content-type", b"application/json"))
        elif isinstance(content, bytearray | memoryview):
            content = bytes(content)
        own = {name for name, _ in self._headers}
        fields += [(name, value) for name, value in self._headers if name not in given]
        fields += [(name, value) for name, value in HEADERS if name not in given | own]
        return Wish(
            method=method,
            target=target,
            headers=tuple(fields),
            content=content,
            authorization=target.authorization,
        )

    async def _follow(
        self, wish: Wish, priority: Priority | None, redirects: int
    ) -> tuple[Answer, str]:
        """The response that redirects lead to, its content unread, and its URL."""
        _checks.check(_PRIORITY, "priority", priority)
        if self._origins is None:
            raise RuntimeError("http3.Client needs a place for its tasks: use `async with`")
        followed = 0
        while True:
            with unwrapped():
                answer = await self._origins.send(_call_of(wish, priority))
            assert isinstance(answer, Answer)
            status, location = answer.head.status, answer.head.header("location")
            if not redirects or location is None or not is_redirect(status):
                return answer, wish.target.url
            await answer.aclose()
            if followed == redirects:
                raise RedirectError(f"more than {redirects} redirects, the last to {location!r}")
            followed += 1
            wish = led_by(status, location.encode("latin-1"), wish)


def _call_of(wish: Wish, priority: Priority | None) -> Call:
    target, content = wish.target, wish.content
    assert not isinstance(content, bytearray | memoryview)
    return Call(
        method=wish.method,
        origin=target.origin,
        server_name=target.origin.host,
        authority=target.authority,
        path=target.path,
        fields=tuple(request_fields(completed(wish.headers, wish.authorization, content))),
        content=content,
        priority=priority,
    )
