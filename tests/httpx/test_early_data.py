"""Requests that go out before the handshake is complete (RFC 8470), where the user allows that."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import trio
import trio.testing

import trioquic
from tests.cancellation.harness import Cut, bench, sweep
from tests.sim_server import NAME, ServerOptions, credentials, pattern
from tests.sim_world import PREFERRED, SERVER
from trioquic import EarlyData
from trioquic.http3 import ErrorCode
from trioquic.httpx import HTTP3Transport

from .site import Site, pool_of, simulated_site

Clock = trio.testing.MockClock
pytestmark = pytest.mark.usefixtures("calendar")
ROUND_TRIP = 0.05


@asynccontextmanager
async def known_site() -> AsyncIterator[tuple[Site, trioquic.MemorySessions]]:
    """A site, and what a first visit has left."""
    sessions = trioquic.MemorySessions()
    async with simulated_site(session_tickets=True) as site:
        site.host = NAME
        async with site.client(sessions=sessions, early_data=True) as client:
            response = await client.get("/bytes/10")
            assert response.extensions["trioquic_connection"].early_data is EarlyData.NONE
        yield site, sessions


def move(site: Site) -> None:
    """The site is elsewhere from now on, and nobody answers where it was."""
    assert site.world is not None
    site.world.server_host.icmp = False
    site.world.server_interface.remove_address(SERVER)
    site.world.net.name(NAME, SERVER, PREFERRED)


async def test_safe_requests_are_answered_in_one_round_trip(autojump_clock: Clock) -> None:
    """All others, and those with a body, wait for the handshake."""
    requests = [("GET", b""), ("HEAD", b""), ("OPTIONS", b""), ("DELETE", b""), ("GET", b"body")]
    taken: list[list[float]] = [[] for _ in requests]
    async with known_site() as (site, sessions):
        async with site.client(sessions=sessions, early_data=True) as client:

            async def ask(number: int) -> None:
                began = trio.current_time()
                method, content = requests[number]
                response = await client.request(method, "/status/200", content=content)
                assert response.extensions["trioquic_connection"].early_data is EarlyData.ACCEPTED
                taken[number].append(trio.current_time() - began)

            async with trio.open_nursery() as nursery:
                for number in range(len(requests)):
                    nursery.start_soon(ask, number)
        assert len(site.applications) == 2
    early, late = taken[:3], taken[3:]
    assert all(ROUND_TRIP < seconds < 1.3 * ROUND_TRIP for [seconds] in early)
    assert all(2 * ROUND_TRIP < seconds < 2.6 * ROUND_TRIP for [seconds] in late)


async def test_too_early_is_asked_again_after_the_handshake(autojump_clock: Clock) -> None:
    async with known_site() as (site, sessions):
        async with site.client(sessions=sessions, early_data=True) as client:
            assert (await client.get("/late")).status_code == 200
            assert len(site.applications[-1].exchanges) == 2
            # what was not early has no reason to be asked again
            assert (await client.get("/status/425")).status_code == 425
            assert len(site.applications[-1].exchanges) == 3


async def test_rejected_early_data_is_sent_again(autojump_clock: Clock) -> None:
    async with known_site() as (site, sessions):
        assert site.server is not None
        site.server.tickets.clear()
        async with site.client(sessions=sessions, early_data=True) as client:
            response = await client.get("/bytes/1000")
            assert response.content == pattern(1000)
            assert response.extensions["trioquic_connection"].early_data is EarlyData.REJECTED


async def test_an_attempt_that_fails_is_made_once_more_without(autojump_clock: Clock) -> None:
    """Early data goes to where the site was the last time. The requests that wait are all taken to
    the next connection, also such as are not safe."""
    async with known_site() as (site, sessions):
        move(site)
        transport = trioquic.TransportConfig(handshake_timeout=2, send_buffer=10_000)
        async with (
            site.client(sessions=sessions, early_data=True, transport=transport) as client,
            trio.open_nursery() as nursery,
        ):

            async def ask(method: str, size: int) -> None:
                response = await client.request(method, "/json", headers={"x-large": "y" * size})
                quic = response.extensions["trioquic_connection"]
                assert quic.early_data is EarlyData.NONE
                assert response.json()[":method"] == method

            # the second one is still being sent when the attempt fails
            for method, size in (("GET", 0), ("GET", 30_000), ("POST", 0)):
                nursery.start_soon(ask, method, size)
        assert len(site.applications) == 2


async def test_a_ticket_that_breaks_tls_is_left_out_the_second_time(autojump_clock: Clock) -> None:
    """All tickets of the server are of one kind. What it gives then is kept again."""
    wifi = trioquic.MigrationPolicy(only_interfaces=["wlan0"])
    async with known_site() as (site, sessions):
        assert site.server is not None
        async with site.client(sessions=sessions) as first, site.client(sessions=sessions) as other:
            async with trio.open_nursery() as nursery:
                # one has what the visit before has left, and each leaves one
                for client in (first, other):
                    nursery.start_soon(client.get, "/bytes/10")
        assert len(site.server.tickets) >= 3
        for ticket in site.server.tickets.values():
            # the proof that the client has the secret will be wrong
            ticket.resumption_secret = bytes(len(ticket.resumption_secret))
        before = len(site.applications)
        async with site.client(sessions=sessions, early_data=True, migration=wifi) as client:
            response = await client.get("/bytes/1000")
            assert response.content == pattern(1000)
            connection = response.extensions["trioquic_connection"]
            assert connection.early_data is EarlyData.NONE
            assert not connection.resumed
        assert site.applications[before:][-1].exchanges
        async with site.client(sessions=sessions, early_data=True) as client:
            response = await client.get("/bytes/1000")
            assert response.extensions["trioquic_connection"].early_data is EarlyData.ACCEPTED


async def test_the_connect_timeout_is_for_the_handshake(autojump_clock: Clock) -> None:
    """Whether the request has been sent already or not."""
    async with known_site() as (site, sessions):
        move(site)
        timeout = httpx.Timeout(20, connect=1)
        async with site.client(sessions=sessions, early_data=True, timeout=timeout) as client:
            began = trio.current_time()
            with pytest.raises(httpx.ConnectTimeout):
                await client.get("/bytes/1")
            assert trio.current_time() - began == pytest.approx(1)
            await trio.sleep(0.01)
            assert pool_of(client).connections == ()
            # the next attempt looks for the site at all addresses
            assert (await client.get("/bytes/1")).status_code == 200


async def test_a_request_goes_around_a_handshake_that_takes_long(autojump_clock: Clock) -> None:
    async with known_site() as (site, sessions):
        move(site)
        fallback = httpx.MockTransport(lambda request: httpx.Response(299))
        async with site.client(sessions=sessions, early_data=True, fallback=fallback) as client:
            began = trio.current_time()
            assert (await client.get("/bytes/1")).status_code == 299
            assert trio.current_time() - began == pytest.approx(0.3)
            [attempt] = pool_of(client).connections
            assert attempt.connecting and not attempt.users


async def test_when_no_attempt_succeeds(autojump_clock: Clock) -> None:
    async with known_site() as (site, sessions):
        move(site)
        assert site.world is not None
        site.world.server_interface.remove_address(PREFERRED)
        transport = trioquic.TransportConfig(handshake_timeout=2)
        async with site.client(sessions=sessions, early_data=True, transport=transport) as client:
            began = trio.current_time()
            with pytest.raises(httpx.ConnectTimeout):
                await client.get("/bytes/1")
            # once with early data, and once without
            assert trio.current_time() - began >= 2 * 2


async def test_cancelled_at_every_moment(autojump_clock: Clock) -> None:
    async def case(cut: Cut) -> None:
        site = Site(host=SERVER, port=4433)
        options = ServerOptions(alpn=("h3",), application=site.make, session_tickets=True)
        async with bench(options) as b:
            sessions = trioquic.MemorySessions()

            def client_of() -> httpx.AsyncClient:
                transport = HTTP3Transport(
                    mode="only",
                    tls=trioquic.TLSConfig(ca_data=credentials().ca_pem),
                    networks=b.world.phone,
                    sessions=sessions,
                    early_data=True,
                )
                return httpx.AsyncClient(transport=transport, base_url=site.url, timeout=60)

            async with client_of() as client:
                await client.get("/bytes/1")
            # only what is left of the second visit is looked at
            await b.world.server.connections.pop().closed.wait()
            async with client_of() as client:
                with cut:
                    await client.get("/bytes/1")
                assert all(not one.users for one in pool_of(client).connections)
                ready = [one for one in pool_of(client).connections if one.connected and one.usable]
                await trio.sleep(1)
                assert list(pool_of(client).connections) == ready
            await b.nothing_left(ErrorCode.H3_NO_ERROR)

    await sweep(case, least=30)


def test_it_needs_sessions() -> None:
    with pytest.raises(ValueError, match="early_data needs sessions"):
        HTTP3Transport(early_data=True)
