"""Cancelled while paths are added, validated and changed, and while their events are awaited."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

import trioquic
from tests.runtime.world import dial, get
from tests.sim_server import pattern
from tests.sim_world import SERVER, shared_ids
from trioquic import PathState

from .harness import Bench, Cut, OneSpareId, bench, sweep

DOWNLOAD = 8_000
UPLOAD = 16_000


@asynccontextmanager
async def connected(b: Bench, *, linger: float = 3.0) -> AsyncIterator[trioquic.Connection]:
    """A connection that may migrate: confirmed, and with the server's IDs at hand."""
    policy = trioquic.MigrationPolicy(linger=linger, automatic=False)
    async with dial(b.world, SERVER, migration=policy) as conn:
        await conn.wait_handshake_confirmed()
        await trio.sleep(0.5)
        yield conn


@asynccontextmanager
async def download(conn: trioquic.Connection) -> AsyncIterator[None]:
    """Goes on beside the block, and must end with the right bytes."""

    async def run() -> None:
        assert await get(conn, DOWNLOAD) == pattern(DOWNLOAD)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield


def state_of(path: trioquic.Path) -> PathState:
    return path.state


async def test_wait_confirmed_and_add_path_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Cancelled while the handshake is not confirmed yet."""

    async def case(cut: Cut) -> None:
        async with bench() as b:
            async with dial(b.world, SERVER) as conn:
                path = None
                with cut:
                    await conn.wait_handshake_confirmed()
                    path = await conn.add_path(interface="wwan0")
                assert cut.caught is (path is None)
                assert len(conn.paths) == 1 + (path is not None)
                assert len(b.sockets.open) == len(conn.paths)
                assert await get(conn, 100) == pattern(100)
                await (await conn.add_path(interface="wwan0")).validate()
            await b.nothing_left()

    await sweep(case, least=5)


async def test_add_path(autojump_clock: trio.testing.MockClock) -> None:
    """Again and again within one connection: no path, no socket and no connection ID is lost."""
    async with bench() as b:
        async with connected(b) as conn:
            spare = conn.statistics().spare_peer_ids

            async def case(cut: Cut) -> None:
                path = None
                with cut:
                    path = await conn.add_path(interface="wwan0")
                if path is None:
                    assert cut.caught
                    assert len(conn.paths) == 1
                    assert len(b.sockets.open) == 1
                    assert conn.statistics().spare_peer_ids == spare
                else:
                    await path.aclose()

            for _ in range(5):
                await sweep(case, least=2)
                await trio.sleep(0.2)
            assert conn.statistics().spare_peer_ids == spare
            assert await conn.migrate(interface="wwan0") is conn.active_path
        await b.nothing_left()


async def test_validate(autojump_clock: trio.testing.MockClock) -> None:
    """Cancelled, the path stays open and unvalidated, and can be validated later."""
    unanswered = 0

    async def case(cut: Cut) -> None:
        nonlocal unanswered
        async with bench() as b:
            async with connected(b) as conn:
                path = await conn.add_path(interface="wwan0")
                rtt = None
                with cut:
                    rtt = await path.validate()
                state = state_of(path)
                if rtt is None:
                    assert cut.caught
                    # The answer may be read in the very moment of the cut.
                    if state is not PathState.VALIDATED:
                        assert state is PathState.CANDIDATE
                        unanswered += 1
                    # One that was still under way is ignored.
                    await trio.sleep(0.5)
                    assert state_of(path) is state
                else:
                    assert rtt > 0.08
                    assert state is PathState.VALIDATED
                assert conn.paths == (conn.active_path, path)
                assert await path.validate() > 0.08
            await b.nothing_left()

    await sweep(case, least=8)
    assert unanswered >= 6


async def test_one_of_two_who_validate(autojump_clock: trio.testing.MockClock) -> None:
    """The other one's validation goes on."""

    async def case(cut: Cut) -> None:
        async with bench() as b:
            async with connected(b) as conn:
                path = await conn.add_path(interface="wwan0")
                results = []

                async def other() -> None:
                    results.append(await path.validate())

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(other)
                    with cut:
                        await path.validate()
                assert len(results) == 1
            await b.nothing_left()

    await sweep(case, least=8)


