"""Hosts: interfaces that go and come, routes and source addresses, ports and errors."""

import errno
import socket
from typing import Any

import pytest
import trio
import trio.testing

from tests.testing.udp import CLIENT, PORT, SERVER, bound, connected, make_socket, pair
from trioquic import networks
from trioquic.testing import Fate, Host, Nat, SimulatedNetwork
from trioquic.testing._sockets import SO_BINDTODEVICE

Clock = trio.testing.MockClock
CELLULAR = "203.0.113.10"


async def phone(net: SimulatedNetwork) -> tuple[Host, trio.socket.SocketType]:
    """A phone with two interfaces, and a server's socket."""
    server = net.host("server")
    server.add_interface("eth0", SERVER, "2001:db8:1::1")
    host = net.host("phone")
    host.add_interface("wwan0", CELLULAR, kind="cellular", metered=True, metric=10, delay=0.04)
    host.add_interface("wlan0", CLIENT, "2001:db8:2::10/56", kind="wifi", delay=0.025)
    return host, await bound(server, SERVER)


async def test_an_interface_that_is_down_refuses_and_hears_nothing(autojump_clock: Clock) -> None:
    async with pair(link={"delay": 0.01}) as p:
        await p.here.send(b"1")
        _, source = await p.there.recvfrom(10)
        await p.there.sendto(b"in flight", source)
        p.interface.down()
        assert not p.interface.is_up
        with pytest.raises(OSError) as caught:
            await p.here.send(b"2")
        assert caught.value.errno == errno.ENETUNREACH
        await trio.sleep(1)
        assert p.interface.link.inbound.dropped == {Fate.INTERFACE_DOWN: 1}
        p.interface.up()
        await p.here.send(b"3")
        assert await p.there.recv(10) == b"3"


async def test_a_source_address_that_is_gone_cannot_be_used(autojump_clock: Clock) -> None:
    async with pair(link={"delay": 0.01}) as p:
        p.interface.remove_address(CLIENT)
        with pytest.raises(OSError) as caught:
            await p.here.send(b"1")
        assert caught.value.errno == errno.EADDRNOTAVAIL
        with pytest.raises(OSError) as caught:
            await connected(p.client)
        assert caught.value.errno == errno.ENETUNREACH
        p.interface.add_address("192.0.2.11")
        with await connected(p.client) as fresh:
            await fresh.send(b"2")
            assert (await p.there.recvfrom(10))[1][0] == "192.0.2.11"
        p.interface.add_address(CLIENT)
        await p.here.send(b"3")
        assert (await p.there.recvfrom(10))[1][0] == CLIENT


async def test_the_lowest_metric_that_is_up_is_the_default(autojump_clock: Clock) -> None:
    async with SimulatedNetwork() as net:
        host, there = await phone(net)
        sources = []
        with there, make_socket(host) as sock:
            for name in ("", "wlan0", "wwan0"):
                if name:
                    host.interface(name).down()
                try:
                    await sock.sendto(b"x", (SERVER, PORT))
                    sources.append((await there.recvfrom(10))[1][0])
                except OSError as error:
                    sources.append(error.errno)
        assert sources == [CLIENT, CELLULAR, errno.ENETUNREACH]


async def test_a_bound_address_or_interface_decides_the_way(autojump_clock: Clock) -> None:
    async with SimulatedNetwork() as net:
        host, there = await phone(net)
        record = net.record()
        by_address, by_interface = await bound(host, CELLULAR), make_socket(host)
        by_interface.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"wwan0\0")
        with there, by_address, by_interface:
            await by_interface.connect((SERVER, PORT))
            assert by_interface.getsockname()[0] == CELLULAR
            await by_interface.send(b"1")
            await by_address.sendto(b"2", (SERVER, PORT))
            assert {(await there.recvfrom(10))[1][0] for _ in range(2)} == {CELLULAR}
        assert {r.interface for r in record.records} == {"wwan0"}


