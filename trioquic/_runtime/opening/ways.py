"""Which ways to a server there are, and in which order to try them (RFC 8305 section 4).

A way is one of the server's addresses, from an interface or from wherever the system sends it. The
addresses come in the order of RFC 6724, as far as this machine's own addresses are known, and the
two families take turns, so that one broken family costs one attempt.

If the system sends packets to one of the addresses through a tunnel, only ways through tunnels are
tried (`reach.py`): the addresses that its routes lead beside the tunnel would show whose they are.

Where the policy forbids a network that is there (`kinds`, `metered`), nothing follows the system's
routes, which may lead over it: each way is tied to an interface that may be used.
"""

import errno
import ipaddress
from collections.abc import Collection, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

from ...addresses import AddressPair
from ...errors import LocalAddressError
from ...networks import Interface, is_own
from ...paths import Address
from ..paths.own_tunnel import Networks
from ..paths.reach import Reach
from ..sockets.binding import interface_of, interface_on
from ..sockets.sockets import Remote
from .arguments import Plan

_A_PAIR: Final = 2  # one address of each family, if there are both
_MOST_OTHERS: Final = 16


class WayToServer(NamedTuple):
    """One thing to try."""

    remote: Remote
    interface: str | None


def check_networks(plan: Plan) -> None:
    """Find out that nothing may be used to go to wherever the server is: no interface of those
    that may be is known, or there is no tunnel. Raises LocalAddressError."""
    policy, interfaces = plan.migration, plan.networks.snapshot()
    only = policy.only_interfaces
    listed = [i for i in interfaces if not only or i.name in only]
    if only and not listed:
        raise _no_such(only)
    tunnels = any(interface.up and policy.is_tunnel(interface) for interface in listed)
    if policy.tunnel_only and not tunnels:
        reason = Reach(plan.networks, policy).why_none(())
        raise LocalAddressError(errno.ENETUNREACH, reason)


def check_start(plan: Plan, remote: Address | None) -> None:
    """Find out that the policy rules out where the application wants to start, which for an address
    depends on where it goes to. Raises ValueError."""
    policy, name = plan.migration, plan.interface
    which = f"interface {name!r}"
    if name is None and plan.local is not None:
        name = interface_of(plan.local, remote, plan.networks)
        which = f"local {plan.local} belongs to interface {name!r}, which"
    if name is None:
        return
    only = policy.only_interfaces
    if only and name not in only:
        raise ValueError(f"{which} is not among only_interfaces: {', '.join(only)}")
    named = [interface for interface in plan.networks.snapshot() if interface.name == name]
    if policy.tunnel_only and named and not any(map(policy.is_tunnel, named)):
        raise ValueError(f"{which} is no tunnel (tunnel_only)")


def ways_to(plan: Plan, remotes: Sequence[Remote]) -> list[WayToServer]:
    """Every way that is to be tried, the best first. LocalAddressError if none may be."""
    policy = plan.migration
    remotes = _on_its_interface(plan, remotes)
    if len(remotes) == 1 and plan.named:
        return [_way(plan, remotes[0])]
    reach, now, pairs, inside = _survey(plan, remotes)
    interfaces = now.interfaces
    several = policy.start_interfaces is not None and policy.start_interfaces > 1
    own = [remote for remote in remotes if is_own(remote.address[0], interfaces)]
    limited = policy.limits(interfaces) and len(own) < len(remotes)
    if not plan.named and (inside or policy.only_interfaces or several or limited):
        free = not inside and not policy.only_interfaces
        away = [remote for remote in remotes if not free or remote not in own]
        ways = _over_interfaces(away, pairs, policy.start_interfaces)
        if free:
            # `kinds` and `metered` are about networks, and the way to ourselves is none of them
            ways += [WayToServer(remote, None) for remote in own]
        if ways:
            return ways
        if inside or policy.only_interfaces or limited:
            return _absent(policy.only_interfaces, interfaces, remotes, reach)
    return [_way(plan, remote) for remote in _in_turns(remotes, _as_sent(now, pairs))]


def _as_sent(now: Networks, pairs: list[AddressPair]) -> list[AddressPair]:
    """The pairs by which the system itself sends to the server's addresses first: what is preferred
    on another network says nothing about the order there."""
    sent = {(route.remote, route.interface) for route in now.routes or () if route.chosen}
    return sorted(pairs, key=lambda pair: (pair.remote, pair.interface) not in sent)


def _way(plan: Plan, remote: Remote) -> WayToServer:
    """The way from where the application says, or from the link that the address is on."""
    return WayToServer(remote, interface_on(remote, plan.interface, plan.networks))


def _on_its_interface(plan: Plan, remotes: Sequence[Remote]) -> list[Remote]:
    """Those that are not on the link of another interface than the one that the application names.
    LocalAddressError if there is none."""
    found: list[Remote] = []
    elsewhere: LocalAddressError | None = None
    for remote in remotes:
        try:
            interface_on(remote, plan.interface, plan.networks)
            found.append(remote)
        except LocalAddressError as error:
            elsewhere = error
    try:
        if elsewhere is not None and not found:
            raise elsewhere
        return found
    finally:
        # its traceback refers to this frame
        del elsewhere


