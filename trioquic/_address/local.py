"""What is known about one of this machine's own addresses.

Only `address`, `prefix_length` and `interface` are needed. The rest are facts that a rule of
RFC 6724 or a preference of the caller asks for; a fact that is unknown keeps its default, with
which the rule does not distinguish this address from others.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from .address import Address, Prefix, parse_address, parse_prefix
from .scope import may_be_deprecated


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
    kind: str = "other"
    """`ethernet`, `wifi`, `cellular`, `other`."""
    metered: bool | None = None
    """None: not known."""
    up: bool = True
    deprecated: bool = False
    """Its preferred lifetime is over (RFC 4862)."""
    temporary: bool = False
    """A privacy address (RFC 8981); otherwise it is public."""
    home: bool = False
    """A home address (RFC 6275); of a node that is at home it is a care-of address too."""
    care_of: bool = False
    encapsulated: bool = False
    """Its interface is a tunnel of a transition mechanism: 6rd, ISATAP, 6to4, Teredo ..."""
    site: str = ""
    """Interfaces of different sites (RFC 4007) have different names here."""
    next_hop_prefixes: tuple[str, ...] = ()
    """The prefixes that the router in use on this interface advertises, where that is known."""

    parsed: Address = field(init=False, repr=False, compare=False)
    """The address as a number; its zone is the interface."""
    parsed_next_hop_prefixes: tuple[Prefix, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.interface:
            raise ValueError(f"{self.address} needs the name of its interface")
        parsed = parse_address(self.address).with_zone(self.interface)
        if not 0 <= self.prefix_length <= parsed.bits:
            raise ValueError(f"{self.address} cannot have a prefix of {self.prefix_length} bits")
        prefixes = tuple(parse_prefix(text) for text in self.next_hop_prefixes)
        object.__setattr__(self, "parsed", parsed)
        object.__setattr__(self, "parsed_next_hop_prefixes", prefixes)

    @property
    def is_deprecated(self) -> bool:
        """Deprecated as RFC 6724 section 3 counts it: some addresses are never."""
        return self.deprecated and may_be_deprecated(self.parsed)

    @property
    def from_next_hop(self) -> bool:
        """Whether the router in use is known to advertise this address's prefix (rule 5.5)."""
        return any(prefix.contains(self.parsed) for prefix in self.parsed_next_hop_prefixes)

    def shares_link_with(self, destination: Address) -> bool:
        """Whether the destination lies in this address's own prefix: no router is needed."""
        if self.parsed.version != destination.version:
            return False
        shift = self.parsed.bits - self.prefix_length
        return self.parsed.value >> shift == destination.value >> shift


def resolve_zone(destination: Address, local_addresses: Iterable[LocalAddress]) -> Address:
    """Spell a numeric zone as the name of its interface, the way everything here compares it."""
    if destination.zone.isdecimal():
        number = int(destination.zone)
        for local in local_addresses:
            # an interface may have a number as its name; the name comes first then
            if local.interface == destination.zone:
                return destination
        for local in local_addresses:
            if local.index == number:
                return destination.with_zone(local.interface)
    return destination
