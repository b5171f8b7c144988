"""What `Connection.path_events()` tells: small frozen facts, in the order of events."""

from dataclasses import dataclass

from .paths import Path


class PathEvent:
    """Base of all path events."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PathValidated(PathEvent):
    """The server answered a challenge on `path`, after `rtt` seconds (RFC 9000 section 8.2)."""

    path: Path
    rtt: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFailed(PathEvent):
    """Validation of `path` was given up, or the path was closed. The connection goes on."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PathDegraded(PathEvent):
    """The active path has left several probes unanswered."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRecovered(PathEvent):
    """A degraded path answers again."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated(PathEvent):
    """The connection moved from `old` (None if it had no path) to `new`, because of `cause`."""

    old: Path | None
    new: Path
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRefused(PathEvent):
    """A new path was wanted and could not be had, for `reason`."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingForPath(PathEvent):
    """No path is left. The connection ends at `deadline` (trio's clock) if none comes."""

    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferredAddressResult(PathEvent):
    """Whether the server's preferred address is used, and why (RFC 9000 section 9.6)."""

    used: bool
    reason: str
