"""What a request says of its content's length is what its content has (RFC 9114 section 4.1.2)."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from tests.httpx.site import simulated_site
from trioquic import http3

from .world import AUTHORITY, URL, http_world

Clock = trio.testing.MockClock


async def pieces_of(content: bytes) -> AsyncIterator[bytes]:
    yield content


@pytest.mark.parametrize(
    ("lengths", "content"),
    [
        (["4"], b"abc"),
        (["3"], None),
        (["3"], b""),
        (["3", "4"], b"abc"),
        (["3", "4"], pieces_of(b"abc")),
        # nothing but lists may come twice (RFC 9110 section 5.3)
        (["3", "3"], b"abc"),
        (["0", "0"], None),
        (["three"], pieces_of(b"abc")),
    ],
)
async def test_a_content_length_that_is_not_the_contents(
    autojump_clock: Clock, lengths: list[str], content: Any
) -> None:
    headers = [("content-length", length) for length in lengths]
    async with http_world() as world, world.connect() as http:
        with pytest.raises(ValueError, match="content-length"):
            async with http.request("POST", URL + "/digest", headers=headers, content=content):
                pytest.fail("nothing may be sent")
        if content is None:
            with pytest.raises(ValueError, match="content-length"):
                await http.open_request("GET", "https", AUTHORITY, "/", headers, end=True)
        assert http.active_requests == 0
        await trio.sleep(1)
        assert not world.applications[0].exchanges


@pytest.mark.parametrize(
    ("length", "content"), [("3", b"abc"), ("3", pieces_of(b"abc")), ("0", None)]
)
async def test_a_content_length_that_is_the_contents(
    autojump_clock: Clock, length: str, content: Any
) -> None:
    headers = [("content-length", length)]
    async with http_world() as world, world.connect() as http:
        url = URL + "/headers"
        async with http.request("POST", url, headers=headers, content=content) as response:
            assert b"content-length: " + length.encode() in await response.read()


class TwoPieces:
    """No generator: httpx leaves those open."""

    def __init__(self) -> None:
        self._left = [b"def", b"abc"]

    def __aiter__(self) -> "TwoPieces":
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


@pytest.mark.parametrize(("length", "sent"), [(5, b"abc"), (7, b"abcdef")])
async def test_content_of_unknown_length_is_counted(
    autojump_clock: Clock, length: int, sent: bytes
) -> None:
    """A piece too much is not sent, and the end of too little is none."""
    headers = [("content-length", str(length))]
    async with http_world() as world, world.connect() as http:
        with pytest.raises(ValueError, match="content-length"):
            async with http.request(
                "POST", URL + "/digest", headers=headers, content=TwoPieces()
            ) as response:
                await response.read()
        assert http.active_requests == 0
        await trio.sleep(1)
        application = world.applications[0]
        # what was sent before may have been dropped by the reset
        assert sent.startswith(application.exchanges[0].body)
        assert application.resets == {0: http3.ErrorCode.H3_REQUEST_CANCELLED}


async def test_a_request_by_hand_is_counted(autojump_clock: Clock) -> None:
    headers = [("content-length", "6")]
    async with http_world() as world, world.connect() as http:
        request = await http.open_request("POST", "https", AUTHORITY, "/digest", headers)
        await request.send_data(b"abc")
        with pytest.raises(ValueError, match="content-length"):
            await request.send_data(b"defg")
        with pytest.raises(ValueError, match="content-length"):
            await request.send_eof()
        with pytest.raises(ValueError, match="content-length"):
            await request.send_trailers([("checksum", "1")])
        # nothing of these was sent, and it can be made good
        await request.send_data(b"def")
        await request.send_trailers([("checksum", "1")])
        assert (await request.receive_response()).status == 200
        assert world.applications[0].exchanges[0].body == b"abcdef"
        await request.send_eof()


async def test_what_the_server_does_not_want_is_not_counted(autojump_clock: Clock) -> None:
    headers = [("content-length", "6")]
    async with http_world() as world, world.connect() as http:
        request = await http.open_request("POST", "https", AUTHORITY, "/early", headers)
        assert (await request.receive_response()).status == 200
        while request.stopped is None:
            await trio.sleep(0.01)
            await request.send_data(b"")
            await request.send_data(b"a")
        await request.send_data(bytes(10))
        await request.send_eof()
        assert await request.receive_data() == b"enough"
        assert world.applications[0].resets == {}


@pytest.mark.parametrize("length", ["5", "7"])
async def test_httpx_tells_it_as_with_its_own_transport(autojump_clock: Clock, length: str) -> None:
    async with simulated_site() as site:
        async with site.client() as client:
            with pytest.raises(httpx.LocalProtocolError, match="content-length"):
                await client.post(
                    f"{site.url}/digest",
                    headers={"content-length": length},
                    content=TwoPieces(),
                )
            response = await client.post(
                f"{site.url}/digest", headers={"content-length": "6"}, content=TwoPieces()
            )
            assert response.status_code == 200
