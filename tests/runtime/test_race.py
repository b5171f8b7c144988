"""Happy Eyeballs (RFC 8305): several addresses, several interfaces, one connection."""

import random
import socket
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio
import trio.testing
from aioquic.quic.configuration import QuicConfiguration

import trioquic
from tests.peer.wire import encode_version_negotiation
from tests.sim_server import NAME, PORT, ServerOptions, credentials
from tests.sim_world import CELLULAR, CELLULAR6, SERVER, SERVER6, WIFI, World, simulated_world
from tests.uncollected import uncollected
from trioquic import MigrationPolicy, TLSConfig, TransportConfig
from trioquic._protocol.crypto.keys import PacketKeys, initial_secrets, protect
from trioquic._protocol.wire.frames import encode_connection_close
from trioquic._protocol.wire.packets import (
    INITIAL_PACKET,
    encode_long_header,
)
from trioquic._runtime.opening.arguments import Plan, make_plan
from trioquic._runtime.opening.connection_task import ConnectionTask
from trioquic._runtime.opening.lookup import Lookup
from trioquic._runtime.opening.race import HappyEyeballs
from trioquic._runtime.opening.ways import ways_to
from trioquic._runtime.sockets.sockets import Remote

from .world import dial, get, open_sockets, phone_world

DEAD = "198.51.100.99"
DEAD6 = "2001:db8:1::99"
SLOW = "198.51.100.50"
Clock = trio.testing.MockClock


def plan_for(world: World, **more: object) -> Plan:
    arguments: dict[str, object] = {
        "alpn": ["x"],
        "server_name": None,
        "tls": TLSConfig(verify=False),
        "transport": TransportConfig(),
        "migration": MigrationPolicy(),
        "networks": world.phone,
        "interface": None,
        "local": None,
        "addresses": None,
        "sessions": None,
        "early_data": False,
    }
    return make_plan(NAME, PORT, **{**arguments, **more})  # type: ignore[arg-type]


def remotes(*addresses: str) -> list[Remote]:
    return [
        Remote(socket.AF_INET6, (a, PORT, 0, 0)) if ":" in a else Remote(socket.AF_INET, (a, PORT))
        for a in addresses
    ]


async def test_the_families_take_turns(autojump_clock: Clock) -> None:
    async with phone_world() as world:
        found = ways_to(plan_for(world), remotes(SERVER, DEAD, SERVER6, DEAD6))
        # RFC 6724 prefers native IPv6
        assert [way.remote.address[0] for way in found] == [SERVER6, SERVER, DEAD6, DEAD]
        assert {way.interface for way in found} == {None}


async def test_the_order_is_that_of_the_network_that_the_system_sends_through(
    autojump_clock: Clock,
) -> None:
    """A network that is preferred, and that the first attempts do not use, has IPv4 only."""
    async with phone_world() as world:
        world.cellular.remove_address(CELLULAR6)
        policy = MigrationPolicy(interfaces=["wwan0"])
        found = ways_to(plan_for(world, migration=policy), remotes(SERVER, SERVER6))
        assert [way.remote.address[0] for way in found] == [SERVER6, SERVER]
        assert {way.interface for way in found} == {None}


async def test_an_address_on_one_link_is_tried_over_that(autojump_clock: Clock) -> None:
    """Its zone picks the interface (RFC 4007), whichever the system would take."""
    async with phone_world() as world:
        world.wifi.add_address("fe80::1")
        world.cellular.add_address("fe80::2")
        there = Remote(socket.AF_INET6, ("fe80::9", PORT, 0, 2), "wwan0")
        found = ways_to(plan_for(world), [there, *remotes(SERVER)])
        ways = {way.remote.address[0]: way.interface for way in found}
        assert ways == {"fe80::9%wwan0": "wwan0", SERVER: None}
        numbered = there._replace(zone="2")
        assert [way.interface for way in ways_to(plan_for(world), [numbered])] == ["wwan0"]
        with pytest.raises(trioquic.LocalAddressError, match="is on interface 'wwan0', and not on"):
            ways_to(plan_for(world, interface="wlan0"), [there])
        named = ways_to(plan_for(world, interface="wlan0"), [there, *remotes(SERVER)])
        assert [way.remote.address[0] for way in named] == [SERVER]


async def test_what_cannot_be_reached_comes_last(autojump_clock: Clock) -> None:
    async with phone_world(ipv6=False) as world:
        found = ways_to(plan_for(world), remotes(SERVER6, SERVER, DEAD))
        assert [way.remote.address[0] for way in found] == [SERVER, SERVER6, DEAD]


