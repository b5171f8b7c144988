"""What the system's routes say about candidates: which there are, and in which order."""

from dataclasses import replace

import pytest

from trioquic import Interface, InterfaceAddress, ManualNetworks, Route
from trioquic.addresses import candidate_pairs, no_candidates
from trioquic.networks import InterfaceKind, routes_of

SERVER = "198.51.100.1"
SERVER6 = "2001:db8:ff::1"


def interface(name: str, kind: InterfaceKind, *addresses: str) -> Interface:
    return Interface(
        name=name,
        kind=kind,
        addresses=tuple(
            InterfaceAddress(address=a, prefix_length=64 if ":" in a else 24) for a in addresses
        ),
    )


ETH = interface("eth0", "ethernet", "192.0.2.2", "2001:db8:1::2")
WIFI = interface("wlan0", "wifi", "192.0.3.2", "2001:db8:2::2")
TUN = interface("tun0", "tunnel", "10.8.0.2")


def route(name: str, metric: int | None, remote: str = SERVER, *, chosen: bool = False) -> Route:
    return Route(remote=remote, interface=name, metric=metric, chosen=chosen)


def order(*interfaces: Interface, routes: list[Route], **options: object) -> list[str]:
    remotes = list(dict.fromkeys(r.remote for r in routes)) or [SERVER]
    pairs = candidate_pairs(interfaces, remotes, routes=routes, **options)  # type: ignore[arg-type]
    return list(dict.fromkeys(pair.interface for pair in pairs))


def test_the_metrics_of_the_system_come_before_kinds() -> None:
    routes = [route("eth0", 600), route("wlan0", 100, chosen=True)]
    assert order(ETH, WIFI, routes=routes) == ["wlan0", "eth0"]
    pairs = candidate_pairs([ETH, WIFI], [SERVER], routes=routes)
    assert pairs[0].reason == ("routes: the system's own route, metric 100, before metric 600")


def test_the_address_that_the_system_would_send_from_is_used() -> None:
    """As a VPN has it that is made of policies only: an address on the network's own interface."""
    both = interface("eth0", "ethernet", "192.168.1.5", "10.3.0.1")
    plain = [route("eth0", 100, chosen=True)]
    assert candidate_pairs([both], [SERVER], routes=plain)[0].local == "192.168.1.5"
    for source in ("10.3.0.1", "192.168.1.5"):
        told = [Route(remote=SERVER, interface="eth0", source=source, metric=100, chosen=True)]
        first, second = candidate_pairs([both], [SERVER], routes=told)
        assert (first.local, first.source_rank, second.source_rank) == (source, 0, 1)
    # one that the snapshot does not have yet, or that is borrowed of another interface
    new = [Route(remote=SERVER, interface="eth0", source="10.9.9.9", metric=100, chosen=True)]
    assert candidate_pairs([both], [SERVER], routes=new)[0].local == "10.9.9.9"


def test_kinds_decide_between_equal_metrics_and_where_there_are_none() -> None:
    assert order(WIFI, ETH, routes=[route("wlan0", 0), route("eth0", 0)]) == ["eth0", "wlan0"]
    assert order(WIFI, ETH, routes=[route("wlan0", None), route("eth0", None)]) == [
        "eth0",
        "wlan0",
    ]
    assert [p.interface for p in candidate_pairs([WIFI, ETH], [SERVER])] == ["eth0", "wlan0"]


def test_the_systems_own_choice_is_first_where_metrics_are_unknown_or_worse() -> None:
    unknown = [route("eth0", None), route("wlan0", None, chosen=True)]
    assert order(ETH, WIFI, routes=unknown) == ["wlan0", "eth0"]
    # a policy rule: the table that wins has its own metric
    ruled = [route("eth0", 100), route("wlan0", 1024, chosen=True)]
    assert order(ETH, WIFI, routes=ruled) == ["wlan0", "eth0"]


