"""Whether the interfaces are still what they were: the kernel's own records of them, compared.

A full look (`system_networks.py`) takes a millisecond, a fifth of what a whole handshake costs, and
in most cases finds what it found before. On Linux rtnetlink(7) gives the same facts as bytes, ten
times as fast: names, numbers and flags of links; addresses with their prefixes and flags. What
changes all the time (counters, the seconds that an address has left) is no part of it. Elsewhere,
and where it is forbidden (Android), there is no fingerprint and each look is a full one.
"""

import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final

from . import netlink

_REQUEST_DUMP: Final = 0x1 | 0x300
_ERROR: Final = 2
_DONE: Final = 3
_INTERRUPTED: Final = 0x10  # something changed while the kernel was listing
_RECEIVE_SIZE: Final = 65_536

_NEW_LINK: Final = 16
_GET_LINK: Final = 18
_LINK: Final = 16  # family, type, number, flags, mask
_LINK_NAME: Final = 3
# Attribute 29 is a mask of what to tell; this one leaves out the counters.
_LINK_QUESTION: Final = bytes(_LINK) + struct.pack("=HHI", 8, 29, 1 << 3)

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
            for kind, body in _dump(sock, _GET_LINK, _LINK_QUESTION):
                if kind == _NEW_LINK:
                    parts.append(body[:_LINK])
                    for name, value in netlink.attributes(body, _LINK):
                        if name == _LINK_NAME:
                            parts.append(value)
                            break
            for kind, body in _dump(sock, _GET_ADDRESS, bytes(_ADDRESS)):
                if kind == _NEW_ADDRESS:
                    parts.append(body[:_ADDRESS])
                    for name, value in netlink.attributes(body, _ADDRESS):
                        if name != _ADDRESS_LIFETIME:
                            parts.append(value)
    except OSError:
        return None
    return tuple(parts)


def _dump(sock: socket.socket, what: int, question: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each message of the kernel's list; OSError if there is none."""
    sock.send(netlink.request(what, _REQUEST_DUMP, question))
    while True:
        for kind, flags, body in netlink.messages(sock.recv(_RECEIVE_SIZE)):
            if kind == _ERROR or flags & _INTERRUPTED:
                raise OSError("the kernel cannot list its interfaces now")
            if kind == _DONE:
                return
            yield kind, body
