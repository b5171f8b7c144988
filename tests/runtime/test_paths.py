"""Paths by hand: adding, validating, moving, closing, and what is told about it."""

import contextlib
import errno
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_server import ServerOptions, pattern
from tests.sim_world import CELLULAR, SERVER, WIFI, shared_ids
from trioquic import MigrationPolicy, PathState, TransportConfig
from trioquic._protocol.events import PathReset
from trioquic._runtime.paths.path_set import PathSet

from .world import dial, get, open_sockets, phone_world, server_side


def state_of(path: trioquic.Path) -> PathState:
    """The state now; a call, as type checkers take it that an attribute does not change."""
    return path.state


async def settle(conn: trioquic.Connection) -> None:
    """Let the server hand out its connection IDs."""
    await conn.wait_handshake_confirmed()
    await trio.sleep(0.5)


def by_connection(conn: trioquic.Connection, path: trioquic.Path) -> None:
    conn.migrate_to(path)


def by_path(conn: trioquic.Connection, path: trioquic.Path) -> None:
    path.migrate()


@pytest.mark.parametrize("move", [by_connection, by_path])
async def test_a_path_by_hand(
    autojump_clock: trio.testing.MockClock,
    move: Callable[[trioquic.Connection, trioquic.Path], None],
) -> None:
    async with phone_world() as world:
        async with dial(world, SERVER) as conn:
            first = conn.active_path
            assert first is not None
            await settle(conn)
            path = await conn.add_path(interface="wwan0")
            assert state_of(path) is PathState.CANDIDATE
            assert path.interface == "wwan0"
            assert path.local[0] == CELLULAR
            assert path.rtt is None
            assert conn.paths == (first, path)
            assert conn.active_path is first
            # nothing was sent yet
            assert not world.record.select(interface="wwan0")
            with pytest.raises(trioquic.PathNotValidatedError):
                move(conn, path)
            rtt = await path.validate()
            assert rtt == pytest.approx(0.08, abs=0.01)
            assert state_of(path) is PathState.VALIDATED
            assert conn.active_path is first
            move(conn, path)
            assert conn.active_path is path
            assert state_of(path) is PathState.ACTIVE
            assert await get(conn, 100_000) == pattern(100_000)
            assert server_side(world).peer[0] == CELLULAR
            # the old one stands by, and can be used again
            assert state_of(first) in (PathState.VALIDATED, PathState.CANDIDATE)
            await first.validate()
            move(conn, first)
            assert await get(conn, 100_000) == pattern(100_000)
            assert server_side(world).peer[0] == WIFI
            await path.aclose()
            await path.aclose()
            assert state_of(path) is PathState.ABANDONED
            assert list(conn.paths) == [first]
            assert open_sockets(world) == 1
            with pytest.raises(trioquic.PathAbandonedError):
                await path.validate()
            with pytest.raises(trioquic.PathAbandonedError):
                move(conn, path)
        with pytest.raises(trio.ClosedResourceError):
            move(conn, first)
        assert not shared_ids(world.record.select(host="phone"))


async def test_events_tell_it(autojump_clock: trio.testing.MockClock) -> None:
    told: list[trioquic.PathEvent] = []

    async def listen(conn: trioquic.Connection, task_status: trio.TaskStatus[None]) -> None:
        async with conn.path_events() as events:
            task_status.started()
            async for event in events:
                told.append(event)

    async with phone_world() as world, trio.open_nursery() as nursery:
        async with dial(world) as conn:
            await nursery.start(listen, conn)
            await settle(conn)
            first = conn.active_path
            path = await conn.add_path(interface="wwan0")
            await path.validate()
            conn.migrate_to(path)
            assert first is not None
            await first.aclose()
            await get(conn, 1000)
        # the channel ends with the connection, and so does the listener
    opened, validated, moved, failed = told
    assert opened == trioquic.PathOpened(path=path)
    assert isinstance(validated, trioquic.PathValidated)
    assert validated.path is path
    assert validated.rtt == pytest.approx(0.08, abs=0.01)
    assert moved == trioquic.Migrated(
        old=first,
        new=path,
        cause=trioquic.MigrationCause.APPLICATION,
        reason="requested by the application",
    )
    assert isinstance(failed, trioquic.PathClosed)
    assert failed.path is first


async def test_migrate_in_one_call(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world, SERVER) as conn:
            first = conn.active_path
            assert first is not None
            # waits for the confirmation by itself
            second = await conn.migrate(interface="wwan0")
            assert conn.active_path is second
            assert await get(conn, 1000) == pattern(1000)
            await trio.sleep(2)
            assert state_of(first) is PathState.ABANDONED
            assert conn.paths == (second,)
            assert open_sockets(world) == 1
            third = await conn.migrate(local=WIFI, local_port=50_000)
            assert third.local == (WIFI, 50_000)
            fourth = await conn.migrate()
            assert fourth.local[0] == WIFI
            assert fourth.local[1] != 50_000
            assert await get(conn, 1000) == pattern(1000)


