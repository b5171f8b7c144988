"""Which preferred addresses a client will use (RFC 9000 section 9.6).

The addresses come from the server, and a server on the Internet could name an address inside the
client's own network, in plain sight or inside of another, and have the client knock there (section
21.5.3). So an address is ignored, with a reason, unless it reaches at least as far as the one that
the server has now: a public server may send us to public addresses only, one in a private network
to those and to private ones. The address family stays the one in use.
"""

import ipaddress
from typing import Final

from ..wire.transport_parameters import PreferredAddress
from .path import Address
from .reach import GLOBAL, NOWHERE, normal, reach_of

_NAMES: Final = ("a loopback address", "on one link only", "in a private network")


def judge_preferred(
    preferred: PreferredAddress | None, handshake_remote: Address | None
) -> tuple[Address | None, str]:
    """The preferred address of the family in use, if it may be used; else None, and why not, if
    there is one: an empty reason says that the server has none there, or its present one."""
    if preferred is None or handshake_remote is None:
        return None, ""
    current = ipaddress.ip_address(handshake_remote[0].partition("%")[0])
    choice = preferred.ipv4 if current.version == 4 else preferred.ipv6
    if choice is None or choice == handshake_remote:
        return None, ""
    if choice[1] == 0:
        return None, f"{choice[0]} has no port"
    reach, because = reach_of(ipaddress.ip_address(choice[0]))
    if reach == NOWHERE:
        return None, f"{choice[0]} is no address of a host ({because})"
    least, _ = reach_of(normal(current))
    if least == NOWHERE:
        least = GLOBAL
    if reach < least:
        where = _NAMES[reach]
        return None, f"{choice[0]} is {where} ({because}), and the server is not"
    return choice, ""
