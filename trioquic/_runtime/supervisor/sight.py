"""What is there at one moment, and the view that a policy gets of it.

`Sight` is a snapshot of the core's paths and of the networks; `paths_of` and `candidates_of` put it
together with what is remembered. They are pure: the same arguments give the same answer. A path
whose address was never seen in a snapshot (a loopback alias, an address that the system chose on an
interface nobody lists) counts as usable.
"""

import functools
import ipaddress
from dataclasses import dataclass
from math import inf
from typing import Final

from ..._protocol.path.view import PathView
from ...addresses import AddressPair, LeftOut
from ...networks import Interface
from ...paths import Address
from ...policy import Candidate, PathInfo
from ...policy._roles import network
from ..paths.late_tunnel import TO_ENTER
from .memory import Memory, PathNotes, Way

# Connections to the same server from the same networks ask the same questions.
_MOST_ANSWERS: Final = 64
_OUTSIDE: Final = "it leads beside the tunnel that packets to the server take now"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSight:
    """A path: the core's view, what its socket is bound to, and the interface that this is."""

    core: PathView
    local: Address
    interface: str | None
    """What the socket is tied to, by the name that the system has for it."""
    home: Interface | None
    listed: bool
    """Whether its address is among those of `home`."""
    pinned: bool
    suspended: bool

    @property
    def name(self) -> str | None:
        """The name of its interface, as far as that is known."""
        return self.interface if self.home is None else self.home.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Paths and networks, at one moment."""

    paths: tuple[PathSight, ...]
    active: int
    pairs: tuple[tuple[AddressPair, Way], ...]
    """Every pair in order, and where a path of it leads."""
    left_out: dict[tuple[str, str], LeftOut]
    """Why an interface is no candidate for an address of the server."""
    preferred: Address | None

    def why_not(self, interface: str | None, remote: Address) -> LeftOut | None:
        """Why an interface is no candidate for this address of the server."""
        return self.left_out.get((interface or "", remote[0]))

    def has_route(self, interface: str | None, remote: Address) -> bool:
        """Whether the system has a route to the server there, or knows of none at all."""
        return self.why_not(interface, remote) is not LeftOut.NO_ROUTE


def home_of(
    address: str, name: str | None, interfaces: tuple[Interface, ...], named: bool
) -> tuple[Interface | None, bool]:
    """The interface of a path from this address, tied to the interface of this name, and whether
    the address is listed there. `named`: the source knows the interface by that name."""
    home, listed = _interface_of(address, name if named else None, interfaces)
    if name is not None and not listed:
        # Tied to it with an address of another one; or the application does not know it, and
        # that the address is in another network's range is chance.
        home = next((interface for interface in interfaces if interface.name == name), None)
    return home, listed


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
            preferred=way[2] == sight.preferred,
            rank=ranks[pair.interface],
            new_port=(pair.local, way[2]) in used,
            reason=pair.reason,
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
    active = core.path_id == sight.active
    hopeful = core.has_id and not core.stranger
    leave_at = notes.outside_since + TO_ENTER if active and not path.pinned else inf
    trouble = _OUTSIDE if now >= leave_at else _trouble(sight, path, name, notes)
    return PathInfo(
        id=core.path_id,
        state=core.state,
        local=path.local,
        remote=core.remote,
        interface=name,
        kind="other" if home is None else home.kind,
        metered=None if home is None else home.metered,
        preferred=core.remote == sight.preferred,
        rank=len(ranks) if name is None else ranks.get(name, len(ranks)),
        usable=not trouble,
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


def _trouble(sight: Sight, path: PathSight, name: str | None, notes: PathNotes) -> str:
    """What is wrong with the network of a path; empty if it is there."""
    home, address = path.home, path.local[0]
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


def _ranks(sight: Sight) -> dict[str, int]:
    """Interfaces by the position of their first pair."""
    ranks: dict[str, int] = {}
    for pair, _ in sight.pairs:
        ranks.setdefault(pair.interface, len(ranks))
    return ranks
