"""Streams beyond trio's contract: resets, stops, credit, priorities, streams of the server."""

from typing import Any

import pytest
import trio
import trio.testing
from aioquic.quic.events import StopSendingReceived, StreamReset

import trioquic
from tests.sim_server import ServerOptions, pattern
from tests.sim_world import World
from trioquic import TransportConfig

from .world import dial, get, phone_world, server_side


def codes(world: World, kind: type[StreamReset] | type[StopSendingReceived]) -> list[Any]:
    """Stream number and error code of each event of that kind at the server."""
    return [(e.stream_id, e.error_code) for e in server_side(world).log if isinstance(e, kind)]


async def test_a_reset_of_the_peer(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            stream = await conn.open_stream()
            await stream.send_all(b"nonsense")
            await stream.send_eof()
            errors = []
            for _ in range(2):
                with pytest.raises(trioquic.StreamResetError) as caught:
                    await stream.receive_some()
                errors.append(caught.value)
                assert caught.value.error_code == 1
            assert errors[0] is not errors[1]
            await stream.aclose()
            assert await get(conn, 100)


async def test_what_is_there_can_be_seen(autojump_clock: trio.testing.MockClock) -> None:
    """Bytes, the end and a reset, until they are taken; nothing once it is closed. That there were
    bytes or an end is remembered."""
    async with phone_world() as world:
        async with dial(world) as conn:
            server = server_side(world)
            for content, ends in ((b"", True), (b"some", False)):
                stream = await conn.open_stream()
                await stream.send_all(b"G")
                assert not stream.readable
                await trio.sleep(1)
                assert not stream.readable
                assert not stream.begun
                server.quic.send_stream_data(stream.stream_id, content, ends)
                server.flush()
                await trio.sleep(1)
                assert stream.readable
                assert await stream.receive_some() == content
                assert stream.readable == ends
                assert stream.begun
                await stream.aclose()
                assert not stream.readable
                assert stream.begun
            stream = await conn.open_stream()
            await stream.send_all(b"G")
            await trio.sleep(1)
            server.quic.reset_stream(stream.stream_id, 7)
            server.flush()
            await trio.sleep(1)
            assert stream.readable
            assert not stream.begun
            with pytest.raises(trioquic.StreamResetError):
                await stream.receive_some()
            assert not stream.begun


@pytest.mark.parametrize("dropped", [False, True])
async def test_what_lies_behind_a_gap_was_sent(
    autojump_clock: trio.testing.MockClock, dropped: bool
) -> None:
    """There is nothing to read, be it for now or, after a reset, for ever."""
    async with phone_world() as world:
        async with dial(world) as conn:
            stream = await conn.open_stream()
            await stream.send_all(b"G")
            await trio.sleep(1)
            server = server_side(world)
            world.wifi.link.inbound.change(loss=1.0)
            server.quic.send_stream_data(stream.stream_id, b"lost")
            server.flush()
            await trio.sleep(0.005)
            world.wifi.link.inbound.change(loss=0.0)
            server.quic.send_stream_data(stream.stream_id, b", and found")
            server.flush()
            for _ in range(100):
                if not stream.begun:
                    await trio.sleep(0.001)
            assert stream.begun
            assert not stream.readable
            if dropped:
                server.quic.reset_stream(stream.stream_id, 7)
                server.flush()
                with pytest.raises(trioquic.StreamResetError):
                    await stream.receive_some()
                assert stream.begun
            else:
                assert await stream.receive_some() == b"lost, and found"


async def test_ones_own_reset(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            stream = await conn.open_stream()
            await stream.send_all(b"GET ")
            stream.reset(0x99)
            with pytest.raises(trio.ClosedResourceError):
                await stream.send_all(b"x")
            await trio.sleep(1)
            assert codes(world, StreamReset) == [(stream.stream_id, 0x99)]
            # the other direction is not concerned
            server_side(world).quic.send_stream_data(stream.stream_id, b"still", True)
            server_side(world).flush()
            assert await stream.receive_some() == b"still"
            assert await stream.receive_some() == b""


async def test_a_reset_wakes_the_sender(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            stream = await conn.open_send_stream()
            world.wifi.link.blackhole()

            async def send() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await stream.send_all(bytes(10_000_000))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                await trio.testing.wait_all_tasks_blocked()
                stream.reset(1)


async def test_the_peer_stops_reading(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            stream = await conn.open_send_stream()
            await stream.send_all(b"PUT")
            await trio.sleep(1)
            server_side(world).quic.stop_stream(stream.stream_id, 0x55)
            server_side(world).flush()
            await trio.sleep(1)
            for call in (stream.send_all(b"x"), stream.wait_send_all_might_not_block()):
                with pytest.raises(trioquic.StopSendingError) as caught:
                    await call
                assert caught.value.error_code == 0x55
            await stream.aclose()


async def test_ones_own_stop(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            stream = await conn.open_stream()
            await stream.send_all(b"GET 10000000\r\n")
            await stream.send_eof()
            assert await stream.receive_some()
            stream.stop(0x44)
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()
            await trio.sleep(1)
            assert codes(world, StopSendingReceived) == [(stream.stream_id, 0x44)]
            assert await get(conn, 100_000)


async def test_a_cancelled_close_resets(autojump_clock: trio.testing.MockClock) -> None:
    """A peer must not take half of the data for all of it."""
    async with phone_world() as world:
        async with dial(world) as conn:
            stream = await conn.open_send_stream()
            await stream.send_all(b"half")
            await trio.aclose_forcefully(stream)
            finished = await conn.open_stream()
            await finished.send_all(b"GET 10\r\n")
            await finished.send_eof()
            await trio.aclose_forcefully(finished)
            await trio.sleep(1)
            assert codes(world, StreamReset) == [(stream.stream_id, 0)]
            assert not server_side(world).uploads


async def test_streams_of_the_server(autojump_clock: trio.testing.MockClock) -> None:
    accepted: list[trioquic.Stream | trioquic.ReceiveStream] = []

    async def accept(conn: trioquic.Connection) -> None:
        accepted.append(await conn.accept_stream())

    async with phone_world() as world:
        async with dial(world) as conn:
            await conn.wait_handshake_confirmed()
            quic = server_side(world).quic
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(accept, conn)
                await trio.testing.wait_all_tasks_blocked()
                for one_way in (True, False):
                    number = quic.get_next_available_stream_id(is_unidirectional=one_way)
                    quic.send_stream_data(number, b"hello", end_stream=True)
                server_side(world).flush()
            kinds = {type(stream): stream for stream in accepted}
            assert set(kinds) == {trioquic.Stream, trioquic.ReceiveStream}
            for stream in accepted:
                assert await stream.receive_some() == b"hello"
                assert await stream.receive_some() == b""
            both = kinds[trioquic.Stream]
            assert isinstance(both, trioquic.Stream)
            await both.send_all(b"answer")
            await both.aclose()


async def test_a_cancelled_accept_loses_no_stream(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            await conn.wait_handshake_confirmed()
            with trio.move_on_after(1):
                await conn.accept_stream()
            quic = server_side(world).quic
            number = quic.get_next_available_stream_id(is_unidirectional=True)
            quic.send_stream_data(number, b"x", end_stream=True)
            server_side(world).flush()
            await trio.sleep(1)
            with trio.CancelScope() as scope:
                scope.cancel()
                await conn.accept_stream()
            assert (await conn.accept_stream()).stream_id == number


async def test_opening_waits_for_credit(autojump_clock: trio.testing.MockClock) -> None:
    def few(parameters: object) -> None:
        vars(parameters)["initial_max_streams_bidi"] = 2

    async with phone_world(ServerOptions(parameters=few)) as world:
        async with dial(world) as conn:
            assert conn.available_streams == 2
            first = await conn.open_stream()
            assert conn.available_streams == 1
            second = await conn.open_stream()
            assert conn.available_streams == 0
            for stream in (first, second):
                await stream.send_all(b"here I am")
            with trio.move_on_after(1) as scope:
                await conn.open_stream()
            assert scope.cancelled_caught
            opened: list[int] = []

            async def open_more() -> None:
                opened.append((await conn.open_stream()).stream_id)

            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(open_more)
                await trio.testing.wait_all_tasks_blocked()
                assert not opened
                limit = server_side(world).quic._local_max_streams_bidi
                limit.sent, limit.value = 2, 4
                server_side(world).quic.send_ping(1)
                server_side(world).flush()
            assert sorted(opened) == [8, 12]
            assert (first.stream_id, second.stream_id) == (0, 4)
            assert conn.available_streams == 0
            with trio.move_on_after(1) as scope:
                await conn.wait_open_stream_might_not_block()
            assert scope.cancelled_caught
            limit.value = 7
            server_side(world).quic.send_ping(2)
            server_side(world).flush()
            for _ in range(2):
                await conn.wait_open_stream_might_not_block()
                assert conn.available_streams == 3
        assert conn.available_streams == 0


async def test_opening_send_streams_waits_for_credit(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def few(parameters: object) -> None:
        vars(parameters)["initial_max_streams_uni"] = 2

    async with phone_world(ServerOptions(parameters=few)) as world:
        async with dial(world) as conn:
            await conn.wait_open_send_stream_might_not_block()
            for left in (2, 1):
                assert conn.available_send_streams == left
                await (await conn.open_send_stream()).send_all(b"here I am")
            assert conn.available_send_streams == 0 < conn.available_streams
            opened = trio.Event()

            async def wait() -> None:
                await conn.wait_open_send_stream_might_not_block()
                assert conn.available_send_streams == 3
                opened.set()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                assert not opened.is_set()
                limit = server_side(world).quic._local_max_streams_uni
                limit.sent, limit.value = 2, 5
                server_side(world).quic.send_ping(1)
                server_side(world).flush()
        assert opened.is_set()
        assert conn.available_send_streams == 0


async def test_who_waits_for_a_stream_keeps_the_connection_until_cancelled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def none(parameters: object) -> None:
        vars(parameters)["initial_max_streams_uni"] = 0

    async with phone_world(ServerOptions(parameters=none)) as world:
        transport = TransportConfig(idle_timeout=10)
        async with dial(world, transport=transport) as conn:
            for _ in range(2):
                with trio.move_on_after(30) as scope:
                    await conn.open_send_stream()
                assert scope.cancelled_caught
            assert not conn.closed
            # nobody waits any more, and nobody goes on reminding the server
            with trio.fail_after(15):
                await conn.wait_closed()


async def test_many_streams_in_turn(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            sizes = range(0, 6000, 37)
            done: list[int] = []

            async def ask(size: int) -> None:
                assert await get(conn, size) == pattern(size)
                done.append(size)

            async with trio.open_nursery() as nursery:
                for size in sizes:
                    nursery.start_soon(ask, size)
            assert sorted(done) == list(sizes)


async def test_sending_is_bounded_by_the_buffer(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        transport = TransportConfig(send_buffer=10_000)
        async with dial(world, transport=transport) as conn:
            stream = await conn.open_stream()
            world.wifi.link.blackhole()
            with trio.move_on_after(1) as scope:
                await stream.send_all(bytes(10_001))
            assert scope.cancelled_caught
            world.wifi.link.restore()
            await stream.wait_send_all_might_not_block()


async def test_priorities(autojump_clock: trio.testing.MockClock) -> None:
    """The urgent stream's upload is complete first, although it began later."""
    async with phone_world() as world:
        async with dial(world) as conn:
            slow = await conn.open_send_stream()
            fast = await conn.open_send_stream()
            slow.set_priority(6)
            fast.set_priority(1, incremental=True)
            for stream in (slow, fast):
                await stream.send_all(bytes(800_000))
                await stream.send_all(b"")
                await stream.aclose()
            for urgency in (-1, 8):
                with pytest.raises(ValueError, match="urgency"):
                    slow.set_priority(urgency)
        # in the order of their completion
        assert list(server_side(world).uploads) == [fast.stream_id, slow.stream_id]


async def test_key_updates(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            assert not conn.update_keys()
            await conn.wait_handshake_confirmed()
            assert await get(conn, 10_000)
            assert conn.update_keys()
            assert not conn.update_keys()
            assert await get(conn, 100_000) == pattern(100_000)
            server_side(world).quic.request_key_update()
            server_side(world).flush()
            assert await get(conn, 100_000) == pattern(100_000)
            assert conn.statistics().key_updates == 2
