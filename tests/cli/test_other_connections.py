"""Downloads whose connection cannot be saved by moving it, in the simulator: another one is opened
as soon as that is known, and goes on where the first one was."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
import trioquic.testing
from tests.sim_server import PORT, credentials, pattern
from tests.sim_world import SERVER
from trioquic.cli import failures
from trioquic.cli.connections import Connections
from trioquic.cli.transfer import Job, Transfer
from trioquic.http3.client.settings import Settings
from trioquic.http3.url import parse_url

from .test_downloads import CUT_AT, SIZE, STRONG, Memory, Web, web

Clock = trio.testing.MockClock
ORIGIN = f"https://{SERVER}:{PORT}"
NAMED = [[], ["wlan0", "wwan0"]]


class Watched(Memory):
    """Remembers the longest time without content."""

    def __init__(self, on_cut: Callable[[], object]) -> None:
        super().__init__(on_cut)
        self.longest = 0.0
        self._last: float | None = None

    def _write(self, block: bytes) -> None:
        now = trio.current_time()
        if self._last is not None:
            self.longest = max(self.longest, now - self._last)
        self._last = now
        super()._write(block)


@asynccontextmanager
async def later(seconds: float, act: Callable[[], object]) -> AsyncIterator[Callable[[], None]]:
    """What is to be called for `act` to be called that much later."""
    asked = trio.Event()

    async def wait() -> None:
        await asked.wait()
        await trio.sleep(seconds)
        act()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        yield asked.set
        nursery.cancel_scope.cancel()


def forget(here: Web) -> None:
    """The server's memory is gone, as after a restart, and with it the keys of its resets."""
    connection = here.world.server.connections[-1]
    connection.server.forget(connection)


async def done(here: Web, sink: Memory, **more: Any) -> dict[str, Any]:
    """The summary of a download that came to its end."""
    job, connections = await here.fetch("/file", sink, **more)
    assert job.error is None
    assert sink.content == pattern(SIZE)
    assert sink.finished
    return {**job.summary(), "connections": connections}


@pytest.mark.parametrize("named", NAMED)
async def test_a_server_that_forbids_migration_and_an_interface_that_goes(
    autojump_clock: Clock, named: list[str]
) -> None:
    async with web(disable_active_migration=True) as here:
        sink = Watched(lambda: here.world.wifi.down())
        job = await done(here, sink, only=named)
        assert (job["resumed"], job["restarted"]) == (1, 0)
        assert len(job["connections"]) == 2
        # a handshake and a request over cellular
        assert sink.longest < 0.5
        second = here.servers[1].asked[0]
        assert second[b"if-range"] == STRONG
        assert int(second[b"range"].removeprefix(b"bytes=").removesuffix(b"-")) >= CUT_AT
        assert not any("no network" in line for line in here.shown.lines)


@pytest.mark.parametrize("named", NAMED)
async def test_a_server_that_forbids_migration_and_a_network_that_dies_in_silence(
    autojump_clock: Clock, named: list[str]
) -> None:
    async with web(disable_active_migration=True) as here:
        sink = Watched(lambda: here.world.wifi.link.blackhole())
        job = await done(here, sink, only=named)
        assert (job["resumed"], job["restarted"]) == (1, 0)
        assert sink.longest < 2.0
        assert [f"content paused for {sink.longest * 1000:.0f} ms"] == [
            line for line in here.shown.lines if "paused" in line
        ]


async def test_all_downloads_of_a_server_go_on_over_one_new_connection(
    autojump_clock: Clock,
) -> None:
    async with web(disable_active_migration=True) as here:
        sink = Memory(lambda: here.world.wifi.link.blackhole())
        job, connections = await here.fetch("/file", sink, copies=3)
        assert job.error is None
        assert sink.content == pattern(SIZE)
        assert len(connections) == len(here.servers) == 2
        assert len(here.servers[1].asked) <= 3


async def test_a_server_that_was_started_again(autojump_clock: Clock) -> None:
    """It knows nothing of the connection, and the network is as it was."""
    async with web() as here:
        sink = Watched(lambda: forget(here))
        job = await done(here, sink)
        assert (job["resumed"], job["restarted"]) == (1, 0)
        assert sink.longest < 2.0


