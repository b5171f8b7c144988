"""A small world for the simulator's tests: a phone with Wi-Fi and cellular, and a QUIC server.

The round-trip times are those of the handover lab: 50 ms over Wi-Fi, 80 ms over cellular, at
20 Mbit/s each with queues of 50 ms. The server has an IPv4 and an IPv6 address, and a second pair
that a test may offer as its preferred address.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from tests.sim_server import NAME, PORT, ServerOptions, SimServer, serve
from trioquic.testing import Host, Interface, LinkOptions, Nat, Record, Recorder, SimulatedNetwork

SERVER = "198.51.100.1"
SERVER6 = "2001:db8:1::1"
PREFERRED = "198.51.100.2"
PREFERRED6 = "2001:db8:1::2"
WIFI = "192.0.2.10"
WIFI6 = "2001:db8:2::10"
CELLULAR = "203.0.113.10"
CELLULAR6 = "2001:db8:3::10"

Paths: TypeAlias = set[tuple[str, str]]
"""Local and remote address of each path."""

ACCESS: LinkOptions = {"rate": 20e6, "queue": 0.05}


@dataclass(kw_only=True)
class World:
    net: SimulatedNetwork
    server_host: Host
    server_interface: Interface
    server: SimServer
    phone: Host
    wifi: Interface
    cellular: Interface
    record: Recorder
    """Every datagram from before the server's start on, with payloads."""


@asynccontextmanager
async def simulated_world(
    seed: int = 1,
    *,
    options: ServerOptions | None = None,
    wifi: LinkOptions | None = None,
    cellular: LinkOptions | None = None,
    wifi_nat: Nat | None = None,
    ipv6: bool = True,
) -> AsyncIterator[World]:
    """The world, with the server listening on port 4433 of all its addresses.

    `wifi` and `cellular` change or add options of these links. Inside, no host is current: open
    connections in `with world.phone.as_current():`.
    """
    async with SimulatedNetwork(seed) as net:
        record = net.record(payloads=True)
        server_host = net.host("server")
        addresses = [SERVER, PREFERRED, *((SERVER6, PREFERRED6) if ipv6 else ())]
        server_interface = server_host.add_interface("eth0", *addresses)
        net.name(NAME, SERVER, *((SERVER6,) if ipv6 else ()))
        phone = net.host("phone")
        wifi_link: LinkOptions = {"delay": 0.025, **ACCESS, **(wifi or {})}
        cellular_link: LinkOptions = {"delay": 0.04, **ACCESS, **(cellular or {})}
        wlan = phone.add_interface("wlan0", WIFI, kind="wifi", nat=wifi_nat, **wifi_link)
        wwan = phone.add_interface(
            "wwan0", CELLULAR, kind="cellular", metered=True, metric=10, **cellular_link
        )
        if ipv6:
            wlan.add_address(WIFI6)
            wwan.add_address(CELLULAR6)
        server: SimServer = await server_host.start(serve, addresses, PORT, options)
        yield World(
            net=net,
            server_host=server_host,
            server_interface=server_interface,
            server=server,
            phone=phone,
            wifi=wlan,
            cellular=wwan,
            record=record,
        )


def destination_ids(records: Iterable[Record], *, id_length: int = 8) -> dict[bytes, Paths]:
    """Destination connection ID to the (local, remote) addresses, without ports, of its packets.

    For the datagrams of one host; the first packet of each counts. `id_length` is that of the
    peer's IDs, which a short header does not tell.
    """
    used: defaultdict[bytes, Paths] = defaultdict(set)
    for record in records:
        payload = record.payload
        if not payload:
            continue
        connection_id = (
            payload[6 : 6 + payload[5]] if payload[0] & 0x80 else payload[1 : 1 + id_length]
        )
        used[connection_id].add((record.source[0], record.destination[0]))
    return dict(used)


def shared_ids(
    records: Iterable[Record], *, id_length: int = 8
) -> dict[bytes, set[tuple[str, str]]]:
    """The connection IDs that were used on more than one path: must be empty (RFC 9000, 9.5)."""
    return {
        connection_id: paths
        for connection_id, paths in destination_ids(records, id_length=id_length).items()
        if len(paths) > 1
    }
