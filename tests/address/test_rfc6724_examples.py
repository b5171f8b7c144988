"""Every example of RFC 6724 sections 10.1 to 10.7.

The text has three slips, which are corrected here: 10.1's first result lacks a group
(`2001:db8::1` for `2001:db8:3::1`), 10.6 writes `ff00:1` for `ff00::1`, and with the row of 10.6
rule 5 decides the unchanged result already, so that rule 6, which the text names, is not reached.
"""

import pytest

from tests.address.build import PLAIN, locals_of, table_with
from tests.address.selection import candidate_pairs, order_destinations, select_source
from trioquic import Route
from trioquic._address.destination import DestinationRule as D
from trioquic._address.pairs import PairPreferences, routes_of
from trioquic._address.policy_table import AddressPolicy
from trioquic._address.routing import LeftOut, Routing
from trioquic._address.source import SourceRule as S


def check_source(
    destination: str, candidates: str, result: str, rule: S, policy: AddressPolicy = PLAIN
) -> None:
    for sources in (locals_of(candidates), locals_of(candidates)[::-1]):
        chosen = select_source(destination, sources, policy=policy)
        assert chosen is not None
        assert (chosen.source.address, chosen.rule) == (result, rule)


def check_destinations(
    candidates: str, destinations: str, result: str, rule: D, policy: AddressPolicy = PLAIN
) -> None:
    """`result` is written as `D (src S) then D (src S)`; the list's own order must not matter."""
    remotes = destinations.split(" or ")
    for order in (remotes, remotes[::-1]):
        ranked = order_destinations(order, locals_of(candidates), policy=policy)
        found = [f"{r.destination} (src {r.source.address})" for r in ranked]
        assert found == result.split(" then ")
        assert {r.rule for r in ranked} == {rule}


@pytest.mark.parametrize(
    ("destination", "candidates", "result", "rule"),
    [
        ("2001:db8:1::1", "2001:db8:3::1 or fe80::1", "2001:db8:3::1", S.APPROPRIATE_SCOPE),
        ("ff05::1", "2001:db8:3::1 or fe80::1", "2001:db8:3::1", S.APPROPRIATE_SCOPE),
        (
            "2001:db8:1::1",
            "2001:db8:1::1 (deprecated) or 2001:db8:2::1",
            "2001:db8:1::1",
            S.SAME_ADDRESS,
        ),
        ("fe80::1", "fe80::2 (deprecated) or 2001:db8:1::1", "fe80::2", S.APPROPRIATE_SCOPE),
        (
            "2001:db8:1::1",
            "2001:db8:1::2 or 2001:db8:3::2",
            "2001:db8:1::2",
            S.LONGEST_PREFIX,
        ),
        (
            "2001:db8:1::1",
            "2001:db8:1::2 (care-of) or 2001:db8:3::2 (home)",
            "2001:db8:3::2",
            S.HOME_ADDRESS,
        ),
        (
            "2002:c633:6401::1",
            "2002:c633:6401::d5e3:7953:13eb:22e8 (temporary) or 2001:db8:1::2",
            "2002:c633:6401::d5e3:7953:13eb:22e8",
            S.MATCHING_LABEL,
        ),
        (
            "2001:db8:1::d5e3:0:0:1",
            "2001:db8:1::2 or 2001:db8:1::d5e3:7953:13eb:22e8 (temporary)",
            "2001:db8:1::d5e3:7953:13eb:22e8",
            S.TEMPORARY,
        ),
    ],
)
def test_10_1_default_source_address_selection(
    destination: str, candidates: str, result: str, rule: S
) -> None:
    check_source(destination, candidates, result, rule)


