"""What a policy is told: data without behaviour. What it answers is in `_actions.py`.

The supervisor makes a `View` of what is there and a `PolicyEvent` of what happened. Applications
find these names in `trioquic.policy`.
"""

from dataclasses import dataclass
from enum import Enum
from math import inf

from .._deprecation import deprecated
from .._protocol.path.state import PathState


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A pair of addresses that could become a path. Candidates come in order, the best first."""

    local: str
    """Our IP address, without a zone; the port is chosen by the system."""
    interface: str | None
    """The name of the interface."""
    kind: str
    """What the interface is: one of `KINDS`."""
    metered: bool | None
    """Whether its traffic costs; None if unknown."""
    remote: tuple[str, int]
    """The server's IP address and UDP port."""
    preferred: bool
    """Leads to the server's preferred address (RFC 9000 section 9.6)."""
    rank: int
    """Position in the order of preference, 0 is the best; the same for one network's addresses."""
    new_port: bool
    """The same addresses as a path there is: only the port would be new."""
    reason: str
    """Which preference or rule of RFC 6724 put it there."""
    known: bool = True
    """The server has answered at that address of its own: the connection may move there before the
    path is validated (sections 9.2 and 9.6.2)."""
    misled: int = 0
    """How many ports in a row have met somebody there who does not know the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathInfo:
    """A path as the policy sees it. Points in time (`..._at`, `..._since`) are those of trio's
    clock, in seconds. Fields that a `Candidate` has as well mean the same."""

    id: int
    """Its number, `Path.id`."""
    state: PathState
    """Where it is in its life; docs/paths.md has the diagram."""
    local: tuple[str, int]
    """Our IP address and UDP port."""
    remote: tuple[str, int]
    interface: str | None
    """The name of the interface; None if nobody knows which one has its address."""
    kind: str
    metered: bool | None
    preferred: bool
    rank: int
    usable: bool
    """Its interface is up and has its address, as far as is known."""
    proven_at: float
    """When it last answered a challenge; -inf if never."""
    silent_since: float
    """When the active path's unanswered probes began; +inf while it answers."""
    rtt: float | None
    """Smoothed round-trip time in seconds (RFC 9002 section 5.3); None until there is a sample."""
    pto: float
    """Probe timeout in seconds, not doubled for timeouts (RFC 9002 section 6.2.1)."""
    unanswered_ptos: int
    """How many PTOs in a row have passed without an acknowledgement."""
    probing: bool
    """It was challenged, and an answer is waited for (RFC 9000 section 8.2)."""
    opened_by_supervisor: bool
    """Not opened by the application."""
    known: bool = True
    """The server has answered at that address of its own, on this path or on another one: the
    connection may move here before the path is validated (sections 9.2 and 9.6.2)."""
    trouble: str = ""
    """Why it is not usable, if it is not."""
    doubtful: bool = False
    """Nothing shows yet that packets get to the server and back: the connection moved here before
    the path was validated, or it is being probed for the first time."""
    misled: bool = False
    """While it is doubtful, something came in that was not from whom the connection is with: as if
    from a worker of the server that does not know the connection. Nobody vouches for that."""
    beside_strangers: bool = False
    """Other ports on its way have met somebody who does not know the connection, and this one has
    not, nor was the connection here more than once: as if the server hears it and does not answer
    yet."""
    returned: bool = False
    """It has worked, its network was gone and is back, and nothing was tried there since."""
    suspended: bool = False
    """The connection was here when it was last left without a path."""
    opened_at: float = -inf
    """When the supervisor opened it; -inf for others and the path of the handshake."""
    server_moves: int = 0
    """How often the server has begun to send here while another path was active, and the policy was
    not asked about it yet."""
    challenges_sent: int = 1
    """How many challenges were sent there."""
    no_way: bool = False
    """Its socket found no way out while it was active, and there was no answer since."""
    visited: bool = False
    """The connection is on this network, or was before."""
    retry_at: float = -inf
    """When to challenge it again after that was in vain."""
    pinned: bool = False
    """The application said that the connection begins here, or moved it here (not with `migrate()`
    that names no network), and it has stayed on this network since."""
    outside: bool = False
    """It leads beside the tunnel that packets to the server take, or that the connection was in:
    nothing goes there by itself (`MigrationPolicy.leave_tunnel`)."""
    leave_at: float = inf
    """When it is not usable any more, as it is outside and the tunnel has had time to answer; +inf
    where the application wants it."""
    works_since: float = -inf
    """Since when it has answered whenever it was asked; +inf if it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a policy may look at."""

    active: PathInfo | None
    paths: tuple[PathInfo, ...]
    candidates: tuple[Candidate, ...]
    """What could be opened now, without those that failed a moment ago."""
    spare_ids: int
    """Connection IDs left for new paths."""
    called_back: int = 0
    """How often the server was called back from a path that it chose itself."""
    answerable: int = 8
    """On how many new paths at once the server can answer: so many connection IDs of ours it has
    not used yet (section 5.1.1)."""
    migration_allowed: bool
    """False while the server forbids it and its preferred address is not in use."""
    preferred_pending: bool
    """The server has a preferred address that was neither reached nor found unreachable, and the
    connection is at none of them. It is used from one of the networks: the address of the other
    family is not where one has failed and the original one answers (section 9.6.1)."""
    switches: tuple[float, ...]
    """When the policy moved the connection from a path that had fallen silent, in the last minute;
    oldest first."""
    returns: tuple[float, ...]
    """When the policy moved the connection from a path that worked, to a better network or to where
    the server had gone or for a reason of its own, in the last five minutes; oldest first."""
    next_candidate_at: float
    """When a candidate that failed may be tried again; +inf if there is none."""
    lost: str = ""
    """Why there is no active path, or it is not usable; empty if it is."""
    lost_at: float = -inf
    """Since when that is so; +inf while the active path is usable."""


class Trigger(Enum):
    """Why the policy is asked."""

    CONFIRMED = "the handshake is confirmed"
    NETWORKS = "the networks changed"
    HINT = "the application said that the networks changed"
    IDS = "the server gave new connection IDs"
    VALIDATED = "a path answered a challenge"
    VALIDATION_FAILED = "a path did not answer"
    CLOSED = "a path was closed"
    RESET = "a stateless reset ended a path"
    MISLED = "somebody who does not know the connection answers on a path"
    SERVER_MOVED = "the server sends to another path by itself"
    SILENT = "the active path does not answer"
    SOCKET_ERROR = "the active path's socket finds no way out"
    DEGRADED = "the active path has not answered for long"
    RECOVERED = "the active path answers again"
    MOVED = "the connection moved"
    WOKEN = "the machine slept, or the program stood still"
    TIME = "time passed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEvent:
    """What happened first since the policy was last asked, and to which path. The view has the
    facts that follow from it, and from whatever else happened."""

    trigger: Trigger
    path: int | None = None

    @property
    def what(self) -> Trigger:
        """The name of the last release for `trigger`."""
        deprecated("PolicyEvent.what", "PolicyEvent.trigger")
        return self.trigger
