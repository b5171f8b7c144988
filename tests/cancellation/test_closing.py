"""Cancelled while a connection is closed: it closes all the same, at once, with one datagram."""

import hashlib

import pytest
import trio
import trio.testing
from aioquic.quic.packet import QuicTransportParameters

import trioquic
from tests.runtime.world import ALPN, dial, get
from tests.sim_server import NAME, PORT, ServerOptions, pattern
from tests.sim_world import SERVER

from .harness import BY_HAND, Bench, Cut, bench, sweep

SIZE = 6000
WHOLE = hashlib.sha256(pattern(SIZE)).hexdigest()


async def connect(nursery: trio.Nursery, b: Bench) -> trioquic.Connection:
    tls = trioquic.TLSConfig(ca_data=b.world.server.options.credentials.ca_pem)
    # With one way to go, which was named, its task has no nursery to leave after the connection's.
    return await trioquic.connect(
        nursery,
        SERVER,
        PORT,
        alpn=[ALPN],
        server_name=NAME,
        tls=tls,
        migration=BY_HAND,
        interface="wlan0",
    )


async def upload(conn: trioquic.Connection) -> int:
    """Data to be drained, more than the first flight holds."""
    out = await conn.open_send_stream()
    await out.send_all(pattern(SIZE))
    await out.aclose()
    return out.stream_id


async def test_the_drain_of_a_normal_exit(autojump_clock: trio.testing.MockClock) -> None:
    async def case(cut: Cut) -> None:
        async with bench() as b:
            with cut.later():
                async with dial(b.world) as conn:
                    stream_id = await upload(conn)
                    cut.arm()
            if cut.caught:
                assert trio.current_time() == cut.time
            await b.nothing_left()
            if not cut.fired:
                assert b.server.uploads == {stream_id: WHOLE}

    await sweep(case, least=15)


async def test_aclose(autojump_clock: trio.testing.MockClock) -> None:
    """In a nursery of the caller's, which goes on; and nobody else can use what is closing."""

    async def case(cut: Cut) -> None:
        async with bench() as b, trio.open_nursery() as nursery:
            conn = await connect(nursery, b)
            stream_id = await upload(conn)
            with cut:
                await conn.aclose(7, "enough")
            assert trio.current_time() <= cut.time
            assert not nursery.child_tasks
            assert conn.paths == ()
            for operation in (conn.open_stream, conn.accept_stream, conn.wait_handshake_confirmed):
                with pytest.raises(trio.ClosedResourceError):
                    await operation()
            await conn.aclose()
            await b.nothing_left(7)
            if not cut.fired:
                assert b.server.uploads == {stream_id: WHOLE}
                assert b.server.terminated is not None
                assert b.server.terminated.reason_phrase == "enough"

    await sweep(case, least=15)


async def close(conn: trioquic.Connection) -> None:
    await conn.aclose()


async def test_two_tasks_close(autojump_clock: trio.testing.MockClock) -> None:
    """The second one does not cut the first one's drain short, unless it is cancelled."""

    async def case(cut: Cut) -> None:
        async with bench() as b, trio.open_nursery() as nursery:
            conn = await connect(nursery, b)
            stream_id = await upload(conn)
            async with trio.open_nursery() as closers:
                closers.start_soon(close, conn)
                with cut:
                    await conn.aclose()
                b.nothing_open()
            await b.nothing_left()
            if not cut.fired:
                assert b.server.uploads == {stream_id: WHOLE}

    await sweep(case, least=15)


async def test_the_nursery_is_cancelled_while_another_task_closes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Nothing is left to drain through then, and the closing task need not wait."""

    async def case(cut: Cut) -> None:
        async with bench() as b, trio.open_nursery() as closers:
            async with trio.open_nursery() as nursery:
                conn = await connect(nursery, b)
                await upload(conn)
                cut.action = nursery.cancel_scope.cancel
                with cut:
                    closers.start_soon(close, conn)
                    await trio.sleep(1)
            if cut.fired:
                assert trio.current_time() == cut.time
            await trio.testing.wait_all_tasks_blocked()
            assert not closers.child_tasks
            await b.nothing_left()

    await sweep(case, least=15)


async def test_a_drain_in_vain(autojump_clock: trio.testing.MockClock) -> None:
    """Nobody answers any more; the drain has its end, or is cancelled."""

    async def case(cut: Cut) -> None:
        async with bench() as b:
            transport = trioquic.TransportConfig(drain_timeout=0.5)
            with cut.later():
                async with dial(b.world, transport=transport) as conn:
                    b.world.wifi.link.blackhole()
                    await upload(conn)
                    begun = trio.current_time()
                    cut.arm()
            assert trio.current_time() <= min(cut.time, begun + 0.5)
            b.nothing_open()

    await sweep(case, least=8)


async def test_blocked_streams_do_not_hold_up_a_close(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A finished stream that the server gives no credit for is drained in vain as well."""

    def no_credit(parameters: QuicTransportParameters) -> None:
        parameters.initial_max_stream_data_uni = 100

    async with bench(ServerOptions(parameters=no_credit)) as b:
        transport = trioquic.TransportConfig(drain_timeout=0.5)
        async with dial(b.world, transport=transport) as conn:
            assert await get(conn, 100) == pattern(100)
            await conn.wait_handshake_confirmed()
            await upload(conn)
            begun = trio.current_time()
        assert trio.current_time() <= begun + 0.5
        assert b.server.uploads == {}
        b.nothing_open()


async def test_leaving_the_block_raises_no_group(autojump_clock: trio.testing.MockClock) -> None:
    """Whether it is the task that leaves or those of the hidden nursery that are cancelled."""

    raised: set[type[BaseException]] = set()

    async def case(cut: Cut) -> None:
        async with bench() as b:
            with cut.later():
                try:
                    async with dial(b.world) as conn:
                        out = await conn.open_send_stream()
                        await out.send_all(bytes(20_000))
                        cut.arm()
                except BaseException as error:
                    raised.add(type(error))
                    raise
            await b.nothing_left()

    await sweep(case, least=8)
    assert raised == {trio.Cancelled}
