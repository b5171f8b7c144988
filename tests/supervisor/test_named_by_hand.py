"""What a move by the application's own hand says of networks: something only where one is named.

`migrate()` alone wants another port, wherever the system sends packets, and no network."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_world import WIFI
from trioquic import CloseCause, Connection, MigrationCause, MigrationPolicy, Path, PathState

from .test_late_tunnel import LIVE, TO_ENTER
from .test_tunnel import TUNNEL, outside, phone_with_vpn

Move = Callable[[Connection], Awaitable[Path]]
Clock = trio.testing.MockClock


async def migrate(conn: Connection) -> Path:
    return await conn.migrate()


async def migrate_from_a_port(conn: Connection) -> Path:
    return await conn.migrate(local_port=50_000)


async def add_and_migrate(conn: Connection) -> Path:
    path = await conn.add_path()
    await path.validate()
    path.migrate()
    return path


async def by_interface(conn: Connection) -> Path:
    return await conn.migrate(interface="wlan0")


async def by_address(conn: Connection) -> Path:
    return await conn.migrate(local=WIFI)


async def to_the_standby(conn: Connection) -> Path:
    """Which the supervisor has opened; the application chooses it."""
    standby = next(path for path in conn.paths if path is not conn.active_path)
    await standby.validate()
    standby.migrate()
    return standby


@pytest.mark.parametrize("move", [migrate, migrate_from_a_port, add_and_migrate])
@pytest.mark.parametrize("carries", [True, False])
async def test_a_late_tunnel_is_entered_after_a_move_that_names_nothing(
    autojump_clock: Clock, move: Move, carries: bool
) -> None:
    async with phone_with_vpn(up=False, transport=LIVE) as (here, tunnel):
        await trio.sleep(1)
        path = await move(here.conn)
        assert here.conn.active_path is path
        await trio.sleep(5)
        if not carries:
            tunnel.link.blackhole()
        tunnel.up()
        if carries:
            with trio.fail_after(TO_ENTER):
                await here.until(trioquic.Migrated, 2)
            assert here.heard(trioquic.Migrated)[-1].cause is MigrationCause.TUNNEL
            assert here.conn.in_tunnel
        else:
            await trio.sleep(TO_ENTER + 0.1)
        before = len(outside(here.world))
        await trio.sleep(10)
        assert len(outside(here.world)) == before


@pytest.mark.parametrize("move", [by_interface, by_address, to_the_standby])
async def test_a_network_that_was_named_is_kept(autojump_clock: Clock, move: Move) -> None:
    async with phone_with_vpn(up=False, transport=LIVE) as (here, tunnel):
        await trio.sleep(1)
        path = await move(here.conn)
        tunnel.up()
        await trio.sleep(20)
        assert here.conn.active_path is path
        assert not here.conn.in_tunnel


async def test_another_port_on_a_network_that_was_named_keeps_it(autojump_clock: Clock) -> None:
    async with phone_with_vpn(up=False, transport=LIVE, interface="wlan0") as (here, tunnel):
        await trio.sleep(1)
        path = await here.conn.migrate()
        tunnel.up()
        await trio.sleep(20)
        assert here.conn.active_path is path


async def test_a_better_network_is_gone_to_after_a_move_that_names_nothing(
    autojump_clock: Clock,
) -> None:
    async with phone_with_vpn(up=False, transport=LIVE) as (here, _):
        here.world.wifi.down()
        await here.until(trioquic.Migrated)
        await here.conn.migrate()
        here.world.wifi.up()
        with trio.fail_after(30):
            await here.until(trioquic.Migrated, 3)
        path = here.conn.active_path
        assert path is not None
        assert path.interface == "wlan0"


async def test_what_was_under_way_on_the_old_port_arrives(autojump_clock: Clock) -> None:
    """The path lingers, though the supervisor has no use for two ports."""
    async with phone_with_vpn(up=False, transport=LIVE) as (here, _):
        await trio.sleep(1)
        old = here.conn.active_path
        assert old is not None
        at = trio.current_time()
        await here.conn.migrate()
        await here.until(trioquic.PathClosed)
        closed = here.heard(trioquic.PathClosed)[-1]
        assert (closed.path, closed.cause) == (old, CloseCause.LEFT)
        assert trio.current_time() > at + 0.1


@pytest.mark.parametrize("validated", [True, False])
async def test_a_tunnel_that_comes_up_during_a_move(autojump_clock: Clock, validated: bool) -> None:
    """The path that is being asked leads beside it: it is given up, and the move goes inside."""
    async with phone_with_vpn(up=False, transport=LIVE) as (here, tunnel), trio.open_nursery() as n:
        await trio.sleep(1)
        wifi = here.world.wifi.link
        wifi.blackhole()
        moved: list[Path] = []

        async def move() -> None:
            moved.append(await here.conn.migrate())

        n.start_soon(move)
        await trio.sleep(0.1)
        tunnel.up()
        if validated:
            await trio.sleep(0.05)
            wifi.restore()
        await trio.sleep(TO_ENTER)
        before = len(outside(here.world))
        await trio.sleep(1)
        path = here.conn.active_path
        assert path is not None
        assert moved == [path]
        assert path.local[0] == TUNNEL
        assert here.conn.in_tunnel
        await trio.sleep(10)
        assert len(outside(here.world)) == before
        assert here.conn.active_path is not None
        assert here.conn.active_path.local[0] == TUNNEL


async def test_a_path_that_is_asked_beside_a_tunnel_has_a_second(autojump_clock: Clock) -> None:
    policy = MigrationPolicy(automatic=False)
    async with phone_with_vpn(up=False, migration=policy) as (here, tunnel):
        await here.conn.wait_handshake_confirmed()
        await trio.sleep(1)
        path = await here.conn.add_path()
        named = await here.conn.add_path(interface="wlan0")
        here.world.wifi.link.blackhole()
        start = trio.current_time()
        tunnel.up()
        with pytest.raises(trioquic.PathValidationError, match="beside a tunnel"):
            await path.validate()
        assert trio.current_time() == pytest.approx(start + TO_ENTER, abs=0.05)
        assert path.state is not PathState.ABANDONED
        with pytest.raises(trioquic.PathValidationError):
            await named.validate()
        assert trio.current_time() > start + 2 * TO_ENTER
