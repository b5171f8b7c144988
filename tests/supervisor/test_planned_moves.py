"""`migrate()` in the middle of a download: the data move when the server has settled.

Where the new way is longer, data overtake the server's PATH_RESPONSE. It then has to learn that
nothing was lost (or slows down, if it takes it for lost) before it has room for the PATH_CHALLENGE
that it owes the new address; acknowledgements come without a break as long as nothing moves.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_world import CELLULAR, WIFI, World

from .phone import CELLULAR_RTT, Phone, phone

_SIZE = 3_000_000
_WIFI_RTT = 0.05
_A_MOMENT = 0.001
STAY = trioquic.MigrationPolicy(automatic=False)


def leave(world: World) -> None:
    """Wi-Fi is the shorter way."""


def swap_round_trips(world: World) -> None:
    world.wifi.link.change(delay=0.04)
    world.cellular.link.change(delay=0.025)


@asynccontextmanager
async def downloading(
    policy: trioquic.MigrationPolicy | None = None, prepare: Callable[[World], None] = leave
) -> AsyncIterator[Phone]:
    """A download is under way, and comes to its end whatever happens."""
    async with (
        phone(policy=policy or STAY, prepare=prepare) as here,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(here.download, _SIZE)
        await trio.sleep(0.5)
        yield here


def settled_for(here: Phone, path: trioquic.Path, moved: float) -> float:
    """How long the path had been validated when the connection moved there."""
    validated = [
        at
        for at, event in here.events
        if isinstance(event, trioquic.PathValidated) and event.path is path and at <= moved
    ]
    return moved - validated[-1]


async def moved(here: Phone) -> float:
    """When the connection moved last."""
    await here.until(trioquic.Migrated)
    return here.first(trioquic.Migrated)


async def answered(here: Phone) -> None:
    """The first answer on the new path is there."""
    await here.until(trioquic.PathValidated)


async def test_the_data_move_when_the_server_has_settled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with downloading() as here:
        old = here.conn.active_path
        assert old is not None
        path = await here.conn.migrate(local=CELLULAR)
        waited = settled_for(here, path, await moved(here))
        # a third of a round trip is what a server needs
        rtt = old.statistics().rtt
        assert rtt is not None
        assert _WIFI_RTT < waited <= 2 * rtt + _A_MOMENT


async def test_the_download_goes_on_meanwhile(autojump_clock: trio.testing.MockClock) -> None:
    """Where it was: the server is not on the new path before the client is."""
    async with downloading() as here, trio.open_nursery() as nursery:
        old = here.conn.active_path
        assert old is not None
        nursery.start_soon(lambda: here.conn.migrate(local=CELLULAR))
        await answered(here)
        before = old.statistics().datagrams_received
        await trio.sleep(_WIFI_RTT / 2)
        assert here.conn.active_path is old
        assert old.statistics().datagrams_received > before + 10


async def test_nothing_waits_where_nothing_is_under_way(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone(policy=STAY) as here:
        await trio.sleep(1.0)
        begun = trio.current_time()
        path = await here.conn.migrate(local=CELLULAR)
        assert trio.current_time() - begun < CELLULAR_RTT + 0.01
        assert settled_for(here, path, await moved(here)) < _A_MOMENT


@pytest.mark.parametrize("way", [{"local": CELLULAR}, {"local": WIFI}], ids=["shorter", "port"])
async def test_nothing_waits_where_nothing_is_overtaken(
    autojump_clock: trio.testing.MockClock, way: dict[str, str]
) -> None:
    """The new way is the shorter one, or another port on the same network."""
    async with downloading(prepare=swap_round_trips) as here:
        path = await here.conn.migrate(**way)  # type: ignore[arg-type]
        assert settled_for(here, path, await moved(here)) < _A_MOMENT


async def test_a_path_that_can_send_no_more_is_left_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Its interface goes down, which its socket says; nobody but the application moves."""
    async with downloading() as here, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: here.conn.migrate(local=CELLULAR))
        await answered(here)
        await trio.sleep(0.01)
        assert not here.heard(trioquic.Migrated)
        here.world.wifi.down()
        here.conn.ping()
        down = trio.current_time()
        assert await moved(here) - down < 0.01


async def test_a_failover_does_not_wait_for_it(autojump_clock: trio.testing.MockClock) -> None:
    """The supervisor moves by itself, and the application's move has then come to its end."""
    async with downloading(trioquic.MigrationPolicy()) as here, trio.open_nursery() as nursery:
        await here.until(trioquic.PathValidated)
        before = len(here.heard(trioquic.PathValidated))
        returned: list[float] = []

        async def move() -> None:
            await here.conn.migrate(local=CELLULAR)
            returned.append(trio.current_time())

        nursery.start_soon(move)
        await here.until(trioquic.PathValidated, before + 1)
        here.world.wifi.down()
        down = trio.current_time()
        assert await moved(here) - down < 0.01
        await trio.sleep(0.01)
        assert returned
        active = here.conn.active_path
        assert active is not None
        assert active.local[0] == CELLULAR


async def test_cancelled_it_leaves_the_connection_where_it_was(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with downloading() as here, trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def move() -> None:
            with scope:
                await here.conn.migrate(local=CELLULAR)

        nursery.start_soon(move)
        await answered(here)
        await trio.sleep(0.01)
        scope.cancel()
        await here.until(trioquic.PathClosed)
        active = here.conn.active_path
        assert active is not None
        assert active.local[0] == WIFI
        assert here.conn.paths == (active,)
        assert not here.heard(trioquic.Migrated)


async def test_a_connection_closed_meanwhile(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone(policy=STAY) as here, trio.open_nursery() as nursery:

        async def download() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await here.download(_SIZE)

        async def move() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await here.conn.migrate(local=CELLULAR)
            assert trio.current_time() - closed < _A_MOMENT

        nursery.start_soon(download)
        await trio.sleep(0.5)
        nursery.start_soon(move)
        await answered(here)
        await trio.sleep(0.01)
        closed = trio.current_time()
        await here.conn.aclose()
