"""Every way from one of our addresses to one of the server's, the best first.

A pair is a candidate for a network path. The caller's wishes sort first: an explicit order of
interfaces, then an order of kinds of interface if the caller gave one. Then come the metrics of the
system's routes (`routing.py`), then the usual order of kinds, then metered ones last. What these
leave tied is sorted by RFC 6724: on each interface a destination is weighed with the source that
would be selected among that interface's addresses, and destinations are sorted by section 6. The
interface's other addresses follow their selected one, by section 5; where the system tells from
which it would send, that one is first. So the first pair of an interface is what is used there, and
`AddressPair.source_rank` tells it (0) from the alternatives.

Pairs that cannot work are left out: different families, an interface that is down or not in the
destination's zone, loopback to anything else, a link-local source for a destination behind a router
(routers must not forward it: RFC 4291 section 2.5.6, RFC 3927 section 2.7), destinations that are
no host's address, and interfaces that are too narrow for QUIC (RFC 9000 section 14). So are those
that the system's routes speak against.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from itertools import pairwise
from typing import Final

from .address import mapped, parse_address
from .destination import Weighed, deciding_rule, sort_weighed, weigh
from .local import InterfaceKind, LocalAddress, resolve_zone
from .policy_table import DEFAULT_POLICY, AddressPolicy
from .routing import LeftOut, Route, Routing
from .scope import LINK_LOCAL, is_unicast, scope_of
from .source import RankedSource, SourceRule, candidate_sources, deciding, rank_sources

KINDS: Final = ("ethernet", "wifi", "cellular", "tunnel", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPreferences:
    """What the caller wants, the most important first."""

    interfaces: tuple[str, ...] = ()
    """Names of interfaces; those that are not listed come behind, tied."""
    kinds: tuple[str, ...] = KINDS
    """Kinds of interface; those that are not listed come behind, tied. Metered ones are the last
    of their kind."""
    kinds_first: bool = False
    """The order of kinds is the caller's own wish, and comes before the system's metrics."""
    addresses: AddressPolicy = DEFAULT_POLICY
    routing: Routing = field(default_factory=Routing)
    """The system's routes, and what the caller says about them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPair:
    """One of our addresses and one of the server's, between which a network path is possible."""

    interface: str
    """The name of the interface."""
    kind: InterfaceKind
    """What the interface is."""
    metered: bool | None
    """Whether its traffic costs; None if unknown."""
    local: str
    """Our address, without a zone."""
    remote: str
    """The server's address as it was given; an IPv4-mapped one as the IPv4 address it is."""
    source_rank: int
    """0: the source that RFC 6724 section 5 selects on this interface for this remote address.
    Others follow it; a connection does not use them by itself."""
    reason: str
    """For people: what put it before the next pair (the last one: behind the previous)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCandidate:
    """An interface that could reach one of the server's addresses and is not used for it."""

    interface: str
    """The name of the interface."""
    remote: str
    """The server's address."""
    reason: LeftOut
    """Why not."""


_METRICS: Final = "routes"
# In the order of the numbers that `_rank` makes.
_RANK_REASONS: Final = (
    "preference: order of interfaces",
    "preference: order of kinds",
    _METRICS,
    "preference: order of kinds",
    "preference: metered last",
)


def _place(item: str, order: tuple[str, ...]) -> int:
    return order.index(item) if item in order else len(order)


def _rank(local: LocalAddress, preferences: PairPreferences) -> tuple[float, ...]:
    """The preferences as numbers; smaller is better."""
    kind = _place(local.kind, preferences.kinds)
    return (
        _place(local.interface, preferences.interfaces),
        kind if preferences.kinds_first else 0,
        preferences.routing.place(local.interface),
        kind,
        1 if local.metered else 0,
    )


