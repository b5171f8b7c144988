"""A server that breaks HTTP/3 gets the error that RFC 9114 and RFC 9204 name for it.

Each case is a script; the client's error and the code on the wire are both looked at.
"""

import pytest
import trio
import trio.testing
from aioquic.quic import events

from trioquic import http3
from trioquic.http3 import ErrorCode

from .scripts import DATA, OK, TRAILERS, Answer, Greeting, expect, frame, headers, reply, section
from .world import CONTROL, SETTINGS, URL, Script, greet, http_world, say_nothing

Clock = trio.testing.MockClock


def control(*frames: bytes, end: bool = False) -> Greeting:
    """A control stream with these frames."""

    def greeting(script: Script) -> None:
        script.uni(CONTROL + b"".join(frames), end=end)

    return greeting


def also(*streams: bytes, end: bool = False) -> Greeting:
    """A good control stream, and more streams."""

    def greeting(script: Script) -> None:
        greet(script)
        for data in streams:
            script.uni(data, end=end)

    return greeting


def reset_control(script: Script, stream_id: int) -> None:
    script.quic.reset_stream(3, 0)


def bidirectional(script: Script) -> None:
    greet(script)
    script.quic.send_stream_data(script.quic.get_next_available_stream_id(), b"GET")


STREAM_FAULTS: dict[str, tuple[Greeting, ErrorCode]] = {
    "a control stream without SETTINGS": (
        control(frame(0x07, b"\0")),
        ErrorCode.H3_MISSING_SETTINGS,
    ),
    "an unknown frame before SETTINGS": (
        control(frame(0x21), SETTINGS),
        ErrorCode.H3_MISSING_SETTINGS,
    ),
    "SETTINGS twice": (control(SETTINGS, SETTINGS), ErrorCode.H3_FRAME_UNEXPECTED),
    "a setting twice": (control(frame(0x04, b"\x06\x01\x06\x01")), ErrorCode.H3_SETTINGS_ERROR),
    **{
        f"HTTP/2's setting {number}": (
            control(frame(0x04, bytes((number, 0)))),
            ErrorCode.H3_SETTINGS_ERROR,
        )
        for number in (0, 2, 3, 4, 5)
    },
    "ENABLE_CONNECT_PROTOCOL 2": (control(frame(0x04, b"\x08\x02")), ErrorCode.H3_SETTINGS_ERROR),
    "H3_DATAGRAM 2": (control(frame(0x04, b"\x33\x02")), ErrorCode.H3_SETTINGS_ERROR),
    "half a setting": (control(frame(0x04, b"\x06")), ErrorCode.H3_FRAME_ERROR),
    "SETTINGS without end": (
        control(frame(0x04, bytes(100), length=1 << 20)),
        ErrorCode.H3_EXCESSIVE_LOAD,
    ),
    "DATA on the control stream": (control(SETTINGS, DATA), ErrorCode.H3_FRAME_UNEXPECTED),
    "HEADERS on the control stream": (control(SETTINGS, OK), ErrorCode.H3_FRAME_UNEXPECTED),
    "PUSH_PROMISE on the control stream": (
        control(SETTINGS, frame(0x05, b"\0")),
        ErrorCode.H3_FRAME_UNEXPECTED,
    ),
    "MAX_PUSH_ID to a client": (
        control(SETTINGS, frame(0x0D, b"\0")),
        ErrorCode.H3_FRAME_UNEXPECTED,
    ),
    "PRIORITY_UPDATE to a client": (
        control(SETTINGS, frame(0xF0700, b"\0u=1")),
        ErrorCode.H3_FRAME_UNEXPECTED,
    ),
    "CANCEL_PUSH of no push": (control(SETTINGS, frame(0x03, b"\0")), ErrorCode.H3_ID_ERROR),
    **{
        f"HTTP/2's frame {kind}": (control(SETTINGS, frame(kind)), ErrorCode.H3_FRAME_UNEXPECTED)
        for kind in (0x02, 0x06, 0x08, 0x09)
    },
    "GOAWAY with a server's stream": (
        control(SETTINGS, frame(0x07, b"\x01")),
        ErrorCode.H3_ID_ERROR,
    ),
    "GOAWAY that goes up": (
        control(SETTINGS, frame(0x07, b"\x04"), frame(0x07, b"\x08")),
        ErrorCode.H3_ID_ERROR,
    ),
    "GOAWAY with more in it": (
        control(SETTINGS, frame(0x07, b"\x04\x04")),
        ErrorCode.H3_FRAME_ERROR,
    ),
    "an empty GOAWAY": (control(SETTINGS, frame(0x07)), ErrorCode.H3_FRAME_ERROR),
    "a GOAWAY too long": (control(SETTINGS, frame(0x07, bytes(9))), ErrorCode.H3_FRAME_ERROR),
    "a frame that the end cuts off": (
        control(SETTINGS, frame(0x07, b"\x04", length=2), end=True),
        ErrorCode.H3_FRAME_ERROR,
    ),
    "the end of the control stream": (
        control(SETTINGS, end=True),
        ErrorCode.H3_CLOSED_CRITICAL_STREAM,
    ),
    "the end of the encoder stream": (
        also(b"\x02", end=True),
        ErrorCode.H3_CLOSED_CRITICAL_STREAM,
    ),
    "the end of the decoder stream": (
        also(b"\x03", end=True),
        ErrorCode.H3_CLOSED_CRITICAL_STREAM,
    ),
    "a second control stream": (also(CONTROL), ErrorCode.H3_STREAM_CREATION_ERROR),
    "a second encoder stream": (also(b"\x02", b"\x02"), ErrorCode.H3_STREAM_CREATION_ERROR),
    "a second decoder stream": (also(b"\x03", b"\x03"), ErrorCode.H3_STREAM_CREATION_ERROR),
    "a bidirectional stream": (bidirectional, ErrorCode.H3_STREAM_CREATION_ERROR),
    "a push stream": (also(b"\x01\x00"), ErrorCode.H3_ID_ERROR),
    # RFC 9204 section 4.3: a duplicate of an entry that does not exist
    "a bad encoder instruction": (also(b"\x02\x05"), ErrorCode.QPACK_ENCODER_STREAM_ERROR),
    # a table larger than was allowed
    "a table too large": (
        also(b"\x02\x3f\xff\xff\x7f"),
        ErrorCode.QPACK_ENCODER_STREAM_ERROR,
    ),
    # section 4.4.3: an increment of 0
    "a bad decoder instruction": (also(b"\x03\x00"), ErrorCode.QPACK_DECODER_STREAM_ERROR),
}

