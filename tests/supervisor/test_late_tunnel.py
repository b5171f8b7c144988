"""A tunnel that comes up when the connection is there already: into it, whatever happened before.

Whoever sends packets without a path of its own is in the tunnel at once, as the system's routes say
so; the connection has a second, for the tunnel to answer, so that nothing is lost."""

import math
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests import sim_server
from tests.sim_server import NAME, ServerOptions
from tests.sim_world import SERVER, SERVER6
from trioquic import MigrationPolicy
from trioquic.policy import Decision, PolicyEvent, View

from .phone import Phone
from .test_stuck import Sparing
from .test_tunnel import TUNNEL, outside, phone_with_vpn

LIVE = trioquic.TransportConfig(keep_alive=1.0)
TO_ENTER = 1.0


async def flap(here: Phone, times: int) -> None:
    """Wi-Fi goes and comes back, and the connection with it: each return takes longer."""
    wifi = here.world.wifi
    for number in range(times):
        wifi.down()
        await trio.sleep(0.5)
        wifi.up()
        await here.until(trioquic.Migrated, 2 * number + 2)


@pytest.mark.parametrize(
    ("flaps", "policy"),
    [
        (0, MigrationPolicy()),
        (5, MigrationPolicy()),
        (0, MigrationPolicy(move_back_after=math.inf)),
        (0, MigrationPolicy(move_back_after=math.inf, standby=0)),
        (0, MigrationPolicy(move_back_after=5.0, standby_interval=3.0)),
    ],
)
async def test_a_tunnel_that_answers_is_entered_at_once(
    autojump_clock: trio.testing.MockClock, flaps: int, policy: MigrationPolicy
) -> None:
    async with phone_with_vpn(up=False, migration=policy, transport=LIVE) as (here, tunnel):
        await flap(here, flaps)
        moves = len(here.heard(trioquic.Migrated))
        tunnel.up()
        await here.until(trioquic.Migrated, moves + 1)
        moved = here.heard(trioquic.Migrated)[-1]
        assert (moved.new.local[0], moved.cause) == (TUNNEL, trioquic.MigrationCause.TUNNEL)
        assert moved.new.state is trioquic.PathState.ACTIVE
        assert here.conn.in_tunnel
        before = len(outside(here.world))
        assert await here.download(100_000) < TO_ENTER
        assert len(outside(here.world)) == before


