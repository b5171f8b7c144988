"""How the cost of a packet grows: the protocol core alone, with a scripted peer (tests/peer).

There is no network and no clock but the processor's, and only the core's part of the work counts:
what arrives was sealed beforehand, and what leaves is opened while the watch stands still. Packets
arrive as a socket with GRO delivers them, several in one buffer.
"""

import time
from collections.abc import Callable, Iterator

from tests.peer.packets import APPLICATION
from tests.peer.script import (
    MAX_DATA,
    STREAM_DATA_BIDI_REMOTE,
    STREAMS_BIDI,
    ServerScript,
)
from tests.peer.world import World
from trioquic._protocol import events as ev
from trioquic._protocol.streams.config import StreamConfig
from trioquic._protocol.wire.frames import encode_stream_header
from trioquic._protocol.wire.varint import encode_varint

from .task import Figures, Task, read_task, tell
from .traces import read_upload

LARGE = 1 << 28
DATA_SIZE = 1200
PACKET_SIZE = 1260
BATCH = 16
ROUND_TRIP = 0.01
PATH = 0
REQUEST = b"GET"


def connected(streams: int) -> tuple[World, list[int]]:
    """A world in which the client has this many streams open, each with a short request."""
    limits = {
        MAX_DATA: encode_varint(LARGE),
        STREAM_DATA_BIDI_REMOTE: encode_varint(LARGE),
        STREAMS_BIDI: encode_varint(streams),
    }
    config = StreamConfig(
        initial_max_data=LARGE,
        initial_max_stream_data=LARGE,
        max_data_window=LARGE,
        max_stream_window=LARGE,
        send_buffer=LARGE,
    )
    world = World(ServerScript(parameters={**limits}), streams=config).connect()
    opened = [world.client.streams.open(True) for _ in range(streams)]
    for stream_id in opened:
        world.client.streams.write(stream_id, REQUEST)
        world.client.streams.set_priority(stream_id, 3, True)
    world.settle()
    world.peer.script.acknowledge = False
    return world, opened


def sealed(world: World, pieces: Iterator[tuple[int, int]], step: int = 1) -> list[bytes]:
    """A packet for each (stream, offset); numbers go up by `step`."""
    packets = []
    for stream_id, offset in pieces:
        header = encode_stream_header(stream_id, offset, DATA_SIZE, False)
        number = world.peer.next_number[APPLICATION] + step - 1
        payload = header + bytes(DATA_SIZE)
        packets.append(world.peer.seal(APPLICATION, payload, number=number, pad_to=PACKET_SIZE))
    return packets


def receive(world: World, packets: list[bytes]) -> tuple[float, int]:
    """Let the client have the packets; returns its processor time and the bytes it could read."""
    client, now, read = world.client, world.now, 0
    batches = [b"".join(packets[at : at + BATCH]) for at in range(0, len(packets), BATCH)]
    start = time.process_time()
    for batch in batches:
        now += 1e-4
        client.receive(PATH, batch, PACKET_SIZE, 0, now)
        while (event := client.next_event()) is not None:
            if isinstance(event, ev.StreamReadable):
                read += len(client.streams.read(event.stream_id, LARGE, now, ROUND_TRIP))
        while client.transmit(PATH, now) is not None:
            pass
        client.next_deadline(now)
    spent = time.process_time() - start
    world.now = now
    return spent, read


def receive_streams(task: Task) -> Figures:
    """Each packet is for the next one of `parallel` streams."""
    world, streams = connected(task.parallel)
    pieces = (
        (streams[number % len(streams)], number // len(streams) * DATA_SIZE)
        for number in range(task.count)
    )
    spent, read = receive(world, sealed(world, pieces))
    assert read == task.count * DATA_SIZE
    return {"processor": spent}


def receive_ranges(task: Task) -> Figures:
    """`parallel` ranges are ahead of a gap all the time: the first gap is filled, a new one made.

    Those that made the first gaps were lost, so the packet numbers have gaps, too.
    """
    world, (stream_id,) = connected(1)
    ranges = task.parallel
    ahead = ((stream_id, (2 * number + 1) * DATA_SIZE) for number in range(ranges))
    receive(world, sealed(world, ahead, step=2))

    def pieces() -> Iterator[tuple[int, int]]:
        for number in range(task.count // 2):
            yield stream_id, 2 * number * DATA_SIZE
            yield stream_id, (2 * (number + ranges) + 1) * DATA_SIZE

    spent, read = receive(world, sealed(world, pieces()))
    assert read == task.count * DATA_SIZE
    return {"processor": spent}


def send_window(world: World) -> float:
    """Let the client send what it may now; returns its processor time."""
    batches = []
    start = time.process_time()
    while (batch := world.client.transmit(PATH, world.now)) is not None:
        batches.append(batch)
    spent = time.process_time() - start
    for batch in batches:
        for at in range(0, len(batch.data), batch.segment_size):
            world.peer.receive(PATH, batch.data[at : at + batch.segment_size], world.now)
    return spent


def send_streams(task: Task) -> Figures:
    """As many packets as `count` times DATA_SIZE bytes take, from `parallel` streams in turn."""
    world, streams = connected(task.parallel)
    client, peer = world.client, world.peer
    share = bytes(task.count * DATA_SIZE // len(streams))
    start = time.process_time()
    for stream_id in streams:
        client.streams.write(stream_id, share)
    spent = time.process_time() - start
    while not all(client.streams.all_acked(stream_id) for stream_id in streams):
        world.now += ROUND_TRIP
        spent += send_window(world)
        peer.acknowledge(APPLICATION)
        (_, acknowledgement), *_ = peer.outbox
        peer.outbox.clear()
        start = time.process_time()
        client.receive(PATH, acknowledgement, len(acknowledgement), 0, world.now)
        while client.next_event() is not None:
            pass
        spent += time.process_time() - start
    arrived = sum(len(peer.stream(stream_id)) for stream_id in streams)
    assert arrived == (len(REQUEST) + len(share)) * len(streams)
    return {"processor": spent}


WORKS: dict[str, Callable[[Task], Figures]] = {
    "receive-streams": receive_streams,
    "receive-ranges": receive_ranges,
    "send-streams": send_streams,
    "read-upload": read_upload,
}


if __name__ == "__main__":
    task = read_task()
    tell(WORKS[task.work](task))
