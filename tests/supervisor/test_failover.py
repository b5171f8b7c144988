"""Connections that outlive their network: it goes, dies in silence, returns."""

import hashlib

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_world import World
from trioquic.policy import Decision, PolicyEvent, Trigger, View

from .phone import CELLULAR_RTT, Phone, phone

SIZE = 3_000_000


async def cut_after(here: Phone, seconds: float, kind: str) -> float:
    """Take Wi-Fi away; returns when."""
    await trio.sleep(seconds)
    if kind == "down":
        here.world.wifi.down()
    else:
        here.world.wifi.link.blackhole()
    return trio.current_time()


SEEDS = [pytest.param(seed, marks=[pytest.mark.series] if seed else []) for seed in range(5)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["down", "silent"])
async def test_download(autojump_clock: trio.testing.MockClock, kind: str, seed: int) -> None:
    async with phone(seed) as here:
        await here.until(trioquic.PathValidated)  # the standby is warm
        cut_at = 0.0

        async def cut() -> None:
            nonlocal cut_at
            cut_at = await cut_after(here, 0.5, kind)

        pto = here.conn.active_path.statistics().pto + 0.025 if here.conn.active_path else 0.0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            await here.download(SIZE)
        moved = here.heard(trioquic.Migrated)
        assert [event.new.interface for event in moved] == ["wwan0"]
        noticed = here.first(trioquic.Migrated) - cut_at
        assert noticed <= (0.05 if kind == "down" else 3 * pto + CELLULAR_RTT)
        assert moved[0].cause


async def test_a_network_that_did_not_answer_for_long_is_asked_when_it_is_needed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Cellular without a signal is tried seldom in the end, up to a minute apart. Nobody tells that
    it works again, and then the Wi-Fi dies."""
    async with phone(transport=trioquic.TransportConfig(keep_alive=10.0)) as here:
        here.world.cellular.link.blackhole()
        await trio.sleep(80)
        assert not here.heard(trioquic.PathValidated)
        here.world.cellular.link.restore()
        assert here.conn.active_path is not None
        patience = 3 * (here.conn.active_path.statistics().pto + 0.025) + CELLULAR_RTT
        cut_at = trio.current_time() + 0.3
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut_after, here, 0.3, "silent")
            await here.download(1_000_000)
        assert [event.new.interface for event in here.heard(trioquic.Migrated)] == ["wwan0"]
        assert here.first(trioquic.Migrated) - cut_at <= patience


@pytest.mark.parametrize("kind", ["down", "silent"])
async def test_a_request_that_waits_for_its_answer(
    autojump_clock: trio.testing.MockClock, kind: str
) -> None:
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        cut_at = 0.0

        async def cut() -> None:
            nonlocal cut_at
            cut_at = await cut_after(here, 0.3, kind)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            await here.download(20_000, wait=2.0)
        assert here.conn.active_path is not None
        assert here.conn.active_path.interface == "wwan0"
        assert here.first(trioquic.Migrated) - cut_at < 0.6


@pytest.mark.parametrize("kind", ["down", "silent"])
async def test_upload(autojump_clock: trio.testing.MockClock, kind: str) -> None:
    data = bytes(range(250)) * 8_000
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut_after, here, 0.4, kind)
            stream = await here.conn.open_stream()
            await stream.send_all(b"PUT\r\n" + data)
            await stream.send_eof()
            answer = b"".join([bytes(chunk) async for chunk in stream])
        assert answer.decode().strip() == hashlib.sha256(data).hexdigest()
        assert here.heard(trioquic.Migrated)[0].new.interface == "wwan0"


async def test_a_socket_that_finds_no_way_out_is_a_hint(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The networks tell nothing, but the first datagram that cannot leave makes the supervisor
    ask on the standby, which takes one round trip there and no PTO."""
    data = bytes(2_000_000)
    both = trioquic.ManualNetworks()

    def remember(world: World) -> None:
        both.update(world.phone.snapshot())

    async with phone(networks=both, prepare=remember) as here:
        await here.until(trioquic.PathValidated)
        cut_at = 0.0

        async def cut() -> None:
            nonlocal cut_at
            cut_at = await cut_after(here, 0.4, "down")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            stream = await here.conn.open_stream()
            await stream.send_all(b"PUT\r\n" + data)
            await stream.send_eof()
            answer = b"".join([bytes(chunk) async for chunk in stream])
        assert answer.decode().strip() == hashlib.sha256(data).hexdigest()
        moved_at = here.first(trioquic.Migrated)
        assert moved_at - cut_at < CELLULAR_RTT + 0.05
        left = here.heard(trioquic.Migrated)[0].old
        assert left is not None
        assert left.statistics().socket_errors > 0


