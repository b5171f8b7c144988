"""One connection of a client's pool, without a network below it."""

import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.uncollected import uncollected
from trioquic import InternalError, QuicError
from trioquic.http3.client.connection import PooledConnection
from trioquic.http3.client.discovery import Endpoint
from trioquic.http3.url import Origin

PLACE = Endpoint(
    origin=Origin("example.org", 443), host="example.org", port=443, server_name="example.org"
)


def connection_of(changed: Callable[[PooledConnection], None]) -> PooledConnection:
    return PooledConnection(PLACE, changed, early_data=False)


class Carried:
    """A QUIC connection, and HTTP/3 on it, to a server that allows streams whenever it is asked."""

    handshake_complete = True
    closed = False

    def __init__(self) -> None:
        self.quic = self
        self.ended = trio.Event()
        self.doubtful = trio.Event()

    async def wait_open_stream_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def wait_unhealthy(self) -> None:
        await self.doubtful.wait()

    async def wait_healthy(self) -> None:
        await trio.sleep_forever()

    async def wait_closed(self) -> None:
        await self.ended.wait()

    @asynccontextmanager
    async def opened(self, connection: PooledConnection) -> AsyncIterator[Any]:
        yield self


async def test_one_that_is_dropped_is_freed_at_once() -> None:
    """Without the garbage collector."""
    with uncollected():
        connection = connection_of(lambda changed: None)
        dropped = weakref.ref(connection)
        with connection.while_good():
            await trio.lowlevel.checkpoint()
        del connection
        assert dropped() is None

        carried = Carried()
        carried.ended.set()
        connection = connection_of(lambda changed: None)
        await connection.run(carried.opened)
        dropped = weakref.ref(connection)
        del connection
        assert dropped() is None


async def test_one_that_failed_is_freed_at_once() -> None:
    """Without the garbage collector: its error refers to no frame of its own."""

    @asynccontextmanager
    async def opened(connection: PooledConnection) -> AsyncIterator[Any]:
        await trio.lowlevel.checkpoint()
        raise QuicError("no connection")
        yield

    with uncollected():
        connection = connection_of(lambda changed: None)
        await connection.run(opened)
        assert isinstance(connection.error, QuicError)
        dropped = weakref.ref(connection)
        del connection
        assert dropped() is None


@pytest.mark.parametrize("news", ["room", "doubt"])
async def test_what_the_pool_raises_is_not_taken_for_the_end_of_the_connection(news: str) -> None:
    told: list[bool] = []

    def changed(connection: PooledConnection) -> None:
        # when it is ready, at the news, and at its end
        told.append(connection.over)
        if len(told) == 2:
            raise QuicError("of the pool")

    connection = connection_of(changed)
    carried = Carried()
    if news == "room":
        connection.want_room()
    else:
        carried.doubtful.set()
    with trio.fail_after(5):
        await connection.run(carried.opened)
    assert isinstance(connection.error, InternalError)
    assert told == [False, False, True]
