"""A phone with Wi-Fi and cellular, and a connection over Wi-Fi with its supervisor."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

import trioquic
from tests.sim_server import PORT, ServerOptions, pattern
from tests.sim_world import SERVER, World, shared_ids, simulated_world

CELLULAR_RTT = 0.08


@dataclass(kw_only=True)
class Phone:
    """The world, the connection, and what was heard of its paths."""

    world: World
    conn: trioquic.Connection
    events: list[tuple[float, trioquic.PathEvent]] = field(default_factory=list)
    news: trio.Event = field(default_factory=trio.Event)

    def heard(self, kind: type[trioquic.PathEvent]) -> list[Any]:
        """The events of one kind."""
        return [event for _, event in self.events if isinstance(event, kind)]

    def first(self, kind: type[trioquic.PathEvent], since: float = 0.0) -> float:
        """When the first event of a kind was heard."""
        return next(at for at, event in self.events if isinstance(event, kind) and at >= since)

    async def until(self, kind: type[trioquic.PathEvent], count: int = 1) -> None:
        """Wait for events of a kind."""
        while len(self.heard(kind)) < count:
            await self.news.wait()

    async def download(self, size: int, *, wait: float = 0.0) -> float:
        """Get `size` bytes, check them, return the longest pause between two pieces."""
        stream = await self.conn.open_stream()
        command = f"WAIT {wait} {size}" if wait else f"GET {size}"
        await stream.send_all(f"{command}\r\n".encode())
        await stream.send_eof()
        content = bytearray()
        last = trio.current_time()
        longest = 0.0
        async for chunk in stream:
            longest = max(longest, trio.current_time() - last)
            last = trio.current_time()
            content += chunk
        assert content == pattern(size)
        return longest


@asynccontextmanager
async def phone(
    seed: int = 1,
    *,
    options: ServerOptions | None = None,
    policy: trioquic.MigrationPolicy | None = None,
    server: str = SERVER,
    networks: trioquic.NetworkSource | None = None,
    prepare: Callable[[World], object] = lambda world: None,
    ipv6: bool = False,
    **connection: Any,
) -> AsyncIterator[Phone]:
    """Connected over Wi-Fi; at the end no connection ID was used on two paths.

    `prepare` may change the world before the phone connects to `server`; `ipv6`: everybody has
    that, too."""
    async with simulated_world(seed, options=options, ipv6=ipv6 or ":" in server) as world:
        prepare(world)
        with world.phone.as_current():
            async with (
                trioquic.open_connection(
                    server,
                    PORT,
                    alpn=(options or ServerOptions()).alpn,
                    tls=trioquic.TLSConfig(verify=False),
                    networks=networks or world.phone,
                    interface="wlan0",
                    migration=policy or trioquic.MigrationPolicy(),
                    **connection,
                ) as conn,
                conn.path_events() as channel,
                trio.open_nursery() as nursery,
            ):
                here = Phone(world=world, conn=conn)

                async def listen() -> None:
                    async for event in channel:
                        here.events.append((trio.current_time(), event))
                        here.news.set()
                        here.news = trio.Event()

                nursery.start_soon(listen)
                await conn.wait_handshake_confirmed()
                yield here
                nursery.cancel_scope.cancel()
        assert shared_ids(world.record.select(host="phone")) == {}
