"""An IP address as the selection rules see it.

Addresses come and go as text. `parse_address` turns text into an `Address`: an integer of the
address's own family and, for IPv6, the zone (RFC 4007) that `fe80::1%eth0` has after the percent
sign. The zone is no part of the number: it says on which link the number means something.

An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) is another spelling of an IPv4 address; lists of
destinations may contain it (RFC 6724 section 2). It becomes an IPv4 address here, so that it gets
the scope and the status that section 3.2 gives to IPv4. In the other direction every IPv4 address
has a mapped form, `Address.mapped`, under which the policy table is searched.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

IPV4: Final = 4
IPV6: Final = 6
IPV4_BITS: Final = 32
IPV6_BITS: Final = 128
_MAPPED_BITS: Final = 96  # length of the prefix ::ffff:0:0/96
_MAPPED_PREFIX: Final = 0xFFFF << IPV4_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A parsed address. `zone` is an interface's name or number as text, empty without a zone."""

    version: int
    value: int
    zone: str = ""

    @property
    def bits(self) -> int:
        return IPV4_BITS if self.version == IPV4 else IPV6_BITS

    @property
    def mapped(self) -> int:
        """The 128-bit number: of IPv4 the one of its IPv4-mapped address."""
        return _MAPPED_PREFIX | self.value if self.version == IPV4 else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """The addresses whose 128-bit number begins with the `length` first bits of `value`."""

    value: int
    length: int

    def contains(self, address: Address) -> bool:
        shift = IPV6_BITS - self.length
        return address.mapped >> shift == self.value >> shift


def parse_address(text: str) -> Address:
    """Read an IPv4 or IPv6 literal; ValueError for anything else."""
    parsed = ipaddress.ip_address(text)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return Address(version=IPV6, value=int(parsed), zone=parsed.scope_id or "")
        parsed = parsed.ipv4_mapped
    return Address(version=IPV4, value=int(parsed))


def parse_prefix(text: str) -> Prefix:
    """Read `2001:db8::/32` or `10.0.0.0/8`, which becomes its IPv4-mapped prefix.

    ValueError when it is no prefix, also when bits beyond its length are set.
    """
    network = ipaddress.ip_network(text)
    value = int(network.network_address)
    if isinstance(network, ipaddress.IPv4Network):
        return Prefix(value=_MAPPED_PREFIX | value, length=_MAPPED_BITS + network.prefixlen)
    return Prefix(value=value, length=network.prefixlen)


def common_prefix_length(source: Address, prefix_length: int, destination: Address) -> int:
    """CommonPrefixLen of RFC 6724 section 2.2, 0 for addresses of different families.

    Only the source's prefix counts: were the interface identifiers compared too, two servers in
    one network would always be tried in the same order, against the DNS's balancing of load.
    """
    if source.version != destination.version:
        return 0
    differing = (source.value ^ destination.value).bit_length()
    return min(source.bits - differing, prefix_length)