RESPONSE_FAULTS: dict[str, tuple[Answer, ErrorCode]] = {
    "a reset of the control stream": (reset_control, ErrorCode.H3_CLOSED_CRITICAL_STREAM),
    "DATA before HEADERS": (reply(DATA), ErrorCode.H3_FRAME_UNEXPECTED),
    "HEADERS after the trailers": (reply(OK, DATA, TRAILERS, OK), ErrorCode.H3_FRAME_UNEXPECTED),
    "DATA after the trailers": (reply(OK, TRAILERS, DATA), ErrorCode.H3_FRAME_UNEXPECTED),
    "PUSH_PROMISE": (reply(frame(0x05, b"\0" + section((b":path", b"/")))), ErrorCode.H3_ID_ERROR),
    **{
        f"frame {kind:#x}": (reply(OK, frame(kind, b"\0")), ErrorCode.H3_FRAME_UNEXPECTED)
        for kind in (0x02, 0x03, 0x04, 0x06, 0x07, 0x08, 0x09, 0x0D, 0xF0700, 0xF0701)
    },
    "a frame that the end cuts off": (
        reply(OK, frame(0x00, b"abc", length=4)),
        ErrorCode.H3_FRAME_ERROR,
    ),
    "a frame header that the end cuts off": (reply(OK, b"\x00"), ErrorCode.H3_FRAME_ERROR),
    "HEADERS that the end cuts off": (
        reply(frame(0x01, b"\0\0", length=3)),
        ErrorCode.H3_FRAME_ERROR,
    ),
    "a bad field section": (
        reply(frame(0x01, b"\0\0\xff\xff")),
        ErrorCode.QPACK_DECOMPRESSION_FAILED,
    ),
    "an empty field section": (reply(frame(0x01)), ErrorCode.QPACK_DECOMPRESSION_FAILED),
    # by hand: :status 200 of the static table, then a literal name of length 0
    "an empty name": (
        reply(frame(0x01, b"\0\0\xd9\x20\x01x")),
        ErrorCode.QPACK_DECOMPRESSION_FAILED,
    ),
}

