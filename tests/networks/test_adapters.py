"""What the readers make of ifaddr's adapters and of the files of an operating system."""

import sys
from pathlib import Path

import pytest

from trioquic._runtime.networks.adapter_reader import AdapterReader
from trioquic._runtime.networks.adapters import AppleReader, WindowsReader, reader_for
from trioquic._runtime.networks.linux_adapters import (
    IFF_RUNNING,
    IFF_UP,
    LinuxReader,
    parse_if_inet6,
    read_link_flags,
    read_link_mtu,
)
from trioquic.networks import InterfaceAddress

from .fakes import FakeAdapter, sysfs, v4, v6

IFF_LOOPBACK = 0x8

IF_INET6 = """\
20010db8000000000000000000000007 02 40 00 01     eth0
20010db8000000000000000000000008 02 40 00 20     eth0
20010db8000000000000000000000009 02 40 00 40     eth0
20010db800000000000000000000000a 02 40 00 44     eth0
20010db800000000000000000000000b 02 40 00 88     eth0
20010db800000000000000000000000c 02 40 00 90     eth0
fe800000000000000000000000000001 02 40 20 80     eth0
fe800000000000000000000000000001 03 40 20 c0    wlan0
"""


def no_flags(name: str) -> int | None:
    """A kernel that does not tell."""
    return None


