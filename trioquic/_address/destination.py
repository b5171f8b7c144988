"""Destination address selection (RFC 6724 section 6).

Every destination is looked at together with the source that would be selected for it. As with
sources, each rule gives a number, smaller is better, and rules 1 to 8 compare the keys made of
them. Destinations that all of these tie keep the order they came in (rule 10), except that rule 9
compares the common prefix among those of one family.

Rule 9 between some and rule 10 between others can contradict each other: of IPv4 a, IPv6 b, IPv4 c,
all tied, rule 10 wants a b c, while rule 9 may want c before a. We let each family keep its places
in the list and sort only who stands in them: c b a.

A destination that has no source or is known to be unreachable goes last, it is not dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from operator import attrgetter
from typing import Final

from .address import IPV4, IPV6, Address, common_prefix_length
from .local import LocalAddress
from .policy_table import AddressPolicy, PolicyTable
from .scope import scope_of
from .source import deciding, home_rank


class DestinationRule(Enum):
    """What put one destination address before another."""

    USABLE = "rule 1: avoid unusable destinations"
    MATCHING_SCOPE = "rule 2: prefer matching scope"
    NOT_DEPRECATED = "rule 3: avoid deprecated addresses"
    HOME_ADDRESS = "rule 4: prefer home addresses"
    MATCHING_LABEL = "rule 5: prefer matching label"
    HIGHER_PRECEDENCE = "rule 6: prefer higher precedence"
    NATIVE_TRANSPORT = "rule 7: prefer native transport"
    SMALLER_SCOPE = "rule 8: prefer smaller scope"
    LONGEST_PREFIX = "rule 9: use longest matching prefix"
    ORDER_GIVEN = "rule 10: otherwise, leave the order unchanged"
    ONLY_ONE = "there is no other destination"


# In the order of the keys that `weigh` makes.
_RULES: Final = tuple(DestinationRule)[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A destination with its source, ready to be compared. `position` finds it again."""

    position: int
    version: int
    source: LocalAddress | None
    key: tuple[int, ...]
    """Rules 1 to 8."""
    common_prefix: int
    """Rule 9: minus the length of the prefix in common, so that smaller is better."""


def weigh(
    position: int,
    destination: Address,
    source: LocalAddress | None,
    *,
    reachable: bool,
    table: PolicyTable,
    policy: AddressPolicy,
) -> Weighed:
    """Apply each rule to one destination. Without a source, all that ask for it say no."""
    scope = scope_of(destination)
    row = table.lookup(destination)
    scope_differs = deprecated = label_differs = encapsulated = True
    home, common = 0, 0
    if source is not None:
        scope_differs = scope_of(source.parsed) != scope
        deprecated = source.is_deprecated
        home = home_rank(source, policy.prefer_care_of)
        label_differs = table.label(source.parsed) != row.label
        encapsulated = source.encapsulated
        common = common_prefix_length(source.parsed, source.prefix_length, destination)
    return Weighed(
        position=position,
        version=destination.version,
        source=source,
        key=(
            0 if reachable and source is not None else 1,
            1 if scope_differs else 0,
            1 if deprecated else 0,
            home,
            1 if label_differs else 0,
            -row.precedence,
            1 if encapsulated else 0,
            scope,
        ),
        common_prefix=-common,
    )


def deciding_rule(better: Weighed, worse: Weighed) -> DestinationRule:
    """Why `better`, which stands directly before `worse` in a sorted list, does so."""
    rule = deciding(_RULES, better.key, worse.key)
    if rule is not None:
        return rule
    if better.version == worse.version and better.common_prefix != worse.common_prefix:
        return DestinationRule.LONGEST_PREFIX
    return DestinationRule.ORDER_GIVEN


def sort_weighed(entries: Sequence[Weighed]) -> list[Weighed]:
    """Rules 1 to 10."""
    result: list[Weighed] = []
    for _, group in groupby(sorted(entries, key=attrgetter("key")), key=attrgetter("key")):
        tied = list(group)
        by_prefix = sorted(tied, key=attrgetter("common_prefix"))
        families = {
            version: iter([entry for entry in by_prefix if entry.version == version])
            for version in (IPV4, IPV6)
        }
        result.extend(next(families[entry.version]) for entry in tied)
    return result
