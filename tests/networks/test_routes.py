"""What systems say about routes: the kernel's messages, Windows' library and sockets, made up; and
the kernel of this machine, in a namespace of its own."""

import errno
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.lab.network import ROOT
from tests.lab.requirements import LAB_ANYWHERE
from trioquic import Interface, InterfaceAddress, Route
from trioquic._runtime.system import linux_routes, netlink, system_routes
from trioquic._runtime.system.interface_binding import bind_on_apple
from trioquic._runtime.system.link_types import read_link_types
from trioquic._runtime.system.next_hops import Way
from trioquic._runtime.system.probed_routes import probed_routes
from trioquic._runtime.system.system_routes import route_asker_for
from trioquic._runtime.system.windows_routes import windows_routes

# Asking is the runtime's, which is never compiled.
pytestmark = pytest.mark.plain

SERVER = "198.51.100.1"
SERVER6 = "2001:db8:ff::1"


def interface(name: str, index: int, *addresses: str, up: bool = True) -> Interface:
    return Interface(
        name=name,
        index=index,
        up=up,
        addresses=tuple(InterfaceAddress(address=a, prefix_length=24) for a in addresses),
    )


ETH = interface("eth0", 2, "192.0.2.2", "2001:db8::2")
WIFI = interface("wlan0", 3, "192.0.3.2")
DOWN = interface("eth1", 4, "192.0.4.2", up=False)
INTERFACES = [ETH, WIFI, DOWN]


# -- Linux: messages -------------------------------------------------------------------------------


def message(kind: int, body: bytes) -> bytes:
    return netlink.request(kind, 0, body)


def route_message(*attributes: tuple[int, bytes], kind: int = 1, family: int = 2) -> bytes:
    body = struct.pack("=BBBBBBBBI", family, 32, 0, 0, 254, 0, 0, kind, 0)
    return message(24, body + b"".join(netlink.attribute(k, v) for k, v in attributes))


def number(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)


def test_an_answer_of_the_kernel() -> None:
    data = route_message((4, number(2)), (6, number(600)), (7, bytes([192, 0, 2, 2])))
    answer = linux_routes.read(socket.AF_INET, data)
    assert answer == linux_routes.RouteAnswer(False, (2,), "192.0.2.2", 600, Way(b""))
    hops = b"".join(struct.pack("=HBBi", 8, 0, 0, index) for index in (3, 5))
    several = linux_routes.read(socket.AF_INET, route_message((9, hops)))
    assert several == linux_routes.RouteAnswer(False, (3, 5), None, 0, Way(b""))
    router = bytes([192, 0, 2, 1])
    led = linux_routes.read(socket.AF_INET, route_message((4, number(2)), (5, router)))
    assert led is not None
    assert led.way == Way(router)
    own = linux_routes.read(socket.AF_INET, route_message((4, number(1)), kind=2))
    assert own is not None
    assert own.local


