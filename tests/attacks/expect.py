"""What a test demands after an attack."""

from tests.peer.world import World
from trioquic._protocol.errors import error_name
from trioquic._protocol.events import Ending
from trioquic._protocol.wire.frames import encode_stream_header


def closed_with(
    world: World, code: int, frame_type: int | None = None, ending: Ending | None = None
) -> None:
    """The client told the peer this code, and its own application the same."""
    close, event = world.peer.close, world.terminated
    assert close is not None, f"no CONNECTION_CLOSE; {event}"
    assert close[0] == code, f"{error_name(close[0])} {close[2]!r}, not {error_name(code)}"
    assert close[1] is not None, "a transport error travels in frame type 0x1c"
    assert close[2], "the error names what was wrong"
    if frame_type is not None:
        assert close[1] == frame_type, f"frame type {close[1]:#x}, not {frame_type:#x}"
    assert event is not None
    assert event.code == code
    assert event.reason
    if ending is None:
        ending = Ending.TLS_ERROR if code >= 0x100 else Ending.PROTOCOL_ERROR
    assert event.ending is ending


def goes_on(world: World) -> None:
    """The connection still carries data both ways."""
    assert world.terminated is None, world.terminated
    assert world.peer.close is None
    streams = world.client.streams
    stream_id = streams.open(True)
    assert stream_id >= 0
    assert streams.write(stream_id, b"still here") == 10
    streams.finish(stream_id)
    world.run_until(lambda: world.peer.stream(stream_id) == b"still here")
    deliver(world, stream_id, b"so am I")
    assert read(world, stream_id) == b"so am I"
    assert streams.at_end(stream_id)


def deliver(world: World, stream_id: int, data: bytes, fin: bool = True) -> None:
    """The peer writes into a stream."""
    world.attack(stream_frame(stream_id, 0, data, fin))


def stream_frame(stream_id: int, offset: int, data: bytes, fin: bool = False) -> bytes:
    return encode_stream_header(stream_id, offset, len(data), fin) + data


def read(world: World, stream_id: int) -> bytes:
    """All that the application can read from a stream now."""
    pieces = []
    while piece := world.client.streams.read(stream_id, 65536, world.now, 0.02):
        pieces.append(piece)
    return b"".join(pieces)


def released(world: World) -> list[object]:
    """Events by which an application would see data or a usable connection."""
    kinds = ("StreamReadable", "StreamOpened", "HandshakeCompleted")
    return [event for event in world.events if type(event).__name__ in kinds]


def dropped(world: World) -> int:
    """How many packets the client has counted as dropped."""
    statistics = world.client.statistics()
    return (
        statistics.dropped_malformed
        + statistics.dropped_unknown_id
        + statistics.dropped_unauthentic
        + statistics.dropped_duplicate
        + statistics.dropped_excessive
        + statistics.dropped_no_keys
        + statistics.dropped_unexpected
    )
