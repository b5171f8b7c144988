"""Every way from one of our addresses to one of the server's, the best first.

A pair is a candidate for a network path. The caller's wishes sort first: an explicit order of
interfaces, then an order of kinds of interface if the caller gave one. Then come the metrics of the
system's routes (`routing.py`), then the usual order of kinds, then metered ones last. What these
leave tied is sorted by RFC 6724: on each interface a destination is weighed with the source that
would be selected among that interface's addresses, and destinations are sorted by section 6. The
interface's other addresses follow their selected one, by section 5; where the system tells from
which it would send, that one is first. So the first pair of an interface is what is used there, and
`Pair.source_rank` tells it (0) from the alternatives.

Pairs that cannot work are left out: different families, an interface that is down or not in the
destination's zone, loopback to anything else, a link-local source for a destination behind a router
(routers must not forward it: RFC 4291 section 2.5.6, RFC 3927 section 2.7), and destinations that
are no host's address. So are those that the system's routes speak against.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .address import IPV6, Address, parse_address
from .destination import Weighed, deciding_rule, sort_weighed, weigh
from .local import LocalAddress, resolve_zone
from .policy_table import DEFAULT_POLICY, AddressPolicy, PolicyTable
from .routing import ANYTHING, LeftOut, Routing, RoutingRules
from .scope import LINK_LOCAL, is_loopback, is_unicast, scope_of
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
    routing: RoutingRules = ANYTHING
    """The system's routes, and what the caller says about them."""


DEFAULT_PREFERENCES: Final = PairPreferences()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One candidate for a path."""

    local: LocalAddress
    remote: str
    """As given; only an IPv4-mapped address is spelled as the IPv4 address it is."""
    source_rank: int
    """0: the source that RFC 6724 selects on this interface for this remote address."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """A destination over one interface, with all sources that can be used."""

    remote: str
    address: Address
    sources: tuple[RankedSource, ...]
    rank: tuple[float, ...]
    """The preferences in the order of `_RANK_REASONS`; smaller is better."""

    @property
    def best(self) -> LocalAddress:
        return self.sources[0].source


_METRICS: Final = "routes"
_RANK_REASONS: Final = (
    "preference: order of interfaces",
    "preference: order of kinds",
    _METRICS,
    "preference: order of kinds",
    "preference: metered last",
)


def _place(item: str, order: tuple[str, ...]) -> int:
    return order.index(item) if item in order else len(order)


def _rank(local: LocalAddress, preferences: PairPreferences, routing: Routing) -> tuple[float, ...]:
    kind = _place(local.kind, preferences.kinds)
    return (
        _place(local.interface, preferences.interfaces),
        kind if preferences.kinds_first else 0,
        routing.place(local.interface),
        kind,
        1 if local.metered else 0,
    )


def _reaches(
    source: LocalAddress, destination: Address, neighbours: Sequence[LocalAddress]
) -> bool:
    """Whether packets with this source can get there; `neighbours` share its interface."""
    if is_loopback(destination) or scope_of(source.parsed) != LINK_LOCAL:
        return True
    if scope_of(destination) == LINK_LOCAL:
        return True
    return any(local.shares_link_with(destination) for local in neighbours)


def _needs_zone(address: Address) -> bool:
    return address.version == IPV6 and scope_of(address) == LINK_LOCAL and not is_loopback(address)


def _routes(
    local_addresses: Sequence[LocalAddress],
    remotes: Sequence[str],
    preferences: PairPreferences,
    table: PolicyTable,
    routing: Routing,
) -> tuple[list[_Route], list[NoCandidate]]:
    """All routes that can work, in the order of the remotes and then of the interfaces given, and
    those that the system's routes speak against."""
    by_interface: dict[str, list[LocalAddress]] = {}
    for local in dict.fromkeys(local_addresses):
        by_interface.setdefault(local.interface, []).append(local)
    routes = []
    left_out = []
    seen: set[tuple[str, int]] = set()
    for text in remotes:
        given = parse_address(text)
        resolved = resolve_zone(given, local_addresses)
        if not is_unicast(resolved):
            continue
        for interface, neighbours in by_interface.items():
            # the same address may be given with and without a zone, or IPv4-mapped
            same = (interface, resolved.mapped)
            if resolved.zone not in ("", interface) or same in seen:
                continue
            seen.add(same)
            remote = resolved.with_zone(interface) if _needs_zone(resolved) else resolved
            candidates = [
                local
                for local in candidate_sources(remote, neighbours, interface)
                if _reaches(local, remote, neighbours)
            ]
            shown = text if given.version == IPV6 else given.text
            reason = routing.why_not(interface, resolved.mapped) if candidates else None
            if reason is not None:
                left_out.append(NoCandidate(interface=interface, remote=shown, reason=reason))
            elif candidates:
                sources = rank_sources(
                    remote,
                    candidates,
                    outgoing=interface,
                    table=table,
                    policy=preferences.addresses,
                )
                sources = _as_routed(sources, routing.source(interface, resolved.mapped))
                rank = _rank(sources[0].source, preferences, routing)
                routes.append(_Route(remote=shown, address=remote, sources=sources, rank=rank))
    return routes, left_out


