"""Candidate pairs: which there are, and in what order."""

import pytest

from tests.address.build import local, table_with
from tests.address.selection import candidate_pairs
from trioquic._address.local import LocalAddress
from trioquic._address.pairs import PairPreferences
from trioquic._address.policy_table import AddressPolicy

V4, V6 = "198.51.100.1", "2001:db8:f::1"
LAPTOP = [
    local("10.64.0.2", "wwan0", kind="cellular", metered=True),
    local("2400:3::2", "wwan0", kind="cellular", metered=True),
    local("192.168.1.2", "wlan0", kind="wifi"),
    local("2400:2::2", "wlan0", kind="wifi"),
    local("fe80::2", "wlan0", kind="wifi"),
    local("172.16.0.2", "eth0", kind="ethernet"),
]


def ways(
    machine: list[LocalAddress],
    remotes: list[str],
    preferences: PairPreferences | None = None,
) -> list[tuple[str, str]]:
    pairs = candidate_pairs(machine, remotes, preferences or PairPreferences())
    return [(pair.local, pair.remote) for pair in pairs]


def test_kinds_come_first_then_the_rfc() -> None:
    pairs = candidate_pairs(LAPTOP, [V4, V6])
    assert [(p.interface, p.local, p.remote, p.reason) for p in pairs] == [
        ("eth0", "172.16.0.2", V4, "preference: order of kinds"),
        ("wlan0", "2400:2::2", V6, "RFC 6724 destination rule 6: prefer higher precedence"),
        ("wlan0", "192.168.1.2", V4, "preference: order of kinds"),
        ("wwan0", "2400:3::2", V6, "RFC 6724 destination rule 6: prefer higher precedence"),
        (
            "wwan0",
            "10.64.0.2",
            V4,
            "RFC 6724 destination rule 6: prefer higher precedence",
        ),
    ]


def test_an_explicit_order_of_interfaces_is_stronger_than_kinds() -> None:
    preferences = PairPreferences(interfaces=("wwan0", "wlan0"))
    pairs = candidate_pairs(LAPTOP, [V4], preferences)
    assert [p.interface for p in pairs] == ["wwan0", "wlan0", "eth0"]
    assert {p.reason for p in pairs} == {"preference: order of interfaces"}


def test_another_order_of_kinds() -> None:
    pairs = candidate_pairs(LAPTOP, [V4], PairPreferences(kinds=("cellular",)))
    # the kinds that are not listed are tied
    assert [p.interface for p in pairs] == ["wwan0", "wlan0", "eth0"]
    assert pairs[1].reason.startswith("RFC 6724 destination rule 9")


def test_metered_last() -> None:
    machine = [
        local("10.0.0.1", "a", metered=True),
        local("10.0.0.2", "b", metered=None),
        local("10.0.0.3", "c", metered=False),
    ]
    pairs = candidate_pairs(machine, [V4])
    assert [p.interface for p in pairs] == ["b", "c", "a"]
    assert pairs[-1].reason == "preference: metered last"


def test_interfaces_without_a_preference_compete_by_the_rfc() -> None:
    machine = [local("10.0.0.1", "a"), local("2400::1", "b")]
    assert ways(machine, [V4, V6]) == [("2400::1", V6), ("10.0.0.1", V4)]


def test_the_table_and_the_reversed_preferences_arrive() -> None:
    machine = [local("10.0.0.1"), local("2400::1"), local("2400::2", temporary=True)]
    assert ways(machine, [V4, V6]) == [("2400::2", V6), ("2400::1", V6), ("10.0.0.1", V4)]
    policy = AddressPolicy(table=table_with(("0.0.0.0/0", 100, 4)), prefer_public=True)
    preferences = PairPreferences(addresses=policy)
    assert ways(machine, [V4, V6], preferences) == [
        ("10.0.0.1", V4),
        ("2400::1", V6),
        ("2400::2", V6),
    ]


