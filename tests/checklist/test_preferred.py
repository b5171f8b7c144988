"""The preferred address as the protocol sees it: which one counts, and what comes with it.

Point 19 of what must hold for a path (docs/paths.md), in the core with a scripted peer.
"""

import ipaddress

import pytest

from tests.attacks.expect import goes_on
from tests.path.driver import add, no_id_on_two_paths, validate
from tests.peer.script import PREFERRED_ADDRESS, ServerScript, preferred_address
from tests.peer.world import LOCAL, REMOTE, World
from trioquic._protocol.events import Ending
from trioquic._protocol.path.offer import objection_to
from trioquic._protocol.path.refusal import PathRefusedError, Refusal

ID = b"prefer-1"
TOKEN = b"0123456789abcdef"
THERE = ("198.51.100.2", 4433)
PUBLIC = "8.8.8.8"
PUBLIC6 = "2606:4700::1"


def prefer(spare_ids: int = 0) -> World:
    value = preferred_address((bytes([198, 51, 100, 2]), THERE[1]), ID, TOKEN)
    world = World(ServerScript(parameters={PREFERRED_ADDRESS: value}, spare_ids=spare_ids))
    world.peer.issued[1] = (ID, TOKEN)
    return world.connect()


def usable(server: str, preferred: str) -> bool:
    return not objection_to((preferred, 443), (server, 443))


INSIDE = """
    0.1.2.3 10.1.2.3 100.64.0.1 100.127.255.255 127.0.0.1 169.254.1.1 172.16.0.1
    172.31.255.255 192.0.0.1 192.0.0.8 192.0.0.170 192.0.2.1 192.88.99.1 192.168.1.1
    198.18.0.1 198.19.255.1 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1
    255.255.255.255 0.0.0.0
"""
OUTSIDE = """
    1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.255.255 172.32.0.0
    192.0.0.9 192.0.0.10 192.0.1.1 192.31.196.1 192.88.98.1 192.167.255.255 198.17.255.255
    198.20.0.0 198.51.101.1 223.255.255.255
"""
INSIDE6 = """
    :: ::1 ::2 fd00::1 fc00::1 fe80::1 febf::1 fec0::1 feff::1 ff02::1 ff0e::1 100::1
    100:0:0:1::1 64:ff9b:1::808:808 64:ff9b:1:2::1 2001:2::1 2001:10::1 2001:db8::1 3fff::1
    3fff:fff::1 5f00::1 2001:5::1 4000::1 e000::1 200::1
"""
OUTSIDE6 = """
    2606:4700::2 2001:1::1 2001:1::3 2001:3::1 2001:4:112::1 2001:20::1 2001:30::1
    2001:200::1 2620:4f:8000::1 3ffe::1 3fff:1000::1
"""


def disguised(private: str) -> dict[str, str]:
    """An IPv4 address in each of the IPv6 addresses that have room for one."""
    number = int(ipaddress.IPv4Address(private))
    high, low = number >> 16, number & 0xFFFF
    return {
        "IPv4-compatible": f"::{high:x}:{low:x}",
        "IPv4-mapped": f"::ffff:{high:x}:{low:x}",
        "IPv4-translated": f"::ffff:0:{high:x}:{low:x}",
        "NAT64": f"64:ff9b::{high:x}:{low:x}",
        "6to4": f"2002:{high:x}:{low:x}::1",
        "Teredo server": f"2001:0:{high:x}:{low:x}:0:0:f7f7:f7f7",
        "Teredo client": f"2001:0:808:808:0:0:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}",
    }


@pytest.mark.parametrize("private", INSIDE.split())
def test_19_a_private_address_is_found_in_any_disguise(private: str) -> None:
    assert not usable(PUBLIC, private)
    for kind, address in disguised(private).items():
        assert not usable(PUBLIC6, str(ipaddress.ip_address(address))), kind


@pytest.mark.parametrize("private", INSIDE6.split())
def test_19_special_purpose_addresses_are_no_places_for_a_public_server(private: str) -> None:
    assert not usable(PUBLIC6, private)


@pytest.mark.parametrize("public", OUTSIDE.split())
def test_19_their_public_neighbours_are_used(public: str) -> None:
    assert usable(PUBLIC, public)
    for kind, address in disguised(public).items():
        # the others lead nowhere, whatever is in them
        routed = kind in ("NAT64", "6to4") or kind.startswith("Teredo")
        assert usable(PUBLIC6, str(ipaddress.ip_address(address))) is routed, kind


@pytest.mark.parametrize("public", OUTSIDE6.split())
def test_19_their_public_neighbours_are_used_in_ipv6(public: str) -> None:
    assert usable(PUBLIC6, public)


