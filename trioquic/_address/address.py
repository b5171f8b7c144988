"""An IP address as the selection rules see it.

An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) is another spelling of an IPv4 address; lists of
destinations may contain it (RFC 6724 section 2). It becomes an IPv4 address here, so that it gets
the scope and the status that section 3.2 gives to IPv4. In the other direction every IPv4 address
has a mapped form, under which the policy table is searched.

The zone (RFC 4007) that `fe80::1%eth0` has after the percent sign is no part of the number: it says
on which link the number means something.
"""

import ipaddress
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

_MAPPED_BITS: Final = 96  # length of the prefix ::ffff:0:0/96
_MAPPED_PREFIX: Final = 0xFFFF << 32


def parse_address(text: str) -> Address:
    """Read an IPv4 or IPv6 literal; ValueError for anything else."""
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def mapped(address: Address) -> int:
    """The 128-bit number: of IPv4 the one of its IPv4-mapped address."""
    return int(address) | (_MAPPED_PREFIX if isinstance(address, IPv4Address) else 0)


def parse_prefix(text: str) -> IPv6Network:
    """Read `2001:db8::/32` or `10.0.0.0/8`, which becomes its IPv4-mapped prefix.

    ValueError when it is no prefix, also when bits beyond its length are set.
    """
    network = ipaddress.ip_network(text)
    if isinstance(network, IPv6Network):
        return network
    return IPv6Network((mapped(network.network_address), _MAPPED_BITS + network.prefixlen))
