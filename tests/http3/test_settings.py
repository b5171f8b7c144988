"""What both sides tell each other first, and what HTTP/3 needs of QUIC (RFC 9114, 6.2, 7.2.4)."""

import pytest
import trio
import trio.testing
from aioquic.h3 import connection as h3
from aioquic.quic import events

import trioquic
from trioquic import http3
from trioquic.http3.outbox import Outbox
from trioquic.http3.qpack import Encoder
from trioquic.httpx import HTTP3Transport

from .world import CONTROL, URL, http_world, say_nothing

Clock = trio.testing.MockClock


def is_reserved(identifier: int) -> bool:
    return identifier >= 0x21 and (identifier - 0x21) % 0x1F == 0


async def settings_of_a_client() -> dict[int, int]:
    """As the server reads them."""
    async with http_world(answer=say_nothing, greeting=lambda _: None) as world:
        async with world.connect():
            await trio.sleep(1)
        (control,) = [
            event.data
            for event in world.scripts[0].log
            if isinstance(event, events.StreamDataReceived) and event.data[:1] == CONTROL
        ]
    # the type of the frame, and a length of one byte
    assert control[1] == 0x04
    assert control[2] < 64
    return h3.parse_settings(control[3 : 3 + control[2]])


async def test_a_setting_that_means_nothing_is_sent(autojump_clock: Clock) -> None:
    """Section 7.2.4.1: one that servers do not know, another one each time."""
    found = set()
    for _ in range(3):
        settings = await settings_of_a_client()
        assert {0x01, 0x06, 0x07} < set(settings)
        (reserved,) = set(settings) - {0x01, 0x06, 0x07}
        assert is_reserved(reserved)
        found.add((reserved, settings[reserved]))
    assert len(found) == 3


@pytest.mark.parametrize("streams", [0, 2])
async def test_the_server_needs_three_streams(autojump_clock: Clock, streams: int) -> None:
    """Section 6.2: control, and two of QPACK's. Without them it could not even begin."""
    few = trioquic.TransportConfig(max_streams_uni=streams)
    async with http_world() as world:
        with pytest.raises(ValueError, match=r"max_streams_uni.*9114 section 6\.2"):
            async with world.connect(transport=few):
                pytest.fail("HTTP/3 was begun")
        enough = trioquic.TransportConfig(max_streams_uni=3)
        async with world.connect(transport=enough) as http:
            assert http.quic.transport is enough
            async with http.request("GET", URL + "/bytes/3") as response:
                assert len(await response.read()) == 3
    with pytest.raises(ValueError, match="max_streams_uni"):
        http3.Client(transport=few)
    with pytest.raises(ValueError, match="max_streams_uni"):
        HTTP3Transport(transport=few)


def test_until_settings_come_the_defaults_count() -> None:
    """Also for early data (section 7.2.4.2): nothing is kept from one connection to the next, so
    no table is used, and no limit known."""
    outbox = Outbox(b"")
    outbox._queue.clear()
    encoder = Encoder(http3.HTTP3Config(), outbox)
    fields = [(b"x-kind", b"comes again and again"), (b"large", bytes(1 << 15))]
    for stream_id in range(0, 40, 4):
        section = encoder.encode(stream_id, fields)
        # no entry of the dynamic table is needed (RFC 9204 section 4.5.1.1)
        assert section[0] == 0
    assert not outbox._queue