@pytest.mark.parametrize("kind", [6, 7, 8])
def test_routes_that_say_no(kind: int) -> None:
    """Blackhole, unreachable, prohibit."""
    assert linux_routes.read(socket.AF_INET, route_message((4, number(1)), kind=kind)) is None


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES])
def test_errors_that_are_answers(code: int) -> None:
    data = message(2, struct.pack("=i", -code) + bytes(16))
    assert linux_routes.read(socket.AF_INET, data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        message(2, struct.pack("=i", -errno.EPERM) + bytes(16)),
        message(24, b"short"),
        route_message((9, bytes(8))),
        route_message()[:-1],
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(OSError, match=r"."):
        linux_routes.read(socket.AF_INET, data)


def test_a_kernel_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Android forbids it to some programs: connected sockets tell the system's choice then."""

    def refuse() -> socket.socket:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(netlink, "open_for_questions", refuse)
    assert linux_routes.linux_routes(INTERFACES, [(SERVER, 443)]) is None
    tunnel = interface("tun0", 9, "10.8.0.2")
    probe_it = partial(probed_routes, make_socket=World({}, "10.8.0.2").socket)
    monkeypatch.setattr(system_routes, "probed_routes", probe_it)
    found = route_asker_for("linux")([ETH, tunnel], [(SERVER, 443)])
    assert found is not None
    assert [route.interface for route in found if route.chosen] == ["tun0"]


def test_a_kernel_without_ipv6_still_tells_of_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """ipv6.disable=1, as some VPNs advise: a question about IPv6 is one that nobody answers."""

    class Kernel:
        def __enter__(self) -> "Kernel":
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def send(self, question: bytes) -> None:
            self.family = question[16]

        def recv(self, size: int) -> bytes:
            if self.family == socket.AF_INET6:
                return message(2, struct.pack("=i", -errno.EOPNOTSUPP) + bytes(16))
            return route_message((4, number(3)))

    monkeypatch.setattr(netlink, "open_for_questions", Kernel)
    only_ipv4 = [WIFI, DOWN]
    for remotes in ([SERVER6, SERVER], [SERVER]):
        found = linux_routes.linux_routes(only_ipv4, [(remote, 443) for remote in remotes])
        assert found is not None
        assert [(r.remote, r.interface, r.chosen) for r in found] == [(SERVER, "wlan0", True)]
    # one that has it, and does not tell, is not believed to have no routes
    assert linux_routes.linux_routes(INTERFACES, [(SERVER6, 443), (SERVER, 443)]) is None


class OldKernel:
    """One that takes a question about ports for a mistake, unless it `knows` them; asked about the
    server it tells of a blackhole, or of eth0."""

    def __init__(self, *, knows: bool, blackhole: bool) -> None:
        self.knows = knows
        self.blackhole = blackhole
        self.asked: list[dict[int, bytes]] = []

    def send(self, question: bytes) -> None:
        self.asked.append(
            {kind: whole[4:] for kind, whole in netlink.attributes(question, 16 + 12)}
        )

    def recv(self, size: int) -> bytes:
        asked = self.asked[-1]
        to_server = asked[1] == socket.inet_aton(SERVER)
        if (27 in asked and not self.knows) or (to_server and self.blackhole):
            return message(2, struct.pack("=i", -errno.EINVAL) + bytes(16))
        return route_message((4, number(2)))


def ask_it(kernel: OldKernel, **more: Any) -> linux_routes.RouteAnswer | None:
    return linux_routes.ask(kernel, socket.AF_INET, (SERVER, 4433), **more)  # type: ignore[arg-type]


def test_questions_are_about_udp_between_ports() -> None:
    """Rules may ask for them. What is not known is left to chance, or left out."""
    kernel = OldKernel(knows=True, blackhole=False)
    assert ask_it(kernel, source=("192.0.2.2", 50_001)) is not None
    assert ask_it(kernel) is not None
    assert kernel.asked[0] == {
        1: socket.inet_aton(SERVER),
        2: bytes([192, 0, 2, 2]),
        27: b"\x11",
        28: (50_001).to_bytes(2, "big"),
        29: (4433).to_bytes(2, "big"),
    }
    assert kernel.asked[1].keys() == {1, 27, 28, 29}
    linux_routes.ask(kernel, socket.AF_INET, (SERVER, 0))  # type: ignore[arg-type]
    assert kernel.asked[2].keys() == {1, 27, 28}


def test_a_kernel_that_does_not_know_ports_is_asked_without_them() -> None:
    answer = ask_it(OldKernel(knows=False, blackhole=False))
    assert answer is not None
    assert answer.interfaces == (2,)


@pytest.mark.parametrize("knows", [True, False])
def test_a_blackhole_is_not_taken_for_an_old_kernel(knows: bool) -> None:
    """Both are told by the same error. A rule's blackhole for a port is not asked around."""
    kernel = OldKernel(knows=knows, blackhole=True)
    assert ask_it(kernel) is None
    assert (27 in kernel.asked[-1]) == knows


def test_a_list_of_links_that_is_interrupted_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Just when a VPN makes its device, links come and go."""
    link = struct.pack("=BxHiII", 0, 65534, 7, 0, 0) + netlink.attribute(3, b"work")
    flags = [0x10, 0]

    class Kernel:
        def __enter__(self) -> "Kernel":
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def send(self, question: bytes) -> None:
            return None

        def recv(self, size: int) -> bytes:
            return netlink.request(16, flags.pop(0), link) + message(3, bytes(4))

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(netlink, "open_for_questions", Kernel)
    assert read_link_types() == {"work": (65534, "")}


# -- Linux: this kernel ----------------------------------------------------------------------------

NAMESPACE = """
import json
from tests.lab.relay import enter_new_namespace, make_device
from tests.lab.vpn_world import ip
enter_new_namespace()
for which in ("all", "default"):
    with open(f"/proc/sys/net/ipv6/conf/{{which}}/disable_ipv6", "w") as file:
        file.write("0")
devices = [make_device(name) for name in ("one", "two", "three", "four")]
ip({lines!r})
import trioquic
networks = trioquic.system_networks()
kinds = {{interface.name: interface.kind for interface in networks.snapshot()}}
routes = networks.routes({remotes!r})
chosen = [
    [server, [r.interface for r in networks.routes_to([server]) if r.chosen]]
    for server in {servers!r}
]
print(json.dumps([kinds, [[r.remote, r.interface, r.metric, r.chosen] for r in routes], chosen]))
"""
LINES = [
    "link set lo up",
    *(f"link set {name} up" for name in ("one", "two", "three", "four")),
    "address add 192.0.2.2/24 dev one",
    "address add 192.0.3.2/24 dev two",
    "address add 192.0.4.2/24 dev three",
    "address add 192.0.5.2/24 dev four",
    "address add 2001:db8:2::2/64 dev one nodad",
    "address add 2001:db8:3::2/64 dev two nodad",
    "address add 2001:db8:5::2/64 dev four nodad",
    "route add default dev one metric 300",
    "route add default dev two metric 100",
    "route add default dev three table 77",
    "rule add from 192.0.4.2 table 77",
    "-6 route add 2000::/3 dev one metric 100",
    "route add 203.0.113.0/24 dev one",
    "route add prohibit 192.88.99.0/24",
    # a VPN for a service, and one for another protocol and for what has a port of its own
    "route add default dev four table 78",
    "rule add ipproto udp dport 4433 table 78",
    "rule add ipproto tcp table 77",
    "rule add ipproto udp sport 51820 table 77",
    "-6 route add default dev four table 78",
    "-6 rule add ipproto udp dport 4433 table 78",
]
SERVERS = [(SERVER, 4433), (SERVER, 443), (SERVER6, 4433), (SERVER6, 443)]


def in_a_namespace(test: Callable[..., None]) -> Callable[..., None]:
    for mark in LAB_ANYWHERE:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def told() -> tuple[dict[str, str], list[list[Any]], list[list[Any]]]:
    remotes = [SERVER, SERVER6, "203.0.113.9", "192.88.99.1", "192.0.2.2", "127.0.0.1"]
    code = NAMESPACE.format(lines=LINES, remotes=remotes, servers=SERVERS)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kinds, routes, chosen = json.loads(done.stdout)
    return kinds, routes, chosen


def to(
    told: tuple[dict[str, str], list[list[Any]], list[list[Any]]], remote: str
) -> list[list[Any]]:
    return sorted(row[1:] for row in told[1] if row[0] == remote)


@in_a_namespace
def test_metrics_and_a_table_of_its_own(told: Any) -> None:
    expected = [["one", 300, False], ["three", None, False], ["two", 100, True]]
    assert to(told, SERVER) == expected


@in_a_namespace
def test_ipv6(told: Any) -> None:
    assert to(told, SERVER6) == [["one", 100, True]]


@in_a_namespace
def test_a_longer_prefix_wins(told: Any) -> None:
    rows = to(told, "203.0.113.9")
    assert ["one", 0, True] in rows
    assert ["two", 100, False] in rows


@in_a_namespace
def test_a_prohibited_destination(told: Any) -> None:
    assert not any(chosen for _, _, chosen in to(told, "192.88.99.1"))


@in_a_namespace
def test_rules_by_port(told: Any) -> None:
    """`ip rule ... ipproto udp dport 4433` leads where packets to that port really go."""
    assert {(host, port): names for (host, port), names in told[2]} == {
        (SERVER, 4433): ["four"],
        (SERVER, 443): ["two"],
        (SERVER6, 4433): ["four"],
        (SERVER6, 443): ["one"],
    }


@in_a_namespace
def test_this_machine_itself_says_nothing_of_interfaces(told: Any) -> None:
    assert to(told, "192.0.2.2")
    assert all(row[1:] == [None, False] for row in to(told, "192.0.2.2"))
    assert ["lo", None, False] in to(told, "127.0.0.1")


@in_a_namespace
def test_a_tun_device_is_a_tunnel_whatever_its_name(told: Any) -> None:
    assert told[0]["one"] == "tunnel"
    assert told[0]["lo"] == "loopback"


# -- sockets that are connected --------------------------------------------------------------------


class World:
    """Makes sockets that know which interfaces lead to the server."""

    def __init__(self, leading: dict[int, str], chosen: str | None) -> None:
        self.leading = leading
        self.chosen = chosen

    def socket(self, family: int, kind: int) -> Any:
        return FakeSocket(self)


class FakeSocket:
    def __init__(self, world: World) -> None:
        self.world = world
        self.bound: int | None = None
        self.name = ""

    def __enter__(self) -> "FakeSocket":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.bound = value

    def connect(self, address: tuple[str, int]) -> None:
        source = self.world.leading.get(self.bound) if self.bound else self.world.chosen
        if source is None:
            raise OSError(errno.ENETUNREACH, "no way")
        self.name = source

    def getsockname(self) -> tuple[str, int]:
        return self.name, 1


def probe(world: World, remotes: list[str]) -> tuple[Route, ...] | None:
    servers = [(remote, 443) for remote in remotes]
    return probed_routes(INTERFACES, servers, binder=bind_on_apple, make_socket=world.socket)


def test_connected_sockets_tell_routes() -> None:
    both = World({2: "192.0.2.2", 3: "192.0.3.2"}, "192.0.3.2")
    assert probe(both, [SERVER]) == (
        Route(remote=SERVER, interface="eth0"),
        Route(remote=SERVER, interface="wlan0", source="192.0.3.2", chosen=True),
    )
    one = World({2: "192.0.2.2"}, "192.0.2.2")
    assert probe(one, [SERVER]) == (
        Route(remote=SERVER, interface="eth0", source="192.0.2.2", chosen=True),
    )
    assert probe(World({}, None), [SERVER, SERVER6]) == ()
    # this machine itself
    assert probe(World({}, None), ["192.0.2.2"]) == (
        Route(remote="192.0.2.2", interface="eth0"),
        Route(remote="192.0.2.2", interface="wlan0"),
    )


def test_a_source_that_reaches_neighbours_only_is_no_route() -> None:
    """macOS has a default route over each utun device, of which there are many without a VPN."""
    tunnel = interface("utun0", 9, "fe80::9")
    world = World({2: "2001:db8::2", 9: "fe80::9"}, "fe80::9")
    found = probed_routes(
        [ETH, tunnel], [(SERVER6, 443)], binder=bind_on_apple, make_socket=world.socket
    )
    assert found is not None
    assert not any(route.chosen for route in found)


def test_a_system_without_ipv6_still_tells_of_ipv4() -> None:
    world = World({3: "192.0.3.2"}, "192.0.3.2")

    def make_socket(family: int, kind: int) -> Any:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6 here")
        return world.socket(family, kind)

    both = [(SERVER6, 443), (SERVER, 443)]
    found = probed_routes([WIFI], both, binder=bind_on_apple, make_socket=make_socket)
    assert found == (Route(remote=SERVER, interface="wlan0", source="192.0.3.2", chosen=True),)


# -- Windows ---------------------------------------------------------------------------------------


class FakeLibrary:
    """iphlpapi.dll: routes by the interface's number, with their metrics."""

    def __init__(self, routes: dict[int, int], chosen: int) -> None:
        self.routes = routes
        self.chosen = chosen

    def GetBestRoute2(
        self,
        luid: None,
        index: int,
        source: None,
        destination: Any,
        options: int,
        row: Any,
        best: Any,
    ) -> int:
        assert destination.raw[:8] == struct.pack("<HH", 2, 0) + bytes([198, 51, 100, 1])
        number = index or self.chosen
        if number not in self.routes:
            return 1168
        struct.pack_into("<I", row, 8, number)
        struct.pack_into("<I", row, 84, self.routes[number])
        struct.pack_into("<HH4B", best, 0, 2, 0, 192, 0, number, 2)
        return 0

    def GetIpInterfaceEntry(self, row: Any) -> int:
        assert struct.unpack_from("<H", row.raw)[0] == 2
        index = struct.unpack_from("<I", row.raw, 16)[0]
        struct.pack_into("<I", row, 148, 20 if index == 2 else 50)
        return 0


def test_windows_adds_the_metrics_of_route_and_interface() -> None:
    library = FakeLibrary({2: 5, 3: 0}, chosen=2)
    assert windows_routes(INTERFACES, [(SERVER, 443)], library) == (
        Route(remote=SERVER, interface="eth0", source="192.0.2.2", metric=25, chosen=True),
        Route(remote=SERVER, interface="wlan0", metric=50),
    )
    assert windows_routes(INTERFACES, [(SERVER, 443)], FakeLibrary({3: 7}, chosen=3)) == (
        Route(remote=SERVER, interface="wlan0", source="192.0.3.2", metric=57, chosen=True),
    )
    assert windows_routes(INTERFACES, [(SERVER, 443)], FakeLibrary({}, chosen=0)) == ()


@pytest.mark.parametrize("remote", [SERVER, "192.0.2.2", "192.0.5.2", "127.0.0.1", "fe80::1"])
def test_windows_knows_interfaces_by_their_numbers(remote: str) -> None:
    """Also those that lead to this machine or to a neighbour."""
    addresses = ("192.0.5.2", "fe80::2")
    nameless = Interface(
        name="vEthernet",
        addresses=tuple(InterfaceAddress(address=a, prefix_length=24) for a in addresses),
    )
    routes = windows_routes([*INTERFACES, nameless], [(remote, 443)], FakeLibrary({2: 5}, chosen=2))
    assert routes is not None
    assert {route.interface for route in routes} <= {"eth0", "wlan0"}
    assert "eth0" in {route.interface for route in routes}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has the library")
def test_windows_without_its_library() -> None:
    assert route_asker_for("win32")(INTERFACES, [(SERVER, 443)]) is None
