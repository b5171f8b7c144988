"""What has come of a response is its reader's, whatever becomes of the connection: it is read to
its end, or as far as it came, and then the reader is told what ended the connection.

A server that is restarted closes its connections as soon as all was acknowledged, and that may be
long before a slow reader has asked for it.
"""

import gc
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeAlias

import httpx
import pytest
import trio
import trio.testing

import trioquic
from tests.httpx.site import Site, is_pattern, simulated_site
from tests.sim_server import credentials
from trioquic import http3
from trioquic.cli.connections import Connections
from trioquic.http3.client.settings import Settings
from trioquic.http3.failure import unwrapped
from trioquic.http3.url import parse_url

from .test_client import client_of, forget

Clock = trio.testing.MockClock

Receive: TypeAlias = Callable[[], Awaitable[bytes]]
"""The next part of a response's content; b"" at its end."""
Reader: TypeAlias = Callable[[Site, str], AbstractAsyncContextManager[Receive]]

WHOLE = 40_000
IDLE = trioquic.TransportConfig(idle_timeout=5.0)
BY_HAND = trioquic.MigrationPolicy(automatic=False)


@asynccontextmanager
async def by_connection(site: Site, path: str) -> AsyncIterator[Receive]:
    """The block of `open_http3` is left before the reader comes."""
    assert site.world is not None
    async with trioquic.open_connection(
        site.host,
        site.port,
        alpn=["h3"],
        tls=trioquic.TLSConfig(ca_data=credentials().ca_pem),
        networks=site.world.phone,
        transport=IDLE,
        migration=BY_HAND,
    ) as quic:
        async with AsyncExitStack() as block:
            http = await block.enter_async_context(http3.open_http3(quic))
            authority = parse_url(site.url).authority
            request = await http.open_request("GET", "https", authority, path, end=True)
            await request.receive_response()

            async def receive() -> bytes:
                await block.aclose()
                return await request.receive_data()

            yield receive


@asynccontextmanager
async def by_client(site: Site, path: str) -> AsyncIterator[Receive]:
    async with client_of(site, transport=IDLE, migration=BY_HAND) as client:
        async with client.stream("GET", site.url + path) as response:
            yield response.receive_some


@asynccontextmanager
async def by_httpx(site: Site, path: str) -> AsyncIterator[Receive]:
    async with site.client(transport=IDLE, migration=BY_HAND) as client:
        async with client.stream("GET", path) as response:
            pieces = response.aiter_raw()

            async def receive() -> bytes:
                return await anext(pieces, b"")

            yield receive


@asynccontextmanager
async def by_command(site: Site, path: str) -> AsyncIterator[Receive]:
    assert site.world is not None
    settings = Settings(
        tls=trioquic.TLSConfig(ca_data=credentials().ca_pem),
        transport=IDLE,
        migration=BY_HAND,
        networks=site.world.phone,
    )
    connections = Connections(settings, lambda text: None, time.monotonic())
    async with connections.opened():
        exchange = await connections.get(parse_url(site.url + path), ())

        async def receive() -> bytes:
            with unwrapped():
                return await exchange.receive_data()

        yield receive
        await exchange.aclose()


READERS: dict[str, Reader] = {
    "HTTP/3 by hand": by_connection,
    "http3.Client": by_client,
    "httpx": by_httpx,
    "trioquic fetch": by_command,
}


async def end(site: Site, how: str) -> None:
    """The server ends the connection, and the client has noticed."""
    if how == "closed":
        connection = site.applications[0].connection
        connection.quic.close(error_code=http3.ErrorCode.H3_NO_ERROR, reason_phrase="restart")
        connection.flush()
    else:
        forget(site)
    await trio.sleep(10)


async def all_of(receive: Receive) -> bytes:
    content = b""
    while piece := await receive():
        content += piece
    return content


@pytest.mark.parametrize("how", ["closed", "silent"])
@pytest.mark.parametrize("reader", READERS)
async def test_a_whole_response_is_read_after_the_end(
    autojump_clock: Clock, reader: str, how: str
) -> None:
    async with simulated_site() as site:
        async with READERS[reader](site, f"/bytes/{WHOLE}") as receive:
            # all of it comes
            await trio.sleep(2)
            await end(site, how)
            content = await all_of(receive)
            assert is_pattern(content) and len(content) == WHOLE
            # and that is the end of it, however often it is asked for
            assert await receive() == b""


@pytest.mark.parametrize(
    ("how", "told", "in_httpx"),
    [
        ("closed", trioquic.PeerClosedError, httpx.RemoteProtocolError),
        ("silent", trioquic.IdleTimeoutError, httpx.ReadError),
    ],
)
@pytest.mark.parametrize("reader", READERS)
async def test_a_half_response_is_read_as_far_as_it_came(
    autojump_clock: Clock,
    reader: str,
    how: str,
    told: type[Exception],
    in_httpx: type[Exception],
) -> None:
    """Then the reader is told the true cause, each time."""
    async with simulated_site() as site:
        async with READERS[reader](site, "/part") as receive:
            await trio.sleep(2)
            await end(site, how)
            assert await receive() == b"part"
            for _ in range(1 if reader == "httpx" else 2):
                with pytest.raises(in_httpx if reader == "httpx" else told) as caught:
                    await receive()
                assert how == "silent" or "restart" in str(caught.value)


async def test_a_reader_that_is_cancelled_loses_nothing(autojump_clock: Clock) -> None:
    async with simulated_site() as site:
        async with client_of(site, transport=IDLE) as client:
            async with client.stream("GET", f"{site.url}/bytes/{WHOLE}") as response:
                await trio.sleep(2)
                await end(site, "closed")
                content = b""
                while len(content) < WHOLE:
                    with trio.CancelScope() as scope:
                        scope.cancel()
                        content += await response.receive_some(1000)
                    content += await response.receive_some(1000)
                assert is_pattern(content)
                assert await response.receive_some() == b""


async def test_it_is_read_after_the_client_was_left(autojump_clock: Clock) -> None:
    """The client did not end that connection, so it does not say that it did."""
    async with simulated_site() as site:
        async with client_of(site, transport=IDLE) as client:
            block = client.stream("GET", f"{site.url}/bytes/{WHOLE}")
            response = await block.__aenter__()
            await trio.sleep(2)
            await end(site, "closed")
        assert len(await response.read()) == WHOLE
        await block.__aexit__(None, None, None)


async def test_it_is_kept_until_the_response_is_closed(autojump_clock: Clock) -> None:
    """Not by the client, which has other connections by then; and not a moment longer."""
    async with simulated_site() as site:
        async with client_of(site, transport=IDLE) as client:
            async with client.stream("GET", f"{site.url}/bytes/{WHOLE}") as response:
                await trio.sleep(2)
                kept = weakref.ref(response.quic)
                await end(site, "closed")
                assert client.connections == ()
            del response
            gc.collect()
            assert kept() is None
            assert (await client.get(f"{site.url}/bytes/1")).status == 200