MALFORMED: dict[str, Answer] = {
    "no status": reply(headers((b"server", b"x"))),
    "an empty head": reply(headers()),
    "status after a field": reply(headers((b"server", b"x"), (b":status", b"200"))),
    "two statuses": reply(headers((b":status", b"200"), (b":status", b"200"))),
    "a request's pseudo-header": reply(headers((b":status", b"200"), (b":path", b"/"))),
    "an unknown pseudo-header": reply(headers((b":status", b"200"), (b":x", b"/"))),
    "status 20": reply(headers((b":status", b"20"))),
    "status 2xx": reply(headers((b":status", b"2xx"))),
    "status 099": reply(headers((b":status", b"099"))),
    "status 101": reply(headers((b":status", b"101"))),
    "an upper-case name": reply(headers((b":status", b"200"), (b"Server", b"x"))),
    "a name with a space": reply(headers((b":status", b"200"), (b"a b", b"x"))),
    "a value with a line end": reply(headers((b":status", b"200"), (b"a", b"x\r\nb: c"))),
    "a value with NUL": reply(headers((b":status", b"200"), (b"a", b"\0"))),
    "a status with a space": reply(headers((b":status", b"200 "))),
    "a name with a space behind it": reply(headers((b":status", b"200"), (b"a ", b"x"))),
    "blanks and a line end": reply(headers((b":status", b"200"), (b"a", b" x \r"))),
    "blanks and NUL": reply(headers((b":status", b"200"), (b"a", b"\0\t"))),
    "a vertical tab at the edge": reply(headers((b":status", b"200"), (b"a", b"\x0bx"))),
    "DEL at the edge": reply(headers((b":status", b"200"), (b"a", b"x\x7f"))),
    "a trailer with a line end at the edge": reply(OK, DATA, headers((b"a", b"x\n"))),
    "a connection's field": reply(headers((b":status", b"200"), (b"connection", b"close"))),
    "transfer-encoding": reply(headers((b":status", b"200"), (b"transfer-encoding", b"chunked"))),
    "a pseudo-header in the trailers": reply(OK, headers((b":status", b"200"))),
    "content longer than it says": reply(
        headers((b":status", b"200"), (b"content-length", b"2")), DATA
    ),
    "content shorter than it says": reply(
        headers((b":status", b"200"), (b"content-length", b"4")), DATA
    ),
    "content-length twice": reply(
        headers((b":status", b"200"), (b"content-length", b"3"), (b"content-length", b"4")), DATA
    ),
    "a content-length that is no number": reply(
        headers((b":status", b"200"), (b"content-length", b"+3")), DATA
    ),
    "content where there is none": reply(headers((b":status", b"204")), DATA),
    "nothing": reply(),
    "an interim response only": reply(headers((b":status", b"103"))),
}


@pytest.mark.parametrize("name", STREAM_FAULTS)
async def test_faults_of_the_servers_streams(autojump_clock: Clock, name: str) -> None:
    greeting, code = STREAM_FAULTS[name]
    async with http_world(greeting=greeting, answer=say_nothing) as world:
        await expect(world, code)


@pytest.mark.parametrize("name", RESPONSE_FAULTS)
async def test_faults_of_a_response(autojump_clock: Clock, name: str) -> None:
    answer, code = RESPONSE_FAULTS[name]
    async with http_world(answer=answer) as world:
        await expect(world, code)


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_response_fails_alone(autojump_clock: Clock, name: str) -> None:
    bad = MALFORMED[name]

    def answer(script: Script, stream_id: int) -> None:
        (bad if stream_id == 0 else reply(OK, DATA))(script, stream_id)

    async with http_world(answer=answer) as world, world.connect() as http:
        with pytest.raises(http3.MalformedResponseError) as caught:
            async with http.request("GET", URL + "/") as response:
                await response.read()
        assert caught.value.code == ErrorCode.H3_MESSAGE_ERROR
        async with http.request("GET", URL + "/") as response:
            assert await response.read() == b"abc"


