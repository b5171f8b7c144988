"""The network of a path vanishes before the supervisor has looked for another reason: it was seen
when the path was opened. It is gone, and is not one that the source of networks does not list."""

import pytest
import trio
import trio.testing

import trioquic
from tests.runtime.world import dial, get, phone_world
from tests.sim_server import pattern
from tests.sim_world import SERVER
from trioquic import PathState

from .test_tunnel import phone_with_vpn


@pytest.mark.parametrize("since", [0.001, 0.2])
async def test_a_path_that_names_no_network_is_no_unlisted_one(
    autojump_clock: trio.testing.MockClock, since: float
) -> None:
    """The connection goes to another network, as from any that is gone."""
    policy = trioquic.MigrationPolicy()
    async with phone_world() as world:
        world.cellular.down()
        async with dial(world, SERVER, networks=world.phone, migration=policy) as conn:
            await conn.wait_handshake_confirmed()
            await trio.sleep(1)
            path = await conn.add_path()
            await trio.sleep(since)
            for address in world.wifi.addresses:
                world.wifi.remove_address(address)
            await trio.sleep(1)
            assert path.state is PathState.ABANDONED
            world.cellular.up()
            with trio.fail_after(1):
                assert await get(conn, 100) == pattern(100)


async def test_nor_where_the_application_moves_by_itself(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """With `automatic=False`: what names no network leads where the system sends packets by now."""
    policy = trioquic.MigrationPolicy(automatic=False)
    async with phone_world() as world:
        async with dial(world, SERVER, networks=world.phone, migration=policy) as conn:
            await conn.wait_handshake_confirmed()
            path = await conn.add_path()
            await path.validate()
            for address in world.wifi.addresses:
                world.wifi.remove_address(address)
            path.migrate()
            world.wifi.down()
            path = await conn.migrate()
            assert path.local[0] in world.cellular.addresses
            assert await get(conn, 100) == pattern(100)


@pytest.mark.parametrize("since", [0.001, 0.2])
async def test_a_tunnel_that_vanishes_is_not_left(
    autojump_clock: trio.testing.MockClock, since: float
) -> None:
    """Nothing goes beside it."""
    async with phone_with_vpn() as (here, tunnel):
        path = await here.conn.add_path()
        await trio.sleep(since)
        for address in tunnel.addresses:
            tunnel.remove_address(address)
        gone = trio.current_time()
        await trio.sleep(20)
        assert path.state is PathState.ABANDONED
        sent = here.world.record.select(host="phone")
        assert [r for r in sent if r.time >= gone and r.interface != "tun0"] == []
