"""A server for HTTP/3 tests: aioquic's, with an application, or one that follows a script.

Both run in the simulator's world on what tests/sim_server.py does with QUIC.
"""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic import events

import trioquic
from tests.sim_server import ServerConnection, ServerOptions, pattern
from tests.sim_world import SERVER, World, simulated_world
from trioquic import http3

AUTHORITY = "server.example"
URL = f"https://{AUTHORITY}"
SETTINGS = b"\x04\x00"  # a SETTINGS frame without settings
CONTROL = b"\x00"  # the stream type

Headers = list[tuple[bytes, bytes]]


@dataclass
class Exchange:
    """What the server has of one request."""

    headers: dict[bytes, bytes]
    fields: Headers
    """The same, as they came."""
    body: bytearray = field(default_factory=bytearray)
    trailers: Headers = field(default_factory=list)


class Application:
    """Answers requests by their path, when their content is complete.

    `/bytes/N`: N bytes of `pattern`; `/digest`: the SHA-256 of the content; `/echo`: the content as
    it comes; `/early`: an answer before the content, which it stops; `/interim`: 103, then 200;
    `/trailers`; `/headers`: the request's own; `/wait`: nothing; `/reset/CODE`; `/status/N`;
    `/late`: 425 (Too Early) before the handshake is complete, then 200.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self.quic = connection.quic
        self.connection = connection
        self.http: H3Connection | None = None
        self.exchanges: dict[int, Exchange] = {}
        self.resets: dict[int, int] = {}
        self.stops: dict[int, int] = {}
        self.sizes: dict[int, int] = {}
        """Bytes that came on each request's stream."""

    def __call__(self, event: events.QuicEvent) -> None:
        if isinstance(event, events.ProtocolNegotiated):
            self.http = H3Connection(self.quic)
        elif isinstance(event, events.StreamReset):
            self.resets[event.stream_id] = event.error_code
        elif isinstance(event, events.StopSendingReceived):
            self.stops[event.stream_id] = event.error_code
        elif isinstance(event, events.StreamDataReceived) and not event.stream_id & 2:
            self.sizes[event.stream_id] = self.sizes.get(event.stream_id, 0) + len(event.data)
        if self.http is not None:
            for happened in self.http.handle_event(event):
                self._on_event(happened)

    def _on_event(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            exchange = self.exchanges.get(event.stream_id)
            if exchange is None:
                exchange = Exchange(dict(event.headers), event.headers)
                self.exchanges[event.stream_id] = exchange
                self._begin(event.stream_id, exchange)
            else:
                exchange.trailers = list(event.headers)
        elif isinstance(event, DataReceived):
            exchange = self.exchanges[event.stream_id]
            exchange.body += event.data
            if exchange.headers[b":path"] == b"/echo":
                self._send(event.stream_id, event.data, event.stream_ended)
        if isinstance(event, HeadersReceived | DataReceived) and event.stream_ended:
            self._answer(event.stream_id, self.exchanges[event.stream_id])

    def _begin(self, stream_id: int, exchange: Exchange) -> None:
        # a tunnel has none
        path = exchange.headers.get(b":path", b"")
        if path == b"/echo":
            self._head(stream_id, 200)
        elif path == b"/early":
            self._head(stream_id, 200)
            self._send(stream_id, b"enough", True)
            self.quic.stop_stream(stream_id, http3.ErrorCode.H3_NO_ERROR)
        elif path.startswith(b"/reset/"):
            self.quic.reset_stream(stream_id, int(path[7:]))

    def _answer(self, stream_id: int, exchange: Exchange) -> None:
        path = exchange.headers[b":path"].decode()
        match path.split("/")[1:]:
            case ["bytes", size]:
                self._head(stream_id, 200, (b"content-length", size.encode()))
                self._send(stream_id, pattern(int(size)), True)
            case ["digest"]:
                self._head(stream_id, 200)
                self._send(stream_id, hashlib.sha256(exchange.body).hexdigest().encode(), True)
            case ["headers"]:
                self._head(stream_id, 200)
                lines = [name + b": " + value for name, value in exchange.headers.items()]
                self._send(stream_id, b"\n".join(lines), True)
            case ["interim"]:
                self._head(stream_id, 103, (b"link", b"</style.css>; rel=preload"))
                self._head(stream_id, 200)
                self._send(stream_id, b"", True)
            case ["trailers"]:
                self._head(stream_id, 200, (b"trailer", b"checksum"))
                self._send(stream_id, b"content", False)
                assert self.http is not None
                trailers = [(b"checksum", hashlib.sha256(b"content").hexdigest().encode())]
                if self.connection.takes(stream_id):
                    self.http.send_headers(stream_id, trailers, end_stream=True)
            case ["late"]:
                self._head(stream_id, 200 if self.quic._handshake_complete else 425, end=True)
            case ["status", code]:
                self._head(stream_id, int(code), end=True)
            case _:
                return

    def _head(
        self, stream_id: int, status: int, *fields: tuple[bytes, bytes], end: bool = False
    ) -> None:
        assert self.http is not None
        headers = [(b":status", str(status).encode()), *fields]
        if self.connection.takes(stream_id):
            self.http.send_headers(stream_id, headers, end_stream=end)

    def _send(self, stream_id: int, data: bytes, end: bool) -> None:
        assert self.http is not None
        if self.connection.takes(stream_id):
            self.http.send_data(stream_id, data, end_stream=end)
            self.connection.flush()


class Script:
    """Sends prepared bytes: `greeting` on streams of its own at the start, an answer to a request.

    Streams of the server's: `uni` makes the next one.
    """

    def __init__(
        self,
        connection: ServerConnection,
        greeting: Callable[["Script"], None],
        answer: Callable[["Script", int], None],
    ) -> None:
        self.quic = connection.quic
        self._greeting = greeting
        self._answer = answer
        self._answered: set[int] = set()
        self.log: list[events.QuicEvent] = []

    def __call__(self, event: events.QuicEvent) -> None:
        self.log.append(event)
        if isinstance(event, events.ProtocolNegotiated):
            self._greeting(self)
        elif isinstance(event, events.StreamDataReceived) and not event.stream_id & 2:
            if event.stream_id not in self._answered:
                self._answered.add(event.stream_id)
                self._answer(self, event.stream_id)

    def uni(self, data: bytes, *, end: bool = False) -> int:
        """Open a unidirectional stream and send `data` on it."""
        stream_id = self.quic.get_next_available_stream_id(is_unidirectional=True)
        self.quic.send_stream_data(stream_id, data, end)
        return stream_id


def greet(script: Script) -> None:
    """What a well-behaved server does at first."""
    script.uni(CONTROL + SETTINGS)


def say_nothing(script: Script, stream_id: int) -> None:
    """No answer to a request."""


@dataclass(kw_only=True)
class HTTPWorld:
    world: World
    options: ServerOptions
    applications: list[Application]
    scripts: list[Script]

    @asynccontextmanager
    async def connect(
        self,
        config: http3.HTTP3Config | None = None,
        transport: trioquic.TransportConfig | None = None,
        tls: trioquic.TLSConfig | None = None,
        **more: Any,
    ) -> AsyncIterator[http3.HTTP3Connection]:
        """An HTTP/3 connection of the phone's; `more` is for the QUIC connection."""
        tls = tls or trioquic.TLSConfig(ca_data=self.options.credentials.ca_pem)
        with self.world.phone.as_current():
            async with trioquic.open_connection(
                SERVER,
                4433,
                alpn=["h3"],
                server_name="server.example",
                tls=tls,
                transport=transport or trioquic.TransportConfig(),
                **more,
            ) as quic:
                async with http3.open_http3(quic, config or http3.HTTP3Config()) as http:
                    yield http


@asynccontextmanager
async def http_world(
    *,
    greeting: Callable[[Script], None] | None = None,
    answer: Callable[[Script, int], None] = say_nothing,
    configure: Callable[[ServerOptions], None] = lambda _: None,
) -> AsyncIterator[HTTPWorld]:
    """A world with an HTTP/3 server; with a `greeting` or an `answer` it follows that script."""
    scripted = greeting is not None or answer is not say_nothing
    applications: list[Application] = []
    scripts: list[Script] = []

    def application(connection: ServerConnection) -> Callable[[events.QuicEvent], None]:
        if scripted:
            scripts.append(Script(connection, greeting or greet, answer))
            return scripts[-1]
        applications.append(Application(connection))
        return applications[-1]

    options = ServerOptions(alpn=("h3",), application=application)
    configure(options)
    async with simulated_world(options=options, ipv6=False) as world:
        yield HTTPWorld(world=world, options=options, applications=applications, scripts=scripts)
