"""Each rule of source and destination selection alone, candidate sets and reversed preferences."""

from dataclasses import replace

import pytest

from tests.address.build import PLAIN, local, table_with
from tests.address.selection import (
    RankedDestination,
    candidate_pairs,
    order_destinations,
    order_sources,
    select_source,
)
from trioquic import Route
from trioquic._address.destination import DestinationRule as D
from trioquic._address.local import LocalAddress
from trioquic._address.pairs import PairPreferences, routes_of
from trioquic._address.policy_table import AddressPolicy
from trioquic._address.routing import LeftOut, Routing
from trioquic._address.source import SourceRule as S

GLOBAL = "2001:db8:f::1"


def chosen(
    destination: str,
    sources: list[LocalAddress],
    policy: AddressPolicy = PLAIN,
) -> tuple[str, S]:
    """The source selected, whatever the order of the candidates, and the rule."""
    one = select_source(destination, sources, policy=policy)
    two = select_source(destination, sources[::-1], policy=policy)
    assert one is not None and one == two
    return one.source.address, one.rule


def both(destination: str, better: LocalAddress, worse: LocalAddress, rule: S) -> None:
    assert chosen(destination, [better, worse]) == (better.address, rule)


def test_source_rule_1_same_address() -> None:
    both(GLOBAL, local(GLOBAL, deprecated=True), local("2001:db8:f::2"), S.SAME_ADDRESS)


@pytest.mark.parametrize(
    ("destination", "better", "worse"),
    [
        (GLOBAL, "2001:db8::1", "fe80::1"),
        (GLOBAL, "2001:db8::1", "fec0::1"),
        (GLOBAL, "fec0::1", "fe80::1"),  # neither reaches: the larger
        ("fec0::9", "fec0::1", "2001:db8::1"),  # both reach: the smaller
        ("fec0::9", "2001:db8::1", "fe80::1"),
        ("fe80::9", "fe80::1", "2001:db8::1"),
        ("ff08::9", "2001:db8::1", "fec0::1"),
        ("198.51.100.1", "10.0.0.1", "169.254.0.1"),
        ("169.254.0.9", "169.254.0.1", "10.0.0.1"),
    ],
)
def test_source_rule_2_appropriate_scope(destination: str, better: str, worse: str) -> None:
    both(destination, local(better), local(worse), S.APPROPRIATE_SCOPE)


def test_source_rule_3_avoid_deprecated() -> None:
    both(GLOBAL, local("2001:db8::1"), local("2001:db8:f::2", deprecated=True), S.NOT_DEPRECATED)
    # IPv4 addresses have no such status
    older = local("198.51.100.2", deprecated=True)
    both("198.51.100.1", older, local("203.0.113.2"), S.LONGEST_PREFIX)


def test_source_rule_4_home() -> None:
    """A home address on a link is a care-of address as well: the node is at home. That of a node
    that is away is on a tunnel."""
    at_home = local("2001:db8::1", home=True)
    away = local("2001:db8:e::2", home=True, encapsulated=True)
    care_of = local("2001:db8:f::3")
    both(GLOBAL, at_home, away, S.HOME_ADDRESS)
    both(GLOBAL, at_home, care_of, S.HOME_ADDRESS)
    both(GLOBAL, away, care_of, S.HOME_ADDRESS)


def test_source_rule_4_reversed() -> None:
    policy = AddressPolicy(prefer_care_of=True)
    away, care_of = local("2001:db8:f::2", home=True, encapsulated=True), local("2001:db8::3")
    assert chosen(GLOBAL, [away, care_of], policy=policy) == (care_of.address, S.HOME_ADDRESS)
    at_home = local("2001:db8::1", home=True)
    assert chosen(GLOBAL, [at_home, care_of], policy=policy) == (at_home.address, S.HOME_ADDRESS)


def test_source_rule_5_outgoing_interface() -> None:
    """On each interface its own addresses are asked alone."""
    near, far = local("2001:db8:f::2", "eth1"), local("2001:db8::1", "eth0")
    assert chosen(GLOBAL, [near, far]) == (near.address, S.LONGEST_PREFIX)
    pairs = candidate_pairs([near, far], [GLOBAL])
    assert [(p.interface, p.local, p.source_rank) for p in pairs] == [
        ("eth1", near.address, 0),
        ("eth0", far.address, 0),
    ]


