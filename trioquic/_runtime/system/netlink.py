"""Linux's rtnetlink(7), as far as it is needed here: asking, messages and their attributes, lists.

Who asks is told what the kernel says, or OSError; nobody needs privileges for it.
"""

import errno
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final

# Python names these numbers on Linux only.
_AF_NETLINK: Final = 16
_NETLINK_ROUTE: Final = 0
_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, sender
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
_ALIGNMENT: Final = 4
_REQUEST_DUMP: Final = 0x1 | 0x300
_DONE: Final = 3
_INTERRUPTED: Final = 0x10  # something changed while the kernel was listing
_RECEIVE_SIZE: Final = 65_536
_NEW_LINK: Final = 16
_GET_LINK: Final = 18
_LINK_MASK: Final = 29  # of what to tell
_WITHOUT_COUNTERS: Final = 1 << 3

ERROR: Final = 2
"""The type of a message that says no."""
LINK: Final = struct.Struct("=BxHiII")
"""What a link's record begins with: family, hardware type, number, flags, mask."""
LINK_NAME: Final = 3
"""The type of the attribute with its name, which a zero byte ends."""
LINK_MTU: Final = 4
"""The type of the attribute with its MTU."""

FAMILY: Final = (_AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE)
"""What a socket is made of that talks rtnetlink."""

VALUE: Final = _ATTRIBUTE.size
"""Where in an attribute its content begins."""


def open_for_questions() -> socket.socket:
    """A socket to ask and receive with at once: the kernel answers within the call that asks, and
    lists what follows within the call that receives."""
    sock = socket.socket(*FAMILY)
    sock.setblocking(False)
    return sock


def request(what: int, flags: int, body: bytes) -> bytes:
    """The message that asks for `what`."""
    return _HEADER.pack(_HEADER.size + len(body), what, flags, 1, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, for the end of a message; `value` is of whole words."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and content of each message; OSError where one has no length of its own."""
    position = 0
    while position + _HEADER.size <= len(data):
        length, kind, flags, _, _ = _HEADER.unpack_from(data, position)
        if length < _HEADER.size or position + length > len(data):
            raise OSError("a netlink message of an impossible length")
        yield kind, flags, data[position + _HEADER.size : position + length]
        position += _aligned(length)


def attributes(body: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    """Type and bytes (`VALUE` is where the content begins) of each attribute that follows a
    message's fixed part; OSError where one has no length of its own."""
    while position + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, position)
        if length < _ATTRIBUTE.size or position + length > len(body):
            raise OSError("a netlink attribute of an impossible length")
        yield kind, body[position : position + length]
        position += _aligned(length)


def _aligned(length: int) -> int:
    return (length + _ALIGNMENT - 1) & -_ALIGNMENT


def dump(sock: socket.socket, what: int, question: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each message of the kernel's list; OSError if there is none."""
    sock.send(request(what, _REQUEST_DUMP, question))
    while True:
        for kind, flags, body in messages(sock.recv(_RECEIVE_SIZE)):
            if flags & _INTERRUPTED:
                raise OSError(errno.EINTR, "something changed meanwhile")
            if kind == ERROR:
                raise OSError("the kernel cannot list that")
            if kind == _DONE:
                return
            yield kind, body


def links(sock: socket.socket) -> Iterator[bytes]:
    """The record of each link: `LINK`, then attributes, none of which is a counter."""
    mask = attribute(_LINK_MASK, _WITHOUT_COUNTERS.to_bytes(4, sys.byteorder))
    for kind, body in dump(sock, _GET_LINK, bytes(LINK.size) + mask):
        if kind == _NEW_LINK and len(body) >= LINK.size:
            yield body
