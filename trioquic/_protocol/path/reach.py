"""How far an IP address reaches, by the registries of special-purpose addresses (RFC 6890).

The two tables are IANA's for IPv4 and IPv6, with what they leave to others: multicast, and IPv6
outside of what is given out for unicast (RFC 4291 section 2.4). The row with the longest prefix
counts. They stand here because Python's `is_global` differs from version to version, and because an
IPv6 address may hold an IPv4 address that a gateway on the way takes out again: such a row says
where it is, and the address inside is judged. A NAT64 prefix that a network has chosen for itself
(RFC 6052 section 2.2) cannot be told from any other address.
"""

import functools
import ipaddress
from typing import Final

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# From the narrowest to the widest. Nobody can be sent to NOWHERE.
NOWHERE: Final = -1
LOOPBACK: Final = 0
LINK: Final = 1
SITE: Final = 2
GLOBAL: Final = 3

_IPV4: Final = (
    ("0.0.0.0/0", GLOBAL, "RFC 791"),
    ("0.0.0.0/8", NOWHERE, "RFC 791"),  # this network
    ("10.0.0.0/8", SITE, "RFC 1918"),
    ("100.64.0.0/10", SITE, "RFC 6598"),  # shared by carriers
    ("127.0.0.0/8", LOOPBACK, "RFC 1122"),
    ("169.254.0.0/16", LINK, "RFC 3927"),
    ("172.16.0.0/12", SITE, "RFC 1918"),
    ("192.0.0.0/24", SITE, "RFC 6890"),  # protocol assignments
    ("192.0.0.9/32", GLOBAL, "RFC 7723"),  # Port Control Protocol
    ("192.0.0.10/32", GLOBAL, "RFC 8155"),  # TURN
    ("192.0.2.0/24", SITE, "RFC 5737"),  # documentation
    ("192.31.196.0/24", GLOBAL, "RFC 7535"),  # AS112
    ("192.52.193.0/24", GLOBAL, "RFC 7450"),  # AMT
    ("192.88.99.0/24", NOWHERE, "RFC 7526"),  # 6to4 relays, given up
    ("192.168.0.0/16", SITE, "RFC 1918"),
    ("192.175.48.0/24", GLOBAL, "RFC 7534"),  # AS112
    ("198.18.0.0/15", SITE, "RFC 2544"),  # benchmarks
    ("198.51.100.0/24", SITE, "RFC 5737"),
    ("203.0.113.0/24", SITE, "RFC 5737"),
    ("224.0.0.0/4", NOWHERE, "RFC 5771"),  # multicast
    ("240.0.0.0/4", NOWHERE, "RFC 1112"),  # reserved, and 255.255.255.255 (RFC 8190)
)
# The last column: by how many bits to shift the address to the right for each IPv4 address in it;
# where there are several, all must reach that far. Negative: its bits are inverted (Teredo).
_IPV6: Final[tuple[tuple[str, int, str, tuple[int, ...]], ...]] = (
    ("::/0", NOWHERE, "RFC 4291", ()),  # not given out
    ("2000::/3", GLOBAL, "RFC 4291", ()),
    ("::1/128", LOOPBACK, "RFC 4291", ()),
    ("::/96", NOWHERE, "RFC 4291", ()),  # IPv4-compatible, and the unspecified address
    ("::ffff:0:0/96", NOWHERE, "RFC 4291", ()),  # IPv4-mapped: never on the wire
    ("::ffff:0:0:0/96", NOWHERE, "RFC 2765", ()),  # IPv4-translated
    ("64:ff9b::/96", GLOBAL, "RFC 6052", (0,)),  # NAT64
    ("64:ff9b:1::/48", SITE, "RFC 8215", ()),  # a site's own NAT64
    ("100::/64", NOWHERE, "RFC 6666", ()),  # discarded
    ("100:0:0:1::/64", NOWHERE, "RFC 9780", ()),
    ("2001::/23", SITE, "RFC 2928", ()),  # protocol assignments
    ("2001::/32", GLOBAL, "RFC 4380", (64, -1)),  # Teredo: the server's, the client's
    ("2001:1::1/128", GLOBAL, "RFC 7723", ()),
    ("2001:1::2/128", GLOBAL, "RFC 8155", ()),
    ("2001:1::3/128", GLOBAL, "RFC 9665", ()),
    ("2001:2::/48", SITE, "RFC 5180", ()),  # benchmarks
    ("2001:3::/32", GLOBAL, "RFC 7450", ()),
    ("2001:4:112::/48", GLOBAL, "RFC 7535", ()),
    ("2001:10::/28", NOWHERE, "RFC 4843", ()),  # identifiers, not routed
    ("2001:20::/28", GLOBAL, "RFC 7343", ()),
    ("2001:30::/28", GLOBAL, "RFC 9374", ()),
    ("2001:db8::/32", SITE, "RFC 3849", ()),  # documentation
    ("2002::/16", GLOBAL, "RFC 3056", (80,)),  # 6to4
    ("2620:4f:8000::/48", GLOBAL, "RFC 7534", ()),
    ("3fff::/20", SITE, "RFC 9637", ()),  # documentation
    ("5f00::/16", SITE, "RFC 9602", ()),  # segments of routes
    ("fc00::/7", SITE, "RFC 4193", ()),
    ("fe80::/10", LINK, "RFC 4291", ()),
    ("fec0::/10", SITE, "RFC 3879", ()),
    ("ff00::/8", NOWHERE, "RFC 4291", ()),  # multicast
)


_Row = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, int, str, tuple[int, ...]]


def _longest_first(rows: list[_Row]) -> list[_Row]:
    return sorted(rows, key=lambda row: -row[0].prefixlen)


_ROWS_4: Final = _longest_first([(ipaddress.ip_network(row[0]), *row[1:], ()) for row in _IPV4])
_ROWS_6: Final = _longest_first([(ipaddress.ip_network(row[0]), *row[1:]) for row in _IPV6])


@functools.lru_cache(maxsize=64)
def reach_of(address: IpAddress) -> tuple[int, str]:
    """How far it reaches, and which row says so, for people."""
    network, reach, source, _ = _row_of(address)
    because = f"{network}, {source}"
    for embedded in inside_of(address):
        further, why = reach_of(embedded)
        if further < reach:
            reach, because = further, f"{because}, with {embedded} inside ({why})"
    return reach, because


@functools.lru_cache(maxsize=64)
def inside_of(address: IpAddress) -> tuple[ipaddress.IPv4Address, ...]:
    """The IPv4 addresses that it holds, which a gateway takes out again."""
    value = int(address)
    inner = [~value if shift < 0 else value >> shift for shift in _row_of(address)[3]]
    return tuple(ipaddress.IPv4Address(number & 0xFFFFFFFF) for number in inner)


def _row_of(address: IpAddress) -> _Row:
    rows = _ROWS_4 if address.version == 4 else _ROWS_6
    return next(row for row in rows if address in row[0])


def normal(address: IpAddress) -> IpAddress:
    """The IPv4 address where IPv6 only stands for it (RFC 4291 section 2.5.5.2)."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped
