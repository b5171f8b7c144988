"""Addresses that belong to the router in use: from routes for sources to RFC 6724's rule 5.5."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.network import ROOT
from tests.lab.requirements import LAB_ANYWHERE
from trioquic import InterfaceAddress
from trioquic._runtime.system.next_hops import Way, of_next_hop

SERVER = "2600::1"
A, B, BESIDE_A, LOCAL = "2001:db8:a::2", "2001:db8:b::2", "2001:db8:a::3", "fe80::2"
ROUTER_A, ROUTER_B = Way(b"\xfe\x80" + bytes(13) + b"\xaa"), Way(b"\xfe\x80" + bytes(13) + b"\xbb")


def asked(
    addresses: list[str], entry: Way | None, ways: dict[str, Way]
) -> tuple[tuple[str, ...], list[str]]:
    """The addresses of the next hop, and about which ones it was asked."""
    questions: list[str] = []

    def way_from(address: str) -> Way | None:
        questions.append(address)
        return ways.get(address)

    own = [InterfaceAddress(address=address, prefix_length=64) for address in addresses]
    return of_next_hop(own, entry, way_from), questions


def test_addresses_of_another_router_do_not_belong_to_this_one() -> None:
    ways = {A: ROUTER_A, BESIDE_A: ROUTER_A, B: ROUTER_B}
    assert asked([LOCAL, A, BESIDE_A, B], ROUTER_B, ways)[0] == (B,)
    assert asked([LOCAL, B, A, BESIDE_A], ROUTER_A, ways)[0] == (A, BESIDE_A)


def test_with_routes_for_sources_only_those_that_have_one_count() -> None:
    assert asked([A, B], None, {B: ROUTER_B})[0] == (B,)
    assert asked([A, B], None, {A: ROUTER_A, B: ROUTER_B})[0] == ()


def test_where_nothing_is_to_be_told_nothing_is_asked() -> None:
    """Nearly everywhere: one prefix, with a few addresses in it."""
    assert asked([LOCAL, A, BESIDE_A], ROUTER_A, {A: ROUTER_A, BESIDE_A: ROUTER_A}) == ((), [])


def test_one_router_for_all_decides_nothing() -> None:
    assert asked([A, B], ROUTER_A, {A: ROUTER_A, B: ROUTER_A})[0] == ()
    assert asked([A, B], Way(b""), {A: Way(b""), B: Way(b"")})[0] == ()


# -- this kernel -----------------------------------------------------------------------------------

NAMESPACE = """
import json
from tests.lab.relay import enter_new_namespace, make_device
from tests.lab.vpn_world import ip
enter_new_namespace()
for which in ("all", "default"):
    with open(f"/proc/sys/net/ipv6/conf/{{which}}/disable_ipv6", "w") as file:
        file.write("0")
devices = [make_device("one")]
ip({lines!r})
import trioquic
from trioquic.addresses import AddressPolicy, candidate_pairs
networks = trioquic.system_networks()
interfaces = networks.snapshot()
routes = networks.routes([{server!r}])
pairs = candidate_pairs(
    interfaces, [{server!r}], routes=routes, not_tunnels=["one"],
    address_policy=AddressPolicy(prefer_public=True),
)
(one,) = [route for route in routes if route.interface == "one"]
print(json.dumps([
    [*one.next_hop_sources], [[pair.local, pair.reason] for pair in pairs],
    one.source_named, one.source,
]))
"""
BASE = [
    "link set one up",
    f"address add {A}/64 dev one nodad",
    f"address add {B}/64 dev one nodad",
]


def told(*lines: str) -> Any:
    """What trioquic finds out in a namespace with these routes."""
    code = NAMESPACE.format(lines=[*BASE, *lines], server=SERVER)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_a_namespace(test: Callable[..., None]) -> Callable[..., None]:
    for mark in LAB_ANYWHERE:
        test = mark(test)
    return test


@in_a_namespace
@pytest.mark.parametrize(("router", "own"), [("aa", A), ("bb", B)])
def test_routers_that_are_told_apart_by_rules(router: str, own: str) -> None:
    """The default route leads to one router, and what has the other's addresses to that."""
    hops, pairs, _, _ = told(
        f"-6 route add default via fe80::{router} dev one metric 1024",
        "-6 route add default via fe80::aa dev one table 71",
        "-6 route add default via fe80::bb dev one table 72",
        "-6 rule add from 2001:db8:a::/64 table 71",
        "-6 rule add from 2001:db8:b::/64 table 72",
    )
    assert hops == [own]
    assert pairs[0] == [own, "RFC 6724 source rule 5.5: prefer addresses of the next hop"]


@in_a_namespace
def test_an_address_without_a_way_comes_last() -> None:
    hops, pairs, _, _ = told(
        "-6 route add default via fe80::bb dev one table 72",
        "-6 rule add from 2001:db8:b::/64 table 72",
    )
    assert hops == [B]
    assert pairs[0][0] == B


@in_a_namespace
def test_one_default_route_for_all() -> None:
    hops, pairs, named, _ = told("-6 route add default via fe80::aa dev one")
    assert (hops, named) == ([], False)
    assert len(pairs) == 2


@in_a_namespace
@pytest.mark.parametrize("address", [A, B])
def test_a_source_that_the_route_names(address: str) -> None:
    """It comes first also where the application has wishes of its own (`prefer_public` here)."""
    _, pairs, named, source = told(f"-6 route add default via fe80::aa dev one src {address}")
    assert (named, source) == (True, address)
    assert pairs[0][0] == address
