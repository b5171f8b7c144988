"""Closed at every moment while the supervisor opens paths and moves the connection by itself.

Cancelled at every moment: see test_life.py.
"""

from contextlib import AbstractAsyncContextManager

import trio
import trio.testing

import trioquic
from tests.runtime.world import dial, get
from tests.sim_server import PORT, ServerOptions, pattern
from tests.sim_world import CELLULAR, PREFERRED, SERVER
from tests.simulation.chance import credentials, fingerprint
from trioquic import PathState

from .harness import Bench, Cut, bench, sweep

# Signatures of one length, so that the handshake takes the same time in each run.
OPTIONS = ServerOptions(credentials=credentials(0))


def supervised(b: Bench) -> AbstractAsyncContextManager[trioquic.Connection]:
    return dial(
        b.world,
        SERVER,
        tls=trioquic.TLSConfig(fingerprint=fingerprint()),
        networks=b.world.phone,
        migration=trioquic.MigrationPolicy(move_back_after=0.1),
    )


async def until(conn: trioquic.Connection, *states: PathState) -> None:
    """Wait for paths in these states, oldest first."""
    async with conn.path_events() as events:
        while tuple(path.state for path in conn.paths) != states:
            await events.receive()


async def wander(b: Bench, conn: trioquic.Connection) -> None:
    """A standby path, a failover to it, no path at all, and a move to one that is back."""
    await until(conn, PathState.ACTIVE, PathState.VALIDATED)
    b.world.wifi.down()
    await until(conn, PathState.ACTIVE)
    assert await get(conn, 100) == pattern(100)
    b.world.cellular.down()
    health = await conn.wait_unhealthy()
    # another task may have begun to close
    assert conn.active_path is None or health.state is trioquic.HealthState.OVER
    b.world.wifi.up()
    await conn.wait_healthy()
    assert await get(conn, 100) == pattern(100)
    assert conn.active_path is not None
    out = await conn.open_send_stream()
    await out.send_all(bytes(1000))
    await out.aclose()


async def test_closed(autojump_clock: trio.testing.MockClock) -> None:
    """Another task closes, and the supervisor goes on during the drain."""

    async def close(conn: trioquic.Connection) -> None:
        await conn.aclose()

    async def case(cut: Cut) -> None:
        async with bench(OPTIONS) as b, trio.open_nursery() as closers:
            async with supervised(b) as conn:
                await conn.wait_handshake_confirmed()
                out = await conn.open_send_stream()
                await out.send_all(bytes(6000))
                await out.aclose()
                cut.action = lambda: closers.start_soon(close, conn)
                with cut:
                    try:
                        await wander(b, conn)
                    except (trio.ClosedResourceError, trio.EndOfChannel):
                        assert cut.fired
                # What was sent before is still delivered, if need be on another path.
            assert out.stream_id in b.server.uploads
            await b.nothing_left_in_the_end()

    await sweep(case, least=140)


async def test_migrate_while_the_preferred_address_is_reached(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The first path is given up in the middle of its validation, and another one is opened."""
    options = ServerOptions(credentials=credentials(0), preferred_ipv4=(PREFERRED, PORT))

    async def case(cut: Cut) -> None:
        async with bench(options) as b:
            with cut.later():
                async with supervised(b) as conn:
                    await conn.wait_handshake_confirmed()
                    cut.arm()
                    path = await conn.migrate(local=CELLULAR)
                    assert path.remote[0] == PREFERRED
            if cut.caught:
                assert trio.current_time() == cut.time
            await b.nothing_left_in_the_end()

    await sweep(case, least=30)
