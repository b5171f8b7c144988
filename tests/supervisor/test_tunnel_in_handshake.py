"""A tunnel that comes up while the handshake is under way: into it, as a connection would go.

What is under way outside has a second to be completed; what was to begin there begins inside."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests.runtime.test_early_data import first_visit, options
from tests.runtime.world import dial, get, open_sockets, phone_world
from tests.sim_server import NAME
from tests.sim_world import CELLULAR, SERVER, WIFI, World
from trioquic import ManualNetworks, MigrationPolicy, TransportConfig
from trioquic.networks import Interface, InterfaceAddress, InterfaceKind, Route
from trioquic.testing import Interface as Link
from trioquic.testing import LinkOptions, Record

from .test_tunnel import TUNNEL

Clock = trio.testing.MockClock
TO_ENTER = 1.0
DELAY = TransportConfig().attempt_delay
# what noticing takes at the most, and one step of a task
SOON = 0.15
DEAD = [f"198.51.100.{90 + n}" for n in range(4)]


@asynccontextmanager
async def world_with_vpn(**more: Any) -> AsyncIterator[tuple[World, Link]]:
    """A phone whose Wi-Fi and cellular carry nothing at the moment, and whose VPN is down."""
    async with phone_world(**{"ipv6": False, **more}) as world:
        world.cellular.metric = 700
        world.wifi.metric = 600
        tunnel = world.phone.add_interface("tun0", TUNNEL, kind="tunnel", metric=50, delay=0.03)
        tunnel.down()
        cut(world)
        yield world, tunnel


def cut(world: World) -> None:
    world.wifi.link.blackhole()
    world.cellular.link.blackhole()


def restore(world: World) -> None:
    world.wifi.link.restore()
    world.cellular.link.restore()


def sent_outside(world: World, since: float) -> list[Record]:
    return [
        record
        for record in world.record.select(host="phone")
        if record.interface != "tun0" and record.time > since
    ]


async def change(after: float, what: Any) -> None:
    await trio.sleep(after)
    what()


def active(conn: trioquic.Connection) -> str:
    path = conn.active_path
    assert path is not None
    return path.local[0]


@pytest.mark.parametrize("after", [0.02, 0.4, 3.0])
@pytest.mark.parametrize("addresses", [[SERVER], [SERVER, *DEAD]])
@pytest.mark.parametrize(
    "policy",
    [
        MigrationPolicy(),
        MigrationPolicy(start_interfaces=1),
        MigrationPolicy(start_interfaces=2),
        MigrationPolicy(kinds=["tunnel", "wifi"]),
        MigrationPolicy(only_interfaces=["wlan0", "tun0"]),
        MigrationPolicy(automatic=False),
    ],
)
async def test_it_is_entered_at_once(
    autojump_clock: Clock, policy: MigrationPolicy, addresses: list[str], after: float
) -> None:
    async with world_with_vpn() as (world, tunnel), trio.open_nursery() as nursery:
        nursery.start_soon(change, after, tunnel.up)
        start = trio.current_time()
        async with dial(world, NAME, addresses=addresses, migration=policy) as conn:
            assert trio.current_time() - start < after + SOON + 0.1
            assert active(conn) == TUNNEL
            assert conn.in_tunnel or not policy.automatic
            assert await get(conn, 1000)
            assert open_sockets(world) == 1
        assert not sent_outside(world, start + after + SOON)


@pytest.mark.parametrize("end", ["timeout", "cancelled"])
async def test_nothing_goes_outside_when_it_has_had_its_second(
    autojump_clock: Clock, end: str
) -> None:
    """Not even the last word to the server."""
    async with world_with_vpn() as (world, tunnel), trio.open_nursery() as nursery:
        tunnel.link.blackhole()
        nursery.start_soon(change, 0.3, tunnel.up)
        start = trio.current_time()
        with trio.move_on_after(4 if end == "cancelled" else 60) as scope:
            with pytest.raises(trioquic.HandshakeTimeoutError, match="nothing goes beside it"):
                async with dial(world, addresses=[SERVER, *DEAD], migration=MigrationPolicy()):
                    pytest.fail("nothing works")
        assert scope.cancelled_caught is (end == "cancelled")
        assert sent_outside(world, start + 0.3 + 0.5)
        assert not sent_outside(world, start + 0.3 + TO_ENTER)
        # nor did any of those begin that had not before
        assert {r.destination[0] for r in sent_outside(world, 0)} == {SERVER, DEAD[0]}
        assert open_sockets(world) == 0


async def test_who_is_almost_through_outside_gets_through(autojump_clock: Clock) -> None:
    slow: LinkOptions = {"delay": 0.45}
    opening = world_with_vpn(wifi=slow, cellular=slow)
    async with opening as (world, tunnel), trio.open_nursery() as nursery:
        restore(world)
        tunnel.link.blackhole()
        nursery.start_soon(change, 0.3, tunnel.up)
        start = trio.current_time()
        async with dial(world, migration=MigrationPolicy()) as conn:
            assert trio.current_time() - start < 0.3 + TO_ENTER
            assert active(conn) == WIFI


async def test_without_a_way_inside_the_error_says_why(autojump_clock: Clock) -> None:
    async with world_with_vpn() as (world, tunnel), trio.open_nursery() as nursery:
        policy = MigrationPolicy(kinds=["wifi", "cellular"])
        nursery.start_soon(change, 0.3, tunnel.up)
        start = trio.current_time()
        with pytest.raises(trioquic.LocalAddressError, match="kinds"):
            async with dial(world, addresses=[SERVER, *DEAD], migration=policy):
                pytest.fail("nothing works")
        assert trio.current_time() - start == pytest.approx(0.3 + TO_ENTER, abs=0.05)
        assert not sent_outside(world, start + 0.3 + TO_ENTER)
        assert open_sockets(world) == 0


@pytest.mark.parametrize("there", [0.5, 2.0])
@pytest.mark.parametrize("kinds", [["wifi", "cellular", "tunnel"], ["wifi", "cellular"]])
@pytest.mark.parametrize("addresses", [[SERVER], [*DEAD[:2], SERVER]])
async def test_when_it_goes_again_the_ways_outside_are_back(
    autojump_clock: Clock, there: float, kinds: list[str], addresses: list[str]
) -> None:
    """A VPN whose login failed, for instance."""
    async with world_with_vpn() as (world, tunnel), trio.open_nursery() as nursery:
        tunnel.link.blackhole()
        nursery.start_soon(change, 0.3, tunnel.up)
        nursery.start_soon(change, 0.3 + there, tunnel.down)
        nursery.start_soon(change, 0.3 + there, lambda: restore(world))
        policy = MigrationPolicy(kinds=kinds)
        start = trio.current_time()
        if "tunnel" not in kinds and there > TO_ENTER:
            with pytest.raises(trioquic.LocalAddressError):
                await dial(world, addresses=addresses, migration=policy).__aenter__()
            return
        async with dial(world, addresses=addresses, migration=policy) as conn:
            # the race begins anew, and the right address is the third, over two networks each
            assert trio.current_time() - start < 0.3 + there + 5 * DELAY
            # where the first addresses are dead, other networks have their turn before the third
            assert active(conn) in ((WIFI,) if addresses == [SERVER] else (WIFI, CELLULAR))
            assert await get(conn, 1000)


async def test_a_tunnel_in_which_the_server_was_heard_is_not_left(autojump_clock: Clock) -> None:
    """As a connection would not be."""
    async with world_with_vpn() as (world, tunnel), trio.open_nursery() as nursery:
        real_send, sent = world.server.send, trio.Event()

        async def send_once(data: bytes, address: tuple[str, int, int]) -> None:
            if not sent.is_set():
                sent.set()
                # the Initial packet is whole, the Handshake packet behind it is not
                await real_send(data[:400] + bytes(len(data) - 400), address)

        async def go_when_heard() -> None:
            await sent.wait()
            await trio.sleep(0.1)
            tunnel.down()
            restore(world)

        world.server.send = send_once  # type: ignore[method-assign]
        nursery.start_soon(change, 0.3, tunnel.up)
        nursery.start_soon(go_when_heard)
        start = trio.current_time()
        transport = TransportConfig(handshake_timeout=4.0)
        with pytest.raises(trioquic.HandshakeError):
            async with dial(world, migration=MigrationPolicy(), transport=transport):
                pytest.fail("it was left")
        assert not sent_outside(world, start + 0.3 + TO_ENTER)
        assert sent.is_set()


async def test_what_began_in_a_tunnel_stays_there_when_it_goes(autojump_clock: Clock) -> None:
    async with world_with_vpn() as (world, tunnel), trio.open_nursery() as nursery:
        tunnel.up()
        tunnel.link.blackhole()
        nursery.start_soon(change, 0.5, tunnel.down)
        nursery.start_soon(change, 0.5, lambda: restore(world))
        transport = TransportConfig(handshake_timeout=4.0)
        with pytest.raises(trioquic.HandshakeError):
            async with dial(world, migration=MigrationPolicy(), transport=transport):
                pytest.fail("it was left")
        assert not sent_outside(world, 0)


async def test_flapping_is_bounded(autojump_clock: Clock) -> None:
    """The tunnel's part in it; the attempt ends, and few were made."""
    async with world_with_vpn() as (world, tunnel), trio.open_nursery() as nursery:
        tunnel.link.blackhole()

        async def flap() -> None:
            while True:
                tunnel.up()
                await trio.sleep(0.25)
                tunnel.down()
                await trio.sleep(0.25)

        nursery.start_soon(flap)
        transport = TransportConfig(handshake_timeout=2.0)
        start = trio.current_time()
        with pytest.raises(trioquic.HandshakeError):
            async with dial(world, migration=MigrationPolicy(), transport=transport):
                pytest.fail("nothing works")
        assert trio.current_time() - start < 20.0
        ports = {record.source for record in world.record.select(host="phone")}
        assert len(ports) <= 12
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "more",
    [
        {"migration": MigrationPolicy(leave_tunnel=True)},
        {"migration": MigrationPolicy(only_interfaces=["wlan0"])},
        {"migration": MigrationPolicy(), "interface": "wlan0"},
        {"migration": MigrationPolicy(), "local": WIFI},
    ],
)
async def test_who_says_so_stays_outside(autojump_clock: Clock, more: dict[str, Any]) -> None:
    async with world_with_vpn() as (world, tunnel), trio.open_nursery() as nursery:
        tunnel.link.blackhole()
        nursery.start_soon(change, 0.3, tunnel.up)
        nursery.start_soon(change, 2.5, lambda: restore(world))
        async with dial(world, **more) as conn:
            assert active(conn) == WIFI


