"""A client with small windows, for the tests of attacks on streams."""

from tests.peer.world import World
from trioquic._protocol.streams.config import StreamConfig

# Numbers of streams: client bidirectional and one-way, server bidirectional and one-way
OURS, OURS_UNI, THEIRS, THEIRS_UNI = 0, 2, 1, 3
STREAM_WINDOW, DATA_WINDOW, STREAMS = 10_000, 25_000, 5


def small(**changes: int) -> World:
    """A client with small windows, whose streams 0 and 2 are open."""
    config = StreamConfig(
        initial_max_data=DATA_WINDOW,
        initial_max_stream_data=STREAM_WINDOW,
        max_data_window=DATA_WINDOW,
        max_stream_window=STREAM_WINDOW,
        initial_max_streams_bidi=STREAMS,
        initial_max_streams_uni=STREAMS,
    )
    for name, value in changes.items():
        setattr(config, name, value)
    world = World(streams=config).connect()
    assert world.client.streams.open(True) == OURS
    assert world.client.streams.open(False) == OURS_UNI
    for stream_id in (OURS, OURS_UNI):
        world.client.streams.write(stream_id, b"hello")
    world.settle()
    return world
