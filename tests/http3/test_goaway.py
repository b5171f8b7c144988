"""A server that goes away, and requests that it says it did nothing for (RFC 9114 section 5.2).

Servers are known that name the last request so though they answer it. What has come of a response
counts, whether anybody has looked at it or not.
"""

import hashlib

import pytest
import trio
import trio.testing

import trioquic
from trioquic import http3

from .test_client import visited
from .test_requests import get
from .world import AUTHORITY, HTTPWorld, http_world

Clock = trio.testing.MockClock


def goaway(world: HTTPWorld, stream_id: int) -> None:
    """Let the server say that it processes nothing from this stream on; nothing is flushed yet."""
    application = world.applications[0]
    assert application.http is not None
    control = application.http._local_control_stream_id
    assert control is not None
    application.quic.send_stream_data(control, bytes((7, 1, stream_id)))


async def test_goaway(autojump_clock: Clock) -> None:
    async with http_world() as world, world.connect() as http:
        first = await http.open_request("GET", "https", AUTHORITY, "/wait", end=True)
        async with trio.open_nursery() as nursery:

            async def rejected() -> None:
                with pytest.raises(http3.RequestRejectedError):
                    await get(http, "/wait")

            nursery.start_soon(rejected)
            await trio.sleep(1)
            application = world.applications[0]
            assert application.http is not None
            goaway(world, 4)
            application.connection.flush()
        assert not http.available
        with pytest.raises(http3.RequestRejectedError):
            await get(http, "/bytes/1")
        with trio.move_on_after(1) as scope:
            await http.wait_closed()
        assert scope.cancelled_caught
        # the first request is allowed to finish
        application.http.send_headers(0, [(b":status", b"204")], end_stream=True)
        application.connection.flush()
        assert (await first.receive_response()).status == 204
        assert await first.receive_data() == b""
        assert isinstance(await http.wait_closed(), http3.RequestRejectedError)


@pytest.mark.parametrize("read", [True, False])
async def test_goaway_for_a_response_that_has_begun(autojump_clock: Clock, read: bool) -> None:
    """It goes on, whatever the server says; also if nobody has looked at it yet."""
    async with http_world() as world, world.connect() as http:
        request = await http.open_request("GET", "https", AUTHORITY, "/wait", end=True)
        await trio.sleep(1)
        application = world.applications[0]
        assert application.http is not None
        application.http.send_headers(0, [(b":status", b"200"), (b"content-length", b"6")])
        application.http.send_data(0, b"abc", False)
        if read:
            application.connection.flush()
            assert (await request.receive_response()).status == 200
        goaway(world, 0)
        application.connection.flush()
        await trio.sleep(1)
        assert not http.available
        application.http.send_data(0, b"def", True)
        application.connection.flush()
        assert (await request.receive_response()).status == 200
        content = await request.receive_data()
        while piece := await request.receive_data():
            content += piece
        assert content == b"abcdef"


async def test_goaway_together_with_the_response(autojump_clock: Clock) -> None:
    """In one datagram, in any order, while somebody waits."""
    async with http_world() as world, world.connect() as http:
        request = await http.open_request("GET", "https", AUTHORITY, "/wait", end=True)
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                assert (await request.receive_response()).status == 204

            nursery.start_soon(receive)
            await trio.sleep(1)
            goaway(world, 0)
            application = world.applications[0]
            assert application.http is not None
            application.http.send_headers(0, [(b":status", b"204")], end_stream=True)
            application.connection.flush()


async def test_a_second_goaway_gives_those_that_it_names_a_moment_of_their_own(
    autojump_clock: Clock,
) -> None:
    """Section 5.2: a server may name more and more. One task rejects them all."""
    async with http_world() as world, world.connect() as http:
        requests = [
            await http.open_request("GET", "https", AUTHORITY, "/wait", end=True) for _ in range(3)
        ]
        await trio.sleep(1)
        application = world.applications[0]
        assert application.http is not None
        for stream_id in (8, 4):
            goaway(world, stream_id)
            application.connection.flush()
            await trio.sleep(0.03)
        # later than the first one allows, soon enough for the second
        application.http.send_headers(4, [(b":status", b"204")], end_stream=True)
        application.connection.flush()
        await trio.sleep(1)
        assert (await requests[1].receive_response()).status == 204
        with pytest.raises(http3.RequestRejectedError):
            await requests[2].receive_response()
        goaway(world, 0)
        application.connection.flush()
        with pytest.raises(http3.RequestRejectedError):
            await requests[0].receive_response()