async def test_of_many_connections_each_follows(autojump_clock: Clock) -> None:
    async with world_with_vpn() as (world, tunnel), trio.open_nursery() as nursery:
        found: list[str] = []
        nursery.start_soon(change, 0.6, tunnel.up)
        with trio.fail_after(1.5):
            async with trio.open_nursery() as openings:

                async def one(after: float) -> None:
                    await trio.sleep(after)
                    async with dial(world, migration=MigrationPolicy()) as conn:
                        found.append(active(conn))

                for number in range(20):
                    openings.start_soon(one, number / 20)
        assert found == [TUNNEL] * 20


@pytest.mark.parametrize("known", [False, True])
async def test_a_source_of_the_applications_own(autojump_clock: Clock, known: bool) -> None:
    """Without routes nobody knows where the system sends packets, and all goes on as planned."""
    known_links: list[tuple[str, InterfaceKind, str]] = [
        ("wlan0", "wifi", WIFI),
        ("tun0", "tunnel", TUNNEL),
    ]
    links = [
        Interface(
            name=name,
            kind=kind,
            addresses=(InterfaceAddress(address=address, prefix_length=24),),
        )
        for name, kind, address in known_links
    ]
    source = ManualNetworks()
    source.update(links[:1], metrics={"wlan0": 9} if known else None)
    async with world_with_vpn() as (world, tunnel), trio.open_nursery() as nursery:

        def come_up() -> None:
            tunnel.up()
            source.update(links, metrics={"wlan0": 9, "tun0": 1} if known else None)

        nursery.start_soon(change, 0.3, come_up)
        nursery.start_soon(change, 2.5, lambda: restore(world))
        policy = MigrationPolicy(start_interfaces=1)
        async with dial(world, migration=policy, networks=source) as conn:
            assert active(conn) == (TUNNEL if known else WIFI)