async def test_no_way_at_all(autojump_clock: Clock) -> None:
    async with SimulatedNetwork() as net:
        host, there = await phone(net)
        there.close()
        with make_socket(host, socket.AF_INET6) as sock:
            sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"wwan0")
            for address in ("2001:db8:1::1", "fe80::1", "ff02::1"):
                with pytest.raises(OSError) as caught:
                    await sock.connect((address, PORT))
                assert caught.value.errno == errno.ENETUNREACH
        with make_socket(host) as sock:
            with pytest.raises(OSError) as caught:
                await sock.bind(("192.0.2.99", 0))
            assert caught.value.errno == errno.EADDRNOTAVAIL
            with pytest.raises(OSError) as caught:
                sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth7")
            assert caught.value.errno == errno.ENODEV
            await sock.sendto(b"x", ("192.0.2.99", PORT))
        await trio.sleep(1)
        assert net.undeliverable == {Fate.NO_ROUTE: 1}


async def test_ipv6(autojump_clock: Clock) -> None:
    async with SimulatedNetwork() as net:
        host, there = await phone(net)
        there.close()
        with await bound(net.hosts[0], "2001:db8:1::1") as six:
            with await connected(host, "2001:DB8:1:0::1") as here:
                await here.send(b"ping")
                data, source = await six.recvfrom(10)
                assert source == here.getsockname() and source[0] == "2001:db8:2::10"
                await six.sendto(data, source)
                assert await here.recv(10) == b"ping"
                assert here.getpeername() == ("2001:db8:1::1", PORT, 0, 0)


async def test_a_closed_port_refuses_connected_sockets_after_a_round_trip(
    autojump_clock: Clock,
) -> None:
    async with pair(link={"delay": 0.05}) as p:
        p.there.close()
        start = trio.current_time()
        await p.here.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            await p.here.recv(10)
        assert trio.current_time() - start == pytest.approx(0.1)
        await p.here.send(b"y")
        await trio.sleep(1)
        assert p.here.is_readable()
        with pytest.raises(ConnectionRefusedError):
            await p.here.send(b"z")
        await p.here.send(b"z")
        await trio.sleep(1)
        assert p.here.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
        assert p.here.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


