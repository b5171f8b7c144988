"""A simulated world with a phone that is about to connect, in one call."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import trioquic
from tests.sim_server import NAME, PORT, ServerConnection, ServerOptions
from tests.sim_world import World, simulated_world

ALPN = "hq-interop"


@asynccontextmanager
async def phone_world(options: ServerOptions | None = None, **more: Any) -> AsyncIterator[World]:
    """`simulated_world` with the phone as the current host."""
    async with simulated_world(options=options, **more) as world:
        with world.phone.as_current():
            yield world


def dial(
    world: World, host: str = NAME, port: int = PORT, *, alpn: Sequence[str] = (ALPN,), **more: Any
) -> AbstractAsyncContextManager[trioquic.Connection]:
    """`open_connection` to the world's server, trusting its CA unless `tls` says otherwise."""
    more.setdefault("tls", trioquic.TLSConfig(ca_data=world.server.options.credentials.ca_pem))
    # these tests move the connection by hand
    more.setdefault("migration", trioquic.MigrationPolicy(automatic=False))
    return trioquic.open_connection(host, port, alpn=alpn, **more)


def server_side(world: World) -> ServerConnection:
    """The server's end of the newest connection."""
    return world.server.connections[-1]


def open_sockets(world: World) -> int:
    """How many sockets the phone has."""
    return len(world.phone.open_sockets)


async def get(conn: trioquic.Connection, size: int) -> bytes:
    """Ask for `size` bytes of the server's pattern."""
    stream = await conn.open_stream()
    await stream.send_all(f"GET {size}\r\n".encode())
    await stream.send_eof()
    return b"".join([bytes(chunk) async for chunk in stream])
