"""A connection in a tunnel stays there, whatever the networks beside it offer."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_server import NAME, PORT, ServerOptions
from tests.sim_world import CELLULAR, PREFERRED, SERVER, SERVER6, WIFI, World, simulated_world
from trioquic import health
from trioquic.networks import routes_of
from trioquic.policy import Decision, PolicyEvent, View
from trioquic.testing import Interface

from .decisions import opened
from .phone import Phone

TUNNEL = "10.8.0.2"
TUNNEL6 = "fd00:8::2"


@asynccontextmanager
async def phone_with_vpn(
    *,
    server: str = SERVER,
    options: ServerOptions | None = None,
    routes: tuple[str, ...] | None = None,
    up: bool = True,
    prepare: Callable[[World], object] = lambda world: None,
    **connection: Any,
) -> AsyncIterator[tuple[Phone, Interface]]:
    """A phone with Wi-Fi, cellular and a VPN that takes everything, connected to the server.

    `prepare` may change the world before."""
    async with simulated_world(options=options) as world:
        world.wifi.metric = 600
        world.cellular.metric = 700
        tunnel = world.phone.add_interface(
            "tun0", TUNNEL, TUNNEL6, kind="tunnel", metric=50, routes=routes, delay=0.03
        )
        if not up:
            tunnel.down()
        prepare(world)
        with world.phone.as_current():
            opening = trioquic.open_connection(
                server,
                PORT,
                alpn=(options or ServerOptions()).alpn,
                tls=trioquic.TLSConfig(verify=False),
                **{"networks": world.phone, **connection},
            )
            async with opening as conn, trio.open_nursery() as nursery:
                here = Phone(world=world, conn=conn)

                async def follow(events: trio.MemoryReceiveChannel[trioquic.PathEvent]) -> None:
                    async for event in events:
                        here.events.append((trio.current_time(), event))
                        here.news.set()
                        here.news = trio.Event()

                async with conn.path_events() as events:
                    nursery.start_soon(follow, events)
                    await conn.wait_handshake_confirmed()
                    yield here, tunnel
                    nursery.cancel_scope.cancel()


def outside(world: World) -> list[str]:
    """The interfaces that datagrams to the server left the phone by, but the tunnel."""
    return [
        record.interface
        for record in world.record.select(host="phone")
        if record.interface != "tun0"
    ]


@pytest.mark.parametrize("server", [SERVER, SERVER6])
@pytest.mark.parametrize("routes", [None, ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")])
async def test_nothing_leaves_the_tunnel_through_flaps(
    autojump_clock: trio.testing.MockClock, server: str, routes: tuple[str, ...] | None
) -> None:
    async with phone_with_vpn(server=server, routes=routes) as (here, tunnel):
        await here.download(200_000)
        await trio.sleep(10)
        for _ in range(3):
            tunnel.down()
            await trio.sleep(5)
            tunnel.up()
            await here.download(100_000)
        assert outside(here.world) == []
        waits = here.heard(trioquic.WaitingForPath)
        assert len(waits) == 3
        assert "the tunnel is gone" in waits[0].reason
        moved = here.heard(trioquic.Migrated)
        assert [event.new.local[0] for event in moved] == [TUNNEL6 if ":" in server else TUNNEL] * 3


async def test_a_silent_tunnel_is_not_left_either(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_with_vpn() as (here, tunnel):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.download, 2_000_000)
            await trio.sleep(0.5)
            tunnel.link.blackhole()
            await trio.sleep(8)
            tunnel.link.restore()
        assert outside(here.world) == []


async def test_a_tunnel_without_routes_is_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The interface stays while the VPN takes its routes away."""
    async with phone_with_vpn() as (here, tunnel):
        tunnel.set_routes([])
        tunnel.link.blackhole()
        with trio.move_on_after(10):
            await here.download(1000)
        tunnel.link.restore()
        tunnel.set_routes(None)
        await here.download(1000)
        assert outside(here.world) == []


class Silent:
    """The system's networks, whose news come late: a look for another reason comes first."""

    def snapshot(self) -> tuple[trioquic.Interface, ...]:
        return trioquic.system_networks().snapshot()

    def routes_to(self, servers: Sequence[tuple[str, int]]) -> tuple[trioquic.Route, ...] | None:
        return routes_of(trioquic.system_networks(), servers)

    async def wait_changed(self) -> None:
        await trio.sleep_forever()


