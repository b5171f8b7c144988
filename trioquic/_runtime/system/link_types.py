"""What the kernel says that its links are: rtnetlink(7), which is right in every namespace.

sysfs shows the links of the namespace that mounted it, which in a container or a VPN's namespace
may be another one. A driver's name (IFLA_INFO_KIND) tells a WireGuard device whatever it is called.
"""

import sys
from typing import Final

from . import netlink
from .shortage import is_shortage

_INFO: Final = 18
_INFO_KIND: Final = 1
_NESTED: Final = 0x3FFF  # without the flags of nested attributes
# A list is interrupted when a link comes or goes meanwhile; what is not told then is remembered.
_TRIES: Final = 3

LinkTypes = dict[str, tuple[int, str]]
"""Hardware type (if_arp.h) and driver by name; the driver is empty where it has no name."""


def read_link_types() -> LinkTypes:
    """All links; nothing where the kernel does not tell. OSError if it may do so the next time: who
    guesses then would take a VPN for something else, and remember it."""
    if not sys.platform.startswith("linux"):
        return {}
    for left in reversed(range(_TRIES)):
        try:
            return _list_links()
        except OSError as error:
            if not left and is_shortage(error):
                raise
    return {}


def _list_links() -> LinkTypes:
    found: LinkTypes = {}
    with netlink.open_for_questions() as sock:
        for body in netlink.links(sock):
            name, driver = _read(body)
            found[name] = (netlink.LINK.unpack_from(body)[1], driver)
    return found


def _read(body: bytes) -> tuple[str, str]:
    name = driver = ""
    for kind, whole in netlink.attributes(body, netlink.LINK.size):
        value = whole[netlink.VALUE :]
        if kind == netlink.LINK_NAME:
            name = _text(value)
        elif kind & _NESTED == _INFO:
            for inner, whole_inner in netlink.attributes(value, 0):
                if inner & _NESTED == _INFO_KIND:
                    driver = _text(whole_inner[netlink.VALUE :])
    return name, driver


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "replace")
