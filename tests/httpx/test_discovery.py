"""Which way a request goes: HTTP/3, where, or around it (RFC 7838, RFC 9114 section 3.1)."""

import socket
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import trio
import trio.testing

import trioquic
from tests.sim_server import NAME
from tests.sim_world import SERVER
from trioquic.http3.client.discovery import Discovery, Endpoint, Mode
from trioquic.http3.url import Origin
from trioquic.httpx._around import _over_tcp

from .site import Site, pool_of, simulated_site, website

Clock = trio.testing.MockClock
ORIGIN = Origin("a.example", 443)


class Around:
    """A fallback that answers, says when, and can be made to fail."""

    def __init__(self, alt_svc: str | None = None) -> None:
        self.alt_svc = alt_svc
        self.times: list[float] = []
        self.error: Callable[[str], Exception] | None = None
        self.connect_timeouts: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.times.append(trio.current_time())
        self.connect_timeouts.append(request.extensions["timeout"]["connect"])
        if self.error is not None:
            raise self.error("the fallback's")
        headers = {} if self.alt_svc is None else {"alt-svc": self.alt_svc}
        return httpx.Response(200, headers=headers, text="around", extensions={})


def options(around: Around, site: Site, **more: object) -> dict[str, object]:
    assert site.world is not None
    # the networks are not raced: what is asked here is what follows when HTTP/3 takes long
    alone = trioquic.MigrationPolicy(start_interfaces=1)
    here = {"networks": site.world.phone, "migration": alone}
    return {"fallback": httpx.MockTransport(around), **here, **more}


async def way(client: httpx.AsyncClient, url: str = "/bytes/1") -> str:
    """Which way a request went."""
    response = await client.get(url)
    assert response.status_code == 200
    return "around" if response.text == "around" else response.http_version


# -- by trying -------------------------------------------------------------------------------------


async def test_a_host_that_does_not_answer(autojump_clock: Clock) -> None:
    around = Around()
    async with simulated_site() as site, site.client(**options(around, site)) as client:
        assert site.world is not None
        site.world.wifi.link.blackhole()
        assert await way(client) == "around"
        # the head start, of which the fallback is told
        assert around.times == [pytest.approx(0.3)]
        assert around.connect_timeouts == [pytest.approx(19.7)]
        # the attempt goes on, and nobody waits for it
        assert len(pool_of(client).connections) == 1
        assert await way(client) == "around"
        assert trio.current_time() == pytest.approx(0.3)
        await trio.sleep(12)
        assert pool_of(client).connections == ()
        # it is remembered for a while that there is nothing; then it is tried, but not waited for
        site.world.wifi.link.restore()
        began = trio.current_time()
        assert await way(client) == "around"
        assert pool_of(client).connections == ()
        await trio.sleep(10)
        assert await way(client) == "around"
        assert trio.current_time() - began == pytest.approx(10)
        await trio.sleep(1)
        assert await way(client) == "HTTP/3"


async def test_a_slow_network_makes_the_first_request_go_around(autojump_clock: Clock) -> None:
    around = Around()
    async with simulated_site(delay=0.5) as site:
        async with site.client(**options(around, site)) as client:
            assert await way(client) == "around"
            await trio.sleep(2)
            assert await way(client) == "HTTP/3"
            assert len(site.applications) == 1


async def test_the_head_start_is_a_part_of_the_connect_timeout(autojump_clock: Clock) -> None:
    around = Around()
    async with simulated_site() as site:
        assert site.world is not None
        site.world.wifi.link.blackhole()
        more = options(around, site, head_start=5.0)
        async with site.client(timeout=httpx.Timeout(9, connect=2), **more) as client:
            assert await way(client) == "around"
            assert around.times == [pytest.approx(1.0)]
            assert around.connect_timeouts == [pytest.approx(1.0)]


async def test_a_handshake_that_times_out_makes_a_request_go_around(autojump_clock: Clock) -> None:
    """Also one that could not be under way twice."""
    around = Around()
    async with simulated_site() as site:
        assert site.world is not None
        site.world.wifi.link.blackhole()
        transport = trioquic.TransportConfig(handshake_timeout=1)
        more = options(around, site, head_start=5.0, transport=transport)
        async with site.client(**more) as client:
            assert (await client.post("/digest", content=b"x")).text == "around"
            assert around.times == [pytest.approx(1.0)]


