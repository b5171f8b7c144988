"""What a flood does to a client: memory held, bytes in flight, and processor time.

The client's core runs against a scripted peer, without a network. What arrives was sealed before,
and comes as a socket with GRO delivers it, several datagrams in one buffer. Nobody reads streams.

- *Held* is what tracemalloc counts more than before, at its most, with nothing acknowledged: that
  keeps everything that waits for an acknowledgement.
- *Beyond the window* is by how much the bytes in flight ever exceeded the congestion window, or
  what was in flight already, through what was sent next: but for the probes that a PTO owes, of a
  full datagram each (RFC 9002 sections 6.2.4 and 7).
- *Work* is the processor time for a received byte, headers of UDP and IP included, in proportion to
  that of an honest download in the same process; the peer acknowledges everything.
"""

import gc
import random
import statistics
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

from tests.peer.packets import APPLICATION
from tests.peer.script import MAX_DATA, STREAM_DATA_BIDI_REMOTE, STREAMS_BIDI, ServerScript
from tests.peer.world import World
from trioquic._protocol import events as ev
from trioquic._protocol.errors import error_name
from trioquic._protocol.sending.outgoing import Batch
from trioquic._protocol.streams.config import StreamConfig
from trioquic._protocol.wire.frames import encode_stream_header
from trioquic._protocol.wire.varint import encode_varint

from .kinds import DATAGRAMS, FRAMES, OURS, SMALL, STREAMS

PATH = 0
PACKET_SIZE = 1260
OVERHEAD = 29
ROOM = PACKET_SIZE - OVERHEAD
HEADERS = 28  # of IPv4 and UDP
BATCH = 16
DATA_SIZE = 1200
MOST_HELD = 4.0
"""Of the connection's flow-control window."""
MOST_TASKS = 1 + STREAMS
"""One for each stream that the server may open, and another one."""
MOST_WORK = 20.0
"""Of what an honest download costs for each byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one flood has cost. `held` is in bytes, `beyond` too; `tasks` are those of HTTP/3."""

    held: int
    beyond: int
    end: str
    tasks: int = 0


def attacked(window: int) -> World:
    """A connected client with this flow-control window and a hundred streams of its own."""
    config = StreamConfig(
        initial_max_data=window,
        initial_max_stream_data=window,
        max_data_window=window,
        max_stream_window=window,
        initial_max_streams_bidi=STREAMS,
        initial_max_streams_uni=STREAMS,
    )
    limits = {
        MAX_DATA: encode_varint(1 << 20),
        STREAM_DATA_BIDI_REMOTE: encode_varint(1 << 18),
        STREAMS_BIDI: encode_varint(STREAMS),
    }
    script = ServerScript(parameters={**limits}, challenge_new_paths=False)
    world = World(script, streams=config, datagrams=True).connect()
    for _ in range(STREAMS):
        stream_id = world.client.streams.open(True)
        world.client.streams.write(stream_id, b"GET")
    world.settle()
    world.peer.script.acknowledge = False
    world.peer.outbox.clear()
    return world


def payloads(frames: Iterator[bytes], size: int) -> Iterator[bytes]:
    """As many frames in a packet of this size as fit."""
    parts: list[bytes] = []
    room = size - OVERHEAD
    for frame in frames:
        if len(frame) > room:
            yield b"".join(parts)
            parts, room = [], size - OVERHEAD
        parts.append(frame)
        room -= len(frame)
    if parts:
        yield b"".join(parts)


def arrivals(world: World, name: str, rng: random.Random) -> Iterator[tuple[bytes, int]]:
    """Batches of datagrams, and the size of each of them."""
    if name in DATAGRAMS:
        shape = DATAGRAMS[name]
        while True:
            yield b"".join([shape.make(world, rng) for _ in range(BATCH)]), shape.size
    size = SMALL.get(name, PACKET_SIZE)
    packets = (
        world.peer.seal(APPLICATION, payload, pad_to=size)
        for payload in payloads(FRAMES[name](world), size)
    )
    while batch := list(islice(packets, BATCH)):
        yield b"".join(batch), size


def take_events(world: World) -> ev.Terminated | None:
    """As an application would that wants to know of everything, and reads nothing."""
    client = world.client
    end = None
    while (event := client.next_event()) is not None:
        if isinstance(event, ev.Terminated):
            end = event
        elif isinstance(event, ev.StreamReadable):
            client.streams.reset_code(event.stream_id)
    return end


