"""The return to a better network: later each time, but never not at all."""

import pytest
import trio
import trio.testing

import trioquic
from trioquic import MigrationPolicy

from .phone import Phone, phone

LIVE = trioquic.TransportConfig(keep_alive=20.0)
SOON = 0.2


async def seconds_until_back(here: Phone) -> float:
    """Wi-Fi is away for a moment: how long until the connection is there again."""
    wifi, moves = here.world.wifi, len(here.heard(trioquic.Migrated))
    wifi.down()
    await trio.sleep(0.5)
    wifi.up()
    begin = trio.current_time()
    with trio.fail_after(1000):
        await here.until(trioquic.Migrated, moves + 2)
    path = here.conn.active_path
    assert path is not None and path.interface == "wlan0"
    return trio.current_time() - begin


@pytest.mark.parametrize("interval", [3.0, 25.0])
async def test_each_return_takes_twice_as_long(
    autojump_clock: trio.testing.MockClock, interval: float
) -> None:
    """The standby is challenged again meanwhile; that is no reason to begin anew."""
    policy = MigrationPolicy(standby_interval=interval, metered_standby_interval=interval)
    async with phone(policy=policy, transport=LIVE) as here:
        for due in (1, 2, 4, 8, 16, 32, 64, 128):
            assert due <= await seconds_until_back(here) < due + SOON


@pytest.mark.parametrize(("back", "interval"), [(30.0, 25.0), (25.0, 25.0), (5.0, 3.0)])
async def test_it_is_due_whatever_the_interval_of_challenges(
    autojump_clock: trio.testing.MockClock, back: float, interval: float
) -> None:
    policy = MigrationPolicy(move_back_after=back, standby_interval=interval)
    async with phone(policy=policy, transport=LIVE) as here:
        assert back <= await seconds_until_back(here) < back + SOON


async def test_a_standby_that_fails_begins_anew(autojump_clock: trio.testing.MockClock) -> None:
    policy = MigrationPolicy(move_back_after=20.0, standby_interval=5.0)
    async with phone(policy=policy, transport=LIVE) as here:
        here.world.wifi.down()
        await trio.sleep(0.5)
        here.world.wifi.up()
        await trio.sleep(10)
        here.world.wifi.link.blackhole()
        await here.until(trioquic.ValidationFailed)
        here.world.wifi.link.restore()
        begin = trio.current_time()
        await here.until(trioquic.Migrated, 2)
        assert trio.current_time() >= begin + 20.0
