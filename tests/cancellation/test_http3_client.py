"""`http3.Client`, cancelled at every moment: its connections are closed, or as good as before."""

import hashlib
from typing import Any

import trio
import trio.testing

import trioquic
from tests.sim_server import PORT, credentials, pattern
from tests.sim_world import SERVER, World
from trioquic import http3

from .harness import Cut, bench, sweep
from .test_http3 import CONTENT, SIZE, Pieces, options

Clock = trio.testing.MockClock
URL = f"https://{SERVER}:{PORT}"


def client_in(world: World) -> http3.Client:
    tls = trioquic.TLSConfig(ca_data=credentials().ca_pem)
    return http3.Client(tls=tls, networks=world.phone)


async def ask(client: http3.Client, **content: Any) -> None:
    """A request, and another one whose response is read while it comes."""
    response = await client.post(f"{URL}/digest", **content)
    assert response.text == hashlib.sha256(CONTENT).hexdigest()
    async with client.stream("GET", f"{URL}/bytes/{SIZE}") as streamed:
        assert await streamed.read() == pattern(SIZE)


async def test_the_whole_client(autojump_clock: Clock) -> None:
    async def case(cut: Cut) -> None:
        pieces = Pieces()
        async with bench(options()) as b:
            with cut:
                async with client_in(b.world) as client:
                    await ask(client, content=pieces.make())
            assert pieces.open == 0
            await b.nothing_left(http3.ErrorCode.H3_NO_ERROR)

    await sweep(case, least=40)


async def test_a_request(autojump_clock: Clock) -> None:
    """The connection that comes of it, or was there, is used by the next one."""

    async def case(cut: Cut) -> None:
        pieces = Pieces()
        async with bench(options()) as b:
            async with client_in(b.world) as client:
                with cut:
                    await ask(client, content=pieces.make())
                assert pieces.open == 0
                assert all(http.active_requests == 0 for http in client.connections)
                await ask(client, content=CONTENT)
                assert len(client.connections) == 1
            await b.nothing_left(http3.ErrorCode.H3_NO_ERROR)

    await sweep(case, least=40)


async def test_a_response_on_a_connection_that_ends(autojump_clock: Clock) -> None:
    """Before, while and after the client notices; what has come is not lost."""

    async def case(cut: Cut) -> None:
        async with bench(options()) as b:
            async with (
                client_in(b.world) as client,
                client.stream("GET", f"{URL}/bytes/{SIZE}") as response,
            ):
                await trio.sleep(1)
                (server,) = b.world.server.connections
                content = b""
                with cut:
                    server.quic.close(error_code=http3.ErrorCode.H3_NO_ERROR)
                    server.flush()
                    await trio.sleep(1)
                    content = await response.read()
                content += await response.read()
                assert content == pattern(SIZE)
            await b.nothing_left_in_the_end()

    await sweep(case, least=10)
