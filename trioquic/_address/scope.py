"""How far an address reaches (RFC 6724 section 3).

A scope is a number, the one that IPv6 multicast addresses carry in four of their bits; unicast
addresses of both families are mapped onto the same scale, so that any two can be compared. A
larger number reaches further.

Private IPv4 addresses (RFC 1918), shared ones (RFC 6598) and unique local IPv6 addresses all count
as global; the policy table tells the latter from addresses that can be reached from everywhere.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final

from .address import Address

LINK_LOCAL: Final = 0x2
SITE_LOCAL: Final = 0x5
GLOBAL: Final = 0xE

_SCOPE_SHIFT: Final = 112  # the scope is the low half of the second byte
_BROADCAST: Final = IPv4Address("255.255.255.255")

# The format prefixes whose addresses have a lifetime. Everywhere else an address is "preferred",
# whatever it is said to be: IPv4 (section 3.2), addresses that embed an IPv4 address below
# 0000::/8 (3.3), the loopback address, NSAP addresses and prefixes without a meaning yet (3.4).
_MAY_BE_DEPRECATED: Final = (
    IPv6Network("2000::/3"),
    IPv6Network("fc00::/7"),
    IPv6Network("fe80::/10"),
    IPv6Network("fec0::/10"),
)


def scope_of(address: Address) -> int:
    """Scope(A) of RFC 6724 section 3.1."""
    if isinstance(address, IPv6Address):
        if address.is_multicast:
            return int(address) >> _SCOPE_SHIFT & 0xF
        if address.is_site_local:
            return SITE_LOCAL
    # sections 3.4 and 3.2
    return LINK_LOCAL if address.is_link_local or address.is_loopback else GLOBAL


def is_unicast(address: Address) -> bool:
    """One host's address: neither unspecified nor multicast nor IPv4's broadcast."""
    return not (address.is_unspecified or address.is_multicast or address == _BROADCAST)


def may_be_deprecated(address: Address) -> bool:
    """Whether "deprecated" (RFC 4862) has a meaning for this address."""
    return any(address in prefix for prefix in _MAY_BE_DEPRECATED)
