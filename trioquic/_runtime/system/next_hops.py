"""Which of an interface's addresses belong to the router in use (RFC 6724 section 5, rule 5.5).

Linux does not keep which router has advertised a prefix. What it tells is which router gets the
packets from an address: where a link has several, with a prefix each, they differ by routes or
rules for sources (RFC 8028 section 3.1), as `ip -6 route add default from PREFIX via ROUTER` makes
them. An address without any way is one that no router in use has given.
"""

import ipaddress
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...networks import InterfaceAddress


class Way(NamedTuple):
    """How packets from one address leave an interface."""

    gateway: bytes
    """The router's address; empty: none is needed, or the route has several."""


def of_next_hop(
    sources: Sequence[InterfaceAddress],
    entry: Way | None,
    way_from: Callable[[str], Way | None],
) -> tuple[str, ...]:
    """Those of an interface's addresses of one family that belong to the router of `entry`, which
    is the way for packets from anywhere, if there is one. Empty: all, or none."""
    routed = [each for each in sources if not ipaddress.ip_address(each.address).is_link_local]
    prefixes = {
        ipaddress.ip_network(f"{each.address}/{each.prefix_length}", strict=False)
        for each in routed
    }
    if len(prefixes) < 2:
        # one router's, for all that anybody can tell
        return ()
    ways = {each.address: way_from(each.address) for each in routed}
    of_it = tuple(
        address
        for address, way in ways.items()
        if way is not None and (entry is None or way.gateway == entry.gateway)
    )
    return () if len(of_it) == len(ways) else of_it
