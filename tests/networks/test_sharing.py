"""One source for many connections: one trigger, one look, and no change lost to anybody."""

import functools
import socket
import sys

import pytest
import trio
import trio.testing

import trioquic
from trioquic._runtime.networks.change_triggers import Clock, SocketTrigger, tells_of_routes

from .test_system_networks import FakeSystem, FakeTrigger, OverflowingSocket, later, route

MANY = 100


async def test_many_who_wait_cost_one_trigger_and_one_look(
    autojump_clock: trio.testing.MockClock,
) -> None:
    system = FakeSystem()
    trigger = FakeTrigger()
    source = system.networks(trigger.open)
    seen: list[int] = []

    async def watch() -> None:
        source.snapshot()
        await source.wait_changed()
        seen.append(len(source.snapshot()))

    async with trio.open_nursery() as nursery:
        for _ in range(MANY):
            nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        # Each looked when nobody watched yet; then the first one watches.
        assert trigger.opened == 1
        before = system.looks
        await later(1, lambda: system.add("wlan0"), lambda: trigger.fire())
        await trio.testing.wait_all_tasks_blocked()
    assert seen == [2] * MANY
    assert not trigger.is_open
    # Nobody watches now: each of them looked for its snapshot.
    assert system.looks - before == 1 + MANY


async def test_snapshots_are_free_while_somebody_watches(
    autojump_clock: trio.testing.MockClock,
) -> None:
    system = FakeSystem()
    trigger = FakeTrigger()
    source = system.networks(trigger.open)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.wait_changed)
        await trio.testing.wait_all_tasks_blocked()
        before = system.looks
        for _ in range(MANY):
            assert len(source.snapshot()) == 1
        assert system.looks == before
        # News that the watching task has not got round to: a look at once.
        system.add("wlan0")
        trigger.fire()
        assert len(source.snapshot()) == 2
        assert system.looks == before + 1


async def test_a_snapshot_between_the_news_and_the_look(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The watching task has taken the message and holds its next look back for 20 ms."""
    system = FakeSystem()
    trigger = FakeTrigger()
    source = system.networks(trigger.open)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.wait_changed)
        await trio.testing.wait_all_tasks_blocked()
        trigger.fire()
        await trio.sleep(0.005)
        system.add("wlan0")
        assert len(source.snapshot()) == 2


@pytest.mark.parametrize("route_only", [False, True])
async def test_when_the_one_who_watches_leaves_another_takes_over(
    autojump_clock: trio.testing.MockClock, route_only: bool
) -> None:
    system = FakeSystem()
    trigger = FakeTrigger()
    source = system.networks(trigger.open)
    woken: list[float] = []

    async def watch() -> None:
        await source.wait_changed()
        woken.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        first = trio.CancelScope()

        async def leave() -> None:
            with first:
                await source.wait_changed()

        nursery.start_soon(leave)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        first.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert trigger.opened == 2
        assert woken == []
        await trio.sleep(5)
        if not route_only:
            system.add("wlan0")
        trigger.fire(route_only)
    assert woken == [pytest.approx(5)] * 3
    assert not trigger.is_open


async def test_who_watches_leaves_with_the_news_in_hand(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Cancelled after it took the message: the others find the change all the same."""
    system = FakeSystem()
    trigger = FakeTrigger()
    source = system.networks(trigger.open)
    woken: list[float] = []

    async def watch() -> None:
        await source.wait_changed()
        woken.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        with trio.move_on_after(0.01):
            trigger.fire()
            nursery.start_soon(watch)
            nursery.start_soon(later, 0.005, functools.partial(system.add, "wlan0"))
            await source.wait_changed()
    assert woken == [pytest.approx(0.01)]


async def test_a_change_that_a_snapshot_found(autojump_clock: trio.testing.MockClock) -> None:
    """Who waits beside the one who watches hears of it at once, whatever the trigger says."""
    system = FakeSystem()
    source = system.networks(lambda: Clock(1000.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.wait_changed)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as others:
            others.start_soon(source.wait_changed)
            await trio.testing.wait_all_tasks_blocked()
            system.add("wlan0")
            source.snapshot()
        assert trio.current_time() == 0
    assert trio.current_time() == pytest.approx(1000)


async def test_all_in_one_run_share_the_systems_source() -> None:
    source = trioquic.system_networks()
    shared: list[trioquic.NetworkSource] = []

    async def ask() -> None:
        shared.append(trioquic.system_networks())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
    assert shared == [source]


def test_two_runs_do_not_share() -> None:
    async def ask() -> trioquic.NetworkSource:
        return trioquic.system_networks()

    assert trio.run(ask) is not trio.run(ask)
    # for a look from outside
    assert trioquic.system_networks().snapshot()


@pytest.mark.skipif(sys.platform == "win32", reason="needs socketpair of datagrams")
async def test_a_glance_leaves_the_news_where_they_are() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs, OverflowingSocket(fileno=ours.detach()) as sock:
        sock.setblocking(False)
        trigger = SocketTrigger(sock, tells_of_routes)
        theirs.send(route(24, 32, 2))
        assert not trigger.heard_nothing()
        # the loss, which only the glance was told of
        assert await trigger.wait()
        assert trigger.heard_nothing()
        theirs.send(route(24, 0))
        assert not trigger.heard_nothing()
        assert await trigger.wait()
        assert trigger.heard_nothing()
