"""Which ways to a server there are, and in which order to try them (RFC 8305 section 4).

A way is one of the server's addresses, from an interface or from wherever the system sends it. The
addresses come in the order of RFC 6724, as far as this machine's own addresses are known, and the
two families take turns, so that one broken family costs one attempt.

If the system sends packets to one of the addresses through a tunnel, only ways through tunnels are
tried (`reach.py`): the addresses that its routes lead beside the tunnel would show whose they are.
"""

import errno
import ipaddress
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from ..addresses import AddressPair
from ..errors import LocalAddressError
from ..networks import Interface
from .arguments import Plan
from .reach import Reach
from .sockets import Remote


class Way(NamedTuple):
    """One thing to try."""

    remote: Remote
    interface: str | None


def ways_to(plan: Plan, remotes: Sequence[Remote]) -> list[Way]:
    """Every way that is to be tried, the best first. LocalAddressError if none may be."""
    policy = plan.migration
    named = plan.interface is not None or plan.local_address is not None
    if len(remotes) == 1 and named:
        return [Way(remotes[0], plan.interface)]
    reach = Reach(plan.networks, policy, plan.interface)
    interfaces = plan.networks.snapshot()
    if plan.interface is not None:
        interfaces = tuple(i for i in interfaces if i.name == plan.interface)
    addresses = tuple(_plain(remote) for remote in remotes)
    routes = None if named else reach.routes(addresses)
    inside = reach.begins_in_tunnel(interfaces, routes)
    pairs = [
        pair
        for pair in reach.pairs(interfaces, addresses, routes, in_tunnel=inside)
        if pair.source_rank == 0
        and (named or policy.wants(pair.interface, pair.kind, pair.metered))
    ]
    if not named and (inside or policy.only_interfaces or policy.start_interfaces > 1):
        ways = _over_interfaces(remotes, pairs, policy.start_interfaces)
        if ways:
            return ways
        if inside or policy.only_interfaces:
            return _absent(policy.only_interfaces, interfaces, remotes, reach)
    return [Way(remote, plan.interface) for remote in _take_turns(_in_order(remotes, pairs))]


def _absent(
    only: Sequence[str], interfaces: Sequence[Interface], remotes: Sequence[Remote], reach: Reach
) -> list[Way]:
    """Interfaces that this machine does not have, or that are down: the system says so when they
    are tried, unless they are there meanwhile."""
    there = {interface.name for interface in interfaces if interface.up}
    ways = [Way(remote, name) for remote in remotes for name in only if name not in there]
    if ways:
        return ways
    reason = reach.why_none(tuple(_plain(remote) for remote in remotes))
    raise LocalAddressError(errno.ENETUNREACH, reason)


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
