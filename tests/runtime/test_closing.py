"""The end of a connection: who hears what, what is still delivered, how long it takes."""

import weakref
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from aioquic.quic.packet import QuicErrorCode

import trioquic
from tests.sim_server import ServerOptions
from tests.uncollected import uncollected
from trioquic import TransportConfig
from trioquic._protocol.connection import ClientConnection

from .world import dial, get, open_sockets, phone_world, server_side

Call = Callable[[], Awaitable[object]]


def calls_on(conn: trioquic.Connection, stream: trioquic.Stream) -> list[Call]:
    """Everything that can be asked of a connection."""

    async def update_keys() -> None:
        conn.update_keys()

    async def ping() -> None:
        conn.ping()

    async def migrate_to() -> None:
        assert conn.active_path is not None
        conn.migrate_to(conn.active_path)

    async def send() -> None:
        await stream.send_all(b"x")

    return [
        stream.receive_some,
        send,
        stream.wait_send_all_might_not_block,
        stream.send_eof,
        conn.open_stream,
        conn.wait_open_stream_might_not_block,
        conn.open_send_stream,
        conn.wait_open_send_stream_might_not_block,
        conn.wait_handshake_complete,
        conn.wait_handshake_confirmed,
        conn.wait_healthy,
        conn.accept_stream,
        conn.add_path,
        conn.migrate,
        update_keys,
        ping,
    ]


async def test_after_ones_own_close_everything_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            await conn.wait_handshake_confirmed()
            stream = await conn.open_stream()
            path = conn.active_path
            assert path is not None
            await conn.aclose(0x77, "enough")
            assert open_sockets(world) == 0
            for call in calls_on(conn, stream):
                with pytest.raises(trio.ClosedResourceError):
                    await call()
            stream.reset(1)
            stream.stop(1)
            await stream.aclose()
            await conn.aclose()
            assert conn.closed and isinstance(await conn.wait_closed(), trio.ClosedResourceError)
            assert conn.paths == ()
            assert conn.active_path is None
            assert path.state is trioquic.PathState.ABANDONED
            assert conn.statistics().packets_sent > 0
        await trio.sleep(1)
        ended = server_side(world).terminated
        assert ended is not None
        assert (ended.error_code, ended.reason_phrase) == (0x77, "enough")


async def test_what_is_over_is_freed_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """Without the garbage collector, which would find hundreds of objects of each connection."""
    async with phone_world() as world:
        with uncollected():
            async with dial(world, migration=trioquic.MigrationPolicy()) as conn:
                await conn.wait_handshake_confirmed()
                await get(conn, 1000)
                await conn.migrate()
                driver = weakref.ref(conn._driver)
                await trio.sleep(1)
            await trio.sleep(1)
            del conn
            assert driver() is None


async def test_who_waits_is_woken_by_ones_own_close(
    autojump_clock: trio.testing.MockClock,
) -> None:
    woken: list[str] = []

    async def wait(name: str, call: Call) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await call()
        woken.append(name)

    async with phone_world() as world:
        async with dial(world) as conn:
            await conn.wait_handshake_confirmed()
            stream = await conn.open_stream()
            path = await conn.add_path(interface="wwan0")
            world.cellular.link.blackhole()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait, "receive", stream.receive_some)
                nursery.start_soon(wait, "accept", conn.accept_stream)
                nursery.start_soon(wait, "validate", path.validate)
                await trio.testing.wait_all_tasks_blocked()
                await conn.aclose()
    assert sorted(woken) == ["accept", "receive", "validate"]


async def test_the_peers_close_reaches_everyone_with_a_new_error_each(
    autojump_clock: trio.testing.MockClock,
) -> None:
    caught: list[trioquic.PeerClosedError] = []

    async def expect(call: Call) -> None:
        with pytest.raises(trioquic.PeerClosedError) as info:
            await call()
        caught.append(info.value)

    async with phone_world() as world:
        async with dial(world) as conn:
            await conn.wait_handshake_confirmed()
            stream = await conn.open_stream()
            other = await conn.open_stream()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(expect, stream.receive_some)
                nursery.start_soon(expect, conn.accept_stream)
                await trio.testing.wait_all_tasks_blocked()
                server_side(world).quic.close(error_code=0x1234, reason_phrase="bye \u2028")
                server_side(world).flush()
            for call in calls_on(conn, other):
                await expect(call)
            for error in caught:
                assert isinstance(error, trio.BrokenResourceError)
                assert (error.code, error.frame_type) == (0x1234, None)
                assert error.reason.startswith("bye")
            assert len({id(error) for error in caught}) == len(caught)
            # one's own streams can still be put away
            await stream.aclose()
        assert open_sockets(world) == 0


