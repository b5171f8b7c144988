"""Which QUIC connections `open_http3` takes."""

import pytest
from trio.testing import MockClock

import trioquic
from tests.sim_world import SERVER
from trioquic import http3

from .world import URL, http_world


async def test_another_protocol_was_agreed(autojump_clock: MockClock) -> None:
    async with http_world(configure=lambda o: setattr(o, "alpn", ("hq-interop",))) as world:
        tls = trioquic.TLSConfig(verify=False)
        with world.world.phone.as_current():
            async with trioquic.open_connection(
                SERVER, 4433, alpn=["h3", "hq-interop"], tls=tls
            ) as quic:
                with pytest.raises(ValueError, match=r"'hq-interop', not HTTP/3.*alpn="):
                    await http3.open_http3(quic).__aenter__()
                assert quic.health.state is not trioquic.HealthState.OVER


async def test_a_connection_carries_it_once(autojump_clock: MockClock) -> None:
    async with http_world() as world, world.connect() as http:
        with pytest.raises(ValueError, match="carried HTTP/3 already"):
            await http3.open_http3(http.quic).__aenter__()
        async with http.request("GET", f"{URL}/bytes/10") as response:
            assert len(await response.read()) == 10


async def test_content_that_is_too_large_is_not_lost(autojump_clock: MockClock) -> None:
    async with http_world() as world, world.connect() as http:
        async with http.request("GET", f"{URL}/bytes/50000") as response:
            with pytest.raises(http3.HTTP3Error, match="larger than 5"):
                await response.read(max_bytes=5)
            with pytest.raises(ValueError, match="max_bytes"):
                await response.receive_some(-1)
            assert len(await response.receive_some(3)) == 3
            assert len(await response.read()) == 49997
