"""Requests live on when their network goes, and nobody but the supervisor moves the connection."""

import hashlib
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from tests.sim_server import pattern
from tests.sim_world import CELLULAR

from .site import simulated_site

SIZE = 600_000


@pytest.mark.parametrize("how", ["down", "blackhole"])
async def test_a_download_and_an_upload(autojump_clock: trio.testing.MockClock, how: str) -> None:
    """The Wi-Fi goes in their middle."""
    content = pattern(SIZE)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, SIZE, 50_000):
            yield content[start : start + 50_000]

    async with simulated_site() as site:
        world = site.world
        assert world is not None
        async with site.client(networks=world.phone) as client, trio.open_nursery() as nursery:

            async def download() -> None:
                assert (await client.get(f"/bytes/{SIZE}")).content == content

            async def upload() -> None:
                response = await client.post("/digest", content=pieces())
                assert response.text == hashlib.sha256(content).hexdigest()
                quic = response.extensions["trioquic_connection"]
                assert quic.active_path.local[0] == CELLULAR

            nursery.start_soon(download)
            nursery.start_soon(upload)
            await trio.sleep(0.25)
            received = dict(site.applications[0].sizes)
            if how == "down":
                world.wifi.down()
            else:
                world.wifi.link.blackhole()
        assert 0 < received[max(received)] < SIZE
        assert len(site.applications) == 1
