"""Scopes, prefixes, zones and the policy table."""

import pytest

from tests.address.build import local, table_with
from trioquic._address import scope
from trioquic._address.address import mapped, parse_address
from trioquic._address.local import resolve_zone
from trioquic._address.policy_table import (
    DEFAULT_TABLE,
    PolicyRow,
    PolicyTable,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ff01::1", 0x1),
        ("ff02::1", scope.LINK_LOCAL),
        ("ff04::1", 0x4),
        ("ff05::1", scope.SITE_LOCAL),
        ("ff18::1", 0x8),
        ("ff0e::1", scope.GLOBAL),
        ("fe80::1%eth0", scope.LINK_LOCAL),
        ("febf::1", scope.LINK_LOCAL),
        ("fec0::1", scope.SITE_LOCAL),
        ("::1", scope.LINK_LOCAL),
        ("127.8.9.1", scope.LINK_LOCAL),
        ("169.254.3.4", scope.LINK_LOCAL),
        ("10.0.0.1", scope.GLOBAL),
        ("192.168.1.1", scope.GLOBAL),
        ("100.64.0.1", scope.GLOBAL),
        ("198.51.100.1", scope.GLOBAL),
        ("::ffff:198.51.100.1", scope.GLOBAL),
        ("::ffff:169.254.3.4", scope.LINK_LOCAL),  # another spelling of the IPv4 address
        ("::198.51.100.1", scope.GLOBAL),
        ("64:ff9b::c633:6401", scope.GLOBAL),
        ("2002:a9fe:304::1", scope.GLOBAL),
        ("fd00::1", scope.GLOBAL),
        ("2001:db8::1", scope.GLOBAL),
    ],
)
def test_scope(text: str, expected: int) -> None:
    assert scope.scope_of(parse_address(text)) == expected


@pytest.mark.parametrize(
    ("address", "counts"),
    [
        ("2001:db8::1", True),
        ("fd00::1", True),
        ("fe80::1", True),
        ("fec0::1", True),
        ("192.0.2.1", False),
        ("::192.0.2.1", False),
        ("64:ff9b::1", False),
        ("::1", False),
        ("200::1", False),  # NSAP
    ],
)
def test_what_can_be_deprecated(address: str, counts: bool) -> None:
    assert local(address, deprecated=True).is_deprecated is counts
    assert local(address).is_deprecated is False


@pytest.mark.parametrize(
    ("source", "length", "destination", "expected"),
    [
        ("fe80::1", 64, "fe80::2", 64),
        ("2001:db8:1aaa::a", 64, "2001:db8:1bbb::b", 39),
        ("2001:db8::1", 128, "2001:db8::1", 128),
        ("2001:db8::1", 0, "2001:db8::1", 0),
        ("2001:db8::1", 64, "fd00::1", 0),
        ("10.1.2.3", 24, "10.1.2.4", 24),
        ("10.1.2.3", 32, "10.1.2.4", 29),
        ("10.1.2.3", 8, "10.1.2.4", 8),
        ("10.1.2.3", 24, "2001:db8::1", 0),
    ],
)
def test_common_prefix_length(source: str, length: int, destination: str, expected: int) -> None:
    found = local(f"{source}/{length}").prefix_in_common(parse_address(destination))
    assert found == expected


@pytest.mark.parametrize(
    ("text", "precedence", "label"),
    [
        ("::1", 50, 0),
        ("2001:db8::1", 40, 1),
        ("fe80::1", 40, 1),
        ("192.0.2.1", 35, 4),
        ("::ffff:192.0.2.1", 35, 4),
        ("2002::1", 30, 2),
        ("2001::1", 5, 5),
        ("fc00::1", 3, 13),
        ("::192.0.2.1", 1, 3),
        ("fec0::1", 1, 11),
        ("3ffe::1", 1, 12),
    ],
)
def test_the_default_table(text: str, precedence: int, label: int) -> None:
    address = parse_address(text)
    assert DEFAULT_TABLE.lookup(address).precedence == precedence
    assert DEFAULT_TABLE.label(address) == label


