"""A request over the fallback's HTTP/2 that is cancelled, as one that lost a race, harms no other
one on its connection."""

import math
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpcore
import pytest
import trio
import trio.testing
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from h2.settings import SettingCodes, Settings

from tests.cancellation.harness import Cut
from tests.certificates import Certificates
from trioquic import TLSConfig
from trioquic.httpx._fallback import ssl_context
from trioquic.httpx._httpcore import Pool
from trioquic.httpx._tcp import Backend, _Stream

from .test_tcp import HOST, Everywhere

STREAMS = 100
"""As many as most servers allow, and as httpcore uses."""


class Server:
    """Answers each request but those for /silent."""

    def __init__(self, certs: Certificates) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certs.server.cert_file, certs.server.key_file)
        self._context.set_alpn_protocols(["h2"])
        self.connections = 0
        self.ended, self.end = trio.open_memory_channel[None](math.inf)
        self.asked = trio.Event()

    async def serve(self, tcp: trio.SocketStream) -> None:
        self.connections += 1
        stream = trio.SSLStream(tcp, self._context, server_side=True, https_compatible=True)
        try:
            await self._serve(stream)
        except trio.BrokenResourceError:
            # the client was cancelled while it connected
            pass
        finally:
            self.ended.send_nowait(None)

    async def _serve(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        server = H2Connection(H2Configuration(client_side=False))
        server.local_settings = Settings(
            client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS}
        )
        self._begin(server)
        await stream.send_all(server.data_to_send())
        while data := await stream.receive_some():
            for event in server.receive_data(data):
                if not isinstance(event, RequestReceived):
                    continue
                self.asked.set()
                if (b":path", b"/") in event.headers:
                    assert event.stream_id is not None
                    self._answer(server, event.stream_id)
            await stream.send_all(server.data_to_send())

    def _begin(self, server: H2Connection) -> None:
        server.initiate_connection()

    def _answer(self, server: H2Connection, stream_id: int) -> None:
        server.send_headers(stream_id, [(":status", "200")], end_stream=True)


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, server.serve, [listener])
        yield f"https://127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


def pool_of(context: ssl.SSLContext, **limits: Any) -> Pool:
    return Pool(ssl_context=context, http2=True, network_backend=Backend(Everywhere()), **limits)


async def get(pool: httpcore.AsyncConnectionPool, url: str) -> None:
    extensions = {"timeout": {"connect": 5, "read": 5, "write": 5, "pool": 5}}
    response = await pool.request("GET", url, extensions=extensions)
    assert (response.status, response.extensions["http_version"]) == (200, b"HTTP/2")


async def test_cancelled_at_every_moment(certs: Certificates) -> None:
    """One request begins the connection and is cancelled after n steps of any task; another one
    waits beside it, and others follow."""
    context = ssl_context(TLSConfig(verify=False))
    server = Server(certs)
    caught = 0
    async with serving(server) as url:
        for at in range(1000):
            async with pool_of(context) as pool:
                with trio.fail_after(10):
                    async with trio.open_nursery() as nursery:
                        with Cut(at) as cut:
                            nursery.start_soon(get, pool, f"{url}/")
                            await get(pool, f"{url}/")
                        caught += cut.caught
                    # no response is lost with its stream
                    assert all(one.is_idle() or one.is_closed() for one in pool.connections)
                    async with trio.open_nursery() as nursery:
                        for _ in range(3):
                            nursery.start_soon(get, pool, f"{url}/")
            if not cut.fired:
                break
        else:
            pytest.fail("it was always cut")
    assert caught > 20


async def test_one_after_the_other_is_cancelled(certs: Certificates) -> None:
    """More of them than a connection has streams, and the server never hears that they are
    over."""
    context = ssl_context(TLSConfig(verify=False))
    server = Server(certs)
    async with serving(server) as url, pool_of(context) as pool:
        for _ in range(STREAMS + 50):
            server.asked = trio.Event()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(get, pool, f"{url}/silent")
                await server.asked.wait()
                nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            await get(pool, f"{url}/")
            await get(pool, f"{url}/")
            for _ in range(server.connections - 1):
                await server.end.receive()
    assert 1 < server.connections < 30


