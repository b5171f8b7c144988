"""Cancelled while speaking HTTP/3: nothing is left behind, and requests beside it go on."""

import hashlib
from collections.abc import AsyncGenerator

import pytest
import trio
import trio.testing

from tests.http3.world import URL, Application
from tests.runtime.world import dial
from tests.sim_server import ServerOptions, pattern
from trioquic import http3

from .harness import Bench, Cut, PlantedError, bench, sweep

CONTENT = pattern(3000)
SIZE = 4000


def options() -> ServerOptions:
    return ServerOptions(alpn=("h3",), application=Application)


class Pieces:
    """Content that remembers whether it was left properly."""

    def __init__(self) -> None:
        self.open = 0

    async def make(self) -> AsyncGenerator[bytes]:
        self.open += 1
        try:
            for at in range(0, len(CONTENT), 1000):
                await trio.sleep(0.01)
                yield CONTENT[at : at + 1000]
        finally:
            self.open -= 1


async def upload(http: http3.HTTP3Connection, pieces: Pieces) -> bytes:
    async with http.request("POST", URL + "/digest", content=pieces.make()) as response:
        return await response.read()


async def download(http: http3.HTTP3Connection) -> bytes:
    async with http.request("GET", f"{URL}/bytes/{SIZE}") as response:
        return await response.read()


async def test_a_whole_connection(autojump_clock: trio.testing.MockClock) -> None:
    async def case(cut: Cut) -> None:
        pieces = Pieces()
        async with bench(options()) as b:
            with cut.later():
                async with dial(b.world, alpn=["h3"]) as conn:
                    cut.arm()
                    async with http3.open_http3(conn) as http:
                        digest = await upload(http, pieces)
                        assert digest == hashlib.sha256(CONTENT).hexdigest().encode()
                        assert await download(http) == pattern(SIZE)
            assert pieces.open == 0
            await nothing_left(b)

    await sweep(case, least=40)


async def test_one_request_of_two(autojump_clock: trio.testing.MockClock) -> None:
    """The other one is not concerned, and the connection is as good as before."""

    async def case(cut: Cut) -> None:
        pieces = Pieces()
        async with bench(options()) as b:
            async with dial(b.world, alpn=["h3"]) as conn, http3.open_http3(conn) as http:
                async with trio.open_nursery() as nursery:

                    async def beside() -> None:
                        assert await download(http) == pattern(SIZE)

                    nursery.start_soon(beside)
                    with cut:
                        await upload(http, pieces)
                assert pieces.open == 0
                assert http.active_requests == 0
                assert await download(http) == pattern(SIZE)
            await nothing_left(b)

    await sweep(case, least=20)


async def test_an_exception_comes_out_whenever_it_is_raised(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def case(cut: Cut) -> None:
        async with bench(options()) as b:
            error = PlantedError()

            async def fail() -> None:
                async with dial(b.world, alpn=["h3"]) as conn, http3.open_http3(conn) as http:
                    with cut:
                        await upload(http, Pieces())
                    raise error

            with pytest.raises(PlantedError) as caught:
                await fail()
            assert caught.value is error
            await nothing_left(b)

    await sweep(case, least=20)


async def nothing_left(b: Bench) -> None:
    await b.nothing_left(http3.ErrorCode.H3_NO_ERROR)