class Loses:
    """A way on which a datagram of the server's gets lost: those sent while `losing`."""

    def __init__(self, world: HTTPWorld) -> None:
        self._link = world.world.wifi.link

    def __enter__(self) -> None:
        self._link.inbound.change(loss=1.0)

    def __exit__(self, *_: object) -> None:
        self._link.inbound.change(loss=0.0)


@pytest.mark.parametrize("rejected", ["by GOAWAY", "by a reset", "by both"])
async def test_what_lies_behind_a_gap_is_a_response_as_well(
    autojump_clock: Clock, rejected: str
) -> None:
    """The first bytes of the response are lost, and those behind them have come: nothing can be
    read, and yet the server has worked on the request. It must not be made again."""
    async with http_world() as world, world.connect() as http:
        request = await http.open_request("POST", "https", AUTHORITY, "/wait")
        await request.send_data(b"first")
        await trio.sleep(1)
        application = world.applications[0]
        assert application.http is not None
        with Loses(world):
            application.http.send_headers(0, [(b":status", b"200"), (b"content-length", b"3000")])
            application.connection.flush()
            await trio.sleep(0.005)
        # one packet, too few for the first one to be declared lost at once
        application.http.send_data(0, b"x" * 1000, False)
        if rejected != "by a reset":
            goaway(world, 0)
        application.connection.flush()
        await trio.sleep(0.03)
        if rejected != "by GOAWAY":
            application.quic.reset_stream(0, http3.ErrorCode.H3_REQUEST_REJECTED)
            application.connection.flush()
            with pytest.raises(http3.HTTP3StreamError) as caught:
                await request.receive_response()
            assert not isinstance(caught.value, http3.RequestRejectedError)
            return
        with Loses(world):
            # not before the GOAWAY is obeyed
            await trio.sleep(0.2)
        await request.send_data(b", second")
        application.http.send_data(0, b"x" * 2000, True)
        application.connection.flush()
        assert (await request.receive_response()).status == 200


@pytest.mark.parametrize(("late", "fine"), [(0.1, True), (0.4, False)])
async def test_goaway_overtakes_the_response_on_a_long_way(
    autojump_clock: Clock, late: float, fine: bool
) -> None:
    """By a part of the round trip, over a satellite; who is later has not answered."""
    async with http_world() as world:
        world.world.wifi.link.change(delay=0.3)
        async with world.connect() as http:
            request = await http.open_request("GET", "https", AUTHORITY, "/wait", end=True)

            async def receive() -> None:
                if fine:
                    assert (await request.receive_response()).status == 204
                else:
                    with pytest.raises(http3.RequestRejectedError):
                        await request.receive_response()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                await trio.sleep(2)
                application = world.applications[0]
                assert application.http is not None
                goaway(world, 0)
                application.connection.flush()
                await trio.sleep(late)
                application.http.send_headers(0, [(b":status", b"204")], end_stream=True)
                application.connection.flush()


async def test_who_has_begun_to_answer_did_something(autojump_clock: Clock) -> None:
    """RFC 9114 section 4.1.1: H3_REQUEST_REJECTED comes too late then to be believed."""
    async with http_world() as world, world.connect() as http:
        request = await http.open_request("GET", "https", AUTHORITY, "/wait", end=True)
        await trio.sleep(1)
        application = world.applications[0]
        assert application.http is not None
        application.http.send_headers(0, [(b":status", b"200")])
        application.connection.flush()
        assert (await request.receive_response()).status == 200
        application.quic.reset_stream(0, http3.ErrorCode.H3_REQUEST_REJECTED)
        application.connection.flush()
        with pytest.raises(http3.HTTP3StreamError) as caught:
            await request.receive_data()
        assert not isinstance(caught.value, http3.RequestRejectedError)


