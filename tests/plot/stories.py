"""Connections over the simulated network that leave a trace worth a picture."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import trio
import trio.testing

import trioquic
from tests.runtime.world import dial, get, phone_world
from tests.sim_server import pattern
from tests.sim_world import SERVER, World

KIB = 1024
CUT_AT = 0.5
DOWNLOAD = 600_000
UPLOAD = 800_000


async def download(world: World, conn: trioquic.Connection) -> None:
    """Wi-Fi falls silent in the middle."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cut, world)
        assert await get(conn, DOWNLOAD) == pattern(DOWNLOAD)
    # so that the handover is a small part of it all
    await trio.sleep(4)


async def upload(world: World, conn: trioquic.Connection) -> None:
    """The same the other way."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cut, world)
        stream = await conn.open_stream()
        await stream.send_all(b"PUT\r\n" + bytes(UPLOAD))
        await stream.send_eof()
        assert len(await stream.receive_some()) == 64


async def wandering(world: World, conn: trioquic.Connection) -> None:
    """Moves by hand, more of them than are listed."""

    async def wander() -> None:
        await conn.wait_handshake_confirmed()
        for number in range(10):
            await trio.sleep(0.2)
            await conn.migrate(interface=("wwan0", "wlan0")[number % 2])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wander)
        await get(conn, 2 * DOWNLOAD)


async def quiet(world: World, conn: trioquic.Connection) -> None:
    """Nothing happens."""
    await conn.wait_handshake_confirmed()


async def cut(world: World) -> None:
    """Cut Wi-Fi without a word."""
    await trio.sleep(CUT_AT)
    world.wifi.link.blackhole()


Story = Callable[[World, trioquic.Connection], Awaitable[None]]
STORIES: tuple[Story, ...] = (download, upload, wandering, quiet)


def tell(story: Story, directory: Path, limit: int = 64 * KIB * KIB) -> Path:
    """Let it happen; the trace of it."""
    directory.mkdir()

    async def main() -> None:
        async with (
            phone_world() as world,
            dial(
                world,
                SERVER,
                transport=trioquic.TransportConfig(qlog_dir=directory, qlog_limit=limit),
                migration=trioquic.MigrationPolicy(automatic=story is not wandering),
                networks=world.phone,
            ) as conn,
        ):
            await story(world, conn)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    (file,) = directory.iterdir()
    return file
