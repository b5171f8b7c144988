"""Downloads over networks that change and connections that are lost, in the simulator."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.http3.world import AUTHORITY, Application, Exchange
from tests.sim_server import PORT, ServerConnection, ServerOptions, credentials, pattern
from tests.sim_world import World, simulated_world
from trioquic.cli import failures, transfer
from trioquic.cli.connections import Connections
from trioquic.cli.fetch import fetch_all
from trioquic.cli.progress import Display
from trioquic.cli.sink import Sink
from trioquic.cli.transfer import Job, Transfer
from trioquic.http3.client.settings import Settings

Clock = trio.testing.MockClock
SIZE = 400_000
CUT_AT = 100_000
STRONG = b'"one"'


class Memory(Sink):
    """Keeps content without a thread, which virtual time would not wait for. Calls `on_cut` once,
    when there is some content; `for_good`: content cannot be taken back."""

    def __init__(
        self, on_cut: Callable[[], object] = lambda: None, *, for_good: bool = False
    ) -> None:
        super().__init__("memory", block=1)
        self.content = bytearray()
        self.finished = False
        self._on_cut: Callable[[], object] | None = on_cut
        self._for_good = for_good

    async def _store_waiting(self) -> None:
        self._store(bytes(self._waiting))
        self._waiting.clear()
        if self.size >= CUT_AT and self._on_cut is not None:
            on_cut, self._on_cut = self._on_cut, None
            on_cut()
        await trio.lowlevel.checkpoint()

    def _write(self, block: bytes) -> None:
        self.content += block

    async def restart(self) -> bool:
        if self._for_good:
            return await super().restart()
        self._forget()
        self.content.clear()
        await trio.lowlevel.checkpoint()
        return True

    async def finish(self) -> None:
        self.finished = True
        await trio.lowlevel.checkpoint()

    def discard(self) -> None:
        pass


class Files(Application):
    """Has one file, `/file`, with an ETag; `/moved/N` leads there in N steps, `/lost` to none."""

    def __init__(self, connection: ServerConnection, web: "Web") -> None:
        super().__init__(connection)
        self._web = web
        self.asked: list[dict[bytes, bytes]] = []

    def _answer(self, stream_id: int, exchange: Exchange) -> None:
        self.asked.append(exchange.headers)
        match exchange.headers[b":path"].decode().split("/")[1:]:
            case ["file"]:
                self._send_file(stream_id, exchange)
            case ["moved", "1"]:
                self._head(stream_id, 302, (b"location", b"../file"), end=True)
            case ["moved", steps]:
                where = b"/moved/%d" % (int(steps) - 1)
                self._head(stream_id, 307, (b"location", where), end=True)
            case ["lost"]:
                self._head(stream_id, 303, (b"location", b"/status/404"), end=True)
            case ["away"]:
                self._head(stream_id, 301, (b"location", b"http://elsewhere.example/"), end=True)
            case _:
                super()._answer(stream_id, exchange)

    def _send_file(self, stream_id: int, exchange: Exchange) -> None:
        begin, status = 0, 200
        wanted = exchange.headers.get(b"range")
        same = exchange.headers.get(b"if-range") == self._web.etag or not self._web.knows_if_range
        if wanted is not None and same:
            begin, status = int(wanted.removeprefix(b"bytes=").removesuffix(b"-")), 206
        fields = [(b"content-length", b"%d" % (SIZE - begin)), (b"accept-ranges", self._web.ranges)]
        if self._web.etag is not None:
            fields.append((b"etag", self._web.etag))
        if status == 206:
            fields.append((b"content-range", b"bytes %d-%d/%d" % (begin, SIZE - 1, SIZE)))
        self._head(stream_id, status, *fields)
        self._send(stream_id, pattern(SIZE)[begin:], True)


class Shown(Display):
    """Remembers what was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def tell(self, text: str) -> None:
        self.lines.append(text)


@dataclass
class Web:
    """A phone, and a server with a file."""

    world: World
    servers: list[Files]
    etag: bytes | None
    ranges: bytes
    shown: Shown = field(default_factory=Shown)
    knows_if_range: bool = True

    def close(self) -> None:
        """The server ends its newest connection, in the middle of everything."""
        self.world.server.connections[-1].quic.close(error_code=0x102)
        self.world.server.connections[-1].flush()

    async def fetch(
        self,
        path: str,
        sink: Memory,
        *,
        copies: int = 1,
        redirects: int | None = 10,
        **options: Any,
    ) -> tuple[Job, list[dict[str, Any]]]:
        """Fetch it; the (first) job, and what became of the connections."""
        url = f"https://{AUTHORITY}:{PORT}{path}"
        jobs = [Job(url=url, sink=sink)]
        jobs += [Job(url=url, sink=Memory()) for _ in range(copies - 1)]
        connections = await fetch_jobs(self, jobs, redirects=redirects, **options)
        for job in jobs[1:]:
            assert job.error is None
        return jobs[0], connections