def test_source_rule_5_5_addresses_of_the_next_hop() -> None:
    """What the system tells of its routers, with each of its answers about the way there."""
    ours, others = local("2400:a::1"), local("2001:db8:f::1:1")
    both(GLOBAL, others, ours, S.LONGEST_PREFIX)
    route = Route(remote=GLOBAL, interface="eth0", next_hop_sources=(ours.address,))
    preferences = PairPreferences(routing=Routing(routes=[route]))
    for machine in ([ours, others], [others, ours]):
        best, second = candidate_pairs(machine, [GLOBAL], preferences)
        assert (best.local, best.source_rank) == (ours.address, 0)
        assert best.reason == "RFC 6724 source rule 5.5: prefer addresses of the next hop"
        assert second.local == others.address
    # before the labels, which are rule 6
    teredo = local("2001::1")
    route = replace(route, next_hop_sources=(teredo.address,))
    preferences = PairPreferences(routing=Routing(routes=[route]))
    assert candidate_pairs([ours, teredo], [GLOBAL], preferences)[0].local == teredo.address


def test_source_rule_6_matching_label() -> None:
    both(GLOBAL, local("2400::1"), local("2001::1"), S.MATCHING_LABEL)
    both("fd00::9", local("fd77::1"), local("2001:db8::1"), S.MATCHING_LABEL)


def test_source_rule_7_temporary_and_reversed() -> None:
    temporary, public = local("2001:db8::1", temporary=True), local("2001:db8:f::2")
    both(GLOBAL, temporary, public, S.TEMPORARY)
    reversed_ = AddressPolicy(prefer_public=True)
    assert chosen(GLOBAL, [temporary, public], policy=reversed_) == (public.address, S.TEMPORARY)


def test_source_rule_8_longest_prefix_only_up_to_the_prefix_length() -> None:
    both(GLOBAL, local("2001:db8:f::2"), local("2001:db8:e::1"), S.LONGEST_PREFIX)
    # more bits of the interface identifier in common count for nothing
    first, second = local("2001:db8:f::ffff"), local("2001:db8:f::3")
    ordered = order_sources(GLOBAL, [first, second])
    assert [r.source for r in ordered] == [first, second]
    assert {r.rule for r in ordered} == {S.ORDER_GIVEN}


def test_one_source_and_none() -> None:
    only = select_source(GLOBAL, [local("2001:db8::1"), local("10.0.0.1")])
    assert only is not None and only.rule is S.ONLY_ONE
    assert select_source(GLOBAL, [local("10.0.0.1")]) is None
    assert select_source(GLOBAL, []) is None


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        (GLOBAL, ["2001:db8::1", "2001:db8::2", "fec0::1", "fec0::2"]),
        # what means something on one link or in one site only is asked for on each
        ("fe80::9%eth1", ["2001:db8::2", "fe80::2", "fec0::2"]),
        ("fe80::9%5", ["2001:db8::2", "fe80::2", "fec0::2"]),
        ("fe80::9%eth7", []),
        ("fec0::9%eth0", ["2001:db8::1", "fe80::1", "fec0::1"]),
        ("::1", ["::1"]),
        ("127.0.0.1", []),
        ("198.51.100.1", ["10.0.0.1"]),
        ("::ffff:198.51.100.1", ["10.0.0.1"]),
    ],
)
def test_the_candidate_set(destination: str, expected: list[str]) -> None:
    texts = ["2001:db8::{}", "fe80::{}", "fec0::{}"]
    addresses = [local(t.format(1), "eth0", index=4) for t in texts]
    addresses += [local(t.format(2), "eth1", index=5) for t in texts]
    addresses += [local("::1", "lo"), local("::", "eth0")]
    addresses += [local("10.0.0.1"), local("ff02::1"), local("224.0.0.1"), local("0.0.0.0")]
    found = candidate_pairs(addresses, [destination])
    assert sorted(pair.local for pair in found) == sorted(expected)


# Destinations


def ordered(
    destinations: list[str], sources: list[LocalAddress], policy: AddressPolicy = PLAIN
) -> tuple[RankedDestination, ...]:
    """Sorted from both orders, which must give the same."""
    one = order_destinations(destinations, sources, policy=policy)
    assert one == order_destinations(destinations[::-1], sources, policy=policy)
    return one


def before(
    better: str, worse: str, sources: list[LocalAddress], rule: D, policy: AddressPolicy = PLAIN
) -> None:
    found = ordered([better, worse], sources, policy)
    assert [r.destination for r in found] == [better, worse]
    assert [r.rule for r in found] == [rule, rule]