@pytest.mark.parametrize(
    ("migration", "expected"),
    [
        (MigrationPolicy(start_interfaces=2), ["wlan0", "wwan0"]),
        (MigrationPolicy(start_interfaces=2, interfaces=["wwan0"]), ["wwan0", "wlan0"]),
        (MigrationPolicy(start_interfaces=2, kinds=["cellular"]), ["wwan0"]),
        (MigrationPolicy(start_interfaces=2, metered=False), ["wlan0"]),
        (MigrationPolicy(), [None]),
    ],
)
async def test_interfaces_as_the_policy_says(
    autojump_clock: Clock, migration: MigrationPolicy, expected: list[str | None]
) -> None:
    async with phone_world() as world:
        found = ways_to(plan_for(world, migration=migration), remotes(SERVER))
        assert [way.interface for way in found] == expected
        given = ways_to(plan_for(world, migration=migration, interface="wlan0"), remotes(SERVER))
        assert [way.interface for way in given] == ["wlan0"]


async def test_a_slow_address_is_overtaken(autojump_clock: Clock) -> None:
    async with phone_world(ipv6=False) as world:
        far = world.net.host("far")
        far.add_interface("eth0", SLOW, delay=0.5)
        world.net.name("two.example", SLOW, SERVER)
        start = trio.current_time()
        async with dial(world, "two.example", server_name=NAME) as conn:
            assert trio.current_time() - start == pytest.approx(0.3, abs=0.01)
            assert conn.active_path is not None
            assert conn.active_path.remote == (SERVER, PORT)
            assert open_sockets(world) == 1


async def test_a_good_first_address_has_no_rival(autojump_clock: Clock) -> None:
    async with phone_world(ipv6=False) as world:
        world.net.name("two.example", SERVER, DEAD)
        async with dial(world, "two.example", server_name=NAME):
            await trio.sleep(1)
        assert not world.record.select(host="phone", destination=DEAD)


async def test_a_cut_interface_is_overtaken_by_another(autojump_clock: Clock) -> None:
    async with phone_world(ipv6=False) as world:
        world.wifi.link.blackhole()
        start = trio.current_time()
        policy = MigrationPolicy(start_interfaces=2)
        async with dial(world, migration=policy, networks=world.phone) as conn:
            # cellular's round trip is 80 ms
            assert trio.current_time() - start == pytest.approx(0.34, abs=0.02)
            assert conn.active_path is not None
            assert conn.active_path.local[0] == CELLULAR
            assert await get(conn, 1000)


@pytest.mark.parametrize("ipv6", [False, True])
@pytest.mark.parametrize("addresses", [1, 3])
async def test_a_dead_default_network_costs_less_than_a_second(
    autojump_clock: Clock, ipv6: bool, addresses: int
) -> None:
    """By default: Wi-Fi is up and carries nothing, cellular works."""
    async with phone_world(ipv6=ipv6) as world:
        found = [SERVER, *(f"198.51.100.{90 + n}" for n in range(addresses - 1))]
        found += [SERVER6] if ipv6 else []
        world.wifi.link.blackhole()
        start = trio.current_time()
        async with dial(
            world, addresses=found, migration=MigrationPolicy(), networks=world.phone
        ) as conn:
            assert trio.current_time() - start < 1.0
            assert conn.active_path is not None
            assert conn.active_path.interface == "wwan0"
            assert await get(conn, 1000)
        assert open_sockets(world) == 0


@pytest.mark.parametrize(
    "why", ["answers", "metered", "one", "named", "not wanted", "own", "own, over two"]
)
async def test_other_networks_are_not_asked_without_need(autojump_clock: Clock, why: str) -> None:
    """If the first answers in time, if the user does not allow it, or if none leads there."""
    policies = {
        "metered": MigrationPolicy(metered=False),
        "one": MigrationPolicy(start_interfaces=1),
        "not wanted": MigrationPolicy(kinds=["wifi"]),
        "own, over two": MigrationPolicy(start_interfaces=2),
    }
    async with phone_world(ipv6=False) as world:
        policy = policies.get(why, MigrationPolicy())
        transport = TransportConfig(handshake_timeout=3.0)
        interface = "wlan0" if why == "named" else None
        start = dial(
            world,
            WIFI if why.startswith("own") else NAME,
            migration=policy,
            networks=world.phone,
            transport=transport,
            interface=interface,
        )
        if why == "answers":
            async with start as conn:
                await conn.wait_handshake_complete()
        else:
            world.wifi.link.blackhole()
            with pytest.raises(trioquic.HandshakeError):
                await start.__aenter__()
        assert not world.record.select(host="phone", interface="wwan0")


