"""Which preferred addresses a client will use (RFC 9000 section 9.6).

The addresses come from the server, and a server on the Internet could name an address inside the
client's own network and have the client knock there. Such addresses are ignored, as are multicast
and unspecified ones; the address family stays the one in use.
"""

import ipaddress
from typing import Final

from ..wire.transport_parameters import PreferredAddress
from .path import Address

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# From the widest reach to the narrowest: an address may lead to its own reach or a wider one.
_GLOBAL: Final = 3
_PRIVATE: Final = 2
_LINK_LOCAL: Final = 1
_LOOPBACK: Final = 0


def _reach(address: IpAddress) -> int:
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    if address.is_loopback:
        return _LOOPBACK
    if address.is_link_local:
        return _LINK_LOCAL
    # also the address space that carriers share (RFC 6598), which is neither private nor global
    return _GLOBAL if address.is_global else _PRIVATE


def usable_preferred(
    preferred: PreferredAddress, handshake_remote: Address | None
) -> tuple[Address, ...]:
    """The preferred address of the family in use, or nothing."""
    if handshake_remote is None:
        return ()
    current = ipaddress.ip_address(handshake_remote[0].partition("%")[0])
    choice = preferred.ipv4 if current.version == 4 else preferred.ipv6
    if choice is None or choice == handshake_remote:
        return ()
    address = ipaddress.ip_address(choice[0])
    if address.is_multicast or address.is_unspecified or choice[1] == 0:
        return ()
    if _reach(address) < _reach(current):
        return ()
    return (choice,)