async def test_a_rejected_request_says_so_also_when_the_connection_is_closed(
    autojump_clock: Clock,
) -> None:
    """Whoever waits for the end of the connection may be faster than who waits for the response."""
    async with http_world() as world:
        async with world.connect() as http:
            request = await http.open_request("GET", "https", AUTHORITY, "/wait", end=True)
            await trio.sleep(1)
            goaway(world, 0)
            world.applications[0].connection.flush()
            await http.wait_closed()
        with pytest.raises(http3.RequestRejectedError):
            await request.receive_response()


@pytest.mark.parametrize("begun", ["before", "with", "after"])
async def test_the_content_goes_on_under_a_response_that_has_begun(
    autojump_clock: Clock, begun: str
) -> None:
    """Whoever sends and has not looked for a response yet is not told to do it again. That may
    begin together with the GOAWAY, or be overtaken by it."""
    async with http_world() as world, world.connect() as http:
        request = await http.open_request("POST", "https", AUTHORITY, "/wait")
        await request.send_data(b"first")
        await trio.sleep(1)
        application = world.applications[0]

        def begin() -> None:
            assert application.http is not None
            application.http.send_headers(0, [(b":status", b"200")])

        if begun == "before":
            begin()
            application.connection.flush()
            await trio.sleep(1)
        elif begun == "with":
            begin()
        goaway(world, 0)
        application.connection.flush()
        if begun == "after":
            await trio.sleep(0.02)
            begin()
            application.connection.flush()
        await trio.sleep(1)
        assert not http.available
        await request.send_data(b", second")
        await request.send_eof()
        await trio.sleep(1)
        assert application.resets == {}
        assert application.exchanges[0].body == b"first, second"
        assert http.active_requests == 1
        with trio.move_on_after(1) as scope:
            await http.wait_closed()
        assert scope.cancelled_caught
        assert application.http is not None
        application.http.send_data(0, b"done", True)
        application.connection.flush()
        assert (await request.receive_response()).status == 200
        assert await request.receive_data() == b"done"
        assert await request.receive_data() == b""
        await http.wait_closed()


async def test_a_sender_is_told_of_a_goaway(autojump_clock: Clock) -> None:
    """Where nothing has come, no more of the content is sent, and no response read."""
    async with http_world() as world, world.connect() as http:
        request = await http.open_request("POST", "https", AUTHORITY, "/wait")
        await request.send_data(b"first")
        await trio.sleep(1)
        goaway(world, 0)
        application = world.applications[0]
        application.connection.flush()
        await http.wait_closed()
        with pytest.raises(http3.RequestRejectedError):
            await request.send_data(b"second")
        with pytest.raises(http3.RequestRejectedError):
            await request.receive_response()
        await trio.sleep(1)
        assert application.resets == {0: http3.ErrorCode.H3_REQUEST_CANCELLED}
        assert application.stops == {0: http3.ErrorCode.H3_REQUEST_CANCELLED}


async def test_leaving_the_block_does_not_wait_for_what_may_come(autojump_clock: Clock) -> None:
    """Of a request that the server will not process, a moment after it said so."""
    async with http_world() as world:
        world.world.wifi.link.change(delay=0.5)
        async with world.connect() as http:
            await http.open_request("GET", "https", AUTHORITY, "/wait", end=True)
            await trio.sleep(3)
            goaway(world, 0)
            world.applications[0].connection.flush()
            await trio.sleep(0.51)
            assert not http.available
            assert http.active_requests == 1
            with trio.CancelScope() as scope:
                left = trio.current_time()
                scope.cancel()
                await trio.sleep_forever()
        assert trio.current_time() - left < 0.01