async def test_a_tunnel_that_does_not_carry_yet_is_waited_for_inside(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_with_vpn(up=False, transport=LIVE) as (here, tunnel):
        tunnel.link.blackhole()
        tunnel.up()
        await trio.sleep(TO_ENTER + 0.1)
        before = len(outside(here.world))
        await trio.sleep(20)
        assert len(outside(here.world)) == before
        assert not here.conn.in_tunnel
        tunnel.link.restore()
        await here.conn.wait_healthy()
        assert here.conn.in_tunnel
        assert await here.download(100_000) < TO_ENTER
        assert len(outside(here.world)) == before


async def test_a_server_that_forbids_to_move_is_left_soon(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """So that a new connection can be made inside."""
    options = ServerOptions(disable_active_migration=True)
    async with phone_with_vpn(up=False, options=options, transport=LIVE) as (here, tunnel):
        tunnel.up()
        await trio.sleep(2 * TO_ENTER)
        with pytest.raises(trioquic.NoPathError) as caught:
            await here.conn.wait_healthy()
        assert caught.value.reason is trioquic.NoPathReason.MIGRATION_FORBIDDEN
        before = len(outside(here.world))
        await trio.sleep(20)
        assert len(outside(here.world)) == before


async def test_the_applications_own_network_is_kept(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_with_vpn(up=False, transport=LIVE, interface="wlan0") as (here, tunnel):
        tunnel.up()
        await trio.sleep(20)
        path = here.conn.active_path
        assert path is not None and path.interface == "wlan0"
        assert not here.conn.in_tunnel


async def test_a_tunnel_that_goes_again_before_it_was_entered_is_forgotten(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_with_vpn(up=False, transport=LIVE) as (here, tunnel):
        tunnel.link.blackhole()
        for _ in range(3):
            tunnel.up()
            await trio.sleep(TO_ENTER / 2)
            tunnel.down()
            await trio.sleep(TO_ENTER / 2)
        assert await here.download(100_000) < TO_ENTER
        assert here.heard(trioquic.Migrated) == []


@pytest.mark.parametrize("seconds", [1.5, 5.0, 30.0])
async def test_a_tunnel_that_never_carried_anything_is_left_when_it_goes(
    autojump_clock: trio.testing.MockClock, seconds: float
) -> None:
    """A VPN whose login failed, for instance: the system's routes lead outside again."""
    transport = trioquic.TransportConfig(keep_alive=1.0, idle_timeout=60.0)
    async with phone_with_vpn(up=False, transport=transport) as (here, tunnel):
        tunnel.link.blackhole()
        tunnel.up()
        await trio.sleep(seconds)
        tunnel.down()
        assert await here.download(100_000) < 0.5
        assert not here.conn.in_tunnel


@pytest.mark.parametrize("event", [False, True])
async def test_where_moves_are_forbidden_the_path_waits_for_the_tunnel_to_go(
    autojump_clock: trio.testing.MockClock, event: bool
) -> None:
    """Whatever else happens to the networks meanwhile."""
    options = ServerOptions(disable_active_migration=True)
    policy = MigrationPolicy(return_grace=60.0)
    async with phone_with_vpn(up=False, options=options, migration=policy, transport=LIVE) as (
        here,
        tunnel,
    ):
        path = here.conn.active_path
        tunnel.up()
        await here.until(trioquic.WaitingForPath)
        if event:
            here.world.cellular.down()
        await trio.sleep(1)
        before = len(outside(here.world))
        await trio.sleep(5)
        assert len(outside(here.world)) == before
        tunnel.down()
        await here.conn.wait_healthy()
        assert here.conn.active_path is path
        assert await here.download(100_000) < 0.5


class Lazy(MigrationPolicy):
    """Wants nothing while there is a path, and not to be asked again."""

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        if view.active is not None and view.active.usable:
            return Decision()
        return super().decide(view, event, now)


class Idle(MigrationPolicy):
    """Wants nothing ever."""

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        return Decision()


class Turns(trio.abc.Instrument):
    """Counts how often the supervisor wakes up."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += "Supervisor" in task.name


async def test_a_policy_that_wants_nothing_is_asked_when_the_tunnel_has_had_its_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_with_vpn(up=False, migration=Lazy(), transport=LIVE) as (here, tunnel):
        tunnel.up()
        await trio.sleep(TO_ENTER + 0.1)
        before = len(outside(here.world))
        await trio.sleep(5)
        assert len(outside(here.world)) == before
        assert here.conn.in_tunnel


@pytest.mark.parametrize("policy", [MigrationPolicy(enabled=False), Idle()])
async def test_nobody_is_asked_without_end_beside_a_tunnel(
    autojump_clock: trio.testing.MockClock, policy: MigrationPolicy
) -> None:
    """Where the policy does not move the connection."""
    async with phone_with_vpn(up=False, migration=policy, transport=LIVE) as (_, tunnel):
        tunnel.up()
        turns = Turns()
        trio.lowlevel.add_instrument(turns)
        await trio.sleep(60)
        trio.lowlevel.remove_instrument(turns)
        assert turns.count < 20


@pytest.mark.parametrize("ids", [2, 3, 4, 8])
@pytest.mark.parametrize("seconds", [1.5, 8.0])
async def test_few_connection_ids_are_no_end_when_a_dead_tunnel_goes(
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    ids: int,
    seconds: float,
) -> None:
    monkeypatch.setattr(sim_server, "_Quic", Sparing)
    monkeypatch.setattr(Sparing, "ids", ids)
    async with phone_with_vpn(up=False, transport=LIVE) as (here, tunnel):
        await here.download(1000)
        tunnel.link.blackhole()
        tunnel.up()
        await trio.sleep(seconds)
        tunnel.down()
        with trio.fail_after(2):
            await here.download(10_000)


async def test_a_network_that_comes_back_beside_a_tunnel_carries_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    options = ServerOptions(disable_active_migration=True)
    policy = MigrationPolicy(return_grace=60.0)
    async with phone_with_vpn(up=False, options=options, migration=policy, transport=LIVE) as (
        here,
        tunnel,
    ):
        here.world.wifi.down()
        await here.until(trioquic.WaitingForPath)
        tunnel.up()
        await trio.sleep(5)
        before = len(outside(here.world))
        here.world.wifi.up()
        await trio.sleep(5)
        assert len(outside(here.world)) == before


ONLY_IPV4 = ("0.0.0.0/1", "128.0.0.0/1")


@pytest.mark.parametrize("more", [0, 12])
async def test_the_other_family_beside_a_tunnel_that_comes_up(
    autojump_clock: trio.testing.MockClock, more: int
) -> None:
    """A VPN for IPv4 alone, and a connection over IPv6 to a server that has both: a new one would
    begin inside, so this one ends outside."""
    addresses = [SERVER6, *(f"2001:db8:1::a{n:x}" for n in range(more)), SERVER]
    opening = phone_with_vpn(
        server=NAME, routes=ONLY_IPV4, up=False, transport=LIVE, addresses=addresses
    )
    async with opening as (here, tunnel):
        assert here.conn.active_path.remote[0] == SERVER6  # type: ignore[union-attr]
        await trio.sleep(3)
        tunnel.up()
        await trio.sleep(TO_ENTER + 0.1)
        before = len(outside(here.world))
        await trio.sleep(5)
        assert len(outside(here.world)) == before
        (waiting,) = here.heard(trioquic.WaitingForPath)
        assert "packets to other addresses of the server take a tunnel now" in waiting.reason
        tunnel.down()
        assert await here.download(100_000) < TO_ENTER


@pytest.mark.parametrize(
    "connection",
    [
        {"server": SERVER6},
        {"server": NAME, "addresses": [SERVER6, SERVER], "interface": "wlan0"},
        {
            "server": NAME,
            "addresses": [SERVER6, SERVER],
            "migration": MigrationPolicy(leave_tunnel=True),
        },
    ],
)
async def test_the_other_family_is_kept_where_nothing_else_is_known_or_wanted(
    autojump_clock: trio.testing.MockClock, connection: dict[str, Any]
) -> None:
    opening = phone_with_vpn(routes=ONLY_IPV4, up=False, transport=LIVE, **connection)
    async with opening as (here, tunnel):
        tunnel.up()
        await trio.sleep(5)
        assert await here.download(100_000) < TO_ENTER
        assert here.heard(trioquic.WaitingForPath) == []
