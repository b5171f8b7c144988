"""Whether a connection is of use now: heard, silent, waiting or over."""

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import CELLULAR6, PREFERRED, PREFERRED6, WIFI6, World
from trioquic import HealthState

from .phone import Phone, phone

FORBIDDEN = ServerOptions(disable_active_migration=True)
STAY = trioquic.MigrationPolicy(automatic=False)


def silence(world: World) -> None:
    """No network carries anything any more, though all are up."""
    world.wifi.link.blackhole()
    world.cellular.link.blackhole()


def pto(here: Phone) -> float:
    """The active path's."""
    assert here.conn.active_path is not None
    return here.conn.active_path.statistics().pto


async def test_a_connection_that_is_heard_is_good(autojump_clock: trio.testing.MockClock) -> None:
    async with phone() as here:
        for _ in range(3):
            await here.download(300_000)
            health = here.conn.health
            assert health.state is HealthState.GOOD
            assert health.silent_since is None
            assert health.can_move
        await here.conn.wait_healthy()


async def test_an_idle_connection_is_good(autojump_clock: trio.testing.MockClock) -> None:
    """Nobody asks anything, so nothing is missing; not even when its networks are dead."""
    policy = trioquic.MigrationPolicy(automatic=False)
    async with phone(policy=policy) as here:
        await here.download(1000)
        await trio.sleep(1)  # for the last acknowledgements
        silence(here.world)
        with trio.move_on_after(20):
            await here.conn.wait_unhealthy()
            pytest.fail("there was nothing to answer")


@pytest.mark.parametrize("policy", [STAY, trioquic.MigrationPolicy()], ids=["stay", "automatic"])
async def test_silence_is_told_after_three_ptos(
    autojump_clock: trio.testing.MockClock, policy: trioquic.MigrationPolicy
) -> None:
    """On all paths: with a standby, its PTO counts if that is longer."""
    async with phone(policy=policy) as here:
        if policy.automatic:
            await here.until(trioquic.PathValidated)
        await here.download(200_000)
        waits = max(path.statistics().pto for path in here.conn.paths)
        silence(here.world)
        begun = trio.current_time()
        stream = await here.conn.open_stream()
        await stream.send_all(b"GET 10\r\n")
        health = await here.conn.wait_unhealthy()
        assert health.state is HealthState.SILENT
        assert health.silent_since == pytest.approx(begun, abs=0.01)
        assert 2.9 * pto(here) < trio.current_time() - begun <= 3 * waits + 0.01
        assert here.conn.health == health
        with trio.fail_after(0.001):
            assert await here.conn.wait_unhealthy() == health


async def test_silence_in_the_middle_of_a_download(autojump_clock: trio.testing.MockClock) -> None:
    """The client has nothing in flight: it asks by itself, and then counts."""
    async with phone(policy=STAY) as here, trio.open_nursery() as nursery:
        nursery.start_soon(here.download, 1_000_000)
        await trio.sleep(0.3)
        silence(here.world)
        begun = trio.current_time()
        await here.conn.wait_unhealthy()
        assert trio.current_time() - begun < 7 * pto(here)
        nursery.cancel_scope.cancel()


async def test_the_first_packet_ends_the_silence(autojump_clock: trio.testing.MockClock) -> None:
    async with phone(policy=STAY) as here, trio.open_nursery() as nursery:
        nursery.start_soon(here.download, 1_000_000)
        await trio.sleep(0.3)
        silence(here.world)
        await here.conn.wait_unhealthy()
        here.world.wifi.link.restore()
        await here.conn.wait_healthy()
        assert here.conn.health.state is HealthState.GOOD
        nursery.cancel_scope.cancel()


