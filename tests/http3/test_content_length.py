"""What a request says of its content's length is what its content has (RFC 9114 section 4.1.2)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing

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
    headers = [("content-length", length)] * 2
    async with http_world() as world, world.connect() as http:
        url = URL + "/headers"
        async with http.request("POST", url, headers=headers, content=content) as response:
            assert b"content-length: " + length.encode() in await response.read()
