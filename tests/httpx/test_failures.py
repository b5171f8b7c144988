"""What is raised when something goes wrong, and what is sent again instead."""

import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import trio

import trioquic
from trioquic import http3
from trioquic._protocol.connection import ClientConnection
from trioquic.http3 import ErrorCode
from trioquic.http3.client.discovery import Mode

from .site import Site, pool_of, website
from .test_discovery import Around


@pytest.mark.parametrize(
    ("path", "error", "cause"),
    [
        ("/close", httpx.RemoteProtocolError, trioquic.PeerClosedError),
        ("/reset/258", httpx.RemoteProtocolError, http3.HTTP3StreamError),
        ("/reject", httpx.RemoteProtocolError, http3.RequestRejectedError),
        ("/goaway", httpx.RemoteProtocolError, http3.RequestRejectedError),
    ],
)
async def test_what_the_server_does(
    path: str, error: type[Exception], cause: type[Exception]
) -> None:
    async with website() as site, site.client() as client:
        with pytest.raises(error) as caught:
            await client.post(path, content=b"abc")
        assert isinstance(caught.value.__cause__, cause)
        assert isinstance(caught.value, httpx.HTTPError)
        assert caught.value.request.url.path == path
        # the next request is not harmed
        assert (await client.get("/bytes/1")).status_code == 200


async def test_lost_in_the_middle_of_a_response() -> None:
    async with website() as site, site.client() as client:
        async with client.stream("GET", "/part") as response:
            chunks = response.aiter_bytes()
            assert await anext(chunks) == b"part"
            site.applications[0].quic.close(error_code=ErrorCode.H3_INTERNAL_ERROR)
            site.applications[0].connection.flush()
            with pytest.raises(httpx.RemoteProtocolError) as caught:
                await anext(chunks)
            assert isinstance(caught.value.__cause__, trioquic.PeerClosedError)


async def test_the_network_is_gone_in_the_middle_of_a_response() -> None:
    transport = trioquic.TransportConfig(idle_timeout=1.0)
    async with website() as site, site.client(transport=transport) as client:
        async with client.stream("GET", "/part") as response:
            chunks = response.aiter_bytes()
            assert await anext(chunks) == b"part"
            assert site.server is not None
            # the server falls silent
            site.server.connections[0].quic.datagrams_to_send = lambda now: []  # type: ignore[method-assign]
            with pytest.raises(httpx.ReadError) as caught:
                await anext(chunks)
            assert isinstance(caught.value.__cause__, trioquic.IdleTimeoutError)


async def test_no_connection() -> None:
    async with website() as site:
        stranger = site.transport(tls=trioquic.TLSConfig())
        async with httpx.AsyncClient(transport=stranger) as client:
            with pytest.raises(httpx.ConnectError) as caught:
                await client.get(site.url)
            assert isinstance(caught.value.__cause__, trioquic.CertificateError)
    async with website(alpn=("hq-interop",)) as site, site.client() as client:
        with pytest.raises(httpx.ConnectError) as caught:
            await client.get("/")
        assert isinstance(caught.value.__cause__, trioquic.AlpnError)
        assert pool_of(client).connections == ()


async def test_an_unknown_host() -> None:
    async with Site(host="nowhere.invalid", port=443).client() as client:
        with pytest.raises(httpx.ConnectError) as caught:
            await client.get("/")
        assert isinstance(caught.value.__cause__, socket.gaierror)


async def test_what_http3_cannot_send() -> None:
    async with website() as site, site.client() as client:
        with pytest.raises(httpx.UnsupportedProtocol) as caught:
            await client.get("http://user:sesame@127.0.0.1:1/")
        assert "sesame" not in str(caught.value)
        with pytest.raises(httpx.LocalProtocolError):
            await client.get("/bytes/1", headers={"x-a": "a\nb"})
        assert (await client.get("/bytes/1")).status_code == 200
        assert all(not one.users for one in pool_of(client).connections)