def other_ways(plan: Plan, remotes: Sequence[Remote], used: Collection[str]) -> list[WayToServer]:
    """Ways over interfaces that are not in `used`, for when those that the system chose lead to no
    server in time: the metered ones last, two addresses over each before the next ones."""
    _, now, pairs, _ = _survey(plan, remotes, used)
    metered = {interface.name for interface in now.interfaces if interface.metered}
    beside = [pair for pair in pairs if pair.interface not in used]
    beside.sort(key=lambda pair: pair.interface in metered)
    possible = {(pair.remote, pair.interface) for pair in beside}
    names = tuple(dict.fromkeys(pair.interface for pair in beside))
    order = _in_turns(remotes, pairs)
    ways = [
        WayToServer(remote, name)
        for some in (order[:_A_PAIR], order[_A_PAIR:])
        for name in names
        for remote in some
        if (_plain(remote), name) in possible
    ]
    return ways[:_MOST_OTHERS]


def are_the_systems(plan: Plan, ways: Sequence[WayToServer]) -> bool:
    """Whether the network of each way is the system's choice, as far as there is one."""
    interfaces = plan.networks.snapshot()
    return all(
        (way.interface is None or way.remote.zone) and not is_own(way.remote.address[0], interfaces)
        for way in ways
    )


def are_in_tunnels(plan: Plan, ways: Sequence[WayToServer]) -> bool:
    """Whether all ways are tied to tunnels: what is to begin there does not leave them."""
    tied = {way.interface for way in ways}
    if None in tied:
        return False
    interfaces = plan.networks.snapshot()
    return tied <= {each.name for each in interfaces if plan.migration.is_tunnel(each)}


def _survey(
    plan: Plan, remotes: Sequence[Remote], used: Collection[str] = ()
) -> tuple[Reach, Networks, list[AddressPair], bool]:
    """The networks, the pairs of addresses that may be used, the best first, and whether the
    connection begins in a tunnel."""
    policy = plan.migration
    reach = Reach(plan.networks, policy, plan.interface)
    now = reach.networks(servers_of(remotes))
    if plan.interface is not None:
        now = now._replace(interfaces=tuple(i for i in now.interfaces if i.name == plan.interface))
    if plan.named:
        now = now._replace(routes=None)
    inside = reach.begins_in_tunnel(now, used)
    pairs = [pair for pair in reach.pairs(now, inside) if pair.source_rank == 0]
    return reach, now, pairs if plan.named else policy.to_begin(pairs), inside


def _absent(
    only: Sequence[str], interfaces: Sequence[Interface], remotes: Sequence[Remote], reach: Reach
) -> list[WayToServer]:
    """Ways over interfaces that are down: the system says so when they are tried, if it is so."""
    known = {interface.name: interface.up for interface in interfaces}
    ways = [
        WayToServer(remote, name) for remote in remotes for name in only if known.get(name) is False
    ]
    if ways:
        return ways
    if only and not any(name in known for name in only):
        raise _no_such(only)
    reason = reach.why_none(servers_of(remotes))
    raise LocalAddressError(errno.ENETUNREACH, reason)


def _no_such(only: Sequence[str]) -> LocalAddressError:
    names = " or ".join(repr(name) for name in only)
    return LocalAddressError(errno.ENODEV, f"no interface {names}")


def _in_turns(remotes: Sequence[Remote], pairs: list[AddressPair]) -> list[Remote]:
    """Those that can be reached from an address of ours first; equals keep their order. The first
    one's family begins, then the other one has its turn."""
    rank: dict[str, int] = {}
    for pair in pairs:
        rank.setdefault(pair.remote, len(rank))
    families: dict[int, list[Remote]] = {}
    for remote in sorted(remotes, key=lambda remote: rank.get(_plain(remote), len(rank))):
        families.setdefault(remote.family, []).append(remote)
    rounds = zip_longest(*families.values())
    return [remote for one_round in rounds for remote in one_round if remote is not None]


def _over_interfaces(
    remotes: Sequence[Remote], pairs: list[AddressPair], wanted: int | None
) -> list[WayToServer]:
    """Each address over each of the best interfaces (`wanted` of them) before the next address."""
    interfaces = list(dict.fromkeys(pair.interface for pair in pairs))[:wanted]
    possible = {(pair.remote, pair.interface) for pair in pairs}
    return [
        WayToServer(remote, interface)
        for remote in _in_turns(remotes, pairs)
        for interface in interfaces
        if (_plain(remote), interface) in possible
    ]


def servers_of(remotes: Sequence[Remote]) -> tuple[Address, ...]:
    """Their addresses and ports, as routes are asked for."""
    return tuple((_plain(remote), remote.address[1]) for remote in remotes)


def _plain(remote: Remote) -> str:
    """The address as `candidate_pairs` names it."""
    address = ipaddress.ip_address(remote.address[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return remote.address[0] if mapped is None else str(mapped)
