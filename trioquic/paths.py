"""A network path as the application sees it.

A `Path` is a handle without state of its own: it passes what it is asked to the connection, which
it knows only as `PathControl`. So events can carry paths, and live internals are never handed out.
A handle stays valid after its path is gone; it then tells the last that was known of it.
"""

from dataclasses import dataclass
from typing import Protocol

import trio

from ._construction import NoPublicConstructor
from ._protocol.path.path import Address as Address
from ._protocol.path.state import PathState
from ._protocol.path.view import PathFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStatistics(PathFigures):
    """A snapshot of one path. Times in seconds, sizes in bytes of UDP payload.

    Counters begin with the path and survive moves away from it and back. Of a path that was closed
    it is the last that was known.
    """

    local: Address
    """Our IP address and UDP port."""
    remote: Address
    """The server's IP address and UDP port."""
    interface: str | None
    """The interface that the path was bound to, None if the system chooses."""
    time_active: float
    """Seconds for which it has carried the connection."""
    datagrams_dropped: int
    """Datagrams that the system did not take, because of the errors counted in `socket_errors`."""
    socket_errors: int
    """Errors of the socket: refused, unreachable, too long. They are hints and end nothing."""
    last_socket_error: str | None
    """The latest of them in the system's words."""


class PathControl(Protocol):
    """What a `Path` needs of its connection, which works the path."""

    def statistics(self) -> PathStatistics:
        """A snapshot of the path, also when it is gone."""
        ...

    async def validate(self) -> float:
        """Challenge the path and wait for the answer."""
        ...

    def migrate(self) -> None:
        """Move the connection to the path."""
        ...

    def close(self) -> None:
        """Give the path up."""
        ...


class Path(
    trio.abc.AsyncResource, metaclass=NoPublicConstructor, made_by="Connection.add_path and migrate"
):
    """One network path of a connection: a UDP socket, a connection ID, and what is known of it."""

    __slots__ = ("__weakref__", "_control", "_id")

    def __init__(self, control: PathControl, path_id: int) -> None:
        self._control = control
        self._id = path_id

    def __repr__(self) -> str:
        now = self.statistics()
        via = f" via {now.interface}" if now.interface else ""
        return f"<Path {self._id} {now.state.value}: {now.local} to {now.remote}{via}>"

    @property
    def id(self) -> int:
        """The path's number within its connection; 0 is the path of the handshake."""
        return self._id

    @property
    def state(self) -> PathState:
        """Where the path is in its life."""
        return self.statistics().state

    @property
    def rtt(self) -> float | None:
        """Smoothed round-trip time in seconds, None until it was measured."""
        return self.statistics().rtt

    @property
    def local(self) -> Address:
        """The local IP address and UDP port."""
        return self.statistics().local

    @property
    def remote(self) -> Address:
        """The server's IP address and UDP port."""
        return self.statistics().remote

    @property
    def interface(self) -> str | None:
        """The network interface that the path was bound to, None if the system chooses."""
        return self.statistics().interface

    def statistics(self) -> PathStatistics:
        """A snapshot of counters and measurements."""
        return self._control.statistics()

    async def validate(self) -> float:
        """Find out whether the path works both ways (RFC 9000 section 8.2).

        Sends challenges until one is answered and returns the round-trip time in seconds of the
        challenge that was. Raises `PathValidationError` when none is in time (3 PTO, section
        8.2.4), `PathAbandonedError` when the path is closed meanwhile, and `ConnectionLostError` or
        `trio.ClosedResourceError` when the connection is.

        Cancelled, it leaves the path open and unvalidated, unless the answer came in that moment:
        no further challenge is sent, and a later answer is ignored.
        """
        return await self._control.validate()

    def migrate(self) -> None:
        """Move the connection here now: `Connection.migrate_to` with this path, and its errors. The
        path must have been validated."""
        self._control.migrate()

    async def aclose(self) -> None:
        """Give the path up: its socket is closed and its connection ID retired. Idempotent.

        Closing the active path leaves the connection without one until another is chosen; what was
        in flight is sent again there. Done at once, also when it is cancelled.
        """
        self._control.close()
        await trio.lowlevel.checkpoint()
