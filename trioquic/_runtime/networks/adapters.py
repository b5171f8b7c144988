"""From what ifaddr reports to `Interface` records, enriched by what the operating system tells.

ifaddr is the truth about names, indexes and addresses. It knows neither what an interface is nor
whether it works, so a reader per operating system adds that. None knows whether it is metered.
"""

import ipaddress
import os
import re
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import ifaddr

from ...networks import Interface, InterfaceAddress, InterfaceKind
from ..system.link_types import LinkTypes, read_link_types
from ..system.shortage import is_shortage

# Interface flags, the same on all systems that have them
IFF_UP: Final = 0x1
IFF_RUNNING: Final = 0x40

# Flags in the fifth column of /proc/net/if_inet6 (if_addr.h)
_IFA_TEMPORARY: Final = 0x01
_IFA_OPTIMISTIC: Final = 0x04
_IFA_DADFAILED: Final = 0x08
_IFA_HOMEADDRESS: Final = 0x10
_IFA_DEPRECATED: Final = 0x20
_IFA_TENTATIVE: Final = 0x40

_SIOCGIFFLAGS: Final = 0x8913
_IFREQ: Final = struct.Struct("16sH22x")

# Link types in sysfs (if_arp.h)
_ETHERNET_TYPE: Final = 1
_RAW_IP_TYPES: Final = (519, 530)  # Qualcomm's modems
_LOOPBACK_TYPE: Final = 772
# PPP, IPIP, IP6, GRE, IP6GRE, none. Not SIT (776), which is there to bring IPv6 over IPv4 (6in4,
# 6rd): it hides nothing, and who stayed in it would go around a VPN that has IPv4 only.
_TUNNEL_TYPES: Final = (512, 768, 769, 778, 823, 65534)
# What drivers of tunnels are called; that of TUN and TAP devices is one.
_TUNNEL_DRIVERS: Final = frozenset(
    """tun wireguard amneziawg ovpn ovpn-dco ppp ipip ip6tnl gre gretap ip6gre ip6gretap vti
    vti6 xfrm""".split()
)

# How names begin, and what they say
_UNIX_NAMES: Final[tuple[tuple[InterfaceKind, tuple[str, ...]], ...]] = (
    ("loopback", ("lo",)),
    ("cellular", ("wwan", "wwp", "wwx", "rmnet", "ccmni", "pdp_ip")),
    ("wifi", ("wlan", "wlp", "wlx", "wlo")),
    ("ethernet", ("eth", "en")),
    ("tunnel", ("utun", "tun", "tap", "wg", "ppp", "ipsec", "ovpn", "gif")),
    ("tunnel", ("gpd", "cscotun", "tailscale")),
)
# What Windows' names and drivers' descriptions contain; the first row that fits counts.
_WINDOWS_WORDS: Final[tuple[tuple[InterfaceKind, tuple[str, ...]], ...]] = (
    ("loopback", ("loopback",)),
    # Windows makes these by itself, for IPv6 over IPv4: who stays in them hides nothing, and is
    # kept from the network itself.
    ("other", ("teredo", "isatap", "6to4")),
    ("tunnel", ("vpn", "tunnel", "wireguard", "tap-windows", "tailscale")),
    # VPNs whose drivers call themselves an Ethernet or virtual adapter
    ("tunnel", ("wan miniport", "anyconnect", "cisco secure client", "pangp", "globalprotect")),
    ("tunnel", ("juniper networks virtual", "pulse secure", "netextender", "zscaler", "wintun")),
    ("other", ("vethernet", "bluetooth", "wi-fi direct")),
    ("cellular", ("cellular", "mobile broadband", "wwan", "lte ")),
    ("wifi", ("wi-fi", "wifi", "wlan", "wireless", "802.11")),
    ("ethernet", ("ethernet", "local area connection", "gbe", "gigabit")),
)


