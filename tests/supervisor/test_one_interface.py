"""A machine with one interface, where no socket can be tied to it and nobody tells of changes.

What is made up are the seams: a socket factory whose sockets refuse the option, a list of adapters
with one entry (and what every machine has beside it), and a clock instead of news.
"""

import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.networks.fakes import FakeAdapter, v4
from tests.runtime.world import get
from tests.sim_server import NAME, PORT, ServerOptions, SimServer, pattern, serve
from trioquic._runtime.networks.adapter_reader import AdapterReader
from trioquic._runtime.networks.change_triggers import Clock
from trioquic._runtime.networks.system_networks import SystemNetworks
from trioquic._runtime.system.interface_binding import SO_BINDTODEVICE
from trioquic.testing import Datagram, Interface, SimulatedNetwork, SimulatedSocket

SERVER = "198.51.100.1"
HERE = "192.0.2.10"
POLLING = 2.0
SIZE = 1_000_000


class UnboundSockets(trio.abc.SocketFactory):
    """The network's sockets, on a system that ties none to an interface."""

    def __init__(self, refusal: int) -> None:
        self._refusal = refusal
        self.refused = 0
        inner = trio.socket.set_custom_socket_factory(self)
        assert inner is not None
        self._inner = inner

    def socket(self, *arguments: Any, **more: Any) -> trio.socket.SocketType:
        sock = self._inner.socket(*arguments, **more)
        assert isinstance(sock, SimulatedSocket)
        set_option = sock.setsockopt

        def refuse(level: int, name: int, *value: Any) -> None:
            if (level, name) == (socket.SOL_SOCKET, SO_BINDTODEVICE):
                self.refused += 1
                raise OSError(self._refusal, os.strerror(self._refusal))
            set_option(level, name, *value)

        sock.setsockopt = refuse  # type: ignore[method-assign, assignment]
        return sock


@dataclass
class Machine:
    """What the tests need of it."""

    interface: Interface
    sockets: UnboundSockets
    networks: SystemNetworks
    server: SimServer


@asynccontextmanager
async def machine(refusal: int = errno.EPERM) -> AsyncIterator[Machine]:
    """One interface, and a server somewhere."""
    async with SimulatedNetwork(seed=1) as net:
        server_host = net.host("server")
        server_host.add_interface("eth0", SERVER)
        net.name(NAME, SERVER)
        server: SimServer = await server_host.start(serve, [SERVER], PORT, ServerOptions())
        host = net.host("machine")
        interface = host.add_interface("eth0", HERE, delay=0.025, rate=20e6, queue=0.05)

        def list_adapters() -> list[FakeAdapter]:
            addresses = tuple(v4(address) for address in interface.addresses)
            return [FakeAdapter("lo", (v4("127.0.0.1", 8),)), FakeAdapter("eth0", addresses, 2)]

        networks = SystemNetworks(
            list_adapters,
            AdapterReader(),
            lambda: Clock(POLLING),
            # not those of the machine that runs the tests
            ask_routes=lambda interfaces, remotes: None,
        )
        with host.as_current():
            yield Machine(interface, UnboundSockets(refusal), networks, server)


@asynccontextmanager
async def connected(
    here: Machine, interface: str | None = None
) -> AsyncIterator[tuple[trioquic.Connection, list[trioquic.PathEvent]]]:
    """A connection of this machine, and its events so far."""
    heard: list[trioquic.PathEvent] = []

    async def listen(events: trio.MemoryReceiveChannel[trioquic.PathEvent]) -> None:
        async for event in events:
            heard.append(event)

    tls = trioquic.TLSConfig(ca_data=here.server.options.credentials.ca_pem)
    async with (
        trioquic.open_connection(
            NAME, PORT, alpn=["hq-interop"], tls=tls, networks=here.networks, interface=interface
        ) as conn,
        conn.path_events() as events,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(listen, events)
        yield conn, heard
        nursery.cancel_scope.cancel()


def moves(heard: list[trioquic.PathEvent]) -> list[trioquic.Migrated]:
    return [event for event in heard if isinstance(event, trioquic.Migrated)]


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.ENOPROTOOPT])
@pytest.mark.parametrize("interface", [None, "eth0"])
async def test_connect_and_transfer(
    autojump_clock: trio.testing.MockClock, interface: str | None, refusal: int
) -> None:
    """With nothing to move to, the connection stays, and nothing disturbs it."""
    async with machine(refusal) as here, connected(here, interface) as (conn, heard):
        assert await get(conn, SIZE) == pattern(SIZE)
        await trio.sleep(3 * POLLING)
        assert conn.active_path is not None
        assert conn.active_path.local[0] == HERE
        assert len(conn.paths) == 1
        assert moves(heard) == []
        assert bool(here.sockets.refused) is (interface is not None)


