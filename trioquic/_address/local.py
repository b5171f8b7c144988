"""What is known about one of this machine's own addresses.

Only `address`, `prefix_length` and `interface` are needed. The rest are facts that a rule of
RFC 6724 or a preference of the caller asks for; a fact that is unknown keeps its default, with
which the rule does not distinguish this address from others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from .address import Address, parse_address
from .scope import may_be_deprecated

# A datagram of 1200 bytes is the least that QUIC runs with (RFC 9000 section 14), with IP and UDP.
LEAST_MTU: Final = {4: 1228, 6: 1248}

InterfaceKind = Literal["ethernet", "wifi", "cellular", "loopback", "tunnel", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAddress:
    """One address of one interface."""

    address: str
    """The literal; a zone in it is ignored, because `interface` says the same."""
    prefix_length: int
    """Bits of the address that name its network, at most 32 for IPv4 and 128 for IPv6."""
    interface: str
    index: int | None = None
    """The system's number of the interface: zones are often written with it, `fe80::1%2`."""
    kind: InterfaceKind = "other"
    metered: bool | None = None
    """None: not known."""
    deprecated: bool = False
    """Its preferred lifetime is over (RFC 4862)."""
    temporary: bool = False
    """A privacy address (RFC 8981); otherwise it is public."""
    home: bool = False
    """A home address (RFC 6275); otherwise it is a care-of address."""
    encapsulated: bool = False
    """Its interface is a tunnel, or brings one IP version over the other (6in4, 6to4, Teredo)."""
    mtu: int | None = None
    """The largest IP packet that its interface sends."""

    parsed: Address = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parsed = parse_address(self.address)
        if not 0 <= self.prefix_length <= parsed.max_prefixlen:
            raise ValueError(f"{self.address} cannot have a prefix of {self.prefix_length} bits")
        object.__setattr__(self, "parsed", parsed)

    @property
    def is_deprecated(self) -> bool:
        """Deprecated as RFC 6724 section 3 counts it: some addresses are never."""
        return self.deprecated and may_be_deprecated(self.parsed)

    @property
    def is_too_narrow(self) -> bool:
        """Whether its interface carries no datagrams as large as QUIC needs them."""
        return self.mtu is not None and self.mtu < LEAST_MTU[self.parsed.version]

    @property
    def is_at_home(self) -> bool:
        """Home address and care-of address at once: a mobile node that is away has its home address
        on a tunnel to its home agent (RFC 6275 section 11.3.1)."""
        return self.home and not self.encapsulated

    def prefix_in_common(self, destination: Address) -> int:
        """CommonPrefixLen of RFC 6724 section 2.2, 0 for addresses of different families.

        Only this address's prefix counts: were the interface identifiers compared too, two servers
        in one network would always be tried in the same order, against the DNS's balancing of load.
        """
        if self.parsed.version != destination.version:
            return 0
        differing = (int(self.parsed) ^ int(destination)).bit_length()
        return min(self.parsed.max_prefixlen - differing, self.prefix_length)

    def shares_link_with(self, destination: Address) -> bool:
        """Whether the destination lies in this address's own prefix: no router is needed."""
        same_family = self.parsed.version == destination.version
        return same_family and self.prefix_in_common(destination) == self.prefix_length


def resolve_zone(zone: str, interfaces: Mapping[str, int | None]) -> str:
    """The name of the interface that a zone means, which may be written with its number; the zone
    itself if there is none. `interfaces` has the number of each name."""
    # an interface may have a number as its name; the name comes first then
    if zone in interfaces or not zone.isdecimal():
        return zone
    named = (name for name, index in interfaces.items() if index == int(zone))
    return next(named, zone)