async def test_a_port_that_failed_is_not_to_blame_when_the_tunnel_goes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It would be tried again soon, were its network still there."""
    async with phone_with_vpn(networks=Silent()) as (here, tunnel):
        tunnel.link.blackhole()
        with trio.move_on_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(here.download, 1000)
                await here.until(trioquic.ValidationFailed)
                tunnel.down()
        (waiting,) = here.heard(trioquic.WaitingForPath)
        assert "the tunnel is gone" in waiting.reason


def telling(probing: trio.Event) -> trioquic.MigrationPolicy:
    """Tells when it asks on another port."""

    class Telling(trioquic.MigrationPolicy):
        def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
            decision = super().decide(view, event, now)
            if opened(decision):
                probing.set()
            return decision

    return Telling()


async def test_a_port_that_was_opened_in_the_last_moment_lost_its_route_with_the_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """So it is given up, and not kept as one that carries packets without a route."""
    probing = trio.Event()
    async with (
        phone_with_vpn(migration=telling(probing)) as (here, tunnel),
        trio.open_nursery() as nursery,
    ):
        tunnel.link.blackhole()
        nursery.start_soon(here.download, 1000)
        await probing.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert len(here.conn.paths) == 2
        tunnel.set_routes([])
        await here.until(trioquic.WaitingForPath)
        await trio.sleep(0.1)
        assert len(here.conn.paths) == 1
        tunnel.link.restore()
        tunnel.set_routes(None)


async def test_leaving_is_allowed_to_who_says_so(autojump_clock: trio.testing.MockClock) -> None:
    policy = trioquic.MigrationPolicy(leave_tunnel=True)
    async with phone_with_vpn(migration=policy) as (here, tunnel):
        await here.until(trioquic.PathValidated)
        path = here.conn.active_path
        assert path is not None and path.local[0] == TUNNEL
        tunnel.down()
        await here.until(trioquic.Migrated)
        (moved,) = here.heard(trioquic.Migrated)
        assert moved.new.local[0] == WIFI


async def test_a_preferred_address_is_reached_through_the_tunnel_only(
    autojump_clock: trio.testing.MockClock,
) -> None:
    options = ServerOptions(preferred_ipv4=(PREFERRED, PORT))
    async with phone_with_vpn(options=options) as (here, _):
        await here.until(trioquic.PreferredAddressResult)
        (result,) = here.heard(trioquic.PreferredAddressResult)
        assert result.used
        assert outside(here.world) == []
    # one that the tunnel does not lead to is not taken
    async with phone_with_vpn(options=options, routes=(f"{SERVER}/32",)) as (here, tunnel):
        await here.download(1000)
        await trio.sleep(5)
        tunnel.down()
        await trio.sleep(5)
        tunnel.up()
        await here.download(1000)
        assert outside(here.world) == []


async def test_an_ipv6_address_beside_an_ipv4_tunnel_is_not_tried(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with simulated_world() as world:
        world.phone.add_interface("tun0", TUNNEL, kind="tunnel", metric=-1, delay=0.03)
        for starts in (1, 3):
            with world.phone.as_current():
                async with trioquic.open_connection(
                    NAME,
                    PORT,
                    alpn=ServerOptions().alpn,
                    tls=trioquic.TLSConfig(verify=False),
                    networks=world.phone,
                    addresses=[SERVER6, SERVER],
                    migration=trioquic.MigrationPolicy(start_interfaces=starts),
                ) as conn:
                    await trio.sleep(5)
                    path = conn.active_path
                    assert path is not None and path.local[0] == TUNNEL
        assert outside(world) == []


@pytest.mark.parametrize("leave", [False, True])
async def test_a_slow_tunnel_is_not_raced_where_no_routes_are_known(
    autojump_clock: trio.testing.MockClock, leave: bool
) -> None:
    """That the system's choice was a tunnel is seen by its address."""
    async with simulated_world() as world:
        world.phone.add_interface("tun0", TUNNEL, kind="tunnel", metric=-1, delay=0.4)
        with world.phone.as_current():
            async with trioquic.open_connection(
                SERVER,
                PORT,
                alpn=ServerOptions().alpn,
                tls=trioquic.TLSConfig(verify=False),
                networks=trioquic.ManualNetworks(world.phone.snapshot()),
                migration=trioquic.MigrationPolicy(leave_tunnel=leave),
            ) as conn:
                await trio.sleep(5)
                path = conn.active_path
                assert path is not None
                assert (path.local[0] == TUNNEL) is not leave
        assert bool(outside(world)) is leave