@pytest.mark.usefixtures("calendar")
@pytest.mark.parametrize("goes", [False, True])
async def test_early_data_ends_beside_a_tunnel(autojump_clock: Clock, goes: bool) -> None:
    """The connection is there before its handshake is complete, and cannot begin once more."""
    async with world_with_vpn(options=options()) as (world, tunnel):
        restore(world)
        sessions = await first_visit(world, migration=MigrationPolicy())
        cut(world)
        tunnel.link.blackhole()
        start = trio.current_time()
        opening = dial(world, sessions=sessions, early_data=True, migration=MigrationPolicy())
        async with opening as conn, trio.open_nursery() as nursery:
            assert not conn.handshake_complete
            stream = await conn.open_stream(early_data=True)
            await stream.send_all(b"GET 100\r\n")
            nursery.start_soon(change, 0.3, tunnel.up)
            if goes:
                nursery.start_soon(change, 0.8, tunnel.down)
                nursery.start_soon(change, 2.0, lambda: restore(world))
                await conn.wait_handshake_complete()
                assert active(conn) == WIFI
                return
            with pytest.raises(trioquic.HandshakeTimeoutError, match="nothing goes beside it"):
                await conn.wait_handshake_complete()
            assert trio.current_time() - start == pytest.approx(0.3 + TO_ENTER, abs=0.05)
        await trio.sleep(5)
        assert not sent_outside(world, start + 0.3 + TO_ENTER)
        assert open_sockets(world) == 0


