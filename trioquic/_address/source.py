"""Source address selection (RFC 6724 sections 4 and 5).

First the candidate set: which of our addresses could be the source of a packet to a destination at
all. Then the order among them. Each rule gives every candidate a number, smaller is better; a
candidate's numbers in the order of the rules are its key, and comparing two keys applies the rules
one after the other. The first number that differs names the rule that decided.

Two rules of the RFC compare only some pairs: rule 4 knows home and care-of addresses, not those
that are neither, and rule 5.5 addresses whose router is known. Taken literally "neither" ties with
both sides of a pair that is not tied, and the later rules could then go round in a circle. We count
an address that is not called a home address as a care-of address, and one of an unknown router as
one of a different router.

The RFC leaves IPv4 sources open; the same rules are applied to them. Where all rules tie the order
given is kept: systems list an interface's primary address first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from operator import itemgetter
from typing import Final, TypeVar

from .address import Address, common_prefix_length
from .local import LocalAddress, resolve_zone
from .policy_table import AddressPolicy, PolicyTable
from .scope import (
    LINK_LOCAL,
    SITE_LOCAL,
    is_loopback,
    is_multicast,
    is_unicast,
    scope_of,
)

R = TypeVar("R")


class SourceRule(Enum):
    """What put one source address before another."""

    SAME_ADDRESS = "rule 1: prefer same address"
    APPROPRIATE_SCOPE = "rule 2: prefer appropriate scope"
    NOT_DEPRECATED = "rule 3: avoid deprecated addresses"
    HOME_ADDRESS = "rule 4: prefer home addresses"
    OUTGOING_INTERFACE = "rule 5: prefer outgoing interface"
    NEXT_HOP_PREFIX = "rule 5.5: prefer addresses in a prefix advertised by the next-hop"
    MATCHING_LABEL = "rule 6: prefer matching label"
    TEMPORARY = "rule 7: prefer temporary addresses"
    LONGEST_PREFIX = "rule 8: use longest matching prefix"
    ROUTE = "no rule: the system sends from there"
    ORDER_GIVEN = "no rule: the order given is kept"
    ONLY_ONE = "there is no other candidate"


# In the order of the keys that `_key` makes.
_RULES: Final = tuple(SourceRule)[:9]
_BEYOND_ANY_SCOPE: Final = 0x10


@dataclass(frozen=True, slots=True, kw_only=True)
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
    destination: Address, local_addresses: Sequence[LocalAddress], outgoing: str | None = None
) -> tuple[LocalAddress, ...]:
    """CandidateSource(D) of section 4, in the order given.

    `outgoing` is the name of the interface that will send, None when that is open. A zone of the
    destination names it too.
    """
    destination = resolve_zone(destination, local_addresses)
    interface = destination.zone or outgoing
    # An interface of which no address is known belongs to the default site.
    sites = {local.site for local in local_addresses if local.interface == interface} or {""}
    # Multicast and link-local destinations mean something on one link only.
    bound = bool(destination.zone) or (
        outgoing is not None and (is_multicast(destination) or scope_of(destination) == LINK_LOCAL)
    )
    within_site = outgoing is not None and scope_of(destination) == SITE_LOCAL
    found = []
    for local in local_addresses:
        address = local.parsed
        if not local.up or address.version != destination.version or not is_unicast(address):
            continue
        # The loopback interface originates what goes to it and forwards nothing (section 4).
        if is_loopback(address) != is_loopback(destination):
            continue
        if bound and local.interface != interface:
            continue
        if within_site and local.site not in sites:
            continue
        found.append(local)
    return tuple(found)


def home_rank(local: LocalAddress, prefer_care_of: bool) -> int:
    """Rule 4 of both algorithms: at home is best, then home before care-of, or reversed."""
    if local.home and local.care_of:
        return 0
    return 2 if local.home == prefer_care_of else 1


def _scope_rank(source: int, destination: int) -> int:
    """Rule 2: the smallest scope that reaches, otherwise the largest of those too small."""
    return source if source >= destination else _BEYOND_ANY_SCOPE + destination - source


def _key(
    source: LocalAddress,
    destination: Address,
    outgoing: str | None,
    table: PolicyTable,
    policy: AddressPolicy,
) -> tuple[int, ...]:
    address = source.parsed
    return (
        0 if address.same_address(destination) else 1,
        _scope_rank(scope_of(address), scope_of(destination)),
        1 if source.is_deprecated else 0,
        home_rank(source, policy.prefer_care_of),
        0 if outgoing is None or source.interface == outgoing else 1,
        0 if source.from_next_hop else 1,
        0 if table.label(address) == table.label(destination) else 1,
        1 if source.temporary == policy.prefer_public else 0,
        -common_prefix_length(address, source.prefix_length, destination),
    )


def rank_sources(
    destination: Address,
    candidates: Iterable[LocalAddress],
    *,
    outgoing: str | None,
    table: PolicyTable,
    policy: AddressPolicy,
) -> tuple[RankedSource, ...]:
    """The candidates by the rules of section 5, the best first."""
    keys = [(_key(local, destination, outgoing, table, policy), local) for local in candidates]
    keys.sort(key=itemgetter(0))
    rules = [
        deciding(_RULES, better, worse) or SourceRule.ORDER_GIVEN
        for (better, _), (worse, _) in pairwise(keys)
    ]
    rules += rules[-1:] or [SourceRule.ONLY_ONE]
    return tuple(
        RankedSource(source=local, rule=rule) for (_, local), rule in zip(keys, rules, strict=False)
    )
