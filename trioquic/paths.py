"""A network path as the application sees it.

A `Path` is a handle without state of its own: it passes what it is asked to the connection, which
it knows only as `PathControl`. So events can carry paths, and live internals are never handed out.
A handle stays valid after its path is gone; it then tells the last that was known of it.
"""

from dataclasses import dataclass
from typing import Protocol

import trio

from ._protocol.path.state import PathState

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStatistics:
    """A snapshot of one path. Times in seconds, sizes in bytes of UDP payload."""

    state: PathState
    local: Address
    remote: Address
    interface: str | None
    rtt: float | None
    """Smoothed round-trip time (RFC 9002 section 5.3); None until there is a sample."""
    min_rtt: float | None
    pto: float
    """Probe timeout without the peer's acknowledgement delay (RFC 9002 section 6.2.1)."""
    congestion_window: int
    bytes_in_flight: int
    bytes_sent: int
    bytes_received: int
    datagrams_sent: int
    datagrams_received: int
    packets_lost: int
    spurious_losses: int
    """Packets that counted as lost and were acknowledged after all."""
    challenges_sent: int
    responses_sent: int
    responses_dropped: int
    """Challenges of the server beyond what is queued (RFC 9000 section 8.2.2)."""
    validations: int
    mtu: int
    datagrams_dropped: int
    """Datagrams that the system did not take, because of the errors counted in `socket_errors`."""
    socket_errors: int
    """Errors of the socket: refused, unreachable, too long. They are hints and end nothing."""
    last_socket_error: str | None


class PathControl(Protocol):
    """What a `Path` needs of its connection, which works the path."""

    def statistics(self) -> PathStatistics:
        """A snapshot of the path, also when it is gone."""
        ...

    async def validate(self) -> float:
        """Challenge the path and wait for the answer."""
        ...

    def close(self) -> None:
        """Give the path up."""
        ...


class Path(trio.abc.AsyncResource):
    """One network path of a connection: a UDP socket, a connection ID, and what is known of it."""

    __slots__ = ("_control", "_id")

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

    async def aclose(self) -> None:
        """Give the path up: its socket is closed and its connection ID retired. Idempotent.

        Closing the active path leaves the connection without one until another is chosen; what was
        in flight is sent again there. Done at once, also when it is cancelled.
        """
        self._control.close()
        await trio.lowlevel.checkpoint()
