"""RFC 6724's two algorithms alone, as its examples have them: without interfaces, routes and the
preferences of applications, which `candidate_pairs` weaves in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from trioquic._address.address import parse_address
from trioquic._address.destination import DestinationRule, deciding_rule, sort_weighed, weigh
from trioquic._address.local import LocalAddress
from trioquic._address.pairs import AddressPair, PairPreferences
from trioquic._address.pairs import candidate_pairs as _candidate_pairs
from trioquic._address.policy_table import DEFAULT_POLICY, AddressPolicy
from trioquic._address.source import RankedSource, candidate_sources, rank_sources


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedDestination:
    """A destination, its source, and what put it before the next (the last: behind another)."""

    destination: str
    source: LocalAddress
    rule: DestinationRule


def order_sources(
    destination: str,
    local_addresses: Sequence[LocalAddress],
    *,
    policy: AddressPolicy = DEFAULT_POLICY,
) -> tuple[RankedSource, ...]:
    """All sources that could be used for a destination, the best first."""
    remote = parse_address(destination)
    candidates = candidate_sources(remote, local_addresses)
    table = policy.table_for(local_addresses)
    return rank_sources(remote, candidates, table=table, policy=policy)


def select_source(
    destination: str,
    local_addresses: Sequence[LocalAddress],
    *,
    policy: AddressPolicy = DEFAULT_POLICY,
) -> RankedSource | None:
    """Source(D): the source for a destination and the rule that chose it, None if there is none."""
    return next(iter(order_sources(destination, local_addresses, policy=policy)), None)


def order_destinations(
    destinations: Sequence[str],
    local_addresses: Sequence[LocalAddress],
    *,
    policy: AddressPolicy = DEFAULT_POLICY,
) -> tuple[RankedDestination, ...]:
    """The destinations that have a source in the order to try them, each with its source."""
    table = policy.table_for(local_addresses)
    ordered = sort_weighed(
        [
            weigh(text, parse_address(text), sources, rank=(), table=table, policy=policy)
            for text in destinations
            if (sources := order_sources(text, local_addresses, policy=policy))
        ]
    )
    rules = [deciding_rule(*two) for two in pairwise(ordered)]
    rules += rules[-1:] or [DestinationRule.ORDER_GIVEN]
    return tuple(
        RankedDestination(destination=one.remote, source=one.sources[0].source, rule=rule)
        for one, rule in zip(ordered, rules, strict=False)
    )


def candidate_pairs(
    local_addresses: Sequence[LocalAddress],
    remotes: Sequence[str],
    preferences: PairPreferences | None = None,
) -> tuple[AddressPair, ...]:
    """Every pair that can work, the best first, by the usual preferences if none are given."""
    return _candidate_pairs(local_addresses, remotes, preferences or PairPreferences())
