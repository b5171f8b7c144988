"""How far an address reaches (RFC 6724 section 3).

A scope is a number, the one that IPv6 multicast addresses carry in four of their bits; unicast
addresses of both families are mapped onto the same scale, so that any two can be compared. A
larger number reaches further.

Private IPv4 addresses (RFC 1918), shared ones (RFC 6598) and unique local IPv6 addresses all count
as global; the policy table tells the latter from addresses that can be reached from everywhere.
"""

from typing import Final

from .address import IPV4, IPV4_BITS, Address, Prefix, parse_address, parse_prefix

LINK_LOCAL: Final = 0x2
SITE_LOCAL: Final = 0x5
GLOBAL: Final = 0xE

_LOOPBACK: Final = (parse_prefix("::1/128"), parse_prefix("127.0.0.0/8"))
# sections 3.4 and 3.2
_LINK_LOCAL_UNICAST: Final = (
    parse_prefix("fe80::/10"),
    parse_prefix("169.254.0.0/16"),
    *_LOOPBACK,
)
_SITE_LOCAL_UNICAST: Final = parse_prefix("fec0::/10")
_IPV6_MULTICAST: Final = parse_prefix("ff00::/8")
_MULTICAST: Final = (_IPV6_MULTICAST, parse_prefix("224.0.0.0/4"))
_SCOPE_SHIFT: Final = 112  # the scope is the low half of the second byte
_UNSPECIFIED: Final = frozenset({parse_address("::").mapped, parse_address("0.0.0.0").mapped})
_BROADCAST: Final = (1 << IPV4_BITS) - 1

# The format prefixes whose addresses have a lifetime. Everywhere else an address is "preferred",
# whatever it is said to be: IPv4 (section 3.2), addresses that embed an IPv4 address below
# 0000::/8 (3.3), the loopback address, NSAP addresses and prefixes without a meaning yet (3.4).
_MAY_BE_DEPRECATED: Final = (
    parse_prefix("2000::/3"),
    parse_prefix("fc00::/7"),
    parse_prefix("fe80::/10"),
    parse_prefix("fec0::/10"),
)


def _in_any(address: Address, prefixes: tuple[Prefix, ...]) -> bool:
    return any(prefix.contains(address) for prefix in prefixes)


def scope_of(address: Address) -> int:
    """Scope(A) of RFC 6724 section 3.1."""
    if _IPV6_MULTICAST.contains(address):
        return address.value >> _SCOPE_SHIFT & 0xF
    if _in_any(address, _LINK_LOCAL_UNICAST):
        return LINK_LOCAL
    if _SITE_LOCAL_UNICAST.contains(address):
        return SITE_LOCAL
    return GLOBAL


def is_loopback(address: Address) -> bool:
    return _in_any(address, _LOOPBACK)


def is_unicast(address: Address) -> bool:
    """One host's address: neither unspecified nor multicast nor IPv4's broadcast."""
    if address.mapped in _UNSPECIFIED or _in_any(address, _MULTICAST):
        return False
    return not (address.version == IPV4 and address.value == _BROADCAST)


def may_be_deprecated(address: Address) -> bool:
    """Whether "deprecated" (RFC 4862) has a meaning for this address."""
    return _in_any(address, _MAY_BE_DEPRECATED)
