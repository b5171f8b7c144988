"""Servers that let a connection be on one network only, as many load balancers do, or that give no
connection ID for another one."""

import math

import pytest
import trio
import trio.testing

import trioquic
from tests import sim_server
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import CELLULAR, PREFERRED, WIFI
from trioquic import HealthState, NoPathReason

from .phone import Phone, phone
from .test_one_pass import Counting

WIFI_RTT = 0.05
FORBIDDEN = ServerOptions(disable_active_migration=True)
GRACE = trioquic.MigrationPolicy().return_grace


def sent_over(here: Phone, interface: str) -> int:
    return len(here.world.record.select(host="phone", interface=interface))


async def expect_end(here: Phone, loss: str) -> None:
    """Readers, writers and later calls all get the error, when the network has not come back for a
    moment; who watches the health knows at once."""
    stream = await here.conn.open_stream()
    await stream.send_all(b"WAIT 100 10\r\n")
    ended: list[float] = []

    async def reader() -> None:
        with pytest.raises(trioquic.NoPathError) as caught:
            await stream.receive_some()
        ended.append(trio.current_time())
        assert caught.value.reason is NoPathReason.MIGRATION_FORBIDDEN

    async def writer() -> None:
        other = await here.conn.open_stream()
        with pytest.raises(trioquic.NoPathError):
            await other.send_all(bytes(100_000_000))
        ended.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        nursery.start_soon(writer)
        await trio.sleep(0.5)
        gone = trio.current_time()
        if loss == "down":
            here.world.wifi.down()
        else:
            here.world.wifi.remove_address(WIFI)
        health = await here.conn.wait_unhealthy()
        assert (health.state, health.can_move) == (HealthState.WAITING, False)
        assert "disable_active_migration" in health.reason
        assert trio.current_time() - gone < 0.001
        await here.until(trioquic.WaitingForPath)
        waiting = here.heard(trioquic.WaitingForPath)
        assert [event.deadline for event in waiting] == [pytest.approx(gone + GRACE, abs=0.001)]
        assert "use none of the other networks" in waiting[0].reason
    assert [at - gone for at in ended] == [pytest.approx(GRACE, abs=0.006)] * 2
    with pytest.raises(trioquic.NoPathError, match="disable_active_migration") as caught:
        await here.conn.open_stream()
    assert "idle timeout" not in str(caught.value)
    assert ("wlan0 is down" if loss == "down" else WIFI) in str(caught.value)
    assert here.conn.health.state is HealthState.OVER


@pytest.mark.parametrize("loss", ["down", "address"])
async def test_other_networks_that_must_not_be_used_end_it_soon(
    autojump_clock: trio.testing.MockClock, loss: str
) -> None:
    """A new connection over one of them is what helps."""
    async with phone(options=FORBIDDEN) as here:
        await expect_end(here, loss)
        assert not sent_over(here, "wwan0")


async def blip(here: Phone, loss: str) -> None:
    """The network goes for a moment, as in a tunnel's flap or the renewal of a lease."""
    if loss == "down":
        here.world.wifi.down()
    else:
        here.world.wifi.remove_address(WIFI)
    await trio.sleep(GRACE / 2)
    assert here.conn.health.state is HealthState.WAITING
    if loss == "down":
        here.world.wifi.up()
    else:
        here.world.wifi.add_address(WIFI)


@pytest.mark.parametrize("loss", ["down", "address"])
async def test_a_blip_of_the_only_network_that_may_be_used_ends_nothing(
    autojump_clock: trio.testing.MockClock, loss: str
) -> None:
    """Each has its own grace."""
    async with phone(options=FORBIDDEN) as here:
        path = here.conn.active_path
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.download, 2_000_000)
            for _ in range(4):
                await trio.sleep(0.15)
                await blip(here, loss)
                await here.conn.wait_healthy()
        assert here.conn.active_path is path
        assert not sent_over(here, "wwan0")


