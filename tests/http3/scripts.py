"""What scripted servers say: frames and field sections, good and bad; and what comes of them."""

from collections.abc import Callable

import pylsqpack
import pytest
from aioquic.quic import events

from trioquic import http3
from trioquic.http3 import ErrorCode

from .world import URL, HTTPWorld, Script

Greeting = Callable[[Script], None]
Answer = Callable[[Script, int], None]


def frame(kind: int, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """A frame; `kind` and length are one-byte or two-byte integers."""

    def varint(value: int) -> bytes:
        if value < 64:
            return bytes([value])
        return (value | (0x4000 if value < 1 << 14 else 0x8000_0000)).to_bytes(
            2 if value < 1 << 14 else 4, "big"
        )

    return varint(kind) + varint(len(payload) if length is None else length) + payload


def section(*fields: tuple[bytes, bytes]) -> bytes:
    """A compressed field section that needs no dynamic table."""
    return pylsqpack.Encoder().encode(0, list(fields))[1]


def headers(*fields: tuple[bytes, bytes]) -> bytes:
    return frame(0x01, section(*fields))


OK = headers((b":status", b"200"))
TRAILERS = headers((b"checksum", b"1"))
DATA = frame(0x00, b"abc")


def reply(*frames: bytes, end: bool = True) -> Answer:
    """An answer of these frames."""

    def answer(script: Script, stream_id: int) -> None:
        script.quic.send_stream_data(stream_id, b"".join(frames), end)

    return answer


async def ended(world: HTTPWorld) -> events.ConnectionTerminated:
    """How the connection ended, as the server sees it."""
    connection = world.world.server.connections[0]
    await connection.closed.wait()
    assert connection.terminated is not None
    return connection.terminated


async def expect(world: HTTPWorld, code: ErrorCode) -> None:
    """A request, and everything after it, fails with the code, which the server gets, too."""
    async with world.connect() as http:
        with pytest.raises(http3.HTTP3ConnectionError) as caught:
            async with http.request("GET", URL + "/") as response:
                await response.read()
        assert caught.value.code == code
        assert code.name in str(caught.value)
        await http.wait_closed()
        assert not http.available
        with pytest.raises(http3.HTTP3ConnectionError):
            await http.open_request("GET", "https", "server.example", "/")
    assert (await ended(world)).error_code == code
