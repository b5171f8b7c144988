"""Requests before the handshake is complete (RFC 8470, RFC 9114 section 7.2.4.2)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_server import ServerOptions, pattern
from trioquic import EarlyData, http3

from .world import URL, HTTPWorld, http_world

Clock = trio.testing.MockClock
pytestmark = pytest.mark.usefixtures("calendar")
ROUND_TRIP = 0.05


def outcome(http: http3.HTTP3Connection) -> EarlyData:
    """Anew each time, also for the type checker."""
    return http.quic.early_data


@asynccontextmanager
async def known_server() -> AsyncIterator[tuple[HTTPWorld, trioquic.MemorySessions]]:
    """A server, and what a first connection to it has left."""

    def configure(options: ServerOptions) -> None:
        options.session_tickets = True

    sessions = trioquic.MemorySessions()
    async with http_world(configure=configure) as world:
        async with world.connect(sessions=sessions) as http:
            assert outcome(http) is EarlyData.NONE
            assert await get(http, early_data=True) == pattern(100)
        yield world, sessions


async def get(http: http3.HTTP3Connection, *, early_data: bool) -> bytes:
    async with http.request("GET", f"{URL}/bytes/100", early_data=early_data) as response:
        return await response.read()


async def test_a_request_that_may_be_replayed_is_answered_in_one_round_trip(
    autojump_clock: Clock,
) -> None:
    """Another one waits for the handshake."""
    taken: dict[bool, float] = {}
    async with known_server() as (world, sessions):
        began = trio.current_time()
        async with world.connect(sessions=sessions, early_data=True) as http:
            assert trio.current_time() == began
            assert outcome(http) is EarlyData.OFFERED

            async def ask(early_data: bool) -> None:
                assert await get(http, early_data=early_data) == pattern(100)
                taken[early_data] = trio.current_time() - began

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, True)
                nursery.start_soon(ask, False)
            assert outcome(http) is EarlyData.ACCEPTED
    assert ROUND_TRIP < taken[True] < 1.2 * ROUND_TRIP
    assert 2 * ROUND_TRIP < taken[False] < 2.4 * ROUND_TRIP


async def test_what_the_server_rejects_is_sent_again(autojump_clock: Clock) -> None:
    async with known_server() as (world, sessions):
        world.world.server.tickets.clear()
        began = trio.current_time()
        async with world.connect(sessions=sessions, early_data=True) as http:
            assert await get(http, early_data=True) == pattern(100)
            assert trio.current_time() - began > 2 * ROUND_TRIP
            assert outcome(http) is EarlyData.REJECTED
            assert (await http.wait_settings()).qpack_max_table_capacity
        assert len(world.applications[-1].exchanges) == 1


async def test_too_early_is_an_answer_like_others(autojump_clock: Clock) -> None:
    async with known_server() as (world, sessions):
        async with world.connect(sessions=sessions, early_data=True) as http:
            async with http.request("GET", f"{URL}/late", early_data=True) as response:
                assert response.status == 425
            async with http.request("GET", f"{URL}/late") as response:
                assert response.status == 200
            assert outcome(http) is EarlyData.ACCEPTED


async def test_a_handshake_that_fails_is_heard_of_everywhere(autojump_clock: Clock) -> None:
    async with known_server() as (world, sessions):
        world.world.server_host.icmp = False
        world.world.server_interface.down()
        transport = trioquic.TransportConfig(handshake_timeout=1)
        async with world.connect(transport=transport, sessions=sessions, early_data=True) as http:
            for early_data in (True, False):
                with pytest.raises(trioquic.HandshakeTimeoutError, match="within 1 s"):
                    await get(http, early_data=early_data)
            with pytest.raises(trioquic.HandshakeError):
                await http.wait_settings()
            await http.wait_closed()
            assert not http.available
