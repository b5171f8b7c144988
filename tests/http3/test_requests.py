"""Requests and responses with a good server: content both ways, in parallel, across paths."""

import hashlib
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_server import pattern
from trioquic import TransportConfig, http3

from .world import AUTHORITY, URL, http_world

Clock = trio.testing.MockClock


async def get(http: http3.HTTP3Connection, path: str) -> bytes:
    async with http.request("GET", URL + path) as response:
        assert response.status == 200
        return await response.read()


async def test_a_hundred_requests_at_once(autojump_clock: Clock) -> None:
    received: dict[int, bytes] = {}

    async def one(number: int) -> None:
        received[number] = await get(http, f"/bytes/{number * 37}")

    async with http_world() as world, world.connect() as http:
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(one, number)
        assert http.active_requests == 0
    assert received == {number: pattern(number * 37) for number in range(100)}
    assert len(world.applications) == 1


async def test_the_dynamic_table_is_used_both_ways(autojump_clock: Clock) -> None:
    fields = [("x-request-kind", "a header that comes again and again")]
    async with http_world() as world, world.connect() as http:
        await http.wait_settings()
        for _ in range(5):
            async with http.request("GET", URL + "/headers", headers=fields) as response:
                assert b"x-request-kind: a header that comes again" in await response.read()
            await trio.sleep(0.2)
        sizes = list(world.applications[0].sizes.values())
        assert sizes[-1] < sizes[0] / 2


@pytest.mark.parametrize(
    ("user", "more", "sent"),
    [
        ("me:s%40cret@", [], b"authorization: Basic bWU6c0BjcmV0"),
        ("me@", [], b"authorization: Basic bWU6"),
        ("me:secret@", [("Authorization", "Bearer x")], b"authorization: Bearer x"),
        ("m%ff:%FF@", [], b"authorization: Basic bf86/w=="),
        ("@", [], None),
        (":@", [], None),
        ("", [], None),
    ],
)
async def test_the_user_that_a_url_names(
    autojump_clock: Clock, user: str, more: list[tuple[str, str]], sent: bytes | None
) -> None:
    url = URL.replace("https://", f"https://{user}") + "/headers"
    async with http_world() as world, world.connect() as http:
        async with http.request("GET", url, headers=more) as response:
            lines = (await response.read()).splitlines()
        found = [line for line in lines if line.startswith(b"authorization")]
        assert found == ([] if sent is None else [sent])


async def test_content_that_may_be_changed(autojump_clock: Clock) -> None:
    async with http_world() as world, world.connect() as http:
        for given in (bytearray(b"content"), memoryview(b"content")):
            async with http.request("POST", URL + "/echo", content=given) as response:
                assert await response.read() == b"content"


async def test_content_goes_up(autojump_clock: Clock) -> None:
    content = pattern(300_000)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(content), 7000):
            yield content[at : at + 7000]

    async with http_world() as world, world.connect() as http:
        for given in (content, pieces()):
            async with http.request("POST", URL + "/digest", content=given) as response:
                assert await response.read() == hashlib.sha256(content).hexdigest().encode()
        exchanges = list(world.applications[0].exchanges.values())
    assert exchanges[0].headers[b"content-length"] == b"300000"
    assert b"content-length" not in exchanges[1].headers


async def test_both_ways_at_once(autojump_clock: Clock) -> None:
    """Each piece is sent only when the answer to the one before has come."""
    send, receive = trio.open_memory_channel[bytes](0)
    async with http_world() as world, world.connect() as http:
        async with http.request("POST", URL + "/echo", content=receive) as response:
            async with send:
                for number in range(10):
                    await send.send(b"%d" % number)
                    assert await response.receive_some() == b"%d" % number
            assert await response.read() == b""


async def test_an_answer_before_the_content_stops_it(autojump_clock: Clock) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(10_000)

    async with http_world() as world, world.connect() as http:
        async with http.request("POST", URL + "/early", content=endless()) as response:
            assert await response.read() == b"enough"
    assert taken > 1


async def test_content_that_fails_cancels_the_request(autojump_clock: Clock) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"a part"
        raise ZeroDivisionError

    async with http_world() as world, world.connect() as http:
        with pytest.raises(ZeroDivisionError):
            async with http.request("POST", URL + "/digest", content=failing()):
                pytest.fail("there is no response")
        await trio.sleep(1)
        application = world.applications[0]
        assert list(application.resets.values()) == [http3.ErrorCode.H3_REQUEST_CANCELLED]
        assert await get(http, "/bytes/5") == pattern(5)