async def test_migrate(autojump_clock: trio.testing.MockClock) -> None:
    """Cancelled, the new path is closed and the old one goes on; a download does not notice."""

    async def case(cut: Cut) -> None:
        async with bench() as b:
            async with connected(b) as conn:
                old = conn.active_path
                new = None
                async with download(conn):
                    await trio.sleep(0.03)
                    with cut:
                        new = await conn.migrate(interface="wwan0")
                    if new is None:
                        assert cut.caught
                        assert conn.active_path is old
                        assert conn.paths == (old,)
                        assert len(b.sockets.open) == 1
                    else:
                        assert conn.active_path is new
                await trio.sleep(1)
                # the old path lingers no longer
                assert conn.paths == (old if new is None else new,)
                assert len(b.sockets.open) == 1
                # and nothing hinders another try
                await conn.migrate(interface="wwan0")
                assert await get(conn, 100) == pattern(100)
            assert shared_ids(b.world.record.select(host="phone")) == {}
            await b.nothing_left()

    await sweep(case, least=20)


async def test_migrate_while_a_tunnel_comes_up(autojump_clock: trio.testing.MockClock) -> None:
    """No network was named: the first try ends beside the tunnel, the second leads into it."""

    async def case(cut: Cut) -> None:
        async with bench() as b, connected(b) as conn:
            tunnel = b.world.phone.add_interface("tun0", "10.8.0.2", kind="tunnel", metric=-1)
            tunnel.down()
            old, new = conn.active_path, None
            b.world.wifi.link.blackhole()
            async with trio.open_nursery() as nursery:

                async def come_up() -> None:
                    await trio.sleep(0.1)
                    tunnel.up()

                nursery.start_soon(come_up)
                with cut:
                    new = await conn.migrate()
                    assert new.local[0] == "10.8.0.2"
                nursery.cancel_scope.cancel()
            assert cut.caught is (new is None)
            assert conn.active_path is (new or old)
            b.world.wifi.link.restore()
            await trio.sleep(1)
            assert conn.paths == (conn.active_path,)
            assert len(b.sockets.open) == 1
            assert await get(conn, 100) == pattern(100)

    await sweep(case, least=15)


async def test_migrate_while_an_id_is_awaited(autojump_clock: trio.testing.MockClock) -> None:
    """The path left last still lingers with the only spare ID, and is closed for it."""

    async def case(cut: Cut) -> None:
        async with bench(quic=OneSpareId) as b:
            async with connected(b, linger=1000.0) as conn:
                first = await conn.migrate(interface="wwan0")
                assert len(conn.paths) == 2
                new = None
                with cut:
                    new = await conn.migrate(interface="wlan0")
                assert cut.caught is (new is None)
                assert conn.active_path is (new or first)
                assert first in conn.paths
                assert len(b.sockets.open) == len(conn.paths)
                await trio.sleep(0.5)
                assert (await conn.migrate(interface="wlan0")).state is PathState.ACTIVE
                assert await get(conn, 100) == pattern(100)
            await b.nothing_left()

    await sweep(case, least=20)


async def test_path_events(autojump_clock: trio.testing.MockClock) -> None:
    """Cancelled in the middle of waiting, no event is lost; left, no subscriber is left."""

    async def case(cut: Cut) -> None:
        async with bench() as b:
            async with connected(b) as conn:
                seen = []
                path = await conn.add_path(interface="wwan0")
                async with conn.path_events() as events:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(path.validate)
                        with cut:
                            async with conn.path_events() as others:
                                async for event in others:
                                    assert isinstance(event, trioquic.PathValidated)
                                    break
                            seen.append(await events.receive())
                    conn.migrate_to(path)
                    while len(seen) < 2:
                        seen.append(await events.receive())
                assert [type(event) for event in seen] == [
                    trioquic.PathValidated,
                    trioquic.Migrated,
                ]
                assert not conn._paths.news.broadcast._channels
            await b.nothing_left()

    await sweep(case, least=8)


async def test_a_path_is_closed_at_any_moment(autojump_clock: trio.testing.MockClock) -> None:
    """Its tasks may be about to read or in the middle of a batch: that is no bug."""

    async def case(cut: Cut) -> None:
        async with bench() as b:
            async with connected(b) as conn:
                old = conn.active_path
                assert old is not None
                path = await conn.add_path(interface="wwan0")
                await path.validate()

                def change() -> None:
                    conn.migrate_to(path)
                    old._control.close()

                cut.action = change
                with cut:
                    stream = await conn.open_stream()
                    await stream.send_all(b"PUT\r\n" + bytes(UPLOAD))
                    await stream.send_eof()
                    assert len(b"".join([bytes(part) async for part in stream])) == 64
                assert conn.active_path is (path if cut.fired else old)
            await b.nothing_left()

    await sweep(case, least=80)
