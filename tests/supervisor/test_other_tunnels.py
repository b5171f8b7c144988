"""Several tunnels: the one that the system sends into is the VPN, and another may be what that runs
over, such as a DSL line. Then it is outside, as any network is."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_server import PORT
from tests.sim_world import PREFERRED, SERVER, World
from trioquic import MigrationCause, MigrationPolicy
from trioquic.http3.client.tunnels import HostsInside
from trioquic.testing import Interface

from .phone import Phone
from .test_tunnel import TUNNEL, phone_with_vpn

LIVE = trioquic.TransportConfig(keep_alive=1.0)
LINE = "203.0.113.9"
TO_ENTER = 1.0


@asynccontextmanager
async def phone_with_line(
    *, up: bool = True, others: bool = False, **connection: Any
) -> AsyncIterator[tuple[Phone, Interface, Interface]]:
    """A phone whose VPN runs over a DSL line; `others`: Wi-Fi and cellular are there as well."""
    lines: list[Interface] = []

    def prepare(world: World) -> None:
        if not others:
            world.wifi.down()
            world.cellular.down()
        line = world.phone.add_interface("ppp0", LINE, kind="tunnel", metric=100, delay=0.02)
        lines.append(line)

    connection = {"transport": LIVE, **connection}
    async with phone_with_vpn(up=up, prepare=prepare, **connection) as (here, tunnel):
        yield here, tunnel, lines[0]


def sent(here: Phone, name: str) -> int:
    """How many datagrams have left by an interface."""
    return sum(record.interface == name for record in here.world.record.select(host="phone"))


async def test_the_line_under_a_tunnel_is_outside(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_with_line() as (here, tunnel, _):
        await here.download(100_000)
        await trio.sleep(10)
        for _ in range(3):
            tunnel.down()
            await trio.sleep(5)
            tunnel.up()
            await here.download(100_000)
        assert sent(here, "ppp0") == 0
        assert here.conn.in_tunnel
        assert here.conn.beside_tunnel == {"ppp0"}
        waits = here.heard(trioquic.WaitingForPath)
        assert len(waits) == 3
        assert "the tunnel is gone" in waits[0].reason
        assert "it may have run over ppp0 (not_tunnels)" in waits[0].reason


async def test_a_line_that_gets_its_route_when_the_tunnel_goes_is_outside(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """As where a VPN puts itself in place of the default route, and back."""
    async with phone_with_line() as (here, tunnel, line):
        line.set_routes([])
        await trio.sleep(10)
        tunnel.down()
        line.set_routes(None)
        await trio.sleep(10)
        assert sent(here, "ppp0") == 0
        assert here.heard(trioquic.WaitingForPath)


@pytest.mark.parametrize("carries", [True, False])
async def test_a_tunnel_over_the_line_is_entered(
    autojump_clock: trio.testing.MockClock, carries: bool
) -> None:
    policy = MigrationPolicy(move_back_after=math.inf)
    async with phone_with_line(up=False, migration=policy) as (here, tunnel, _):
        await trio.sleep(5)
        assert here.conn.in_tunnel
        if not carries:
            tunnel.link.blackhole()
        tunnel.up()
        await trio.sleep(TO_ENTER + 0.1)
        before = sent(here, "ppp0")
        await trio.sleep(10)
        tunnel.link.restore()
        await here.conn.wait_healthy()
        (moved,) = here.heard(trioquic.Migrated)
        assert (moved.new.local[0], moved.cause) == (TUNNEL, MigrationCause.TUNNEL)
        await here.download(100_000)
        tunnel.down()
        await trio.sleep(5)
        assert sent(here, "ppp0") == before


async def test_another_vpn_in_its_place_is_entered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Also where the old one stays up, which is outside from then on."""
    policy = MigrationPolicy(move_back_after=math.inf)
    async with phone_with_vpn(transport=LIVE, migration=policy) as (here, _):
        await trio.sleep(5)
        phone = here.world.phone
        phone.add_interface("tun1", "10.9.0.2", kind="tunnel", metric=20, delay=0.03)
        await here.until(trioquic.Migrated)
        assert here.heard(trioquic.Migrated)[0].cause is MigrationCause.TUNNEL
        assert here.conn.active_path.interface == "tun1"  # type: ignore[union-attr]
        await trio.sleep(TO_ENTER)
        before = sent(here, "tun0")
        phone.interface("tun1").down()
        await trio.sleep(5)
        assert here.heard(trioquic.WaitingForPath)
        assert sent(here, "tun0") == before


