"""Section 9.6.2: the preferred address and its connection ID are for the connection that they came
with, and for no other one, be it resumed from it."""

from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.runtime.test_sessions import Watched
from tests.runtime.world import dial, get, phone_world, server_side
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import PREFERRED, SERVER, World
from trioquic.sessions import AddressToken, Resumption

OPTIONS = ServerOptions(preferred_ipv4=(PREFERRED, PORT), session_tickets=True, new_tokens=True)


async def at_preferred(conn: trioquic.Connection) -> None:
    async with conn.path_events() as happened:
        if conn.active_path is not None and conn.active_path.remote[0] == PREFERRED:
            return
        async for event in happened:
            if isinstance(event, trioquic.PreferredAddressResult):
                assert event.used
                return


def begins_at(world: World, since: float) -> set[str]:
    """Where long headers went: a connection begins with these."""
    return {
        record.destination[0]
        for record in world.record.select(host="phone", since=since)
        if record.payload and record.payload[0] & 0x80
    }


def ids_sent(world: World, since: float, destination: str = PREFERRED) -> set[bytes]:
    """Those in the short headers that went to an address of the server."""
    return {
        record.payload[1:9]
        for record in world.record.select(host="phone", destination=destination, since=since)
        if record.payload and not record.payload[0] & 0x80
    }


@pytest.mark.usefixtures("calendar")
@pytest.mark.parametrize("early", [False, True])
async def test_a_resumed_connection_begins_at_the_original_address(
    autojump_clock: trio.testing.MockClock, early: bool
) -> None:
    """Also with a token and a ticket that came when the connection was at the preferred one, and
    with early data, which goes where the ticket says."""
    sessions = Watched()
    policy = trioquic.MigrationPolicy()
    async with phone_world(OPTIONS, ipv6=False) as world:
        more: dict[str, Any] = {"networks": world.phone, "sessions": sessions, "migration": policy}
        async with dial(world, **more) as conn:
            await at_preferred(conn)
            assert await get(conn, 1000)
            server_side(world).give_token()
            server_side(world).give_ticket()
            await trio.sleep(1)
        first = server_side(world).quic.preferred_id
        assert first is not None
        assert ids_sent(world, 0.0) >= {first}
        tickets = [record for _, record in sessions.kept if isinstance(record, Resumption)]
        assert len(tickets) == 2
        assert {ticket.address for ticket in tickets} == {SERVER}
        assert sum(isinstance(record, AddressToken) for _, record in sessions.kept) == 2
        await trio.sleep(1)
        again = trio.current_time()
        async with dial(world, early_data=early, **more) as conn:
            assert await get(conn, 1000)
            await conn.wait_handshake_confirmed()
            assert conn.resumed
            await at_preferred(conn)
            assert await get(conn, 1000)
        assert begins_at(world, again) == {SERVER}
        assert first not in ids_sent(world, again)
        assert server_side(world).quic.preferred_id in ids_sent(world, again)


async def test_a_second_connection_beside_it_begins_at_the_original_address(
    autojump_clock: trio.testing.MockClock,
) -> None:
    policy = trioquic.MigrationPolicy()
    async with phone_world(OPTIONS, ipv6=False) as world:
        async with dial(world, networks=world.phone, migration=policy) as conn:
            await at_preferred(conn)
            first = server_side(world).quic.preferred_id
            beside = trio.current_time()
            stay = trioquic.MigrationPolicy(use_preferred_address=False)
            async with dial(world, networks=world.phone, migration=stay) as other:
                assert await get(other, 1000)
                assert await get(conn, 1000)
                await trio.sleep(1)
                assert other.active_path is not None
                assert other.active_path.remote[0] == SERVER
        assert begins_at(world, beside) == {SERVER}
        assert first in ids_sent(world, beside)
        assert first not in ids_sent(world, beside, SERVER)
