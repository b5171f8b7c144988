"""Each family's addresses come when they come: nothing waits for both (RFC 8305 section 3)."""

import copy
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.abc
import trio.testing

import trioquic
from tests.sim_server import NAME, PORT
from tests.sim_world import SERVER, SERVER6, WIFI, WIFI6, World
from tests.uncollected import uncollected
from trioquic import MigrationPolicy
from trioquic._resolver import MOST_ADDRESSES
from trioquic._runtime.opening.lookup import Lookup
from trioquic.networks import Interface, Route
from trioquic.paths import Address

from .world import dial, get, phone_world

DEAD = "198.51.100.99"
DEAD6 = "2001:db8:1::99"
RTT = 0.05
NEVER = 1000.0
Clock = trio.testing.MockClock


class Slow(trio.abc.HostnameResolver):
    """Knows the server's name, and takes its time for each family."""

    def __init__(self, inner: trio.abc.HostnameResolver, **answers: Any) -> None:
        self._inner = inner
        # by family: seconds, and addresses or an error
        self._answers = {socket.AF_INET6: answers["ipv6"], socket.AF_INET: answers["ipv4"]}
        self.asked: list[int] = []
        self.under_way = 0

    async def getaddrinfo(self, host: Any, port: Any, family: int = 0, *rest: Any) -> Any:
        if host != NAME.encode():
            return await self._inner.getaddrinfo(host, port, family, *rest)
        self.asked.append(family)
        seconds, answer = self._answers[family]  # type: ignore[index]
        self.under_way += 1
        try:
            await trio.sleep(seconds)
        finally:
            self.under_way -= 1
        if isinstance(answer, Exception):
            raise copy.copy(answer)
        found = []
        for address in answer:
            found += await self._inner.getaddrinfo(address, port, family, *rest)
        return found

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        return await self._inner.getnameinfo(sockaddr, flags)


@asynccontextmanager
async def slow_world(
    ipv6: tuple[float, object], ipv4: tuple[float, object], **more: Any
) -> AsyncIterator[tuple[World, Slow]]:
    """The phone's world, and a resolver that tells each family after so many seconds."""
    async with phone_world(**more) as world:
        inner = trio.socket.set_custom_hostname_resolver(None)
        assert inner is not None
        resolver = Slow(inner, ipv6=ipv6, ipv4=ipv4)
        trio.socket.set_custom_hostname_resolver(resolver)
        try:
            yield world, resolver
        finally:
            trio.socket.set_custom_hostname_resolver(inner)


UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
LATER = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


async def begun(world: World, **more: Any) -> tuple[str, float]:
    """Where the server is met, and how long that took, counted to the first answer's arrival."""
    start = trio.current_time()
    async with dial(world, **more) as conn:
        took = trio.current_time() - start
        assert conn.active_path is not None
        assert await get(conn, 10)
        return conn.active_path.remote[0], took


@pytest.mark.parametrize(
    ("ipv6", "ipv4", "where", "begins"),
    [
        # IPv6 addresses are enough
        ((0.1, [SERVER6]), (3.0, [SERVER]), SERVER6, 0.1),
        ((0.1, [SERVER6]), (0.1, [SERVER]), SERVER6, 0.1),
        # IPv4 waits a little for the preferred family
        ((0.14, [SERVER6]), (0.1, [SERVER]), SERVER6, 0.14),
        ((3.0, [SERVER6]), (0.1, [SERVER]), SERVER, 0.15),
        # what is not there is not waited for
        ((0.12, UNKNOWN), (0.1, [SERVER]), SERVER, 0.12),
        ((0.0, UNKNOWN), (0.1, [SERVER]), SERVER, 0.1),
        ((0.3, [SERVER6]), (0.1, UNKNOWN), SERVER6, 0.3),
        # the attempt over IPv4, which leads nowhere, has `attempt_delay` to itself
        ((0.3, [SERVER6]), (0.1, [DEAD]), SERVER6, 0.4),
    ],
)
async def test_when_a_connection_begins(
    autojump_clock: Clock,
    ipv6: tuple[float, object],
    ipv4: tuple[float, object],
    where: str,
    begins: float,
) -> None:
    async with slow_world(ipv6, ipv4) as (world, resolver):
        found, took = await begun(world)
        assert found == where
        assert begins <= took < begins + 2 * RTT + 0.02
        assert sorted(resolver.asked) == sorted([socket.AF_INET6, socket.AF_INET])
        # the rest is nobody's when the connection is over
        await trio.testing.wait_all_tasks_blocked()
        assert resolver.under_way == 0


