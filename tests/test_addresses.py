"""The public order of candidate pairs is the one that connections use."""

import pytest

from trioquic import Interface, InterfaceAddress
from trioquic.addresses import candidate_pairs

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


def test_loopback_reaches_loopback_only() -> None:
    (pair,) = candidate_pairs(LAPTOP, ["127.0.0.2"])
    assert (pair.interface, pair.local) == ("lo", "127.0.0.1")
    assert pair.reason == "the only pair"


def test_no_address() -> None:
    with pytest.raises(ValueError, match=r"example\.org"):
        candidate_pairs(LAPTOP, ["example.org"])