async def test_a_connection_does_not_begin_beside_a_tunnel_that_is_dead(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_with_line() as (here, tunnel, _):
        tunnel.link.blackhole()
        with pytest.raises(trioquic.HandshakeTimeoutError):
            async with trioquic.open_connection(
                SERVER,
                PORT,
                alpn=["hq-interop"],
                tls=trioquic.TLSConfig(verify=False),
                networks=here.world.phone,
            ):
                pass
        assert sent(here, "ppp0") == 0


@pytest.mark.parametrize("up", [True, False])
async def test_whoever_says_so_leaves_the_line_and_not_the_tunnel(
    autojump_clock: trio.testing.MockClock, up: bool
) -> None:
    policy = MigrationPolicy(not_tunnels=["ppp0"])
    opening = phone_with_line(up=up, others=True, migration=policy)
    async with opening as (here, tunnel, line):
        await trio.sleep(5)
        assert here.conn.in_tunnel is up
        assert here.conn.beside_tunnel == ({"ppp0"} if up else set())
        if up:
            tunnel.down()
            await trio.sleep(5)
            assert sent(here, "ppp0") == 0
            assert here.heard(trioquic.WaitingForPath)
        else:
            line.down()
            assert await here.download(100_000) < 0.5
            assert here.heard(trioquic.WaitingForPath) == []


async def test_tunnels_that_are_named_together_stand_by_for_each_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    policy = MigrationPolicy(only_interfaces=["tun0", "ppp0"])
    async with phone_with_line(migration=policy) as (here, tunnel, _):
        await here.until(trioquic.PathValidated)
        tunnel.down()
        assert await here.download(100_000) < 0.5
        assert here.heard(trioquic.WaitingForPath) == []


async def test_a_tunnel_that_the_system_does_not_use_may_be_left_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It was there when nothing else was."""

    def prepare(world: World) -> None:
        world.cellular.down()
        world.phone.interface("tun0").metric = 900

    async with phone_with_vpn(prepare=prepare, transport=LIVE) as (here, _):
        assert not here.conn.in_tunnel
        here.world.wifi.link.blackhole()
        await here.until(trioquic.Migrated)
        assert here.heard(trioquic.Migrated)[0].new.local[0] == TUNNEL
        assert not here.conn.in_tunnel
        here.world.wifi.link.restore()
        await here.until(trioquic.Migrated, 2)
        assert here.conn.active_path.interface == "wlan0"  # type: ignore[union-attr]


@pytest.mark.parametrize("gap", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("over", ["ppp0", "tun0"])
async def test_a_tunnel_that_is_up_before_its_routes_is_entered(
    autojump_clock: trio.testing.MockClock, over: str, gap: float
) -> None:
    """As real ones come: the link first. From a line, or from another VPN that stays up."""
    opening = phone_with_line(up=over == "tun0")
    async with opening as (here, tunnel, line):
        await trio.sleep(5)
        if over == "tun0":
            line.down()
        late = here.world.phone.add_interface(
            "tun1", "10.9.0.2", kind="tunnel", metric=20, routes=[], delay=0.03
        )
        await trio.sleep(gap)
        late.set_routes(None)
        await here.until(trioquic.Migrated)
        assert here.conn.active_path.interface == "tun1"  # type: ignore[union-attr]
        await trio.sleep(TO_ENTER)
        tunnel.down()
        assert await here.download(100_000) < TO_ENTER
        assert over in here.conn.beside_tunnel


async def test_the_system_may_prefer_another_tunnel_to_one_that_works(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """That one had a route all the time, so it counted as what the own one may run over."""
    async with phone_with_vpn(transport=LIVE) as (here, tunnel):
        other = here.world.phone.add_interface(
            "tun1", "10.9.0.2", kind="tunnel", metric=70, delay=0.03
        )
        await trio.sleep(5)
        assert here.conn.beside_tunnel == {"tun1"}
        other.metric = 20
        other.set_routes(None)
        await here.until(trioquic.Migrated)
        assert here.conn.active_path.interface == "tun1"  # type: ignore[union-attr]
        await trio.sleep(TO_ENTER)
        tunnel.down()
        assert await here.download(100_000) < TO_ENTER


async def test_each_host_has_its_own_tunnels(autojump_clock: trio.testing.MockClock) -> None:
    """Two VPNs, of which one takes one host: what is beside one's is another's own."""
    policy = MigrationPolicy()
    inside = HostsInside(policy)

    def prepare(world: World) -> None:
        world.phone.interface("tun0").set_routes([f"{PREFERRED}/32"])
        world.phone.add_interface("wg0", "10.9.0.2", kind="tunnel", metric=60, delay=0.03)

    async with phone_with_vpn(prepare=prepare, transport=LIVE) as (here, _):
        for _ in range(2):
            for host, own, other in ((SERVER, "wg0", "tun0"), (PREFERRED, "tun0", "wg0")):
                held = inside.holds(host)
                chosen = policy.inside(inside.beside(host)) if held else policy
                async with trioquic.open_connection(
                    host,
                    PORT,
                    alpn=["hq-interop"],
                    tls=trioquic.TLSConfig(verify=False),
                    networks=here.world.phone,
                    migration=chosen,
                ) as conn:
                    with inside.watching(host, conn):
                        await conn.wait_handshake_confirmed()
                        assert conn.active_path.interface == own  # type: ignore[union-attr]
                assert inside.holds(host)
                assert inside.beside(host) == {other}