async def test_a_late_address_waits_for_its_turn(autojump_clock: Clock) -> None:
    """An attempt that is under way has `attempt_delay` to itself, whatever the resolver says."""
    async with slow_world((0.0, [DEAD6]), (0.02, [SERVER])) as (world, _):
        found, took = await begun(world)
        assert found == SERVER
        assert 0.25 <= took < 0.25 + 2 * RTT + 0.02


async def test_a_late_address_is_tried_at_once_when_nothing_else_is_left(
    autojump_clock: Clock,
) -> None:
    """The first family's attempts have all failed while the other one was asked for: the race is
    not over."""
    async with slow_world((0.0, [SERVER6]), (2.0, [SERVER])) as (world, _):
        # nothing that is sent leads there
        world.wifi.remove_address(WIFI6)
        world.cellular.down()
        found, took = await begun(world)
        assert found == SERVER
        assert 2.0 <= took < 2.0 + 2 * RTT + 0.02


async def test_an_unknown_host(autojump_clock: Clock) -> None:
    for ipv6, ipv4, expected in (
        ((0.1, UNKNOWN), (0.2, UNKNOWN), UNKNOWN),
        # who could not be asked may know it
        ((0.1, UNKNOWN), (0.2, LATER), LATER),
        ((0.1, LATER), (0.2, UNKNOWN), LATER),
    ):
        async with slow_world(ipv6, ipv4) as (world, _):
            with pytest.raises(socket.gaierror) as caught:
                await begun(world)
            assert caught.value.errno == expected.errno


async def test_whatever_a_resolver_raises_comes_out(autojump_clock: Clock) -> None:
    async with slow_world((0.1, UNKNOWN), (0.2, RuntimeError("its own"))) as (world, _):
        with pytest.raises(RuntimeError, match="its own"):
            await begun(world)
    async with slow_world((0.1, [SERVER6]), (0.0, RuntimeError("its own"))) as (world, _):
        assert (await begun(world))[0] == SERVER6


async def test_cancelled_while_asking(autojump_clock: Clock) -> None:
    async with slow_world((NEVER, [SERVER6]), (NEVER, [SERVER])) as (_, resolver):
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(1):
                await trioquic.connect(nursery, NAME, PORT, alpn=["x"])
            await trio.testing.wait_all_tasks_blocked()
            # the nursery is the application's, and goes on
            assert resolver.under_way == 0


async def test_in_a_nursery_of_the_applications(autojump_clock: Clock) -> None:
    """A connection that is over asks nothing any more."""
    async with slow_world((0.0, [SERVER6]), (NEVER, [SERVER])) as (world, resolver):
        tls = trioquic.TLSConfig(ca_data=world.server.options.credentials.ca_pem)
        async with trio.open_nursery() as nursery:
            conn = await trioquic.connect(nursery, NAME, PORT, alpn=["hq-interop"], tls=tls)
            assert resolver.under_way == 1
            await conn.aclose()
        assert resolver.under_way == 0
        assert trio.current_time() < 10


@pytest.mark.parametrize("late", [0.0, 1.0])
async def test_beside_a_tunnel_nothing_begins_before_all_is_known(
    autojump_clock: Clock, late: float
) -> None:
    """An IPv4-only VPN: that the server has an IPv4 address decides that IPv6 leads around it."""
    async with slow_world((0.0, [SERVER6]), (late, [SERVER])) as (world, _):
        world.phone.add_interface("tun0", "10.8.0.2", kind="tunnel", metric=-1)
        found, took = await begun(world, migration=MigrationPolicy())
        assert found == SERVER
        assert late <= took < late + 3 * RTT
        outside = world.record.select(host="phone", interface="wlan0", destination=SERVER6)
        assert not outside