async def test_a_server_without_http3(autojump_clock: Clock) -> None:
    """It speaks QUIC, and says so at once."""
    around = Around()
    async with simulated_site(alpn=("hq-interop",)) as site:
        async with site.client(**options(around, site, head_start=5.0)) as client:
            assert [await way(client) for _ in range(2)] == ["around", "around"]
            assert around.times[0] < 0.2
            assert around.times[1] == around.times[0]


async def test_a_bad_certificate_is_no_reason_to_go_around(autojump_clock: Clock) -> None:
    around = Around()
    async with simulated_site() as site:
        more = options(around, site, tls=trioquic.TLSConfig())
        async with site.client(**more) as client:
            with pytest.raises(httpx.ConnectError) as caught:
                await client.get("/bytes/1")
            assert isinstance(caught.value.__cause__, trioquic.CertificateError)
    assert around.times == []


async def test_what_was_so_on_another_network_is_forgotten(autojump_clock: Clock) -> None:
    around = Around()
    async with simulated_site() as site, site.client(**options(around, site)) as client:
        assert site.world is not None
        site.world.wifi.link.blackhole()
        assert await way(client) == "around"
        await trio.sleep(20)
        site.world.wifi.down()
        await trio.sleep(1)
        assert await way(client) == "HTTP/3"


async def test_nothing_is_learned_while_there_is_no_network(autojump_clock: Clock) -> None:
    around = Around()
    async with simulated_site() as site, site.client(**options(around, site)) as client:
        assert site.world is not None
        site.world.wifi.link.blackhole()
        around.error = httpx.ConnectError
        with pytest.raises(httpx.ConnectError, match="the fallback's"):
            await client.get("/bytes/1")
        await trio.sleep(20)
        with pytest.raises(httpx.ConnectError, match="the fallback's"):
            await client.get("/bytes/1")
        site.world.wifi.link.restore()
        assert await way(client) == "HTTP/3"


# -- by being told ---------------------------------------------------------------------------------


async def test_http3_after_it_was_advertised(autojump_clock: Clock) -> None:
    around = Around('h3=":4433"; ma=60')
    async with simulated_site() as site:
        async with site.client(**options(around, site, mode="alt-svc")) as client:
            assert [await way(client) for _ in range(2)] == ["around", "HTTP/3"]
            await trio.sleep(61)
            # told again, by HTTP/3 itself this time
            assert [await way(client) for _ in range(2)] == ["around", "HTTP/3"]
            response = await client.get("/alt-svc", headers={"x-alt-svc": "clear"})
            assert response.http_version == "HTTP/3"
            assert await way(client) == "around"


async def test_what_came_in_the_clear_says_nothing_of_https(autojump_clock: Clock) -> None:
    """RFC 7838 section 2: an alternative is an origin's, and http is another origin. Whoever is on
    the path of such a request may have written the response."""
    around = Around('h3=":4433"')
    async with simulated_site() as site:
        async with site.client(**options(around, site, mode="alt-svc")) as client:
            assert await way(client, f"http://{NAME}") == "around"
            around.alt_svc = None
            assert await way(client, f"https://{NAME}") == "around"
            assert site.applications == []
            around.alt_svc = 'h3=":4433"'
            assert await way(client, f"https://{NAME}") == "around"
            for url in (f"http://{NAME}", f"http://{NAME}:443"):
                around.alt_svc = "clear"
                assert await way(client, url) == "around"
                assert await way(client, f"https://{NAME}/bytes/1") == "HTTP/3"


