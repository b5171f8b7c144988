"""What goes over a connection, on loopback: files both ways, many requests, new keys, moves."""

from contextlib import aclosing
from random import Random
from typing import Final

import trio

import trioquic
from examples.world import child
from tests.servers.place import Wish
from tests.servers.process import free_port

from .bench import HOST, Bench, Talk
from .outcome import Lacking

MEGABYTE: Final = 1_000_000
_REQUESTS: Final = 200
_AT_ONCE: Final = 50
_MOVES: Final = 10
_UPDATES: Final = 3
# The most that a download may stand still before it counts as stuck
_STANDSTILL: Final = 15.0


async def down(bench: Bench) -> str:
    """50 MB in one response."""
    name, content = bench.file(50 * MEGABYTE)
    async with bench.serving() as site, site.talk() as talk:
        assert await talk.get(name) == content
    return ""


async def up(bench: Bench) -> str:
    """20 MB in one request."""
    async with bench.serving() as site, site.talk() as talk:
        return await talk.put(Random(1).randbytes(20 * MEGABYTE))


async def requests(bench: Bench) -> str:
    """200 small ones on one connection, 50 at once."""
    name, content = bench.file(1000)
    right: list[bool] = []
    limit = trio.CapacityLimiter(_AT_ONCE)
    async with bench.serving() as site, site.talk() as talk:

        async def one() -> None:
            async with limit:
                right.append(await talk.get(name) == content)

        async with trio.open_nursery() as nursery:
            for _ in range(_REQUESTS):
                nursery.start_soon(one)
    assert right == [True] * _REQUESTS
    return ""


async def key_update(bench: Bench) -> str:
    """Three, each during a download."""
    name, content = bench.file(MEGABYTE)
    async with bench.serving() as site, site.talk() as talk:
        await talk.conn.wait_handshake_confirmed()
        updates = 0
        while updates < _UPDATES:
            received = bytearray()
            started = False
            async for piece in talk.pieces(name):
                received += piece
                # refused while the keys before the last update are still kept, for 3 PTO
                if not started and talk.conn.update_keys():
                    started = True
                    updates += 1
            assert received == content
        # some servers begin updates of their own
        assert talk.conn.statistics().key_updates >= updates
    return ""


async def moves(bench: Bench) -> str:
    """Ten in one download, each to another port and address of ours."""
    name, content = bench.file(22 * MEGABYTE)
    done = 0
    failures: list[str] = []
    async with bench.serving() as site, site.talk(local=HOST) as talk:
        await talk.conn.wait_handshake_confirmed()
        received = bytearray()
        async for piece in talk.pieces(name):
            received += piece
            attempts = done + len(failures)
            if attempts < _MOVES and len(received) > (attempts + 1) * 2 * MEGABYTE:
                try:
                    await talk.conn.migrate(local=f"127.0.0.{2 + attempts % 3}")
                    done += 1
                except trioquic.PathError as error:
                    failures.append(type(error).__name__)
        assert received == content
    if not done and set(failures) == {"MigrationNotAllowedError"}:
        text = "it forbids migration: `MigrationNotAllowedError`"
        raise Lacking(f"{text}, and the download goes on where it is")
    assert not failures, f"{done} of {_MOVES} moves; then {failures[0]}; the download is complete"
    return ""


async def _read(talk: Talk, name: str, reached: int, happen: trio.Event) -> tuple[bytes, float]:
    """A download in which something happens at a size: its bytes, and how long it stood still."""
    received = bytearray()
    longest, last = 0.0, trio.current_time()
    async with aclosing(talk.pieces(name)) as pieces:
        while True:
            with trio.fail_after(_STANDSTILL):
                piece = await anext(pieces, None)
            if piece is None:
                return bytes(received), longest
            received += piece
            longest, last = max(longest, trio.current_time() - last), trio.current_time()
            if len(received) > reached:
                happen.set()


async def rebinding(bench: Bench) -> str:
    """A NAT gives the connection another port in the middle of a download."""
    name, content = bench.file(5 * MEGABYTE)
    async with bench.serving() as site:
        words = [f"--target={HOST}:{site.server.port}", f"--link={HOST}=50:10"]
        async with (
            child("examples.relay", words) as nat,
            site.talk(local=HOST, port=nat.port) as talk,
            trio.open_nursery() as nursery,
        ):
            there = trio.Event()

            async def rebind() -> None:
                await there.wait()
                await nat.say(f"rebind {HOST}")

            nursery.start_soon(rebind)
            try:
                got, pause = await _read(talk, name, MEGABYTE, there)
            except trio.TooSlowError:
                health = talk.conn.health.state.value
                text = f"nothing came for {_STANDSTILL:.0f} s; the connection's health is {health}"
                raise AssertionError(text) from None
            assert got == content
            return f"stood still for {pause * 1000:.0f} ms at most"


async def preferred(bench: Bench) -> str:
    """The connection moves to the address that the server prefers."""
    name, content = bench.file(MEGABYTE)
    wish = Wish(preferred=("127.0.0.2", free_port("127.0.0.2")))
    async with bench.serving(wish) as site, site.talk(local=HOST) as talk:
        async with talk.conn.path_events() as events:
            with trio.fail_after(5):
                while (path := talk.conn.active_path) is None or path.remote != wish.preferred:
                    await events.receive()
        assert await talk.get(name) == content
    return ""