@pytest.mark.parametrize(
    ("candidates", "destinations", "result", "rule"),
    [
        (
            "2001:db8:1::2 or fe80::1 or 169.254.13.78",
            "2001:db8:1::1 or 198.51.100.121",
            "2001:db8:1::1 (src 2001:db8:1::2) then 198.51.100.121 (src 169.254.13.78)",
            D.MATCHING_SCOPE,
        ),
        (
            "fe80::1 or 198.51.100.117",
            "2001:db8:1::1 or 198.51.100.121",
            "198.51.100.121 (src 198.51.100.117) then 2001:db8:1::1 (src fe80::1)",
            D.MATCHING_SCOPE,
        ),
        (
            "2001:db8:1::2 or fe80::1 or 10.1.2.4",
            "2001:db8:1::1 or 10.1.2.3",
            "2001:db8:1::1 (src 2001:db8:1::2) then 10.1.2.3 (src 10.1.2.4)",
            D.HIGHER_PRECEDENCE,
        ),
        (
            "2001:db8:1::2 or fe80::2",
            "2001:db8:1::1 or fe80::1",
            "fe80::1 (src fe80::2) then 2001:db8:1::1 (src 2001:db8:1::2)",
            D.SMALLER_SCOPE,
        ),
        (
            "2001:db8:1::2 (care-of) or 2001:db8:3::1 (home) or fe80::2 (care-of)",
            "2001:db8:1::1 or fe80::1",
            "2001:db8:1::1 (src 2001:db8:3::1) then fe80::1 (src fe80::2)",
            D.HOME_ADDRESS,
        ),
        (
            "2001:db8:1::2 or fe80::2 (deprecated)",
            "2001:db8:1::1 or fe80::1",
            "2001:db8:1::1 (src 2001:db8:1::2) then fe80::1 (src fe80::2)",
            D.NOT_DEPRECATED,
        ),
        (
            "2001:db8:1::2 or 2001:db8:3f44::2 or fe80::2",
            "2001:db8:1::1 or 2001:db8:3ffe::1",
            "2001:db8:1::1 (src 2001:db8:1::2) then 2001:db8:3ffe::1 (src 2001:db8:3f44::2)",
            D.LONGEST_PREFIX,
        ),
        (
            "2002:c633:6401::2 or fe80::2",
            "2002:c633:6401::1 or 2001:db8:1::1",
            "2002:c633:6401::1 (src 2002:c633:6401::2) then 2001:db8:1::1 (src 2002:c633:6401::2)",
            D.MATCHING_LABEL,
        ),
        (
            "2002:c633:6401::2 or 2001:db8:1::2 or fe80::2",
            "2002:c633:6401::1 or 2001:db8:1::1",
            "2001:db8:1::1 (src 2001:db8:1::2) then 2002:c633:6401::1 (src 2002:c633:6401::2)",
            D.HIGHER_PRECEDENCE,
        ),
    ],
)
def test_10_2_default_destination_address_selection(
    candidates: str, destinations: str, result: str, rule: D
) -> None:
    check_destinations(candidates, destinations, result, rule)


def configured(*rows: tuple[str, int, int]) -> AddressPolicy:
    return AddressPolicy(table=table_with(*rows), automatic_rows=False)


@pytest.mark.parametrize(
    ("candidates", "destinations", "result", "rule"),
    [
        (
            "2001:db8::2 or fe80::1 or 169.254.13.78",
            "2001:db8::1 or 198.51.100.121",
            "2001:db8::1 (src 2001:db8::2) then 198.51.100.121 (src 169.254.13.78)",
            D.MATCHING_SCOPE,
        ),
        (
            "fe80::1 or 198.51.100.117",
            "2001:db8::1 or 198.51.100.121",
            "198.51.100.121 (src 198.51.100.117) then 2001:db8::1 (src fe80::1)",
            D.MATCHING_SCOPE,
        ),
        (
            "2001:db8::2 or fe80::1 or 10.1.2.4",
            "2001:db8::1 or 10.1.2.3",
            "10.1.2.3 (src 10.1.2.4) then 2001:db8::1 (src 2001:db8::2)",
            D.HIGHER_PRECEDENCE,
        ),
    ],
)
def test_10_3_configuring_preference_for_ipv4(
    candidates: str, destinations: str, result: str, rule: D
) -> None:
    policy = configured(("::ffff:0:0/96", 100, 4))
    check_destinations(candidates, destinations, result, rule, policy)
    # the row may be written as what it means
    policy = configured(("0.0.0.0/0", 100, 4))
    check_destinations(candidates, destinations, result, rule, policy)


def test_10_3_1_broken_ipv6_is_an_unusable_destination() -> None:
    """There is no route to it, so it is not even tried."""
    machine, remotes = locals_of("2001:db8::2 or 10.1.2.4"), ["2001:db8::1", "10.1.2.3"]
    assert [pair.remote for pair in candidate_pairs(machine, remotes)] == remotes
    routing = Routing(routes=[Route(remote="10.1.2.3", interface="eth0")])
    preferences = PairPreferences(addresses=PLAIN, routing=routing)
    assert [p.remote for p in candidate_pairs(machine, remotes, preferences)] == ["10.1.2.3"]
    _, (left,) = routes_of(machine, remotes, preferences)
    assert (left.remote, left.reason) == ("2001:db8::1", LeftOut.NO_ROUTE)


@pytest.mark.parametrize(
    ("candidates", "result", "rule"),
    [
        (
            "2001:db8::2 or fe80::2",
            "2001:db8::1 (src 2001:db8::2) then fe80::1 (src fe80::2)",
            D.HIGHER_PRECEDENCE,
        ),
        (
            "2001:db8::2 (deprecated) or fe80::2",
            "fe80::1 (src fe80::2) then 2001:db8::1 (src 2001:db8::2)",
            D.NOT_DEPRECATED,
        ),
    ],
)
def test_10_4_configuring_preference_for_link_local_addresses(
    candidates: str, result: str, rule: D
) -> None:
    policy = configured(("fe80::/10", 33, 1))
    check_destinations(candidates, "2001:db8::1 or fe80::1", result, rule, policy)


