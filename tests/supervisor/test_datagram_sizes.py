"""Uploads over networks that carry more or less than they seem to, also while they change."""

import hashlib
import random

import trio
import trio.testing

import trioquic
from tests.sim_world import World

from .phone import Phone, phone

SIZE = 1_000_000
BY_HAND = trioquic.MigrationPolicy(automatic=False)


async def upload(here: Phone, size: int = SIZE) -> None:
    """Send, and have the server say that it got the same."""
    content = random.Random(size).randbytes(size)
    stream = await here.conn.open_stream()
    await stream.send_all(b"PUT\r\n" + content)
    await stream.send_eof()
    answer = b"".join([bytes(chunk) async for chunk in stream]).decode()
    assert answer == hashlib.sha256(content).hexdigest()


def mtu(here: Phone) -> int:
    assert here.conn.active_path is not None
    return here.conn.active_path.statistics().mtu


def largest(here: Phone, interface: str, since: float = 0.0) -> int:
    sent = here.world.record.select(host="phone", interface=interface, since=since)
    return max(record.size for record in sent)


def jumbo(world: World) -> None:
    """Everything on the way carries 9000 bytes."""
    world.wifi.mtu = world.server_interface.mtu = 9000
    for interface in (world.wifi, world.server_interface):
        interface.link.change(mtu=9000)


async def test_ethernet(autojump_clock: trio.testing.MockClock) -> None:
    async with phone() as here:
        assert mtu(here) == 1200
        await upload(here)
        assert mtu(here) == largest(here, "wlan0") == 1472


async def test_a_tunnel_on_the_way(autojump_clock: trio.testing.MockClock) -> None:
    """The interface sends 1500 bytes, the link behind it swallows what is larger than 1420."""

    def prepare(world: World) -> None:
        world.wifi.link.change(mtu=1420)

    async with phone(prepare=prepare) as here:
        await upload(here)
        assert mtu(here) == 1392
        assert not here.heard(trioquic.Migrated)


async def test_the_link_becomes_narrow_in_the_middle(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The path is not given up, for its PTOs are answered."""
    async with phone(policy=BY_HAND) as here:
        await upload(here)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(upload, here, 3 * SIZE)
            await trio.sleep(0.3)
            here.world.wifi.link.change(mtu=1300)
            narrowed = trio.current_time()
        assert here.world.wifi.link.outbound.dropped
        assert mtu(here) <= 1272
        later = here.world.record.select(host="phone", interface="wlan0", since=narrowed + 1.0)
        full = [record for record in later if record.size > 1000]
        assert sum(record.size > 1272 for record in full) < 0.05 * len(full)
        assert not here.heard(trioquic.PathDegraded)


async def test_the_interface_becomes_narrow_in_the_middle(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Then the system itself refuses what is too long, which is counted and ends nothing."""
    async with phone(policy=BY_HAND) as here:
        await upload(here)
        here.world.wifi.mtu = 1300
        await upload(here, 5 * SIZE)
        assert mtu(here) == 1252
        assert here.conn.active_path is not None
        statistics = here.conn.active_path.statistics()
        assert statistics.last_socket_error is not None
        assert "too long" in statistics.last_socket_error
        assert not here.heard(trioquic.ValidationFailed)
        assert not here.heard(trioquic.PathClosed)


async def test_from_jumbo_frames_to_1280_bytes(autojump_clock: trio.testing.MockClock) -> None:
    """A handover in the middle: each path has its own size."""

    def prepare(world: World) -> None:
        jumbo(world)
        world.cellular.mtu = 1280

    async with phone(prepare=prepare, policy=BY_HAND) as here:
        await upload(here, 4 * SIZE)
        assert mtu(here) == 8972
        async with trio.open_nursery() as nursery:
            nursery.start_soon(upload, here, 2 * SIZE)
            await trio.sleep(0.3)
            await here.conn.migrate("wwan0")
        assert mtu(here) == largest(here, "wwan0") == 1252


async def test_1200_bytes_if_that_is_wanted(autojump_clock: trio.testing.MockClock) -> None:
    transport = trioquic.TransportConfig(max_datagram_size=1200)
    async with phone(prepare=jumbo, transport=transport) as here:
        await upload(here)
        assert mtu(here) == largest(here, "wlan0") == 1200


async def test_a_size_in_between(autojump_clock: trio.testing.MockClock) -> None:
    transport = trioquic.TransportConfig(max_datagram_size=1350)
    async with phone(prepare=jumbo, transport=transport) as here:
        await upload(here)
        assert mtu(here) == largest(here, "wlan0") == 1350
