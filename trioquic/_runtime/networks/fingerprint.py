"""Whether the interfaces are still what they were: the kernel's own records of them, compared.

A full look (`system_networks.py`) takes a millisecond, a fifth of what a whole handshake costs, and
in most cases finds what it found before. On Linux rtnetlink(7) gives the same facts as bytes, ten
times as fast: names, numbers, flags and sizes of links; addresses with their prefixes and flags.
What changes all the time (counters, the seconds that an address has left) is no part of it.
Elsewhere, and where it is forbidden (Android), there is no fingerprint and each look is a full one.
"""

import sys
from typing import Final

from ..system import netlink

_NEW_ADDRESS: Final = 20
_GET_ADDRESS: Final = 22
_ADDRESS: Final = 8  # family, length of the prefix, flags, scope, number of the link
_ADDRESS_LIFETIME: Final = 6

Fingerprint = tuple[bytes, ...]


def read_fingerprint() -> Fingerprint | None:
    """The same twice if nothing has changed in between; None if the system does not tell."""
    if not sys.platform.startswith("linux"):
        return None
    parts: list[bytes] = []
    try:
        with netlink.open_for_questions() as sock:
            for body in netlink.links(sock):
                parts.append(body[: netlink.LINK.size])
                for name, value in netlink.attributes(body, netlink.LINK.size):
                    if name in (netlink.LINK_NAME, netlink.LINK_MTU):
                        parts.append(value)
            for kind, body in netlink.dump(sock, _GET_ADDRESS, bytes(_ADDRESS)):
                if kind == _NEW_ADDRESS:
                    parts.append(body[:_ADDRESS])
                    for name, value in netlink.attributes(body, _ADDRESS):
                        if name != _ADDRESS_LIFETIME:
                            parts.append(value)
    except OSError:
        return None
    return tuple(parts)
