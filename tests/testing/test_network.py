"""The network as a whole: repeatability, its block, recorders and bounds."""

import importlib
from typing import Any

import pytest
import trio
import trio.testing

from tests.testing.udp import CLIENT, PORT, SERVER, bound, pair
from trioquic.testing import Datagram, Fate, Record, Recorder, SimulatedNetwork, _core

Clock = trio.testing.MockClock


async def chatter(seed: int, clients: int = 4, server_loss: float = 0.1) -> tuple[Record, ...]:
    """Several clients on bad links talk to an echo server at the same instants."""
    async with SimulatedNetwork(seed) as net:
        record = net.record(payloads=True)
        server = net.host("server")
        server.add_interface("eth0", SERVER, loss=server_loss)

        async def echo() -> None:
            with await bound(server, SERVER) as sock:
                while True:
                    data, source = await sock.recvfrom(100)
                    await sock.sendto(data, source)

        async def talk(number: int) -> None:
            with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
                await sock.connect((SERVER, PORT))
                for turn in range(50):
                    await sock.send(bytes([number, turn]) * 10)
                    with trio.move_on_after(0.1):
                        await sock.recv(100)

        server.start_soon(echo)
        async with trio.open_nursery() as nursery:
            for number in range(clients):
                host = net.host(f"client{number}")
                host.add_interface(
                    "eth0",
                    f"192.0.2.{number + 1}",
                    delay=0.01,
                    loss=0.1,
                    corrupt=0.1,
                    duplicate=0.1,
                    reorder=0.1,
                )
                with host.as_current():
                    nursery.start_soon(talk, number)
        return record.records


def run_chatter(seed: int) -> tuple[Record, ...]:
    return trio.run(chatter, seed, clock=trio.testing.MockClock(autojump_threshold=0))


def test_the_same_seed_gives_the_same_run() -> None:
    first = run_chatter(7)
    assert len(first) > 300
    assert all(run_chatter(7) == first for _ in range(3))
    assert run_chatter(8) != first


def test_fates_do_not_depend_on_the_other_links() -> None:
    def lost_indices(clients: int) -> list[bool]:
        clock = trio.testing.MockClock(autojump_threshold=0)
        records = trio.run(chatter, 7, clients, 0.0, clock=clock)
        return [r.fate is Fate.LOST for r in records if r.host == "client0" and not r.copy]

    alone, together = lost_indices(1), lost_indices(4)
    assert alone[:50] == together[:50] and any(alone)


async def test_the_scheduler_is_given_back(autojump_clock: Clock) -> None:
    run_module: Any = importlib.import_module("trio._core._run")
    before = run_module._r.getstate(), run_module._ALLOW_DETERMINISTIC_SCHEDULING
    async with SimulatedNetwork():
        await trio.sleep(1)
        assert run_module._ALLOW_DETERMINISTIC_SCHEDULING
    assert (run_module._r.getstate(), run_module._ALLOW_DETERMINISTIC_SCHEDULING) == before


async def test_real_sockets_are_back_after_the_block(autojump_clock: Clock) -> None:
    async with SimulatedNetwork() as net:
        host = net.host("a")
        host.add_interface("eth0", CLIENT)
        sock = await bound(host, CLIENT)
        await sock.sendto(b"x", (SERVER, PORT))
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as real:
        assert real.fileno() > 0
    assert await trio.socket.getaddrinfo("127.0.0.1", 1)
    sock.close()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, ExceptionGroup])
async def test_an_exception_leaves_the_block_as_it_is(
    autojump_clock: Clock, error: type[BaseException]
) -> None:
    raised = error("as it is", [ValueError()]) if error is ExceptionGroup else error("as it is")
    with pytest.raises(error) as caught:
        async with SimulatedNetwork():
            raise raised
    assert caught.value is raised


async def test_cancelling_the_block(autojump_clock: Clock) -> None:
    with trio.move_on_after(1) as scope:
        async with SimulatedNetwork() as net:
            net.host("a").start_soon(trio.sleep_forever)
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_background_tasks_failure_ends_the_block(autojump_clock: Clock) -> None:
    async def fail() -> None:
        await trio.sleep(1)
        raise ValueError("background")

    async def run() -> None:
        async with SimulatedNetwork() as net:
            net.host("a").start_soon(fail)
            await trio.sleep_forever()

    with pytest.raises(ValueError, match="background"):
        await run()


async def test_a_filters_failure_ends_the_block(autojump_clock: Clock) -> None:
    def fail(datagram: Datagram) -> bytes:
        raise AssertionError(f"forbidden: {datagram.destination}")

    async def run() -> None:
        async with pair(link={"delay": 0.01}) as p:
            with p.server.interface("eth0").link.inbound.filtered(fail):
                await p.here.send(b"x")
                await trio.sleep_forever()

    with pytest.raises(AssertionError, match="forbidden"):
        await run()


async def test_start_hands_on_what_the_task_reports(autojump_clock: Clock) -> None:
    async def ready(value: int, task_status: trio.TaskStatus[int]) -> None:
        task_status.started(value + 1)
        await trio.sleep_forever()

    async with SimulatedNetwork() as net:
        assert await net.host("a").start(ready, 41) == 42
    with pytest.raises(RuntimeError, match="not running"):
        net.hosts[0].start_soon(trio.sleep_forever)


async def test_a_running_network_cannot_be_entered_again(autojump_clock: Clock) -> None:
    async with SimulatedNetwork() as net:
        with pytest.raises(RuntimeError, match="already running"):
            async with net:
                pass


async def test_a_recorder_answers_questions(autojump_clock: Clock) -> None:
    async with pair(link={"delay": 0.01}) as p:
        plain = p.net.record()
        full = p.net.record(payloads=True)
        start = trio.current_time()
        await p.here.send(b"ping")
        assert plain.fates() == {Fate.IN_FLIGHT: 1} and plain.records[0].ended is None
        _, source = await p.there.recvfrom(10)
        await p.there.sendto(b"pong", source)
        await p.here.recv(10)
        first = full.records[0]
        assert (first.payload, first.size, first.time) == (b"ping", 4, start)
        assert first.ended == pytest.approx(start + 0.01) and first.fate is Fate.DELIVERED
        assert plain.records[0].payload is None
        assert [r.host for r in plain.select(destination=CLIENT)] == ["server"]
        assert [r.host for r in plain.select(source=CLIENT, fate=Fate.DELIVERED)] == ["client"]
        assert len(plain.select(host="client", interface="wlan0", since=start)) == 1
        assert plain.select(since=start + 1) == ()
        plain.clear()
        assert len(plain) == 0 and len(full) == 2


async def test_a_recorder_is_bounded(autojump_clock: Clock) -> None:
    async with pair(link={}) as p:
        recorder: Recorder = p.net.record(limit=5, payloads=True)
        for number in range(8):
            await p.here.send(bytes([number]))
        assert [r.payload for r in recorder.records] == [b"\3", b"\4", b"\5", b"\6", b"\7"]
        assert recorder.forgotten == 3


async def test_what_is_in_flight_is_bounded(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_core, "MAX_IN_FLIGHT", 10)
    async with pair(link={"delay": 1.0}) as p:
        for _ in range(15):
            await p.here.send(b"x")
        assert p.interface.link.outbound.dropped == {Fate.OVERFLOW: 5}
        assert len(await p.everything()) == 10


async def test_it_runs_in_real_time_too() -> None:
    async with pair(link={"delay": 0.02}) as p:
        start = trio.current_time()
        await p.here.send(b"x")
        assert await p.there.recv(10) == b"x"
        assert trio.current_time() - start >= 0.02
