"""How many connections there are, for how long, and who waits for which."""

import httpx
import pytest
import trio
import trio.testing

import trioquic

from .site import Site, is_pattern, pool_of, simulated_site

Clock = trio.testing.MockClock


def open_connections(site: Site) -> int:
    """As the server sees it."""
    return sum(not application.connection.closing for application in site.applications)


async def get(client: httpx.AsyncClient, path: str = "/bytes/1") -> None:
    assert is_pattern((await client.get(path)).content)


async def test_a_second_connection_where_the_first_is_full(autojump_clock: Clock) -> None:
    async with simulated_site(streams=2) as site, site.client() as client:
        async with (
            client.stream("GET", "/part"),
            client.stream("GET", "/part"),
        ):
            assert len(site.applications) == 1
            async with client.stream("GET", "/part"):
                assert len(site.applications) == 2
                async with client.stream("GET", "/part") as last:
                    assert len(site.applications) == 2
                    # RFC 9114 section 3.3: not one more; the next waits for a stream
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(get, client)
                        await trio.sleep(5)
                        assert sum(len(one.exchanges) for one in site.applications) == 4
                        await last.aclose()
        assert len(site.applications) == 2


async def test_many_requests_at_once_make_one_connection(autojump_clock: Clock) -> None:
    async with simulated_site() as site, site.client() as client:
        async with trio.open_nursery() as nursery:
            for number in range(90):
                nursery.start_soon(get, client, f"/bytes/{number}")
        assert len(site.applications) == 1


async def test_more_requests_than_streams(autojump_clock: Clock) -> None:
    """They wait for their turn, as long as the pool timeout allows."""
    async with simulated_site(streams=10) as site, site.client(timeout=60) as client:
        async with trio.open_nursery() as nursery:
            for number in range(120):
                nursery.start_soon(get, client, f"/bytes/{number}")
        assert len(site.applications) == 2
        assert all(not connection.users for connection in pool_of(client).connections)


async def test_an_idle_connection_expires(autojump_clock: Clock) -> None:
    limits = httpx.Limits(keepalive_expiry=5)
    async with simulated_site() as site, site.client(limits=limits) as client:
        await get(client)
        await trio.sleep(4)
        await get(client)
        await trio.sleep(4)
        assert open_connections(site) == 1
        # a response that is not complete keeps it
        async with client.stream("GET", "/part"):
            await trio.sleep(10)
            assert open_connections(site) == 1
        await trio.sleep(6)
        assert open_connections(site) == 0
        assert pool_of(client).connections == ()
        await get(client)
        assert len(site.applications) == 2


async def test_so_many_idle_connections_are_kept(autojump_clock: Clock) -> None:
    for most, kept in ((0, 0), (1, 1), (None, 2)):
        limits = httpx.Limits(max_keepalive_connections=most)
        async with simulated_site(streams=1) as site, site.client(limits=limits) as client:
            async with client.stream("GET", "/part"):
                await get(client)
            await trio.sleep(1)
            assert len(site.applications) == 2
            assert open_connections(site) == kept
            await get(client)


async def test_a_connection_that_ended_is_replaced(autojump_clock: Clock) -> None:
    """By the idle timeout; the pool would have kept it."""
    limits = httpx.Limits(keepalive_expiry=None)
    transport = trioquic.TransportConfig(idle_timeout=5)
    async with simulated_site() as site:
        async with site.client(limits=limits, transport=transport) as client:
            await get(client)
            await trio.sleep(20)
            assert pool_of(client).connections == ()
            await get(client)
            assert len(site.applications) == 2


async def test_who_waits_for_the_pool_gets_the_next_place(autojump_clock: Clock) -> None:
    """Whoever came first; places come free as connections become idle or end."""
    done: list[int] = []
    limits = httpx.Limits(max_connections=1)
    async with simulated_site() as site, site.client(limits=limits) as client:
        # to the pool another address is another server
        other = f"https://server.example:{site.port}"

        async def one(number: int) -> None:
            await get(client, f"{site.url if number % 2 else other}/bytes/{number}")
            done.append(number)

        async with trio.open_nursery() as nursery:
            async with client.stream("GET", "/part"):
                for number in (2, 4, 6):
                    nursery.start_soon(one, number)
                    await trio.testing.wait_all_tasks_blocked()
                await trio.sleep(5)
                assert done == []
        assert sorted(done) == [2, 4, 6]
        assert len(site.applications) == 2


async def test_an_attempt_that_nobody_waits_for_makes_room(autojump_clock: Clock) -> None:
    limits = httpx.Limits(max_connections=1)
    around = httpx.MockTransport(lambda request: httpx.Response(200, text="around"))
    async with simulated_site() as site:
        async with site.client(limits=limits, fallback=around) as client:
            # an address that is nobody's
            assert (await client.get("https://192.0.2.99/")).text == "around"
            assert len(pool_of(client).connections) == 1
            await get(client)
            assert trio.current_time() < 1
            assert len(pool_of(client).connections) == 1


async def test_many_wait_for_an_attempt_that_fails(autojump_clock: Clock) -> None:
    failures: list[Exception] = []
    transport = trioquic.TransportConfig(handshake_timeout=3)
    async with simulated_site() as site:
        assert site.world is not None
        site.world.wifi.link.blackhole()
        alone = trioquic.MigrationPolicy(start_interfaces=1)
        async with site.client(transport=transport, migration=alone) as client:

            async def fail() -> None:
                with pytest.raises(httpx.ConnectTimeout) as caught:
                    await client.get("/bytes/1")
                assert isinstance(caught.value.__cause__, trioquic.HandshakeTimeoutError)
                failures.append(caught.value)

            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(fail)
            assert len({id(failure) for failure in failures}) == 5
            assert pool_of(client).connections == ()
            site.world.wifi.link.restore()
            await get(client)


async def test_the_end_is_graceful_also_after_the_pool_was_empty(autojump_clock: Clock) -> None:
    """What was sent last arrives: the server answers before it has the body."""
    limits = httpx.Limits(keepalive_expiry=1)
    async with simulated_site() as site:
        async with site.client(limits=limits) as client:
            await get(client)
            await trio.sleep(3)
            assert pool_of(client).connections == ()
            assert (await client.post("/hasty", content=bytes(200_000))).text == "enough"
        assert len(site.applications[1].exchanges[0].body) == 200_000


async def test_what_gave_its_place_to_another_ends_gracefully_too(autojump_clock: Clock) -> None:
    limits = httpx.Limits(max_connections=1)
    async with simulated_site() as site:
        assert site.world is not None
        async with site.client(limits=limits) as client:
            assert (await client.post("/hasty", content=bytes(200_000))).text == "enough"
            site.world.wifi.link.change(delay=0.5)
            with trio.move_on_after(0.01):
                await get(client, f"https://server.example:{site.port}/bytes/1")
        assert len(site.applications[0].exchanges[0].body) == 200_000


async def test_no_connections_at_all(autojump_clock: Clock) -> None:
    """As with httpx's own transport, a request waits for one in vain."""
    limits = httpx.Limits(max_connections=0)
    async with simulated_site() as site, site.client(limits=limits, timeout=5) as client:
        with pytest.raises(httpx.PoolTimeout):
            await client.get("/bytes/1")
        assert trio.current_time() == pytest.approx(5.0)
