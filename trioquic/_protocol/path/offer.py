"""Whether an address that the server prefers may be used at all (RFC 9000 section 21.5.3).

The address comes from the server, and a server on the Internet could name one inside the client's
own network, in plain sight or inside of another, and have the client knock there. So an address
must reach at least as far as the one that the server has now: a public server may send us to public
addresses only, one in a private network to those and to private ones. That holds from one address
family to the other as well. Which addresses are the client's own is not known here: who knows them
says so (`PreferredAddress.ignore`).
"""

import ipaddress
from typing import Final

from .path import Address
from .reach import GLOBAL, NOWHERE, normal, reach_of

_NAMES: Final = ("a loopback address", "on one link only", "in a private network")


def objection_to(choice: Address, present: Address) -> str:
    """What speaks against this address, which a server at `present` prefers; empty if nothing
    does."""
    if choice[1] == 0:
        return f"{choice[0]} has no port"
    reach, because = reach_of(ipaddress.ip_address(choice[0]))
    if reach == NOWHERE:
        return f"{choice[0]} is no address of a host ({because})"
    least, _ = reach_of(normal(ipaddress.ip_address(present[0].partition("%")[0])))
    if least == NOWHERE:
        least = GLOBAL
    if reach < least:
        return f"{choice[0]} is {_NAMES[reach]} ({because}), and the server is not"
    return ""
