"""What must hold for any addresses whatever."""

from collections import Counter
from itertools import combinations, product
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.address.build import local, table_with
from tests.address.selection import candidate_pairs, order_destinations, order_sources
from trioquic._address.address import parse_address
from trioquic._address.destination import DestinationRule
from trioquic._address.local import LocalAddress
from trioquic._address.pairs import PairPreferences
from trioquic._address.policy_table import DEFAULT_TABLE, AddressPolicy
from trioquic._address.scope import scope_of
from trioquic._address.source import RankedSource, SourceRule

V6 = "2001:db8:1:: 2001:db8:2:: 2400:: 2001:: 2002:a:: fd11:: fd22:: fe80:: fec0::".split()
V4 = "10.0.0. 10.0.1. 169.254.7. 198.51.100.".split()
texts = st.builds("{}{}".format, st.sampled_from(V6 + V4), st.integers(1, 4))
tables = st.sampled_from(
    [
        DEFAULT_TABLE,
        # nothing but scopes and prefixes is left to decide
        table_with(*((row.prefix, 1, 1) for row in DEFAULT_TABLE.rows)),
    ]
)
policies = st.builds(
    AddressPolicy,
    table=tables,
    automatic_rows=st.booleans(),
    prefer_public=st.booleans(),
    prefer_care_of=st.booleans(),
)


@st.composite
def local_addresses(draw: st.DrawFn) -> LocalAddress:
    text = draw(texts)
    return LocalAddress(
        address=text,
        prefix_length=draw(st.sampled_from([48, 64] if ":" in text else [16, 24, 32])),
        interface=draw(st.sampled_from(["eth0", "wlan0"])),
        kind=draw(st.sampled_from(["ethernet", "wifi"])),
        metered=draw(st.sampled_from([None, False, True])),
        deprecated=draw(st.booleans()),
        temporary=draw(st.booleans()),
        home=draw(st.booleans()),
        encapsulated=draw(st.booleans()),
    )


machines = st.lists(local_addresses(), max_size=6)
remotes = st.lists(texts, max_size=6, unique=True)


@given(texts, machines, policies, st.randoms(use_true_random=False))
def test_sources_sort_the_same_from_any_order(
    remote: str, machine: list[LocalAddress], policy: AddressPolicy, rng: Random
) -> None:
    shuffled = machine[:]
    rng.shuffle(shuffled)
    one = order_sources(remote, machine, policy=policy)
    two = order_sources(remote, shuffled, policy=policy)
    assert [r.rule for r in one] == [r.rule for r in two]
    # the same up to ties: cut into groups at each decision
    assert _tied_groups(one) == _tied_groups(two)


def _tied_groups(ranked: tuple[RankedSource, ...]) -> list[set[LocalAddress]]:
    groups: list[set[LocalAddress]] = [set()]
    for number, entry in enumerate(ranked):
        groups[-1].add(entry.source)
        last = number == len(ranked) - 1
        if not last and entry.rule is not SourceRule.ORDER_GIVEN:
            groups.append(set())
    return groups


@given(texts, machines, policies)
def test_any_two_sources_compare_as_in_the_whole_list(
    remote: str, machine: list[LocalAddress], policy: AddressPolicy
) -> None:
    """A total order: were it not transitive, some pair would stand the wrong way round."""
    policy = AddressPolicy(
        table=policy.table_for(machine),
        automatic_rows=False,
        prefer_public=policy.prefer_public,
        prefer_care_of=policy.prefer_care_of,
    )
    whole = [r.source for r in order_sources(remote, machine, policy=policy)]
    for first, second in combinations(whole, 2):
        forth = order_sources(remote, [first, second], policy=policy)
        back = order_sources(remote, [second, first], policy=policy)
        assert [r.source for r in forth] == [first, second]
        assert forth[0].rule is back[0].rule
        if forth[0].rule is not SourceRule.ORDER_GIVEN:
            assert forth == back


@given(texts, machines, policies)
def test_a_source_of_matching_scope_is_never_passed_over_for_a_smaller_one(
    remote: str, machine: list[LocalAddress], policy: AddressPolicy
) -> None:
    found = order_sources(remote, machine, policy=policy)
    scope = scope_of(parse_address(remote))
    if any(scope_of(r.source.parsed) >= scope for r in found):
        assert scope_of(found[0].source.parsed) >= scope


@given(remotes, machines, policies)
def test_any_two_destinations_compare_as_in_the_whole_list(
    destinations: list[str], machine: list[LocalAddress], policy: AddressPolicy
) -> None:
    ranked = order_destinations(destinations, machine, policy=policy)
    usable = [text for text in destinations if order_sources(text, machine)]
    assert sorted(r.destination for r in ranked) == sorted(usable)
    whole = [r.destination for r in ranked]
    for first, second in combinations(whole, 2):
        forth = order_destinations([first, second], machine, policy=policy)
        back = order_destinations([second, first], machine, policy=policy)
        assert [r.destination for r in forth] == [first, second]
        assert forth[0].rule is back[0].rule
        if forth[0].rule is not DestinationRule.ORDER_GIVEN:
            assert forth == back
        elif (":" in first) == (":" in second):
            # rule 10, and rule 9 did not interfere: the order of the list
            assert destinations.index(first) < destinations.index(second)


@given(st.lists(texts, max_size=6), machines, policies)
def test_sorting_again_changes_nothing(
    destinations: list[str], machine: list[LocalAddress], policy: AddressPolicy
) -> None:
    once = order_destinations(destinations, machine, policy=policy)
    again = order_destinations([r.destination for r in once], machine, policy=policy)
    assert again == once


@given(st.permutations([f"2001:db8:1::{n}" for n in range(1, 6)]))
def test_rule_10_is_stable(destinations: list[str]) -> None:
    machine = [LocalAddress(address="2001:db8:1::9", prefix_length=64, interface="eth0")]
    assert [r.destination for r in order_destinations(destinations, machine)] == destinations


@given(texts, texts, st.integers(0, 32))
def test_common_prefix_length_against_strings(one: str, two: str, length: int) -> None:
    source, destination = parse_address(one), parse_address(two)
    expected = 0
    if source.version == destination.version:
        width = source.max_prefixlen
        a, b = f"{int(source):0{width}b}", f"{int(destination):0{width}b}"
        while expected < length and a[expected] == b[expected]:
            expected += 1
    assert local(f"{one}/{length}").prefix_in_common(destination) == expected


@given(machines, remotes)
def test_pairs_are_all_different_and_obey_the_preferences(
    machine: list[LocalAddress], destinations: list[str]
) -> None:
    preferences = PairPreferences(interfaces=("wlan0",))
    pairs = candidate_pairs(machine, destinations, preferences)
    ways = [(pair.interface, pair.local, pair.remote) for pair in pairs]
    # an address of which there are two sets of facts stands for two
    own = Counter((entry.interface, entry.address) for entry in set(machine))
    assert all(times == own[name, address] for (name, address, _), times in Counter(ways).items())
    assert {remote for _, _, remote in ways} <= set(destinations)
    assert all(pair.reason for pair in pairs)
    names = [pair.interface for pair in pairs]
    assert names == sorted(names, key=("wlan0", "eth0").index)
    for entry, remote in product(machine, destinations):
        if (":" in entry.address) == (":" in remote) and not entry.address.startswith(
            ("fe80", "169.254")
        ):
            assert (entry.interface, entry.address, remote) in ways
