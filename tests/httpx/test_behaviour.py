"""What httpx's users know, over HTTP/3: bodies both ways, redirects, cookies, reuse, closing."""

import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest
import trio
import trio.testing

from tests.sim_server import pattern
from trioquic.http3 import Priority

from .site import is_pattern, pool_of, simulated_site, website


async def test_requests_share_a_connection() -> None:
    async with website() as site, site.client() as client:
        for size in (0, 1, 100_000):
            response = await client.get(f"/bytes/{size}")
            assert response.content == pattern(size)
            assert response.http_version == "HTTP/3"
            assert response.is_closed

        async def get(number: int) -> None:
            assert is_pattern((await client.get(f"/bytes/{number}")).content)

        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(get, number)
        assert len(site.applications) == 1
        (connection,) = pool_of(client).connections
        assert not connection.users


async def test_a_response_is_read_as_it_comes() -> None:
    """Backpressure: what is not read stays with the server."""
    size = 4_000_000
    async with website() as site, site.client() as client:
        async with client.stream("GET", f"/bytes/{size}") as response:
            chunks = response.aiter_bytes()
            first = await anext(chunks)
            quic = response.extensions["trioquic_connection"]
            assert len(first) < size / 10
            received = quic.statistics().packets_received
            assert received * 1500 < size
            digest = hashlib.sha256(first)
            async for chunk in chunks:
                digest.update(chunk)
            assert digest.digest() == hashlib.sha256(pattern(size)).digest()


async def test_lines_of_a_response() -> None:
    async with website() as site, site.client() as client:
        async with client.stream("GET", "/headers", headers={"x-a": "1"}) as response:
            assert "x-a: 1" in [line async for line in response.aiter_lines()]


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
async def test_a_body_goes_up(size: int) -> None:
    content = pattern(size)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 70_000):
            yield content[start : start + 70_000]

    expected = hashlib.sha256(content).hexdigest()
    async with website() as site, site.client() as client:
        for body in (content, pieces()):
            response = await client.post("/digest", content=body)
            assert response.text == expected
        given, streamed = site.applications[0].exchanges.values()
        assert given.headers[b"content-length"] == str(size).encode()
        # HTTP/3 has frames of its own for what this would say
        assert b"transfer-encoding" not in streamed.headers


async def test_an_upload_goes_on_over_handovers() -> None:
    moves = 0
    sent = hashlib.sha256()
    async with website() as site, site.client() as client:
        response = await client.get("/bytes/1")
        quic = response.extensions["trioquic_connection"]

        async def body() -> AsyncIterator[bytes]:
            nonlocal moves
            for number in range(30):
                piece = pattern(100_000, number)
                sent.update(piece)
                yield piece
                if number % 10 == 5:
                    await quic.migrate()
                    moves += 1

        response = await client.post("/digest", content=body())
        assert response.text == sent.hexdigest()
        assert moves == 3
        assert len(site.applications) == 1


async def test_both_ways_at_once() -> None:
    """The answer to each piece is awaited before the next one is sent."""
    send, receive = trio.open_memory_channel[bytes](0)
    async with website() as site, site.client() as client:
        async with client.stream("POST", "/echo", content=receive) as response:
            chunks = response.aiter_bytes()
            async with send:
                for number in range(10):
                    await send.send(b"%d" % number)
                    assert await anext(chunks) == b"%d" % number
            assert [chunk async for chunk in chunks] == []


async def test_a_response_before_the_body_ends_it() -> None:
    """The server wants no more of it (RFC 9114 section 4.1), which is no error."""
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield bytes(100_000)

    async with website() as site, site.client() as client:
        response = await client.post("/early", content=body())
        assert response.text == "enough"
        assert taken < 1000


async def test_what_comes_besides_the_body() -> None:
    async with website() as site, site.client() as client:
        response = await client.get("/interim")
        assert response.extensions["informational"] == (
            (103, httpx.Headers({"link": "</style.css>; rel=preload"})),
        )
        async with client.stream("GET", "/trailers") as response:
            trailers = response.extensions["trailers"]
            assert trailers == httpx.Headers()
            content = await response.aread()
            assert trailers["checksum"] == hashlib.sha256(content).hexdigest()
        assert response.extensions["stream_id"] == 4


