"""What the policy asks about one path: whether it works, what it is good for, what it is not."""

from collections.abc import Sequence
from math import inf

from .._protocol.path.state import PathState
from ..causes import CloseCause, MigrationCause
from ._actions import ClosePath
from ._views import Candidate, PathInfo, View

# Seconds in which a probe is answered if it is at all
LONG_ENOUGH = 1.0
# and at least, where something came in instead
_ANSWER = 0.25

Network = tuple[str | None, str | None]


def on_network(view: View, network: Network) -> list[PathInfo]:
    """The paths of a network that is there."""
    return [path for path in view.paths if path.usable and network_of(path) == network]


def answers(path: PathInfo) -> bool:
    """Whether the path works, as far as is known."""
    if path.state is PathState.ACTIVE:
        return not path.doubtful and path.silent_since == inf
    return path.state is PathState.VALIDATED


def network_of(way: PathInfo | Candidate) -> Network:
    """What goes and comes together: an interface, or an address where that is not known."""
    return network(way.interface, way.local if isinstance(way, Candidate) else way.local[0])


def network(interface: str | None, local: str) -> Network:
    """The same of an interface and an address."""
    return (interface, None) if interface is not None else (None, local)


def validated(view: View) -> list[PathInfo]:
    """The paths that stand by and have answered, as far as their networks are there."""
    return [path for path in view.paths if path.usable and path.state is PathState.VALIDATED]


def standbys_of(view: View, active: PathInfo) -> list[PathInfo]:
    asked = PathState.VALIDATED, PathState.PROBING
    others = [path for path in view.paths if path.id != active.id and path.usable]
    return [path for path in others if path.state in asked or may_be_heard(path)]


def may_be_heard(path: PathInfo) -> bool:
    """Whether a path that never answered leads to the server for all that: other ports on its way
    have met somebody else. nginx ignores what comes from a new address unless it has the highest
    packet number of all: a probe that takes longer than the packets of the active path is ignored
    as long as those follow each other. When they end, it is heard. To a preferred address the
    connection must not move before it has answered (section 9.6.2)."""
    waiting = path.state in (PathState.PROBING, PathState.CANDIDATE) and path.challenges_sent > 0
    hopeful = path.beside_strangers and path.doubtful and path.known
    return waiting and hopeful and path.opened_by_supervisor


def answer_due(path: PathInfo, active: PathInfo) -> float:
    """When the server would have answered on a path where something else came in. That may have
    been anybody on the way, who needs no keys for it and is nearer than the server."""
    return path.opened_at + max(_ANSWER, active.pto)


def why_useless(
    path: PathInfo, active: PathInfo, standbys: list[PathInfo], answerable: int, now: float
) -> CloseCause | None:
    """Opened when another was silent, and that other works; or it leads to somebody else."""
    if not path.opened_by_supervisor:
        return None
    if path.misled and now >= answer_due(path, active):
        return CloseCause.STRANGER
    if same_way(path, active) and not active.pinned:
        return CloseCause.ANOTHER_PORT_WORKS
    if path.state is PathState.CANDIDATE and _is_one_too_many(path, active, standbys):
        return CloseCause.NO_ANSWER
    if answerable <= 1 and not path.misled and _is_superseded(path, active, standbys, now):
        return CloseCause.ANOTHER_PORT_ASKED
    proven = [p for p in standbys if p.state is PathState.VALIDATED and same_way(p, path)]
    best = max(proven, key=lambda p: (not p.opened_by_supervisor, -p.id), default=path)
    return CloseCause.ANOTHER_PORT_WORKS if path != best else None


def _is_one_too_many(path: PathInfo, active: PathInfo, others: Sequence[PathInfo]) -> bool:
    """Whether a path that did not answer is kept in vain: one on each way is, while none other has
    answered. To ask it would make nginx forget the one that has."""
    first = min([p for p in others if may_be_heard(p) and same_way(p, path)], key=_age)
    proven = any(other.state is PathState.VALIDATED for other in others)
    return proven or path != first or same_way(path, active)


def _age(path: PathInfo) -> tuple[float, int]:
    return path.opened_at, path.id


def _is_superseded(
    path: PathInfo, active: PathInfo, others: Sequence[PathInfo], now: float
) -> bool:
    """Whether another port was opened later, and neither has answered. To a server with one
    connection ID left for all of them that is a choice: nginx forgets the port that it heard first,
    and gives its ID back on the path in use. If that goes now, it has none, and hears nobody. A
    port that meets somebody else takes nothing from the first one, and shows that soon."""
    return path.state is PathState.PROBING and any(
        other.state is PathState.PROBING
        and not other.misled
        and path.opened_at < other.opened_at
        and answer_due(other, active) <= now
        and same_way(other, path)
        for other in others
    )


def same_family(path: PathInfo, other: PathInfo) -> bool:
    """Whether both are paths of the same IP version."""
    return (":" in path.remote[0]) == (":" in other.remote[0])


def same_way(path: PathInfo, other: PathInfo) -> bool:
    """Whether two paths differ in their ports only."""
    return (path.interface, path.local[0], path.remote) == (
        other.interface,
        other.local[0],
        other.remote,
    )