@pytest.mark.parametrize(
    ("server", "preferred", "reason"),
    [
        (
            PUBLIC,
            "192.168.1.1",
            "192.168.1.1 is in a private network (192.168.0.0/16, RFC 1918), and the server is not",
        ),
        (
            PUBLIC6,
            "64:ff9b::7f00:1",
            (
                "64:ff9b::7f00:1 is a loopback address (64:ff9b::/96, RFC 6052, "
                "with 127.0.0.1 inside (127.0.0.0/8, RFC 1122)), and the server is not"
            ),
        ),
        (PUBLIC6, "ff02::1", "ff02::1 is no address of a host (ff00::/8, RFC 4291)"),
        (PUBLIC, PUBLIC6, ""),
    ],
)
def test_19_it_is_said_why(server: str, preferred: str, reason: str) -> None:
    assert objection_to((preferred, 443), (server, 443)) == reason


@pytest.mark.parametrize(
    ("server", "preferred"),
    [
        ("10.0.0.1", "127.0.0.1"),
        ("10.0.0.1", "169.254.1.1"),
        ("10.0.0.1", "255.255.255.255"),
        ("fd00::1", "64:ff9b::7f00:1"),
        # behind a NAT64, and a public one there
        ("64:ff9b::808:808", "64:ff9b::a00:1"),
        ("::ffff:8.8.8.8", "fd00::1"),
        ("4000::1", "fd00::1"),
        # also of the other family than the one in use
        (PUBLIC, "fd00::1"),
        (PUBLIC6, "10.0.0.1"),
    ],
)
def test_19_an_address_that_is_not_to_be_used(server: str, preferred: str) -> None:
    """Least of all one in a narrower network: a public server has no business in ours."""
    assert not usable(server, preferred)


@pytest.mark.parametrize(
    ("server", "preferred"),
    [
        (PUBLIC, "1.1.1.1"),
        (PUBLIC6, "2606:4700::2"),
        ("10.0.0.1", "10.0.0.2"),
        ("10.0.0.1", PUBLIC),
        ("127.0.0.1", "127.0.0.2"),
        ("fd00::1", "fd00::2"),
        ("fe80::1%eth0", "fe80::2"),
        ("64:ff9b::808:808", PUBLIC6),
        ("64:ff9b::a00:1", "64:ff9b::a00:2"),
        ("::ffff:10.0.0.1", "fd00::1"),
        # also of the other family than the one in use
        (PUBLIC, PUBLIC6),
        (PUBLIC6, PUBLIC),
        ("10.0.0.1", "fd00::1"),
    ],
)
def test_19_an_address_in_as_wide_a_network_is_used(server: str, preferred: str) -> None:
    assert usable(server, preferred)


def test_19_its_connection_id_is_in_the_pool_and_may_serve_any_path() -> None:
    """Section 5.1.1: it has sequence number 1 and is not tied to the preferred address."""
    world = prefer()
    assert world.client.preferred.addresses == (THERE,)
    assert world.client.statistics().spare_peer_ids == 1
    path = world.client.add_path(("192.0.2.2", 50002), REMOTE)
    validate(world, path)
    assert {packet.dcid for packet in world.peer.sent_on(path)} == {ID}
    world.client.migrate(path, world.now)
    goes_on(world)
    no_id_on_two_paths(world)


def test_19_its_connection_id_alone_makes_other_paths_possible() -> None:
    """So nothing speaks against moving, though no other ID ever came."""
    world = prefer()
    assert world.client.migration_obstacle is None
    add(world)
    assert world.client.migration_obstacle is None


@pytest.mark.parametrize("bound", [False, True])
def test_19_its_reset_token_counts_once_the_id_is_in_use(bound: bool) -> None:
    world = prefer()
    if bound:
        # and on the active path (section 10.3.1): another path's token ends that path alone
        path = world.client.add_path(LOCAL, THERE)
        validate(world, path)
        world.client.migrate(path, world.now)
    world.peer.send_stateless_reset(TOKEN, 1 if bound else 0)
    world.settle()
    if bound:
        assert world.terminated is not None
        assert world.terminated.ending is Ending.STATELESS_RESET
    else:
        goes_on(world)


def test_19_nothing_but_probes_goes_there_before_it_has_answered() -> None:
    """Section 9.6.2: validation is no option here."""
    world = prefer(spare_ids=4)
    path = world.client.add_path(LOCAL, THERE)
    with pytest.raises(PathRefusedError) as caught:
        world.client.migrate(path, world.now, unvalidated=True)
    assert caught.value.refusal is Refusal.NOT_VALIDATED
    validate(world, path)
    assert all(packet.probing for packet in world.peer.sent_on(path))
    world.client.migrate(path, world.now)
    goes_on(world)
    # from now on a new local address may be moved to unvalidated
    other = world.client.add_path(("192.0.2.2", 50002), THERE)
    world.client.migrate(other, world.now, unvalidated=True)
    goes_on(world)
    no_id_on_two_paths(world)
