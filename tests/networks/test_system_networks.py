"""The system's source with made-up adapters and triggers: when it looks, and what wakes whom."""

import errno
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable

import pytest
import trio
import trio.testing

from trioquic._runtime.networks.adapter_reader import AdapterReader
from trioquic._runtime.networks.change_triggers import (
    ChangeTrigger,
    Clock,
    SocketTrigger,
    tells_of_routes,
)
from trioquic._runtime.networks.system_networks import SystemNetworks

from .fakes import FakeAdapter, v4

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")


class FakeSystem:
    """An operating system with adapters that the test changes, and that counts the looks."""

    def __init__(self) -> None:
        self.adapters = [FakeAdapter("eth0", (v4("192.0.2.1"),))]
        self.looks = 0
        self.failure: Exception | None = None

    def list_adapters(self) -> list[FakeAdapter]:
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        return list(self.adapters)

    def add(self, name: str) -> None:
        self.adapters.append(FakeAdapter(name, (v4("198.51.100.1"),)))

    def networks(self, trigger: Callable[[], ChangeTrigger]) -> SystemNetworks:
        return SystemNetworks(self.list_adapters, AdapterReader(), trigger)


class FakeTrigger(ChangeTrigger):
    """Fires when the test says so; what is fired while nobody waits is kept, as in a socket."""

    opened = 0

    def __init__(self) -> None:
        self.messages: deque[bool] = deque()
        self.lot = trio.lowlevel.ParkingLot()
        self.is_open = False

    def fire(self, route: bool = False) -> None:
        self.messages.append(route)
        self.lot.unpark()

    def open(self) -> "FakeTrigger":
        assert not self.is_open
        self.is_open = True
        self.opened += 1
        return self

    async def wait(self) -> bool:
        assert self.is_open
        while not self.messages:
            await self.lot.park()
        await trio.lowlevel.checkpoint()
        return self.messages.popleft()

    def heard_nothing(self) -> bool:
        assert self.is_open
        return not self.messages

    def close(self) -> None:
        self.is_open = False


def test_a_full_look_is_spared_while_the_fingerprint_stays() -> None:
    system = FakeSystem()
    fingerprints: list[tuple[bytes, ...] | None] = [(b"1",), (b"1",), (b"2",), (b"2",), None, None]
    source = SystemNetworks(
        system.list_adapters, AdapterReader(), fingerprint=lambda: fingerprints.pop(0)
    )
    looks = []
    while fingerprints:
        source.snapshot()
        looks.append(system.looks)
    assert looks == [1, 1, 2, 2, 3, 4]


def test_after_a_look_that_failed_the_fingerprint_means_nothing() -> None:
    system = FakeSystem()
    source = SystemNetworks(system.list_adapters, AdapterReader(), fingerprint=lambda: (b"1",))
    system.failure = OSError(errno.EMFILE, "too many")
    assert source.snapshot() == ()
    system.failure = None
    assert [interface.name for interface in source.snapshot()] == ["eth0"]


async def duration(source: SystemNetworks) -> float | None:
    """How long `wait_changed` takes; None if it does not return within a minute."""
    start = trio.current_time()
    with trio.move_on_after(60):
        await source.wait_changed()
        return trio.current_time() - start
    return None


async def later(seconds: float, *actions: Callable[[], object]) -> None:
    await trio.sleep(seconds)
    for action in actions:
        action()


async def test_polling(autojump_clock: trio.testing.MockClock) -> None:
    system = FakeSystem()
    source = system.networks(lambda: Clock(2.0))
    assert [i.name for i in source.snapshot()] == ["eth0"]
    assert await duration(source) is None
    # one look every two seconds, and those of `snapshot` and of the wait's start
    assert 30 <= system.looks <= 33
    async with trio.open_nursery() as nursery:
        nursery.start_soon(later, 0.5, lambda: system.add("wlan0"))
        assert await duration(source) == pytest.approx(2)
    # a change between two waits
    system.add("wwan0")
    await trio.sleep(10)
    source.snapshot()
    assert await duration(source) == 0
    assert await duration(source) is None