def _ports_beside(view: View, active: PathInfo) -> list[PathInfo]:
    """Other ports on the active path's way that the supervisor has opened, asked or proven."""
    standbys = standbys_of(view, active)
    return [p for p in standbys if p.opened_by_supervisor and same_way(p, active)]


def twins_of(view: View, active: PathInfo) -> list[PathInfo]:
    """Those that are later, and may answer."""
    asked = [p for p in _ports_beside(view, active) if p.state is not PathState.CANDIDATE]
    return [p for p in asked if p.opened_at > active.opened_at]


def left_ports(view: View, active: PathInfo) -> set[int]:
    """Those that are earlier, which the connection has left to bring the server back."""
    return {p.id for p in _ports_beside(view, active) if p.opened_at < active.opened_at}


def tempting(
    view: View, active: PathInfo, elsewhere: Sequence[PathInfo], now: float
) -> tuple[set[int], float]:
    """The supervisor's paths to other networks, to be given up as the server would go there; and
    when, if not now. What it has sent there before it came back may still be under way."""
    due = active.opened_at + LONG_ENOUGH
    found = {path.id for path in elsewhere if path.opened_by_supervisor}
    if not found or twins_of(view, active):
        return set(), inf
    return (found, inf) if now >= due else (set(), due)


def why_gone(path: PathInfo, view: View) -> ClosePath | None:
    """A path that is of no use whatever else there is: its network is gone; the supervisor opened
    it beside a tunnel that has come since (the active path stays until there is one in the tunnel,
    or for the time that is given to it), or it did not answer there. What the application opened is
    the application's."""
    if not path.usable:
        if path == view.active and path.leave_at < inf:
            return ClosePath(path.id, cause=CloseCause.OUTSIDE_TUNNEL)
        return without_network(path)
    if not path.opened_by_supervisor:
        return None
    if path.outside and path != view.active:
        # Where there can be no other, it is needed again should the tunnel go.
        inside = view.active is not None and not view.active.doubtful
        held = path.suspended and not inside and not (view.migration_allowed and view.spare_ids)
        return None if held else ClosePath(path.id, cause=CloseCause.OUTSIDE_TUNNEL)
    waits = path.probing or path.returned or may_be_heard(path)
    if path.state is PathState.CANDIDATE and not waits:
        asked = CloseCause.NO_ANSWER if path.challenges_sent else CloseCause.NOT_ASKED
        return ClosePath(path.id, cause=CloseCause.STRANGER if path.misled else asked)
    return None


def why_lost(view: View) -> tuple[MigrationCause, str]:
    """Why the connection goes from where it was, or from nowhere, to whatever there is."""
    if view.active is not None and view.active.leave_at < inf:
        return MigrationCause.TUNNEL, ""
    return MigrationCause.NETWORK_GONE, f"the active path is gone: {view.lost}"


def without_network(path: PathInfo) -> ClosePath:
    """The end of a path whose network is gone."""
    reason = f"its network is gone: {path.trouble}"
    return ClosePath(path.id, cause=CloseCause.NETWORK_GONE, reason=reason)


def best_returned(view: View) -> PathInfo | None:
    """Of paths whose network is back, none of them proven: the port that was in use."""
    returned = [path for path in view.paths if path.returned]
    return min(returned, key=lambda path: (path.rank, not path.suspended), default=None)


def least_hopeful(paths: Sequence[PathInfo], candidates: Sequence[Candidate]) -> list[ClosePath]:
    """Of paths whose networks are gone, the one that is the least likely to be back: its interface
    is there without its address."""
    there = {candidate.interface for candidate in candidates}
    order = sorted(paths, key=lambda p: (p.interface not in there, p.suspended, -p.rank))
    return [without_network(path) for path in order[:1]]


def may_answer(asked: Sequence[PathInfo]) -> PathInfo | None:
    """A path that was challenged before the active one was gone, and may yet answer: of several
    ports the last one, which the server may have taken notice of in place of the others."""
    return min(asked, key=lambda path: (path.rank, -path.opened_at), default=None)


def may_hear(asked: Sequence[PathInfo], active: PathInfo) -> PathInfo | None:
    """Where to go when no probe is answered while the active path is silent.

    A server whose congestion window is full of what was lost may answer no probe (ngtcp2 0.12). It
    goes where it hears more than that, and begins there with a new window (section 9.4). Another
    network comes first, then the port that was opened last."""
    home = network_of(active)
    return min(
        asked,
        key=lambda path: (network_of(path) == home, path.rank, -path.opened_at),
        default=None,
    )


def refuge(view: View, active: PathInfo, move_after: float) -> PathInfo | None:
    """Where to go: to a path that has answered since, or after a while to one that did before: with
    a full window the server may answer no probe, but does when we move there (section 9.4)."""
    ready = [path for path in validated(view) if path.id != active.id]
    answered = [path for path in ready if path.proven_at >= active.silent_since]
    if not answered and active.unanswered_ptos < move_after:
        return None
    return max(answered or ready, key=lambda p: (p.preferred, -p.rank), default=None)


def why_left(silent: PathInfo) -> str:
    """What speaks against an active path that is silent."""
    against = []
    if silent.unanswered_ptos:
        against.append(f"no answer for {silent.unanswered_ptos} PTO")
    if silent.no_way:
        against.append("its socket finds no way out")
    return ", and ".join(against) or "no answer"