async def test_blanks_at_the_edge_of_a_value_are_none_of_it(autojump_clock: Clock) -> None:
    """RFC 9110 section 5.5: whoever reads a field takes them away, in trailers as well."""
    fields = ((b"server", b" x\t y \t"), (b"a", b" \t"), (b"content-length", b"3 "))
    interim = headers((b":status", b"103"), (b"link", b" </style.css> "))
    head, trailers = headers((b":status", b"200"), *fields), headers((b"checksum", b"\t1 "))

    async with http_world(answer=reply(interim, head, DATA, trailers)) as world:
        async with world.connect() as http:
            async with http.request("GET", URL + "/") as response:
                assert await response.read() == b"abc"
                assert response.headers == (
                    (b"server", b"x\t y"),
                    (b"a", b""),
                    (b"content-length", b"3"),
                )
                assert response.informational[0].headers == ((b"link", b"</style.css>"),)
                assert response.trailers == ((b"checksum", b"1"),)


async def test_what_is_unknown_is_passed_over(autojump_clock: Clock) -> None:
    """RFC 9114 section 9: unknown frames, streams and settings mean nothing."""
    greeting = also(b"\x21" + bytes(1000), b"\x40\x7f")
    unknown = frame(0x21, bytes(100_000)) + frame(0x1F * 9 + 0x21)

    def greet_oddly(script: Script) -> None:
        script.uni(CONTROL + frame(0x04, b"\x21\x05") + unknown)
        script.uni(b"\x21" + bytes(1000))

    answer = reply(unknown, headers((b":status", b"103")), unknown, OK, unknown, DATA, unknown)
    for each in (greeting, greet_oddly):
        async with http_world(greeting=each, answer=answer) as world, world.connect() as http:
            async with http.request("GET", URL + "/") as response:
                assert await response.read() == b"abc"
            await trio.sleep(1)
            stops = [
                event.error_code
                for event in world.scripts[0].log
                if isinstance(event, events.StopSendingReceived)
            ]
            assert ErrorCode.H3_STREAM_CREATION_ERROR in stops


async def test_a_server_that_stops_our_control_stream(autojump_clock: Clock) -> None:
    """It is seen when there is something to say on it."""
    async with http_world(greeting=greet) as world, world.connect() as http:
        request = await http.open_request("GET", "https", "server.example", "/", end=True)
        await trio.sleep(1)
        # our own streams begin in no fixed order
        came = [e for e in world.scripts[0].log if isinstance(e, events.StreamDataReceived)]
        (control,) = {event.stream_id for event in came if event.data[:1] == CONTROL}
        server = world.world.server.connections[0]
        server.quic.stop_stream(control, 0)
        server.flush()
        await trio.sleep(1)
        request.set_priority(http3.Priority(urgency=1))
        await http.wait_closed()
        with pytest.raises(http3.HTTP3ConnectionError) as caught:
            await request.receive_response()
        assert caught.value.code == ErrorCode.H3_CLOSED_CRITICAL_STREAM


async def test_frames_in_pieces(autojump_clock: Clock) -> None:
    whole = headers((b":status", b"103")) + OK + frame(0x21, b"x") + DATA + DATA + TRAILERS

    async with http_world() as world, world.connect() as http:
        async with trio.open_nursery() as nursery:

            async def get() -> None:
                async with http.request("GET", URL + "/wait") as response:
                    assert await response.read() == b"abcabc"
                    assert response.trailers == ((b"checksum", b"1"),)

            nursery.start_soon(get)
            await trio.sleep(1)
            connection = world.applications[0].connection
            for number, byte in enumerate(whole):
                connection.quic.send_stream_data(0, bytes([byte]), number == len(whole) - 1)
                connection.flush()
                await trio.sleep(0.1)