async def test_a_transport_error_of_the_peer(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            await conn.wait_handshake_confirmed()
            server_side(world).quic.close(
                error_code=QuicErrorCode.FLOW_CONTROL_ERROR, frame_type=8, reason_phrase="too much"
            )
            server_side(world).flush()
            with pytest.raises(trioquic.PeerClosedError) as caught:
                await conn.accept_stream()
            assert (caught.value.code, caught.value.frame_type) == (3, 8)
            assert "FLOW_CONTROL_ERROR" in str(caught.value)


async def test_what_arrived_before_the_end_is_delivered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            whole = await conn.open_stream()
            await whole.send_all(b"GET 1000\r\n")
            await whole.send_eof()
            part = await conn.open_stream()
            await part.send_all(b"no request yet")
            await trio.sleep(1)
            server = server_side(world)
            server.quic.send_stream_data(part.stream_id, b"half of the")
            opened = server.quic.get_next_available_stream_id(is_unidirectional=True)
            server.quic.send_stream_data(opened, b"pushed", end_stream=True)
            server.flush()
            await trio.sleep(1)
            server.quic.close()
            server.flush()
            await trio.sleep(1)
            assert len(await whole.receive_some()) == 1000
            assert await whole.receive_some() == b""
            assert await part.receive_some() == b"half of the"
            with pytest.raises(trioquic.PeerClosedError):
                await part.receive_some()
            incoming = await conn.accept_stream()
            assert isinstance(incoming, trioquic.ReceiveStream)
            assert await incoming.receive_some() == b"pushed"
            assert await incoming.receive_some() == b""
            with pytest.raises(trioquic.PeerClosedError):
                await conn.accept_stream()


@pytest.mark.parametrize("cause", [trioquic.IdleTimeoutError, trioquic.PeerClosedError])
async def test_closing_what_has_ended_does_not_hide_the_cause(
    autojump_clock: trio.testing.MockClock, cause: type[trioquic.ConnectionLostError]
) -> None:
    """A pool closes a connection that is over, and who still reads from it hears what ended it:
    after what had arrived."""
    async with phone_world() as world:
        async with dial(world, transport=TransportConfig(idle_timeout=5.0)) as conn:
            stream = await conn.open_stream()
            await stream.send_all(b"no request yet")
            await trio.sleep(0.5)
            server = server_side(world)
            server.quic.send_stream_data(stream.stream_id, b"half of the")
            server.flush()
            await trio.sleep(0.5)
            if cause is trioquic.PeerClosedError:
                server.quic.close(error_code=7)
                server.flush()
            else:
                world.wifi.link.blackhole()
            await conn.wait_closed()
            await conn.aclose()
            assert await stream.receive_some() == b"half of the"
            for call in calls_on(conn, stream):
                with pytest.raises(cause):
                    await call()
            assert isinstance(await conn.wait_closed(), cause)
            assert conn.closed
        assert open_sockets(world) == 0


async def test_what_comes_after_ones_own_close_is_no_cause(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The server closes, too, while this side waits for its data to be acknowledged."""
    async with phone_world() as world, dial(world) as conn:
        await conn.wait_handshake_confirmed()
        stream = await conn.open_stream()
        await stream.send_all(b"GET 1000\r\n")
        await stream.send_eof()
        server_side(world).quic.close(error_code=7)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(conn.aclose)
            await trio.testing.wait_all_tasks_blocked()
            server_side(world).flush()
        assert conn._driver.life.end is not None
        assert conn._driver.life.end.code == 7
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()
        with pytest.raises(trio.ClosedResourceError):
            conn.ping()


async def test_idle_timeout(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world, transport=TransportConfig(idle_timeout=5.0)) as conn:
            await conn.wait_handshake_confirmed()
            await trio.sleep(0.5)
            world.wifi.link.blackhole()
            start = trio.current_time()
            with pytest.raises(trioquic.IdleTimeoutError):
                await conn.accept_stream()
            assert 4.0 < trio.current_time() - start < 5.1
        assert open_sockets(world) == 0


async def test_no_path_is_left(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world, transport=TransportConfig(idle_timeout=5.0)) as conn:
            assert conn.active_path is not None
            await conn.active_path.aclose()
            assert conn.active_path is None
            assert open_sockets(world) == 0
            with pytest.raises(trioquic.NoPathError):
                await conn.accept_stream()


async def test_keep_alive_outlives_the_idle_timeout(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world(ServerOptions(idle_timeout=5.0)) as world:
        async with dial(world, transport=TransportConfig(keep_alive=2.0)) as conn:
            await trio.sleep(60)
            assert await get(conn, 1000)


async def test_leaving_delivers_finished_streams_first(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world(wifi={"rate": 2e6}) as world:
        async with dial(world) as conn:
            stream = await conn.open_send_stream()
            await stream.send_all(bytes(500_000))
            await stream.aclose()
            unfinished = await conn.open_send_stream()
            await unfinished.send_all(b"never ended")
            start = trio.current_time()
        # at 2 Mbit/s the data needs 2 s, and all of it arrived before the close
        assert 1.0 < trio.current_time() - start < 4.5
        assert open_sockets(world) == 0
        await trio.sleep(1)
        assert list(server_side(world).uploads) == [stream.stream_id]
        ended = server_side(world).terminated
        assert ended is not None
        assert ended.error_code == 0


@pytest.mark.parametrize("seconds", [0.0, 1.5])
async def test_draining_is_bounded(autojump_clock: trio.testing.MockClock, seconds: float) -> None:
    async with phone_world() as world:
        async with dial(world, transport=TransportConfig(drain_timeout=seconds)) as conn:
            stream = await conn.open_send_stream()
            world.wifi.link.blackhole()
            await stream.send_all(b"unheard")
            await stream.aclose()
            start = trio.current_time()
        assert trio.current_time() - start == pytest.approx(seconds, abs=0.01)
        assert open_sockets(world) == 0


async def test_leaving_by_an_exception_closes_at_once_with_one_datagram(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def block() -> None:
        async with dial(world) as conn:
            await conn.wait_handshake_confirmed()
            stream = await conn.open_send_stream()
            await stream.send_all(bytes(1_000_000))
            await stream.aclose()
            await trio.sleep(0.3)
            raise ValueError("out")

    async with phone_world() as world:
        with pytest.raises(ValueError, match="out"):
            await block()
        end = trio.current_time()
        assert open_sockets(world) == 0
        last = world.record.select(host="phone", since=end)
        assert len(last) == 1
        assert last[0].size < 100
        await trio.sleep(1)
        # nothing was sent later, and the server knows
        assert len(world.record.select(host="phone", since=end)) == 1
        assert server_side(world).terminated is not None


async def test_leaving_by_cancellation_closes_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        with trio.move_on_at(1.0):
            async with dial(world):
                await trio.sleep_forever()
        assert trio.current_time() == pytest.approx(1.0)
        assert open_sockets(world) == 0
        await trio.sleep(1)
        assert server_side(world).terminated is not None


async def test_leaving_normally_does_not_linger(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            await conn.wait_handshake_confirmed()
            await trio.sleep(1)
            start = trio.current_time()
        assert trio.current_time() == start
        assert open_sockets(world) == 0


async def test_a_cancelled_close_closes(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            world.wifi.link.blackhole()
            stream = await conn.open_send_stream()
            await stream.send_all(b"unheard")
            await stream.aclose()
            await trio.aclose_forcefully(conn)
            assert open_sockets(world) == 0
            with pytest.raises(trio.ClosedResourceError):
                await conn.open_stream()


async def test_two_tasks_close(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(conn.aclose, 5, "first")
                nursery.start_soon(conn.aclose, 5, "second")
            assert open_sockets(world) == 0


@pytest.mark.parametrize(
    ("code", "kind"), [(-1, ValueError), (1 << 62, ValueError), (1.5, TypeError)]
)
async def test_error_codes_are_checked(
    autojump_clock: trio.testing.MockClock, code: int, kind: type[Exception]
) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            stream = await conn.open_stream()
            with pytest.raises(kind):
                await conn.aclose(code)
            for call in (stream.reset, stream.stop):
                with pytest.raises(kind):
                    call(code)
            assert await get(conn, 100)


async def test_a_path_of_a_broken_connection_is_closed_without_a_word(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing is the clean-up of whoever has just been told of the bug."""

    def transmit(*_: object) -> None:
        raise ValueError("a bug")

    async with phone_world() as world:
        async with dial(world) as conn:
            await conn.wait_handshake_confirmed()
            path = await conn.add_path(interface="wwan0")
            with monkeypatch.context() as patch:
                patch.setattr(ClientConnection, "transmit", transmit)
                with pytest.raises(trioquic.InternalError):
                    conn.ping()
                await path.aclose()
            assert path.state is trioquic.PathState.ABANDONED
        assert open_sockets(world) == 0