async def test_a_path_that_is_silent_alone_is_no_bad_health(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The connection goes on over its standby."""
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.conn.wait_unhealthy)
            nursery.start_soon(here.download, 1_000_000)
            await trio.sleep(0.3)
            here.world.wifi.link.blackhole()
            await here.until(trioquic.Migrated)
            await trio.sleep(1)
            assert here.conn.health.state is HealthState.GOOD
            nursery.cancel_scope.cancel()


async def test_a_standby_that_does_not_answer_is_no_bad_health(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone() as here:
        await here.download(1000)
        here.world.cellular.link.blackhole()
        await here.until(trioquic.ValidationFailed)
        with trio.move_on_after(10):
            await here.conn.wait_unhealthy()
            pytest.fail("only the standby was asked")


async def test_without_any_network_it_waits(autojump_clock: trio.testing.MockClock) -> None:
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        began = trio.current_time()
        here.world.wifi.down()
        here.world.cellular.down()
        health = await here.conn.wait_unhealthy()
        assert health.state is HealthState.WAITING
        assert health.silent_since == pytest.approx(began, abs=0.01)
        assert "wlan0 is down" in health.reason or "wwan0 is down" in health.reason
        await trio.sleep(5)
        here.world.wifi.up()
        await here.conn.wait_healthy()
        assert here.conn.health.state is HealthState.GOOD
        await here.download(1000)


@pytest.mark.parametrize("preferred", [False, True])
async def test_whether_it_can_move(autojump_clock: trio.testing.MockClock, preferred: bool) -> None:
    """A preferred address may be moved to, also where migration is forbidden; from then on it is
    allowed (RFC 9000 section 9)."""
    options = ServerOptions(
        disable_active_migration=True, preferred_ipv4=(PREFERRED, PORT) if preferred else None
    )
    async with phone(options=options) as here:
        health = here.conn.health
        assert health.can_move is preferred
        assert ("disable_active_migration" in health.reason) is not preferred
        if preferred:
            await here.until(trioquic.PathClosed)
            assert here.conn.health.can_move


def ipv4_only(world: World) -> None:
    world.wifi.remove_address(WIFI6)
    world.cellular.remove_address(CELLULAR6)


async def test_a_preferred_address_that_no_network_reaches_is_nowhere_to_move_to(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Where migration is forbidden. It may be reached when a network comes that can."""
    options = ServerOptions(disable_active_migration=True, preferred_ipv6=(PREFERRED6, PORT))
    async with phone(options=options, ipv6=True, prepare=ipv4_only) as here:
        await trio.sleep(0.1)
        health = here.conn.health
        assert not health.can_move
        assert "disable_active_migration" in health.reason
        here.world.cellular.add_address(CELLULAR6)
        await trio.sleep(0.1)
        assert here.conn.health.can_move


async def test_a_policy_that_is_switched_off_cannot_move(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone(policy=trioquic.MigrationPolicy(enabled=False)) as here:
        assert not here.conn.health.can_move


async def test_silence_where_the_server_forbids_migration(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It says that it cannot help itself, and lives on: the path may come back."""
    async with phone(options=FORBIDDEN) as here, trio.open_nursery() as nursery:
        nursery.start_soon(here.download, 1_000_000)
        await trio.sleep(0.3)
        here.world.wifi.link.blackhole()
        health = await here.conn.wait_unhealthy()
        assert health.state is HealthState.SILENT
        assert not health.can_move
        await trio.sleep(5)
        here.world.wifi.link.restore()
        await here.conn.wait_healthy()
        nursery.cancel_scope.cancel()


async def test_the_end(autojump_clock: trio.testing.MockClock) -> None:
    async with phone() as here:
        async with trio.open_nursery() as nursery:

            async def healthy() -> None:
                with pytest.raises(trioquic.IdleTimeoutError, match="idle timeout of 30 s"):
                    await here.conn.wait_healthy()

            silence(here.world)
            here.conn.ping()
            await here.conn.wait_unhealthy()
            nursery.start_soon(healthy)
        health = await here.conn.wait_unhealthy()
        assert health.state is HealthState.OVER
        assert "idle timeout" in health.reason


async def test_a_close(autojump_clock: trio.testing.MockClock) -> None:
    async with phone() as here:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.conn.wait_unhealthy)
            await trio.testing.wait_all_tasks_blocked()
            await here.conn.aclose()
        assert here.conn.health.state is HealthState.OVER
        assert "closed by this side" in here.conn.health.reason
        with pytest.raises(trio.ClosedResourceError):
            await here.conn.wait_healthy()


async def test_cancelled_waits_leave_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with phone() as here:
        with trio.move_on_after(1):
            await here.conn.wait_unhealthy()
        here.world.wifi.down()
        here.world.cellular.down()
        await here.conn.wait_unhealthy()
        with trio.move_on_after(1):
            await here.conn.wait_healthy()
        here.world.wifi.up()
        await here.conn.wait_healthy()


async def test_without_a_path_it_waits_also_where_the_application_moves_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    policy = trioquic.MigrationPolicy(automatic=False)
    async with phone(policy=policy) as here:
        path = here.conn.active_path
        assert path is not None
        await path.aclose()
        health = here.conn.health
        assert health.state is HealthState.WAITING
        assert health.silent_since == trio.current_time()
        await here.until(trioquic.WaitingForPath)
        (waiting,) = here.heard(trioquic.WaitingForPath)
        assert waiting.reason in health.reason
        assert "closed by the application" in waiting.reason
        await here.conn.migrate("wwan0")
        assert here.conn.health.state is HealthState.GOOD
        await here.download(10_000)


async def test_it_does_not_wait_longer_than_it_should_where_the_application_moves_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    policy = trioquic.MigrationPolicy(automatic=False, no_path_timeout=2.0)
    async with phone(policy=policy) as here:
        path = here.conn.active_path
        assert path is not None
        for _ in range(2):
            await path.aclose()
            await trio.sleep(1.5)
            path = await here.conn.migrate("wwan0")
        await path.aclose()
        closed = trio.current_time()
        with pytest.raises(trioquic.NoPathError, match="no_path_timeout"):
            await here.conn.wait_healthy()
        assert trio.current_time() - closed == pytest.approx(2.0)
