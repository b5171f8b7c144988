"""RFC 6724's two algorithms alone, as its examples have them: without interfaces, routes and the
preferences of applications, which `candidate_pairs` weaves in.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trioquic._address.address import parse_address
from trioquic._address.destination import DestinationRule, deciding_rule, sort_weighed, weigh
from trioquic._address.local import LocalAddress, resolve_zone
from trioquic._address.policy_table import DEFAULT_POLICY, AddressPolicy
from trioquic._address.source import RankedSource, candidate_sources, rank_sources


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedDestination:
    """A destination, its source, and what put it before the next (the last: behind another)."""

    destination: str
    source: LocalAddress | None
    rule: DestinationRule


def order_sources(
    destination: str,
    local_addresses: Sequence[LocalAddress],
    *,
    outgoing: str | None = None,
    policy: AddressPolicy = DEFAULT_POLICY,
) -> tuple[RankedSource, ...]:
    """All sources that could be used for a destination, the best first."""
    remote = resolve_zone(parse_address(destination), local_addresses)
    return rank_sources(
        remote,
        candidate_sources(remote, local_addresses, outgoing),
        outgoing=remote.zone or outgoing,
        table=policy.table_for(local_addresses),
        policy=policy,
    )


def select_source(
    destination: str,
    local_addresses: Sequence[LocalAddress],
    *,
    outgoing: str | None = None,
    policy: AddressPolicy = DEFAULT_POLICY,
) -> RankedSource | None:
    """Source(D): the source for a destination and the rule that chose it, None if there is none."""
    ordered = order_sources(destination, local_addresses, outgoing=outgoing, policy=policy)
    return ordered[0] if ordered else None


def order_destinations(
    destinations: Sequence[str],
    local_addresses: Sequence[LocalAddress],
    *,
    outgoing: Mapping[str, str] | None = None,
    unreachable: Collection[str] = (),
    policy: AddressPolicy = DEFAULT_POLICY,
) -> tuple[RankedDestination, ...]:
    """The destinations in the order to try them, each with its source.

    `outgoing` names the interface that will send to a destination, where it is known, and
    `unreachable` the destinations known to be unreachable; both by the text in `destinations`.
    """
    table = policy.table_for(local_addresses)
    routes = outgoing or {}
    entries = []
    for position, text in enumerate(destinations):
        remote = resolve_zone(parse_address(text), local_addresses)
        interface = remote.zone or routes.get(text)
        ranked = rank_sources(
            remote,
            candidate_sources(remote, local_addresses, interface),
            outgoing=interface,
            table=table,
            policy=policy,
        )
        source = ranked[0].source if ranked else None
        reachable = text not in unreachable
        entries.append(
            weigh(position, remote, source, reachable=reachable, table=table, policy=policy)
        )
    ordered = sort_weighed(entries)
    rules = [deciding_rule(*two) for two in pairwise(ordered)]
    if len(ordered) == 1:
        rules = [DestinationRule.ONLY_ONE]
    else:
        rules += rules[-1:]
    return tuple(
        RankedDestination(destination=destinations[entry.position], source=entry.source, rule=rule)
        for entry, rule in zip(ordered, rules, strict=True)
    )
