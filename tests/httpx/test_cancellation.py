"""Cancelled at every moment: no task, no socket and no place in the pool is left behind."""

import hashlib
from collections.abc import AsyncIterator

import httpx
import trio
import trio.testing

from tests.cancellation.harness import Bench, Cut, bench, sweep
from tests.sim_server import ServerOptions, credentials, pattern
from tests.sim_world import SERVER
from trioquic import TLSConfig
from trioquic.http3 import ErrorCode
from trioquic.httpx import HTTP3Transport

from .site import Site, pool_of

CONTENT = pattern(1000)
SIZE = 1000


def client_of(b: Bench) -> httpx.AsyncClient:
    transport = HTTP3Transport(
        mode="only", tls=TLSConfig(ca_data=credentials().ca_pem), networks=b.world.phone
    )
    return httpx.AsyncClient(transport=transport, base_url=f"https://{SERVER}:4433", timeout=60)


def options() -> ServerOptions:
    return ServerOptions(alpn=("h3",), application=Site(host=SERVER, port=4433).make)


class Pieces:
    """A body that knows whether somebody is waiting in it."""

    def __init__(self) -> None:
        self.inside = 0
        self._left = [CONTENT]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self.inside += 1
        try:
            await trio.sleep(0.01)
        finally:
            self.inside -= 1
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


async def upload(client: httpx.AsyncClient, pieces: Pieces) -> None:
    response = await client.post("/digest", content=pieces)
    assert response.text == hashlib.sha256(CONTENT).hexdigest()


async def test_a_whole_client(autojump_clock: trio.testing.MockClock) -> None:
    async def case(cut: Cut) -> None:
        pieces = Pieces()
        async with bench(options()) as b:
            with cut:
                async with client_of(b) as client:
                    await upload(client, pieces)
            assert pieces.inside == 0
            await b.nothing_left(ErrorCode.H3_NO_ERROR)

    await sweep(case, least=40)


async def test_one_request_of_two(autojump_clock: trio.testing.MockClock) -> None:
    """The other one is not concerned, and the connection is as good as before."""

    async def case(cut: Cut) -> None:
        pieces = Pieces()
        async with bench(options()) as b:
            async with client_of(b) as client:

                async def beside() -> None:
                    assert (await client.get(f"/bytes/{SIZE}")).content == pattern(SIZE)

                await beside()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(beside)
                    with cut:
                        await upload(client, pieces)
                    assert pieces.inside == 0
                (connection,) = pool_of(client).connections
                assert not connection.users
                assert connection.http3 is not None
                assert connection.http3.active_requests == 0
                await beside()
            await b.nothing_left(ErrorCode.H3_NO_ERROR)

    await sweep(case, least=20)


async def test_the_only_request(autojump_clock: trio.testing.MockClock) -> None:
    """An attempt to connect that nobody waits for any more is given up."""

    async def case(cut: Cut) -> None:
        async with bench(options()) as b:
            async with client_of(b) as client:
                with cut:
                    async with client.stream("GET", f"/bytes/{SIZE}") as response:
                        assert await response.aread() == pattern(SIZE)
                assert all(not one.users for one in pool_of(client).connections)
                ready = [one for one in pool_of(client).connections if one.http3 is not None]
                await trio.sleep(1)
                assert list(pool_of(client).connections) == ready
            await b.nothing_left(ErrorCode.H3_NO_ERROR)

    await sweep(case, least=30)