async def test_a_connection_hears_of_addresses_that_its_name_has_as_well(
    autojump_clock: Clock,
) -> None:
    """It has begun over IPv6 when the resolver tells of IPv4; an IPv4-only VPN that comes up later
    is one that it belongs into."""
    async with slow_world((0.0, [SERVER6]), (1.0, [SERVER])) as (world, _):
        async with dial(world, migration=MigrationPolicy(), networks=world.phone) as conn:
            await conn.wait_handshake_confirmed()
            await trio.sleep(2)
            async with conn.path_events() as events:
                world.phone.add_interface("tun0", "10.8.0.2", kind="tunnel", metric=-1)
                async for event in events:
                    if isinstance(event, trioquic.WaitingForPath):
                        assert "tunnel" in event.reason
                        break


async def test_an_address_is_not_looked_up_by_family(autojump_clock: Clock) -> None:
    async with slow_world((NEVER, [SERVER6]), (NEVER, [SERVER])) as (world, resolver):
        assert (await begun(world, host=SERVER, server_name=NAME))[0] == SERVER
        assert (await begun(world, addresses=[SERVER6, SERVER]))[0] == SERVER6
        assert resolver.asked == []


@pytest.mark.parametrize(("local", "where"), [(WIFI, SERVER), (WIFI6, SERVER6)])
async def test_an_address_of_ours_says_which_family(
    autojump_clock: Clock, local: str, where: str
) -> None:
    async with slow_world((0.0, [SERVER6]), (0.0, [SERVER])) as (world, resolver):
        assert (await begun(world, local=local))[0] == where
        assert len(resolver.asked) == 1


class Asked:
    """The phone's networks, and how many servers routes were asked for at a time."""

    def __init__(self, world: World) -> None:
        self._phone = world.phone
        self.numbers: list[int] = []

    def snapshot(self) -> Sequence[Interface]:
        return self._phone.snapshot()

    async def wait_changed(self) -> None:
        await self._phone.wait_changed()

    def routes_to(self, servers: Sequence[Address]) -> tuple[Route, ...] | None:
        self.numbers.append(len(servers))
        return self._phone.routes([address for address, _ in servers])


@pytest.mark.parametrize("by_name", [True, False])
async def test_thousands_of_addresses_are_not_all_asked_about(
    autojump_clock: Clock, by_name: bool
) -> None:
    """Each of them costs questions to the kernel, which nothing else can run beside."""
    six = [SERVER6, *[f"2001:db8:9::{number:x}" for number in range(1, 2000)]]
    four = [f"198.18.{number >> 8}.{number & 255}" for number in range(1, 2000)]
    async with slow_world((0.0, six), (0.1, four)) as (world, _):
        networks = Asked(world)
        more: dict[str, Any] = {} if by_name else {"addresses": [*six, *four]}
        found, _ = await begun(world, networks=networks, migration=MigrationPolicy(), **more)
        assert found == SERVER6
        assert 1 < max(networks.numbers) <= 2 * MOST_ADDRESSES


async def test_a_question_about_one_family_is_freed_at_once(autojump_clock: Clock) -> None:
    """Without the garbage collector: that the other one is unknown holds nothing."""
    for ipv6, ipv4 in (
        ((0.0, UNKNOWN), (0.1, [SERVER])),
        ((0.1, [SERVER6]), (0.2, UNKNOWN)),
        ((0.1, UNKNOWN), (0.2, LATER)),
    ):
        async with slow_world(ipv6, ipv4) as (world, _):
            with uncollected(Lookup) as count:
                try:
                    async with dial(world):
                        await trio.sleep(1)
                except socket.gaierror:
                    pass
                await trio.testing.wait_all_tasks_blocked()
                assert count(Lookup) == 0