@pytest.mark.parametrize("method", ["wait_changed", "routes"])
async def test_a_source_that_fails_meanwhile_is_told_of(autojump_clock: Clock, method: str) -> None:
    async with world_with_vpn() as (world, _):
        phone = world.phone

        class Failing:
            """The phone's networks, until they fail."""

            def __init__(self) -> None:
                self.fails = False

            def snapshot(self) -> tuple[Interface, ...]:
                return phone.snapshot()

            def routes(self, remotes: Sequence[str]) -> tuple[Route, ...] | None:
                if self.fails and method == "routes":
                    raise RuntimeError("planted")
                return phone.routes(remotes)

            async def wait_changed(self) -> None:
                await trio.sleep(0.3)
                self.fails = True
                if method == "wait_changed":
                    raise RuntimeError("planted")

        opening = dial(world, migration=MigrationPolicy(), networks=Failing())
        with pytest.raises(trioquic.ApplicationCodeError, match=method):
            await opening.__aenter__()
        assert open_sockets(world) == 0


async def test_a_network_that_is_new_is_no_way_out_of_a_tunnel_that_goes(
    autojump_clock: Clock,
) -> None:
    """All began in the tunnel, and the system has another network to send through since."""
    async with phone_world(ipv6=False) as world, trio.open_nursery() as nursery:
        world.wifi.metric, world.cellular.metric = 600, 700
        tunnel = world.phone.add_interface("tun0", TUNNEL, kind="tunnel", metric=50)
        tunnel.link.blackhole()

        def swap() -> None:
            tunnel.down()
            world.phone.add_interface("eth9", "203.0.113.77", kind="ethernet", metric=100)

        nursery.start_soon(change, 0.5, swap)
        transport = TransportConfig(handshake_timeout=4.0)
        with pytest.raises(trioquic.HandshakeTimeoutError):
            async with dial(world, migration=MigrationPolicy(), transport=transport):
                pytest.fail("it was left")
        assert not sent_outside(world, 0.0)


async def test_networks_that_come_one_after_the_other_win_no_second(
    autojump_clock: Clock,
) -> None:
    async with world_with_vpn() as (world, tunnel), trio.open_nursery() as nursery:
        tunnel.link.blackhole()
        start = trio.current_time()
        nursery.start_soon(change, 0.3, tunnel.up)

        async def containers() -> None:
            for number in range(10):
                await trio.sleep(0.7)
                prefix = f"172.17.{number}"
                world.phone.add_interface(
                    f"veth{number}", f"{prefix}.1", kind="ethernet", routes=[f"{prefix}.0/24"]
                )

        nursery.start_soon(containers)
        transport = TransportConfig(handshake_timeout=6.0)
        with pytest.raises(trioquic.HandshakeTimeoutError):
            async with dial(world, migration=MigrationPolicy(), transport=transport):
                pytest.fail("nothing works")
        assert not sent_outside(world, start + 0.3 + TO_ENTER)


async def test_another_network_is_tried_after_a_dead_tunnel_has_gone(
    autojump_clock: Clock,
) -> None:
    """Wi-Fi is dead, and cellular is not: the attempt in the tunnel counts as no attempt there."""
    async with phone_world(ipv6=False) as world, trio.open_nursery() as nursery:
        world.wifi.metric, world.cellular.metric = 600, 700
        world.wifi.link.blackhole()
        tunnel = world.phone.add_interface("tun0", TUNNEL, kind="tunnel", metric=50)
        tunnel.down()
        tunnel.link.blackhole()
        nursery.start_soon(change, 0.12, tunnel.up)
        nursery.start_soon(change, 0.6, tunnel.down)
        start = trio.current_time()
        async with dial(world, migration=MigrationPolicy()):
            assert trio.current_time() - start < 0.6 + 3 * DELAY
