"""What `Connection.path_events()` tells: small frozen facts, in the order of events.

Together they say what happened to the connection's network and why: each move has a cause, each
refusal and failure a reason. Both are for people; their wording may change.
"""

from dataclasses import dataclass

from .paths import Path


class PathEvent:
    """Base of all path events."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PathValidated(PathEvent):
    """The path carries packets both ways: the server answered a challenge (RFC 9000 section 8.2).

    A standby path is challenged again and again, and each answer is told.
    """

    path: Path
    """The path that was challenged, whichever way the answer came (section 8.2.3)."""
    rtt: float
    """Seconds from the challenge to its answer: one round trip, and what the server took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFailed(PathEvent):
    """Validation was given up (RFC 9000 section 8.2.4), or the path was closed. The connection
    goes on (section 9). That a path which failed is closed, and has not worked since, is not told.
    """

    path: Path
    """Closed if its state is `PathState.ABANDONED`, perhaps only since this event."""
    reason: str
    """What was not answered, or who closed it and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathDegraded(PathEvent):
    """The active path has left probes unanswered for `MigrationPolicy.degraded_after` PTOs in a
    row (RFC 9002 section 6.2)."""

    path: Path
    """The active path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRecovered(PathEvent):
    """A degraded path answers again, by an acknowledgement or to a challenge."""

    path: Path
    """The path that had been degraded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated(PathEvent):
    """The connection moved: what it sends goes out on another path from now on (RFC 9000 section
    9.2)."""

    old: Path | None
    """Where it was, also if that path is closed by now; None after `WaitingForPath`."""
    new: Path
    """Where it is now. It need not be validated yet: the first packets may be the probe."""
    cause: str
    """Why: what the supervisor's policy gave as its cause, or that the application asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMoved(PathEvent):
    """The server sends to a path that is not active, without having been asked (RFC 9000 section
    9.3). By `MigrationPolicy` the connection follows it to a network that is no worse; else it is
    called back, and if it goes again no standby path is kept with it."""

    path: Path
    """Where its packets come in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRefused(PathEvent):
    """A new path was wanted and could not be had. The connection stays as it is."""

    reason: str
    """Which rule of RFC 9000 section 9 forbids it, what is missing (a spare connection ID, section
    9.5), or what the system said about the interface or address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingForPath(PathEvent):
    """No path is left and there is nothing to make one of. Streams are kept; the next network ends
    the wait with `Migrated`."""

    deadline: float
    """When the connection is given up with `NoPathError`, on trio's clock in seconds:
    `MigrationPolicy.no_path_timeout` or the idle timeout, whichever comes first. Infinity: never.
    """
    reason: str = ""
    """What is missing: any network, a route to the server, or the tunnel that the connection was
    in and does not leave (`MigrationPolicy.leave_tunnel`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferredAddressResult(PathEvent):
    """What became of the server's preferred address (RFC 9000 section 9.6). Told once, and only if
    the server has one for the address family in use. One that reaches less far than the server's
    own address (a private one of a public server, also inside of a NAT64 or 6to4 address) is
    ignored."""

    used: bool
    """Whether the connection has moved there."""
    reason: str
    """Why, or why not."""
