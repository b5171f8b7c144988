"""How the fallback's TCP connections are made, and which ways around HTTP/3 stay in a tunnel."""

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import httpcore
import httpx
import pytest
import trio

from tests.uncollected import uncollected
from trioquic import (
    Interface,
    InterfaceAddress,
    ManualNetworks,
    MigrationPolicy,
    NetworkSource,
    Route,
)
from trioquic.http3.client import tunnels as hosts_inside
from trioquic.http3.client.tunnels import HostsInside
from trioquic.httpx import _tcp
from trioquic.httpx._tcp import Backend
from trioquic.httpx._tunnels import TCPRoute, Tunnels

IPV4, IPV6 = "198.51.100.1", "2001:db8:5::1"
HOST = "a.example"


def tunnels_of(networks: NetworkSource, policy: MigrationPolicy) -> Tunnels:
    """Those of a transport that has reached no host yet."""
    return Tunnels(networks, policy, HostsInside(policy))


class Names(trio.abc.HostnameResolver):
    """Names of one host, and its addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        families = [
            trio.socket.AF_INET6 if ":" in one else trio.socket.AF_INET for one in self._addresses
        ]
        return [
            (family, trio.socket.SOCK_STREAM, 0, "", (address, port))
            for family, address in zip(families, self._addresses, strict=True)
        ]

    async def getnameinfo(self, *args: Any) -> Any:
        raise NotImplementedError


class Nobody(Names):
    """Knows no name."""

    async def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        raise OSError("no such name")


class Everywhere(Tunnels):
    """Goes to every address, until the host belongs into a tunnel."""

    held = False
    interface: Interface | None = None

    def __init__(self) -> None:
        """It has no networks to look at."""

    def routes(self, host: str, remotes: Sequence[str], port: int) -> list[TCPRoute]:
        return [TCPRoute(remote, self.interface) for remote in remotes]

    def is_inside(self, host: str, interface: Interface) -> bool:
        return interface.kind == "tunnel"

    def holds(self, host: str) -> bool:
        return self.held


async def test_the_next_address_where_the_first_refuses() -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, _echo, [listener])
        trio.socket.set_custom_hostname_resolver(Names("127.0.0.2", "127.0.0.1"))
        stream = await Backend(Everywhere()).connect_tcp(HOST, port, timeout=10)
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
        await stream.write(b"abc")
        assert await stream.read(3) == b"abc"
        await stream.aclose()
        trio.socket.set_custom_hostname_resolver(Names("127.0.0.2"))
        with pytest.raises(httpcore.ConnectError):
            await Backend(Everywhere()).connect_tcp(HOST, port, timeout=10)
        nursery.cancel_scope.cancel()


async def test_a_family_that_the_system_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with ipv6.disable=1, where names have IPv6 addresses all the same."""
    make = trio.socket.socket

    def without_ipv6(family: int, *args: int) -> trio.socket.SocketType:
        if family == trio.socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return make(family, *args)

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    monkeypatch.setattr(trio.socket, "socket", without_ipv6)
    async with listener:
        trio.socket.set_custom_hostname_resolver(Names("::1", "127.0.0.1"))
        stream = await Backend(Everywhere()).connect_tcp(HOST, port, timeout=10)
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
        await stream.aclose()
        trio.socket.set_custom_hostname_resolver(Names("::1"))
        with pytest.raises(httpcore.ConnectError):
            await Backend(Everywhere()).connect_tcp(HOST, port, timeout=10)


@pytest.mark.skipif(sys.platform != "linux", reason="the name of the interface is Linux's")
@pytest.mark.parametrize("kind", ["ethernet", "tunnel"])
async def test_a_connection_over_a_named_interface_beside_the_tunnel(
    kind: Literal["ethernet", "tunnel"],
) -> None:
    """`only_interfaces` may name networks inside and outside."""
    ways = Everywhere()
    ways.interface = Interface(name="lo", kind=kind)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        stream = await Backend(ways).connect_tcp("127.0.0.1", port, timeout=10)
        ways.held = True
        assert stream.get_extra_info("is_readable") is (kind == "ethernet")
        await stream.aclose()


async def test_a_connection_from_before_the_tunnel_is_not_used_any_more() -> None:
    ways = Everywhere()
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, _echo, [listener])
        port = listener.socket.getsockname()[1]
        stream = await Backend(ways).connect_tcp("127.0.0.1", port, timeout=10)
        assert stream.get_extra_info("is_readable") is False
        ways.held = True
        # httpcore takes that for the end of an idle connection
        assert stream.get_extra_info("is_readable") is True
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"abc")
        await stream.aclose()
        nursery.cancel_scope.cancel()


