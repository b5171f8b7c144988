"""Networks that go before the supervisor had anything to decide."""

import trio
import trio.testing

import trioquic
from tests.sim_world import WIFI, World

from .phone import phone

CONFIRMATION = 0.1
"""Two round trips over Wi-Fi."""


async def lose_address(world: World, at: float) -> None:
    await trio.sleep(at)
    world.wifi.remove_address(WIFI)


async def test_an_address_that_goes_before_the_handshake_is_confirmed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The packet that confirms it is under way already. The path was on a known network when it
    was opened, so it is known to be lost, and not taken for one on a network that nobody lists."""

    def prepare(world: World) -> None:
        world.phone.start_soon(lose_address, world, 0.9 * CONFIRMATION)

    async with phone(prepare=prepare) as here:
        confirmed = trio.current_time()
        await here.until(trioquic.Migrated)
        assert trio.current_time() - confirmed < 0.001
        assert here.heard(trioquic.Migrated)[0].cause is trioquic.MigrationCause.NETWORK_GONE
        await here.download(50_000)