@pytest.mark.parametrize(
    ("host", "extensions"), [({"host": "b.example"}, {}), ({}, {"sni_hostname": NAME})]
)
async def test_another_server_says_nothing_of_the_origin(
    autojump_clock: Clock, host: dict[str, str], extensions: dict[str, str]
) -> None:
    """One that the user has named beside the URL's need not be the origin (section 2.1)."""
    around = Around('h3=":4433"')
    async with simulated_site() as site:
        async with site.client(**options(around, site, mode="alt-svc")) as client:
            response = await client.get("/bytes/1", headers=host, extensions=extensions)
            assert response.text == "around"
            around.alt_svc = None
            assert await way(client) == "around"
            assert site.applications == []
            around.alt_svc = 'h3=":4433"'
            assert await way(client) == "around"
            fields = {"x-alt-svc": "clear", **host}
            response = await client.get("/alt-svc", headers=fields, extensions=extensions)
            assert response.http_version == "HTTP/3"
            assert await way(client) == "HTTP/3"


async def test_what_fails_under_another_name_fails_for_that_name(autojump_clock: Clock) -> None:
    around, other = Around(), {"sni_hostname": "other.example"}
    async with simulated_site() as site, site.client(**options(around, site)) as client:
        assert await way(client) == "HTTP/3"
        with pytest.raises(httpx.ConnectError, match=r"other\.example"):
            await client.get("/bytes/1", extensions=other)
        assert await way(client) == "HTTP/3"
        response = await client.get("/bytes/1", extensions=other)
        assert response.text == "around"


async def test_a_place_that_does_not_serve_another_name_serves_the_origin(
    autojump_clock: Clock,
) -> None:
    around, url = Around('h3=":4433"'), f"https://{NAME}"
    async with simulated_site() as site:
        async with site.client(**options(around, site, mode="alt-svc")) as client:
            assert await way(client, url) == "around"
            around.alt_svc = None
            response = await client.get(f"{url}/misdirected", headers={"host": "b.example"})
            assert response.text == "around"
            assert await way(client, f"{url}/bytes/1") == "HTTP/3"


async def test_another_place_for_the_same_origin(autojump_clock: Clock) -> None:
    """The URL's port has nothing; an alternative has, with the origin's certificate."""
    around = Around(f'h3="{SERVER}:4433"; ma=60')
    async with simulated_site() as site:
        async with site.client(**options(around, site, mode="alt-svc")) as client:
            url = f"https://{NAME}"
            assert await way(client, url) == "around"
            fields = (await client.get(f"{url}/json")).json()
            assert fields["alt-used"] == f"{SERVER}:4433"
            assert fields[":authority"] == NAME
            # RFC 7838 section 6: it does not serve this origin after all, and its Alt-Svc means
            # nothing; the request is sent to the origin, and so are others
            around.alt_svc = None
            assert await way(client, f"{url}/misdirected") == "around"
            assert await way(client, url) == "around"
            assert len(site.applications) == 1


async def test_a_misdirected_request_that_cannot_be_repeated(autojump_clock: Clock) -> None:
    async def body() -> object:
        yield b"abc"

    around = Around('h3=":4433"')
    async with simulated_site() as site:
        async with site.client(**options(around, site, mode="alt-svc")) as client:
            url = f"https://{NAME}"
            assert await way(client, url) == "around"
            response = await client.post(f"{url}/misdirected", content=body())  # type: ignore[arg-type]
            assert response.status_code == 421
            assert await way(client, f"{url}/bytes/1") == "around"


async def test_an_alternative_must_be_the_origin(autojump_clock: Clock) -> None:
    """RFC 7838 section 2.1: it shows that by a certificate for the origin's name."""
    around = Around(f'h3="{SERVER}:4433"')
    async with simulated_site() as site:
        assert site.world is not None
        site.world.net.name("other.example", SERVER)
        more = options(around, site, mode="alt-svc")
        async with site.client(**more) as client:
            url = "https://other.example"
            assert [await way(client, url) for _ in range(3)] == ["around"] * 3
            # it was tried once
            assert len(site.applications) == 1
        # and without certificates no other host is believed
        more["tls"] = trioquic.TLSConfig(verify=False)
        async with site.client(**more) as client:
            assert [await way(client, url) for _ in range(2)] == ["around"] * 2
        assert len(site.applications) == 1