async def fetch_jobs(
    here: Web,
    jobs: Sequence[Job],
    *,
    redirects: int | None = 10,
    only: Sequence[str] = (),
    max_time: float | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """Do them on the phone; what became of the connections."""
    options.setdefault("migration", trioquic.MigrationPolicy(only_interfaces=only))
    settings = Settings(
        tls=trioquic.TLSConfig(ca_data=credentials().ca_pem),
        networks=here.world.phone,
        **options,
    )
    with here.world.phone.as_current():
        return await fetch_all(jobs, settings, here.shown, 3, redirects, max_time=max_time)


@asynccontextmanager
async def web(
    *, etag: bytes | None = STRONG, ranges: bytes = b"bytes", **options: Any
) -> AsyncIterator[Web]:
    """`options` are the server's."""

    def application(connection: ServerConnection) -> Files:
        here.servers.append(Files(connection, here))
        return here.servers[-1]

    server = ServerOptions(alpn=("h3",), application=application, **options)
    async with simulated_world(options=server, ipv6=False) as world:
        here = Web(world, [], etag, ranges)
        yield here


async def test_a_hundred_files_over_one_connection(autojump_clock: Clock) -> None:
    async with web() as here:
        sink = Memory()
        job, connections = await here.fetch("/bytes/5000", sink, copies=100)
        assert job.error is None
        assert sink.content == pattern(5000)
        assert len(here.servers) == len(connections) == 1
        assert len(here.servers[0].asked) == 100


async def test_a_download_goes_on_over_another_network(autojump_clock: Clock) -> None:
    async with web() as here:
        sink = Memory(lambda: here.world.wifi.down())
        job, (connection,) = await here.fetch("/file", sink, only=["wlan0", "wwan0"])
        assert sink.content == pattern(SIZE)
        assert sink.finished
        assert (job.summary()["bytes"], job.summary()["output"]) == (SIZE, "memory")
        assert (job.summary()["resumed"], job.summary()["restarted"]) == (0, 0)
        (handover,) = connection["handovers"]
        assert handover["old"].startswith("wlan0")
        assert handover["new"].startswith("wwan0")
        assert handover["cause"]
        # about a round trip of cellular, and what was under way on Wi-Fi
        assert 0.08 < handover["gap"] < 0.4
        moved, paused = here.shown.lines
        assert moved.startswith("moved from wlan0")
        assert paused == f"content paused for {handover['gap'] * 1000:.0f} ms"
        used = [p["interface"] for p in connection["paths"] if p["bytes_received"] > CUT_AT / 2]
        assert used == ["wlan0", "wwan0"]


async def test_a_connection_beside_it_that_is_idle_tells_nothing(autojump_clock: Clock) -> None:
    async with web() as here:
        settings = Settings(
            tls=trioquic.TLSConfig(ca_data=credentials().ca_pem),
            networks=here.world.phone,
            migration=trioquic.MigrationPolicy(only_interfaces=["wlan0", "wwan0"]),
        )
        connections = Connections(settings, here.shown.tell, trio.current_time())
        url = f"https://{AUTHORITY}:{PORT}"
        with here.world.phone.as_current():
            async with connections.opened():
                for job in (
                    Job(url=f"{url}/bytes/10", sink=Memory()),
                    Job(url=f"{url}/file", sink=Memory(lambda: here.world.wifi.down())),
                ):
                    await Transfer(job, connections, retries=3, redirects=0).run()
                    assert job.error is None
                    assert connections._origins is not None
                    pool = connections._origins.pool
                    if len(pool.connections) == 1:
                        # as where the server took no more requests on the first
                        await pool._start(pool.connections[0].endpoint).settled.wait()
                await trio.sleep(1)
                moves = [len(one.handovers) for one in connections.all]
                for one in connections.all:
                    # Content that comes for more than a second after the move does so by itself:
                    # how fast the simulated server is hangs on which of two packets came first.
                    one.settle()
        assert moves == [1, 1]
        assert [line.partition(" ")[0] for line in here.shown.lines] == ["moved", "content"]


async def test_only_the_named_interfaces_are_used(autojump_clock: Clock) -> None:
    async with web() as here:
        here.world.wifi.down()
        sink = Memory()
        job, (connection,) = await here.fetch("/file", sink, only=["wlan0", "wwan0"])
        assert job.error is None
        assert {path["interface"] for path in connection["paths"]} == {"wwan0"}
        here.world.wifi.up()
        await here.fetch("/file", Memory(), only=["wwan0"])
        assert not here.world.record.select(host="phone", interface="wlan0")
        job, _ = await here.fetch("/file", Memory(), only=["nope0"])
        assert job.exit_code == failures.INTERFACE


async def test_a_lost_connection_is_resumed(autojump_clock: Clock) -> None:
    async with web() as here:
        sink = Memory(here.close)
        job, connections = await here.fetch("/file", sink)
        assert job.error is None
        assert sink.content == pattern(SIZE)
        assert (job.summary()["resumed"], job.summary()["restarted"]) == (1, 0)
        assert len(connections) == 2
        second = here.servers[1].asked[0]
        assert second[b"if-range"] == STRONG
        assert int(second[b"range"].removeprefix(b"bytes=").removesuffix(b"-")) >= CUT_AT
        assert any("going on with" in line for line in here.shown.lines)


@pytest.mark.parametrize(
    ("etag", "ranges"), [(None, b"bytes"), (b'W/"weak"', b"bytes"), (STRONG, b"none")]
)
async def test_without_a_strong_validator_it_begins_again(
    autojump_clock: Clock, etag: bytes | None, ranges: bytes
) -> None:
    async with web(etag=etag, ranges=ranges) as here:
        sink = Memory(here.close)
        job, _ = await here.fetch("/file", sink)
        assert job.error is None
        assert sink.content == pattern(SIZE)
        assert (job.summary()["resumed"], job.summary()["restarted"]) == (0, 1)
        assert b"range" not in here.servers[1].asked[0]


async def test_another_file_is_not_appended(autojump_clock: Clock) -> None:
    """The file changes between the two requests, so the server sends all of it."""
    async with web() as here:

        def change() -> None:
            here.close()
            here.etag = b'"two"'

        sink = Memory(change)
        job, _ = await here.fetch("/file", sink)
        assert b"range" in here.servers[1].asked[0]
        assert sink.content == pattern(SIZE)
        assert job.summary()["restarted"] == 1


async def test_a_part_of_another_file_is_not_appended(autojump_clock: Clock) -> None:
    """The server does not know If-Range, and sends the rest of what it has now."""
    async with web() as here:

        def change() -> None:
            here.close()
            here.etag, here.knows_if_range = b'"two"', False

        sink = Memory(change)
        job, _ = await here.fetch("/file", sink)
        assert [b"range" in asked for asked in here.servers[1].asked] == [True, False]
        assert sink.content == pattern(SIZE)
        assert (job.summary()["resumed"], job.summary()["restarted"]) == (0, 1)


class Endless(Memory):
    """Loses the connection when all has come, and the end of the stream has not."""

    lose: Callable[[], object] | None = None

    async def _store_waiting(self) -> None:
        await super()._store_waiting()
        if self.size == SIZE and self.lose is not None:
            lose, self.lose = self.lose, None
            lose()


@pytest.mark.parametrize("shorter", [False, True])
async def test_there_is_no_rest(autojump_clock: Clock, shorter: bool) -> None:
    """All has come, but for the end of the stream, from a server that never said how much it is;
    or the file has become shorter, and the server does not know If-Range."""

    class Lengthless(Files):
        def _send_file(self, stream_id: int, exchange: Exchange) -> None:
            content = b"short" if here.etag != STRONG else pattern(SIZE)
            etag = (b"etag", here.etag or b"")
            if b"range" in exchange.headers:
                length = (b"content-range", b"bytes */%d" % len(content))
                self._head(stream_id, 416, length, end=True)
                return
            self._head(stream_id, 200, etag)
            self._send(stream_id, content, here.etag != STRONG)

    def application(connection: ServerConnection) -> Files:
        here.servers.append(Lengthless(connection, here))
        return here.servers[-1]

    def lose() -> None:
        here.close()
        if shorter:
            here.etag = b'"two"'

    server = ServerOptions(alpn=("h3",), application=application)
    async with simulated_world(options=server, ipv6=False) as world:
        here = Web(world, [], STRONG, b"bytes")
        sink = Endless()
        sink.lose = lose
        job, _ = await here.fetch("/file", sink)
        assert job.error is None
        assert sink.content == (b"short" if shorter else pattern(SIZE))
        assert job.summary()["restarted"] == shorter
        assert job.summary()["status"] == 200


async def test_what_is_written_for_good_is_not_begun_again(autojump_clock: Clock) -> None:
    async with web(etag=None) as here:
        job, _ = await here.fetch("/file", Memory(here.close, for_good=True))
        assert job.exit_code == failures.LOST
        assert job.error == "the connection was lost, and what is written cannot be taken back"


async def test_a_download_that_gets_on_is_not_given_up(autojump_clock: Clock) -> None:
    """However often its connection is lost: --retry is for tries that bring nothing."""

    class Interrupted(Memory):
        """Loses each connection when it has brought more than is worth another try."""

        begun = (0, 0)

        async def _store_waiting(self) -> None:
            await super()._store_waiting()
            if len(here.servers) != self.begun[0]:
                self.begun = len(here.servers), self.size
            if self.size >= self.begun[1] + 20_000:
                here.close()

    async with web() as here:
        sink = Interrupted()
        job, connections = await here.fetch("/file", sink)
        assert job.error is None
        assert sink.content == pattern(SIZE)
        assert len(connections) > 5
        pauses = [line.partition("again in ")[2] for line in here.shown.lines]
        assert {pause for pause in pauses if pause} == {"0.5 s"}


async def test_a_server_that_gives_next_to_nothing_is_given_up(autojump_clock: Clock) -> None:
    """Also one that forgets each connection, where there is nothing to wait for."""

    class OneByte(transfer.Transfer):
        asked = 0

        async def _request(self, *args: Any) -> bytes | None:
            self.asked += 1
            assert self.asked <= 4
            await self._sink.write(b"x")
            raise failures.RetryError("reset") from trioquic.StatelessResetError("reset")

    connections = Connections(Settings(), print, 0.0)
    job = Job(url=f"https://{AUTHORITY}/", sink=Memory())
    one = OneByte(job, connections, retries=3, redirects=0)
    await one.run()
    assert job.exit_code == failures.LOST
    assert one.asked == 4


async def test_a_server_that_is_gone_is_tried_a_few_times(autojump_clock: Clock) -> None:
    async with web() as here:

        def gone() -> None:
            here.close()
            here.world.server_host.icmp = False
            here.world.server_interface.down()

        sink = Memory(gone)
        job, connections = await here.fetch("/file", sink)
        assert job.exit_code == failures.LOST
        assert job.summary()["sha256"] is None
        assert not sink.finished
        assert len(connections) == 1
        pauses = [line.partition("again in ")[2] for line in here.shown.lines]
        assert [pause for pause in pauses if pause] == ["0.5 s", "1 s", "2 s"]


async def test_a_network_that_comes_back_bit_by_bit(autojump_clock: Clock) -> None:
    """A link, addresses, routes: each is a change, and a reason to look, but no try."""
    async with web() as here, trio.open_nursery() as nursery:
        world = here.world

        async def come_back() -> None:
            await trio.sleep(5)
            for number in range(10):
                await trio.sleep(0.3)
                world.phone.add_interface(f"usb{number}", f"192.0.2.{100 + number}", routes=())
            world.wifi.up()

        def leave() -> None:
            world.wifi.down()
            world.cellular.down()
            nursery.start_soon(come_back)

        sink = Memory(leave)
        job, _ = await here.fetch("/file", sink, transport=trioquic.TransportConfig(idle_timeout=5))
        assert job.error is None
        assert sink.content == pattern(SIZE)


async def test_networks_that_are_away_for_longer_than_a_connection_lives(
    autojump_clock: Clock,
) -> None:
    async with web() as here:
        world = here.world

        def leave() -> None:
            world.wifi.down()
            world.cellular.down()

        async def come_back() -> None:
            await trio.sleep(8)
            world.wifi.up()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come_back)
            sink = Memory(leave)
            transport = trioquic.TransportConfig(idle_timeout=5)
            job, connections = await here.fetch(
                "/file", sink, transport=transport, only=["wlan0", "wwan0"]
            )
        assert job.error is None
        assert sink.content == pattern(SIZE)
        assert job.summary()["resumed"] == 1
        assert len(connections) == 2
        assert (
            here.shown.lines[0]
            == "waiting for a network: wlan0 is down, and there is no other network"
        )


