"""Who reads what ifaddr reports, by the name of the system."""

from typing import Final

import ifaddr

from ...networks import InterfaceKind
from .adapter_reader import AdapterReader
from .linux_adapters import LinuxReader

# Where Windows brings one IP version over the other
_ENCAPSULATING_WORDS: Final = ("teredo", "isatap", "6to4")
# What Windows' names and drivers' descriptions contain; the first row that fits counts.
_WINDOWS_WORDS: Final[tuple[tuple[InterfaceKind, tuple[str, ...]], ...]] = (
    ("loopback", ("loopback",)),
    # Windows makes these by itself, for IPv6 over IPv4: who stays in them hides nothing, and is
    # kept from the network itself.
    ("other", _ENCAPSULATING_WORDS),
    ("tunnel", ("vpn", "tunnel", "wireguard", "tap-windows", "tailscale")),
    # VPNs whose drivers call themselves an Ethernet or virtual adapter
    ("tunnel", ("wan miniport", "anyconnect", "cisco secure client", "pangp", "globalprotect")),
    ("tunnel", ("juniper networks virtual", "pulse secure", "netextender", "zscaler", "wintun")),
    ("other", ("vethernet", "bluetooth", "wi-fi direct")),
    ("cellular", ("cellular", "mobile broadband", "wwan", "lte ")),
    ("wifi", ("wi-fi", "wifi", "wlan", "wireless", "802.11")),
    ("ethernet", ("ethernet", "local area connection", "gbe", "gigabit")),
)


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

    def encapsulates(self, name: str, description: str) -> bool:
        text = f"{name}\n{description}".lower()
        return any(word in text for word in _ENCAPSULATING_WORDS)


def reader_for(platform: str) -> AdapterReader:
    """The reader for `sys.platform`."""
    if platform in ("linux", "android"):
        return LinuxReader()
    if platform in ("darwin", "ios"):
        return AppleReader()
    if platform == "win32":
        return WindowsReader()
    return AdapterReader()
