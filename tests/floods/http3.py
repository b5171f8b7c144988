"""What a flood of HTTP/3 does to a client: the core with a scripted peer, and HTTP/3 above it.

What the peer writes is sealed before and comes in batches, as in `measure`; what the core gives out
is read by `trioquic.http3`'s own tasks. The runtime between the two, which costs the same for
everything, is left out: streams are read from the core. Fifty requests are open, and somebody reads
their responses.
"""

import gc
import statistics
import time
import tracemalloc
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, cast

import trio
import trio.testing

from tests.peer.packets import APPLICATION
from tests.peer.world import World
from trioquic import StreamResetError
from trioquic._construction import create
from trioquic._protocol import events as ev
from trioquic._protocol.wire.frames import encode_stream_header
from trioquic.http3.errors import ErrorCode, HTTP3Error, PeerError
from trioquic.http3.outbox import Outbox
from trioquic.http3.peer_streams import PeerStreams
from trioquic.http3.request import Request
from trioquic.http3.state import ConnectionState

from .http3_kinds import (
    CONFIG,
    CONTENT,
    PAUSE,
    REQUESTS,
    RESPONSES,
    Piece,
    Series,
    download,
    greeting,
    replies,
    unknown_settings,
)
from .measure import BATCH, HEADERS, PACKET_SIZE, PATH, ROOM, Cost, answer, attacked, send_all

ROUND_TRIP = 0.01
MOST_DATA = 1000
WINDOW = 1 << 18
VOLUME = 3 << 18


