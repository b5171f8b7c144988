"""`http3.Client`: requests by URL, over connections that it opens, shares and replaces."""

import hashlib
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trio
import trio.testing

import trioquic
from tests.httpx.site import Site, is_pattern, simulated_site, website
from tests.sim_server import NAME, credentials
from tests.sim_world import PREFERRED6, SERVER6
from trioquic import http3
from trioquic.http3.client.call import Call
from trioquic.http3.client.redirect import after_redirect
from trioquic.http3.url import Origin

Clock = trio.testing.MockClock
# as after 3 PTOs of silence on a network of 50 ms, and a handshake
LONGEST = 2.5


def client_of(site: Site, **options: Any) -> http3.Client:
    options.setdefault("tls", trioquic.TLSConfig(ca_data=credentials().ca_pem))
    if site.world is not None:
        options.setdefault("networks", site.world.phone)
    return http3.Client(**options)


@asynccontextmanager
async def visited(
    *, streams: int = 100, server: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Site, http3.Client]]:
    """A site and a client; `options` are the client's."""
    async with simulated_site(streams=streams, **server or {}) as site:
        async with client_of(site, **options) as client:
            yield site, client


def asked(site: Site) -> list[bytes]:
    """The methods of all requests that the site has got, connection after connection."""
    return [
        exchange.headers[b":method"]
        for application in site.applications
        for exchange in application.exchanges.values()
    ]


def forget(site: Site) -> None:
    """The server falls silent on its connections, as one that knows nothing of them."""
    assert site.server is not None
    for connection in site.server.connections:
        connection.quic.datagrams_to_send = lambda now: []  # type: ignore[method-assign]
        connection.quic.receive_datagram = lambda *_: None  # type: ignore[method-assign]


# -- requests and responses ------------------------------------------------------------------------


async def test_a_request(autojump_clock: Clock) -> None:
    async with visited(headers=[("X-One", "1"), ("Accept", "text/plain")]) as (site, client):
        user = site.url.replace("https://", "https://joe:sesame@")
        response = await client.get(f"{user}/json?a=b#part", headers=[("x-one", "2")])
        assert response.status == 200
        assert response.header("Content-Type") == "application/json"
        assert response.header("x-nothing") is None
        assert response.header("x-nothing", "-") == "-"
        with pytest.raises(TypeError, match="name must be a str, not bytes"):
            response.header(b"content-type")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="JSON"):
            await client.post(f"{site.url}/digest", json=[math.nan])
        assert response.url == f"{site.url}/json?a=b"
        fields = response.raise_for_status().json()
        assert fields[":path"] == "/json?a=b"
        assert (fields["x-one"], fields["accept"]) == ("2", "text/plain")
        assert fields["user-agent"].startswith("trioquic/")
        assert fields["authorization"] == "Basic am9lOnNlc2FtZQ=="
        assert repr(client) == "<Client with 1 connections>"
        # not all of the content, which a log or a traceback would take
        large = await client.get(f"{site.url}/bytes/3000")
        assert repr(large) == "<CompleteResponse 200, 3000 bytes>"


async def test_content_of_all_kinds(autojump_clock: Clock) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"bc" * 100_000

    whole = b"a" + b"bc" * 100_000
    async with visited() as (site, client):
        for content in (whole, bytearray(whole), memoryview(whole), pieces()):
            response = await client.post(f"{site.url}/digest", content=content)
            assert response.text == hashlib.sha256(whole).hexdigest()
        await client.put(f"{site.url}/digest", json={"a": ["\N{SNOWMAN}"]})
        last = list(site.applications[0].exchanges.values())[-1]
        assert bytes(last.body) == b'{"a": ["\\u2603"]}'
        assert last.headers[b"content-type"] == b"application/json"
        assert last.headers[b"content-length"] == b"17"
        # the server answers before it has it all, and reads on
        response = await client.post(f"{site.url}/hasty", content=bytes(200_000))
        assert response.text == "enough"
    assert len(list(site.applications[0].exchanges.values())[-1].body) == 200_000