def test_destination_rule_1_no_source() -> None:
    """What cannot be used is no candidate."""
    found = ordered([GLOBAL, "198.51.100.1"], [local("169.254.0.1")])
    assert [r.destination for r in found] == ["198.51.100.1"]


def test_destination_rule_1_unreachable() -> None:
    sources = [local("2001:db8::1"), local("10.0.0.1")]
    routing = Routing(routes=[Route(remote="198.51.100.1", interface="eth0")])
    preferences = PairPreferences(routing=routing)
    (pair,) = candidate_pairs(sources, [GLOBAL, "198.51.100.1"], preferences)
    assert pair.remote == "198.51.100.1"
    _, (left,) = routes_of(sources, [GLOBAL, "198.51.100.1"], preferences)
    assert (left.remote, left.reason) == (GLOBAL, LeftOut.NO_ROUTE)


def test_destination_rule_2_matching_scope() -> None:
    before("198.51.100.1", GLOBAL, [local("fe80::1"), local("10.0.0.1")], D.MATCHING_SCOPE)


def test_destination_rule_3_deprecated_source() -> None:
    sources = [local("2001:db8::1", deprecated=True), local("10.0.0.1")]
    before("198.51.100.1", GLOBAL, sources, D.NOT_DEPRECATED)


def test_destination_rule_4_home_source_and_reversed() -> None:
    sources = [local("2001:db8::1"), local("10.0.0.1", home=True, encapsulated=True)]
    before("198.51.100.1", GLOBAL, sources, D.HOME_ADDRESS)
    before(GLOBAL, "198.51.100.1", sources, D.HOME_ADDRESS, AddressPolicy(prefer_care_of=True))


def test_destination_rule_5_matching_label() -> None:
    before("198.51.100.1", GLOBAL, [local("2001::1"), local("10.0.0.1")], D.MATCHING_LABEL)


def test_destination_rule_6_precedence() -> None:
    before(GLOBAL, "198.51.100.1", [local("2400::1"), local("10.0.0.1")], D.HIGHER_PRECEDENCE)


SAME_PRECEDENCE = AddressPolicy(table=table_with(("::ffff:0:0/96", 40, 4)))


def test_destination_rule_7_native_transport() -> None:
    sources = [local("2400::1", "sit1", encapsulated=True), local("10.0.0.1")]
    before("198.51.100.1", GLOBAL, sources, D.NATIVE_TRANSPORT, SAME_PRECEDENCE)


def test_destination_rule_8_smaller_scope() -> None:
    sources = [local("2400::1"), local("fe80::1", "eth1")]
    before("fe80::9", GLOBAL, sources, D.SMALLER_SCOPE)
    before("fe80::9%eth1", GLOBAL, sources, D.SMALLER_SCOPE)
    assert ordered([], sources) == ()


def test_destination_rule_9_longest_prefix_in_one_family() -> None:
    sources = [local("2001:db8::1"), local("10.0.0.1")]
    before("2001:db8::9", "2400::9", sources, D.LONGEST_PREFIX)
    before("10.0.0.9", "10.0.1.9", sources, D.LONGEST_PREFIX)


def test_destination_rule_9_does_not_compare_families() -> None:
    sources = [local("2001:db8::1"), local("10.0.0.1")]
    remotes = ["10.7.7.7", "2001:db8::9"]
    for order in (remotes, remotes[::-1]):
        found = order_destinations(order, sources, policy=SAME_PRECEDENCE)
        assert [(r.destination, r.rule) for r in found] == [(t, D.ORDER_GIVEN) for t in order]


def test_destination_rule_9_keeps_the_places_of_the_families() -> None:
    sources = [local("2001:db8::1"), local("10.0.0.1")]
    remotes = ["198.51.100.1", "2001:db8::9", "10.0.0.9"]
    found = order_destinations(remotes, sources, policy=SAME_PRECEDENCE)
    assert [r.destination for r in found] == ["10.0.0.9", "2001:db8::9", "198.51.100.1"]


def test_destination_rule_10_leaves_the_order() -> None:
    remotes = [f"2001:db8:f::{n}" for n in (5, 1, 9, 3)]
    found = order_destinations(remotes, [local("2001:db8:f::77")])
    assert [r.destination for r in found] == remotes
    assert {r.rule for r in found} == {D.ORDER_GIVEN}
