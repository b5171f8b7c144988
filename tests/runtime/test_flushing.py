"""What is written in one turn of the scheduler leaves together."""

import trio
import trio.testing
from aioquic.quic.events import StreamReset

import trioquic

from .world import dial, phone_world, server_side

STREAMS = 100


async def sent_by(conn: trioquic.Connection, before: int) -> int:
    """Packets that left since there were `before`; the simulated network needs time, this none."""
    await trio.testing.wait_all_tasks_blocked()
    return conn.statistics().packets_sent - before


async def test_a_request_and_its_fin_are_one_packet(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world, dial(world) as conn:
        await trio.sleep(1)
        before = conn.statistics().packets_sent
        stream = await conn.open_stream()
        await stream.send_all(b"GET 10")
        await stream.send_eof()
        assert await sent_by(conn, before) == 1
        assert len(await stream.receive_some()) > 0


async def test_many_tasks_share_packets(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world, dial(world) as conn:
        await trio.sleep(1)

        async def ask() -> None:
            stream = await conn.open_stream()
            await stream.send_all(b"GET 10")
            await stream.send_eof()

        before = conn.statistics().packets_sent
        async with trio.open_nursery() as nursery:
            for _ in range(STREAMS):
                nursery.start_soon(ask)
        # about 12 bytes each
        assert await sent_by(conn, before) <= 3


async def test_what_was_said_before_a_close_is_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world:
        async with dial(world) as conn:
            stream = await conn.open_stream()
            await stream.send_all(b"begun")
            stream.reset(7)
        await trio.sleep(1)
        resets = [e.error_code for e in server_side(world).log if isinstance(e, StreamReset)]
        assert resets == [7]
