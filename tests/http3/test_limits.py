"""What a server can make the client keep or do is bounded (RFC 9114 section 10.5)."""

from collections import Counter

import pylsqpack
import pytest
import trio
import trio.testing
from aioquic.quic import events
from hypothesis import given
from hypothesis import strategies as st

import trioquic
from trioquic import http3
from trioquic.http3 import ErrorCode
from trioquic.http3.frames import FrameReader, encode_frame
from trioquic.http3.section import MOST_FROM_TABLE, count_lines, most_repeats

from .scripts import DATA, OK, expect, frame, headers, reply
from .world import CONTROL, SETTINGS, URL, Script, greet, http_world

Clock = trio.testing.MockClock


def stops(script: Script) -> list[int]:
    return [e.error_code for e in script.log if isinstance(e, events.StopSendingReceived)]


@pytest.mark.parametrize(
    "first",
    [
        headers((b":status", b"200"), (b"a", b"x" * 900), (b"b", b"y" * 900)),
        headers((b":status", b"200"), *[(b"n", b"v")] * 60),
        frame(0x01, b"", length=8_000),
    ],
    ids=["large values", "many fields", "announced only"],
)
async def test_headers_larger_than_the_limit(autojump_clock: Clock, first: bytes) -> None:
    def answer(script: Script, stream_id: int) -> None:
        reply(*((first,) if stream_id == 0 else (OK, DATA)), end=stream_id > 0)(script, stream_id)

    config = http3.HTTP3Config(max_field_section_size=1800)
    async with http_world(answer=answer) as world, world.connect(config) as http:
        with pytest.raises(http3.FieldSectionTooLargeError):
            async with http.request("GET", URL + "/"):
                pytest.fail("the headers are too large")
        await trio.sleep(1)
        assert stops(world.scripts[0]) == [ErrorCode.H3_EXCESSIVE_LOAD]
        async with http.request("GET", URL + "/") as response:
            assert await response.read() == b"abc"


async def test_trailers_larger_than_the_limit(autojump_clock: Clock) -> None:
    config = http3.HTTP3Config(max_field_section_size=500)
    answer = reply(OK, DATA, headers((b"a", b"x" * 600)))
    async with http_world(answer=answer) as world, world.connect(config) as http:
        with pytest.raises(http3.FieldSectionTooLargeError):
            async with http.request("GET", URL + "/") as response:
                await response.read()


async def test_interim_responses_without_end(autojump_clock: Clock) -> None:
    answer = reply(*[headers((b":status", b"103"))] * 17, OK)
    async with http_world(answer=answer) as world, world.connect() as http:
        with pytest.raises(http3.HTTP3StreamError) as caught:
            async with http.request("GET", URL + "/"):
                pytest.fail("there are too many")
        assert caught.value.code == ErrorCode.H3_EXCESSIVE_LOAD


def repeats(section: bytes, capacity: int) -> int:
    return count_lines(section, capacity, len(section))[1]