async def test_interim_responses_and_trailers(autojump_clock: Clock) -> None:
    async with http_world() as world, world.connect() as http:
        async with http.request("GET", URL + "/interim") as response:
            assert [head.status for head in response.informational] == [103]
            assert response.informational[0].headers[0][0] == b"link"
        async with http.request("GET", URL + "/trailers") as response:
            assert response.trailers == ()
            content = await response.read()
            assert dict(response.trailers) == {
                b"checksum": hashlib.sha256(content).hexdigest().encode()
            }
        request = await http.open_request("POST", "https", AUTHORITY, "/digest")
        await request.send_data(b"abc")
        await request.send_trailers([("X-Sum", "1")])
        assert (await request.receive_response()).status == 200
        assert world.applications[0].exchanges[request.stream_id].trailers == [(b"x-sum", b"1")]


async def test_a_reader_that_waits_holds_the_server_back(autojump_clock: Clock) -> None:
    transport = TransportConfig(
        initial_max_data=100_000,
        initial_max_stream_data=50_000,
        max_data=100_000,
        max_stream_data=50_000,
    )
    async with http_world() as world, world.connect(transport=transport) as http:
        async with http.request("GET", URL + "/bytes/400000") as response:
            await trio.sleep(60)
            # nobody reads, so no more than the stream's window is sent
            sent = world.applications[0].quic._streams[0].sender.highest_offset
            assert sent <= 50_000
            assert await response.read() == pattern(400_000)


async def test_a_server_that_does_not_read_holds_the_content_back(autojump_clock: Clock) -> None:
    """As much is taken from the application as window and send buffer hold, no more."""
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(10_000)

    transport = TransportConfig(send_buffer=50_000)

    async with http_world() as world, world.connect(transport=transport) as http:
        world.world.server_interface.down()
        with trio.move_on_after(5):
            async with http.request("POST", URL + "/wait", content=endless()):
                pytest.fail("there is no response")
    assert taken <= 7


@pytest.mark.parametrize("code", [http3.ErrorCode.H3_REQUEST_REJECTED, 0x1234])
async def test_the_server_gives_up_on_a_request(autojump_clock: Clock, code: int) -> None:
    async with http_world() as world, world.connect() as http:
        rejected = code == http3.ErrorCode.H3_REQUEST_REJECTED
        with pytest.raises(http3.HTTP3StreamError) as caught:
            await get(http, f"/reset/{int(code)}")
        assert caught.value.code == code
        assert isinstance(caught.value, http3.RequestRejectedError) == rejected
        assert await get(http, "/bytes/3") == pattern(3)


async def test_cancelling_a_request_tells_the_server(autojump_clock: Clock) -> None:
    async with http_world() as world, world.connect() as http:
        with trio.move_on_after(1):
            await get(http, "/wait")
        assert http.active_requests == 0
        await trio.sleep(1)
        assert world.applications[0].stops == {0: http3.ErrorCode.H3_REQUEST_CANCELLED}


async def test_a_request_can_be_cancelled_while_another_task_waits(autojump_clock: Clock) -> None:
    async with http_world() as world, world.connect() as http:
        request = await http.open_request("GET", "https", AUTHORITY, "/wait", end=True)
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await request.receive_response()

            nursery.start_soon(wait)
            await trio.sleep(0.5)
            request.cancel()
        with pytest.raises(trio.ClosedResourceError):
            await request.receive_data()


async def test_waiting_for_a_response_can_be_cancelled_and_taken_up_again(
    autojump_clock: Clock,
) -> None:
    async with http_world() as world, world.connect() as http:
        request = await http.open_request("GET", "https", AUTHORITY, "/bytes/100000", end=True)
        content = bytearray()
        cuts = 0
        async with request:
            while True:
                with trio.move_on_after(0.003) as scope:
                    piece = await request.receive_data(999)
                    content += piece
                    if not piece:
                        break
                cuts += scope.cancelled_caught
        assert content == pattern(100_000)
        assert cuts > 3