class CoreStream(trio.abc.Stream):
    """A stream of the core, as HTTP/3 knows streams."""

    def __init__(self, world: World, stream_id: int) -> None:
        self._world = world
        self._streams = world.client.streams
        self.stream_id = stream_id
        self.news = trio.Event()
        self.stopped = False

    @property
    def begun(self) -> bool:
        return self._streams.begun(self.stream_id)

    @property
    def readable(self) -> bool:
        return self._streams.readable(self.stream_id)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while True:
            await trio.lowlevel.checkpoint()
            if self.stopped:
                raise trio.ClosedResourceError("stopped by this side")
            code = self._streams.reset_code(self.stream_id)
            if code is not None:
                raise StreamResetError("reset", error_code=code)
            data = self._streams.read(
                self.stream_id, max_bytes or 1 << 18, self._world.now, ROUND_TRIP
            )
            if data or self._streams.at_end(self.stream_id):
                return data
            self.news = trio.Event()
            await self.news.wait()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self._streams.write(self.stream_id, bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()
        self._streams.finish(self.stream_id)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()

    def stop(self, error_code: int = 0) -> None:
        self._streams.stop_sending(self.stream_id, error_code)
        self.stopped = True
        self.news.set()

    def reset(self, error_code: int = 0) -> None:
        self._streams.reset(self.stream_id, error_code)


class NoPath:
    """What HTTP/3 asks of the QUIC connection itself."""

    active_path = None


class Client:
    """HTTP/3 above the core of a world, with requests that somebody reads."""

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self.world = world
        self._nursery = nursery
        self.state = ConnectionState(cast(Any, NoPath()), CONFIG)
        self._peer_streams = PeerStreams(self.state, nursery)
        self._streams: dict[int, CoreStream] = {}

    def begin(self) -> None:
        for outbox in self.state.outboxes:
            number = self.world.client.streams.open(False)
            self._nursery.start_soon(self._send, outbox, CoreStream(self.world, number))
        for number in range(REQUESTS):
            stream = self._streams[4 * number] = CoreStream(self.world, 4 * number)
            request = create(Request, self.state, cast(Any, stream), "GET", None)
            self.state.enter(4 * number, request)
            self._nursery.start_soon(self._read, request)

    async def _send(self, outbox: Outbox, stream: CoreStream) -> None:
        await outbox.run(stream)

    async def _read(self, request: Request) -> None:
        try:
            await request.receive_response()
            while await request.receive_data():
                pass
        except (HTTP3Error, trio.ClosedResourceError):
            request.cancel()

    def on_events(self) -> None:
        """Wake who reads, and read what the server opens."""
        while (event := self.world.client.next_event()) is not None:
            if isinstance(event, ev.StreamReadable):
                stream = self._streams.get(event.stream_id)
                if stream is None:
                    stream = self._streams[event.stream_id] = CoreStream(
                        self.world, event.stream_id
                    )
                    self._accept(stream)
                stream.news.set()
            elif isinstance(event, ev.Terminated):
                raise AssertionError(event)

    def _accept(self, stream: CoreStream) -> None:
        """What `PeerStreams.accept` does."""

        async def read() -> None:
            await self._peer_streams._read(cast(Any, stream))
            if stream.stopped:
                del self._streams[stream.stream_id]

        try:
            self._peer_streams._count()
        except PeerError as fault:
            self.state.fail(fault)
        else:
            self._nursery.start_soon(read)

    @property
    def end(self) -> str:
        """The error that HTTP/3 has closed the connection with, if it has."""
        fault = self.state.fault
        return "" if fault is None else ErrorCode(fault.code).name


def runs(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """What follows each other on one stream, put together up to what a packet takes."""
    open_stream, content = -1, b""
    for stream_id, data, ends in pieces:
        if content and (stream_id != open_stream or len(content) + len(data) > MOST_DATA):
            yield open_stream, content, False
            content = b""
        open_stream, content = stream_id, content + data
        while len(content) > MOST_DATA:
            yield open_stream, content[:MOST_DATA], False
            content = content[MOST_DATA:]
        if ends or stream_id < 0:
            yield open_stream, content, ends
            content = b""
    if content:
        yield open_stream, content, False


def batches(world: World, pieces: Iterator[Piece]) -> Iterator[bytes]:
    """Batches of full packets of STREAM frames, sealed; a pause ends a batch."""
    offsets: dict[int, int] = {}
    packets: list[bytes] = []
    parts: list[bytes] = []
    room = ROOM
    for stream_id, data, ends in runs(pieces):
        at = offsets.get(stream_id, 0)
        frame = encode_stream_header(max(stream_id, 0), at, len(data), ends) + data
        if parts and (len(frame) > room or stream_id < 0):
            packets.append(world.peer.seal(APPLICATION, b"".join(parts), pad_to=PACKET_SIZE))
            parts, room = [], ROOM
        if len(packets) == BATCH or (packets and stream_id < 0):
            yield b"".join(packets)
            packets = []
        if stream_id >= 0:
            offsets[stream_id] = at + len(data)
            parts.append(frame)
            room -= len(frame)
    if parts:
        packets.append(world.peer.seal(APPLICATION, b"".join(parts), pad_to=PACKET_SIZE))
    if packets:
        yield b"".join(packets)


def pass_time(world: World, seconds: float) -> None:
    world.now += seconds
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    clock.jump(seconds)


async def settle(client: Client, batch: bytes) -> None:
    """A batch comes in, and whoever waits for it is done with it."""
    world = client.world
    pass_time(world, 0.001)
    world.client.receive(PATH, batch, PACKET_SIZE, 0, world.now)
    client.on_events()
    await trio.testing.wait_all_tasks_blocked()


def arrivals(world: World, series: Series) -> Iterator[bytes]:
    """The greeting as a batch of its own, and then the flood."""
    if series is unknown_settings:
        return batches(world, series())
    return batches(world, chain(greeting(), [PAUSE], series()))


def hold(name: str, window: int, volume: int) -> Cost:
    """Memory, bytes in flight and tasks under so many bytes of a flood; nothing is acknowledged."""

    async def main() -> Cost:
        world = attacked(window)
        held, beyond, received, tasks = 0, 0, 0, 0
        async with trio.open_nursery() as nursery:
            client = Client(world, nursery)
            client.begin()
            series = arrivals(world, CONTENT[name])
            await settle(client, next(series))
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            usual = len(nursery.child_tasks)
            for batch in series:
                await settle(client, batch)
                tasks = max(tasks, len(nursery.child_tasks) - usual)
                beyond = max(beyond, send_all(world))
                received += len(batch) + HEADERS * (len(batch) // PACKET_SIZE)
                del batch
                held = max(held, tracemalloc.get_traced_memory()[1] - before)
                if client.end or received >= volume:
                    break
            # what waits for a moment
            pass_time(world, 1.0)
            await trio.testing.wait_all_tasks_blocked()
            held = max(held, tracemalloc.get_traced_memory()[1] - before)
            tracemalloc.stop()
            nursery.cancel_scope.cancel()
        return Cost(held=held, beyond=beyond, end=client.end, tasks=tasks)

    return trio.run(main, clock=trio.testing.MockClock())


async def spend(client: Client, batch: bytes) -> tuple[float, int]:
    """Processor time for a batch, and its bytes. What the client sends is acknowledged while the
    watch stands."""
    world, core = client.world, client.world.client
    start = time.process_time()
    await settle(client, batch)
    sent = []
    while (datagrams := core.transmit(PATH, world.now)) is not None:
        sent.append(datagrams)
    core.next_deadline(world.now)
    spent = time.process_time() - start
    answer(world, sent)
    return spent, len(batch) + HEADERS * (len(batch) // PACKET_SIZE)


def work(name: str, count: int) -> float:
    """How many times the processor time of honest traffic a flood costs for each byte; the two take
    turns, and the medians are compared. Of a flood that is over before, all of it counts, and as a
    full batch at least."""

    async def main() -> float:
        async with trio.open_nursery() as nursery:
            honest = Client(attacked(1 << 24), nursery)
            flooded = Client(attacked(1 << 20), nursery)
            usual: list[tuple[float, int]] = []
            unusual: list[tuple[float, int]] = []
            base = replies if name in RESPONSES else download
            series = [arrivals(honest.world, base), arrivals(flooded.world, CONTENT[name])]
            for client, each in zip((honest, flooded), series, strict=True):
                client.begin()
                await settle(client, next(each))
            for ordinary, batch in islice(zip(*series, strict=False), count):
                usual.append(await spend(honest, ordinary))
                unusual.append(await spend(flooded, batch))
                if flooded.end:
                    break
            nursery.cancel_scope.cancel()
        cost = statistics.median([spent / size for spent, size in unusual])
        if base is download and len(unusual) < count:
            size = max(sum([size for _, size in unusual]), BATCH * (PACKET_SIZE + HEADERS))
            cost = sum([spent for spent, _ in unusual]) / size
        return cost / statistics.median([spent / size for spent, size in usual])

    return trio.run(main, clock=trio.testing.MockClock())