def integer(value: int, bits: int, first: int) -> bytes:
    """An integer with a prefix of `bits` bits (RFC 7541 section 5.1)."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    data = bytearray([first | limit])
    value -= limit
    while value > 0x7F:
        data.append(0x80 | value & 0x7F)
        value >>= 7
    return bytes([*data, value])


@pytest.mark.parametrize("around", [False, True], ids=["one index", "indices around the circle"])
@pytest.mark.parametrize("capacity", [4096, 65_536])
async def test_a_table_entry_repeated_over_and_over_is_not_decompressed(
    autojump_clock: Clock, capacity: int, around: bool
) -> None:
    """A few kilobytes that would become megabytes. The decoder takes an index for the same entry as
    one that is less by twice the number of entries that the table can have."""
    size = capacity - 96
    times = MOST_FROM_TABLE // size + 2

    def greeting(script: Script) -> None:
        greet(script)
        value = integer(size, 7, 0) + b"x" * size
        script.uni(b"\x02" + integer(capacity, 5, 0x20) + b"\x41a" + value)

    # Required Insert Count 1, then the table's only entry again and again
    step = 2 * capacity // 32 if around else 0
    lines = b"".join(integer(number * step, 6, 0x80) for number in range(times))
    bomb = frame(0x01, b"\x02\x00" + lines)
    config = http3.HTTP3Config(qpack_table_capacity=capacity)
    async with http_world(greeting=greeting, answer=reply(bomb)) as world:
        async with world.connect(config) as http:
            with pytest.raises(http3.FieldSectionTooLargeError, match="over and over"):
                async with http.request("GET", URL + "/"):
                    pytest.fail("the headers are too large")


@pytest.mark.parametrize("resumed", [True, False])
async def test_a_response_that_waits_for_the_table(autojump_clock: Clock, resumed: bool) -> None:
    encoder = pylsqpack.Encoder()
    updates = encoder.apply_settings(4096, 16)
    fields = [(b":status", b"200"), (b"x-long-name", b"y" * 10)]
    for number in range(3):
        more, block = encoder.encode(4 * number, fields)
        updates += more
    assert repeats(block, 4096) == 1
    streams: list[int] = []

    def greeting(script: Script) -> None:
        greet(script)
        streams.append(script.uni(b"\x02"))

    async with http_world(greeting=greeting, answer=reply(frame(0x01, block))) as world:
        async with world.connect() as http:
            request = await http.open_request("GET", "https", "server.example", "/", end=True)
            with trio.move_on_after(1) as scope:
                await request.receive_response()
            assert scope.cancelled_caught
            if not resumed:
                request.cancel()
                await trio.sleep(1)
            script = world.scripts[0]
            script.quic.send_stream_data(streams[0], updates)
            world.world.server.connections[0].flush()
            if resumed:
                assert dict((await request.receive_response()).headers)[b"x-long-name"] == b"y" * 10
            else:
                await trio.sleep(1)
                with pytest.raises(trio.ClosedResourceError):
                    await request.receive_response()
                assert http.available


async def test_more_blocked_responses_than_allowed(autojump_clock: Clock) -> None:
    config = http3.HTTP3Config(qpack_blocked_streams=2)
    # it needs the first entry of a table that stays empty
    answer = reply(frame(0x01, b"\x02\x00\x80"))
    async with http_world(answer=answer) as world, world.connect(config) as http:
        codes = []

        async def get() -> None:
            with pytest.raises(http3.HTTP3ConnectionError) as caught:
                async with http.request("GET", URL + "/"):
                    pytest.fail("nothing to decode it with")
            codes.append(caught.value.code)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(get)
        assert codes == [ErrorCode.QPACK_DECOMPRESSION_FAILED] * 3


class Endless(trio.abc.ReceiveStream):
    """One DATA frame without end, as much of it as is asked for."""

    def __init__(self) -> None:
        self.given = 0

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        assert max_bytes is not None
        head = b"" if self.given else b"\x00\xff" + b"\xff" * 7
        self.given += max_bytes
        return head + bytes(max_bytes - len(head))

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("most", [1, 5_000, 1 << 20])
async def test_what_nobody_asked_for_stays_with_the_server(most: int) -> None:
    """A hundred responses whose readers pause keep little beside what flow control counts."""
    stream = Endless()
    reader = FrameReader(stream)
    assert await reader.frame(most) == 0
    taken = len(await reader.content(most))
    assert 0 < taken <= most
    assert stream.given - taken <= 4096 + 9
    while taken < 100_000:
        taken += len(await reader.content(most))
    assert stream.given - taken <= 4096 + 9


async def test_small_frames_are_put_together() -> None:
    """As if they had come one by one, whatever is between them and however much is asked for."""
    pieces = [b"", b"a", b"bc", b"d" * 63, b"e" * 64, b"f" * 3_000, b"g"]
    content = b"".join(pieces)
    frames = b"".join([encode_frame(0, piece) for piece in pieces])
    for most in (1, 2, 66, 131, 1000, 1 << 17):
        for data in (frames + OK, frames + frame(0x21, b"x") + frame(0x1234) + OK):
            for size in (1, 7, 100, 1 << 17):
                reader = FrameReader(Pieces(data, size))
                found = b""
                while (kind := await reader.frame(most)) == 0:
                    piece = await reader.content(most)
                    assert len(piece) <= most
                    found += piece
                assert found == content
                if kind == 0x21:
                    await reader.skip()
                    while (kind := await reader.frame()) == 0x1234:
                        await reader.skip()
                assert kind == 1
                assert await reader.whole() == OK[2:]
                assert await reader.frame() is None
            if most == 1:
                break


class Pieces(trio.abc.ReceiveStream):
    """Bytes that come in pieces of a size."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = data
        self._size = size

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        size = min(self._size, max_bytes or self._size)
        piece, self._data = self._data[:size], self._data[size:]
        return piece

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_the_servers_limit_for_our_headers(autojump_clock: Clock) -> None:
    def greeting(script: Script) -> None:
        script.uni(CONTROL + frame(0x04, b"\x06\x40\xff"))

    async with http_world(greeting=greeting, answer=reply(OK)) as world:
        async with world.connect() as http:
            await http.wait_settings()
            with pytest.raises(http3.FieldSectionTooLargeError):
                await http.open_request(
                    "GET", "https", "server.example", "/", [("cookie", "x" * 200)]
                )
            assert http.active_requests == 0
            async with http.request("GET", URL + "/") as response:
                assert response.status == 200


