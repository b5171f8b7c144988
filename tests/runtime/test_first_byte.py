"""After how many round trips the first byte of an answer comes, from the call of open_connection.

Either way takes 50 ms for whatever is sent, computing takes no time, and nothing is lost: what is
above a multiple of the round trip was spent waiting for a timer. A millisecond is less than any
timer of either side, and all that is allowed.
"""

from typing import NamedTuple

import pytest
import trio
import trio.testing

from tests.sim_server import ServerOptions, pattern
from tests.sim_world import World
from trioquic import EarlyData, MemorySessions
from trioquic.testing import LinkOptions

from .world import dial, phone_world

Clock = trio.testing.MockClock
pytestmark = pytest.mark.usefixtures("calendar")
ROUND_TRIP = 0.1
LINK: LinkOptions = {"delay": ROUND_TRIP / 2, "rate": None}
NEVER, ACCEPTED, REJECTED = EarlyData.NONE, EarlyData.ACCEPTED, EarlyData.REJECTED
# more than fits a datagram, so that there is something to come after the first byte
SIZE = 3000


class Outcome(NamedTuple):
    """What came of a request."""

    round_trips: float
    resumed: bool
    early_data: EarlyData
    retry: bool


async def ask(world: World, sessions: MemorySessions, *, early_data: bool = False) -> Outcome:
    """A request on a connection of its own, which is left when the answer has come: the ticket for
    the next one is not behind that, or is waited for."""
    start = trio.current_time()
    async with dial(world, sessions=sessions, networks=world.phone, early_data=early_data) as conn:
        stream = await conn.open_stream(early_data=early_data)
        await stream.send_all(f"GET {SIZE}\r\n".encode())
        await stream.send_eof()
        answer = bytes(await stream.receive_some())
        round_trips = (trio.current_time() - start) / ROUND_TRIP
        answer += b"".join([bytes(chunk) async for chunk in stream])
        assert answer == pattern(SIZE)
        return Outcome(round_trips, conn.resumed, conn.early_data, conn.peer.retry)


def after(round_trips: int, *, resumed: bool, early_data: EarlyData, retry: bool = False) -> object:
    """What `ask` has to tell; nothing comes too early either."""
    return (pytest.approx(round_trips, abs=0.01), resumed, early_data, retry)


async def test_early_data_spares_the_round_trip_of_the_handshake(autojump_clock: Clock) -> None:
    sessions = MemorySessions()
    async with phone_world(ServerOptions(session_tickets=True), ipv6=False, wifi=LINK) as world:
        # the user's choice alone is not enough: there is no ticket yet
        first = await ask(world, sessions, early_data=True)
        assert first == after(2, resumed=False, early_data=NEVER)
        resumed = await ask(world, sessions)
        assert resumed == after(2, resumed=True, early_data=NEVER)
        for _ in range(2):
            early = await ask(world, sessions, early_data=True)
            assert early == after(1, resumed=True, early_data=ACCEPTED)


async def test_early_data_goes_with_the_client_hello(autojump_clock: Clock) -> None:
    """A server that has to wait for it may have begun to send something else."""
    sessions = MemorySessions()
    async with phone_world(ServerOptions(session_tickets=True), ipv6=False, wifi=LINK) as world:
        await ask(world, sessions)
        await trio.sleep(1)  # after that connection's last datagram
        began = trio.current_time()
        await ask(world, sessions, early_data=True)
        flight = [d for d in world.record.select(host="phone", since=began) if d.time == began]
        # as many as the ClientHello has without it
        assert [d.size for d in flight] == [1200, 1200]


async def test_rejected_early_data_costs_no_more_than_none(autojump_clock: Clock) -> None:
    sessions = MemorySessions()
    async with phone_world(ServerOptions(session_tickets=True), ipv6=False, wifi=LINK) as world:
        await ask(world, sessions)
        world.server.tickets.clear()
        rejected = await ask(world, sessions, early_data=True)
        assert rejected == after(2, resumed=False, early_data=REJECTED)
        # the full handshake has brought a ticket that is good again
        early = await ask(world, sessions, early_data=True)
        assert early == after(1, resumed=True, early_data=ACCEPTED)


@pytest.mark.parametrize("new_tokens", [False, True])
async def test_a_retry_costs_a_round_trip_that_a_token_spares(
    autojump_clock: Clock, new_tokens: bool
) -> None:
    """RFC 9000 section 8.1; early data is sent again after a Retry (section 17.2.5.2)."""
    sessions = MemorySessions()
    options = ServerOptions(session_tickets=True, retry=True, new_tokens=new_tokens)
    async with phone_world(options, ipv6=False, wifi=LINK) as world:
        first = await ask(world, sessions)
        assert first == after(3, resumed=False, early_data=NEVER, retry=True)
        spared, retry = (1, False) if new_tokens else (0, True)
        resumed = await ask(world, sessions)
        assert resumed == after(3 - spared, resumed=True, early_data=NEVER, retry=retry)
        early = await ask(world, sessions, early_data=True)
        assert early == after(2 - spared, resumed=True, early_data=ACCEPTED, retry=retry)