async def test_json_of_another_type(autojump_clock: Clock) -> None:
    """A request has one Content-Type: its own, or else the client's, or else that of JSON."""
    own, kept = ("content-type", "a/b"), ("content-type", "application/vnd.api+json")
    for clients, requests, kind in (
        ([kept], [own], b"a/b"),
        ([kept], [], b"application/vnd.api+json"),
        ([], [own], b"a/b"),
        ([], [], b"application/json"),
    ):
        async with visited(headers=clients) as (site, client):
            await client.post(f"{site.url}/digest", json={}, headers=requests)
            (exchange,) = site.applications[0].exchanges.values()
            assert [v for name, v in exchange.fields if name == b"content-type"] == [kind]


async def test_a_response_that_is_read_while_it_comes(autojump_clock: Clock) -> None:
    async with visited() as (site, client):
        async with client.stream("GET", f"{site.url}/bytes/200000") as response:
            assert (response.status, response.header("content-length")) == (200, "200000")
            assert response.url == f"{site.url}/bytes/200000"
            assert response.quic is client.connections[0].quic
            content = b"".join([chunk async for chunk in response])
        assert is_pattern(content) and len(content) == 200_000
        async with client.stream("GET", f"{site.url}/part") as response:
            assert await response.receive_some() == b"part"
        (http,) = client.connections
        assert http.active_requests == 0
        assert (await client.get(f"{site.url}/trailers")).trailers[0][0] == b"checksum"
        assert (await client.head(f"{site.url}/interim")).informational[0].status == 103


async def test_what_goes_wrong(autojump_clock: Clock) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"a part"
        raise ZeroDivisionError

    async with visited() as (site, client):
        with pytest.raises(http3.StatusError, match="404") as status:
            (await client.get(f"{site.url}/status/404")).raise_for_status()
        assert (status.value.status, status.value.url) == (404, f"{site.url}/status/404")
        with pytest.raises(http3.HTTP3Error, match="larger than 10"):
            await client.get(f"{site.url}/bytes/11", max_bytes=10)
        with pytest.raises(ZeroDivisionError):
            await client.post(f"{site.url}/digest", content=failing())
        with pytest.raises(ZeroDivisionError):
            async with client.stream("POST", f"{site.url}/echo", content=failing()) as response:
                await response.read()
        with pytest.raises(http3.HTTP3StreamError):
            await client.get(f"{site.url}/reset/258")
        with pytest.raises(OSError):
            await client.get("https://nowhere.invalid/")
        assert len(client.connections) == 1
    with pytest.raises(trio.ClosedResourceError):
        await client.get(site.url)