def _as_routed(sources: tuple[RankedSource, ...], routed: str | None) -> tuple[RankedSource, ...]:
    """The system's source first: whoever manages the routes may have named it, as a VPN does that
    has an address and no interface of its own."""
    first = [s for s in sources if s.source.address == routed]
    if not first or first[0] is sources[0]:
        return sources
    rest = (s for s in sources if s is not first[0])
    return RankedSource(source=first[0].source, rule=SourceRule.ROUTE), *rest


def _boundary(
    routing: Routing, route: _Route, entry: Weighed, following: _Route, next_entry: Weighed
) -> str:
    """Why one route stands before the one that follows it."""
    reason = deciding(_RANK_REASONS, route.rank, following.rank)
    if reason == _METRICS:
        better, worse = route.best.interface, following.best.interface
        return f"routes: {routing.reason(better)}, before {routing.reason(worse)}"
    return reason or f"RFC 6724 destination {deciding_rule(entry, next_entry).value}"


def candidate_pairs(
    local_addresses: Sequence[LocalAddress],
    remotes: Sequence[str],
    preferences: PairPreferences = DEFAULT_PREFERENCES,
) -> tuple[Pair, ...]:
    """Every pair that can work, the best first. ValueError for a remote that is no IP literal."""
    policy = preferences.addresses
    table = policy.table_for(local_addresses)
    routing = Routing(preferences.routing)
    routes, _ = _routes(local_addresses, remotes, preferences, table, routing)
    weighed = [
        weigh(number, route.address, route.best, reachable=True, table=table, policy=policy)
        for number, route in enumerate(routes)
    ]
    ordered = [(routes[entry.position], entry) for entry in _by_rank(weighed, routes)]
    pairs: list[Pair] = []
    for number, (route, entry) in enumerate(ordered, start=1):
        reasons = [f"RFC 6724 source {ranked.rule.value}" for ranked in route.sources]
        if number < len(ordered):
            reasons[-1] = _boundary(routing, route, entry, *ordered[number])
        elif len(reasons) == 1:
            reasons[-1] = pairs[-1].reason if pairs else "the only pair"
        for rank, (ranked, reason) in enumerate(zip(route.sources, reasons, strict=True)):
            local, remote = ranked.source, route.remote
            pairs.append(Pair(local=local, remote=remote, source_rank=rank, reason=reason))
    return tuple(pairs)


def left_out_pairs(
    local_addresses: Sequence[LocalAddress],
    remotes: Sequence[str],
    preferences: PairPreferences = DEFAULT_PREFERENCES,
) -> tuple[NoCandidate, ...]:
    """What would be candidates, were it not for the system's routes, with the reason."""
    table = preferences.addresses.table_for(local_addresses)
    routing = Routing(preferences.routing)
    return tuple(_routes(local_addresses, remotes, preferences, table, routing)[1])


def _by_rank(weighed: list[Weighed], routes: list[_Route]) -> list[Weighed]:
    """Sorted by the caller's preferences, and by RFC 6724 among those they tie."""
    result: list[Weighed] = []
    for rank in sorted({route.rank for route in routes}):
        result += sort_weighed([w for w in weighed if routes[w.position].rank == rank])
    return result