def test_the_users_preferences_come_before_metrics() -> None:
    routes = [route("eth0", 100, chosen=True), route("wlan0", 600)]
    assert order(ETH, WIFI, routes=routes, prefer_interfaces=["wlan0"]) == ["wlan0", "eth0"]
    assert order(ETH, WIFI, routes=routes, prefer_kinds=["wifi", "ethernet"]) == ["wlan0", "eth0"]
    # which kinds to use is no wish for an order
    back = [route("eth0", 600), route("wlan0", 100, chosen=True)]
    assert order(ETH, WIFI, routes=back, prefer_kinds=["ethernet", "wifi"]) == ["wlan0", "eth0"]


def test_metrics_of_different_families_are_not_compared() -> None:
    """A router's advertisement gives 1024, DHCP 100: IPv6 stays first on the same network."""
    routes = [
        route("eth0", 100, chosen=True),
        route("wlan0", 600),
        route("eth0", 1024, SERVER6, chosen=True),
        route("wlan0", 1024, SERVER6),
    ]
    pairs = candidate_pairs([WIFI, ETH], [SERVER, SERVER6], routes=routes)
    assert [(p.interface, p.remote) for p in pairs] == [
        ("eth0", SERVER6),
        ("eth0", SERVER),
        ("wlan0", SERVER6),
        ("wlan0", SERVER),
    ]


def test_without_a_route_there_is_no_candidate() -> None:
    assert order(ETH, WIFI, routes=[route("wlan0", 100)]) == ["wlan0"]
    assert order(ETH, WIFI, routes=[route("wlan0", 100)], trusted=["eth0"]) == ["wlan0", "eth0"]
    assert order(ETH, WIFI, routes=[]) == []
    (left,) = no_candidates([ETH, WIFI], [SERVER], routes=[route("wlan0", 100)])
    assert (left.interface, left.reason.value) == ("eth0", "no route")


def test_an_interface_that_is_down_is_no_candidate() -> None:
    """Not even where the system still has a route, as it has without a carrier."""
    down, routes = replace(ETH, up=False), [route("eth0", 100, chosen=True), route("wlan0", 600)]
    assert [p.interface for p in candidate_pairs([down, WIFI], [SERVER])] == ["wlan0"]
    assert order(down, WIFI, routes=routes) == ["wlan0"]
    assert order(down, routes=routes, only_interfaces=["eth0"], trusted=["eth0"]) == []
    # it is no choice of anybody's that leaves it out
    assert no_candidates([down], [SERVER], routes=routes) == ()


@pytest.mark.parametrize("metric", [0, 50, 1024])
def test_beside_a_tunnel_there_is_no_candidate(metric: int) -> None:
    routes = [route("eth0", 100), route("tun0", metric, chosen=True)]
    assert order(ETH, TUN, routes=routes) == ["tun0"]
    assert set(order(ETH, TUN, routes=routes, leave_tunnel=True)) == {"tun0", "eth0"}
    (left,) = no_candidates([ETH, TUN], [SERVER], routes=routes)
    assert (left.interface, left.reason.value) == ("eth0", "outside the tunnel")


def test_a_tunnel_that_is_gone_is_not_left_either() -> None:
    routes = [route("eth0", 100, chosen=True)]
    assert order(ETH, routes=routes, in_tunnel=True) == []
    assert order(ETH, routes=routes, in_tunnel=True, leave_tunnel=True) == ["eth0"]


def test_ipv6_beside_an_ipv4_tunnel_is_outside() -> None:
    routes = [
        route("eth0", 100),
        route("tun0", 50, chosen=True),
        route("eth0", 100, SERVER6, chosen=True),
    ]
    assert order(ETH, TUN, routes=routes, in_tunnel=True) == ["tun0"]


def test_where_the_system_sends_and_nobody_knows_what_that_is_may_be_a_tunnel() -> None:
    routes = [route("nordlynx", 50, chosen=True), route("eth0", 100)]
    assert order(ETH, routes=routes) == []
    (left,) = no_candidates([ETH], [SERVER], routes=routes)
    assert left.reason.value == "outside the tunnel"
    assert order(ETH, routes=routes, leave_tunnel=True) == ["eth0"]
    assert order(ETH, routes=routes, only_interfaces=["eth0"]) == ["eth0"]


