"""Two namespaces with two real networks between them, and a VPN in the client's.

    eth0, eth1   pairs of virtual Ethernet ends, each with a default route, metrics 100 and 300
    tun0         a TUN device; what goes in comes out of one in the server's namespace, as if a VPN
                 server stood there

The process that makes them stays in the client's namespace. Whatever leaves by an Ethernet end is
seen by a packet socket there: UDP and TCP to the server's port is counted by interface. The VPN
takes everything in one of three ways:

    default   a default route with a better metric
    halves    two routes that are more specific than any default route, as OpenVPN makes them
    rules     a table of its own, and rules for all packets without a mark, as wg-quick makes them

Everything ends with the process: the namespaces have no names.
"""

import ctypes
import os
import socket
import struct
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from tests.programs import find_program

from .relay import enter_new_namespace, make_device

PORT: Final = 4433
SERVERS: Final = {4: "198.18.0.1", 6: "2001:db8:aaaa::1"}
PREFERRED: Final = {4: "198.18.0.2", 6: "2001:db8:aaaa::2"}
SETUPS: Final = ("default", "halves", "rules")
# Besides, for attacks (vpn_attacks.py): "unnumbered" borrows its addresses of lo, "users" takes the
# packets of one user only, "ipv4" leaves IPv6 outside, "ports" takes UDP to the server's port only.
TUNNEL: Final = "tun0"
_TABLE: Final = "51820"
_MARK: Final = "0xca6c"
_CLONE_NEWNET: Final = 0x40000000
_LARGEST_PACKET: Final = 65_535
_ETH_P_ALL: Final = 3
_TRANSPORTS: Final = (6, 17)  # TCP, UDP

_CLIENT: Final = [
    "link set lo up",
    "link set eth0 up",
    "link set eth1 up",
    "address add 198.19.1.2/24 dev eth0",
    "address add 198.19.2.2/24 dev eth1",
    "address add 2001:db8:1::2/64 dev eth0 nodad",
    "address add 2001:db8:2::2/64 dev eth1 nodad",
    "route add default via 198.19.1.1 dev eth0 metric 100",
    "route add default via 198.19.2.1 dev eth1 metric 300",
    "route add default via 2001:db8:1::1 dev eth0 metric 100",
    "route add default via 2001:db8:2::1 dev eth1 metric 300",
]
_SERVER: Final = [
    "link set lo up",
    "link set eth0 up",
    "link set eth1 up",
    f"link set {TUNNEL} up",
    "address add 198.19.1.1/24 dev eth0",
    "address add 198.19.2.1/24 dev eth1",
    f"address add 10.8.0.1/24 dev {TUNNEL}",
    "address add 2001:db8:1::1/64 dev eth0 nodad",
    "address add 2001:db8:2::1/64 dev eth1 nodad",
    f"address add 2001:db8:8::1/64 dev {TUNNEL} nodad",
    *(f"address add {address}/32 dev lo" for address in (SERVERS[4], PREFERRED[4])),
    *(f"address add {address}/128 dev lo nodad" for address in (SERVERS[6], PREFERRED[6])),
]
_INSIDE: Final = {4: "10.8.0.2", 6: "2001:db8:8::2"}
_BORROWED: Final = [f"address add {_INSIDE[4]}/32 dev lo", f"address add {_INSIDE[6]}/128 dev lo"]
_DEVICE_UP: Final = {
    "unnumbered": [f"link set {TUNNEL} up"],
    "ipv4": [f"link set {TUNNEL} up", f"address replace {_INSIDE[4]}/24 dev {TUNNEL}"],
}
_NUMBERED: Final = [
    f"link set {TUNNEL} up",
    f"address replace {_INSIDE[4]}/24 dev {TUNNEL}",
    f"address replace {_INSIDE[6]}/64 dev {TUNNEL} nodad",
]
ROUTES: Final = {
    "default": [
        f"route replace default dev {TUNNEL} metric 50",
        f"-6 route replace default dev {TUNNEL} metric 50",
    ],
    "halves": [
        f"route replace 0.0.0.0/1 dev {TUNNEL}",
        f"route replace 128.0.0.0/1 dev {TUNNEL}",
        f"-6 route replace ::/1 dev {TUNNEL}",
        f"-6 route replace 8000::/1 dev {TUNNEL}",
    ],
    "rules": [
        f"route replace default dev {TUNNEL} table {_TABLE}",
        f"-6 route replace default dev {TUNNEL} table {_TABLE}",
    ],
    "unnumbered": [
        f"route replace default dev {TUNNEL} src {_INSIDE[4]} metric 50",
        f"-6 route replace default dev {TUNNEL} src {_INSIDE[6]} metric 50",
    ],
    "ipv4": [f"route replace default dev {TUNNEL} metric 50"],
}
ROUTES["users"] = ROUTES["ports"] = ROUTES["rules"]
_RULES: Final = [
    f"{family}rule add {rule}"
    for family in ("", "-6 ")
    for rule in (f"not fwmark {_MARK} table {_TABLE}", "table main suppress_prefixlength 0")
]
_USERS: Final = [f"{family}rule add uidrange 0-0 table {_TABLE}" for family in ("", "-6 ")]

_PORTS: Final = [
    f"{family}rule add ipproto udp dport {PORT} table {_TABLE}" for family in ("", "-6 ")
]
_ONCE: Final = {"rules": _RULES, "users": _USERS, "ports": _PORTS, "unnumbered": _BORROWED}