SITE_A = "2001:db8:1aaa::a or 2001:db8:70aa::a or fe80::a"
TO_B = "2001:db8:1bbb::b or 2001:db8:70bb::b"
TO_C = "2001:db8:1ccc::c or 2001:db8:6ccc::c"


@pytest.mark.parametrize(
    ("destinations", "result"),
    [
        (
            TO_B,
            "2001:db8:70bb::b (src 2001:db8:70aa::a) then 2001:db8:1bbb::b (src 2001:db8:1aaa::a)",
        ),
        (
            TO_C,
            "2001:db8:1ccc::c (src 2001:db8:1aaa::a) then 2001:db8:6ccc::c (src 2001:db8:70aa::a)",
        ),
    ],
)
def test_10_5_multi_homed_site_by_default(destinations: str, result: str) -> None:
    check_destinations(SITE_A, destinations, result, D.LONGEST_PREFIX)


@pytest.mark.parametrize(
    ("destinations", "result", "rule"),
    [
        (
            TO_B,
            "2001:db8:1bbb::b (src 2001:db8:1aaa::a) then 2001:db8:70bb::b (src 2001:db8:70aa::a)",
            D.HIGHER_PRECEDENCE,
        ),
        (
            TO_C,
            "2001:db8:6ccc::c (src 2001:db8:70aa::a) then 2001:db8:1ccc::c (src 2001:db8:70aa::a)",
            D.LONGEST_PREFIX,
        ),
    ],
)
def test_10_5_configuring_a_multi_homed_site(destinations: str, result: str, rule: D) -> None:
    policy = configured(("2001:db8:1aaa::/48", 43, 6), ("2001:db8:1bbb::/48", 43, 6))
    check_destinations(SITE_A, destinations, result, rule, policy)


ULA_HOST = "2001:db8:1::1 or fd11:1111:1111:1::1"
FOREIGN_ULA_LAST = (
    "2001:db8:2::2 (src 2001:db8:1::1) then fd22:2222:2222:2::2 (src fd11:1111:1111:1::1)"
)


def test_10_6_a_foreign_ula_comes_last_by_default() -> None:
    check_destinations(
        ULA_HOST, "2001:db8:2::2 or fd22:2222:2222:2::2", FOREIGN_ULA_LAST, D.HIGHER_PRECEDENCE
    )


WITH_ULA_ROW = pytest.mark.parametrize(
    "policy",
    [configured(("fd11:1111:1111::/48", 45, 14)), AddressPolicy(automatic_rows=True)],
    ids=["configured", "automatic"],
)


@WITH_ULA_ROW
def test_10_6_a_foreign_ula_comes_last_with_the_site_row(policy: AddressPolicy) -> None:
    check_destinations(
        ULA_HOST, "2001:db8:2::2 or fd22:2222:2222:2::2", FOREIGN_ULA_LAST, D.MATCHING_LABEL, policy
    )


@WITH_ULA_ROW
def test_10_6_a_ula_of_the_site_comes_first_with_the_site_row(policy: AddressPolicy) -> None:
    check_destinations(
        ULA_HOST,
        "2001:db8:2::2 or fd11:1111:1111:2::2",
        "fd11:1111:1111:2::2 (src fd11:1111:1111:1::1) then 2001:db8:2::2 (src 2001:db8:1::1)",
        D.HIGHER_PRECEDENCE,
        policy,
    )


def test_10_6_a_ula_is_not_the_source_for_multicast() -> None:
    check_source("ff00::1", ULA_HOST, "2001:db8:1::1", S.MATCHING_LABEL)


def test_10_7_ipv4_before_6to4_by_default() -> None:
    check_destinations(
        "2002:c633:6401::2 or 10.1.2.3",
        "2001:db8:1::1 or 203.0.113.1",
        "203.0.113.1 (src 10.1.2.3) then 2001:db8:1::1 (src 2002:c633:6401::2)",
        D.MATCHING_LABEL,
    )


@pytest.mark.parametrize(
    "policy",
    [configured(("2002:c633:6401::/48", 45, 14)), AddressPolicy(automatic_rows=True)],
    ids=["configured", "automatic"],
)
def test_10_7_configuring_6to4_preference(policy: AddressPolicy) -> None:
    check_destinations(
        "2002:c633:6401:1::1 or 10.1.2.3",
        "2002:c633:6401:2::2 or 203.0.113.1",
        "2002:c633:6401:2::2 (src 2002:c633:6401:1::1) then 203.0.113.1 (src 10.1.2.3)",
        D.HIGHER_PRECEDENCE,
        policy,
    )
