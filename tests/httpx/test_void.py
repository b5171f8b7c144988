"""Nothing is sent into the void: a connection that is not heard gets no requests, and those that
wait on it find another way, if that does no harm."""

from collections.abc import AsyncIterator

import httpx
import pytest
import trio
import trio.testing

import trioquic
from tests.sim_world import SERVER
from trioquic.http3.timeouts import wait_until
from trioquic.testing._ports import Ports

from .site import Site, pool_of, simulated_site
from .test_discovery import Around, options, way

Clock = trio.testing.MockClock
LONGEST = 2.5


def lose_everything(site: Site) -> None:
    """Both networks deliver nothing, and nobody is told."""
    assert site.world is not None
    site.world.wifi.link.blackhole()
    site.world.cellular.link.blackhole()


def restore(site: Site) -> None:
    assert site.world is not None
    site.world.wifi.link.restore()
    site.world.cellular.link.restore()


async def test_where_udp_is_lost_the_fallback_is_used(autojump_clock: Clock) -> None:
    """From the first request on, and not for ever."""
    around = Around()
    async with simulated_site() as site, site.client(**options(around, site)) as client:
        assert await way(client) == "HTTP/3"
        lose_everything(site)
        taken = []
        for _ in range(20):
            began = trio.current_time()
            assert await way(client) == "around"
            taken.append(trio.current_time() - began)
            await trio.sleep(1)
        assert taken[0] < LONGEST
        # who comes later does not wait for what is known not to answer
        assert max(taken[1:]) < 0.01
        restore(site)
        await trio.sleep(40)
        assert await way(client) == "around"
        await trio.sleep(1)
        assert await way(client) == "HTTP/3"
        assert len(site.applications) == 2


async def test_a_second_connection_beside_the_first(autojump_clock: Clock) -> None:
    """Where the server has forgotten the first one."""
    async with simulated_site() as site, site.client(networks=_phone(site)) as client:
        assert await way(client) == "HTTP/3"
        _forget(site)
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(_in_time, client, LONGEST)
        await _in_time(client, 0.2)
        assert len(site.applications) == 2


async def test_the_first_connection_wins_if_it_is_heard_after_all(autojump_clock: Clock) -> None:
    around = Around()
    around.error = httpx.ConnectError
    async with simulated_site() as site, site.client(**options(around, site)) as client:
        assert await way(client) == "HTTP/3"
        (first,) = pool_of(client).connections
        lose_everything(site)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_in_time, client, 4.0)
            await trio.sleep(1.5)
            assert around.times
            restore(site)
        assert trio.current_time() - began > 1.5
        # and is used again
        assert first.usable


class Closed(httpx.AsyncByteStream):
    """A response's body that tells when it was closed."""

    def __init__(self) -> None:
        self.closed = trio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"around"

    async def aclose(self) -> None:
        self.closed.set()


async def test_a_winner_that_comes_too_late_is_closed(autojump_clock: Clock) -> None:
    """The request is cancelled in the moment in which its response comes."""
    body, scope = Closed(), trio.CancelScope()

    async def answer(request: httpx.Request) -> httpx.Response:
        scope.cancel()
        return httpx.Response(200, stream=body)

    async with simulated_site() as site:
        transport = {"fallback": httpx.MockTransport(answer), "networks": _phone(site)}
        async with site.client(**transport) as client:
            assert await way(client) == "HTTP/3"
            lose_everything(site)
            with scope:
                await client.send(client.build_request("GET", "/bytes/1"), stream=True)
            assert scope.cancelled_caught
            assert body.closed.is_set()


async def test_what_may_do_harm_is_not_doubled(autojump_clock: Clock) -> None:
    """It stays where it was sent; the next one goes elsewhere at once."""
    around = Around()
    async with simulated_site() as site, site.client(**options(around, site)) as client:
        assert await way(client) == "HTTP/3"
        lose_everything(site)
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/digest", content=b"abc", timeout=5)
        assert around.times == []
        response = await client.post("/digest", content=b"abc", timeout=5)
        assert response.text == "around"


async def test_a_body_that_cannot_be_repeated_goes_over_what_works(autojump_clock: Clock) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"abc"

    async with simulated_site() as site, site.client(networks=_phone(site)) as client:
        assert await way(client) == "HTTP/3"
        _forget(site)
        await _in_time(client, LONGEST)
        response = await client.put("/digest", content=body())
        assert response.status_code == 200
        assert len(site.applications) == 2


