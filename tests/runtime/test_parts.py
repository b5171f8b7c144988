"""Small parts of the runtime on their own: timer, waiters, broadcast, interfaces, groups."""

import sys
from collections.abc import Callable

import pytest
import trio
import trio.testing

import trioquic
from trioquic import networks
from trioquic._groups import alone, bug_in
from trioquic._protocol import events as core
from trioquic._runtime.paths import path_news
from trioquic._runtime.paths.broadcast import Broadcast
from trioquic._runtime.timer import Timer
from trioquic._runtime.waiting import EventWaiters, Reason, StreamWaiters


async def test_the_timer_fires_at_its_deadline(autojump_clock: trio.testing.MockClock) -> None:
    fired: list[float] = []
    start = trio.current_time()
    timer = Timer()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            timer.run, lambda: fired.append(trio.current_time() - start), pytest.fail
        )
        await trio.sleep(1)
        timer.set(start + 10)
        timer.set(start + 5)  # earlier
        await trio.sleep(1)
        timer.set(start + 8)  # later: it may wake before, but not fire
        await trio.sleep(5)
        assert not fired
        await trio.sleep(5)
        assert fired == [8.0]
        timer.set(float("inf"))
        await trio.sleep(100)
        assert fired == [8.0]
        nursery.cancel_scope.cancel()


async def test_a_timer_that_is_always_due_lets_others_live(
    autojump_clock: trio.testing.MockClock,
) -> None:
    count = 0

    def expired() -> None:
        nonlocal count
        count += 1
        timer.set(trio.current_time())

    timer = Timer()
    timer.set(0.0)
    with trio.move_on_after(1):
        await timer.run(expired, pytest.fail)
    assert 100 < count < 10_000


async def test_crowds() -> None:
    waiters = EventWaiters()
    woken: list[int] = []

    async def sleeper(number: int, reason: Reason) -> None:
        await waiters.wait(reason)
        woken.append(number)

    async def wake(call: Callable[[], None]) -> list[int]:
        woken.clear()
        call()
        await trio.testing.wait_all_tasks_blocked()
        return sorted(woken)

    async with trio.open_nursery() as nursery:
        for number in range(6):
            reason = Reason.INCOMING if number < 4 else Reason.ARRIVED
            nursery.start_soon(sleeper, number, reason)
            await trio.testing.wait_all_tasks_blocked()
        assert await wake(lambda: waiters.wake(Reason.SPARE_ID)) == []
        assert await wake(lambda: waiters.wake_one(Reason.INCOMING)) == [0]
        assert await wake(lambda: waiters.wake_one(Reason.INCOMING)) == [1]
        assert await wake(lambda: waiters.wake(Reason.INCOMING)) == [2, 3]
        assert await wake(lambda: waiters.wake(Reason.INCOMING)) == []
        nursery.start_soon(sleeper, 6, Reason.INCOMING)
        await trio.testing.wait_all_tasks_blocked()
        assert await wake(waiters.wake_all) == [4, 5, 6]
    with trio.move_on_after(0):
        await waiters.wait(Reason.ARRIVED)
    assert not waiters._lots


async def test_who_waits_again_at_once_is_not_forgotten() -> None:
    waiters = EventWaiters()
    turns = 0

    async def sleeper(times: int) -> None:
        nonlocal turns
        for _ in range(times):
            await waiters.wait(Reason.INCOMING)
            turns += 1

    async with trio.open_nursery() as nursery:
        for times in (2, 1, 2):
            nursery.start_soon(sleeper, times)
        for total in (3, 5):
            await trio.testing.wait_all_tasks_blocked()
            waiters.wake(Reason.INCOMING)
            await trio.testing.wait_all_tasks_blocked()
            assert turns == total
    assert not waiters._lots


async def test_waiters() -> None:
    waiters = StreamWaiters()
    woken: list[int] = []

    async def wait(number: int) -> None:
        await waiters.wait(number)
        woken.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(wait, number)
        await trio.testing.wait_all_tasks_blocked()
        waiters.wake(9)
        waiters.wake(2)
        await trio.testing.wait_all_tasks_blocked()
        assert woken == [2]
        waiters.wake_all()
    assert sorted(woken) == [0, 1, 2, 3]
    with trio.move_on_after(0.01) as scope:
        await waiters.wait(5)
    assert scope.cancelled_caught
    waiters.wake(5)


async def test_broadcast() -> None:
    broadcast = Broadcast(1)
    first, second = (
        trioquic.MigrationRefused(refusal=trioquic.Refusal.POLICY, reason=text)
        for text in ("first", "second")
    )
    async with broadcast.subscribe() as a, broadcast.subscribe() as b:
        broadcast.send(first)
        assert a.receive_nowait() is first
        broadcast.send(second)
        assert broadcast.dropped == 1
        a.close()
        broadcast.send(first)
        assert b.receive_nowait() is first
        broadcast.close()
        assert [event async for event in b] == []
    async with broadcast.subscribe() as late:
        assert [event async for event in late] == []


def test_what_comes_out_of_a_hidden_nursery() -> None:
    cancelled = trio.Cancelled._create(source="unknown")
    bug = ValueError("x")
    assert bug_in(BaseExceptionGroup("", [BaseExceptionGroup("", [cancelled])])) is None
    found = bug_in(BaseExceptionGroup("", [cancelled, ExceptionGroup("", [bug])]))
    assert isinstance(found, trioquic.InternalError)
    assert isinstance(found.__cause__, ExceptionGroup)
    interrupt = KeyboardInterrupt()
    assert bug_in(BaseExceptionGroup("", [bug, interrupt])) is interrupt
    internal = trioquic.InternalError("y")
    assert bug_in(ExceptionGroup("", [ExceptionGroup("", [internal])])) is internal
    leave = SystemExit(3)
    nested = BaseExceptionGroup("", [internal, BaseExceptionGroup("", [cancelled, leave])])
    assert bug_in(nested) is alone(nested) is leave
    assert alone(BaseExceptionGroup("", [BaseExceptionGroup("", [cancelled])])) is cancelled


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's names")
def test_the_interfaces_of_this_machine() -> None:
    source = trioquic.system_networks()
    assert isinstance(source, networks.NetworkSource)
    (loopback,) = [i for i in source.snapshot() if i.name == "lo"]
    (address,) = [a for a in loopback.addresses if a.version == 4]
    assert (address.address, address.prefix_length) == ("127.0.0.1", 8)


def test_errors_are_what_trio_users_expect() -> None:
    for kind in (
        trioquic.ConnectionLostError,
        trioquic.StreamResetError,
        trioquic.StopSendingError,
    ):
        assert issubclass(kind, trio.BrokenResourceError)
        assert issubclass(kind, trioquic.QuicError)
    assert issubclass(trioquic.LocalAddressError, OSError)
    assert str(trioquic.LocalAddressError(19, "no such thing")) == "[Errno 19] no such thing"


def test_whatever_happens_to_a_path_has_a_trigger() -> None:
    """Or the first such event would be a KeyError in the connection's task."""
    # not __subclasses__, which has each class with slots a second time, as it was without
    kinds = [each for each in vars(core).values() if isinstance(each, type)]
    assert set(path_news._TRIGGERS) | {core.PathEvent} == {
        kind for kind in kinds if issubclass(kind, core.PathEvent)
    }