async def test_metered_networks_come_last(autojump_clock: Clock) -> None:
    async with phone_world(ipv6=False) as world:
        world.phone.add_interface("eth1", "192.0.2.200", kind="other", metric=50, delay=0.01)
        for interface in world.phone.interfaces:
            interface.link.blackhole()
        with pytest.raises(trioquic.HandshakeError):
            async with dial(world, migration=MigrationPolicy(), networks=world.phone):
                pytest.fail("nothing works")
        first: dict[str | None, float] = {}
        for record in world.record.select(host="phone"):
            first.setdefault(record.interface, record.time)
        assert sorted(first, key=first.__getitem__) == ["wlan0", "eth1", "wwan0"]


async def test_without_a_default_route_another_network_is_taken_at_once(
    autojump_clock: Clock,
) -> None:
    """The system knows no way for packets that belong to no interface."""
    async with phone_world(ipv6=False) as world:
        world.wifi.down()
        start = trio.current_time()
        async with dial(world, migration=MigrationPolicy(), networks=world.phone):
            assert trio.current_time() - start < 0.2


async def test_addresses_that_the_caller_knows(autojump_clock: Clock) -> None:
    async with phone_world(ipv6=False) as world:
        async with dial(world, addresses=[DEAD, SERVER]) as conn:
            assert conn.active_path is not None
            assert conn.active_path.remote == (SERVER, PORT)


