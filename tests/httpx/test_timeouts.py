"""httpx's four timeouts, and what is left when one has passed: a connection that is still good."""

import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from .site import Site, pool_of, simulated_site, website

# Long enough for an answer of a busy machine, where one is to come in time
SOON = 0.4


def only(**timeout: float) -> httpx.Timeout:
    """One timeout that is short, the others long."""
    return httpx.Timeout(20.0, **timeout)


async def test_connect_timeout() -> None:
    """A port where nobody answers, and nobody says that nobody is there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        site = Site(host="127.0.0.1", port=silent.getsockname()[1])
        async with site.client(timeout=only(connect=SOON)) as client:
            began = trio.current_time()
            with pytest.raises(httpx.ConnectTimeout):
                await client.get("/")
            assert SOON <= trio.current_time() - began < 10
            # nobody waits for the attempt any more
            while pool_of(client).connections:
                await trio.lowlevel.checkpoint()


async def test_read_timeout_before_the_response() -> None:
    async with website() as site, site.client(timeout=only(read=SOON)) as client:
        began = trio.current_time()
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/wait")
        assert SOON <= trio.current_time() - began < 10
        assert (await client.get("/bytes/1", timeout=20)).status_code == 200
        (application,) = site.applications
        assert application.stops == {0: 0x10C}


async def test_read_timeout_in_the_response() -> None:
    async with website() as site, site.client(timeout=only(read=SOON)) as client:
        async with client.stream("GET", "/part") as response:
            chunks = response.aiter_bytes()
            assert await anext(chunks) == b"part"
            with pytest.raises(httpx.ReadTimeout):
                await anext(chunks)
        assert (await client.get("/bytes/1", timeout=20)).status_code == 200
        assert len(site.applications) == 1


async def test_the_read_timeout_does_not_run_while_the_body_is_sent() -> None:
    """The server answers when it has the body; that this takes long is the body's affair."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            await trio.sleep(SOON)
            yield b"abc"

    async with website() as site, site.client(timeout=only(read=SOON)) as client:
        assert (await client.post("/digest", content=body())).status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/wait", content=body())


async def test_write_timeout() -> None:
    """The server takes no more of the body than its credit at the start."""
    async with website() as site, site.client(timeout=only(write=SOON)) as client:
        with pytest.raises(httpx.WriteTimeout):
            await client.post("/deaf", content=bytes(4_000_000))
        (application,) = site.applications
        assert (await client.get("/bytes/1", timeout=20)).status_code == 200
        assert len(site.applications) == 1
        assert application.resets == {0: 0x10C}


async def test_a_body_that_waits_for_the_end_of_the_response(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It is given up when nothing of it has come for the write timeout; the response stands."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"abc"
            await trio.sleep(2)
        await trio.sleep_forever()

    async with simulated_site() as site, site.client(timeout=only(write=3)) as client:
        response = await client.post("/hasty", content=body())
        assert response.text == "enough"
        assert trio.current_time() == pytest.approx(11, abs=0.5)
        (application,) = site.applications
        assert application.exchanges[0].body == b"abc" * 5
        await trio.sleep(1)
        assert application.resets == {0: 0x10C}


async def test_pool_timeout() -> None:
    """One connection is allowed, and that is needed for another host."""
    limits = httpx.Limits(max_connections=1)
    async with (
        website() as site,
        website() as other,
        site.client(limits=limits, timeout=only(pool=SOON)) as client,
    ):
        async with client.stream("GET", "/part"):
            with pytest.raises(httpx.PoolTimeout):
                await client.get(other.url + "/bytes/1")
        # an idle one makes room
        assert (await client.get(other.url + "/bytes/1")).status_code == 200
        assert (await client.get("/bytes/1")).status_code == 200
        assert len(site.applications) == 2


async def test_pool_timeout_where_the_server_allows_no_more_streams() -> None:
    async with (
        website(streams=1) as site,
        site.client(limits=httpx.Limits(max_connections=1), timeout=only(pool=SOON)) as client,
    ):
        async with client.stream("GET", "/part"):
            with pytest.raises(httpx.PoolTimeout):
                await client.get("/bytes/1")
        assert (await client.get("/bytes/1")).status_code == 200


async def test_no_timeout(autojump_clock: trio.testing.MockClock) -> None:
    async with simulated_site() as site, site.client(timeout=None) as client:
        with trio.move_on_after(20) as scope:
            await client.get("/wait")
        assert scope.cancelled_caught