def row(prefix: str, precedence: int = 7, label: int = 7) -> PolicyRow:
    return PolicyRow(prefix=prefix, precedence=precedence, label=label)


def test_a_table_can_be_replaced_whole() -> None:
    table = PolicyTable((row("::/0", 1, 1), row("10.0.0.0/8", 2, 2)))
    assert table.lookup(parse_address("::1")).precedence == 1
    assert table.lookup(parse_address("192.0.2.1")).precedence == 1
    assert table.lookup(parse_address("10.3.2.1")).precedence == 2


def test_rows_are_added_or_replace_one() -> None:
    table = table_with(("::ffff:0:0/96", 100, 4), ("2001:db8:1::/48", 41, 9))
    assert table.lookup(parse_address("192.0.2.1")).precedence == 100
    assert table.label(parse_address("2001:db8:1::1")) == 9
    assert table.label(parse_address("2001:db8:2::1")) == 1
    assert len(table.rows) == len(DEFAULT_TABLE.rows) + 1
    assert DEFAULT_TABLE.lookup(parse_address("192.0.2.1")).precedence == 35


def test_tables_that_are_refused() -> None:
    with pytest.raises(ValueError, match="::/0"):
        PolicyTable((row("::/1"),))
    with pytest.raises(ValueError, match="rows has two for the prefix ::/0"):
        PolicyTable((row("::/0"), row("::/0", 1, 2)))
    with pytest.raises(ValueError):
        row("2001:db8::1/32")


def test_automatic_rows() -> None:
    machine = [
        local("fd11:1111:1111:1::1"),
        local("fd11:1111:1111:2::1", "eth1"),
        local("2002:c633:6401:1::1"),
        local("2001:db8::1"),
        local("10.0.0.1"),
    ]
    rows = (row("fd11:1111:1111::/48", 45, 14), row("2002:c633:6401::/48", 45, 14))
    expected = PolicyTable((*DEFAULT_TABLE.rows, *rows))
    assert DEFAULT_TABLE.with_automatic_rows(machine) == expected


def test_a_6to4_address_in_a_tunnel_has_no_automatic_row() -> None:
    """Section 10.7: the row is for sites whose network is 6to4's own."""
    tunnelled = local("2002:836b:9d38:1::1", "6to4", encapsulated=True)
    assert DEFAULT_TABLE.with_automatic_rows([tunnelled]) is DEFAULT_TABLE
    native = local("2002:836b:9d38:1::1")
    assert len(DEFAULT_TABLE.with_automatic_rows([native]).rows) == len(DEFAULT_TABLE.rows) + 1


def test_an_automatic_row_never_replaces_one() -> None:
    configured = table_with(("fd11:1111:1111::/48", 2, 20))
    assert configured.with_automatic_rows([local("fd11:1111:1111:1::1")]) == configured
    added = DEFAULT_TABLE.with_automatic_rows([local("fd11:1111:1111:1::1")])
    assert added.lookup(parse_address("fd11:1111:1111:9::9")).precedence == 45


def test_zones_are_no_part_of_the_number() -> None:
    with_zone = parse_address("fe80::1%eth0")
    assert mapped(with_zone) == mapped(parse_address("fe80::1"))
    assert mapped(local("fe80::1%7/64", "eth0").parsed) == mapped(with_zone)


def test_a_numeric_zone_finds_its_interface() -> None:
    interfaces = {"eth0": 2, "eth1": 3, "imagined": None}
    assert resolve_zone("3", interfaces) == "eth1"
    assert resolve_zone("9", interfaces) == "9"
    assert resolve_zone("eth0", interfaces) == "eth0"
    assert resolve_zone("3", {"3": 1, **interfaces}) == "3"


@pytest.mark.parametrize("text", ["", "example.org", "1.2.3", "fe80::1%", "::1/64", "1.2.3.4%eth0"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        parse_address(text)


def test_local_addresses_that_are_refused() -> None:
    with pytest.raises(ValueError, match="33 bits"):
        local("10.0.0.1/33")
    with pytest.raises(ValueError, match="-1 bits"):
        local("::1/-1")
