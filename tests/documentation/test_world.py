"""The world in which the pages' code runs keeps out of what the code does."""

from typing import Any

import pytest

import trioquic
from tests.documentation.world import reader

# HEADERS: GET https://example.org/
REQUEST = bytes.fromhex("01120000d1d7c1500b") + b"example.org"


@pytest.mark.parametrize("alpn", ["h3", "my-protocol"])
async def test_a_stream_that_is_stopped_with_its_end_is_not_answered(
    autojump_clock: Any, monkeypatch: pytest.MonkeyPatch, alpn: str
) -> None:
    """aioquic tells of the end first, though it knows of the STOP_SENDING that came with it."""
    async with (
        reader(monkeypatch),
        trioquic.open_connection("example.org", 443, alpn=[alpn]) as conn,
    ):
        await conn.wait_handshake_confirmed()
        stopped = await conn.open_stream()
        await stopped.send_all(REQUEST)
        await stopped.send_eof()
        stopped.stop(7)
        other = await conn.open_stream()
        await other.send_all(REQUEST)
        await other.send_eof()
        assert await other.receive_some()