async def test_a_response_that_is_being_taken(autojump_clock: Clock) -> None:
    """The first piece has left the stream, and whoever reads the response has not got it yet."""
    async with http_world() as world, world.connect() as http:
        for number in range(0, 80, 4):
            request = await http.open_request("GET", "https", AUTHORITY, "/status/204", end=True)
            assert request.stream_id == number
            await trio.sleep(1)
            async with trio.open_nursery() as nursery:
                statuses: list[int] = []

                async def receive(request: http3.Request, statuses: list[int]) -> None:
                    statuses.append((await request.receive_response()).status)

                nursery.start_soon(receive, request, statuses)
                # before the reader's turn, or behind it
                await trio.lowlevel.checkpoint()
                assert not statuses
                request.reject()
            assert statuses == [204]


async def test_it_closes_a_moment_later(autojump_clock: Clock) -> None:
    """What it did nothing for it has said, and whoever sends or receives is told that. The client
    makes such a request again, whatever the method."""
    async with http_world() as world, world.connect() as http:
        request = await http.open_request("POST", "https", AUTHORITY, "/wait")

        async def send() -> None:
            with pytest.raises(http3.RequestRejectedError):
                await request.send_data(bytes(50_000_000))

        async def receive() -> None:
            with pytest.raises(http3.RequestRejectedError) as caught:
                await request.receive_response()
            assert isinstance(caught.value.__cause__, trioquic.PeerClosedError)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            nursery.start_soon(receive)
            await trio.sleep(1)
            goaway(world, 0)
            world.applications[0].connection.flush()
            await trio.sleep(0.005)
            close(world)

    async with visited() as (site, client), trio.open_nursery() as nursery:

        async def post() -> None:
            response = await client.post(f"{site.url}/first/wait", content=b"abc")
            assert response.text == hashlib.sha256(b"abc").hexdigest()

        nursery.start_soon(post)
        await trio.sleep(1)
        application = site.applications[0]
        application.go_away(0)
        application.connection.flush()
        await trio.sleep(0.005)
        application.quic.close(error_code=http3.ErrorCode.H3_NO_ERROR)
        application.connection.flush()


async def test_it_closes_without_a_word_about_a_request(autojump_clock: Clock) -> None:
    """Then nobody knows what it has done for it."""
    async with http_world() as world, world.connect() as http:
        request = await http.open_request("POST", "https", AUTHORITY, "/wait", end=True)
        await trio.sleep(1)
        goaway(world, 4)
        world.applications[0].connection.flush()
        await trio.sleep(0.005)
        close(world)
        with pytest.raises(trioquic.PeerClosedError):
            await request.receive_response()
        assert isinstance(await http.wait_closed(), http3.RequestRejectedError)


@pytest.mark.parametrize("late", [0.0, 0.008, 0.2])
async def test_it_rejects_a_request_before_it_says_that_it_goes(
    autojump_clock: Clock, late: float
) -> None:
    """As caddy 2.11 does, by 8 ms: the request is made on the next connection, and not used up on
    this one."""
    async with visited() as (site, client), trio.open_nursery() as nursery:
        began = trio.current_time()

        async def post() -> None:
            response = await client.post(f"{site.url}/first/reject", content=b"abc")
            assert response.text == hashlib.sha256(b"abc").hexdigest()

        nursery.start_soon(post)
        # the handshake, and the way there
        await trio.sleep(0.14 + late)
        assert site.applications[0].exchanges
        site.applications[0].go_away(0)
        site.applications[0].connection.flush()
    assert len(site.applications) == 2
    assert trio.current_time() - began < 1.5


async def test_it_rejects_whatever_comes(autojump_clock: Clock) -> None:
    """Then it is not asked for ever, and each time later."""
    async with visited() as (site, client):
        with trio.fail_after(5), pytest.raises(http3.RequestRejectedError):
            await client.post(f"{site.url}/reject", content=b"abc")
        (application,) = site.applications
        assert len(application.exchanges) == 4
        # 0.1, 0.2 and 0.4 seconds, and four round trips
        assert trio.current_time() > 0.7


def close(world: HTTPWorld) -> None:
    world.applications[0].quic.close(error_code=http3.ErrorCode.H3_NO_ERROR)
    world.applications[0].connection.flush()