class AdapterReader:
    """Makes records of adapters by the conventions for names; what systems say on top is for
    subclasses. An interface works if it has addresses: these systems take them away with the link.
    """

    def __init__(self) -> None:
        # By name and index: what an interface is does not change, and is slow to find out.
        self._kinds: dict[tuple[str, int | None], InterfaceKind] = {}

    def read(self, adapters: Iterable[ifaddr.Adapter]) -> tuple[Interface, ...]:
        """The interfaces, in the order in which the system named them."""
        known, self._kinds = self._kinds, {}
        grouped: dict[str, list[ifaddr.Adapter]] = {}
        for adapter in adapters:
            grouped.setdefault(self.name_of(adapter), []).append(adapter)
        result = []
        for name, group in grouped.items():
            index = group[0].index
            addresses = tuple(self._addresses(name, group))
            kind = known.get((name, index)) or self.kind_of(name, group[0].nice_name)
            self._kinds[name, index] = kind
            up = self.is_up(name, bool(addresses))
            result.append(Interface(name=name, index=index, kind=kind, up=up, addresses=addresses))
        return tuple(result)

    def _addresses(self, name: str, group: list[ifaddr.Adapter]) -> Iterator[InterfaceAddress]:
        for adapter in group:
            for entry in adapter.ips:
                # IPv6 as (address, flow information, scope)
                text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
                flags = self.flags_of(name, text)
                # An optimistic address is in use although its test still runs (RFC 4429).
                testing = flags & _IFA_TENTATIVE and not flags & _IFA_OPTIMISTIC
                yield InterfaceAddress(
                    address=text,
                    prefix_length=entry.network_prefix,
                    deprecated=bool(flags & _IFA_DEPRECATED),
                    temporary=bool(flags & _IFA_TEMPORARY),
                    tentative=bool(testing or flags & _IFA_DADFAILED),
                    home=bool(flags & _IFA_HOMEADDRESS),
                )

    def name_of(self, adapter: ifaddr.Adapter) -> str:
        """The name that people and the system's calls use."""
        return adapter.name

    def kind_of(self, name: str, description: str) -> InterfaceKind:
        """What the interface is."""
        for kind, starts in _UNIX_NAMES:
            if name.startswith(starts):
                return kind
        return "other"

    def is_up(self, name: str, has_addresses: bool) -> bool:
        """Whether packets can pass."""
        return has_addresses

    def flags_of(self, name: str, address: str) -> int:
        """The address's flags, as Linux numbers them."""
        return 0


class LinuxReader(AdapterReader):
    """Asks the kernel: an ioctl for the flags, which is right in every network namespace, rtnetlink
    and sysfs for the kind, `/proc/net/if_inet6` for the flags of IPv6 addresses. Whatever cannot be
    read (Android lets programs read little of it) is guessed from names. The arguments are seams.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        flags_of_link: Callable[[str], int | None] | None = None,
        link_types: Callable[[], LinkTypes] | None = None,
    ) -> None:
        super().__init__()
        self._sysfs = root / "sys/class/net"
        self._if_inet6 = root / "proc/net/if_inet6"
        self._flags_of_link = flags_of_link or read_link_flags
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

    def kind_of(self, name: str, description: str) -> InterfaceKind:
        if self._link_types is None:
            self._link_types = self._read_link_types()
        told, driver = self._link_types.get(name, (None, ""))
        if driver in _TUNNEL_DRIVERS:
            return "tunnel"
        folder = self._sysfs / name
        if told is None:
            text = _text(folder / "type")
            told = int(text) if text.isdecimal() else None
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


class AppleReader(AdapterReader):
    """macOS and iOS, where the first built-in network is Wi-Fi, but for machines without one."""

    def kind_of(self, name: str, description: str) -> InterfaceKind:
        return "wifi" if name == "en0" else super().kind_of(name, description)


class WindowsReader(AdapterReader):
    """Windows, where ifaddr's name is a GUID and addresses carry the name that people see."""

    def name_of(self, adapter: ifaddr.Adapter) -> str:
        return adapter.ips[0].nice_name if adapter.ips else adapter.nice_name

    def kind_of(self, name: str, description: str) -> InterfaceKind:
        text = f"{name}\n{description}".lower()
        for kind, words in _WINDOWS_WORDS:
            if any(word in text for word in words):
                return kind
        return "other"


def reader_for(platform: str) -> AdapterReader:
    """The reader for `sys.platform`."""
    if platform in ("linux", "android"):
        return LinuxReader()
    if platform in ("darwin", "ios"):
        return AppleReader()
    if platform == "win32":
        return WindowsReader()
    return AdapterReader()


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
    if sys.platform == "win32":
        return None
    import fcntl
    import socket

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, _IFREQ.pack(os.fsencode(name)[:15], 0))
    except OSError as error:
        if is_shortage(error):
            raise
        return None
    flags: int = _IFREQ.unpack(answer)[1]
    return flags


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        if is_shortage(error):
            raise
        return ""