async def test_addresses_of_both_families_take_turns() -> None:
    """An address that is written as IPv6's and is IPv4's counts as such."""
    tried: list[str] = []

    class Watched(Everywhere):
        def routes(self, host: str, remotes: Sequence[str], port: int) -> list[TCPRoute]:
            tried.extend(remotes)
            return super().routes(host, remotes, port)

    refused = ["::1", "100::1", "100::2", "127.0.0.1", "::ffff:127.0.0.2", "127.0.0.1"]
    trio.socket.set_custom_hostname_resolver(Names(*refused))
    with pytest.raises(httpcore.ConnectError):
        await Backend(Watched()).connect_tcp(HOST, 9, timeout=10)
    assert tried == ["::1", "100::1", "100::2", "127.0.0.1", "127.0.0.2"]
    routes = [TCPRoute(remote, None) for remote in tried]
    order = [route.remote for route in _tcp._take_turns(routes)]
    assert order == ["::1", "127.0.0.1", "100::1", "127.0.0.2", "100::2"]


async def test_a_mapped_address_in_a_tunnel() -> None:
    trio.socket.set_custom_hostname_resolver(Names(f"::ffff:{IPV4}"))
    tunnels = tunnels_of(Half([ETH0, TUN0]), MigrationPolicy())
    # there is no such interface on this machine, or nobody there
    with pytest.raises((httpcore.ConnectError, httpcore.ConnectTimeout)):
        await Backend(tunnels).connect_tcp(HOST, 9, timeout=0.5)
    assert tunnels.holds(HOST)


async def _echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)


class Half(ManualNetworks):
    """A tunnel that takes IPv4 only, beside a network that has both."""

    def routes(self, remotes: Sequence[str]) -> tuple[Route, ...]:
        return tuple(
            Route(remote=remote, interface=name, chosen=name == ("tun0" if tunnel else "eth0"))
            for remote in remotes
            for tunnel in [":" not in remote and self.tunnel]
            for name in (["tun0"] * tunnel + ["eth0"])
        )

    @property
    def tunnel(self) -> bool:
        return any(interface.name == "tun0" for interface in self.snapshot())


ETH0 = Interface(
    name="eth0",
    kind="ethernet",
    addresses=(
        InterfaceAddress(address="192.0.2.9", prefix_length=24),
        InterfaceAddress(address="2001:db8::9", prefix_length=64),
    ),
)
TUN0 = Interface(
    name="tun0",
    kind="tunnel",
    addresses=(InterfaceAddress(address="10.8.0.2", prefix_length=24),),
)


LO = Interface(
    name="lo",
    kind="loopback",
    addresses=(InterfaceAddress(address="127.0.0.1", prefix_length=8),),
)


async def test_the_other_family_beside_a_tunnel() -> None:
    networks = Half([ETH0, TUN0])
    tunnels = tunnels_of(networks, MigrationPolicy())
    assert tunnels.routes(HOST, [IPV6, IPV4], 443) == [TCPRoute(IPV4, TUN0)]
    assert tunnels.holds(HOST)
    networks.update([ETH0])
    with pytest.raises(OSError, match=r"the tunnel to a\.example is gone"):
        tunnels.routes(HOST, [IPV6, IPV4], 443)
    with pytest.raises(httpx.ConnectError, match=r"the tunnel to a\.example is gone"):
        tunnels.check(HOST)
    # others follow the system's routes
    assert tunnels.routes("b.example", [IPV6], 443) == [TCPRoute(IPV6, None)]
    left = tunnels_of(Half([ETH0, TUN0]), MigrationPolicy(leave_tunnel=True))
    assert left.routes(HOST, [IPV6, IPV4], 443) == [TCPRoute(IPV6, None), TCPRoute(IPV4, None)]
    only = tunnels_of(Half([ETH0, TUN0]), MigrationPolicy(only_interfaces=["eth0"]))
    assert only.routes(HOST, [IPV4, IPV6], 443) == [TCPRoute(IPV6, ETH0), TCPRoute(IPV4, ETH0)]
    # this machine is reached over an interface as well
    with pytest.raises(OSError, match=r"no way to localhost over eth0"):
        only.routes("localhost", ["127.0.0.1"], 443)
    lo = MigrationPolicy(only_interfaces=["eth0", "lo"])
    assert tunnels_of(Half([ETH0, LO]), lo).routes("localhost", ["127.0.0.1"], 443) == [
        TCPRoute("127.0.0.1", LO)
    ]
    never = tunnels_of(Half([ETH0]), MigrationPolicy(tunnel_only=True))
    with pytest.raises(OSError, match="is gone"):
        never.routes("b.example", [IPV4], 443)