class LateServer(Server):
    """Its SETTINGS are still under way when the first requests are sent: until they come, the
    client has one stream."""

    def __init__(self, certs: Certificates) -> None:
        super().__init__(certs)
        self._begun: set[H2Connection] = set()

    def _begin(self, server: H2Connection) -> None:
        """Only the first answer begins."""

    def _answer(self, server: H2Connection, stream_id: int) -> None:
        if server not in self._begun:
            self._begun.add(server)
            super()._begin(server)
        super()._answer(server, stream_id)


@pytest.mark.parametrize(
    ("given_up", "limits"),
    [
        (10, {}),
        (1, {"keepalive_expiry": 0}),
        (1, {"max_keepalive_connections": 0}),
        (1, {"max_connections": 1}),
    ],
    ids=["worn", "kept for no time", "none is kept", "another host waits"],
)
async def test_a_connection_stays_for_who_has_no_stream_yet(
    certs: Certificates, given_up: int, limits: dict[str, int]
) -> None:
    """The only stream is given up, and another request is about to have it: whoever of the two
    runs first, as often as both do."""
    context = ssl_context(TLSConfig(verify=False))
    server = LateServer(certs)
    async with serving(server) as url, serving(server) as another:
        for _ in range(20):
            server.asked = trio.Event()
            async with pool_of(context, **limits) as pool, trio.open_nursery() as nursery:
                async with trio.open_nursery() as first:
                    first.start_soon(get, pool, f"{url}/silent")
                    await server.asked.wait()
                    nursery.start_soon(get, pool, f"{url}/")
                    async with trio.open_nursery() as more:
                        for _ in range(given_up - 1):
                            more.start_soon(get, pool, f"{url}/silent")
                        await trio.testing.wait_all_tasks_blocked()
                        more.cancel_scope.cancel()
                    if "max_connections" in limits:
                        nursery.start_soon(get, pool, f"{another}/")
                        await trio.testing.wait_all_tasks_blocked()
                    first.cancel_scope.cancel()


async def test_the_callers_own_trace_is_called(certs: Certificates) -> None:
    """httpx documents it as an extension of a request."""
    seen: list[str] = []

    async def trace(name: str, info: object) -> None:
        seen.append(name)

    async with serving(Server(certs)) as url, pool_of(ssl_context(TLSConfig(verify=False))) as pool:
        for _ in range(2):
            request = httpcore.Request(
                "GET", f"{url}/", headers={"Host": "a.example"}, extensions={"trace": trace}
            )
            response = await pool.handle_async_request(request)
            await response.aclose()
            assert request.extensions["trace"] is trace
    assert seen.count("http2.send_connection_init.complete") == 1
    assert seen.count("http2.send_request_headers.started") == 2


async def test_who_begins_a_connection_finishes_that(certs: Certificates) -> None:
    """Cancelled with its first step, it goes on to its own request; another one follows."""
    seen: list[str] = []
    scope = trio.CancelScope()

    async def trace(name: str, info: object) -> None:
        seen.append(name)
        if name == "http2.send_connection_init.started":
            scope.cancel()
        await trio.lowlevel.checkpoint()

    server = Server(certs)
    context = ssl_context(TLSConfig(verify=False))
    async with serving(server) as url, pool_of(context) as pool:
        with scope:
            await pool.request("GET", f"{url}/", extensions={"trace": trace})
        assert scope.cancelled_caught
        begun = seen.index("http2.send_connection_init.complete")
        assert "http2.send_request_headers.started" in seen[begun:]
        with trio.fail_after(5):
            await get(pool, f"{url}/")
        assert server.connections == 1


class Stalled(Backend):
    """Its connections take no bytes."""

    async def connect_tcp(self, *args: Any, **more: Any) -> httpcore.AsyncNetworkStream:
        stream, _ = trio.testing.memory_stream_pair()
        stream.send_stream.send_all_hook = trio.sleep_forever
        return _Stream(cast(Any, stream), lambda: False)


async def test_a_first_write_that_stalls(autojump_clock: trio.testing.MockClock) -> None:
    """Who begins a connection and is cancelled is not kept for as long as a write may take."""
    backend = Stalled(Everywhere())
    async with Pool(http1=False, http2=True, network_backend=backend) as pool:
        with trio.move_on_after(1) as scope:
            await pool.request("GET", f"http://{HOST}/", extensions={"timeout": {"write": 30}})
        assert scope.cancelled_caught
        assert trio.current_time() < 1.3
        assert not pool.connections
