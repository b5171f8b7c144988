"""Which ways to a server there are, and in which order to try them (RFC 8305 section 4).

A way is one of the server's addresses, from an interface or from wherever the system sends it. The
addresses come in the order of RFC 6724, as far as this machine's own addresses are known, and the
two families take turns, so that one broken family costs one attempt.
"""

import ipaddress
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from ..addresses import AddressPair, candidate_pairs
from .arguments import Plan
from .sockets import Remote


class Way(NamedTuple):
    """One thing to try."""

    remote: Remote
    interface: str | None


def ways_to(plan: Plan, remotes: Sequence[Remote]) -> list[Way]:
    """Every way that is to be tried, the best first."""
    wanted = 1 if plan.interface or plan.local_address else plan.migration.start_interfaces
    if len(remotes) == 1 and wanted == 1:
        return [Way(remotes[0], plan.interface)]
    pairs = _pairs(plan, remotes)
    if wanted > 1:
        ways = _over_interfaces(remotes, pairs, wanted)
        if ways:
            return ways
    return [Way(remote, plan.interface) for remote in _take_turns(_in_order(remotes, pairs))]


def _pairs(plan: Plan, remotes: Sequence[Remote]) -> list[AddressPair]:
    interfaces = plan.networks.snapshot()
    if plan.interface is not None:
        interfaces = tuple(i for i in interfaces if i.name == plan.interface)
    pairs = candidate_pairs(
        interfaces,
        [remote.address[0] for remote in remotes],
        prefer_interfaces=plan.migration.interfaces,
        prefer_kinds=plan.migration.kinds,
    )
    policy = plan.migration
    return [
        pair
        for pair in pairs
        if pair.source_rank == 0
        and pair.kind in policy.kinds
        and (policy.metered or not pair.metered)
    ]


def _in_order(remotes: Sequence[Remote], pairs: list[AddressPair]) -> list[Remote]:
    """Those that can be reached from an address of ours first; equals keep their order."""
    rank: dict[str, int] = {}
    for pair in pairs:
        rank.setdefault(pair.remote, len(rank))
    return sorted(remotes, key=lambda remote: rank.get(_plain(remote), len(rank)))


def _take_turns(remotes: Sequence[Remote]) -> list[Remote]:
    """The first address's family begins, then the other one has its turn."""
    families: dict[int, list[Remote]] = {}
    for remote in remotes:
        families.setdefault(remote.family, []).append(remote)
    rounds = zip_longest(*families.values())
    return [remote for one_round in rounds for remote in one_round if remote is not None]


def _over_interfaces(remotes: Sequence[Remote], pairs: list[AddressPair], wanted: int) -> list[Way]:
    """Each address over each of the best interfaces before the next address."""
    interfaces = list(dict.fromkeys(pair.interface for pair in pairs))[:wanted]
    possible = {(pair.remote, pair.interface) for pair in pairs}
    return [
        Way(remote, interface)
        for remote in _take_turns(_in_order(remotes, pairs))
        for interface in interfaces
        if (_plain(remote), interface) in possible
    ]


def _plain(remote: Remote) -> str:
    """The address as `candidate_pairs` names it."""
    address = ipaddress.ip_address(remote.address[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return remote.address[0] if mapped is None else str(mapped)
