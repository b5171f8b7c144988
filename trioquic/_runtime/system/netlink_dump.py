"""Lists of the kernel, by rtnetlink(7): one question, many messages."""

import socket
from collections.abc import Iterator
from typing import Final

from . import netlink

_REQUEST_DUMP: Final = 0x1 | 0x300
_ERROR: Final = 2
_DONE: Final = 3
_INTERRUPTED: Final = 0x10  # something changed while the kernel was listing
_RECEIVE_SIZE: Final = 65_536


def dump(sock: socket.socket, what: int, question: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each message of the kernel's list; OSError if there is none."""
    sock.send(netlink.request(what, _REQUEST_DUMP, question))
    while True:
        for kind, flags, body in netlink.messages(sock.recv(_RECEIVE_SIZE)):
            if kind == _ERROR or flags & _INTERRUPTED:
                raise OSError("the kernel cannot list that now")
            if kind == _DONE:
                return
            yield kind, body
