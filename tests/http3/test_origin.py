"""Requests go to servers that are authenticated for them, and to no others (RFC 9114, 3.3)."""

from typing import Any

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives import hashes

import trioquic
from tests.sim_server import PORT, ServerOptions, credentials
from tests.sim_world import SERVER
from trioquic import http3
from trioquic._checks import without_password
from trioquic.http3.url import parse_url

from .world import HTTPWorld, http_world

Clock = trio.testing.MockClock
SECRET = ("authorization", "Basic c2VjcmV0")


async def asked(http: http3.HTTP3Connection, url: str, **more: Any) -> int:
    async with http.request("GET", f"{url}/headers", headers=[SECRET], **more) as response:
        await response.read()
        return response.status


def requests(world: HTTPWorld) -> list[bytes]:
    """The authorities that the servers were asked as."""
    return [
        exchange.headers[b":authority"]
        for application in world.applications
        for exchange in application.exchanges.values()
    ]


async def test_a_host_that_the_certificate_does_not_name(autojump_clock: Clock) -> None:
    async with http_world() as world, world.connect() as http:
        for url in (
            "https://other.example",
            "https://server.example.evil.example",
            "https://[::1]",
        ):
            with pytest.raises(http3.NotAuthoritativeError, match="certificate does not name"):
                await asked(http, url)
        with pytest.raises(http3.NotAuthoritativeError):
            await http.open_request("GET", "https", "other.example", "/headers", [SECRET])
        assert http.active_requests == 0
        assert await asked(http, "https://SERVER.example.") == 200
        assert await asked(http, f"https://server.example:{PORT + 1}") == 200
        # the address that the connection was opened to
        assert await asked(http, f"https://{SERVER}") == 200
        assert await asked(http, "https://other.example", any_origin=True) == 200
        assert [b"other" in name for name in requests(world)] == [False, False, False, True]


async def test_other_names_of_the_certificate(autojump_clock: Clock) -> None:
    def configure(options: ServerOptions) -> None:
        options.credentials = credentials("server.example", "*.wild.example", "192.0.2.77")

    async with http_world(configure=configure) as world, world.connect() as http:
        for url in ("https://www.wild.example", "https://192.0.2.77"):
            assert await asked(http, url) == 200
        for url in ("https://wild.example", "https://a.b.wild.example", "https://192.0.2.78"):
            with pytest.raises(http3.NotAuthoritativeError):
                await asked(http, url)
        assert requests(world) == [b"www.wild.example", b"192.0.2.77"]


@pytest.mark.parametrize("how", ["no verification", "fingerprint"])
async def test_who_knows_the_server_by_other_means_may_ask_anything(
    autojump_clock: Clock, how: str
) -> None:
    tls = trioquic.TLSConfig(verify=False)
    if how == "fingerprint":
        digest = credentials().chain[0].fingerprint(hashes.SHA256())
        tls = trioquic.TLSConfig(fingerprint=digest)
    async with http_world() as world, world.connect(tls=tls) as http:
        assert await asked(http, "https://other.example") == 200


@pytest.mark.usefixtures("calendar")
async def test_early_data_is_for_the_host_that_was_authenticated_before(
    autojump_clock: Clock,
) -> None:
    """Another name of the certificate waits for the handshake: it may come with another one."""

    def configure(options: ServerOptions) -> None:
        options.session_tickets = True
        options.credentials = credentials("server.example", "www.example")

    sessions = trioquic.MemorySessions()
    async with http_world(configure=configure) as world:
        async with world.connect(sessions=sessions) as http:
            assert await asked(http, "https://server.example") == 200
        async with world.connect(sessions=sessions, early_data=True) as http:
            assert not http.quic.handshake_complete
            assert await asked(http, "https://www.example", early_data=True) == 200
            assert http.quic.handshake_complete
        async with world.connect(sessions=sessions, early_data=True) as http:
            with pytest.raises(http3.NotAuthoritativeError):
                await asked(http, "https://other.example", early_data=True)
        assert requests(world) == [b"server.example", b"www.example"]


async def test_the_host_field_says_nothing_else(autojump_clock: Clock) -> None:
    """Section 4.3.1."""
    async with http_world() as world, world.connect() as http:
        wrong: list[list[str | bytes]] = [["other.example"], [b"other.example"]]
        # the right one twice is malformed as well (RFC 9110 section 7.2)
        wrong.append(["server.example", "server.example"])
        for hosts in wrong:
            headers = [("Host", host) for host in hosts]
            with pytest.raises(ValueError, match="host"):
                async with http.request("GET", "https://server.example/headers", headers=headers):
                    pass
        assert requests(world) == []


@pytest.mark.parametrize(
    "authority",
    [
        "[::1]x",
        "user@server.example",
        "server.example/x",
        "server.example?",
        "[::1",
        "server.example:99999",
    ],
)
async def test_what_is_no_authority(autojump_clock: Clock, authority: str) -> None:
    """Whatever the request is, and whichever server it is for."""
    async with http_world() as world, world.connect() as http:
        for method, more in (
            ("GET", {}),
            ("GET", {"any_origin": True}),
            ("CONNECT", {}),
            ("CONNECT", {"protocol": "websocket", "any_origin": True}),
        ):
            with pytest.raises(ValueError):
                await http.open_request(method, "https", authority, "/headers", **more)
        assert http.active_requests == 0
        await trio.sleep(1)
        assert requests(world) == []


@pytest.mark.parametrize(
    "authority", ["server.example", "server.example:", "[::1]", "::1", "1:2:3"]
)
async def test_a_tunnel_leads_to_a_port(autojump_clock: Clock, authority: str) -> None:
    """RFC 9110 section 9.3.6: CONNECT says one, also if it is the usual one."""
    async with http_world() as world, world.connect() as http:
        with pytest.raises(ValueError, match=r"port|PORT"):
            await http.open_request("CONNECT", "", authority, "")
        assert http.active_requests == 0
        for right in ("server.example:443", "[2001:db8::1]:22", "192.0.2.1:1"):
            await http.open_request("CONNECT", "", right, "")
        await trio.sleep(1)
        assert requests(world) == [b"server.example:443", b"[2001:db8::1]:22", b"192.0.2.1:1"]


@pytest.mark.parametrize(
    "url",
    [
        "https://[",
        "https://a:99999/",
        "https://a:0/",
        "https://[::1]x/",
        "https://a:b/",
        "https://",
        "http://user:sesame@a/",
        "https://user:sesame@:443/",
        "//user:sesame@host",
        "https://user:sesame/x@host/",
        "https://user:x#sesame@host/",
        "https://user:sesame@ex\u2100mple/",
    ],
)
def test_urls_that_make_no_sense(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_url(url)
    assert "sesame" not in str(caught.value)


def test_a_password_is_no_part_of_what_is_sent_or_shown() -> None:
    url = "https://user:se:sa@me@server.example:1/a@b?c@d"
    target = parse_url(url)
    assert (target.authority, target.path) == ("server.example:1", "/a@b?c@d")
    assert without_password(url) == "https://user:***@server.example:1/a@b?c@d"
    assert without_password("https://user@a/") == "https://user@a/"
    for none in ("https://a/b:c@d", "https://a:1/b@c", "https://[::1]:1/b@c", "https://a", "a@b"):
        assert without_password(none) == none
