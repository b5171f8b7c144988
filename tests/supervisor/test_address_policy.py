"""What RFC 6724 leaves to the application holds at the beginning and for each move."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.runtime.world import dial, get, phone_world
from tests.sim_world import CELLULAR, CELLULAR6, SERVER, SERVER6, WIFI, WIFI6, World
from trioquic.addresses import DEFAULT_TABLE, AddressPolicy, PolicyRow
from trioquic.networks import Interface, Route

from .phone import phone

# on each network one that the system would send from, which is temporary
PUBLIC = {"wlan0": "2001:db8:2::20", "wwan0": "2001:db8:3::20"}
TEMPORARY = {WIFI6, CELLULAR6}
IPV4_FIRST = DEFAULT_TABLE.with_rows([PolicyRow(prefix="0.0.0.0/0", precedence=100, label=4)])
Clock = trio.testing.MockClock


class WithFlags:
    """The phone's networks, as a system that knows which addresses are temporary tells of them."""

    def __init__(self, world: World, *, named: bool = False, routes: bool = True) -> None:
        for interface in (world.wifi, world.cellular):
            interface.add_address(PUBLIC[interface.name])
        self._inner = world.phone
        self._named = named
        self._routes = routes

    def snapshot(self) -> tuple[Interface, ...]:
        return tuple(
            replace(
                interface,
                addresses=tuple(
                    replace(entry, temporary=entry.address in TEMPORARY)
                    for entry in interface.addresses
                ),
            )
            for interface in self._inner.snapshot()
        )

    def routes(self, remotes: Sequence[str]) -> tuple[Route, ...] | None:
        if not self._routes:
            return None
        return tuple(
            replace(route, source_named=self._named) for route in self._inner.routes(remotes)
        )

    async def wait_changed(self) -> None:
        await self._inner.wait_changed()


def local(conn: trioquic.Connection) -> str:
    assert conn.active_path is not None
    return conn.active_path.local[0]


@pytest.mark.parametrize(
    ("wishes", "from_wifi", "from_cellular"),
    [
        (AddressPolicy(), WIFI6, CELLULAR6),
        (AddressPolicy(prefer_public=True), PUBLIC["wlan0"], PUBLIC["wwan0"]),
    ],
)
async def test_public_addresses_from_the_beginning_and_after_a_move(
    autojump_clock: Clock, wishes: AddressPolicy, from_wifi: str, from_cellular: str
) -> None:
    policy = trioquic.MigrationPolicy(address_policy=wishes)
    async with phone_world() as world:
        networks = WithFlags(world)
        async with dial(world, SERVER6, networks=networks, migration=policy) as conn:
            assert local(conn) == from_wifi
            await conn.wait_handshake_confirmed()
            world.wifi.down()
            await get(conn, 100)
            assert local(conn) == from_cellular


@pytest.mark.parametrize("start", [{}, {"interface": "wlan0"}])
@pytest.mark.parametrize("name", ["public", "named by the route", "by the application"])
async def test_what_comes_before_the_policy_and_what_does_not(
    autojump_clock: Clock, start: dict[str, Any], name: str
) -> None:
    """Rules do not override a choice (RFC 6724 section 1), of the application's or of the routes'.
    Whoever tied the socket to an interface has not chosen among its addresses."""
    policy = trioquic.MigrationPolicy(address_policy=AddressPolicy(prefer_public=True))
    if name == "by the application":
        start = {**start, "local": WIFI6}
    async with phone_world() as world:
        networks = WithFlags(world, named=name == "named by the route")
        async with dial(world, SERVER6, networks=networks, migration=policy, **start) as conn:
            assert local(conn) == (PUBLIC["wlan0"] if name == "public" else WIFI6)


async def test_paths_by_hand_begin_at_such_an_address_too(autojump_clock: Clock) -> None:
    policy = trioquic.MigrationPolicy(
        automatic=False, address_policy=AddressPolicy(prefer_public=True)
    )
    async with phone_world() as world:
        networks = WithFlags(world)
        async with dial(world, SERVER6, networks=networks, migration=policy) as conn:
            path = await conn.migrate(interface="wwan0")
            assert path.local[0] == PUBLIC["wwan0"]
            path = await conn.migrate(interface="wlan0", local=WIFI6)
            assert path.local[0] == WIFI6


