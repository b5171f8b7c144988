"""Addresses with a zone (RFC 4007) in URLs (RFC 6874): what is kept here, what a server hears."""

import sys

import httpx
import pytest
import trio
import trio.testing

from tests.runtime.world import phone_world
from trioquic import HandshakeError, LocalAddressError, TLSConfig
from trioquic._protocol.tls.config import TlsClientConfig
from trioquic._protocol.tls.verify import NoVerification
from trioquic._runtime.authority import Authority
from trioquic.http3 import Client
from trioquic.http3.url import parse_url, unescaped, without_zone
from trioquic.httpx._around import _over_tcp
from trioquic.httpx._fallback import ssl_context
from trioquic.httpx._fields import call_of, names_another_host
from trioquic.httpx._tcp import _Stream
from trioquic.httpx._tunnels import addresses_of

pytestmark = pytest.mark.plain


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://[fe80::1%25eth0]:1/", "fe80::1%eth0"),
        # as people write it
        ("https://[fe80::1%eth0]:1/", "fe80::1%eth0"),
        ("https://[FE80::1%25Eth0]:1/", "fe80::1%Eth0"),
        ("https://[fe80::1%252]:1/", "fe80::1%2"),
        ("https://[fe80::1%2525]:1/", "fe80::1%25"),
    ],
)
def test_a_url(url: str, host: str) -> None:
    target = parse_url(url)
    assert target.origin == (host, 1)
    assert target.authority == "[fe80::1]:1"
    assert target.url == "https://[fe80::1]:1/"


@pytest.mark.parametrize(
    ("host", "seen"),
    [
        ("fe80::1%25eth0", "fe80::1%eth0"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("fe80::1%25Wi%2DFi", "fe80::1%Wi-Fi"),
        ("fe80::1", "fe80::1"),
        ("a%25b.example", "a%25b.example"),
    ],
)
def test_names_that_are_no_addresses_stay_as_they_are(host: str, seen: str) -> None:
    assert unescaped(host) == seen


@pytest.mark.parametrize(
    ("authority", "told"),
    [
        ("[fe80::1%25eth0]:443", "[fe80::1]:443"),
        ("[fe80::1%eth0]", "[fe80::1]"),
        ("[2001:db8::1]:1", "[2001:db8::1]:1"),
        ("host.example:1", "host.example:1"),
        ("odd%25.example", "odd%25.example"),
    ],
)
def test_what_a_server_is_told(authority: str, told: str) -> None:
    assert without_zone(authority) == told


def request(**headers: str) -> httpx.Request:
    return httpx.Request("GET", "https://[fe80::1%25eth0]:4433/x", headers=headers)


def test_a_request_of_httpx() -> None:
    asked = request()
    assert "%" in asked.headers["host"]
    assert not names_another_host(asked)
    call = call_of(asked)
    assert call.origin == ("fe80::1%eth0", 4433)
    assert call.authority == "[fe80::1]:4433"
    assert not call.any_origin
    assert call_of(request(host="[fe80::2]")).any_origin


def test_a_request_over_tcp() -> None:
    asked = _over_tcp(request(accept="x"), 0.0)
    assert asked.headers["host"] == "[fe80::1]:4433"
    assert asked.headers["accept"] == "x"
    # where the transport below goes is the URL's to say
    assert asked.url.host == "fe80::1%25eth0"
    plain = httpx.Request("GET", "https://host.example/")
    assert _over_tcp(plain, 0.0) is plain


@pytest.mark.parametrize("zone", ["wlan0", "1"])
async def test_another_interface_than_that_of_the_zone_is_refused(
    autojump_clock: trio.testing.MockClock, zone: str
) -> None:
    """Nothing is asked on either."""
    async with phone_world() as world:
        numbers = {each.name: each.index for each in world.phone.snapshot()}
        zone = zone if zone == "wlan0" else str(numbers["wlan0"])
        url = f"https://[fe80::9%25{zone}]:4433/"
        async with Client(interfaces=["wwan0"]) as client:
            with pytest.raises(LocalAddressError, match="'wlan0', and not on 'wwan0'"):
                await client.get(url)
        assert not world.record.select(host="phone")


async def test_the_zone_picks_one_of_the_interfaces(autojump_clock: trio.testing.MockClock) -> None:
    """It need not be the first. (Simulated networks have no links of their own: tests/lab.)"""
    async with phone_world() as world:
        world.wifi.add_address("fe80::1")
        async with Client(interfaces=["wwan0", "wlan0"]) as client:
            with pytest.raises(HandshakeError, match="unreachable"):
                await client.get("https://[fe80::9%25wlan0]:4433/")


async def test_no_client_hello_over_tcp_names_the_zone() -> None:
    near, far = trio.testing.memory_stream_pair()
    stream = _Stream(near, lambda: False)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.start_tls, ssl_context(TLSConfig()), "fe80::1%25eth0")
        hello = bytes(await far.receive_some())
        nursery.cancel_scope.cancel()
    assert hello[5] == 1
    assert b"eth0" not in hello
    assert b"fe80" not in hello


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's name of the loopback interface")
async def test_an_address_that_the_resolver_tells_keeps_its_zone() -> None:
    """`getaddrinfo` has it as a number apart, which interfaces are compared with."""
    (found,) = await addresses_of("fe80::1%lo", 443)
    assert found == "fe80::1%1"


def authority(host: str) -> Authority:
    verification = NoVerification()
    return Authority(host, TlsClientConfig(host, ("h3",), verification))


def test_the_same_address_on_another_link_is_another_host() -> None:
    """A connection is not used for what is behind another interface, whatever the certificate."""
    here = authority("fe80::1%eth0")
    assert here.covers("fe80::1%eth0", ())
    assert here.covers("fe80::1", ())
    assert not here.covers("fe80::1%eth1", (b"any",))
