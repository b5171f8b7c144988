"""A web site for the tests: aioquic's server with an application, and clients of it.

`website` is on loopback, in real time; `simulated_site` is in the simulator's world, in virtual
time. What the server has got can be looked at in `applications`, one for each connection.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import trio
from aioquic.quic import events

import trioquic
from tests.http3.world import Application, Exchange
from tests.sim_server import ServerConnection, ServerOptions, SimServer, credentials, pattern, serve
from tests.sim_world import SERVER, World, simulated_world
from trioquic.http3 import ErrorCode
from trioquic.http3.client.pool import Pool
from trioquic.httpx import HTTP3Transport

GOAWAY = 0x07


class SiteApplication(Application):
    """More paths than the tests of HTTP/3 itself need.

    `/json`: the request's fields; `/redirect/PATH`; `/astray`: to the request's
    x-location; `/cookie`: sets one; `/part`: a part of a body
    and no more; `/alt-svc`: with the request's x-alt-svc as its own Alt-Svc; `/misdirected`: 421;
    `/deaf`: reads nothing of the body; `/hasty`: answers before it, and reads it; `/close`: closes
    the connection; `/goaway`: goes away, this request included; `/reject`: not processed;
    `/first/X`: as `/X` on the site's first connection, on others `/digest`.
    """

    def __init__(self, connection: ServerConnection, is_first: bool) -> None:
        super().__init__(connection)
        self._is_first = is_first

    def _begin(self, stream_id: int, exchange: Exchange) -> None:
        path = exchange.headers[b":path"].decode()
        if path.startswith("/first/"):
            path = path.removeprefix("/first") if self._is_first else "/digest"
            exchange.headers[b":path"] = path.encode()
        match path:
            case "/part":
                self._head(stream_id, 200, (b"content-length", b"10"))
                self._send(stream_id, b"part", False)
            case "/hasty":
                self._head(stream_id, 200)
                self._send(stream_id, b"enough", True)
            case "/deaf":
                # its credit grows no more
                self.quic._write_stream_limits = lambda *_, **__: None  # type: ignore[method-assign]
            case "/close":
                self.quic.close(error_code=ErrorCode.H3_INTERNAL_ERROR, reason_phrase="no more")
            case "/goaway":
                self.go_away(stream_id)
            case "/reject":
                self.quic.reset_stream(stream_id, ErrorCode.H3_REQUEST_REJECTED)
                self.quic.stop_stream(stream_id, ErrorCode.H3_REQUEST_REJECTED)
            case _:
                super()._begin(stream_id, exchange)

    def _answer(self, stream_id: int, exchange: Exchange) -> None:
        match exchange.headers[b":path"].decode().partition("?")[0].split("/")[1:]:
            case ["json"]:
                fields = {k.decode(): v.decode() for k, v in exchange.headers.items()}
                self._head(stream_id, 200, (b"content-type", b"application/json"))
                self._send(stream_id, json.dumps(fields).encode(), True)
            case ["redirect", *parts]:
                location = "/" + "/".join(parts)
                self._head(stream_id, 302, (b"location", location.encode()), end=True)
            case ["astray"]:
                self._head(stream_id, 302, (b"location", exchange.headers[b"x-location"]), end=True)
            case ["cookie"]:
                self._head(stream_id, 200, (b"set-cookie", b"flavour=oat; Path=/"), end=True)
            case ["alt-svc"]:
                value = exchange.headers[b"x-alt-svc"]
                self._head(stream_id, 200, (b"alt-svc", value), end=True)
            case ["misdirected"]:
                self._head(stream_id, 421, (b"alt-svc", b'h3="elsewhere.example:1"'), end=True)
            case _:
                super()._answer(stream_id, exchange)

    def go_away(self, stream_id: int) -> None:
        """Send GOAWAY: requests from this one on are not processed (RFC 9114 section 5.2)."""
        assert self.http is not None
        assert self.http._local_control_stream_id is not None
        frame = bytes([GOAWAY, 2]) + (0x4000 | stream_id).to_bytes(2, "big")
        self.quic.send_stream_data(self.http._local_control_stream_id, frame)


@dataclass(kw_only=True)
class Site:
    """A running site. `host` is what its certificate names."""

    host: str
    port: int
    server: SimServer | None = None
    applications: list[SiteApplication] = field(default_factory=list)
    world: World | None = None
    streams: int = 100
    """How many requests a client may have under way on each connection."""

    def make(self, connection: ServerConnection) -> Callable[[events.QuicEvent], None]:
        limit = connection.quic._local_max_streams_bidi
        limit.value = limit.sent = self.streams
        self.applications.append(SiteApplication(connection, not self.applications))
        return self.applications[-1]

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    def transport(self, **options: Any) -> HTTP3Transport:
        """A transport that trusts the site; without a fallback unless `options` name one."""
        options.setdefault("tls", trioquic.TLSConfig(ca_data=credentials().ca_pem))
        if "fallback" not in options:
            options.setdefault("mode", "only")
        return HTTP3Transport(**options)

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A client with the site as its base; `options` but `timeout` are the transport's."""
        timeout = options.pop("timeout", 20.0)
        async with httpx.AsyncClient(
            transport=self.transport(**options), base_url=self.url, timeout=timeout
        ) as client:
            yield client


@asynccontextmanager
async def website(*, streams: int = 100, **options: Any) -> AsyncIterator[Site]:
    """A site on a port of 127.0.0.1; `options` are the server's."""
    site = Site(host="127.0.0.1", port=0, streams=streams)
    options.setdefault("alpn", ("h3",))
    async with trio.open_nursery() as nursery:
        site.server = await nursery.start(
            serve, ["127.0.0.1"], 0, ServerOptions(application=site.make, **options)
        )
        site.port = site.server.port
        yield site
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def simulated_site(
    *, delay: float = 0.025, streams: int = 100, **options: Any
) -> AsyncIterator[Site]:
    """A site in the simulator's world, with the phone as the current host; `delay` is the Wi-Fi's
    one-way delay."""
    site = Site(host=SERVER, port=4433, streams=streams)
    options.setdefault("alpn", ("h3",))
    server_options = ServerOptions(application=site.make, **options)
    async with simulated_world(options=server_options, wifi={"delay": delay}, ipv6=False) as world:
        site.world = world
        site.server = world.server
        with world.phone.as_current():
            yield site


def pool_of(client: httpx.AsyncClient) -> Pool:
    """The connections of a client's transport."""
    transport = client._transport
    assert isinstance(transport, HTTP3Transport)
    assert transport._origins is not None
    return transport._origins.pool


def is_pattern(data: bytes) -> bool:
    """Whether these are the bytes of `/bytes/N`."""
    return data == pattern(len(data))