async def test_a_server_that_starts_again(autojump_clock: Clock) -> None:
    """While nobody listens, requests go on looking for as long as they may take to connect."""
    async with simulated_site() as site, site.client(networks=_phone(site)) as client:
        assert site.world is not None
        assert await way(client) == "HTTP/3"
        _forget(site)
        site.world.server_interface.remove_address(SERVER)
        async with trio.open_nursery() as nursery:
            for _ in range(12):
                nursery.start_soon(_in_time, client, LONGEST)
                await trio.sleep(0.1)
            site.world.server_interface.add_address(SERVER)
        # a handshake from the other interface may come in second, and gets none of them
        assert [len(one.exchanges) for one in site.applications if one.exchanges] == [1, 12]


@pytest.mark.parametrize("away", [2.0, 6.0])
async def test_the_request_that_notices_finds_a_server_that_starts_again(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch, away: float
) -> None:
    """It waits on the connection that the server has forgotten; and nobody listens for a while,
    which whoever looks for another connection hears at once."""
    async with simulated_site() as site, site.client(networks=_phone(site)) as client:
        assert site.world is not None and site.server is not None
        assert await way(client) == "HTTP/3"
        site.server.restart()
        monkeypatch.setattr(site.world.server_host, "_ports", Ports())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_in_time, client, away + 1.5)
            await trio.sleep(away)
            monkeypatch.undo()


async def test_a_connection_that_timed_out_unheard_is_not_used_again(
    autojump_clock: Clock,
) -> None:
    """Also by what is not idempotent: that waits for its read timeout once."""
    async with simulated_site() as site, site.client(networks=_phone(site)) as client:
        assert await way(client) == "HTTP/3"
        _forget(site)
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/digest", content=b"abc", timeout=5)
        assert (await client.post("/digest", content=b"abc", timeout=5)).status_code == 200
        assert len(site.applications) == 2
        await trio.sleep(1)
        assert len(pool_of(client).connections) == 1


async def test_a_connection_that_timed_out_unheard_ends_though_it_is_heard_again(
    autojump_clock: Clock,
) -> None:
    """With the last request that has still hope, and gets no others meanwhile."""
    async with simulated_site() as site, site.client(networks=_phone(site)) as client:
        assert await way(client) == "HTTP/3"
        (first,) = pool_of(client).connections
        assert first.http3 is not None
        rest = trio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"abc"
            await rest.wait()

        async def upload() -> None:
            response = await client.post("/digest", content=body(), timeout=30)
            assert response.status_code == 200

        async with trio.open_nursery() as nursery:
            nursery.start_soon(upload)
            await trio.testing.wait_all_tasks_blocked()
            lose_everything(site)
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/digest", content=b"abc", timeout=5)
            restore(site)
            await first.http3.quic.wait_healthy()
            response = await client.post("/digest", content=b"abc", timeout=5)
            assert response.status_code == 200
            assert not first.over
            rest.set()
        await trio.testing.wait_all_tasks_blocked()
        assert first.over
        # of those on the first one, the one that timed out has arrived late
        assert [len(one.exchanges) for one in site.applications] == [3, 1]


async def test_a_process_that_stood_still_looks_once_more(autojump_clock: Clock) -> None:
    event = trio.Event()
    results: list[bool] = []

    async def wait() -> None:
        results.append(await wait_until(event, trio.current_time() + 5))

    for comes in (True, False):
        event = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            autojump_clock.jump(60)
            await trio.testing.wait_all_tasks_blocked()
            assert not results
            if comes:
                event.set()
        assert results.pop() is comes


async def test_a_request_under_way_when_the_process_stands_still(autojump_clock: Clock) -> None:
    """The answer is in the socket's buffer, or a new connection is made."""
    for pause in (8, 100):
        async with simulated_site() as site, site.client(timeout=5) as client:
            assert await way(client) == "HTTP/3"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_in_time, client, pause + LONGEST)
                await trio.sleep(0.01)
                autojump_clock.jump(pause)
            await _in_time(client, LONGEST)


def _phone(site: Site) -> trioquic.NetworkSource:
    assert site.world is not None
    return site.world.phone


def _forget(site: Site) -> None:
    """The server falls silent on its connections, as one that knows nothing of them."""
    assert site.server is not None
    for connection in site.server.connections:
        connection.quic.datagrams_to_send = lambda now: []  # type: ignore[method-assign]
        connection.quic.receive_datagram = lambda *_: None  # type: ignore[method-assign]


async def _in_time(client: httpx.AsyncClient, longest: float) -> None:
    began = trio.current_time()
    assert await way(client) == "HTTP/3"
    assert trio.current_time() - began < longest