async def test_both_gone_and_one_returns(autojump_clock: trio.testing.MockClock) -> None:
    async with phone() as here:
        await here.until(trioquic.PathValidated)

        async def tunnel() -> None:
            await trio.sleep(0.5)
            here.world.wifi.down()
            here.world.cellular.down()
            await trio.sleep(5)
            here.world.cellular.up()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(tunnel)
            await here.download(SIZE)
        assert len(here.heard(trioquic.WaitingForPath)) == 1
        assert here.heard(trioquic.Migrated)[-1].new.interface == "wwan0"


async def test_none_comes_back(autojump_clock: trio.testing.MockClock) -> None:
    policy = trioquic.MigrationPolicy(no_path_timeout=4.0)
    async with phone(policy=policy) as here:
        await here.until(trioquic.PathValidated)
        here.world.wifi.down()
        here.world.cellular.down()
        started = trio.current_time()
        with pytest.raises(trioquic.NoPathError):
            await here.download(1000)
        assert trio.current_time() - started == pytest.approx(4.0, abs=0.1)


async def test_back_to_the_better_network(autojump_clock: trio.testing.MockClock) -> None:
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        here.world.wifi.down()
        await here.until(trioquic.Migrated)
        await trio.sleep(1)
        returned_at = trio.current_time()
        here.world.wifi.up()
        await here.until(trioquic.Migrated, 2)
        assert here.heard(trioquic.Migrated)[-1].new.interface == "wlan0"
        # a second after it was validated, which takes a round trip
        assert 1.0 <= trio.current_time() - returned_at < 1.2
        await here.download(100_000)


async def test_flapping_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """Wi-Fi dies and returns all the time: each return has to wait longer."""
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        started = trio.current_time()
        while trio.current_time() - started < 120:
            here.world.wifi.down()
            await trio.sleep(1.5)
            here.world.wifi.up()
            await trio.sleep(1.5)
        await here.download(10_000)
        returns = [e for e in here.heard(trioquic.Migrated) if e.new.interface == "wlan0"]
        assert len(returns) <= 8


async def test_the_applications_own_move_stands(autojump_clock: trio.testing.MockClock) -> None:
    """To the standby that is there, on no third path; the better network does not take it back,
    until the chosen one fails."""
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        standby = here.heard(trioquic.PathValidated)[0].path
        assert await here.conn.migrate(interface="wwan0") is standby
        await trio.sleep(300)
        assert here.conn.active_path is standby
        assert len(here.heard(trioquic.Migrated)) == 1
        await here.download(10_000)
        here.world.cellular.down()
        await here.until(trioquic.Migrated, 2)
        await here.download(10_000)
        here.world.cellular.up()
        await trio.sleep(10)
        assert here.conn.active_path is not None
        assert here.conn.active_path.interface == "wlan0"


async def test_new_connection_ids_are_news(autojump_clock: trio.testing.MockClock) -> None:
    """What was impossible for want of an ID may be possible now, so the policy is asked again."""
    heard: list[Trigger] = []

    class Listening(trioquic.MigrationPolicy):
        def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
            heard.append(event.trigger)
            return super().decide(view, event, now)

    async with phone(policy=Listening(standby=0)) as here:
        path = await here.conn.add_path("wwan0")
        await path.validate()
        await trio.sleep(1)
        heard.clear()
        await path.aclose()
        await trio.sleep(1)
        assert Trigger.IDS in heard, "the server has replaced the ID of the path"


async def test_switched_off(autojump_clock: trio.testing.MockClock) -> None:
    """Without `automatic` nothing is probed and nobody moves; the application may."""
    policy = trioquic.MigrationPolicy(automatic=False)
    async with phone(policy=policy) as here:
        await trio.sleep(20)
        assert len(here.conn.paths) == 1
        assert not here.world.record.select(host="phone", interface="wwan0")
        await here.conn.migrate(interface="wwan0")
        await here.download(10_000)


async def test_a_network_that_cannot_be_used_does_not_keep_from_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The connection is nowhere while its next path is opened: nothing else would ask again."""
    networks = trioquic.ManualNetworks()

    def prepare(world: World) -> None:
        networks.update(i for i in world.phone.snapshot() if i.name == "wlan0")

    async with phone(networks=networks, prepare=prepare) as here:
        await trio.sleep(1)  # nothing is left to be heard of
        nobodys = trioquic.InterfaceAddress(address="192.0.2.77", prefix_length=24)
        here.world.wifi.down()
        gone = trio.current_time()
        networks.update(
            [
                trioquic.Interface(name="eth9", kind="ethernet", addresses=(nobodys,)),
                *(i for i in here.world.phone.snapshot() if i.name == "wwan0"),
            ]
        )
        await here.until(trioquic.Migrated)
        assert here.heard(trioquic.MigrationRefused)
        assert here.heard(trioquic.Migrated)[0].new.interface == "wwan0"
        assert trio.current_time() - gone < 0.05
        await here.download(1000)