@pytest.mark.parametrize("leave", [False, True])
@pytest.mark.parametrize("slow", [False, True])
async def test_where_the_system_sends_and_the_source_knows_nothing_of_may_be_a_tunnel(
    autojump_clock: trio.testing.MockClock, leave: bool, slow: bool
) -> None:
    """The application's own source has the networks that it thought of. Neither the race nor the
    supervisor goes to these by itself, also when the VPN falls silent; by name they can be used."""
    async with simulated_world() as world:
        known = trioquic.ManualNetworks(world.phone.snapshot())
        tunnel = world.phone.add_interface(
            "tun0", TUNNEL, kind="tunnel", metric=-1, delay=0.4 if slow else 0.03
        )
        with world.phone.as_current():
            async with trioquic.open_connection(
                SERVER,
                PORT,
                alpn=ServerOptions().alpn,
                tls=trioquic.TLSConfig(verify=False),
                networks=known,
                migration=trioquic.MigrationPolicy(leave_tunnel=leave),
            ) as conn:
                here = Phone(world=world, conn=conn)
                await conn.wait_handshake_confirmed()
                await here.download(10_000)
                tunnel.link.blackhole()
                with trio.move_on_after(5):
                    await here.download(10_000)
                tunnel.link.restore()
                await here.download(10_000)
                assert bool(outside(world)) is leave
                if not leave:
                    assert (await conn.add_path()).local[0] == TUNNEL
                    path = await conn.migrate(interface="wlan0")
                    assert path.local[0] == WIFI