async def test_the_client_is_left_under_requests(autojump_clock: Clock) -> None:
    """Those who wait for a response, for more of one, or for more to send are told that."""
    told: list[str] = []

    async def endless() -> AsyncIterator[bytes]:
        yield b"a part"
        await trio.sleep_forever()

    async def upload(url: str) -> None:
        with pytest.raises(trio.ClosedResourceError) as caught:
            await client.post(url, content=endless())
        told.append(str(caught.value))

    async def get(url: str) -> None:
        with pytest.raises(trio.ClosedResourceError) as caught:
            await client.get(url)
        told.append(str(caught.value))

    async with simulated_site() as site, trio.open_nursery() as nursery:
        async with client_of(site) as client:
            await client.get(f"{site.url}/bytes/1")
            async with client.stream("GET", f"{site.url}/part") as given_up:
                pass
            nursery.start_soon(get, f"{site.url}/wait")
            nursery.start_soon(get, f"{site.url}/part")
            nursery.start_soon(upload, f"{site.url}/digest")
            await trio.sleep(1)
        with pytest.raises(
            trio.ClosedResourceError, match="the connection was closed by this side"
        ):
            await given_up.read()
    assert told == ["the client was closed"] * 3


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"url": "http://a/"}, ValueError, "HTTP/3 needs an https URL"),
        ({"url": "https://a:0/"}, ValueError, "port 0"),
        ({"url": b"https://a/"}, TypeError, "url must be a str"),
        ({"method": "G T"}, ValueError, "not a method"),
        ({"method": "CONNECT"}, ValueError, "makes no tunnels: CONNECT has HOST:PORT in the place"),
        ({"method": "connect"}, ValueError, "makes no tunnels"),
        ({"headers": {"a": "b"}}, TypeError, "pairs"),
        ({"headers": [("connection", "close")]}, ValueError, "no place in HTTP/3"),
        ({"content": "text"}, TypeError, "content must be bytes"),
        ({"content": b"x", "json": 1}, ValueError, "exclude each other"),
        ({"max_redirects": -1}, ValueError, "max_redirects"),
        ({"max_bytes": -1}, ValueError, "max_bytes"),
        ({"priority": 3}, TypeError, "priority"),
    ],
)
async def test_slips_are_told_before_anything_is_sent(
    arguments: dict[str, Any], kind: type[Exception], text: str
) -> None:
    async with http3.Client() as client:
        with pytest.raises(kind, match=text):
            await client.request(**{"method": "GET", "url": "https://127.0.0.1:1/", **arguments})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"early_data": True}, "early_data needs sessions"),
        ({"max_redirects": -1}, "max_redirects"),
        ({"headers": [("a b", "c")]}, "not a field name"),
        ({"limits": http3.PoolLimits(max_connections=0)}, "max_connections"),
    ],
)
def test_settings_that_cannot_be_right(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        http3.Client(**options)


# -- redirects -------------------------------------------------------------------------------------


async def test_redirects(autojump_clock: Clock) -> None:
    async with visited() as (site, client):
        response = await client.get(f"{site.url}/redirect/redirect/json")
        assert (response.status, response.url) == (200, f"{site.url}/json")
        response = await client.get(f"{site.url}/redirect/json", max_redirects=0)
        assert (response.status, response.header("location")) == (302, "/json")
        with pytest.raises(http3.RedirectError, match="more than 1 redirects"):
            await client.get(f"{site.url}/redirect/redirect/json", max_redirects=1)
        for where in ("http://a.example/", "https://[", "https://a:0/"):
            with pytest.raises(http3.RedirectError, match="cannot be asked for"):
                await client.get(f"{site.url}/astray", headers=[("x-location", where)])
        assert client.connections[0].active_requests == 0


def test_a_host_field_is_for_one_spelling_of_the_origin() -> None:
    """A redirect may name the port that the URL left out: RFC 9114 section 4.3.1 wants the field to
    say the same as `:authority`."""
    call = Call(
        method="GET",
        origin=Origin("a.example", 443),
        authority="a.example",
        path="/",
        fields=((b"host", b"a.example"), (b"cookie", b"a=b")),
    )
    same, _ = after_redirect(call, "https://a.example/", 302, b"/b")
    assert same.fields == call.fields
    spelt, url = after_redirect(call, "https://a.example/", 302, b"https://a.example:443/b")
    assert (spelt.origin, spelt.authority, url) == (
        call.origin,
        "a.example:443",
        "https://a.example:443/b",
    )
    assert spelt.fields == ((b"cookie", b"a=b"),)


async def test_passwords_in_redirects_are_not_told(autojump_clock: Clock) -> None:
    async with visited() as (site, client):
        where = [("x-location", "https://joe:sesame@a.example/")]
        with pytest.raises(http3.RedirectError, match=r"a\.example") as caught:
            await client.get(f"{site.url}/redirect/astray", headers=where, max_redirects=1)
        assert "sesame" not in str(caught.value)


async def test_a_post_that_is_redirected(autojump_clock: Clock) -> None:
    """RFC 9110 section 15.4.3: as everybody does it, with GET."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"

    async with visited() as (site, client):
        for content in (b"abc", pieces()):
            response = await client.post(f"{site.url}/redirect/json", content=content)
            fields = response.json()
            assert fields[":method"] == "GET"
            assert "content-length" not in fields
        response = await client.put(f"{site.url}/redirect/json", content=b"abc")
        assert response.json()[":method"] == "PUT"
        with pytest.raises(http3.RedirectError, match="not there to be sent once more"):
            await client.put(f"{site.url}/redirect/json", content=pieces())


async def test_secrets_stay_with_the_origin_they_were_given_for(autojump_clock: Clock) -> None:
    async with visited() as (site, client):
        secret = [("cookie", "a=b"), ("authorization", "Bearer x"), ("x-kept", "1")]
        elsewhere = f"https://joe:sesame@{NAME}:{site.port}/json"
        for url, there in ((f"{site.url}/json", True), (elsewhere, False)):
            headers = [*secret, ("x-location", url)]
            fields = (await client.get(f"{site.url}/astray", headers=headers)).json()
            assert ("authorization" in fields, "cookie" in fields) == (there, there)
            assert fields["x-kept"] == "1"
        assert len(site.applications) == 2


# -- connections -----------------------------------------------------------------------------------


async def test_one_connection_for_an_origin(autojump_clock: Clock) -> None:
    async with visited() as (site, client):
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(client.get, f"{site.url}/bytes/{number}")
        assert len(site.applications) == len(client.connections) == 1
        await trio.sleep(6)
        # idle for too long
        assert not client.connections
        await client.get(f"{site.url}/bytes/1")
        assert len(site.applications) == 2


async def test_requests_go_on_over_another_network(autojump_clock: Clock) -> None:
    async with visited() as (site, client):
        async with client.stream("GET", f"{site.url}/bytes/2000000") as response:
            content = await response.receive_some()
            assert site.world is not None
            site.world.wifi.down()
            content += await response.read()
        assert is_pattern(content) and len(content) == 2_000_000
        assert len(site.applications) == 1


@pytest.mark.parametrize("interface", ["wlan0", "wwan0"])
async def test_where_connections_begin(autojump_clock: Clock, interface: str) -> None:
    async with visited(interfaces=["usb0", interface]) as (site, client):
        await client.get(f"{site.url}/bytes/1")
        path = client.connections[0].quic.active_path
        assert path is not None
        assert path.interface == interface


async def test_what_is_safe_to_repeat_is_sent_again(autojump_clock: Clock) -> None:
    """The first connection is closed, left by the server, or rejects the request."""
    for what in ("close", "goaway"):
        async with visited() as (site, client):
            response = await client.put(f"{site.url}/first/{what}", content=b"abc")
            assert response.text == hashlib.sha256(b"abc").hexdigest()
            assert asked(site) == [b"PUT", b"PUT"]
    async with visited() as (site, client):
        # not processed: then whatever it is
        response = await client.post(f"{site.url}/first/goaway", content=b"abc")
        assert response.text == hashlib.sha256(b"abc").hexdigest()


async def test_what_is_not_is_not(autojump_clock: Clock) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"

    for method, content in (("POST", b"abc"), ("PUT", pieces())):
        async with visited() as (site, client):
            with pytest.raises(trioquic.PeerClosedError):
                await client.request(method, f"{site.url}/first/close", content=content)
            assert len(asked(site)) == 1


async def test_a_server_that_is_not_heard(autojump_clock: Clock) -> None:
    """A second connection is opened beside the first one, and the request is sent there."""
    async with visited() as (site, client):
        await client.get(f"{site.url}/bytes/1")
        forget(site)
        began = trio.current_time()
        assert is_pattern((await client.get(f"{site.url}/bytes/1000")).content)
        assert trio.current_time() - began < LONGEST
        # the next one does not wait, nor does what cannot be sent twice
        began = trio.current_time()
        await client.post(f"{site.url}/digest", content=b"abc")
        assert trio.current_time() - began < 0.2
        assert len(site.applications) == 2


@pytest.mark.usefixtures("calendar")
async def test_early_data(autojump_clock: Clock) -> None:
    sessions = trioquic.MemorySessions()
    server = {"session_tickets": True}
    async with simulated_site(**server) as site:
        for early in (trioquic.EarlyData.NONE, trioquic.EarlyData.ACCEPTED):
            async with client_of(site, sessions=sessions, early_data=True) as client:
                # RFC 8470: 425 is no answer to it
                assert (await client.get(f"{site.url}/late")).status == 200
                assert client.connections[0].quic.early_data is early
        assert [len(one.exchanges) for one in site.applications] == [1, 2]


async def test_another_place_for_an_origin(autojump_clock: Clock) -> None:
    """RFC 7838; one that does not answer is left for the origin itself."""
    transport = trioquic.TransportConfig(handshake_timeout=2)
    async with visited(transport=transport) as (site, client):
        value = [("x-alt-svc", 'h3="192.0.2.99:1"')]
        assert (await client.get(f"{site.url}/alt-svc", headers=value)).status == 200
        for longest in (2.5, 0.2):
            began = trio.current_time()
            assert "alt-used" not in (await client.get(f"{site.url}/json")).json()
            assert trio.current_time() - began < longest


async def test_an_alternative_that_this_machine_cannot_reach(autojump_clock: Clock) -> None:
    """That is not its fault, and it is not remembered; the origin is asked all the same."""
    policy = trioquic.MigrationPolicy(only_interfaces=("wlan0",))
    async with visited(migration=policy, limits=http3.PoolLimits(idle_expiry=1)) as (site, client):
        value = [("x-alt-svc", f'h3="[{SERVER6}]:4433", h3="[{PREFERRED6}]:4433"')]
        assert (await client.get(f"{site.url}/alt-svc", headers=value)).status == 200
        for _ in range(2):
            await trio.sleep(2)
            assert "alt-used" not in (await client.get(f"{site.url}/json")).json()
        assert len(site.applications) == 3


# -- the block -------------------------------------------------------------------------------------


async def test_a_graceful_end() -> None:
    async with website() as site:
        async with client_of(site) as client:
            await client.get(f"{site.url}/bytes/1")
        connection = site.applications[0].connection
        await connection.closed.wait()
        assert connection.terminated is not None
        assert connection.terminated.error_code == http3.ErrorCode.H3_NO_ERROR


async def test_an_exception_comes_out_as_it_went_in() -> None:
    error = ValueError("x")

    async def block() -> None:
        async with client_of(site) as client:
            async with client.stream("GET", f"{site.url}/part"):
                raise error

    async with website() as site:
        with pytest.raises(ValueError, match="x") as caught:
            await block()
        assert caught.value is error
        await site.applications[0].connection.closed.wait()


async def test_a_request_that_is_cancelled_leaves_nothing(autojump_clock: Clock) -> None:
    async with visited() as (site, client):
        with trio.move_on_after(5) as scope:
            await client.get(f"{site.url}/wait")
        assert scope.cancelled_caught
        (http,) = client.connections
        assert http.active_requests == 0


async def test_it_works_in_a_block_only() -> None:
    client = http3.Client()
    with pytest.raises(RuntimeError, match="async with"):
        await client.get("https://127.0.0.1:1/")
    assert client.connections == ()
    async with client:
        with pytest.raises(RuntimeError, match="entered before"):
            await client.__aenter__()


def test_in_an_anyio_application() -> None:
    async def work() -> None:
        async with website() as site, client_of(site) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.get, f"{site.url}/bytes/1")
            with anyio.move_on_after(0.05) as scope:
                await client.get(f"{site.url}/wait")
            assert scope.cancelled_caught

    anyio.run(work, backend="trio")


def test_not_under_asyncio() -> None:
    async def work() -> None:
        with pytest.raises(RuntimeError, match="works on trio only"):
            await http3.Client().__aenter__()

    anyio.run(work, backend="asyncio")


async def test_windows_grow_from_one_byte(autojump_clock: Clock) -> None:
    least = trioquic.TransportConfig(initial_max_data=1, initial_max_stream_data=1)
    async with visited(transport=least) as (site, client):
        response = await client.get(f"{site.url}/bytes/20000")
        assert is_pattern(response.content) and len(response.content) == 20_000


async def test_methods_are_sent_in_capitals(autojump_clock: Clock) -> None:
    async with visited() as (site, client):
        assert (await client.request("get", f"{site.url}/json")).json()[":method"] == "GET"
        async with client.stream("Put", f"{site.url}/json", content=b"x") as response:
            assert b'"PUT"' in await response.read()
        with pytest.raises(ValueError, match="not a method: 'gr\xfc\xdfe'"):
            await client.request("gr\xfc\xdfe", site.url)
        with pytest.raises(TypeError, match="method must be a str, not bytes"):
            await client.request(b"GET", site.url)  # type: ignore[arg-type]


async def test_a_field_that_cannot_be_sent_is_named() -> None:
    async with http3.Client() as client:
        for value in ("5 \u20ac", "\u20ac"):
            with pytest.raises(ValueError, match="the value of x-price has '\u20ac'"):
                await client.get("https://a.example/", headers=[("X-Price", value)])
        with pytest.raises(ValueError, match="not a field name: '\u20ac'"):
            await client.get("https://a.example/", headers=[("\u20ac", "5")])