def routes_of(
    local_addresses: Sequence[LocalAddress], remotes: Sequence[str], preferences: PairPreferences
) -> tuple[list[Weighed], list[NoCandidate]]:
    """Each remote over each interface with the sources that can be used, in the order of the
    remotes and then of the interfaces given; and what would be there as well, were it not for the
    system's routes or the interface, with the reason."""
    policy, routing = preferences.addresses, preferences.routing
    table = policy.table_for(local_addresses)
    by_interface: dict[str, list[LocalAddress]] = {}
    numbers = {local.interface: local.index for local in local_addresses}
    for local in dict.fromkeys(local_addresses):
        by_interface.setdefault(local.interface, []).append(local)
    routes = []
    left_out = []
    seen: set[tuple[str, int]] = set()
    for text in remotes:
        destination = parse_address(text)
        if not is_unicast(destination):
            continue
        zone, shown = "", str(destination)
        if isinstance(destination, IPv6Address):
            zone, shown = resolve_zone(destination.scope_id or "", numbers), text
        number = mapped(destination)
        for interface, neighbours in by_interface.items():
            # the same address may be given with and without a zone, or IPv4-mapped
            same = (interface, number)
            if zone not in ("", interface) or same in seen:
                continue
            seen.add(same)
            on_link = scope_of(destination) == LINK_LOCAL or any(
                local.shares_link_with(destination) for local in neighbours
            )
            candidates = [
                local
                for local in candidate_sources(destination, neighbours)
                if on_link or scope_of(local.parsed) != LINK_LOCAL
            ]
            if not candidates:
                continue
            reason = routing.why_not(interface, number)
            if reason is None and candidates[0].is_too_narrow:
                reason = LeftOut.TOO_NARROW
            if reason is not None:
                left_out.append(NoCandidate(interface=interface, remote=shown, reason=reason))
                continue
            route = routing.route(interface, number)
            next_hop = () if route is None else route.next_hop_sources
            sources = _as_routed(
                rank_sources(
                    destination, candidates, table=table, policy=policy, next_hop=next_hop
                ),
                route,
                policy,
            )
            rank = _rank(sources[0].source, preferences)
            routes.append(weigh(shown, destination, sources, rank=rank, table=table, policy=policy))
    return routes, left_out


def _as_routed(
    sources: tuple[RankedSource, ...], route: Route | None, policy: AddressPolicy
) -> tuple[RankedSource, ...]:
    """The system's source first: whoever manages the routes may have named it, as a VPN does that
    has an address and no interface of its own. What the system has only chosen by its own rules
    does not come before those of an application that has others."""
    if route is None or not (route.source_named or policy == DEFAULT_POLICY):
        return sources
    first = [s for s in sources if s.source.address == route.source]
    if not first or first[0] is sources[0]:
        return sources
    rest = (s for s in sources if s is not first[0])
    return RankedSource(first[0].source, SourceRule.ROUTE), *rest


def _boundary(routing: Routing, better: Weighed, worse: Weighed) -> str:
    reason = deciding(_RANK_REASONS, better.rank, worse.rank)
    if reason == _METRICS:
        first, second = (routing.reason(way.sources[0].source.interface) for way in (better, worse))
        return f"routes: {first}, before {second}"
    return reason or f"RFC 6724 destination {deciding_rule(better, worse).value}"


def candidate_pairs(
    local_addresses: Sequence[LocalAddress], remotes: Sequence[str], preferences: PairPreferences
) -> tuple[AddressPair, ...]:
    """Every pair that can work, the best first. ValueError for a remote that is no IP literal."""
    ordered = sort_weighed(routes_of(local_addresses, remotes, preferences)[0])
    boundaries = [_boundary(preferences.routing, *two) for two in pairwise(ordered)]
    pairs: list[AddressPair] = []
    for number, route in enumerate(ordered):
        reasons = [f"RFC 6724 source {ranked.rule.value}" for ranked in route.sources]
        if number < len(boundaries):
            reasons[-1] = boundaries[number]
        elif len(reasons) == 1:
            reasons[-1] = pairs[-1].reason if pairs else "the only pair"
        pairs += [
            AddressPair(
                interface=ranked.source.interface,
                kind=ranked.source.kind,
                metered=ranked.source.metered,
                local=ranked.source.address,
                remote=route.remote,
                source_rank=rank,
                reason=reason,
            )
            for rank, (ranked, reason) in enumerate(zip(route.sources, reasons, strict=True))
        ]
    return tuple(pairs)