async def test_only_http3_falls_back_to_the_origin() -> None:
    """Where an alternative does not answer; "only" knows no other way."""
    async with website() as site, site.client() as client:
        value = {"x-alt-svc": 'h3="nowhere.invalid:1"'}
        assert (await client.get("/alt-svc", headers=value)).status_code == 200
        assert (await client.get("/bytes/1")).http_version == "HTTP/3"
        assert len(site.applications) == 1


async def test_an_alternative_that_does_not_answer(autojump_clock: Clock) -> None:
    """Half of the connect timeout is the origin's, and it is remembered."""
    async with simulated_site() as site:
        async with site.client(timeout=httpx.Timeout(9, connect=4)) as client:
            # an address that is nobody's
            value = {"x-alt-svc": 'h3="192.0.2.99:1"'}
            assert (await client.get("/alt-svc", headers=value)).status_code == 200
            before = trio.current_time()
            assert await way(client) == "HTTP/3"
            assert trio.current_time() - before == pytest.approx(2.0, abs=0.2)
            before = trio.current_time()
            assert await way(client) == "HTTP/3"
            assert trio.current_time() - before < 0.2


async def test_a_body_that_goes_to_an_origin_nobody_knows(autojump_clock: Clock) -> None:
    """After an alternative that does not answer: the error is httpx's there, too."""

    async def body() -> AsyncIterator[bytes]:
        yield b"abc"

    url = f"https://{NAME}:4433"
    async with simulated_site() as site:
        assert site.world is not None
        limits = httpx.Limits(keepalive_expiry=1)
        async with site.client(timeout=httpx.Timeout(9, connect=4), limits=limits) as client:
            value = {"x-alt-svc": 'h3="192.0.2.99:1"'}
            assert (await client.get(f"{url}/alt-svc", headers=value)).status_code == 200
            await trio.sleep(3)
            site.world.net.name(NAME)
            with pytest.raises(httpx.ConnectError) as caught:
                await client.post(f"{url}/digest", content=body())
            assert isinstance(caught.value.__cause__, socket.gaierror)


@pytest.mark.parametrize(
    ("connect", "spent", "left"), [(10.0, 3.0, 7.0), (10.0, 30.0, 5.0), (None, 3.0, None)]
)
def test_the_fallback_has_time_to_connect(
    connect: float | None, spent: float, left: float | None
) -> None:
    """Also after a long wait for the pool, or for a response that does not count."""
    timeout = {"connect": connect, "read": 1.0}
    request = httpx.Request("POST", "https://a/", content=b"x", extensions={"timeout": timeout})
    shortened = _over_tcp(request, spent)
    assert shortened.extensions["timeout"] == {"connect": left, "read": 1.0}
    assert shortened.headers == request.headers
    assert shortened.stream is request.stream
    assert request.extensions["timeout"] == timeout


# -- the memory ------------------------------------------------------------------------------------


def make(mode: Mode = "alt-svc", *, other_hosts: bool = True) -> Discovery:
    return Discovery(mode, other_hosts=other_hosts)


def found(discovery: Discovery, now: float = 0.0, origin: Origin = ORIGIN) -> str | None:
    endpoint = discovery.find(origin, origin.host, now)
    return None if endpoint is None else endpoint.authority


def at(authority: str) -> Endpoint:
    host, _, port = authority.rpartition(":")
    return Endpoint(origin=ORIGIN, host=host, port=int(port), server_name=ORIGIN.host)


def test_the_best_alternative_that_works() -> None:
    discovery = make()
    discovery.learn(ORIGIN, ['h3="b:1", h3=":2"'], 0, 0.0)
    assert found(discovery) == "b:1"
    discovery.failed(at("b:1"), 0.0)
    assert found(discovery) == "a.example:2"
    discovery.failed(at("a.example:2"), 0.0)
    assert found(discovery) is None
    assert found(discovery, 10.0) == "b:1"


def test_a_place_that_was_tried_is_not_found_again() -> None:
    """Whatever went wrong there."""
    discovery = make("direct")
    discovery.learn(ORIGIN, ['h3="b:1", h3=":2"'], 0, 0.0)
    places: list[Endpoint] = []
    while endpoint := discovery.find(ORIGIN, ORIGIN.host, 0.0, places):
        places.append(endpoint)
    assert [one.authority for one in places] == ["b:1", "a.example:2", "a.example:443"]