async def test_a_long_silence_ends_soon_after_the_network_is_back(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PTOs are far apart by then, and the window is full: the path is asked all the same, though
    not at the pace of a PTO without its backoff."""
    monkeypatch.setattr(Counting, "asked", 0)
    transport = trioquic.TransportConfig(idle_timeout=0)
    options = ServerOptions(disable_active_migration=True, idle_timeout=3600.0)
    async with phone(options=options, policy=Counting(), transport=transport) as here:
        stream = await here.conn.open_stream()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, bytes(10_000_000))
            await trio.sleep(3)
            here.world.wifi.link.blackhole()
            await here.conn.wait_unhealthy()
            Counting.asked = 0
            await trio.sleep(100)
            assert Counting.asked < 200
            here.world.wifi.link.restore()
            with trio.fail_after(5):
                await here.conn.wait_healthy()
            nursery.cancel_scope.cancel()


async def test_the_grace_is_the_users(autojump_clock: trio.testing.MockClock) -> None:
    for grace in (0.0, 2.0, math.inf):
        policy = trioquic.MigrationPolicy(return_grace=grace)
        async with phone(options=FORBIDDEN, policy=policy) as here:
            stream = await here.conn.open_stream()
            await stream.send_all(b"WAIT 100 10\r\n")
            here.world.wifi.down()
            gone = trio.current_time()
            if grace == math.inf:
                await trio.sleep(20)
                here.world.wifi.up()
                await here.conn.wait_healthy()
                continue
            with pytest.raises(trioquic.NoPathError):
                await stream.receive_some()
            assert trio.current_time() - gone == pytest.approx(grace, abs=0.006)


class Stingy(sim_server._Quic):
    """Gives no connection ID to spare."""

    def _replenish_connection_ids(self) -> None:
        pass


async def test_want_of_connection_ids_is_told_as_such_and_a_blip_is_outlived(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the network goes before the first NEW_CONNECTION_ID has come (section 9.5)."""
    monkeypatch.setattr(sim_server, "_Quic", Stingy)
    async with phone() as here:
        await blip(here, "down")
        await here.conn.wait_healthy()
        await here.download(10_000)
        here.world.wifi.down()
        health = await here.conn.wait_unhealthy()
        assert (health.state, health.can_move) == (HealthState.WAITING, False)
        with pytest.raises(trioquic.NoPathError, match="no connection ID") as caught:
            await here.conn.wait_healthy()
        assert caught.value.reason is NoPathReason.NO_CONNECTION_ID
        assert "wlan0 is down" in str(caught.value)
        assert "network" not in str(caught.value).partition("for another network")[2]
        assert not sent_over(here, "wwan0")


async def test_another_network_that_comes_later_ends_the_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone(options=FORBIDDEN) as here:
        here.world.cellular.down()
        here.world.wifi.down()
        health = await here.conn.wait_unhealthy()
        assert health.state is HealthState.WAITING
        assert not health.can_move
        await trio.sleep(3)
        here.world.cellular.up()
        with pytest.raises(trioquic.NoPathError) as caught:
            await here.conn.wait_healthy()
        assert caught.value.reason is NoPathReason.MIGRATION_FORBIDDEN
        assert not sent_over(here, "wwan0")


async def test_a_network_that_the_policy_does_not_allow_is_none(
    autojump_clock: trio.testing.MockClock,
) -> None:
    policy = trioquic.MigrationPolicy(metered=False)
    async with phone(options=FORBIDDEN, policy=policy) as here:
        here.world.wifi.down()
        assert (await here.conn.wait_unhealthy()).state is HealthState.WAITING
        await here.until(trioquic.WaitingForPath)
        await trio.sleep(2)
        here.world.wifi.up()
        await here.conn.wait_healthy()
        await here.download(1000)


async def test_the_same_network_back_goes_on_with_the_same_socket(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """There was no other network. Nothing waits for a PTO that has backed off meanwhile."""
    async with phone(options=FORBIDDEN) as here:
        here.world.cellular.down()
        path = here.conn.active_path
        assert path is not None
        pause = 0.0
        async with trio.open_nursery() as nursery:

            async def download() -> None:
                nonlocal pause
                pause = await here.download(1_000_000)

            nursery.start_soon(download)
            await trio.sleep(0.3)
            here.world.wifi.down()
            assert (await here.conn.wait_unhealthy()).state is HealthState.WAITING
            await trio.sleep(5)
            here.world.wifi.up()
            back = trio.current_time()
            await here.conn.wait_healthy()
        assert here.conn.active_path is path
        sent = here.world.record.select(host="phone", interface="wlan0", since=back)
        assert sent[0].time - back < 0.001
        # one round trip until the server knows what it has lost, and one for that
        assert pause < 5 + 2 * WIFI_RTT + 0.02


async def test_a_preferred_address_is_reached_from_the_other_network(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Section 9.6: to it the connection may go also where migration is forbidden."""
    options = ServerOptions(disable_active_migration=True, preferred_ipv4=(PREFERRED, PORT))
    async with phone(
        options=options, prepare=lambda world: world.wifi.link.change(delay=0.2)
    ) as here:
        here.world.wifi.down()
        await here.until(trioquic.Migrated)
        assert here.conn.active_path is not None
        assert here.conn.active_path.local[0] == CELLULAR
        assert here.conn.active_path.remote[0] == PREFERRED
        await here.download(10_000)
        original = [
            r
            for r in here.world.record.select(host="phone", interface="wwan0")
            if r.destination[0] != PREFERRED
        ]
        assert original == []


async def test_in_silence_it_lives_on(autojump_clock: trio.testing.MockClock) -> None:
    """The path may come back; that the connection cannot move is for others to act on."""
    async with phone(options=FORBIDDEN) as here, trio.open_nursery() as nursery:
        nursery.start_soon(here.download, 1_000_000)
        await trio.sleep(0.3)
        here.world.wifi.link.blackhole()
        health = await here.conn.wait_unhealthy()
        assert (health.state, health.can_move) == (HealthState.SILENT, False)
        await trio.sleep(8)
        here.world.wifi.link.restore()
        await here.conn.wait_healthy()
        assert not sent_over(here, "wwan0")
