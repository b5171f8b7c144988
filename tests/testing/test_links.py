"""What an access link does to datagrams: time, order, loss, damage and silence."""

import math
from collections import Counter

import pytest
import trio
import trio.testing

from tests.testing.udp import CLIENT, SERVER, pair
from trioquic.testing import Datagram, Fate, LinkProfile

Clock = trio.testing.MockClock


async def test_a_datagram_takes_the_delay_of_its_direction(autojump_clock: Clock) -> None:
    async with pair(link={"delay": 0.025}) as p:
        p.interface.link.inbound.change(delay=0.075)
        start = trio.current_time()
        await p.here.send(b"ping")
        data, source = await p.there.recvfrom(100)
        assert data == b"ping"
        assert trio.current_time() - start == pytest.approx(0.025, abs=1e-9)
        await p.there.sendto(b"pong", source)
        assert await p.here.recv(100) == b"pong"
        assert trio.current_time() - start == pytest.approx(0.1, abs=1e-9)


async def test_a_rate_spaces_datagrams(autojump_clock: Clock) -> None:
    async with pair(link={"delay": 0.01, "rate": 8_000_000}) as p:
        start = trio.current_time()
        for number in range(3):
            await p.here.send(bytes([number]) * 972)
        arrivals = await p.arrivals(3)
        # 972 bytes and 28 of headers at one byte per microsecond
        assert [t - start for t, _ in arrivals] == pytest.approx([0.011, 0.012, 0.013], abs=1e-9)
        assert [data[0] for _, data in arrivals] == [0, 1, 2]


async def test_a_full_queue_drops_the_newest(autojump_clock: Clock) -> None:
    async with pair(link={"rate": 8_000_000, "queue": 0.005}) as p:
        for number in range(10):
            await p.here.send(bytes([number]) * 972)
        assert [data[0] for data in await p.everything()] == [0, 1, 2, 3, 4, 5]
        assert p.interface.link.outbound.dropped == {Fate.QUEUE_FULL: 4}


async def test_a_queue_may_be_given_in_bytes(autojump_clock: Clock) -> None:
    async with pair(link={"rate": 8_000_000, "queue_bytes": 3_500}) as p:
        for number in range(10):
            await p.here.send(bytes([number]) * 972)
        # one on the wire, whose 1000 bytes still count, and the two and a half that may wait
        assert [data[0] for data in await p.everything()] == [0, 1, 2]


async def test_a_queue_drains_with_time(autojump_clock: Clock) -> None:
    async with pair(link={"rate": 8_000_000, "queue": 0.0}) as p:
        await p.here.send(bytes(972))
        await p.here.send(bytes(972))
        await trio.sleep(0.001)
        await p.here.send(bytes(972))
        assert len(await p.everything()) == 2


@pytest.mark.parametrize("loss", [0.02, 0.3])
async def test_loss_has_its_probability(autojump_clock: Clock, loss: float) -> None:
    async with pair(link={"loss": loss}) as p:
        count = 10_000
        for _ in range(count):
            await p.here.send(b"x")
        lost = p.interface.link.outbound.dropped[Fate.LOST]
        assert lost + len(await p.everything()) == count
        # five standard deviations of the binomial distribution
        assert abs(lost - count * loss) < 5 * math.sqrt(count * loss * (1 - loss))


async def test_bursts_of_loss_and_corruption_are_bounded(autojump_clock: Clock) -> None:
    async with pair(link={"loss": 0.5, "corrupt": 0.4, "max_burst": 3}) as p:
        record = p.net.record()
        for _ in range(5_000):
            await p.here.send(bytes(100))
        await p.everything()
        runs = [0]
        for entry in record.records:
            bad = entry.fate is Fate.LOST or entry.corrupted
            runs.append(runs[-1] + 1 if bad else 0)
        assert max(runs) == 3


async def test_without_a_bound_bursts_are_longer(autojump_clock: Clock) -> None:
    async with pair(link={"loss": 1.0}) as p:
        for _ in range(50):
            await p.here.send(b"x")
        assert await p.everything() == []


async def test_corruption_changes_one_bit_and_is_recorded(autojump_clock: Clock) -> None:
    async with pair(link={"corrupt": 0.5}) as p:
        record = p.net.record()
        for _ in range(400):
            await p.here.send(bytes(100))
        arrived = await p.everything()
        assert len(arrived) == 400
        damaged = [data for data in arrived if data != bytes(100)]
        assert 120 < len(damaged) < 280
        assert all(sum(byte.bit_count() for byte in data) == 1 for data in damaged)
        assert [r.corrupted for r in record.records] == [data != bytes(100) for data in arrived]
        positions = {next(i for i, byte in enumerate(data) if byte) for data in damaged}
        assert len(positions) > 60


async def test_an_empty_datagram_survives_corruption(autojump_clock: Clock) -> None:
    async with pair(link={"corrupt": 1.0}) as p:
        await p.here.send(b"")
        assert await p.everything() == [b""]


async def test_duplicates_arrive_twice(autojump_clock: Clock) -> None:
    async with pair(link={"duplicate": 0.25}) as p:
        record = p.net.record()
        for number in range(400):
            await p.here.send(number.to_bytes(2, "big"))
        arrived = Counter(await p.everything())
        assert len(arrived) == 400
        twice = sum(1 for times in arrived.values() if times == 2)
        assert set(arrived.values()) == {1, 2} and 60 < twice < 140
        assert sum(r.copy for r in record.records) == twice