def test_a_fallback_is_kept_for_a_while_and_not_for_ever() -> None:
    """The more often a place fails the longer it is left alone; what has worked is trusted."""
    discovery = make("direct")
    now, pauses = 0.0, []
    for _ in range(8):
        discovery.failed(at("a.example:443"), now)
        assert discovery.is_doubtful(at("a.example:443"))
        pause = next(step for step in range(1, 1000) if found(discovery, now + step) is not None)
        pauses.append(pause)
        now += pause
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]
    discovery.worked(at("a.example:443"))
    assert not discovery.is_doubtful(at("a.example:443"))
    discovery.failed(at("a.example:443"), now)
    assert found(discovery, now + 10) is not None


def test_what_an_origin_says_replaces_what_it_said() -> None:
    discovery = make()
    discovery.learn(ORIGIN, ['h3="b:1"'], 0, 0.0)
    discovery.learn(ORIGIN, ["not well-formed"], 0, 0.0)
    assert found(discovery) == "b:1"
    discovery.learn(ORIGIN, ['h3="c:1"'], 0, 0.0)
    assert found(discovery) == "c:1"
    discovery.learn(ORIGIN, ['h2="c:1"'], 0, 0.0)
    assert found(discovery) is None
    assert found(discovery, origin=Origin("a.example", 444)) is None


def test_the_age_of_a_response_counts() -> None:
    discovery = make()
    discovery.learn(ORIGIN, ['h3=":1"; ma=100'], 40, 0.0)
    assert found(discovery, 59.0) == "a.example:1"
    assert found(discovery, 60.0) is None


def test_a_network_change_spares_what_persists() -> None:
    discovery = make()
    discovery.learn(ORIGIN, ['h3="b:1", h3="c:1"; persist=1'], 0, 0.0)
    discovery.failed(at("c:1"), 0.0)
    discovery.network_changed()
    assert found(discovery) == "c:1"
    discovery.learn(ORIGIN, ['h3="b:1"'], 0, 0.0)
    discovery.network_changed()
    assert found(discovery) is None


def test_the_modes() -> None:
    for mode in ("direct", "only"):
        discovery = make(mode)
        assert found(discovery) == "a.example:443"
        discovery.failed(at("a.example:443"), 0.0)
        assert found(discovery) == (None if mode == "direct" else "a.example:443")
        discovery.forgive(ORIGIN)
        assert found(discovery) == "a.example:443"


def test_the_memory_is_bounded() -> None:
    discovery = make()
    for number in range(1001):
        origin = Origin(f"{number}.example", 443)
        discovery.learn(origin, ['h3=":1"'], 0, 0.0)
        endpoint = Endpoint(origin=origin, host=origin.host, port=1, server_name="")
        discovery.failed(endpoint, 0.0)
        # the first one is used again and again
        found(discovery, 0.0, Origin("0.example", 443))
    assert len(discovery._known) == 1000
    assert len(discovery._broken) == 1000
    assert Origin("0.example", 443) in discovery._known
    assert Origin("1.example", 443) not in discovery._known


def test_an_address_in_an_authority() -> None:
    endpoint = Endpoint(origin=ORIGIN, host="2001:db8::1", port=1, server_name="")
    assert endpoint.authority == "[2001:db8::1]:1"
    assert not endpoint.is_origin


def test_who_does_not_serve_an_origin_that_was_forgotten_is_not_remembered() -> None:
    """Also where so many requests are answered with 421 at once."""
    discovery = Discovery("only", other_hosts=True)
    found = []
    for number in range(1500):
        origin = Origin(f"{number}.example", 443)
        discovery.learn(origin, ['h3=":444"'], 0.0, 0.0)
        endpoint = discovery.find(origin, origin.host, 0.0)
        assert endpoint is not None and endpoint.port == 444
        found.append(endpoint)
    for endpoint in found:
        discovery.misdirected(endpoint)
    assert len(discovery._known) == 0
