"""What is there at one moment, and the view that a policy gets of it.

`Sight` is a snapshot of the core's paths and of the networks; `standing_of` says of a path whether
its network is there; `view_of` puts both together with what is remembered. They are pure: the same
arguments give the same answer. A path whose address was never seen in a snapshot (a loopback
alias, an address that the system chose on an interface nobody lists) counts as usable.
"""

import functools
import ipaddress
from dataclasses import dataclass
from typing import Final

from ..._protocol.path.view import PathView
from ...addresses import AddressPair, LeftOut
from ...networks import Interface
from ...policy import Candidate, PathInfo, View
from ...policy._roles import network_of
from .memory import Memory, PathNotes

# Connections to the same server from the same networks ask the same questions.
_MOST_ANSWERS: Final = 64

Remote = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSight:
    """A path: the core's view, and the interface that its socket is tied to."""

    core: PathView
    interface: str | None
    pinned: bool
    suspended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Paths, networks and what the core says of the connection, at one moment."""

    paths: tuple[PathSight, ...]
    active: int
    interfaces: tuple[Interface, ...]
    pairs: tuple[tuple[AddressPair, Remote, bool], ...]
    """Every pair in order, with the server's address and whether it is the preferred one."""
    left_out: dict[tuple[str, str], LeftOut]
    """Why an interface is no candidate for an address of the server."""
    outside: frozenset[str]
    """Interfaces beside the tunnel that the connection must not leave."""
    preferred: Remote | None
    preferred_pending: bool
    migration_allowed: bool
    spare_ids: int
    answerable: int
    lost: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether the network of one path is there."""

    home: Interface | None
    name: str | None
    usable: bool
    trouble: str
    has_route: bool
    outside: bool


def home_of(
    path: PathSight, interfaces: tuple[Interface, ...], named: bool
) -> tuple[Interface | None, bool]:
    """The interface of a path, and whether its address is listed there. `named`: the source knows
    the interface by the name that the system has for it."""
    local = path.core.local
    address = "" if local is None else local[0]
    name = path.interface
    home, listed = _interface_of(address, name if named else None, interfaces)
    if name is not None and not listed:
        # Tied to it with an address of another one; or the application does not know it, and
        # that the address is in another network's range is chance.
        home = next((interface for interface in interfaces if interface.name == name), None)
    return home, listed


def is_named(path: PathSight, interfaces: tuple[Interface, ...]) -> bool:
    """Whether the interface of a path is among these by its name."""
    return any(interface.name == path.interface for interface in interfaces)


def standing_of(sight: Sight, path: PathSight, notes: PathNotes) -> Standing:
    """Whether the network of a path is there."""
    home, listed = home_of(path, sight.interfaces, notes.named)
    name = home.name if home is not None else path.interface
    local = path.core.local or ("", 0)
    if listed or notes.named:
        usable = home is not None and home.up and listed >= notes.listed
    else:
        usable = not notes.listed
    trouble = "" if usable else _trouble(local[0], name, home, listed)
    against = sight.left_out.get((name or "", path.core.remote[0]))
    has_route = against is not LeftOut.NO_ROUTE
    if not has_route and usable and notes.routed:
        # One that never had a route carries packets all the same.
        usable, trouble = False, f"{name} has no route to the server any more"
    outside = against is LeftOut.OUTSIDE_TUNNEL
    return Standing(
        home=home,
        name=name,
        usable=usable,
        trouble=trouble,
        has_route=has_route,
        outside=outside or (home is not None and home.name in sight.outside),
    )


def view_of(sight: Sight, standings: dict[int, Standing], memory: Memory, now: float) -> View:
    """Everything a policy may look at, as it is now."""
    ranks = _ranks(sight.pairs)
    paths = tuple(
        _path_info(sight, path, standings[path.core.path_id], memory, ranks) for path in sight.paths
    )
    active = next((path for path in paths if path.id == sight.active), None)
    # of a network that is gone nothing is to come
    ways = [(pair.local, pair.interface, remote) for pair, remote, _ in sight.pairs]
    return View(
        active=active,
        paths=paths,
        candidates=_candidates(sight, paths, memory, ranks, now),
        spare_ids=sight.spare_ids,
        answerable=sight.answerable,
        called_back=memory.called_back,
        migration_allowed=sight.migration_allowed,
        preferred_pending=sight.preferred_pending,
        switches=memory.switches(now),
        returns=memory.returns(now),
        next_candidate_at=memory.next_try(ways, now),
        lost=sight.lost if active is None else active.trouble,
        lost_at=memory.lost_at,
    )


def _candidates(
    sight: Sight,
    paths: tuple[PathInfo, ...],
    memory: Memory,
    ranks: dict[str, int],
    now: float,
) -> tuple[Candidate, ...]:
    used = {(path.local[0], path.remote) for path in paths}
    return tuple(
        Candidate(
            local=pair.local,
            interface=pair.interface,
            kind=pair.kind,
            metered=pair.metered,
            remote=remote,
            preferred=preferred,
            rank=ranks[pair.interface],
            new_port=(pair.local, remote) in used,
            reason=pair.reason,
            misled=memory.misled((pair.local, pair.interface, remote)),
        )
        for pair, remote, preferred in sight.pairs
        if not memory.rests((pair.local, pair.interface, remote), now)
    )


def _path_info(
    sight: Sight, path: PathSight, standing: Standing, memory: Memory, ranks: dict[str, int]
) -> PathInfo:
    core, home, name = path.core, standing.home, standing.name
    notes = memory.of(core.path_id)
    local = core.local or ("", 0)
    return PathInfo(
        id=core.path_id,
        state=core.state,
        local=local,
        remote=core.remote,
        interface=name,
        kind=home.kind if home is not None else "other",
        metered=home.metered if home is not None else None,
        preferred=core.remote == sight.preferred,
        rank=ranks.get(name, len(ranks)) if name is not None else len(ranks),
        usable=standing.usable,
        trouble=standing.trouble,
        proven_at=notes.proven_at,
        silent_since=notes.silent_since,
        rtt=core.rtt,
        pto=core.pto,
        unanswered_ptos=core.pto_count,
        probing=core.validating,
        opened_by_supervisor=notes.by_supervisor,
        doubtful=core.doubtful,
        misled=core.stranger,
        returned=notes.away and standing.usable,
        suspended=path.suspended,
        opened_at=notes.opened_at,
        retry_at=notes.retry_at,
        challenges_sent=core.challenges_sent,
        no_way=notes.no_way,
        visited=memory.was_on(network_of(name, local[0])),
        server_moves=notes.server_moves,
        pinned=path.pinned,
        outside=standing.outside,
    )


@functools.lru_cache(_MOST_ANSWERS)
def _interface_of(
    address: str, named: str | None, interfaces: tuple[Interface, ...]
) -> tuple[Interface | None, bool]:
    """The interface of a local address, and whether the address itself is listed there.

    An address that is not listed may still be in an interface's network (127.0.0.2)."""
    inside: Interface | None = None
    parsed = ipaddress.ip_address(address.partition("%")[0]) if address else None
    for interface in interfaces:
        if named is not None and interface.name != named:
            continue
        for entry in interface.addresses:
            if entry.address == address:
                return interface, True
            network = ipaddress.ip_network(f"{entry.address}/{entry.prefix_length}", strict=False)
            if parsed is not None and parsed in network:
                inside = inside or interface
    return inside, False


def _trouble(address: str, name: str | None, home: Interface | None, listed: bool) -> str:
    """What is wrong with the network of a path that is not usable."""
    if home is not None and not home.up:
        return f"{home.name} is down"
    if home is None and name is not None:
        return f"{name} is gone, or its address {address}"
    return f"the address {address} is gone"


def _ranks(pairs: tuple[tuple[AddressPair, Remote, bool], ...]) -> dict[str, int]:
    """Interfaces by the position of their first pair."""
    ranks: dict[str, int] = {}
    for pair, _, _ in pairs:
        ranks.setdefault(pair.interface, len(ranks))
    return ranks