async def test_names_that_only_the_application_has_are_known_by_their_addresses(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A source whose list shrinks to what is up is no reason to stay either."""
    async with simulated_world() as world:
        names = {"wlan0": "home", "wwan0": "away"}
        listed = [replace(i, name=names[i.name]) for i in world.phone.snapshot()]
        known = trioquic.ManualNetworks(listed)
        with world.phone.as_current():
            async with trioquic.open_connection(
                SERVER,
                PORT,
                alpn=ServerOptions().alpn,
                tls=trioquic.TLSConfig(verify=False),
                networks=known,
            ) as conn:
                await conn.wait_handshake_confirmed()
                world.wifi.down()
                known.update(listed[1:])
                await Phone(world=world, conn=conn).download(10_000)
                path = conn.active_path
                assert path is not None and path.local[0] == CELLULAR


async def test_an_address_of_a_tunnel_that_is_gone_belongs_to_no_other_network(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Private ranges overlap: the Wi-Fi's has the address that the tunnel had."""
    async with phone_with_vpn(local=TUNNEL) as (here, tunnel):
        here.world.wifi.add_address("10.0.0.5/8")
        tunnel.remove_address(TUNNEL)
        await here.until(trioquic.WaitingForPath)
        await trio.sleep(5)
        assert here.conn.in_tunnel
        assert outside(here.world) == []


@pytest.mark.parametrize("automatic", [True, False])
async def test_who_moves_out_of_a_tunnel_by_name_is_in_none_any_more(
    autojump_clock: trio.testing.MockClock, automatic: bool
) -> None:
    async with phone_with_vpn(migration=trioquic.MigrationPolicy(automatic=automatic)) as (here, _):
        assert here.conn.in_tunnel
        await here.conn.migrate(interface="wlan0")
        assert not here.conn.in_tunnel
        # so that the system's choice is as good as any
        await here.conn.add_path()


async def test_a_tunnel_that_comes_later_is_moved_into(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_with_vpn(up=False) as (here, tunnel):
        await here.until(trioquic.PathValidated)
        tunnel.up()
        await here.until(trioquic.Migrated)
        await trio.sleep(1)
        path = here.conn.active_path
        assert path is not None and path.local[0] == TUNNEL
        # the standby and the old path are given up, and no new one is opened outside
        assert {p.local[0] for p in here.conn.paths} == {TUNNEL}
        before = len(outside(here.world))
        tunnel.down()
        await trio.sleep(5)
        assert here.conn.health.state is health.HealthState.WAITING
        assert len(outside(here.world)) == before


async def test_a_move_of_the_applications_own_stays_inside_unless_it_names_the_way_out(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_with_vpn() as (here, tunnel):
        path = await here.conn.migrate()
        assert path.local[0] == TUNNEL
        tunnel.down()
        with pytest.raises(trioquic.LocalAddressError, match="the tunnel is gone"):
            await here.conn.add_path()
        assert outside(here.world) == []
        path = await here.conn.migrate(interface="wlan0")
        assert path.local[0] == WIFI
        await here.download(1000)


async def test_a_spare_path_outside_is_no_refuge(autojump_clock: trio.testing.MockClock) -> None:
    """What the application opened stays, but nothing moves there by itself."""
    async with phone_with_vpn() as (here, tunnel):
        spare = await here.conn.add_path(interface="wlan0")
        await spare.validate()
        tunnel.link.blackhole()
        with trio.move_on_after(5):
            await here.download(1000)
        # to another port within the tunnel, at most
        assert spare not in [move.new for move in here.heard(trioquic.Migrated)]
        assert spare.state is trioquic.PathState.VALIDATED
        tunnel.link.restore()
        await here.download(1000)


# -- what the user said ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["interface", "local"])
async def test_an_interface_given_at_opening_is_kept_until_it_fails(
    autojump_clock: trio.testing.MockClock, kind: str
) -> None:
    start: dict[str, Any] = {"interface": "wwan0"} if kind == "interface" else {"local": CELLULAR}
    async with phone_with_vpn(up=False, **start) as (here, _):
        await trio.sleep(30)
        path = here.conn.active_path
        assert path is not None and path.local[0] == CELLULAR
        assert here.heard(trioquic.Migrated) == []
        here.world.cellular.down()
        await here.until(trioquic.Migrated)
        path = here.conn.active_path
        assert path is not None and path.local[0] == WIFI


async def test_it_is_kept_over_the_move_to_the_preferred_address(
    autojump_clock: trio.testing.MockClock,
) -> None:
    options = ServerOptions(preferred_ipv4=(PREFERRED, PORT))
    async with phone_with_vpn(up=False, options=options, interface="wwan0") as (here, _):
        await here.until(trioquic.PreferredAddressResult)
        await trio.sleep(30)
        path = here.conn.active_path
        assert path is not None
        assert (path.local[0], path.remote[0]) == (CELLULAR, PREFERRED)


async def test_a_tunnel_that_is_named_is_kept_though_nothing_is_routed_there(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_with_vpn(up=True, interface="tun0") as (here, tunnel):
        tunnel.metric = 5000
        await trio.sleep(10)
        tunnel.down()
        await trio.sleep(5)
        tunnel.up()
        await here.download(1000)
        assert outside(here.world) == []


async def test_only_these(autojump_clock: trio.testing.MockClock) -> None:
    policy = trioquic.MigrationPolicy(only_interfaces=["wwan0"])
    async with phone_with_vpn(up=False, migration=policy) as (here, _):
        path = here.conn.active_path
        assert path is not None and path.local[0] == CELLULAR
        await trio.sleep(10)
        here.world.cellular.down()
        await here.until(trioquic.WaitingForPath)
        (waiting,) = here.heard(trioquic.WaitingForPath)
        assert "only_interfaces" in waiting.reason
        here.world.cellular.up()
        await here.download(1000)
        assert set(outside(here.world)) == {"wwan0"}


async def test_a_tunnel_that_is_not_wanted(autojump_clock: trio.testing.MockClock) -> None:
    policy = trioquic.MigrationPolicy(kinds=["wifi", "cellular"])
    with pytest.raises(trioquic.LocalAddressError, match="not to be used"):
        async with phone_with_vpn(migration=policy):
            pytest.fail("the system's own way is not to be used")


async def test_only_these_that_are_not_there(autojump_clock: trio.testing.MockClock) -> None:
    policy = trioquic.MigrationPolicy(only_interfaces=["eth7"])
    with pytest.raises(trioquic.LocalAddressError, match="eth7"):
        async with phone_with_vpn(migration=policy):
            pytest.fail("there is no such interface")


async def test_without_routes_there_is_no_candidate(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_with_vpn(up=False) as (here, _):
        await here.until(trioquic.PathValidated)
        here.world.cellular.set_routes(["192.168.0.0/16"])
        here.world.wifi.down()
        await here.until(trioquic.WaitingForPath)
        (waiting,) = here.heard(trioquic.WaitingForPath)
        assert "no other network has a route to the server" in waiting.reason
        here.world.cellular.set_routes(None)
        await here.until(trioquic.Migrated)
