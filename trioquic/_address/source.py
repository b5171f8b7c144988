"""Source address selection (RFC 6724 sections 4 and 5).

First the candidate set: which of our addresses could be the source of a packet to a destination at
all. Then the order among them. Each rule gives every candidate a number, smaller is better; a
candidate's numbers in the order of the rules are its key, and comparing two keys applies the rules
one after the other. The first number that differs names the rule that decided.

The question is asked of one interface at a time, so sources are always on the right link and in the
right site (section 4), and rule 5, which prefers the outgoing interface, has nothing to decide.
Rule 5.5 needs to know which addresses belong to the router in use; where nobody tells, all do. Rule
4 knows home and care-of addresses: one that is not called a home address counts as a care-of
address, one that is and that is not in a tunnel as both.

IPv4-converted destinations of a node that translates them itself (SIIT, section 4) need no rule: an
application there sees the translator as an interface with IPv4.

The RFC leaves IPv4 sources open; the same rules are applied to them. Where all rules tie the order
given is kept: systems list an interface's primary address first.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final, TypeVar

from .address import Address, mapped
from .local import LocalAddress
from .policy_table import AddressPolicy, PolicyTable
from .scope import is_unicast, scope_of

R = TypeVar("R")


class SourceRule(Enum):
    """What put one source address before another."""

    SAME_ADDRESS = "rule 1: prefer same address"
    APPROPRIATE_SCOPE = "rule 2: prefer appropriate scope"
    NOT_DEPRECATED = "rule 3: avoid deprecated addresses"
    HOME_ADDRESS = "rule 4: prefer home addresses"
    NEXT_HOP = "rule 5.5: prefer addresses of the next hop"
    MATCHING_LABEL = "rule 6: prefer matching label"
    TEMPORARY = "rule 7: prefer temporary addresses"
    LONGEST_PREFIX = "rule 8: use longest matching prefix"
    ROUTE = "no rule: the system sends from there"
    ORDER_GIVEN = "no rule: the order given is kept"
    ONLY_ONE = "there is no other candidate"


# In the order of the keys that `rank_sources` makes.
_RULES: Final = tuple(SourceRule)[:8]
_BEYOND_ANY_SCOPE: Final = 0x10


@dataclass(frozen=True, slots=True)
class RankedSource:
    """A source address, and what put it before the next one (the last one: behind the previous)."""

    source: LocalAddress
    rule: SourceRule


def deciding(rules: Sequence[R], better: Sequence[float], worse: Sequence[float]) -> R | None:
    """The rule of the first number in which two keys differ; None if they are equal."""
    for rule, first, second in zip(rules, better, worse, strict=True):
        if first != second:
            return rule
    return None


def candidate_sources(
    destination: Address, neighbours: Iterable[LocalAddress]
) -> tuple[LocalAddress, ...]:
    """CandidateSource(D) of section 4 among the addresses of one interface, in the order given."""
    return tuple(
        local
        for local in neighbours
        if local.parsed.version == destination.version
        and is_unicast(local.parsed)
        # The loopback interface originates what goes to it and forwards nothing (section 4).
        and local.parsed.is_loopback == destination.is_loopback
    )


def _scope_rank(source: int, destination: int) -> int:
    """Rule 2: the smallest scope that reaches, otherwise the largest of those too small."""
    return source if source >= destination else _BEYOND_ANY_SCOPE + destination - source


def home_rank(source: LocalAddress, policy: AddressPolicy) -> int:
    """Rule 4: at home, then home addresses, then care-of addresses, or these two the other way."""
    return 0 if source.is_at_home else 1 + (source.home == policy.prefer_care_of)


def rank_sources(
    destination: Address,
    candidates: Iterable[LocalAddress],
    *,
    table: PolicyTable,
    policy: AddressPolicy,
    next_hop: Collection[str] = (),
) -> tuple[RankedSource, ...]:
    """The candidates by the rules of section 5, the best first. `next_hop`: those that belong to
    the router that packets take; empty: nobody can tell."""

    def key(source: LocalAddress) -> tuple[int, ...]:
        address = source.parsed
        return (
            mapped(address) != mapped(destination),
            _scope_rank(scope_of(address), scope_of(destination)),
            source.is_deprecated,
            home_rank(source, policy),
            bool(next_hop) and source.address not in next_hop,
            table.label(address) != table.label(destination),
            source.temporary == policy.prefer_public,
            -source.prefix_in_common(destination),
        )

    ordered = sorted(candidates, key=key)
    rules = [
        deciding(_RULES, key(better), key(worse)) or SourceRule.ORDER_GIVEN
        for better, worse in pairwise(ordered)
    ]
    rules += rules[-1:] or [SourceRule.ONLY_ONE]
    return tuple(map(RankedSource, ordered, rules))