@pytest.mark.parametrize("how", ["fault", "close", "reset", "own"])
async def test_waiting_for_the_end_tells_the_cause(autojump_clock: Clock, how: str) -> None:
    """What new requests raise from then on."""
    async with http_world() as world, world.connect() as http:
        await get(http, "/bytes/1")
        application = world.applications[0]
        quic = application.quic
        if how == "fault":
            quic.send_stream_data(quic.get_next_available_stream_id(True), b"\x01")
        elif how == "close":
            quic.close(error_code=http3.ErrorCode.H3_INTERNAL_ERROR, reason_phrase="no more")
        elif how == "reset":
            quic.close(error_code=1, frame_type=0, reason_phrase="no more")
        else:
            await http.quic.aclose()
        application.connection.flush()
        cause = await http.wait_closed()
        with pytest.raises(type(cause)) as caught:
            await get(http, "/bytes/1")
        assert str(caught.value) == str(cause)
        assert caught.value is not cause
        expected = {
            "fault": (http3.HTTP3ConnectionError, "H3_ID_ERROR"),
            "close": (trioquic.PeerClosedError, "no more"),
            "reset": (trioquic.PeerClosedError, "INTERNAL_ERROR"),
            "own": (trio.ClosedResourceError, "this side"),
        }[how]
        assert isinstance(cause, expected[0])
        assert expected[1] in str(cause)


async def test_priorities(autojump_clock: Clock) -> None:
    async with http_world() as world, world.connect() as http:
        request = await http.open_request(
            "GET",
            "https",
            AUTHORITY,
            "/wait",
            end=True,
            priority=http3.Priority(urgency=1, incremental=True),
        )
        request.set_priority(http3.Priority(urgency=5))
        await trio.sleep(1)
        application = world.applications[0]
        assert application.exchanges[0].headers[b"priority"] == b"u=1, i"


async def test_extended_connect_needs_the_server(autojump_clock: Clock) -> None:
    async with http_world() as world, world.connect() as http:
        assert (await http.wait_settings()).enable_connect_protocol
        request = await http.open_request(
            "CONNECT", "https", AUTHORITY, "/wait", protocol="websocket"
        )
        await trio.sleep(1)
        headers = world.applications[0].exchanges[request.stream_id].headers
        assert headers[b":protocol"] == b"websocket"
        request.cancel()


async def test_leaving_the_block_closes_the_connection(autojump_clock: Clock) -> None:
    async with http_world() as world:
        async with world.connect() as http:
            request = await http.open_request("GET", "https", AUTHORITY, "/wait", end=True)
        with pytest.raises(trio.ClosedResourceError):
            await request.receive_response()
        connection = world.applications[0].connection
        await connection.closed.wait()
        assert connection.terminated is not None
        assert connection.terminated.error_code == http3.ErrorCode.H3_NO_ERROR


async def test_exceptions_of_the_block_come_out_unchanged(autojump_clock: Clock) -> None:
    async with http_world() as world:
        error = ZeroDivisionError()

        async def fail() -> None:
            async with world.connect() as http, http.request("GET", URL + "/bytes/10"):
                raise error

        with pytest.raises(ZeroDivisionError) as caught:
            await fail()
        assert caught.value is error


async def test_a_lost_connection_is_what_everyone_gets(autojump_clock: Clock) -> None:
    async with http_world() as world, world.connect() as http:
        async with http.request("GET", URL + "/bytes/10") as response:
            await response.read()
        connection = world.applications[0].connection
        connection.quic.close(error_code=http3.ErrorCode.H3_INTERNAL_ERROR, reason_phrase="bye")
        connection.flush()
        await http.wait_closed()
        assert not http.available
        for _ in range(2):
            with pytest.raises(trio.BrokenResourceError) as caught:
                await get(http, "/bytes/1")
            assert caught.value.code == http3.ErrorCode.H3_INTERNAL_ERROR  # type: ignore[attr-defined]


async def test_requests_go_on_over_another_path(autojump_clock: Clock) -> None:
    async with http_world() as world, world.connect() as http:
        await http.quic.wait_handshake_confirmed()
        async with http.request("GET", URL + "/bytes/3000000") as response:
            content = bytearray(await response.receive_some())
            path = await http.quic.migrate(interface="wwan0")
            content += await response.read()
        assert http.quic.active_path is path
    assert content == pattern(3_000_000)


@pytest.mark.parametrize(
    "headers",
    [
        [("connection", "close")],
        [("bad name", "x")],
        [("x", "a\r\nb: c")],
        [("x", "\0")],
        [("te", "gzip")],
        [(":path", "/other")],
        [("transfer-encoding", "chunked")],
    ],
)
async def test_fields_that_http3_does_not_know(
    autojump_clock: Clock, headers: http3.HeaderTypes
) -> None:
    async with http_world() as world, world.connect() as http:
        with pytest.raises(ValueError):
            await http.open_request("GET", "https", AUTHORITY, "/", headers)
        assert http.active_requests == 0
