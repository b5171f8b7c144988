"""Attacks 23, 24, 35 to 37, 45 and 46: no kind of flood makes the client hold more than four times
the flow-control window, send past the congestion window, or work much harder than honest traffic.

`make floods` measures the same at length.
"""

import pytest

from tests.floods import http3
from tests.floods.http3_kinds import CONTENT
from tests.floods.kinds import DATAGRAMS, FRAMES, OURS, piece
from tests.floods.measure import MOST_HELD, MOST_TASKS, MOST_WORK, attacked, hold, work
from tests.peer.packets import APPLICATION
from tests.peer.world import World
from trioquic._protocol.events import Ending

WINDOW = 1 << 16
VOLUME = 60_000
# These are held for as long as flow control admits more.
TO_THE_END = ("STREAM, every", "STREAM, single", "STREAM, a whole", "CRYPTO, every", "DATAGRAM of")
ENDED = {
    "NEW_CONNECTION_ID, all others withdrawn": "CONNECTION_ID_LIMIT_ERROR",
    "HTTP/3 GOAWAY, the same": "H3_EXCESSIVE_LOAD",
    "HTTP/3 GOAWAY, falling": "H3_EXCESSIVE_LOAD",
    "HTTP/3 SETTINGS again": "H3_FRAME_UNEXPECTED",
    "HTTP/3 MAX_PUSH_ID": "H3_FRAME_UNEXPECTED",
    "HTTP/3 CANCEL_PUSH": "H3_ID_ERROR",
    "HTTP/3 PRIORITY_UPDATE": "H3_FRAME_UNEXPECTED",
    "HTTP/3 streams of unknown types": "H3_EXCESSIVE_LOAD",
    "HTTP/3 headers without their last byte": "H3_EXCESSIVE_LOAD",
    "HTTP/3 responses that wait for the table": "H3_EXCESSIVE_LOAD",
    "QPACK one insertion without end": "QPACK_ENCODER_STREAM_ERROR",
    "QPACK insert counts": "QPACK_DECODER_STREAM_ERROR",
}
# Two that were the worst, and one for each way through the dispatcher
DEAR = [
    "ACK",
    "CRYPTO, every second byte",
    "DATAGRAM without data",
    "HANDSHAKE_DONE",
    "MAX_STREAMS, rising",
    "NEW_TOKEN",
    "PATH_CHALLENGE",
    "PING",
    "RESET_STREAM",
    "STREAM, every second byte",
    "three kinds in turn, 130 bytes",
]


# the plain variant, which takes twice as long, is measured by `make floods`
@pytest.mark.compiled
@pytest.mark.parametrize("name", [*FRAMES, *DATAGRAMS])
def test_46_memory_and_bytes_in_flight(name: str) -> None:
    # Datagrams know no flow control; their queue has a bound of its own. What is noted of packets
    # that were dropped takes some kilobytes however small the window is (3 % more than four of it).
    wide = name.startswith("DATAGRAM") or name == "STREAM, every second byte of 50 streams"
    window = 2 * WINDOW if wide else WINDOW
    cost = hold(name, window, 1 << 21 if name.startswith(TO_THE_END) else VOLUME)
    assert cost.held <= MOST_HELD * window
    assert cost.beyond <= 0
    assert cost.end == ENDED.get(name, "")


@pytest.mark.plain
@pytest.mark.parametrize("name", CONTENT)
def test_46_http3(name: str) -> None:
    """Memory, at its highest, and work together; the bound for work has the same room."""
    # only these keep something that flow control does not count any more
    keeps = "wait for" in name or "last byte" in name
    cost = http3.hold(name, http3.WINDOW, http3.VOLUME if keeps else 1 << 17)
    assert cost.held <= MOST_HELD * http3.WINDOW
    assert cost.beyond <= 0
    assert cost.tasks <= (MOST_TASKS if "streams" in name else 1)
    assert cost.end == ENDED.get(name, "")
    assert any(http3.work(name, 3) < 1.5 * MOST_WORK for _ in range(2))


@pytest.mark.compiled
@pytest.mark.parametrize("name", DEAR)
def test_work_for_each_byte(name: str) -> None:
    """With room for what else the processor does: `make floods` holds it to the bound itself."""
    assert any(work(name, 5) < 1.5 * MOST_WORK for _ in range(2))


def fill(world: World, frame: bytes, packets: int) -> int:
    """Full packets of one frame again and again; returns how many the client has dropped."""
    before = world.client.statistics().dropped_excessive
    for _ in range(packets):
        packet = world.peer.seal(APPLICATION, frame * (1160 // len(frame)))
        world.client.receive(0, packet, len(packet), 0, world.now)
    return world.client.statistics().dropped_excessive - before


def test_46_packets_full_of_tiny_frames_are_dropped_unread() -> None:
    """RFC 9000 section 21.9. The debt is paid by time as well; a stateless reset counts at once."""
    world = attacked(WINDOW)
    assert fill(world, b"\x01", 200) > 150
    while fill(world, b"\x01", 1) == 0:
        pass
    world.now += 0.5
    assert fill(world, b"\x01", 1) == 0
    while fill(world, b"\x01", 1) == 0:
        pass
    world.peer.send_stateless_reset(world.peer.script.reset_token)
    world.settle()
    assert world.terminated is not None
    assert world.terminated.ending is Ending.STATELESS_RESET


@pytest.mark.parametrize("frame", [piece(OURS, 1 << 10, 4), b"\x31\x06sensor"])
def test_46_no_packet_full_of_frames_that_say_something_is_dropped(frame: bytes) -> None:
    assert fill(attacked(WINDOW), frame, 3000) == 0


def test_46_no_slow_packet_is_dropped() -> None:
    """Fifty streams with one byte each, two hundred times a second: ten kilobytes."""
    world = attacked(WINDOW)
    for offset in range(1000):
        frame = b"".join(piece(number << 2, offset) for number in range(50))
        packet = world.peer.seal(APPLICATION, frame)
        world.client.receive(0, packet, len(packet), 0, world.now)
        world.now += 0.005
    assert world.client.statistics().dropped_excessive == 0
