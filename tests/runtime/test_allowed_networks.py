"""What `MigrationPolicy` says of kinds and prices holds from the first datagram on."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_world import CELLULAR, SERVER, World
from trioquic import MigrationPolicy
from trioquic._runtime.opening.ways import WayToServer, check_start, ways_to
from trioquic._runtime.sockets.binding import interface_of

from .test_race import plan_for, remotes
from .world import dial, get, phone_world

Clock = trio.testing.MockClock
LENT = "192.0.2.200"
ITS = f"local {CELLULAR} belongs to interface 'wwan0'"
FORBIDDING = [
    (MigrationPolicy(metered=False), "metered=False: wwan0"),
    (MigrationPolicy(kinds=["wifi"]), "kinds: wwan0 is cellular"),
]


def over_cellular(world: World) -> int:
    return len(world.record.select(host="phone", interface="wwan0"))


@pytest.mark.parametrize(("policy", "field"), FORBIDDING)
async def test_nothing_begins_on_a_network_that_is_forbidden(
    autojump_clock: Clock, policy: MigrationPolicy, field: str
) -> None:
    async with phone_world() as world:
        world.wifi.down()
        with pytest.raises(trioquic.LocalAddressError) as caught:
            async with dial(world, migration=policy, networks=world.phone):
                pytest.fail("connected over what is forbidden")
        assert f"not to be used ({field})" in str(caught.value)
        assert over_cellular(world) == 0
        # and again when the other one is back
        world.wifi.up()
        async with dial(world, migration=policy, networks=world.phone) as conn:
            assert await get(conn, 1000)
        assert over_cellular(world) == 0


@pytest.mark.parametrize(("policy", "field"), FORBIDDING)
async def test_the_systems_choice_is_not_followed_there(
    autojump_clock: Clock, policy: MigrationPolicy, field: str
) -> None:
    async with phone_world() as world:
        world.cellular.metric = -1
        async with dial(world, migration=policy, networks=world.phone) as conn:
            assert conn.active_path is not None
            assert conn.active_path.interface == "wlan0"
            # nor by a path for which nothing is named
            await conn.wait_handshake_confirmed()
            path = await conn.add_path()
            assert path.interface == "wlan0"
            assert await get(conn, 1000)
        assert over_cellular(world) == 0


@pytest.mark.parametrize(("policy", "field"), FORBIDDING)
@pytest.mark.parametrize("start", [{"interface": "wwan0"}, {"local": CELLULAR}])
async def test_who_names_the_start_knows_what_it_is(
    autojump_clock: Clock, policy: MigrationPolicy, field: str, start: dict[str, Any]
) -> None:
    async with phone_world(ipv6=False) as world:
        async with dial(world, migration=policy, networks=world.phone, **start) as conn:
            assert conn.active_path is not None
            assert conn.active_path.local[0] == CELLULAR


@pytest.mark.parametrize(
    ("policy", "start", "told"),
    [
        (
            MigrationPolicy(only_interfaces=["wlan0", "eth0"]),
            {"local": CELLULAR},
            f"{ITS}, which is not among only_interfaces: wlan0, eth0",
        ),
        (
            MigrationPolicy(tunnel_only=True),
            {"local": CELLULAR},
            f"{ITS}, which is no tunnel (tunnel_only)",
        ),
        (
            MigrationPolicy(tunnel_only=True),
            {"interface": "wwan0"},
            "interface 'wwan0' is no tunnel (tunnel_only)",
        ),
    ],
)
async def test_a_start_that_the_policy_rules_out(
    autojump_clock: Clock, policy: MigrationPolicy, start: dict[str, Any], told: str
) -> None:
    async with phone_world(ipv6=False) as world:
        with pytest.raises(ValueError) as caught:
            async with dial(world, migration=policy, networks=world.phone, **start):
                pytest.fail("began there")
        assert str(caught.value) == told
        assert world.record.select(host="phone") == ()
        # one that does not
        only = MigrationPolicy(only_interfaces=["wwan0"])
        async with dial(world, migration=only, networks=world.phone, local=CELLULAR):
            pass


class Lent(trioquic.ManualNetworks):
    """eth0 has no address, and the system sends through it from that of dummy0."""

    def __init__(self) -> None:
        lent = trioquic.InterfaceAddress(address=LENT, prefix_length=32)
        super().__init__(
            [
                trioquic.Interface(name="eth0", addresses=()),
                trioquic.Interface(name="dummy0", addresses=(lent,), kind="other"),
            ]
        )

    def routes(self, remotes: Sequence[str]) -> tuple[trioquic.Route, ...]:
        return tuple(
            trioquic.Route(remote=remote, interface="eth0", source=LENT, chosen=True)
            for remote in remotes
        )


async def test_an_address_that_is_lent_belongs_to_whom_the_system_sends_through(
    autojump_clock: Clock,
) -> None:
    async with phone_world(ipv6=False) as world:
        for name in ("eth0", "dummy0"):
            policy = MigrationPolicy(only_interfaces=[name])
            plan = plan_for(world, migration=policy, networks=Lent(), local=LENT)
            if name == "eth0":
                check_start(plan, (SERVER, 443))
            else:
                with pytest.raises(ValueError, match="belongs to interface 'eth0', which is not"):
                    check_start(plan, (SERVER, 443))


async def test_a_network_of_unknown_kind_is_used_where_nothing_else_is(
    autojump_clock: Clock,
) -> None:
    async with phone_world(ipv6=False) as world:
        world.phone.add_interface("eth1", "192.0.2.200", kind="other", metric=-1, delay=0.01)
        plan = plan_for(world, migration=MigrationPolicy(kinds=["wifi"]))
        server = remotes(SERVER)
        assert ways_to(plan, server) == [WayToServer(server[0], "wlan0")]
        world.wifi.down()
        assert ways_to(plan, server) == [WayToServer(server[0], "eth1")]


@pytest.mark.parametrize("policy", [policy for policy, _ in FORBIDDING])
async def test_this_machine_is_reached_over_no_network(
    autojump_clock: Clock, policy: MigrationPolicy
) -> None:
    async with phone_world() as world:
        world.wifi.down()
        plan = plan_for(world, migration=policy)
        for address in ("127.0.0.1", "::1", CELLULAR):
            here = remotes(address)
            assert ways_to(plan, here) == [WayToServer(here[0], None)]


async def test_a_source_that_lists_nothing_forbids_nothing(autojump_clock: Clock) -> None:
    async with phone_world(ipv6=False) as world:
        for policy, _ in FORBIDDING:
            nothing = trioquic.ManualNetworks()
            async with dial(world, migration=policy, networks=nothing) as conn:
                assert await get(conn, 1000)


def test_no_interface_leads_to_an_address_of_ones_own() -> None:
    """The system delivers it itself, and not over the interface that has it."""
    here = trioquic.InterfaceAddress(address="192.0.2.10", prefix_length=24)
    networks = trioquic.ManualNetworks([trioquic.Interface(name="eth0", addresses=(here,))])
    assert interface_of("192.0.2.10", ("198.51.100.1", 443), networks) == "eth0"
    assert interface_of("192.0.2.10", ("192.0.2.10", 443), networks) is None