async def test_redirects(autojump_clock: Clock) -> None:
    async with web() as here:
        sink = Memory()
        job, connections = await here.fetch("/moved/3", sink)
        assert sink.content == pattern(SIZE)
        assert job.summary()["final_url"] == f"https://{AUTHORITY}:{PORT}/file"
        assert len(connections) == 1
        job, _ = await here.fetch("/moved/3", Memory(), redirects=2)
        assert (job.exit_code, job.summary()["status"]) == (failures.REDIRECTS, 302)
        job, _ = await here.fetch("/moved/1", Memory(), redirects=0)
        assert job.exit_code == failures.REDIRECTS
        assert str(job.error).startswith("too many redirects, the last to ")
        job, _ = await here.fetch("/moved/1", Memory(), redirects=None)
        assert job.exit_code == failures.HTTP_STATUS
        assert job.error == "status 302, redirected to ../file: follow with -L"
        job, _ = await here.fetch("/away", Memory())
        assert job.exit_code == failures.REDIRECTS
        assert "needs an https URL" in str(job.error)


async def test_an_error_names_where_it_was_asked_and_where_it_failed(autojump_clock: Clock) -> None:
    here_is = f"https://{AUTHORITY}:{PORT}"
    async with web() as here:
        job, _ = await here.fetch("/lost", Memory())
        assert job.complaint == f"{here_is}/lost: redirected to {here_is}/status/404: status 404"
        job, _ = await here.fetch("/status/404", Memory())
        assert job.complaint == f"{here_is}/status/404: status 404"
        job, _ = await here.fetch("/moved/3", Memory(), redirects=1)
        assert job.complaint == (
            f"{here_is}/moved/3: redirected to {here_is}/moved/2: "
            f"too many redirects, the last to {here_is}/moved/1"
        )
        job, _ = await here.fetch("/file", Memory())
        assert job.complaint is None


