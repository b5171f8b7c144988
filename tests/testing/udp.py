"""Plain UDP on the simulated network: what the tests of the simulator send and receive."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from trioquic.testing import Host, Interface, LinkOptions, Nat, SimulatedNetwork

SERVER = "198.51.100.1"
CLIENT = "192.0.2.10"
PORT = 5000


def make_socket(host: Host, family: int = trio.socket.AF_INET) -> trio.socket.SocketType:
    with host.as_current():
        return trio.socket.socket(family, trio.socket.SOCK_DGRAM)


async def bound(host: Host, address: str, port: int = PORT) -> trio.socket.SocketType:
    sock = make_socket(host, trio.socket.AF_INET6 if ":" in address else trio.socket.AF_INET)
    await sock.bind((address, port))
    return sock


async def connected(host: Host, address: str = SERVER, port: int = PORT) -> trio.socket.SocketType:
    sock = make_socket(host, trio.socket.AF_INET6 if ":" in address else trio.socket.AF_INET)
    await sock.connect((address, port))
    return sock


@dataclass(kw_only=True)
class Pair:
    """A client behind one access link, and a server on an ideal one."""

    net: SimulatedNetwork
    client: Host
    server: Host
    interface: Interface
    here: trio.socket.SocketType
    """The client's socket, connected to the server's."""
    there: trio.socket.SocketType

    async def arrivals(self, count: int) -> list[tuple[float, bytes]]:
        """The next datagrams at the server, with the time of each."""
        result = []
        for _ in range(count):
            data = await self.there.recv(65_535)
            result.append((trio.current_time(), data))
        return result

    async def everything(self, seconds: float = 60.0) -> list[bytes]:
        """All that arrives at the server within a time."""
        result = []
        with trio.move_on_after(seconds):
            while True:
                result.append(await self.there.recv(65_535))
        return result


@asynccontextmanager
async def pair(seed: int = 1, *, nat: Nat | None = None, link: LinkOptions) -> AsyncIterator[Pair]:
    async with SimulatedNetwork(seed) as net:
        server = net.host("server")
        server.add_interface("eth0", SERVER)
        client = net.host("client")
        interface = client.add_interface("wlan0", CLIENT, kind="wifi", nat=nat, **link)
        with await bound(server, SERVER) as there, await connected(client) as here:
            there.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 100_000_000)
            yield Pair(
                net=net, client=client, server=server, interface=interface, here=here, there=there
            )