async def test_the_table_orders_the_servers_addresses(autojump_clock: Clock) -> None:
    """Section 10.3: IPv4 first."""
    async with phone_world() as world:
        async with dial(world) as conn:
            assert local(conn) == WIFI6
        policy = trioquic.MigrationPolicy(address_policy=AddressPolicy(table=IPV4_FIRST))
        async with dial(world, migration=policy) as conn:
            assert local(conn) == WIFI
            assert conn.active_path is not None
            assert conn.active_path.remote[0] == SERVER


async def test_without_routes_the_only_network_is_the_systems(autojump_clock: Clock) -> None:
    """A source that tells no routes, and of two networks one that cannot be used."""
    policy = trioquic.MigrationPolicy(address_policy=AddressPolicy(prefer_public=True))
    async with phone_world() as world:
        networks = WithFlags(world, routes=False)
        world.cellular.down()
        async with dial(world, SERVER6, networks=networks, migration=policy) as conn:
            assert local(conn) == PUBLIC["wlan0"]


# -- interfaces that are too narrow ----------------------------------------------------------------


def narrow_wifi(world: World, mtu: int = 1227) -> None:
    world.wifi.mtu = mtu


async def test_a_narrow_interface_is_refused_by_name(autojump_clock: Clock) -> None:
    """RFC 9000 section 14: QUIC must not be used where 1200 bytes do not fit."""
    async with phone_world() as world:
        narrow_wifi(world)
        with pytest.raises(trioquic.LocalAddressError) as caught:
            async with dial(world, SERVER, interface="wlan0"):
                pass
        assert "'wlan0' carries packets of 1227 bytes, QUIC needs 1228" in str(caught.value)
        assert not world.record.select(host="phone")
        narrow_wifi(world, 1228)
        async with dial(world, SERVER, interface="wlan0") as conn:
            assert local(conn) == WIFI
        with pytest.raises(trioquic.LocalAddressError, match="QUIC needs 1248"):
            async with dial(world, SERVER6, interface="wlan0"):
                pass


async def test_where_the_systems_network_is_too_narrow_another_is_taken(
    autojump_clock: Clock,
) -> None:
    async with phone_world() as world:
        narrow_wifi(world)
        async with dial(world, SERVER) as conn:
            assert local(conn) == CELLULAR
        assert not world.record.select(host="phone", interface="wlan0")


async def test_a_narrow_interface_is_told_where_there_is_no_other(autojump_clock: Clock) -> None:
    async with phone_world() as world:
        narrow_wifi(world)
        world.cellular.down()
        with pytest.raises(trioquic.HandshakeError) as caught:
            async with dial(world, SERVER):
                pass
        assert any("'wlan0' carries packets of 1227 bytes" in str(e) for e in caught.value.attempts)


async def test_no_move_leads_to_a_narrow_interface(autojump_clock: Clock) -> None:
    """The connection waits, and says for what; with a larger size the network is one."""

    def prepare(world: World) -> None:
        world.cellular.mtu = 1000

    async with phone(prepare=prepare) as here:
        here.world.wifi.down()
        await here.until(trioquic.WaitingForPath)
        (waiting,) = here.heard(trioquic.WaitingForPath)
        assert "too small for QUIC" in waiting.reason
        with pytest.raises(trioquic.LocalAddressError, match="carries packets of 1000 bytes"):
            await here.conn.add_path(interface="wwan0")
        assert not here.world.record.select(host="phone", interface="wwan0")
        here.world.cellular.mtu = 1280
        await here.download(1000)
        assert local(here.conn) == CELLULAR


async def test_an_interface_that_becomes_too_narrow_is_left(autojump_clock: Clock) -> None:
    """Section 14.2: nothing more is sent there."""
    async with phone() as here:
        narrow_wifi(here.world, 1000)
        await here.until(trioquic.Migrated)
        (moved,) = here.heard(trioquic.Migrated)
        assert "too small for QUIC" in moved.reason
        await here.download(1000)
        assert local(here.conn) == CELLULAR
