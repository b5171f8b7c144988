"""A request for which there is no connection at all: what is raised, and what it tells."""

import socket
from typing import Any

import httpx
import pytest
import trio
import trio.testing

import trioquic
from trioquic.httpx import HTTP3Transport, _tcp

from .site import simulated_site
from .test_discovery import Around, options

Clock = trio.testing.MockClock
REFUSED = "over QUIC: nothing listens on UDP at "
SILENT = "over QUIC: no connection to "


@pytest.mark.parametrize("kind", [httpx.ConnectTimeout, httpx.ConnectError])
@pytest.mark.parametrize(
    ("method", "refuses", "told"),
    [
        ("GET", True, REFUSED),
        ("GET", False, SILENT),
        ("POST", True, "over QUIC: no answer so far; "),
        ("POST", False, "over QUIC: no answer so far; "),
    ],
)
async def test_what_was_tried_is_told(
    autojump_clock: Clock,
    kind: type[httpx.TransportError],
    method: str,
    refuses: bool,
    told: str,
) -> None:
    """The way around, which every host has, says whether somebody answers there."""
    around = Around()
    around.error = kind
    async with simulated_site() as site, site.client(**options(around, site)) as client:
        assert site.world is not None
        if not refuses:
            site.world.wifi.link.blackhole()
        url = f"https://{site.host}:9/"
        with pytest.raises(httpx.TransportError) as caught:
            await client.request(method, url, timeout=httpx.Timeout(10, connect=2))
        assert type(caught.value) is kind
        assert str(caught.value).startswith(told)
        assert str(caught.value).endswith("; through the fallback: the fallback's")
        assert type(caught.value.__cause__) is kind
        # within the connect timeout
        assert trio.current_time() < 2.01


async def test_a_port_that_refuses_at_once(autojump_clock: Clock) -> None:
    """Before its head start is over."""
    around = Around()
    around.error = httpx.ConnectTimeout
    async with simulated_site(delay=0.001) as site:
        more = options(around, site, head_start=1.0)
        async with site.client(**more) as client:
            with pytest.raises(httpx.ConnectTimeout, match=f"{REFUSED}.*the fallback's"):
                await client.post(f"https://{site.host}:9/")


async def test_a_certificate_that_is_bad_is_told_alone(autojump_clock: Clock) -> None:
    around = Around()
    around.error = httpx.ConnectTimeout
    async with simulated_site(delay=0.5) as site:
        more = options(around, site, tls=trioquic.TLSConfig())
        async with site.client(**more) as client:
            with pytest.raises(httpx.ConnectError) as caught:
                await client.get("/bytes/1")
    assert around.times != []
    assert isinstance(caught.value.__cause__, trioquic.CertificateError)
    assert str(caught.value) == str(caught.value.__cause__)


async def test_tcp_that_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens on UDP, and what is sent to the TCP port vanishes."""

    async def vanish(*_: Any) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(_tcp, "_connected", vanish)
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{udp.getsockname()[1]}/"
    async with httpx.AsyncClient(transport=HTTP3Transport()) as client:
        with pytest.raises(httpx.ConnectTimeout) as caught:
            await client.get(url, timeout=httpx.Timeout(10, connect=1.5))
    assert str(caught.value).startswith("over QUIC: n")
    assert f"; over TCP: no connection to {url.removesuffix('/')} in time" in str(caught.value)