async def test_what_goes_wrong_above(autojump_clock: Clock) -> None:
    async with web() as here:
        job, _ = await here.fetch("/status/503", Memory())
        assert (job.summary()["sha256"], job.summary()["output"]) == (None, None)
        assert (job.exit_code, job.error) == (failures.HTTP_STATUS, "status 503")
        job, _ = await here.fetch("/reset/258", Memory())
        assert job.exit_code == failures.HTTP3


@pytest.mark.parametrize("when", ["connecting", "asked", "reading", "paused"])
async def test_a_download_may_take_so_long(autojump_clock: Clock, when: str) -> None:
    """Whatever it is doing, for each URL, and all that goes on meanwhile is left at once."""
    async with web() as here:
        world = here.world

        def silence() -> None:
            world.wifi.link.blackhole()
            world.cellular.link.blackhole()

        sink = Memory(silence if when in ("reading", "paused") else lambda: None)
        if when == "connecting":
            silence()
        path = "/wait" if when == "asked" else "/file"
        # longer than the connection lives, and a try more begins
        seconds = 45.0 if when == "paused" else 7.0
        transport = trioquic.TransportConfig(handshake_timeout=10)
        began = trio.current_time()
        job, _ = await here.fetch(path, sink, max_time=seconds, transport=transport)
        assert job.exit_code == failures.TOO_LONG
        assert job.seconds == pytest.approx(seconds)
        assert trio.current_time() - began < seconds + 1
        assert job.error is not None
        assert f"not complete within {seconds:g} s" in job.error
        if when in ("reading", "paused"):
            assert f"{sink.size} of {SIZE} bytes" in job.error
        assert not sink.finished