@pytest.mark.parametrize(
    ("addresses", "kind"),
    [
        ("198.51.100.1", TypeError),
        (["server.example"], ValueError),
        ([], ValueError),
        ([1], TypeError),
    ],
)
def test_addresses_that_are_none(addresses: list[str], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        trioquic.open_connection(NAME, PORT, alpn=["x"], addresses=addresses)


async def test_the_certificate_counts_for_all_addresses(autojump_clock: Clock) -> None:
    """The server has answered: a rival that is under way is stopped."""
    async with phone_world(ipv6=False) as world:
        world.net.name("two.example", DEAD, SERVER)
        tls = TLSConfig(ca_data=credentials("elsewhere.example").ca_pem)
        start = trio.current_time()
        with pytest.raises(trioquic.CertificateError):
            async with dial(world, "two.example", server_name=NAME, tls=tls):
                pytest.fail("nobody vouches for it")
        assert trio.current_time() - start < 0.5
        assert open_sockets(world) == 0


def forged_version_negotiation(own: bytes, server: bytes) -> bytes:
    return encode_version_negotiation(own, server, (0xFF00001D,))


def forged_close(own: bytes, server: bytes) -> bytes:
    """No application protocol in common, in an Initial packet, whose keys follow from its IDs."""
    keys = PacketKeys.derive(0x1301, initial_secrets(server)[1])
    payload = encode_connection_close(0x178, 6, b"") + bytes(1000)
    header = encode_long_header(INITIAL_PACKET, own, server, b"", 0, 4, len(payload))
    return protect(keys, header, 4, keys.seal(0, header, payload))


@pytest.mark.parametrize("forged", [forged_version_negotiation, forged_close])
async def test_who_ends_attempts_on_one_network_ends_no_others(
    autojump_clock: Clock, forged: Callable[[bytes, bytes], bytes]
) -> None:
    """Somebody in the Wi-Fi who sees a ClientHello answers it faster than the server does. Both
    answers need no keys of the server's (RFC 9000 section 7), so they settle nothing."""
    async with phone_world(ipv6=False) as world:
        real_receive = world.server._receive

        async def near(nursery: trio.Nursery, data: bytes, peer: tuple[str, int, int]) -> None:
            if peer[0] == CELLULAR:
                await real_receive(nursery, data, peer)
            elif data[0] & 0x80:
                size = data[5]
                server, own = data[6 : 6 + size], data[7 + size : 7 + size + data[6 + size]]
                await world.server.send(forged(own, server), peer)

        world.server._receive = near  # type: ignore[method-assign]
        async with dial(world, migration=MigrationPolicy()) as conn:
            assert conn.active_path is not None
            assert conn.active_path.statistics().local[0] == CELLULAR
            assert await get(conn, 1000)
        assert open_sockets(world) == 0


async def test_many_races_leave_nothing(autojump_clock: Clock) -> None:
    """Every mixture of dead, slow, refusing and good addresses; half of them are cancelled."""
    chance = random.Random(4)
    outcomes = {"connected": 0, "cancelled": 0}
    async with simulated_world(ipv6=False) as world:
        far = world.net.host("far")
        far.add_interface("eth0", SLOW, delay=0.5)
        shut = world.net.host("shut")
        shut.add_interface("eth0", "198.51.100.98")
        before = len(trio.lowlevel.current_root_task().child_nurseries[0].child_tasks)  # type: ignore[union-attr]
        others = [DEAD, SLOW, "198.51.100.98"]
        with world.phone.as_current():
            for number in range(RACES):
                addresses = [*chance.sample(others, chance.randrange(3)), SERVER]
                chance.shuffle(addresses)
                name = f"n{number}.example"
                world.net.name(name, *addresses)
                limit = chance.choice([0.01, 0.04, 0.052, 0.1, 0.27, 0.31, 0.4, 9.0, 9.0, 9.0])
                with trio.move_on_after(limit) as scope:
                    async with dial(world, name, server_name=NAME):
                        outcomes["connected"] += 1
                outcomes["cancelled"] += scope.cancelled_caught
                assert open_sockets(world) == 0
        after = len(trio.lowlevel.current_root_task().child_nurseries[0].child_tasks)  # type: ignore[union-attr]
    assert after == before
    assert min(outcomes.values()) > RACES / 5


RACES = 250


Count = Callable[[type[object]], int]


@pytest.fixture
def count() -> Iterator[Count]:
    """How many there are more than before, also of what is in cycles, as nothing is collected."""
    with uncollected(HappyEyeballs, Lookup, ConnectionTask) as counted:
        yield counted


async def test_a_race_that_has_no_way_is_freed_at_once(autojump_clock: Clock, count: Count) -> None:
    policy = MigrationPolicy(kinds=["ethernet"])
    async with phone_world(ipv6=False) as world:
        with pytest.raises(trioquic.LocalAddressError, match="not to be used"):
            await dial(world, migration=policy, networks=world.phone).__aenter__()
        assert count(HappyEyeballs) == 0


@pytest.mark.parametrize(
    ("addresses", "more"),
    [
        # nobody answers; there is no way; both
        ([DEAD], {}),
        (["2001:db8:9::1"], {}),
        ([DEAD, "2001:db8:9::1"], {}),
        ([SERVER], {"local": "10.0.0.99"}),
        ([SERVER6], {"local": CELLULAR}),
        (["fe80::1%wwan0"], {"interface": "wlan0"}),
    ],
    ids=str,
)
async def test_what_came_to_nothing_is_freed_at_once(
    autojump_clock: Clock, count: Count, addresses: list[str], more: dict[str, Any]
) -> None:
    """The error holds no frame that holds the error, and nobody else does."""
    async with phone_world() as world:
        for address in (*world.wifi.addresses, *world.cellular.addresses):
            if ":" in address and addresses[-1] == "2001:db8:9::1":
                interface = world.wifi if address in world.wifi.addresses else world.cellular
                interface.remove_address(address)
        host = addresses[0]
        if "%" not in host:
            host = "nobody.example"
            world.net.name(host, *addresses)
        transport = TransportConfig(handshake_timeout=0.5)
        try:
            await dial(world, host, transport=transport, **more).__aenter__()
        except (OSError, trioquic.HandshakeError) as error:
            seen: weakref.ref[Exception] = weakref.ref(error)
        await trio.testing.wait_all_tasks_blocked()
        assert seen() is None
        assert count(HappyEyeballs) == count(Lookup) == 0


async def test_what_failed_for_its_version_is_freed_at_once(
    autojump_clock: Clock, count: Count
) -> None:
    """The only way is tried again with the version that the server offers."""

    def configure(configuration: QuicConfiguration) -> None:
        configuration.supported_versions = [0x6B3343CF]

    both = TransportConfig(versions=["v1", "v2"])
    async with phone_world(ServerOptions(configure=configure), ipv6=False) as world:
        async with dial(world, interface="wlan0", transport=both) as conn:
            await conn.wait_handshake_confirmed()
            assert conn.version == "v2"
            assert count(ConnectionTask) == 1
