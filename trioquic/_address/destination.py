"""Destination address selection (RFC 6724 section 6).

Every destination is looked at together with the source that would be selected for it; one that has
none, or no route, is no candidate (rule 1). As with sources, each rule gives a number, smaller is
better, and rules 2 to 8 compare the keys made of them. Destinations that all of these tie keep the
order they came in (rule 10), except that rule 9 compares the common prefix among those of one
family.

Rule 9 between some and rule 10 between others can contradict each other: of IPv4 a, IPv6 b, IPv4 c,
all tied, rule 10 wants a b c, while rule 9 may want c before a. We let each family keep its places
in the list and sort only who stands in them: c b a.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from operator import attrgetter
from typing import Final

from .address import Address
from .policy_table import AddressPolicy, PolicyTable
from .scope import scope_of
from .source import RankedSource, deciding, home_rank


class DestinationRule(Enum):
    """What put one destination address before another."""

    MATCHING_SCOPE = "rule 2: prefer matching scope"
    NOT_DEPRECATED = "rule 3: avoid deprecated addresses"
    HOME_ADDRESS = "rule 4: prefer home addresses"
    MATCHING_LABEL = "rule 5: prefer matching label"
    HIGHER_PRECEDENCE = "rule 6: prefer higher precedence"
    NATIVE_TRANSPORT = "rule 7: prefer native transport"
    SMALLER_SCOPE = "rule 8: prefer smaller scope"
    LONGEST_PREFIX = "rule 9: use longest matching prefix"
    ORDER_GIVEN = "rule 10: otherwise, leave the order unchanged"


# In the order of the keys that `weigh` makes.
_RULES: Final = tuple(DestinationRule)[:7]
_ORDER: Final = attrgetter("rank", "key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A destination with its sources, the best first, ready to be compared."""

    remote: str
    """As the caller calls it."""
    sources: tuple[RankedSource, ...]
    version: int
    rank: tuple[float, ...]
    """What the caller prefers, before any rule; smaller is better."""
    key: tuple[int, ...]
    """Rules 2 to 8."""
    common_prefix: int
    """Rule 9: minus the length of the prefix in common, so that smaller is better."""


def weigh(
    remote: str,
    destination: Address,
    sources: tuple[RankedSource, ...],
    *,
    rank: tuple[float, ...],
    table: PolicyTable,
    policy: AddressPolicy,
) -> Weighed:
    """Apply each rule to one destination, which has a source."""
    scope = scope_of(destination)
    row = table.lookup(destination)
    source = sources[0].source
    return Weighed(
        remote=remote,
        sources=sources,
        version=destination.version,
        rank=rank,
        key=(
            scope_of(source.parsed) != scope,
            source.is_deprecated,
            home_rank(source, policy),
            table.label(source.parsed) != row.label,
            -row.precedence,
            source.encapsulated,
            scope,
        ),
        common_prefix=-source.prefix_in_common(destination),
    )


def deciding_rule(better: Weighed, worse: Weighed) -> DestinationRule:
    """Why `better`, which stands directly before `worse` in a sorted list, does so; their ranks
    are equal."""
    rule = deciding(_RULES, better.key, worse.key)
    if rule is not None:
        return rule
    if better.version == worse.version and better.common_prefix != worse.common_prefix:
        return DestinationRule.LONGEST_PREFIX
    return DestinationRule.ORDER_GIVEN


def sort_weighed(entries: Sequence[Weighed]) -> list[Weighed]:
    """By the caller's preferences, and by rules 2 to 10 among those they tie."""
    result: list[Weighed] = []
    for _, group in groupby(sorted(entries, key=_ORDER), key=_ORDER):
        tied = list(group)
        by_prefix = sorted(tied, key=attrgetter("common_prefix"))
        families = {
            version: iter([entry for entry in by_prefix if entry.version == version])
            for version in (4, 6)
        }
        result.extend(next(families[entry.version]) for entry in tied)
    return result