async def test_many_tiny_frames_let_other_tasks_run(autojump_clock: Clock) -> None:
    turns = 0
    answer = reply(OK, frame(0x21) * 600_000, DATA)
    # all of it comes before anything is read
    room = trioquic.TransportConfig(initial_max_stream_data=1 << 21, initial_max_data=1 << 21)
    async with http_world(answer=answer) as world, world.connect(transport=room) as http:

        async def count() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        async with http.request("GET", URL + "/") as response:
            async with trio.open_nursery() as nursery:
                await trio.sleep(5)
                nursery.start_soon(count)
                assert await response.read() == b"abc"
                nursery.cancel_scope.cancel()
    assert turns > 500


@pytest.mark.parametrize("settings", [SETTINGS])
async def test_control_frames_without_end_are_read_in_bounded_memory(
    autojump_clock: Clock, settings: bytes
) -> None:
    """An unknown frame of a gigabyte is passed over as it comes."""

    def greeting(script: Script) -> None:
        script.uni(CONTROL + settings + b"\x21\xc0\0\0\0\x40\0\0\0" + bytes(2_000_000))

    async with http_world(greeting=greeting, answer=reply(OK, DATA)) as world:
        async with world.connect() as http:
            async with http.request("GET", URL + "/") as response:
                assert await response.read() == b"abc"


async def test_settings_cut_by_the_end(autojump_clock: Clock) -> None:
    def greeting(script: Script) -> None:
        script.uni(CONTROL, end=True)

    async with http_world(greeting=greeting) as world:
        await expect(world, ErrorCode.H3_CLOSED_CRITICAL_STREAM)


FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"a", b"server", b"x-long-name", b":status", b"content-type"]),
        st.sampled_from([b"", b"200", b"text/html", b"y" * 300]),
    ),
    min_size=1,
    max_size=20,
)


@given(st.lists(FIELDS, min_size=1, max_size=8))
def test_references_are_counted_as_the_encoder_made_them(
    sections: list[list[tuple[bytes, bytes]]],
) -> None:
    """None before the table is allowed, and never more than there are fields of one name."""
    plain, encoder, decoder = pylsqpack.Encoder(), pylsqpack.Encoder(), pylsqpack.Decoder(4096, 16)
    decoder.feed_encoder(encoder.apply_settings(4096, 16))
    for number, fields in enumerate(sections):
        assert repeats(plain.encode(4 * number, fields)[1], 4096) == 0
        updates, block = encoder.encode(4 * number, fields)
        decoder.feed_encoder(updates)
        acknowledgement, back = decoder.feed_header(4 * number, block)
        assert back == fields
        encoder.feed_decoder(acknowledgement)
        most = max(Counter(name for name, _ in fields).values())
        assert repeats(block, 4096) <= most
        # a section's first byte is 0 exactly if it needs nothing of the table (RFC 9204, 4.5.1.1)
        assert (repeats(block, 4096) > 0) == (block[0] != 0)


@given(st.binary(max_size=200), st.sampled_from([0, 31, 4096, 65_536]))
def test_counting_ends_whatever_comes(data: bytes, capacity: int) -> None:
    assert 0 <= repeats(data, capacity) <= len(data)


def test_one_entry_has_two_names() -> None:
    """Before the base and behind it, in a circle of eight."""
    section = b"\x02\x00" + b"\x81" + b"\x16" + b"\x10" + integer(7, 6, 0x80)
    assert repeats(section, 4 * 32) == 2


def test_no_table_may_be_configured_that_is_too_large_for_the_bound() -> None:
    with pytest.raises(ValueError, match="qpack_table_capacity must be from 0 to 65536"):
        http3.HTTP3Config(qpack_table_capacity=65_537)
    for capacity in (0, 1, 4096, 65_536):
        assert capacity * most_repeats(capacity) <= MOST_FROM_TABLE
        # an honest response may have that many fields of one name
        assert most_repeats(capacity) >= 64