def test_the_selected_source_is_marked_and_the_others_follow() -> None:
    machine = [
        local("2400::1", deprecated=True),
        local("2400::2"),
        local("2400::3", temporary=True),
    ]
    pairs = candidate_pairs(machine, [V6])
    assert [(p.local, p.source_rank) for p in pairs] == [
        ("2400::3", 0),
        ("2400::2", 1),
        ("2400::1", 2),
    ]
    assert [p.reason for p in pairs] == [
        "RFC 6724 source rule 7: prefer temporary addresses",
        "RFC 6724 source rule 3: avoid deprecated addresses",
        "RFC 6724 source rule 3: avoid deprecated addresses",
    ]


def test_one_pair_and_none() -> None:
    (pair,) = candidate_pairs([local("10.0.0.1")], [V4])
    assert pair.reason == "the only pair"
    assert candidate_pairs([local("10.0.0.1")], [V6]) == ()
    assert candidate_pairs([], [V4]) == ()


def test_each_pair_once() -> None:
    machine = [local("10.0.0.1"), local("10.0.0.1"), local("fe80::1")]
    assert ways(machine, [V4, V4, f"::ffff:{V4}"]) == [("10.0.0.1", V4)]
    assert ways(machine, [f"::ffff:{V4}"]) == [("10.0.0.1", V4)]
    assert ways(machine, ["fe80::9", "fe80::9%eth0"]) == [("fe80::1", "fe80::9")]


def test_the_same_address_on_two_interfaces_is_two_pairs() -> None:
    machine = [local("192.168.1.2", "eth0"), local("192.168.1.2", "wlan0")]
    assert [p.interface for p in candidate_pairs(machine, [V4])] == ["eth0", "wlan0"]


def test_loopback_talks_to_loopback_only() -> None:
    machine = [local("127.0.0.1/8", "lo"), local("::1/128", "lo"), local("10.0.0.1")]
    assert ways(machine, ["127.0.0.1"]) == [("127.0.0.1", "127.0.0.1")]
    assert ways(machine, ["::1"]) == [("::1", "::1")]
    assert ways(machine, [V4]) == [("10.0.0.1", V4)]


def test_a_link_local_source_reaches_its_link_only() -> None:
    assert ways([local("169.254.0.1/16"), local("fe80::1")], [V4, V6]) == []
    assert ways([local("169.254.0.1/16")], ["169.254.9.9"]) == [("169.254.0.1", "169.254.9.9")]
    # the server is on the link, as another address of the interface shows
    machine = [local("2001:db8:f::7"), local("fe80::1"), local("fe80::2", "eth1")]
    assert ways(machine, [V6]) == [("2001:db8:f::7", V6), ("fe80::1", V6)]
    machine[0] = local("2001:db8:f::7/128")
    assert ways(machine, [V6]) == [("2001:db8:f::7", V6)]


def test_zones() -> None:
    machine = [local("fe80::1", "eth0", index=2), local("fe80::1", "eth1", index=3)]
    for remote in ("fe80::9%eth1", "fe80::9%3"):
        (pair,) = candidate_pairs(machine, [remote])
        assert (pair.interface, pair.remote) == ("eth1", remote)
    assert candidate_pairs(machine, ["fe80::9%eth5"]) == ()
    # without a zone each link may be meant
    pairs = candidate_pairs(machine, ["fe80::9"])
    assert [p.interface for p in pairs] == ["eth0", "eth1"]


@pytest.mark.parametrize("remote", ["224.0.0.1", "ff0e::1", "0.0.0.0", "::", "255.255.255.255"])
def test_no_pair_for_what_is_no_host(remote: str) -> None:
    assert candidate_pairs(LAPTOP, [remote]) == ()


def test_a_name_is_refused() -> None:
    with pytest.raises(ValueError):
        candidate_pairs(LAPTOP, ["example.org"])
