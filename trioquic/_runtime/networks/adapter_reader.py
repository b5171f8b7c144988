"""From what ifaddr reports to `Interface` records, as far as names and addresses tell.

ifaddr is the truth about names, indexes and addresses. It knows neither what an interface is nor
whether it works, so a reader per operating system adds that. None knows whether it is metered.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import ifaddr

from ...networks import Interface, InterfaceAddress, InterfaceKind

# Flags of IPv6 addresses as Linux numbers them (if_addr.h)
_IFA_TEMPORARY: Final = 0x01
_IFA_OPTIMISTIC: Final = 0x04
_IFA_DADFAILED: Final = 0x08
_IFA_HOMEADDRESS: Final = 0x10
_IFA_DEPRECATED: Final = 0x20
_IFA_TENTATIVE: Final = 0x40

# How names begin, and what they say
_UNIX_NAMES: Final[tuple[tuple[InterfaceKind, tuple[str, ...]], ...]] = (
    ("loopback", ("lo",)),
    ("cellular", ("wwan", "wwp", "wwx", "rmnet", "ccmni", "pdp_ip")),
    ("wifi", ("wlan", "wlp", "wlx", "wlo")),
    ("ethernet", ("eth", "en")),
    ("tunnel", ("utun", "tun", "tap", "wg", "ppp", "ipsec", "ovpn", "gif")),
    ("tunnel", ("gpd", "cscotun", "tailscale")),
)
# Where one IP version is brought over the other
_ENCAPSULATING_NAMES: Final = ("sit", "6to4", "6rd", "stf", "teredo")


class AdapterReader:
    """Makes records of adapters by the conventions for names; what systems say on top is for
    subclasses. An interface works if it has addresses: these systems take them away with the link.
    """

    def __init__(self) -> None:
        # By name and index: what an interface is does not change, and is slow to find out. Whether
        # it encapsulates is the other half.
        self._kinds: dict[tuple[str, int | None], tuple[InterfaceKind, bool]] = {}

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
            kind, encapsulates = known.get((name, index)) or self._find_out(name, group[0])
            self._kinds[name, index] = kind, encapsulates
            result.append(
                Interface(
                    name=name,
                    index=index,
                    kind=kind,
                    up=self.is_up(name, bool(addresses)),
                    addresses=addresses,
                    encapsulates=encapsulates,
                    mtu=self.mtu_of(name),
                )
            )
        return tuple(result)

    def _find_out(self, name: str, adapter: ifaddr.Adapter) -> tuple[InterfaceKind, bool]:
        kind = self.kind_of(name, adapter.nice_name)
        return kind, kind == "other" and self.encapsulates(name, adapter.nice_name)

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

    def encapsulates(self, name: str, description: str) -> bool:
        """Whether one IP version is brought over the other there."""
        return name.startswith(_ENCAPSULATING_NAMES)

    def is_up(self, name: str, has_addresses: bool) -> bool:
        """Whether packets can pass."""
        return has_addresses

    def mtu_of(self, name: str) -> int | None:
        """The largest IP packet that the interface sends; None: the system does not tell."""
        return None

    def flags_of(self, name: str, address: str) -> int:
        """The address's flags, as Linux numbers them."""
        return 0
