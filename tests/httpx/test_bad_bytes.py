"""What a server, or a user, may write where a host belongs: httpx's exceptions and no others come
out, and other requests go on."""

import httpx
import pytest
import trio
import trio.testing

from .site import pool_of, simulated_site, website
from .test_discovery import Around, options, way

Clock = trio.testing.MockClock

HOSTS = (
    "https://a..b/",
    "https://.a/",
    f"https://{'a' * 64}.example/",
    f"https://{'a.' * 200}example/",
    "https://%00/",
    "https://a%2fb/",
    "https://1.2.3.4.5/",
    "https://256.256.256.256/",
    "https://[fe80::1%25nowhere]/",
    "https://[::ffff:0:0]/",
    "https://-/",
    "https://*.example/",
    "https://a_b.invalid/",
    "https://127.0.0.1:0/",
)
LOCATIONS = (
    "https://[",
    "https://[::1",
    "https://]/",
    "https://a..b/",
    "https://a:99999/",
    "https://a:-1/",
    "https://a:b/",
    f"https://{'a' * 70}/",
    "https://\u00ff\u0000/",
    "//",
    "https://",
    "http://[/",
    "javascript:alert(1)",
    "https://\u2603..\u2603/",
)
ALTERNATIVES = (
    'h3="a..b:443"',
    f'h3="{"a" * 64}:443"',
    f'h3="{"a." * 500}:443"',
    'h3="[::::]:443"',
    'h3="[:443"',
    'h3="[1.2.3.4]:443"',
    'h3="1.2.3:443"',
    'h3="%:443"',
    'h3=":0"',
    'h3=":99999"',
    'h3=":65536"',
    'h3="-:1"',
    'h3="~:1"',
    'h3=":443"; ma=99999999999999999999',
    'h3=":443"; ma=-1',
    'h3="' + "a" * 100_000 + ':443"',
    ",".join(f'h3="h{n}.invalid:{n + 1}"' for n in range(2000)),
)


@pytest.mark.parametrize("mode", ["only", "direct"])
async def test_hosts_that_cannot_be(autojump_clock: Clock, mode: str) -> None:
    async with simulated_site() as site:
        around = Around()
        around.error = httpx.ConnectError
        more = {"mode": "only"} if mode == "only" else options(around, site)
        async with site.client(**more, timeout=5) as client:
            for url in HOSTS:
                with pytest.raises((httpx.RequestError, httpx.InvalidURL)):
                    await client.get(url)
            assert await way(client) == "HTTP/3"
            await trio.sleep(20)
            assert all(str(site.port) in repr(one) for one in pool_of(client).connections)


async def test_the_default_fallback_says_it_too() -> None:
    async with website() as site, site.client(fallback=None, mode="direct") as client:
        for url in HOSTS[:4]:
            for scheme in ("https", "http"):
                with pytest.raises((httpx.RequestError, httpx.InvalidURL)):
                    await client.get(url.replace("https", scheme))
        assert (await client.get("/bytes/1")).http_version == "HTTP/3"


async def test_redirects_to_nowhere(autojump_clock: Clock) -> None:
    """httpx's RemoteProtocolError and its like, and only for the request that was led astray."""
    async with simulated_site() as site, site.client(timeout=5) as client:
        for location in LOCATIONS:
            fields = {"x-location": location.encode("utf-8")}
            with pytest.raises((httpx.RequestError, httpx.InvalidURL)):
                await client.get("/astray", headers=fields, follow_redirects=True)  # type: ignore[arg-type]
        assert await way(client) == "HTTP/3"
        assert len(site.applications) == 1


async def test_alternatives_that_cannot_be(autojump_clock: Clock) -> None:
    """They are passed over, whatever they are, and the origin goes on."""
    async with simulated_site() as site:
        async with site.client(networks=_phone(site), timeout=5) as client:
            for value in ALTERNATIVES:
                began = trio.current_time()
                response = await client.get("/alt-svc", headers={"x-alt-svc": value[:60_000]})
                assert response.status_code == 200
                for _ in range(3):
                    assert await way(client) == "HTTP/3"
                assert trio.current_time() - began < 10
            assert len(pool_of(client).connections) < 12


def _phone(site: object) -> object:
    return site.world.phone  # type: ignore[attr-defined]