@pytest.mark.parametrize("seconds", [0.4, 2.0, 7.0, 50.0])
async def test_nothing_passes_for_a_while(autojump_clock: Clock, seconds: float) -> None:
    """The first connection or one of the second ones goes on soon after, whatever the back-off."""
    async with web() as here:
        world = here.world

        def restore() -> None:
            world.wifi.link.restore()
            world.cellular.link.restore()

        async with later(seconds, restore) as begin:

            def silence() -> None:
                world.wifi.link.blackhole()
                world.cellular.link.blackhole()
                begin()

            sink = Watched(silence)
            await done(here, sink)
        assert sink.longest < seconds + 4.5


async def test_the_first_connection_may_win(autojump_clock: Clock) -> None:
    """It is heard again before the second one is there, which is given up without a trace."""
    async with web(disable_active_migration=True) as here:
        wifi = here.world.wifi.link
        async with later(0.6, wifi.restore) as begin:

            def silence() -> None:
                wifi.blackhole()
                here.world.cellular.down()
                begin()

            job = await done(here, Memory(silence))
        assert (job["resumed"], job["restarted"]) == (0, 0)
        assert len(job["connections"]) == 1


async def test_who_would_have_to_begin_again_waits(autojump_clock: Clock) -> None:
    """Without a validator a second connection would have to bring everything again."""
    async with web(etag=None, disable_active_migration=True) as here:
        wifi = here.world.wifi.link
        async with later(5, wifi.restore) as begin:

            def silence() -> None:
                wifi.blackhole()
                begin()

            job = await done(here, Memory(silence))
        assert (job["resumed"], job["restarted"]) == (0, 0)


async def test_no_network_for_a_while_and_a_server_that_forbids_migration(
    autojump_clock: Clock,
) -> None:
    async with web(disable_active_migration=True) as here:
        world = here.world
        async with later(4, world.cellular.up) as begin:

            def leave() -> None:
                world.wifi.down()
                world.cellular.down()
                begin()

            sink = Watched(leave)
            job = await done(here, sink)
        assert job["restarted"] == 0
        assert sink.longest < 4 + 1.0


async def test_a_server_that_is_gone_for_good(autojump_clock: Clock) -> None:
    async with web() as here:
        sink = Memory(lambda: here.world.server_interface.down())
        transport = trioquic.TransportConfig(idle_timeout=10, handshake_timeout=5)
        began = trio.current_time()
        job, _ = await here.fetch("/file", sink, transport=transport)
        assert job.exit_code == failures.LOST
        assert trio.current_time() - began < 60


async def test_who_waits_for_the_second_connection_keeps_it(autojump_clock: Clock) -> None:
    """Also when the first one is heard again meanwhile: without anybody it would be given up."""
    async with web(disable_active_migration=True) as here:
        wifi, cellular = here.world.wifi.link, here.world.cellular.link
        settings = Settings(
            tls=trioquic.TLSConfig(ca_data=credentials().ca_pem), networks=here.world.phone
        )
        connections = Connections(settings, here.shown.tell, 0.0)
        cut = trio.Event()

        def silence() -> None:
            wifi.blackhole()
            cut.set()

        sink = Memory(silence)
        job = Job(url=f"{ORIGIN}/file", sink=sink)
        file = Transfer(job, connections, retries=3, redirects=0)
        with here.world.phone.as_current():
            async with connections.opened(), trio.open_nursery() as nursery:
                nursery.start_soon(file.run)
                await cut.wait()
                # a handshake over cellular takes a while
                cellular.change(delay=1.0)
                await connections.all[0].quic.wait_unhealthy()
                nursery.start_soon(later_restored, wifi)
                answer = await connections.get(parse_url(f"{ORIGIN}/bytes/10"), ())
                assert connections.watched(answer.quic) is connections.all[1]
                await answer.aclose()
        assert sink.content == pattern(SIZE)
        assert len(here.servers) == 2


async def later_restored(link: trioquic.testing.Link) -> None:
    await trio.sleep(0.5)
    link.restore()