async def test_a_path_by_hand(autojump_clock: trio.testing.MockClock) -> None:
    """Only the port can be new; the interface's name leads to its address."""
    async with machine() as here, connected(here) as (conn, _):
        old = conn.active_path
        assert old is not None
        new = await conn.migrate(interface="eth0")
        assert (old.local[0], new.local[0]) == (HERE, HERE)
        assert old.local[1] != new.local[1]
        assert await get(conn, 10_000) == pattern(10_000)
        with pytest.raises(trioquic.LocalAddressError):
            await conn.add_path(interface="wlan0")


async def test_another_port_when_a_nat_or_firewall_has_forgotten(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Whatever goes out from the old port is lost: the connection goes on from another one."""
    async with machine() as here, connected(here) as (conn, heard):
        await conn.wait_handshake_confirmed()
        old = conn.active_path
        assert old is not None

        def forgotten(datagram: Datagram) -> bytes | None:
            return None if datagram.source[1] == old.local[1] else datagram.payload

        content = b""
        async with trio.open_nursery() as nursery:

            async def download() -> None:
                nonlocal content
                content = await get(conn, SIZE)

            nursery.start_soon(download)
            await trio.sleep(0.2)
            assert not content
            with here.interface.link.outbound.filtered(forgotten):
                await trio.sleep(2)
        assert content == pattern(SIZE)
        (moved, *_) = moves(heard)
        assert moved.old is old
        assert moved.new.local[0] == HERE
        assert moved.new.local[1] != old.local[1]
        assert moved.cause


async def test_the_address_changes(autojump_clock: trio.testing.MockClock) -> None:
    """Another lease in the middle of a download: noticed by polling, and the connection moves."""
    other = "192.0.2.11"
    async with machine() as here, connected(here) as (conn, heard):
        await conn.wait_handshake_confirmed()
        changed = 0.0

        async def change() -> None:
            nonlocal changed
            await trio.sleep(0.2)
            here.interface.remove_address(HERE)
            here.interface.add_address(other)
            changed = trio.current_time()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(change)
            assert await get(conn, SIZE) == pattern(SIZE)
        assert trio.current_time() - changed <= POLLING + 1.5
        (moved, *_) = moves(heard)
        assert moved.new.local[0] == other
        assert moved.cause
        assert conn.active_path is not None
        assert conn.active_path.local[0] == other


async def test_the_only_network_goes_and_returns(autojump_clock: trio.testing.MockClock) -> None:
    async with machine() as here, connected(here) as (conn, heard):
        assert await get(conn, 10_000) == pattern(10_000)
        here.interface.remove_address(HERE)
        await trio.sleep(POLLING + 0.1)
        assert conn.active_path is None
        assert any(isinstance(event, trioquic.WaitingForPath) for event in heard)
        here.interface.add_address(HERE)
        assert await get(conn, 10_000) == pattern(10_000)
        (back, *_) = moves(heard)
        assert back.old is None
        assert back.cause


async def test_another_port_though_the_server_answers_no_probe(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """As ngtcp2's while its congestion window is full of what was lost: it has to be moved to."""
    async with machine() as here, connected(here) as (conn, heard):
        await conn.wait_handshake_confirmed()
        old = conn.active_path
        assert old is not None
        quic = here.server.connections[0].quic
        send = quic.datagrams_to_send

        def send_no_response_elsewhere(now: float) -> list[tuple[bytes, Any]]:
            for path in quic._network_paths[1:]:
                path.remote_challenges.clear()
            return send(now)

        quic.datagrams_to_send = send_no_response_elsewhere  # type: ignore[method-assign]

        def forgotten(datagram: Datagram) -> bytes | None:
            ports = datagram.source[1], datagram.destination[1]
            return None if old.local[1] in ports else datagram.payload

        began = trio.current_time()
        link = here.interface.link
        with link.outbound.filtered(forgotten), link.inbound.filtered(forgotten):
            assert await get(conn, SIZE) == pattern(SIZE)
        assert trio.current_time() - began < 5
        (moved, *_) = moves(heard)
        assert moved.old is old
        assert moved.new.local[1] != old.local[1]
