"""The view that a policy gets: what is there at one moment, and what is remembered of before.

Pure functions: the same `Sight` and `Memory` give the same `View`. What a look changes in the
memory was noted before (`outlook.py`).
"""

from math import inf
from typing import Final

from ...addresses import LeftOut
from ...policy import Candidate, PathInfo, View
from ...policy._roles import network
from ..paths.late_tunnel import TO_ENTER
from .memory import Memory, PathNotes
from .sight import PathSight, Sight

_OUTSIDE: Final = "it leads beside the tunnel that packets to the server take now"


def view_of(sight: Sight, memory: Memory, now: float) -> View:
    """Everything that a policy may look at."""
    paths = paths_of(sight, memory, now)
    active = next((path for path in paths if path.id == sight.active), None)
    return View(
        active=active,
        paths=paths,
        candidates=candidates_of(sight, paths, memory, now),
        spare_ids=sight.spare_ids,
        answerable=sight.answerable,
        called_back=memory.called_back,
        migration_allowed=sight.migration_allowed,
        preferred_pending=sight.preferred_pending,
        switches=memory.switches(now),
        returns=memory.returns(now),
        # of a network that is gone nothing is to come
        next_candidate_at=memory.next_try((way for _, way in sight.pairs), now),
        lost=sight.lost if active is None else active.trouble,
        lost_at=memory.lost_at,
    )


def candidates_of(
    sight: Sight, paths: tuple[PathInfo, ...], memory: Memory, now: float
) -> tuple[Candidate, ...]:
    """The ways to other paths that may be tried now."""
    ranks = _ranks(sight)
    used = {(path.local[0], path.remote) for path in paths}
    return tuple(
        Candidate(
            local=pair.local,
            interface=pair.interface,
            kind=pair.kind,
            metered=pair.metered,
            remote=way[2],
            preferred=way[2] in sight.preferred,
            rank=ranks[pair.interface],
            new_port=(pair.local, way[2]) in used,
            reason=pair.reason,
            known=way[2] in sight.known,
            misled=memory.misled(way),
        )
        for pair, way in sight.pairs
        if not memory.rests(way, now)
    )


def paths_of(sight: Sight, memory: Memory, now: float) -> tuple[PathInfo, ...]:
    """The paths as a policy sees them."""
    ranks = _ranks(sight)
    return tuple(_path_info(sight, path, memory, ranks, now) for path in sight.paths)


def _path_info(
    sight: Sight, path: PathSight, memory: Memory, ranks: dict[str, int], now: float
) -> PathInfo:
    core, home = path.core, path.home
    name = path.name
    notes = memory.of(core.path_id)
    hopeful = core.has_id and not core.stranger
    leave_at = _leave_at(sight, path, notes)
    trouble = trouble_of(sight, path, notes, now)
    return PathInfo(
        id=core.path_id,
        state=core.state,
        local=path.local,
        remote=core.remote,
        interface=name,
        kind="other" if home is None else home.kind,
        metered=None if home is None else home.metered,
        preferred=core.remote in sight.preferred,
        rank=len(ranks) if name is None else ranks.get(name, len(ranks)),
        usable=not trouble,
        known=core.remote in sight.known,
        trouble=trouble,
        proven_at=notes.proven_at,
        silent_since=notes.silent_since,
        rtt=core.rtt,
        pto=core.pto,
        unanswered_ptos=core.pto_count,
        probing=core.validating,
        opened_by_supervisor=notes.by_supervisor,
        doubtful=core.doubtful,
        misled=core.stranger,
        beside_strangers=hopeful and memory.is_beside_strangers(notes.way),
        returned=notes.away and not trouble,
        suspended=path.suspended,
        opened_at=notes.opened_at,
        retry_at=notes.retry_at,
        challenges_sent=core.challenges_sent,
        no_way=notes.no_way,
        visited=memory.was_on(network(name, path.local[0])),
        server_moves=notes.server_moves,
        pinned=path.pinned,
        outside=notes.outside_since < inf,
        leave_at=leave_at,
        works_since=notes.works_since,
    )


def _leave_at(sight: Sight, path: PathSight, notes: PathNotes) -> float:
    leaves = path.core.path_id == sight.active and not path.pinned
    return notes.outside_since + TO_ENTER if leaves else inf


def trouble_of(sight: Sight, path: PathSight, notes: PathNotes, now: float) -> str:
    """What is wrong with the network of a path; empty if it is there."""
    if now >= _leave_at(sight, path, notes):
        return _OUTSIDE
    home, name, address = path.home, path.name, path.local[0]
    if path.listed or notes.named:
        usable = home is not None and home.up and path.listed >= notes.listed
    else:
        usable = not notes.listed
    if usable:
        if sight.why_not(name, path.core.remote) is LeftOut.TOO_NARROW:
            return f"{name} carries packets that are too small for QUIC only"
        # One that never had a route carries packets all the same.
        lost_route = notes.routed and not sight.has_route(name, path.core.remote)
        return f"{name} has no route to the server any more" if lost_route else ""
    if home is not None and not home.up:
        return f"{home.name} is down"
    if home is None and name is not None:
        return f"{name} is gone, or its address {address}"
    return f"the address {address} is gone"


def _ranks(sight: Sight) -> dict[str, int]:
    """Interfaces by the position of their first pair."""
    ranks: dict[str, int] = {}
    for pair, _ in sight.pairs:
        ranks.setdefault(pair.interface, len(ranks))
    return ranks
