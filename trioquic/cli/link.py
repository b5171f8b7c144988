"""One connection of a command, and who uses it.

A connection may stop to be of use without being over: its network is silent, or gone, and the
server does not let it move. Another one is opened beside it then (`origins.py`); once that is there
and this one is still not heard, this one is left: whoever can go on elsewhere is told, the others
stay until it ends. Without users it ends at once, as nobody would hear a farewell.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from ..http3 import HTTP3Connection
from .handovers import Handovers
from .urls import Origin


class Link:
    """One connection at work."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.handovers: Handovers | None = None
        self.http: HTTP3Connection | None = None
        self.failure: Exception | None = None
        self.decided: trio.Event = trio.Event()  # there is a connection, or a failure
        self.over: trio.Event = trio.Event()
        self.scope: trio.CancelScope = trio.CancelScope()  # all of it
        self.left: bool = False
        self.failed: bool = False  # somebody
        self.beside: Link | None = None
        """What was tried because this one was not heard."""
        self._users: set[Callable[[], None]] = set()

    @property
    def usable(self) -> bool:
        """Whether a request can be made now or soon."""
        if self.left or self.failed or self.over.is_set():
            return False
        return not self.decided.is_set() or (self.http is not None and self.http.available)

    @property
    def connected(self) -> bool:
        """Whether the server is authenticated; requests as early data need not wait for that."""
        return self.http is not None and self.http.quic.handshake_complete

    @contextmanager
    def used(self, on_left: Callable[[], None]) -> Iterator[HTTP3Connection]:
        """Make requests in the block; `on_left` is called when another connection is better."""
        assert self.http is not None
        self._users.add(on_left)
        try:
            yield self.http
        finally:
            self._users.discard(on_left)
            self._end_if_left()

    def leave(self) -> None:
        """There is another connection, and this one is not heard."""
        self.left = True
        for on_left in list(self._users):
            on_left()
        self._end_if_left()

    def _end_if_left(self) -> None:
        if self.left and not self._users:
            self.scope.cancel()