def test_the_flags_of_ipv6_addresses(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/if_inet6").write_text(IF_INET6)
    ips = [v4("192.0.2.7")]
    ips += [v6(f"2001:db8::{digit}") for digit in "789abc"]
    ips += [v6("fe80::1"), v6("2001:db8::ffff")]
    adapters = [
        FakeAdapter("eth0", tuple(ips), 2),
        FakeAdapter("wlan0", (v6("fe80::1"),), 3),
    ]
    eth0, wlan0 = LinuxReader(tmp_path, no_flags).read(adapters)
    flags = {
        a.address: {f for f in ("temporary", "deprecated", "tentative", "home") if getattr(a, f)}
        for a in eth0.addresses
    }
    assert flags == {
        "192.0.2.7": set(),
        "2001:db8::7": {"temporary"},
        "2001:db8::8": {"deprecated"},
        "2001:db8::9": {"tentative"},
        "2001:db8::a": set(),  # optimistic: in use before its test is over
        "2001:db8::b": {"tentative"},  # its test has failed
        "2001:db8::c": {"home"},
        "fe80::1": set(),
        "2001:db8::ffff": set(),  # the file does not have it
    }
    # the same address on another link is another address
    assert [a.tentative for a in wlan0.addresses] == [True]


@pytest.mark.parametrize("text", ["", "\n", "a b c", "zz 02 40 00 01 eth0", "00 02 40 00 01 eth0"])
def test_lines_that_are_none(text: str) -> None:
    assert parse_if_inet6(text) == {}


KINDS = [
    ("lo", {"type": "772"}, "loopback"),
    ("eth0", {"type": "1", "uevent": "INTERFACE=eth0\nIFINDEX=2"}, "ethernet"),
    ("uplink", {"type": "1", "uevent": "DEVTYPE=vlan"}, "ethernet"),
    ("wlan0", {"type": "1", "uevent": "DEVTYPE=wlan\nINTERFACE=wlan0"}, "wifi"),
    ("eth7", {"type": "1", "wireless": ""}, "wifi"),
    ("wwan0", {"type": "65534", "uevent": "DEVTYPE=wwan"}, "cellular"),
    ("modem", {"type": "1", "uevent": "DEVTYPE=wwan"}, "cellular"),
    ("rmnet_data0", {"type": "519"}, "cellular"),
    ("r_rmnet0", {"type": "530"}, "cellular"),
    ("tun0", {"type": "65534", "tun_flags": "0x1"}, "tunnel"),
    ("tap9", {"type": "1", "tun_flags": "0x2"}, "tunnel"),
    ("office", {"type": "65534", "uevent": "DEVTYPE=wireguard"}, "tunnel"),
    ("sit0", {"type": "776"}, "other"),
    ("docker0", {"type": "1", "uevent": "DEVTYPE=bridge"}, "other"),
    ("can0", {"type": "280"}, "other"),
    # nothing can be read, as on Android: names have to do
    ("wlan1", {}, "wifi"),
    ("rmnet_data1", {}, "cellular"),
    ("ccmni0", {}, "cellular"),
    ("enp3s0", {}, "ethernet"),
    ("wg0", {}, "tunnel"),
    ("dummy0", {}, "other"),
]


@pytest.mark.parametrize(("name", "files", "kind"), KINDS, ids=[name for name, _, _ in KINDS])
def test_kinds_on_linux(tmp_path: Path, name: str, files: dict[str, str], kind: str) -> None:
    if files:
        sysfs(tmp_path, name, **files)
    (interface,) = LinuxReader(tmp_path, no_flags).read([FakeAdapter(name)])
    assert interface.kind == kind
    assert interface.metered is None


@pytest.mark.parametrize(
    ("name", "link", "kind"),
    [
        ("office", (65534, "wireguard"), "tunnel"),
        ("eth0", (1, "tun"), "tunnel"),
        ("wlan9", (1, "gretap"), "tunnel"),
        ("dsl", (512, ""), "tunnel"),
        ("he-ipv6", (776, "sit"), "other"),
        ("veth9", (1, "veth"), "ethernet"),
        ("lo", (772, ""), "loopback"),
    ],
)
def test_the_kernel_is_believed_before_files_and_names(
    tmp_path: Path, name: str, link: tuple[int, str], kind: str
) -> None:
    """sysfs may be that of another network namespace."""
    sysfs(tmp_path, name, type="1")
    reader = LinuxReader(tmp_path, no_flags, lambda: {name: link})
    (interface,) = reader.read([FakeAdapter(name)])
    assert interface.kind == kind


@pytest.mark.parametrize(
    ("name", "link", "encapsulates"),
    [
        ("he-ipv6", (776, "sit"), True),
        ("6to4", (776, "sit"), True),
        ("sit9", (1, "veth"), False),
        ("br0", (1, "bridge"), False),
        # said by the kind already, which also says that it hides somebody
        ("office", (769, "ip6tnl"), False),
        # where the kernel does not tell, names have to do
        ("6rd-wan", None, True),
        ("dummy0", None, False),
    ],
)
def test_what_brings_one_ip_version_over_the_other(
    tmp_path: Path, name: str, link: tuple[int, str] | None, encapsulates: bool
) -> None:
    reader = LinuxReader(tmp_path, no_flags, lambda: {} if link is None else {name: link})
    for _ in range(2):
        # the second time it is remembered
        (interface,) = reader.read([FakeAdapter(name)])
        assert interface.encapsulates is encapsulates


@pytest.mark.parametrize(
    ("name", "description", "encapsulates"),
    [
        ("Local Area Connection* 9", "Teredo Tunneling Pseudo-Interface", True),
        ("Ethernet 3", "Realtek PCIe GbE Family Controller", False),
    ],
)
def test_the_same_on_windows(name: str, description: str, encapsulates: bool) -> None:
    adapter = FakeAdapter("{8}", (v4("192.0.2.1", 24, name),), 12, description)
    assert WindowsReader().read([adapter])[0].encapsulates is encapsulates


def test_the_same_on_bsd_and_apples_systems() -> None:
    stf, en = AppleReader().read([FakeAdapter("stf0"), FakeAdapter("en5")])
    assert (stf.encapsulates, en.encapsulates) == (True, False)


def test_how_large_packets_may_be(tmp_path: Path) -> None:
    """It is asked for at each look, as it changes."""
    sizes = [1500, 1000]
    reader = LinuxReader(tmp_path, no_flags, mtu_of_link=lambda _: sizes.pop(0))
    adapter = FakeAdapter("eth0", (v4("192.0.2.1"),))
    assert [reader.read([adapter])[0].mtu for _ in range(2)] == [1500, 1000]
    assert AdapterReader().read([adapter])[0].mtu is None


def test_a_new_interface_of_the_same_name_is_looked_at_anew(tmp_path: Path) -> None:
    reader = LinuxReader(tmp_path, no_flags)
    sysfs(tmp_path, "net0", type="1")
    assert reader.read([FakeAdapter("net0", index=2)])[0].kind == "ethernet"
    sysfs(tmp_path, "net0", uevent="DEVTYPE=wlan")
    assert reader.read([FakeAdapter("net0", index=3)])[0].kind == "wifi"


@pytest.mark.parametrize(
    ("flags", "up"),
    [
        (IFF_UP | IFF_RUNNING, True),
        (IFF_UP | IFF_RUNNING | IFF_LOOPBACK, True),
        (IFF_UP, False),
        (IFF_RUNNING, False),
        (0, False),
    ],
)
def test_up_as_the_kernel_says(tmp_path: Path, flags: int, up: bool) -> None:
    reader = LinuxReader(tmp_path, {"eth0": flags}.get)
    # sysfs, which may be another network namespace's, is not asked
    sysfs(tmp_path, "eth0", type="1", flags="0x0" if up else "0x1003", operstate="up", carrier="1")
    (interface,) = reader.read([FakeAdapter("eth0", (v4("192.0.2.1"),))])
    assert interface.up is up


@pytest.mark.parametrize(
    ("flags", "operstate", "carrier", "up"),
    [
        ("0x1003", "up", "1", True),
        ("0x9", "unknown", "1", True),
        ("0x1003", "up", "0", False),
        ("0x1003", "down", "0", False),
        ("0x1003", "dormant", "1", False),
        ("0x1003", "lowerlayerdown", "0", False),
        ("0x1002", "down", None, False),
        ("0x1002", "up", "1", False),
        ("0x1003", "up", None, False),
    ],
)
def test_up_as_sysfs_says(
    tmp_path: Path, flags: str, operstate: str, carrier: str | None, up: bool
) -> None:
    sysfs(tmp_path, "eth0", type="1", flags=flags, operstate=operstate)
    if carrier is not None:
        sysfs(tmp_path, "eth0", carrier=carrier)
    (interface,) = LinuxReader(tmp_path, no_flags).read([FakeAdapter("eth0", (v4("192.0.2.1"),))])
    assert interface.up is up


def test_up_where_nothing_says(tmp_path: Path) -> None:
    for reader in (LinuxReader(tmp_path, no_flags), AppleReader(), WindowsReader()):
        with_address, without = reader.read(
            [
                FakeAdapter("a", (v4("192.0.2.1", nice_name="a"),)),
                FakeAdapter("b", nice_name="b"),
            ]
        )
        assert with_address.up
        assert not without.up


def test_labels_of_addresses_are_no_interfaces(tmp_path: Path) -> None:
    adapters = [
        FakeAdapter("eth0", (v4("192.0.2.1"),), 2),
        FakeAdapter("eth0:1", (v4("192.0.2.2"),), 2),
    ]
    (interface,) = LinuxReader(tmp_path, no_flags).read(adapters)
    assert (interface.name, interface.index) == ("eth0", 2)
    assert interface.addresses == (
        InterfaceAddress(address="192.0.2.1", prefix_length=24),
        InterfaceAddress(address="192.0.2.2", prefix_length=24),
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lo0", "loopback"),
        ("en0", "wifi"),
        ("en5", "ethernet"),
        ("pdp_ip0", "cellular"),
        ("utun3", "tunnel"),
        ("ipsec0", "tunnel"),
        ("gpd0", "tunnel"),
        ("awdl0", "other"),
        ("bridge0", "other"),
    ],
)
def test_kinds_on_apples_systems(name: str, kind: str) -> None:
    (interface,) = AppleReader().read([FakeAdapter(name, (v6("fe80::1"),), 7)])
    assert (interface.name, interface.index, interface.kind) == (name, 7, kind)