async def test_what_a_request_says() -> None:
    """RFC 9114 section 4.2: nothing about a connection, and the host as control data."""
    headers = {
        "Connection": "keep-alive, X-Hop",
        "Keep-Alive": "timeout=5",
        "Proxy-Connection": "close",
        "Transfer-Encoding": "chunked",
        "Upgrade": "h2c",
        "X-Hop": "1",
        "TE": "gzip",
        "X-Kept": "Yes",
    }
    async with website() as site, site.client() as client:
        request = client.build_request("GET", "/json?q=a b", headers=headers)
        request.extensions["priority"] = Priority(urgency=1)
        fields = (await client.send(request)).json()
        assert fields.pop("user-agent") == request.headers["user-agent"]
        assert fields == {
            ":method": "GET",
            ":scheme": "https",
            ":authority": f"127.0.0.1:{site.port}",
            ":path": "/json?q=a%20b",
            "accept": "*/*",
            "accept-encoding": request.headers["accept-encoding"],
            "x-kept": "Yes",
            "priority": "u=1",
        }
        headers = {"Host": "other.example", "TE": "trailers"}
        fields = (await client.get("/json", headers=headers)).json()
        assert fields[":authority"] == "other.example"
        assert "host" not in fields
        assert fields["te"] == "trailers"


async def test_the_server_name_of_the_certificate() -> None:
    """httpx's `sni_hostname`: an address of one's own for a host."""
    async with website() as site, site.client() as client:
        response = await client.get("/bytes/1", extensions={"sni_hostname": "server.example"})
        assert response.status_code == 200
        with pytest.raises(httpx.ConnectError, match=r"other\.example"):
            await client.get("/bytes/1", extensions={"sni_hostname": "other.example"})


async def test_a_target_that_is_a_text(autojump_clock: trio.testing.MockClock) -> None:
    async with simulated_site() as site, site.client() as client:
        with pytest.raises(TypeError, match='the extension "target" must be bytes, not str'):
            await client.get("/", extensions={"target": "/bytes/1"})
        response = await client.get("/", extensions={"target": b"/bytes/1"})
        assert is_pattern(response.content)


async def test_redirects_and_cookies() -> None:
    async with website() as site, site.client() as client:
        response = await client.get("/redirect/redirect/cookie", follow_redirects=True)
        assert [one.status_code for one in (*response.history, response)] == [302, 302, 200]
        assert (await client.get("/json")).json()["cookie"] == "flavour=oat"
        response = await client.post("/redirect/json", content=b"abc", follow_redirects=True)
        assert response.json()[":method"] == "GET"
        with pytest.raises(httpx.TooManyRedirects):
            await client.get("/redirect/" + "redirect/" * 30, follow_redirects=True)
        assert len(site.applications) == 1


async def test_raise_for_status() -> None:
    async with website() as site, site.client() as client:
        for status, fails in ((204, False), (404, True), (503, True)):
            response = await client.get(f"/status/{status}")
            assert response.status_code == status
            if fails:
                with pytest.raises(httpx.HTTPStatusError, match=str(status)):
                    response.raise_for_status()
            else:
                response.raise_for_status()


async def test_head_and_other_methods() -> None:
    async with website() as site, site.client() as client:
        response = await client.head("/status/200")
        assert response.content == b""
        for method in ("OPTIONS", "PUT", "PATCH", "DELETE", "PROPFIND"):
            assert (await client.request(method, "/json")).json()[":method"] == method


async def test_a_response_left_early_is_cancelled() -> None:
    async with website() as site, site.client() as client:
        async with client.stream("GET", "/bytes/30000000") as response:
            assert response.status_code == 200
        with pytest.raises(httpx.StreamClosed):
            await response.aread()
        assert (await client.get("/bytes/1")).status_code == 200
        (application,) = site.applications
        assert application.stops == {0: 0x10C}


async def test_an_upload_left_early_is_cancelled() -> None:
    """Its iterator has been left when the response has."""
    asked, left = trio.Event(), trio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            asked.set()
            await trio.sleep_forever()
        finally:
            left.set()

    async with website() as site, site.client() as client:
        async with client.stream("POST", "/echo", content=body()):
            await asked.wait()
            assert not left.is_set()
        assert left.is_set()
        assert (await client.get("/bytes/1")).status_code == 200
        assert site.applications[0].resets == {0: 0x10C}
