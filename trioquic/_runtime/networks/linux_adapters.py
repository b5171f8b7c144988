"""What Linux says of its interfaces: flags, sizes, what they are, and which addresses are what."""

import ipaddress
import os
import re
import struct
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import ifaddr

from ...networks import Interface, InterfaceKind
from ..system.link_types import LinkTypes, read_link_types
from ..system.shortage import is_shortage
from .adapter_reader import AdapterReader

# Interface flags, the same on all systems that have them
IFF_UP: Final = 0x1
IFF_RUNNING: Final = 0x40

_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFMTU: Final = 0x8921
_FLAGS: Final = struct.Struct("16sH22x")
_MTU: Final = struct.Struct("16si20x")

# Link types in sysfs (if_arp.h)
_ETHERNET_TYPE: Final = 1
_RAW_IP_TYPES: Final = (519, 530)  # Qualcomm's modems
_LOOPBACK_TYPE: Final = 772
# IPv6 over IPv4 (6in4, 6to4, 6rd). That hides nothing, and who stayed in it would go around a VPN
# that has IPv4 only: no tunnel, but nothing to be preferred either.
_SIT_TYPE: Final = 776
# PPP, IPIP, IP6, GRE, IP6GRE, none.
_TUNNEL_TYPES: Final = (512, 768, 769, 778, 823, 65534)
# What drivers of tunnels are called; that of TUN and TAP devices is one.
_TUNNEL_DRIVERS: Final = frozenset(
    """tun wireguard amneziawg ovpn ovpn-dco ppp ipip ip6tnl gre gretap ip6gre ip6gretap vti
    vti6 xfrm""".split()
)


class LinuxReader(AdapterReader):
    """Asks the kernel: ioctls for flags and size, which are right in every network namespace,
    rtnetlink and sysfs for the kind, `/proc/net/if_inet6` for the flags of IPv6 addresses. Whatever
    cannot be read (Android lets programs read little of it) is guessed from names. The arguments
    are seams.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        flags_of_link: Callable[[str], int | None] | None = None,
        link_types: Callable[[], LinkTypes] | None = None,
        mtu_of_link: Callable[[str], int | None] | None = None,
    ) -> None:
        super().__init__()
        self._sysfs = root / "sys/class/net"
        self._if_inet6 = root / "proc/net/if_inet6"
        self._flags_of_link = flags_of_link or read_link_flags
        self._mtu_of_link = mtu_of_link or read_link_mtu
        # files somewhere else are about links that this kernel does not have
        self._read_link_types = link_types or (read_link_types if root == Path("/") else dict)
        # asked once in a look, and only if there is an interface that is not known yet
        self._link_types: LinkTypes | None = None
        self._address_flags: dict[tuple[str, str], int] = {}

    def read(self, adapters: Iterable[ifaddr.Adapter]) -> tuple[Interface, ...]:
        self._address_flags = parse_if_inet6(_text(self._if_inet6))
        self._link_types = None
        return super().read(adapters)

    def name_of(self, adapter: ifaddr.Adapter) -> str:
        """`eth0:1` is a label of an address, not an interface."""
        return adapter.name.partition(":")[0]

    def flags_of(self, name: str, address: str) -> int:
        return self._address_flags.get((name, address), 0)

    def mtu_of(self, name: str) -> int | None:
        return self._mtu_of_link(name)

    def is_up(self, name: str, has_addresses: bool) -> bool:
        """Switched on, and with a carrier as far as the driver can tell: IFF_RUNNING says that the
        operational state is up or unknown (RFC 2863)."""
        flags = self._flags_of_link(name)
        if flags is not None:
            return bool(flags & IFF_UP and flags & IFF_RUNNING)
        text = _text(self._sysfs / name / "flags")
        if not text:
            return has_addresses
        # A link without a carrier, or one that is switched off, refuses to have `carrier` read.
        return bool(
            int(text, 16) & IFF_UP
            and _text(self._sysfs / name / "operstate") in ("up", "unknown")
            and _text(self._sysfs / name / "carrier") == "1"
        )

    def _type_and_driver(self, name: str) -> tuple[int | None, str]:
        if self._link_types is None:
            self._link_types = self._read_link_types()
        told, driver = self._link_types.get(name, (None, ""))
        if told is None:
            text = _text(self._sysfs / name / "type")
            told = int(text) if text.isdecimal() else None
        return told, driver

    def encapsulates(self, name: str, description: str) -> bool:
        told, _ = self._type_and_driver(name)
        return super().encapsulates(name, description) if told is None else told == _SIT_TYPE

    def kind_of(self, name: str, description: str) -> InterfaceKind:
        told, driver = self._type_and_driver(name)
        if driver in _TUNNEL_DRIVERS:
            return "tunnel"
        folder = self._sysfs / name
        found = re.search(r"^DEVTYPE=(.*)$", _text(folder / "uevent"), re.MULTILINE)
        device_type = found[1] if found else ""
        if told == _LOOPBACK_TYPE:
            return "loopback"
        if device_type == "wlan" or (folder / "wireless").exists():
            return "wifi"
        by_name = super().kind_of(name, description)
        if device_type == "wwan" or by_name == "cellular":
            return "cellular"
        if told is None:
            return by_name
        if told in _RAW_IP_TYPES:
            return "cellular"
        if told in _TUNNEL_TYPES or (folder / "tun_flags").exists():
            return "tunnel"
        # Bridges are mostly those of virtual machines and containers.
        return "ethernet" if told == _ETHERNET_TYPE and device_type != "bridge" else "other"


def parse_if_inet6(text: str) -> dict[tuple[str, str], int]:
    """Flags by interface and address. Lines: address, index, prefix length, scope, flags, name."""
    result = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) != 6:
            continue
        try:
            address = str(ipaddress.IPv6Address(bytes.fromhex(fields[0])))
            result[fields[5], address] = int(fields[4], 16)
        except ValueError:
            continue
    return result


def read_link_flags(name: str) -> int | None:
    """An interface's flags; None: the kernel does not tell. OSError: it may the next time."""
    return _ask(name, _SIOCGIFFLAGS, _FLAGS)


def read_link_mtu(name: str) -> int | None:
    """An interface's MTU; None: the kernel does not tell. OSError: it may the next time."""
    return _ask(name, _SIOCGIFMTU, _MTU)


def _ask(name: str, what: int, answer: struct.Struct) -> int | None:
    if sys.platform == "win32":
        return None
    import fcntl
    import socket

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            told = fcntl.ioctl(sock, what, answer.pack(os.fsencode(name)[:15], 0))
    except OSError as error:
        if is_shortage(error):
            raise
        return None
    number: int = answer.unpack(told)[1]
    return number


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        if is_shortage(error):
            raise
        return ""