@pytest.mark.parametrize("mode", ["only", "direct"])
@pytest.mark.parametrize(
    ("content", "announced"),
    [
        (b"abc", ["9"]),
        (b"abc", ["2"]),
        (b"", ["1"]),
        (b"abc", ["3", "4"]),
        (b"abc", ["3", "3"]),
    ],
)
async def test_a_content_length_that_is_not_the_contents_is_told_before_anything_is_sent(
    content: bytes, announced: list[str], mode: Mode
) -> None:
    """RFC 9114 section 4.1.2: the server would have to treat the request as malformed."""
    around = Around()
    async with website() as site:
        fallback = None if mode == "only" else httpx.MockTransport(around)
        async with site.client(mode=mode, fallback=fallback) as client:
            headers = [("content-length", one) for one in announced]
            with pytest.raises(httpx.LocalProtocolError, match="content-length"):
                await client.post("/digest", content=content, headers=headers)
            assert pool_of(client).connections == ()
        assert site.applications == []
    assert around.times == []


class OwnError(Exception):
    """What an application's body may raise."""


class Odd(BaseException):
    """The same: it need not be an Exception, as pytest.fail and GeneratorExit are none."""


@pytest.mark.parametrize("path", ["/digest", "/echo"])
@pytest.mark.parametrize(
    "error",
    [
        OwnError(),
        Odd(),
        BaseExceptionGroup("of a nursery", [Odd(), OwnError()]),
        # of another client, from which the body comes
        httpx.ConnectError("another's"),
        httpx.ReadError("another's"),
    ],
    ids=repr,
)
async def test_what_the_body_raises(path: str, error: BaseException) -> None:
    """Before the response has come, and when it has. It is about no other request."""

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        raise error

    around = Around()
    more = {"fallback": httpx.MockTransport(around), "head_start": 5.0}
    async with website() as site, site.client(**more) as client:
        async with client.stream("GET", "/bytes/300000") as other:
            with pytest.raises(type(error)) as caught:
                await client.post(path, content=body())
            assert caught.value is error
            assert len(await other.aread()) == 300_000
        assert (await client.get("/bytes/1")).status_code == 200
        assert around.times == []
        (application,) = site.applications
        assert application.resets[4] == 0x10C


async def test_what_was_not_processed_is_sent_again() -> None:
    """RFC 9114 sections 4.1.1 and 5.2: whatever the method."""
    for path in ("reject", "goaway"):
        async with website() as site, site.client() as client:
            if path == "reject":
                # a server that rejects without going away is asked again on this connection
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.post("/first/reject", content=b"abc")
                assert site.applications[0].sizes.keys() == {0, 4, 8, 12}
            else:
                response = await client.post("/first/goaway", content=b"abc")
                assert response.status_code == 200
                assert len(site.applications) == 2


async def test_a_lost_request_is_sent_again_if_that_does_no_harm() -> None:
    async with website() as site, site.client() as client:
        assert (await client.get("/first/close")).status_code == 200
        assert len(site.applications) == 2
    async with website() as site, site.client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/first/close", content=b"abc")
        assert len(site.applications) == 1


async def test_a_body_that_cannot_be_repeated_is_not() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"abc"

    async with website() as site, site.client() as client:
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await client.put("/first/goaway", content=body())
        assert isinstance(caught.value.__cause__, http3.RequestRejectedError)
        assert len(site.applications) == 1


async def test_others_go_on_when_the_server_goes_away() -> None:
    async with website() as site, site.client() as client:
        async with client.stream("GET", "/bytes/1000000") as response:
            site.applications[0].go_away(4)
            site.applications[0].connection.flush()
            (old,) = pool_of(client).connections
            while old.usable:
                await trio.lowlevel.checkpoint()
            assert (await client.get("/bytes/1")).status_code == 200
            assert len(site.applications) == 2
            assert len(await response.aread()) == 1_000_000


class PlantedError(Exception):
    """What a bug of ours might raise."""


async def test_a_bug_is_no_failure_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not hidden in one of httpx's exceptions; the next connection may be spared."""

    def receive(*_: object) -> None:
        raise PlantedError

    async with website() as site, site.client() as client:
        async with client.stream("GET", "/part") as response:
            (old,) = pool_of(client).connections
            with monkeypatch.context() as patch:
                patch.setattr(ClientConnection, "receive", receive)
                site.applications[0].quic.send_ping(1)
                site.applications[0].connection.flush()
                with pytest.raises(trioquic.InternalError):
                    await response.aread()
        while not old.over:
            await trio.lowlevel.checkpoint()
        # in no group, though several tasks of the connection have met it
        assert isinstance(old.error, trioquic.InternalError)
        assert (await client.get("/bytes/1")).status_code == 200
        assert len(site.applications) == 2