async def test_what_is_complete_in_time_stays(autojump_clock: Clock) -> None:
    """Also if another one is not, and if writing it down takes longer."""

    class Slow(Memory):
        async def finish(self) -> None:
            await trio.sleep(10)
            await super().finish()

    async with web() as here:
        url = f"https://{AUTHORITY}:{PORT}"
        jobs = [Job(url=f"{url}/file", sink=Slow()), Job(url=f"{url}/wait", sink=Memory())]
        await fetch_jobs(here, jobs, max_time=5)
        assert [job.exit_code for job in jobs] == [0, failures.TOO_LONG]
        assert isinstance(jobs[0].sink, Slow)
        assert jobs[0].sink.finished


async def test_what_is_always_the_same_is_told_once(autojump_clock: Clock) -> None:
    """Both networks are silent for a while, and asked again and again."""
    async with web() as here:
        world = here.world

        def silence() -> None:
            world.wifi.link.blackhole()
            world.cellular.link.blackhole()

        async def light_up() -> None:
            await trio.sleep(15)
            world.wifi.link.restore()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(light_up)
            sink = Memory(silence)
            await here.fetch("/file", sink, only=["wlan0", "wwan0"])
        assert sink.content == pattern(SIZE)
        lines = here.shown.lines
        assert any(line.startswith("no way over wlan0") for line in lines)
        assert len(lines) == len(set(lines))
