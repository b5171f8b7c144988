"""The public order of candidate pairs is the one that connections use."""

from dataclasses import replace

import pytest

from trioquic import Interface, InterfaceAddress, Route
from trioquic.addresses import (
    DEFAULT_TABLE,
    AddressPolicy,
    LeftOut,
    PolicyRow,
    candidate_pairs,
    no_candidates,
)

V4, V6 = "198.51.100.1", "2001:db8:1::1"


def address(text: str, prefix_length: int, **flags: bool) -> InterfaceAddress:
    return InterfaceAddress(address=text, prefix_length=prefix_length, **flags)


LAPTOP = (
    Interface(name="lo", kind="loopback", addresses=(address("127.0.0.1", 8),)),
    Interface(
        name="wwan0", kind="cellular", metered=True, addresses=(address("203.0.113.10", 24),)
    ),
    Interface(
        name="wlan0",
        kind="wifi",
        addresses=(
            address("192.0.2.10", 24),
            address("2001:db8:2::10", 64),
            address("2001:db8:2::abcd", 64, temporary=True),
            address("2001:db8:2::dead", 64, tentative=True),
        ),
    ),
    Interface(name="eth0", kind="ethernet", up=False, addresses=(address("192.0.2.11", 24),)),
)


def test_order_and_reasons() -> None:
    found = [
        (p.interface, p.local, p.remote, p.source_rank) for p in candidate_pairs(LAPTOP, [V4, V6])
    ]
    assert found == [
        ("wlan0", "2001:db8:2::abcd", V6, 0),
        ("wlan0", "2001:db8:2::10", V6, 1),
        ("wlan0", "192.0.2.10", V4, 0),
        ("wwan0", "203.0.113.10", V4, 0),
    ]
    reasons = [pair.reason for pair in candidate_pairs(LAPTOP, [V4, V6])]
    assert reasons == [
        "RFC 6724 source rule 7: prefer temporary addresses",
        "RFC 6724 destination rule 6: prefer higher precedence",
        "preference: order of kinds",
        "preference: order of kinds",
    ]


def test_what_is_known_of_the_interface() -> None:
    last = candidate_pairs(LAPTOP, [V4])[-1]
    assert (last.interface, last.kind, last.metered) == ("wwan0", "cellular", True)


def test_preferences() -> None:
    by_name = candidate_pairs(LAPTOP, [V4], prefer_interfaces=["wwan0"])
    assert [pair.interface for pair in by_name] == ["wwan0", "wlan0"]
    assert by_name[0].reason == "preference: order of interfaces"
    by_kind = candidate_pairs(LAPTOP, [V4], prefer_kinds=["cellular", "wifi"])
    assert [pair.interface for pair in by_kind] == ["wwan0", "wlan0"]


def test_what_rfc_6724_leaves_to_the_application() -> None:
    """Section 10.3, IPv4 first, and rule 7 the other way."""
    table = DEFAULT_TABLE.with_rows([PolicyRow(prefix="0.0.0.0/0", precedence=100, label=4)])
    policy = AddressPolicy(table=table, prefer_public=True)
    found = [
        (p.local, p.source_rank) for p in candidate_pairs(LAPTOP, [V6, V4], address_policy=policy)
    ]
    assert found[:3] == [("192.0.2.10", 0), ("2001:db8:2::10", 0), ("2001:db8:2::abcd", 1)]


def test_an_address_that_the_system_has_chosen_and_one_that_a_route_names() -> None:
    """Its own choice follows from its own rules. A VPN's address has no interface of its own."""
    public, temporary = "2001:db8:2::10", "2001:db8:2::abcd"
    wishes = AddressPolicy(prefer_public=True)
    route = Route(remote=V6, interface="wlan0", source=temporary, chosen=True)

    def first(route: Route, policy: AddressPolicy) -> str:
        return candidate_pairs(LAPTOP, [V6], routes=[route], address_policy=policy)[0].local

    assert first(route, AddressPolicy()) == temporary
    assert first(route, wishes) == public
    assert first(replace(route, source_named=True), wishes) == temporary
    # as the system says, where the application leaves it to the system
    assert first(replace(route, source=public), AddressPolicy()) == public


def test_what_goes_through_another_ip_version_comes_after_native_ways() -> None:
    """Destination rule 7: 6in4 is no tunnel that hides anybody."""
    machine = (
        Interface(name="sit1", encapsulates=True, addresses=(address("2001:db8:3::1", 64),)),
        Interface(name="br0", addresses=(address("2001:db8:4::1", 64),)),
    )
    pairs = candidate_pairs(machine, [V6])
    assert [pair.interface for pair in pairs] == ["br0", "sit1"]
    assert pairs[0].reason == "RFC 6724 destination rule 7: prefer native transport"


def test_interfaces_that_are_too_narrow_for_quic() -> None:
    """RFC 9000 section 14; IP and UDP need another 28 bytes, or 48."""
    machine = [replace(LAPTOP[2], mtu=1240), replace(LAPTOP[1], mtu=1228)]
    pairs = candidate_pairs(machine, [V4, V6])
    assert [(pair.interface, pair.remote) for pair in pairs] == [("wlan0", V4), ("wwan0", V4)]
    (left,) = no_candidates(machine, [V4, V6])
    assert (left.interface, left.remote, left.reason) == ("wlan0", V6, LeftOut.TOO_NARROW)
    machine[1] = replace(LAPTOP[1], mtu=1227)
    assert [left.interface for left in no_candidates(machine, [V4])] == ["wwan0"]


def test_loopback_reaches_loopback_only() -> None:
    (pair,) = candidate_pairs(LAPTOP, ["127.0.0.2"])
    assert (pair.interface, pair.local) == ("lo", "127.0.0.1")
    assert pair.reason == "the only pair"


def test_no_address() -> None:
    with pytest.raises(ValueError, match=r"example\.org"):
        candidate_pairs(LAPTOP, ["example.org"])