async def test_a_change_between_look_and_subscription(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The trigger is opened first, so whatever it did not hear of is seen by the look."""
    system = FakeSystem()
    trigger = FakeTrigger()

    def open_late() -> ChangeTrigger:
        system.add("wlan0")
        return trigger.open()

    source = system.networks(open_late)
    source.snapshot()
    assert await duration(source) == 0
    assert not trigger.is_open


async def test_a_change_is_reported_at_once(autojump_clock: trio.testing.MockClock) -> None:
    system = FakeSystem()
    trigger = FakeTrigger()
    source = system.networks(trigger.open)

    def change() -> None:
        system.add("wlan0")
        trigger.fire()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(later, 5, change)
        assert await duration(source) == pytest.approx(5)
    assert not trigger.is_open


async def test_messages_without_a_change(autojump_clock: trio.testing.MockClock) -> None:
    """A flood of messages costs a look every 20 ms, not one a message, and wakes nobody."""
    system = FakeSystem()
    trigger = FakeTrigger()
    source = system.networks(trigger.open)

    async def flood() -> None:
        for _ in range(1000):
            trigger.fire()
            await trio.sleep(0.001)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        with trio.move_on_after(1) as scope:
            await source.wait_changed()
        assert scope.cancelled_caught
        nursery.cancel_scope.cancel()
    assert 40 <= system.looks <= 52
    assert not trigger.is_open


async def test_a_default_route_wakes_without_a_change(
    autojump_clock: trio.testing.MockClock,
) -> None:
    system = FakeSystem()
    trigger = FakeTrigger()
    source = system.networks(trigger.open)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(later, 3, lambda: trigger.fire(route=True))
        assert await duration(source) == pytest.approx(3)
    assert await duration(source) is None


@pytest.mark.parametrize("place", ["trigger", "spacing", "checkpoint"])
async def test_a_cancelled_wait_leaves_nothing_and_loses_nothing(
    autojump_clock: trio.testing.MockClock, place: str
) -> None:
    """Wherever it is cancelled; `test_lost_messages_count_as_a_change` has netlink's wait."""
    system = FakeSystem()
    trigger = FakeTrigger()
    source = system.networks(trigger.open)
    source.snapshot()
    with trio.CancelScope() as scope:
        if place == "checkpoint":
            system.add("wlan0")
            scope.cancel()
        elif place == "spacing":
            # heard at once, but the next look is 20 ms after the last
            trigger.fire()
            scope.deadline = trio.current_time() + 0.01
        else:
            scope.deadline = trio.current_time() + 5
        await source.wait_changed()
    assert scope.cancelled_caught
    assert trigger.opened == 1
    assert not trigger.is_open
    if place != "checkpoint":
        system.add("wlan0")
    assert await duration(source) == 0
    assert not trigger.is_open
    assert await duration(source) is None


async def test_every_task_sees_every_change(autojump_clock: trio.testing.MockClock) -> None:
    system = FakeSystem()
    source = system.networks(lambda: Clock(2.0))
    heard: list[str] = []

    async def watch(name: str, pause: float) -> None:
        while True:
            await source.wait_changed()
            heard.append(f"{name}{len(source.snapshot())}")
            await trio.sleep(pause)

    with trio.move_on_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, "a", 0)
            nursery.start_soon(watch, "b", 11)
            await later(5, lambda: system.add("wlan0"))
            await later(5, lambda: system.add("wwan0"))
    assert sorted(heard) == ["a2", "a3", "b2", "b3"]


@pytest.mark.parametrize(
    "failure", [OSError(errno.EMFILE, "too many"), AssertionError("None"), ValueError("netmask")]
)
async def test_a_system_that_cannot_answer(
    autojump_clock: trio.testing.MockClock, failure: Exception
) -> None:
    system = FakeSystem()
    source = system.networks(lambda: Clock(2.0))
    before = source.snapshot()
    system.failure = failure
    assert source.snapshot() == before
    assert await duration(source) is None
    system.failure = None
    system.add("wlan0")
    assert await duration(source) == 0


def message(kind: int, body: bytes) -> bytes:
    data = struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body
    return data + bytes(-len(data) % 4)


def route(kind: int, prefix_length: int, route_type: int = 1) -> bytes:
    return message(
        kind, bytes([socket.AF_INET, prefix_length, 0, 0, 0, 0, 0, route_type]) + bytes(4)
    )


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", False),
        (route(24, 0), True),
        (route(25, 0), True),
        # a VPN's halves of all addresses, and one server through it
        (route(24, 1), True),
        (route(25, 32), True),
        # those of the machine's own addresses
        (route(24, 32, 2), False),
        (route(24, 32, 3), False),
        (route(25, 128, 4), False),
        (route(24, 8, 5), False),
        # a rule
        (message(32, bytes(12)), True),
        (message(33, bytes(12)), True),
        # a next hop, to which routes refer by number
        (message(104, bytes(8)), True),
        (message(105, bytes(8)), True),
        (route(16, 0), False),
        (message(16, b"12345") + message(20, b"") + route(25, 0), True),
        (route(24, 0)[:17], False),
        (message(24, b""), False),
        (struct.pack("=IHHII", 0, 24, 0, 0, 0), False),
        (struct.pack("=IHHII", 4, 24, 0, 0, 0) * 4, False),
    ],
)
def test_routes_and_rules_in_netlink_messages(data: bytes, found: bool) -> None:
    assert tells_of_routes(data) is found


class OverflowingSocket(socket.socket):
    """Says once that messages were lost."""

    lost = True

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        if self.lost:
            self.lost = False
            raise OSError(errno.ENOBUFS, "no buffer space available")
        return super().recv(size, flags)


@pytest.mark.skipif(sys.platform == "win32", reason="needs socketpair of datagrams")
async def test_lost_messages_count_as_a_change() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs, OverflowingSocket(fileno=ours.detach()) as sock:
        sock.setblocking(False)
        trigger = SocketTrigger(sock, tells_of_routes)
        theirs.send(route(24, 32, 2))
        assert await trigger.wait()
        theirs.send(route(24, 32, 2))
        theirs.send(route(24, 16, 3))
        assert not await trigger.wait()
        # both were read
        with trio.move_on_after(0.01) as scope:
            await trigger.wait()
        assert scope.cancelled_caught