def ip(lines: list[str]) -> None:
    """Carry out lines for `ip`, those that begin with -6 for IPv6, in this namespace."""
    program = find_program("ip")
    assert program is not None
    for family in ("-4", "-6"):
        chosen = [line.removeprefix("-6 ") for line in lines if _is_for(line, family)]
        if chosen:
            subprocess.run(
                [program, family, "-batch", "-"], input="\n".join(chosen), text=True, check=True
            )


def _is_for(line: str, family: str) -> bool:
    ipv6 = line.startswith("-6 ") or "2001:db8" in line
    return ipv6 == (family == "-6")


class VpnWorld:
    """The world, made in this process, which is in the client's namespace from then on."""

    def __init__(self, setup: str) -> None:
        self.setup = setup
        self.sent: Counter[str] = Counter()
        """Packets to the server's port by the Ethernet interface they left."""
        self.through_tunnel = 0
        enter_new_namespace()
        self._server_space = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._set_ipv6()
        self._server_end = make_device(TUNNEL)
        self._client_space = enter_new_namespace()
        self._set_ipv6()
        here = f"/proc/{os.getpid()}/fd/{self._server_space}"
        for name in ("eth0", "eth1"):
            ip([f"link add {name} type veth peer name {name} netns {here}"])
        self._client_end: int | None = None
        ip(_CLIENT)
        ip(_ONCE.get(setup, []))
        self._in_server_space(lambda: ip(_SERVER))
        self.server_space = here
        self._watchers = {name: self._packet_socket(name) for name in ("eth0", "eth1")}

    @staticmethod
    def _set_ipv6() -> None:
        for which in ("all", "default"):
            for name, value in (("disable_ipv6", "0"), ("accept_ra", "0")):
                with suppress(OSError):
                    with open(f"/proc/sys/net/ipv6/conf/{which}/{name}", "w") as file:
                        file.write(value)

    def _in_server_space(self, do: Callable[[], object]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.setns(self._server_space, _CLONE_NEWNET) == 0
        try:
            do()
        finally:
            assert libc.setns(self._client_space, _CLONE_NEWNET) == 0

    @staticmethod
    def _packet_socket(name: str) -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        sock.bind((name, _ETH_P_ALL))
        sock.setblocking(False)
        return sock

    # -- the VPN -----------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._client_end is not None

    def connect_vpn(self, *, ipv6: bool = True) -> None:
        """The device comes, with its addresses and routes."""
        if self._client_end is None:
            self._client_end = make_device(TUNNEL)
        lines = _DEVICE_UP.get(self.setup, _NUMBERED) + ROUTES[self.setup]
        ip([line for line in lines if ipv6 or not _is_for(line, "-6")])

    def listen(self) -> list[socket.socket]:
        """The server's TCP sockets, in its namespace: for IPv4 and IPv6."""
        found: list[socket.socket] = []

        def make() -> None:
            for family in (socket.AF_INET, socket.AF_INET6):
                sock = socket.create_server(("", PORT), family=family)
                sock.setblocking(False)
                found.append(sock)

        self._in_server_space(make)
        return found

    def disconnect_vpn(self) -> None:
        """The device goes, and all that hangs on it."""
        if self._client_end is not None:
            trio.lowlevel.notify_closing(self._client_end)
            os.close(self._client_end)
            self._client_end = None

    def switch_off(self) -> None:
        """The device stays, and is down; its routes go."""
        ip([f"link set {TUNNEL} down"])

    def drop_routes(self) -> None:
        """The device stays up, and only the routes go."""
        ip([line.replace("replace", "del", 1) for line in ROUTES[self.setup]])

    async def forward(self) -> None:
        """Carry packets between both ends of the tunnel, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._down)
            nursery.start_soon(self._up)

    async def _up(self) -> None:
        while True:
            device = self._client_end
            if device is None:
                await trio.sleep(0.005)
                continue
            try:
                await trio.lowlevel.wait_readable(device)
                packet = os.read(device, _LARGEST_PACKET)
            except (OSError, trio.ClosedResourceError):
                await trio.sleep(0.005)  # it is down, or gone
                continue
            self.through_tunnel += _is_to_server(packet)
            with suppress(OSError):
                os.write(self._server_end, packet)

    async def _down(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._server_end)
            with suppress(OSError):
                packet = os.read(self._server_end, _LARGEST_PACKET)
                if self._client_end is not None:
                    os.write(self._client_end, packet)

    # -- what leaves beside it ---------------------------------------------------------------------

    def count(self) -> None:
        """Read what the packet sockets have seen."""
        for name, sock in self._watchers.items():
            while True:
                try:
                    packet, address = sock.recvfrom(_LARGEST_PACKET)
                except BlockingIOError:
                    break
                if address[2] == socket.PACKET_OUTGOING:
                    self.sent[name] += _is_to_server(packet)

    async def count_for_ever(self) -> None:
        """The packet sockets' buffers are bounded: read them often."""
        while True:
            self.count()
            await trio.sleep(0.02)


def _is_to_server(packet: bytes) -> bool:
    """A packet to the server's port, of either family."""
    if len(packet) >= 28 and packet[0] >> 4 == 4 and packet[9] in _TRANSPORTS:
        start = (packet[0] & 15) * 4
    elif len(packet) >= 48 and packet[0] >> 4 == 6 and packet[6] in _TRANSPORTS:
        start = 40
    else:
        return False
    port: int = struct.unpack_from("!H", packet, start + 2)[0]
    return port == PORT