def send_all(world: World) -> int:
    """All that the client has to send; by how many bytes that broke the congestion window."""
    client = world.client
    view = client.path_view(PATH)
    allowed = max(view.congestion_window, view.bytes_in_flight)
    allowed += view.mtu * sum(client._parts.loss.probes)
    while client.transmit(PATH, world.now) is not None:
        pass
    return client.path_view(PATH).bytes_in_flight - allowed


def hold(name: str, window: int, volume: int) -> Cost:
    """Memory and bytes in flight under so many bytes of a flood, with nothing acknowledged."""
    world = attacked(window)
    rng = random.Random(1)
    client, end, beyond, held, received = world.client, None, 0, 0, 0
    gc.collect()
    tracemalloc.start()
    try:
        series = arrivals(world, name, rng)
        before = tracemalloc.get_traced_memory()[0]
        for batch, size in series:
            world.now += 0.001
            client.receive(PATH, batch, size, 0, world.now)
            received += len(batch) + HEADERS * (len(batch) // size)
            if client.next_deadline(world.now) <= world.now:
                client.handle_deadline(world.now)
            beyond = max(beyond, send_all(world))
            end = take_events(world) or end
            del batch
            held = max(held, tracemalloc.get_traced_memory()[0] - before)
            if end is not None or received >= volume:
                break
    finally:
        tracemalloc.stop()
    return Cost(held=held, beyond=beyond, end="" if end is None else error_name(end.code))


def answer(world: World, sent: list[Batch]) -> None:
    """The peer acknowledges what the client has sent."""
    for each in sent:
        for at in range(0, len(each.data), each.segment_size):
            world.peer.receive(PATH, each.data[at : at + each.segment_size], world.now)
    if sent:
        world.peer.acknowledge(APPLICATION)
    for _, packet in world.peer.outbox:
        world.client.receive(PATH, packet, len(packet), 0, world.now)
    world.peer.outbox.clear()


class Meter:
    """Processor time of a client for each byte that comes in, batch by batch."""

    def __init__(self, world: World, read: bool) -> None:
        self._world = world
        self._read = read
        self.costs: list[float] = []
        self.ended = False

    def feed(self, batch: bytes, size: int) -> None:
        """One batch comes in. What the client sends is acknowledged while the watch stands."""
        world, client = self._world, self._world.client
        world.now += 0.001
        sent = []
        start = time.process_time()
        client.receive(PATH, batch, size, 0, world.now)
        while (event := client.next_event()) is not None:
            if isinstance(event, ev.StreamReadable) and self._read:
                client.streams.read(event.stream_id, 1 << 20, world.now, 0.01)
            self.ended |= isinstance(event, ev.Terminated)
        while (datagrams := client.transmit(PATH, world.now)) is not None:
            sent.append(datagrams)
        client.next_deadline(world.now)
        spent = time.process_time() - start
        self.costs.append(spent / (len(batch) + HEADERS * (len(batch) // size)))
        answer(world, sent)


def download(world: World) -> Iterator[bytes]:
    """Batches of full packets of one stream."""
    for start in count(0, BATCH * DATA_SIZE):
        offsets = range(start, start + BATCH * DATA_SIZE, DATA_SIZE)
        frames = [encode_stream_header(OURS, at, DATA_SIZE, False) for at in offsets]
        body = bytes(DATA_SIZE)
        sealed = [world.peer.seal(APPLICATION, each + body, pad_to=PACKET_SIZE) for each in frames]
        yield b"".join(sealed)


def work(name: str, batches: int) -> float:
    """How many times the processor time of an honest download a flood costs for each byte.

    The two take turns, as other programs on the same processor slow both down, and the medians are
    compared."""
    honest, flooded = attacked(1 << 24), attacked(1 << 20)
    usual, unusual = Meter(honest, True), Meter(flooded, False)
    series = arrivals(flooded, name, random.Random(2))
    # as many bytes of small packets: what a client admits in advance is soon used up
    batches *= PACKET_SIZE // SMALL.get(name, PACKET_SIZE)
    for ordinary, (batch, size) in islice(zip(download(honest), series, strict=False), batches):
        usual.feed(ordinary, PACKET_SIZE)
        unusual.feed(batch, size)
        if unusual.ended:
            break
    return statistics.median(unusual.costs) / statistics.median(usual.costs)
