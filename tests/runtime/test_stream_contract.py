"""Streams keep trio's contract: trio's own checks, unmodified, over real connections."""

import pytest
import trio.testing

import trioquic

from .switchboard import (
    Settle,
    clog,
    loopback_switchboard,
    one_way,
    settle_in_real_time,
    settle_in_virtual_time,
    simulated_switchboard,
    tied_streams,
)


async def check_bidirectional(conn: trioquic.Connection, settle: Settle) -> None:
    async def make() -> tuple[trioquic.Stream, trioquic.Stream]:
        return await tied_streams(conn)

    async def make_clogged() -> tuple[trioquic.Stream, trioquic.Stream]:
        first, second = await tied_streams(conn)
        await clog(first, settle)
        await clog(second, settle)
        return first, second

    await trio.testing.check_half_closeable_stream(make, make_clogged)


async def check_unidirectional(conn: trioquic.Connection, settle: Settle) -> None:
    async def make() -> tuple[trioquic.SendStream, trioquic.ReceiveStream]:
        return await one_way(conn)

    async def make_clogged() -> tuple[trioquic.SendStream, trioquic.ReceiveStream]:
        sender, receiver = await one_way(conn)
        await clog(sender, settle)
        return sender, receiver

    await trio.testing.check_one_way_stream(make, make_clogged)


async def test_half_closeable_over_the_simulated_network(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with simulated_switchboard() as conn:
        await check_bidirectional(conn, settle_in_virtual_time)


async def test_one_way_over_the_simulated_network(autojump_clock: trio.testing.MockClock) -> None:
    async with simulated_switchboard() as conn:
        await check_unidirectional(conn, settle_in_virtual_time)


# takes twenty seconds, as trio's checks let everything settle again and again
@pytest.mark.series
async def test_half_closeable_over_loopback() -> None:
    async with loopback_switchboard() as conn:
        await check_bidirectional(conn, settle_in_real_time)


async def test_one_way_over_loopback() -> None:
    async with loopback_switchboard() as conn:
        await check_unidirectional(conn, settle_in_real_time)