async def test_many_migrations_leak_no_connection_id(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Faster than the lingering paths would be closed by themselves."""
    async with phone_world() as world:
        async with dial(world, SERVER) as conn:
            await settle(conn)
            spare = conn.statistics().spare_peer_ids
            for number in range(20):
                await conn.migrate(interface=("wwan0", "wlan0")[number % 2])
                assert await get(conn, 5000) == pattern(5000)
            await trio.sleep(5)
            assert len(conn.paths) == 1
            assert conn.statistics().spare_peer_ids == spare
            assert conn.statistics().retiring_peer_ids == 0
        assert not shared_ids(world.record.select(host="phone"))


async def test_migrate_in_the_middle_of_a_download(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        async with dial(world, SERVER) as conn, trio.open_nursery() as nursery:

            async def download() -> None:
                assert await get(conn, 2_000_000) == pattern(2_000_000)
                nursery.cancel_scope.cancel()

            nursery.start_soon(download)
            for interface in ("wwan0", "wlan0", "wwan0"):
                await trio.sleep(0.2)
                await conn.migrate(interface=interface)
            await trio.sleep_forever()


async def test_validation_that_fails(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world, SERVER) as conn, conn.path_events() as events:
            await settle(conn)
            path = await conn.add_path(interface="wwan0")
            world.cellular.link.blackhole()
            start = trio.current_time()
            with pytest.raises(trioquic.PathValidationError, match=CELLULAR):
                await path.validate()
            # 3 times the PTO of the initial RTT (RFC 9000 section 8.2.4)
            assert trio.current_time() - start == pytest.approx(3.0, abs=0.05)
            assert events.receive_nowait() == trioquic.PathOpened(path=path)
            failed = events.receive_nowait()
            assert isinstance(failed, trioquic.ValidationFailed)
            assert failed.path is path
            # the path is still there, and may be tried again
            assert state_of(path) is PathState.CANDIDATE
            world.cellular.link.restore()
            await path.validate()
            assert await get(conn, 1000) == pattern(1000)


async def test_a_migration_that_fails_closes_its_path(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        async with dial(world, SERVER) as conn:
            await settle(conn)
            first = conn.active_path
            world.cellular.link.blackhole()
            with pytest.raises(trioquic.PathValidationError):
                await conn.migrate(interface="wwan0")
            with trio.move_on_after(0.5) as scope:
                await conn.migrate(interface="wwan0")
            assert scope.cancelled_caught
            assert conn.paths == (first,)
            assert open_sockets(world) == 1
            assert await get(conn, 1000) == pattern(1000)


async def test_a_cancelled_validation_stops_probing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        async with dial(world, SERVER) as conn:
            await settle(conn)
            path = await conn.add_path(interface="wwan0")
            world.cellular.link.blackhole()
            with trio.move_on_after(0.5) as scope:
                await path.validate()
            assert scope.cancelled_caught
            assert state_of(path) is PathState.CANDIDATE
            sent = len(world.record.select(interface="wwan0"))
            assert sent
            await trio.sleep(5)
            assert len(world.record.select(interface="wwan0")) == sent
            world.cellular.link.restore()
            await path.validate()


async def test_two_tasks_validate_one_path(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world, SERVER) as conn:
            await settle(conn)
            path = await conn.add_path(interface="wwan0")
            async with trio.open_nursery() as nursery:
                with trio.move_on_after(0.01) as scope:
                    nursery.start_soon(path.validate)
                    await path.validate()
            # one of them was cancelled, the other was not disturbed
            assert scope.cancelled_caught
            assert state_of(path) is PathState.VALIDATED


async def test_a_path_closed_while_it_is_validated(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        async with dial(world, SERVER) as conn:
            await settle(conn)
            path = await conn.add_path(interface="wwan0")
            async with trio.open_nursery() as nursery:

                async def validate() -> None:
                    with pytest.raises(trioquic.PathAbandonedError, match="by the application"):
                        await path.validate()

                nursery.start_soon(validate)
                await trio.testing.wait_all_tasks_blocked()
                await path.aclose()
            assert open_sockets(world) == 1


async def test_the_server_forbids_migration(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world(ServerOptions(disable_active_migration=True)) as world:
        async with dial(world, SERVER) as conn, conn.path_events() as events:
            await settle(conn)
            for call in (conn.migrate, conn.add_path):
                with pytest.raises(trioquic.MigrationNotAllowedError) as caught:
                    await call(interface="wwan0")
                assert "disable_active_migration" in caught.value.reason
                told = events.receive_nowait()
                assert told == trioquic.MigrationRefused(
                    refusal=trioquic.Refusal.DISABLED_BY_PEER, reason=caught.value.reason
                )
            assert not world.record.select(interface="wwan0")
            assert open_sockets(world) == 1


async def test_the_policy_forbids_migration(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world, migration=MigrationPolicy(enabled=False)) as conn:
            with pytest.raises(trioquic.MigrationNotAllowedError, match="enabled is") as caught:
                await conn.migrate(interface="wwan0")
            assert caught.value.refusal is trioquic.Refusal.POLICY
            assert open_sockets(world) == 1


async def test_no_spare_connection_id(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world, SERVER) as conn:
            await settle(conn)
            paths = [await conn.add_path()]

            async def add_many() -> None:
                for _ in range(20):
                    paths.append(await conn.add_path())

            with pytest.raises(trioquic.MigrationNotAllowedError):
                await add_many()
            assert len(conn.paths) == 1 + len(paths)
            await paths[0].aclose()
            await trio.sleep(1)
            await conn.add_path()
        assert open_sockets(world) == 0


async def test_local_addresses_that_cannot_be_used(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        async with dial(world, SERVER) as conn:
            for call in (conn.add_path, conn.migrate):
                with pytest.raises(trioquic.LocalAddressError) as caught:
                    await call(interface="eth7")
                assert caught.value.errno == errno.ENODEV
                with pytest.raises(trioquic.LocalAddressError) as caught:
                    await call(local="192.0.2.99")
                assert caught.value.errno == errno.EADDRNOTAVAIL
                with pytest.raises(trioquic.LocalAddressError, match="differ in IP version"):
                    await call(local="2001:db8:2::7")
                with pytest.raises(ValueError, match="must be an IP address"):
                    await call(local="elsewhere")
                with pytest.raises(ValueError, match="local_port"):
                    await call(local_port=70_000)
            world.cellular.down()
            with pytest.raises(trioquic.LocalAddressError):
                await conn.add_path(interface="wwan0")
            assert open_sockets(world) == 1


@pytest.mark.parametrize("error", [None, ValueError("mine")])
async def test_who_reads_path_events_finds_their_end_when_the_block_is_left(
    autojump_clock: trio.testing.MockClock, error: Exception | None
) -> None:
    """In another task, and however it is left."""
    ended: list[bool] = []

    async def follow(events: trio.MemoryReceiveChannel[trioquic.PathEvent]) -> None:
        async for _ in events:
            pass
        ended.append(True)

    async with phone_world() as world, dial(world, SERVER) as conn, trio.open_nursery() as nursery:
        with contextlib.suppress(ValueError):
            async with conn.path_events() as events:
                nursery.start_soon(follow, events)
                await trio.testing.wait_all_tasks_blocked()
                if error is not None:
                    raise error
    assert ended == [True]


async def test_migrate_to_takes_paths_of_this_connection_only(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        async with dial(world) as conn, dial(world) as other:
            await settle(conn)
            assert other.active_path is not None
            with pytest.raises(ValueError, match="another connection"):
                conn.migrate_to(other.active_path)
            with pytest.raises(TypeError):
                conn.migrate_to("wwan0")  # type: ignore[arg-type]


async def test_events_that_nobody_reads_are_counted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        transport = TransportConfig(path_event_buffer=2)
        async with dial(world, SERVER, transport=transport) as conn:
            await settle(conn)
            path = await conn.add_path()
            async with conn.path_events() as events:
                for _ in range(5):
                    await path.validate()
                assert conn.statistics().path_events_dropped == 3
                assert events.statistics().current_buffer_used == 2
            await path.validate()
            assert conn.statistics().path_events_dropped == 3


async def test_statistics_of_a_path(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world, SERVER) as conn:
            await get(conn, 100_000)
            path = conn.active_path
            assert path is not None
            now = path.statistics()
            assert now.bytes_received > 100_000
            assert now.datagrams_received > 80
            assert now.rtt == pytest.approx(0.06, abs=0.02)
            assert now.min_rtt == pytest.approx(0.05, abs=0.005)
            assert now.mtu >= 1200
            assert now.socket_errors == 0
            assert conn.statistics().paths == (now,)
        assert path.statistics().bytes_received >= now.bytes_received


async def test_socket_errors_are_hints(autojump_clock: trio.testing.MockClock) -> None:
    """The interface is gone for a while: errors are counted, the connection goes on."""
    async with phone_world() as world:
        async with dial(world, SERVER, interface="wlan0") as conn:
            await settle(conn)
            world.wifi.down()
            stream = await conn.open_stream()
            await stream.send_all(b"GET 1000\r\n")
            await stream.send_eof()
            await trio.sleep(2)
            path = conn.active_path
            assert path is not None
            assert path.statistics().socket_errors > 0
            assert path.statistics().datagrams_dropped > 0
            assert path.statistics().last_socket_error is not None
            world.wifi.up()
            assert await stream.receive_some() == pattern(1000)


async def test_a_path_that_a_reset_ends_while_it_is_left(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not linger, where somebody would look for it when room is needed."""
    policy = MigrationPolicy(automatic=False, linger=1000.0)
    async with phone_world() as world:
        async with dial(world, SERVER, migration=policy) as conn:
            await settle(conn)
            move = PathSet.move

            def move_and_reset(paths: PathSet, *args: Any, **kwargs: Any) -> None:
                move(paths, *args, **kwargs)
                conn._driver.core.abandon(0, trio.current_time())
                paths.on_path_event(PathReset(path_id=0))

            with monkeypatch.context() as patch:
                patch.setattr(PathSet, "move", move_and_reset)
                await conn.migrate(interface="wwan0")
            assert len(conn.paths) == 1
            for number in range(9):
                await conn.migrate(interface=("wlan0", "wwan0")[number % 2])