class OnePort(Half):
    """A VPN that takes what goes to one port."""

    def routes_to(self, servers: Sequence[tuple[str, int]]) -> tuple[Route, ...]:
        return tuple(
            Route(remote=address, interface="tun0" if port == 8443 else "eth0", chosen=True)
            for address, port in servers
        )


async def test_a_tunnel_for_one_port() -> None:
    tunnels = tunnels_of(OnePort([ETH0, TUN0]), MigrationPolicy())
    assert tunnels.routes("b.example", [IPV4], 443) == [TCPRoute(IPV4, None)]
    assert tunnels.routes(HOST, [IPV4], 8443) == [TCPRoute(IPV4, TUN0)]
    assert tunnels.holds(HOST)


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (MigrationPolicy(metered=False), "metered=False: wwan0"),
        (MigrationPolicy(kinds=["ethernet"]), "kinds: wwan0 is cellular"),
    ],
)
async def test_the_fallback_uses_no_network_that_is_forbidden(
    policy: MigrationPolicy, why: str
) -> None:
    address = InterfaceAddress(address="203.0.113.9", prefix_length=24)
    wwan0 = Interface(name="wwan0", kind="cellular", metered=True, addresses=(address,))
    networks = ManualNetworks([wwan0, ETH0])
    tunnels = tunnels_of(networks, policy)
    assert tunnels.routes(HOST, [IPV4], 443) == [TCPRoute(IPV4, ETH0)]
    networks.update([wwan0])
    with pytest.raises(OSError, match=rf"no way to a\.example may be used \({why}\)"):
        tunnels.routes(HOST, [IPV4], 443)
    # no network leads to this machine, and what is not known is not forbidden
    assert tunnels.routes("localhost", ["127.0.0.1"], 443) == [TCPRoute("127.0.0.1", None)]
    assert tunnels_of(ManualNetworks(), policy).routes(HOST, [IPV4], 443) == [TCPRoute(IPV4, None)]


async def test_a_fallback_of_the_users_own_is_used_where_the_routes_lead_inside() -> None:
    networks = Half([ETH0, TUN0])
    tunnels = tunnels_of(networks, MigrationPolicy())
    trio.socket.set_custom_hostname_resolver(Names(IPV6))
    await tunnels.check_system("b.example", 443)
    assert not tunnels.holds("b.example")
    trio.socket.set_custom_hostname_resolver(Names(IPV6, IPV4))
    with pytest.raises(httpx.ConnectError, match="is gone"):
        await tunnels.check_system(HOST, 443)
    trio.socket.set_custom_hostname_resolver(Names(IPV4))
    await tunnels.check_system(HOST, 443)
    # a transport that goes to a proxy, or nowhere, need not know the name
    trio.socket.set_custom_hostname_resolver(Nobody())
    await tunnels.check_system("c.example", 443)
    with pytest.raises(httpx.ConnectError, match="no such name"):
        await tunnels.check_system(HOST, 443)
    networks.update([ETH0])
    with pytest.raises(httpx.ConnectError, match="is gone"):
        await tunnels.check_system(HOST, 443)


async def test_very_many_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are forgotten, and what they stand for is not."""
    monkeypatch.setattr(hosts_inside, "_MOST", 3)
    tunnels = tunnels_of(Half([TUN0]), MigrationPolicy())
    for number in range(3):
        tunnels.routes(f"{number}.example", [IPV4], 443)
    assert tunnels.holds("0.example") and not tunnels.holds("3.example")
    tunnels.routes("3.example", [IPV4], 443)
    assert tunnels.holds("0.example") and tunnels.holds("4.example")


@pytest.mark.parametrize("addresses", [("127.0.0.2", "127.0.0.1"), ("127.0.0.2", "127.0.0.3")])
async def test_what_was_refused_is_freed_at_once(addresses: tuple[str, str]) -> None:
    """Without the garbage collector."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        trio.socket.set_custom_hostname_resolver(Names(*addresses))
        with uncollected(ConnectionRefusedError) as count:
            with suppress(httpcore.ConnectError):
                stream = await Backend(Everywhere()).connect_tcp(HOST, port, timeout=10)
                await stream.aclose()
            assert count(ConnectionRefusedError) == 0
