"""What `Connection.path_events()` tells: small frozen facts, in the order of events.

Together they say what happened to the connection's network and why. Causes and refusals are
members of enumerations (`causes.py`), so that a program can branch; reasons are for people, and
their wording may change.
"""

from dataclasses import dataclass

from ._deprecation import deprecated
from .causes import CloseCause, MigrationCause, Refusal
from .paths import Address, Path


class PathEvent:
    """Base of all path events."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PathOpened(PathEvent):
    """There is another path: it has a socket and a connection ID, and was not asked yet. Not told
    of the path of the handshake."""

    path: Path
    """The path, a candidate."""


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
class _PathFailed(PathEvent):
    """What `PathFailed` was until 0.1: a validation that failed, or a path that was closed."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationFailed(_PathFailed):
    """Validation was given up (RFC 9000 section 8.2.4). The connection goes on (section 9), and the
    path is there still."""

    path: Path
    """The path that was challenged."""
    reason: str
    """For people: whether it was not answered, or could not even be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathClosed(_PathFailed):
    """A path is gone: its socket is closed and its connection ID retired. The connection goes on.
    Not told of the paths of a connection that has come to its end."""

    path: Path
    """The path; its `statistics()` tell the last that was known."""
    cause: CloseCause
    """Why."""
    reason: str
    """The same for people, with what the system said about its network."""


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
    cause: MigrationCause
    """Why."""
    reason: str
    """The same for people, with what the supervisor's policy has to say about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMoved(PathEvent):
    """The server sends to a path that is not active, without having been asked (RFC 9000 section
    9.3). By `MigrationPolicy` the connection follows it to a network that is no worse; else it is
    called back, and if it goes again no standby path is kept with it."""

    path: Path
    """Where its packets come in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRefused(PathEvent):
    """A path or a move was wanted and could not be had. The connection stays as it is."""

    refusal: Refusal
    """Which rule of RFC 9000 section 9 forbids it, or what is missing (a spare connection ID,
    section 9.5, or a socket)."""
    reason: str
    """The same for people, with what the system said about the interface or address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingForPath(PathEvent):
    """No path is left and there is nothing to make one of. Streams are kept; the next network ends
    the wait with `Migrated`. Where the server lets the connection use none but the network that is
    gone, its path is kept, and that it is back is not told (`Connection.wait_healthy` returns)."""

    deadline: float
    """When the connection is given up with `NoPathError`, on trio's clock in seconds, as things are
    now: after `MigrationPolicy.no_path_timeout`, the idle timeout, or `return_grace` where the
    server forbids to use the other networks, whichever comes first. Infinity: never."""
    reason: str = ""
    """What is missing: any network, a route to the server, or the tunnel that the connection was
    in and does not leave (`MigrationPolicy.leave_tunnel`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferredAddressResult(PathEvent):
    """What became of one of the server's preferred addresses (RFC 9000 section 9.6), of which there
    is one for each IP version at most. Told when that is known, and again if one that did not
    answer is used after all. One that reaches less far than the server's own address (a private one
    of a public server, also inside of a NAT64 or 6to4 address) is ignored."""

    address: Address
    """The preferred address, and its port."""
    used: bool
    """Whether the connection has moved there."""
    reason: str
    """Why, or why not."""


def __getattr__(name: str) -> object:
    """Names of the last release."""
    if name != "PathFailed":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    deprecated("PathFailed", "ValidationFailed and PathClosed")
    return _PathFailed