async def test_a_copy_of_a_corrupted_datagram_is_recorded_as_corrupted(
    autojump_clock: Clock,
) -> None:
    async with pair(link={"corrupt": 1.0, "duplicate": 1.0}) as p:
        record = p.net.record()
        await p.here.send(bytes(100))
        first, second = await p.everything()
        assert first == second != bytes(100)
        assert [(r.copy, r.corrupted) for r in record.records] == [(False, True), (True, True)]


async def test_reordering_holds_some_datagrams_back(autojump_clock: Clock) -> None:
    async with pair(link={"delay": 0.02, "reorder": 0.1, "reorder_delay": 0.005}) as p:
        start = trio.current_time()
        for number in range(200):
            await p.here.send(number.to_bytes(2, "big"))
            await trio.sleep(0.001)
        arrived = [int.from_bytes(data, "big") for data in await p.everything()]
        assert sorted(arrived) == list(range(200)) and arrived != sorted(arrived)
        late = [n for i, n in enumerate(arrived) if any(m > n for m in arrived[:i])]
        assert 8 < len(late) < 40
        assert start < trio.current_time()


@pytest.mark.parametrize("change", [{"jitter": 0.05}, {"delay": 0.001}])
async def test_order_is_kept_unless_reordering_is_asked_for(
    autojump_clock: Clock, change: dict[str, float]
) -> None:
    async with pair(link={"delay": 0.05}) as p:
        for number in range(100):
            if number == 50:
                p.interface.link.change(**change)  # type: ignore[arg-type]
            await p.here.send(bytes([number]))
        assert await p.everything() == [bytes([number]) for number in range(100)]


async def test_jitter_varies_the_delay_within_its_bound(autojump_clock: Clock) -> None:
    async with pair(link={"delay": 0.01, "jitter": 0.02}) as p:
        delays = set()
        for _ in range(50):
            start = trio.current_time()
            await p.here.send(b"x")
            await p.there.recv(10)
            delays.add(round(trio.current_time() - start, 6))
        assert len(delays) > 40 and min(delays) >= 0.01 and max(delays) <= 0.03


async def test_a_blackhole_swallows_what_comes_and_what_is_on_the_wire(
    autojump_clock: Clock,
) -> None:
    async with pair(link={"delay": 0.05}) as p:
        record = p.net.record()
        await p.here.send(b"on the wire")
        await trio.sleep(0.01)
        p.interface.link.blackhole()
        await p.here.send(b"too late")
        assert await p.everything() == []
        p.interface.link.restore()
        await p.here.send(b"again")
        assert await p.everything() == [b"again"]
        assert record.fates() == {Fate.BLACKHOLED: 2, Fate.DELIVERED: 1}


async def test_one_direction_can_go_silent_alone(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        p.interface.link.inbound.blackhole()
        await p.here.send(b"ping")
        data, source = await p.there.recvfrom(10)
        await p.there.sendto(b"pong", source)
        with trio.move_on_after(10) as waiting:
            await p.here.recv(10)
        assert data == b"ping" and waiting.cancelled_caught


async def test_a_cut_at_an_index_lets_the_earlier_ones_arrive(autojump_clock: Clock) -> None:
    async with pair(link={"delay": 0.05}) as p:
        p.interface.link.outbound.cut_at(3)
        for number in range(6):
            await p.here.send(bytes([number]))
        assert await p.everything() == [b"\0", b"\1", b"\2"]
        p.interface.link.restore()
        await p.here.send(b"again")
        assert await p.everything() == [b"again"]


async def test_a_filter_sees_changes_and_drops(autojump_clock: Clock) -> None:
    seen: list[Datagram] = []

    def watch(datagram: Datagram) -> bytes | None:
        seen.append(datagram)
        return None if datagram.index == 1 else datagram.payload.upper()

    async with pair(link={"delay": 0.01}) as p:
        with p.interface.link.outbound.filtered(watch):
            for payload in (b"a", b"b", b"c"):
                await p.here.send(payload)
        await p.here.send(b"d")
        assert await p.everything() == [b"A", b"C", b"d"]
        assert p.interface.link.outbound.dropped == {Fate.FILTERED: 1}
    first = seen[0]
    assert (first.host, first.interface, first.direction) == ("client", "wlan0", "outbound")
    assert first.source[0] == CLIENT and first.destination[0] == SERVER
    assert [d.index for d in seen] == [0, 1, 2]


async def test_the_links_mtu_drops_silently(autojump_clock: Clock) -> None:
    async with pair(link={"mtu": 1300}) as p:
        await p.here.send(bytes(1272))
        await p.here.send(bytes(1273))
        assert [len(data) for data in await p.everything()] == [1272]
        assert p.interface.link.outbound.dropped == {Fate.TOO_BIG: 1}


async def test_the_interfaces_mtu_refuses(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        with pytest.raises(OSError, match="too long"):
            await p.here.send(bytes(1473))
        assert await p.here.send(bytes(1472)) == 1472


@pytest.mark.parametrize(
    "options",
    [
        {"loss": 1.1},
        {"corrupt": -0.1},
        {"duplicate": math.nan},
        {"reorder": 2},
        {"delay": -1.0},
        {"queue": math.nan},
        {"rate": 0.0},
        {"max_burst": 0},
    ],
)
def test_senseless_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        LinkProfile(**options)  # type: ignore[arg-type]
