"""Requests that wait for what the server or the connection has to give, when that ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

import trioquic
from tests.httpx.site import simulated_site
from tests.sim_server import ServerOptions, credentials
from trioquic import http3
from trioquic.http3 import ErrorCode
from trioquic.http3.outbox import ROOM

from .scripts import frame, headers, reply
from .world import AUTHORITY, CONTROL, SETTINGS, URL, HTTPWorld, Script, greet, http_world

Clock = trio.testing.MockClock


def allow_one_stream(options: ServerOptions) -> None:
    options.parameters = lambda parameters: setattr(parameters, "initial_max_streams_bidi", 1)


async def open_one(http: http3.HTTP3Connection) -> http3.Request:
    return await http.open_request("GET", "https", AUTHORITY, "/wait", end=True)


async def test_goaway_rejects_who_waits_for_a_stream(autojump_clock: Clock) -> None:
    """At once, and not when the requests under way are done."""
    greetings: list[int] = []

    def greeting(script: Script) -> None:
        greetings.append(script.uni(CONTROL + SETTINGS))

    async with http_world(greeting=greeting, configure=allow_one_stream) as world:
        async with world.connect() as http:
            await open_one(http)
            rejected: list[float] = []

            async def wait() -> None:
                with pytest.raises(http3.RequestRejectedError):
                    await open_one(http)
                rejected.append(trio.current_time())

            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.sleep(1)
                assert not rejected
                began = trio.current_time()
                world.scripts[0].quic.send_stream_data(greetings[0], frame(0x07, b"\x04"))
                world.world.server.connections[0].flush()
                await trio.sleep(1)
                nursery.cancel_scope.cancel()
            assert len(rejected) == 1
            assert rejected[0] - began < 0.5
            assert http.active_requests == 1


async def test_after_a_goaway_a_request_is_rejected_whatever_became_of_the_connection(
    autojump_clock: Clock,
) -> None:
    def greeting(script: Script) -> None:
        script.uni(CONTROL + SETTINGS + frame(0x07, b"\x00"))

    async with http_world(greeting=greeting) as world, world.connect() as http:
        await http.wait_closed()
        await http.quic.aclose()
        await trio.sleep(1)
        with pytest.raises(http3.RequestRejectedError):
            await open_one(http)


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_client_makes_them_elsewhere(autojump_clock: Clock, repeatable: bool) -> None:
    """None of them was sent, and nothing of their content was taken."""
    statuses: list[int] = []

    async def piece() -> AsyncIterator[bytes]:
        yield b"abc"

    async with simulated_site(streams=3) as site:
        assert site.world is not None
        tls = trioquic.TLSConfig(ca_data=credentials().ca_pem)
        async with http3.Client(tls=tls, networks=site.world.phone) as client:

            async def post() -> None:
                content = b"abc" if repeatable else piece()
                response = await client.post(f"{site.url}/first/wait", content=content)
                statuses.append(response.status)

            async with trio.open_nursery() as nursery:
                # while the connection is made, all wait for that one
                for _ in range(5):
                    nursery.start_soon(post)
                await trio.sleep(2)
                assert not statuses
                site.applications[0].go_away(12)
                site.applications[0].connection.flush()
                await trio.sleep(2)
                nursery.cancel_scope.cancel()
    assert statuses == [200, 200]


def withhold_credit(options: ServerOptions) -> None:
    """Of our unidirectional streams none gets anything through."""
    options.parameters = lambda parameters: setattr(parameters, "initial_max_stream_data_uni", 0)


@asynccontextmanager
async def without_room() -> AsyncIterator[tuple[HTTPWorld, http3.HTTP3Connection]]:
    """More is queued for the encoder stream than is allowed to new requests."""
    async with http_world(greeting=greet, configure=withhold_credit) as world:
        transport = trioquic.TransportConfig(send_buffer=4096)
        async with world.connect(transport=transport) as http:
            await http.wait_settings()
            http._state.encoder_stream.put(bytes(2 * ROOM))
            yield world, http


async def test_who_waits_for_the_encoder_stream_hears_of_the_end(autojump_clock: Clock) -> None:
    async with without_room() as (world, http):

        async def wait() -> None:
            with pytest.raises(trioquic.PeerClosedError):
                await open_one(http)

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.sleep(1)
                world.scripts[0].quic.close(error_code=ErrorCode.H3_INTERNAL_ERROR)
                world.world.server.connections[0].flush()


@pytest.mark.parametrize("failing", [True, False])
async def test_who_waits_for_the_encoder_stream_when_the_block_is_left(
    autojump_clock: Clock, failing: bool
) -> None:
    async def wait(http: http3.HTTP3Connection) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await open_one(http)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            try:
                async with without_room() as (_, http):
                    nursery.start_soon(wait, http)
                    await trio.sleep(1)
                    if failing:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                assert failing


# it needs the first entry of a table that stays empty
BLOCKED = frame(0x01, b"\x02\x00\x80")


@pytest.mark.parametrize("first", [b"", headers((b":status", b"200"))], ids=["head", "trailers"])
@pytest.mark.parametrize("waiting", [True, False])
async def test_a_section_that_waits_for_the_table_when_the_connection_ends(
    autojump_clock: Clock, first: bytes, waiting: bool
) -> None:
    """Whoever asks again hears the same. `waiting`: the section was read before the end."""
    content = frame(0x00, b"abc") if first else b""
    async with http_world(answer=reply(first, content, BLOCKED, end=False)) as world:
        async with world.connect() as http:
            request = await open_one(http)
            if first:
                assert (await request.receive_response()).status == 200
                assert await request.receive_data() == b"abc"
            receive = request.receive_data if first else request.receive_response
            if waiting:
                with trio.move_on_after(1):
                    await receive()
            else:
                await trio.sleep(1)
            world.scripts[0].quic.close(error_code=ErrorCode.H3_INTERNAL_ERROR)
            world.world.server.connections[0].flush()
            await http.wait_closed()
            for _ in range(3):
                with trio.fail_after(5), pytest.raises(trioquic.PeerClosedError):
                    await receive()


class Unready:
    """Content that cannot even be begun."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise ZeroDivisionError


async def test_content_that_cannot_be_begun_cancels_the_request(autojump_clock: Clock) -> None:
    async with http_world() as world, world.connect() as http:
        with pytest.raises(ZeroDivisionError):
            async with http.request("POST", URL + "/digest", content=Unready()):
                pytest.fail("there is no content")
        assert http.active_requests == 0
        await trio.sleep(1)
        assert world.applications[0].resets == {0: ErrorCode.H3_REQUEST_CANCELLED}