async def test_a_host_without_icmp_says_nothing(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        p.server.icmp = False
        p.there.close()
        await p.here.send(b"x")
        assert not p.here.is_readable()


async def test_an_unconnected_socket_is_not_told_of_closed_ports(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        p.there.close()
        with make_socket(p.client) as sock:
            await sock.sendto(b"x", (SERVER, PORT))
            assert not sock.is_readable()


async def test_the_best_fitting_socket_gets_the_datagram(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        wildcard = make_socket(p.server)
        exact = make_socket(p.server)
        for sock in (p.there, wildcard, exact):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with wildcard, exact:
            await wildcard.bind(("0.0.0.0", PORT))
            await exact.bind((SERVER, PORT))
            await exact.connect(p.here.getsockname())
            await p.here.send(b"for the connected one")
            assert exact.is_readable()
            exact.close()
            await p.here.send(b"for the bound one")
            assert p.there.is_readable() and not wildcard.is_readable()
            p.there.close()
            await p.here.send(b"for anyone")
            assert await wildcard.recv(20) == b"for anyone"


async def test_ports_collide_only_where_they_overlap(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        p.server.interface("eth0").add_address("198.51.100.2")
        with await bound(p.server, "198.51.100.2"):
            for address in ("0.0.0.0", SERVER):
                with pytest.raises(OSError) as caught:
                    await bound(p.server, address)
                assert caught.value.errno == errno.EADDRINUSE
        p.there.close()
        with await bound(p.server, SERVER):
            pass


async def test_a_host_reaches_itself_without_its_links(autojump_clock: Clock) -> None:
    async with pair(link={"delay": 5.0}) as p:
        record = p.net.record()
        for address in (CLIENT, "127.0.0.1"):
            with await bound(p.client, address) as own, await connected(p.client, address) as here:
                await here.send(b"hello me")
                data, source = await own.recvfrom(10)
                assert data == b"hello me" and source == here.getsockname()
                assert source[0] == address
        assert {r.interface for r in record.records} == {"lo"}


async def test_addresses_have_one_owner(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        with pytest.raises(ValueError, match="belongs to"):
            p.interface.add_address(SERVER)
        with pytest.raises(ValueError, match="already has"):
            p.interface.add_address(CLIENT)
        with pytest.raises(ValueError, match="does not have"):
            p.interface.remove_address("192.0.2.200")
        with pytest.raises(ValueError, match="already"):
            p.client.add_interface("wlan0")
        with pytest.raises(ValueError, match="already"):
            p.net.host("client")
        with pytest.raises(ValueError):
            p.interface.add_address("not an address")


async def test_the_snapshot_follows_the_interfaces(autojump_clock: Clock) -> None:
    async with SimulatedNetwork() as net:
        host, there = await phone(net)
        there.close()
        assert isinstance(host, networks.NetworkSource)
        first, second = host.snapshot()
        assert (first.kind, first.metered, second.kind, second.metered) == (
            "cellular",
            True,
            "wifi",
            None,
        )
        assert first.up and second.up
        assert (first.name, first.index, second.name, second.index) == ("wwan0", 1, "wlan0", 2)
        assert [(a.address, a.prefix_length) for a in second.addresses] == [
            (CLIENT, 24),
            ("2001:db8:2::10", 56),
        ]
        changes: list[list[int]] = []

        async def watch() -> None:
            while len(changes) < 3:
                await host.wait_changed()
                changes.append([len(i.addresses) if i.up else 0 for i in host.snapshot()])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            host.interface("wlan0").remove_address(CLIENT)
            await trio.testing.wait_all_tasks_blocked()
            host.interface("wwan0").down()
            await trio.testing.wait_all_tasks_blocked()
            host.interface("wwan0").up()
        assert changes == [[1, 1], [0, 1], [1, 1]]


@pytest.mark.parametrize(
    ("arguments", "more", "error"),
    [
        ((3, CLIENT), {}, "name must be a str"),
        (("eth0", 3), {}, "address must be a str"),
        (("eth0", CLIENT), {"metric": "x"}, "metric must be an integer"),
        (("eth0", CLIENT), {"metered": 1}, "metered must be a bool"),
        (("eth0", CLIENT, "nope"), {}, "nope"),
    ],
)
async def test_an_interface_that_cannot_be_leaves_nothing(
    autojump_clock: Clock, arguments: tuple[Any, ...], more: dict[str, Any], error: str
) -> None:
    async with SimulatedNetwork() as net:
        host = net.host("host")
        with pytest.raises((TypeError, ValueError), match=error):
            host.add_interface(*arguments, **more)
        assert host.snapshot() == ()
        host.add_interface("eth0", CLIENT)


async def test_the_name_of_a_host_is_a_text(autojump_clock: Clock) -> None:
    async with SimulatedNetwork() as net:
        nothing: Any = 3
        with pytest.raises(TypeError, match="name must be a str"):
            net.host(nothing)


async def test_an_interface_that_cannot_be_leaves_its_nat(autojump_clock: Clock) -> None:
    async with SimulatedNetwork() as net:
        nat = Nat("203.0.113.1")
        with pytest.raises(ValueError, match="nope"):
            net.host("host").add_interface("eth0", "nope", nat=nat)
        # the outside address is free again
        net.host("other").add_interface("eth0", "203.0.113.1")


async def test_a_metric_may_be_below_the_default(autojump_clock: Clock) -> None:
    async with SimulatedNetwork() as net:
        host = net.host("host")
        host.add_interface("eth0", CLIENT)
        host.add_interface("tun0", "10.0.0.1", kind="tunnel", metric=-1)
        assert [r.interface for r in host.routes(["198.51.100.1"]) if r.chosen] == ["tun0"]