def test_a_tunnel_without_an_address_borrows_the_one_that_the_system_sends_from() -> None:
    bare = interface("tun0", "tunnel", "fe80::1")
    for remote, source in ((SERVER, "192.0.2.2"), (SERVER6, "2001:db8:1::2")):
        told = Route(remote=remote, interface="tun0", source=source, metric=50, chosen=True)
        (pair,) = candidate_pairs([ETH, bare], [remote], routes=[told, route("eth0", 9, remote)])
        assert (pair.interface, pair.local, pair.kind) == ("tun0", source, "tunnel")


def test_each_address_has_its_own_route() -> None:
    """A split tunnel: one address through it, the other beside it."""
    other = "198.51.100.2"
    routes = [
        route("eth0", 100, chosen=True),
        route("eth0", 100, other),
        route("tun0", 0, other, chosen=True),
    ]
    pairs = candidate_pairs([ETH, TUN], [SERVER, other], routes=routes)
    assert {(p.interface, p.remote) for p in pairs} == {("eth0", SERVER), ("tun0", other)}


def test_only_these() -> None:
    routes = [route("eth0", 100, chosen=True), route("wlan0", 600)]
    assert order(ETH, WIFI, routes=routes, only_interfaces=["wlan0"]) == ["wlan0"]
    assert order(ETH, WIFI, routes=routes, only_interfaces=["wlan0", "eth0"]) == ["wlan0", "eth0"]
    (left,) = no_candidates([ETH, WIFI], [SERVER], routes=routes, only_interfaces=["wlan0"])
    assert left.reason.value == "not among the only interfaces that may be used"
    # whoever names the network outside the tunnel alone has said so
    tunnel = [route("eth0", 100), route("tun0", 50, chosen=True)]
    assert order(ETH, TUN, routes=tunnel, only_interfaces=["eth0"]) == ["eth0"]
    assert order(ETH, TUN, routes=tunnel, only_interfaces=["eth0", "tun0"]) == ["tun0"]


def test_an_application_may_tell_metrics() -> None:
    networks = ManualNetworks([ETH, TUN])
    assert routes_of(networks, [(SERVER, 443)]) is None
    assert networks.update([ETH, TUN], metrics={"tun0": 1, "eth0": 2})
    assert not networks.update([ETH, TUN], metrics={"tun0": 1, "eth0": 2})
    assert routes_of(networks, [(SERVER, 443), (SERVER6, 443), (SERVER, 444)]) == (
        route("eth0", 2),
        route("tun0", 1, chosen=True),
        route("eth0", 2, SERVER6, chosen=True),
    )
    assert networks.update([ETH, TUN], metrics={"tun0": 1})
    assert routes_of(networks, [(SERVER6, 443)]) == ()


PPP = interface("ppp0", "tunnel", "203.0.113.9")


def test_of_several_tunnels_the_one_that_the_system_chose_counts() -> None:
    """The other may be what it runs over."""
    routes = [route("tun0", 50, chosen=True), route("ppp0", 100), route("eth0", 600)]
    assert order(ETH, TUN, PPP, routes=routes) == ["tun0"]
    assert order(ETH, TUN, PPP, routes=routes, in_tunnel=True) == ["tun0"]
    named = {"only_interfaces": ["tun0", "ppp0"]}
    assert order(ETH, TUN, PPP, routes=routes, **named) == ["tun0", "ppp0"]
    assert set(order(ETH, TUN, PPP, routes=routes, leave_tunnel=True)) == {"tun0", "ppp0", "eth0"}
    # it is gone, and the connection was in one: any may be where the VPN is back
    gone = [route("eth0", 100, chosen=True), route("ppp0", 600)]
    assert order(ETH, PPP, routes=gone, in_tunnel=True) == ["ppp0"]


def test_what_is_no_tunnel_is_outside() -> None:
    line = {"not_tunnels": ["ppp0"]}
    routes = [route("tun0", 50, chosen=True), route("ppp0", 100)]
    assert order(ETH, TUN, PPP, routes=routes, **line) == ["tun0"]
    gone = [route("ppp0", 100, chosen=True), route("eth0", 600)]
    assert order(ETH, PPP, routes=gone, **line) == ["ppp0", "eth0"]
    assert order(ETH, PPP, routes=gone, in_tunnel=True, **line) == []
    assert order(ETH, PPP, routes=gone) == ["ppp0"]