@pytest.mark.parametrize(
    ("name", "description", "kind"),
    [
        ("Wi-Fi", "Intel(R) Wi-Fi 6 AX201 160MHz", "wifi"),
        ("WLAN 2", "Realtek 8822CE 802.11ac PCIe Adapter", "wifi"),
        ("Office", "Intel(R) Dual Band Wireless-AC 8265", "wifi"),
        ("Ethernet 3", "Realtek PCIe GbE Family Controller", "ethernet"),
        ("Local Area Connection", "Some Adapter", "ethernet"),
        ("Mobilfunk", "Generic Mobile Broadband Adapter", "cellular"),
        ("Cellular", "Quectel EM120R-GL", "cellular"),
        ("Loopback Pseudo-Interface 1", "Software Loopback Interface 1", "loopback"),
        ("Work VPN", "WAN Miniport (IKEv2)", "tunnel"),
        ("wg", "WireGuard Tunnel", "tunnel"),
        ("Office", "WAN Miniport (L2TP)", "tunnel"),
        ("Ethernet 4", "Cisco AnyConnect Virtual Miniport Adapter for Windows x64", "tunnel"),
        ("Ethernet 5", "PANGP Virtual Ethernet Adapter Secure", "tunnel"),
        ("Local Area Connection* 9", "Teredo Tunneling Pseudo-Interface", "other"),
        ("isatap.example.org", "Microsoft ISATAP Adapter", "other"),
        ("vEthernet (WSL)", "Hyper-V Virtual Ethernet Adapter", "other"),
        ("Local Area Connection* 2", "Microsoft Wi-Fi Direct Virtual Adapter", "other"),
    ],
)
def test_kinds_on_windows(name: str, description: str, kind: str) -> None:
    adapter = FakeAdapter(
        "{846EE342-7039-11DE-9D20-806E6F6E6963}", (v4("192.0.2.1", 24, name),), 12, description
    )
    (interface,) = WindowsReader().read([adapter])
    assert (interface.name, interface.index, interface.kind) == (name, 12, kind)


def test_windows_without_addresses_tells_the_description_only() -> None:
    (interface,) = WindowsReader().read([FakeAdapter("{8}", (), 3, "Intel(R) Wi-Fi 6 AX201")])
    assert (interface.name, interface.kind, interface.up) == (
        "Intel(R) Wi-Fi 6 AX201",
        "wifi",
        False,
    )


def test_each_system_has_its_reader() -> None:
    for platform, kind in (
        ("linux", LinuxReader),
        ("android", LinuxReader),
        ("darwin", AppleReader),
        ("ios", AppleReader),
        ("win32", WindowsReader),
        ("freebsd14", AdapterReader),
    ):
        assert type(reader_for(platform)) is kind


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's ioctl")
def test_the_flags_of_real_interfaces() -> None:
    flags = read_link_flags("lo")
    assert flags is not None and flags & IFF_LOOPBACK
    assert read_link_flags("no-such-if0") is None
    assert read_link_mtu("lo") == 65536
    assert read_link_mtu("no-such-if0") is None
