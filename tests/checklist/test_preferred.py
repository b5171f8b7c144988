"""The preferred address as the protocol sees it: which one counts, and what comes with it.

Point 19 of what must hold for a path (docs/paths.md), in the core with a scripted peer.
"""

import pytest

from tests.attacks.expect import goes_on
from tests.path.driver import no_id_on_two_paths, validate
from tests.peer.script import PREFERRED_ADDRESS, ServerScript, preferred_address
from tests.peer.world import LOCAL, REMOTE, World
from trioquic._protocol.events import Ending
from trioquic._protocol.path.preferred import usable_preferred
from trioquic._protocol.path.refusal import PathRefusedError, Refusal
from trioquic._protocol.wire.transport_parameters import PreferredAddress

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
    six = ":" in preferred
    here = (preferred, 443)
    offer = PreferredAddress(
        ipv4=None if six else here,
        ipv6=here if six else None,
        connection_id=ID,
        stateless_reset_token=TOKEN,
    )
    chosen = usable_preferred(offer, (server, 443))
    assert chosen in ((), (here,))
    return bool(chosen)


@pytest.mark.parametrize(
    ("server", "preferred"),
    [
        (PUBLIC, "10.1.2.3"),
        (PUBLIC, "172.16.0.1"),
        (PUBLIC, "192.168.1.1"),
        (PUBLIC, "100.64.0.1"),
        (PUBLIC, "169.254.1.1"),
        (PUBLIC, "127.0.0.1"),
        (PUBLIC, "0.0.0.0"),
        (PUBLIC, "0.1.2.3"),
        (PUBLIC, "224.0.0.1"),
        (PUBLIC, "255.255.255.255"),
        (PUBLIC6, "fd00::1"),
        (PUBLIC6, "fe80::1"),
        (PUBLIC6, "::1"),
        (PUBLIC6, "::"),
        (PUBLIC6, "ff02::1"),
        (PUBLIC6, "::ffff:127.0.0.1"),
        (PUBLIC6, "::ffff:10.0.0.1"),
        ("10.0.0.1", "127.0.0.1"),
        ("10.0.0.1", "169.254.1.1"),
        # of the other family than the one in use
        (PUBLIC, PUBLIC6),
        (PUBLIC6, PUBLIC),
        # where the connection is anyway
        (PUBLIC, PUBLIC),
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
    ],
)
def test_19_an_address_in_as_wide_a_network_is_used(server: str, preferred: str) -> None:
    assert usable(server, preferred)


def test_19_its_connection_id_is_in_the_pool_and_may_serve_any_path() -> None:
    """Section 5.1.1: it has sequence number 1 and is not tied to the preferred address."""
    world = prefer()
    assert world.client.preferred_addresses == (THERE,)
    assert world.client.statistics().spare_peer_ids == 1
    path = world.client.add_path(("192.0.2.2", 50002), REMOTE)
    validate(world, path)
    assert {packet.dcid for packet in world.peer.sent_on(path)} == {ID}
    world.client.migrate(path, world.now)
    goes_on(world)
    no_id_on_two_paths(world)


@pytest.mark.parametrize("bound", [False, True])
def test_19_its_reset_token_counts_once_the_id_is_in_use(bound: bool) -> None:
    world = prefer()
    if bound:
        validate(world, world.client.add_path(LOCAL, THERE))
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
    # from now on a new local address may leap there
    other = world.client.add_path(("192.0.2.2", 50002), THERE)
    world.client.migrate(other, world.now, unvalidated=True)
    goes_on(world)
    no_id_on_two_paths(world)
