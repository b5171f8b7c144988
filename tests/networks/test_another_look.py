"""A look that fails, just when there is something to see: the process is out of descriptors."""

import errno
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from trioquic import Interface, Route
from trioquic._runtime.networks.adapter_reader import AdapterReader
from trioquic._runtime.networks.change_triggers import ChangeTrigger, Clock, open_trigger
from trioquic._runtime.networks.linux_adapters import LinuxReader
from trioquic._runtime.networks.system_networks import SystemNetworks
from trioquic._runtime.system import netlink
from trioquic._runtime.system.link_types import LinkTypes, read_link_types
from trioquic._runtime.system.route import outgoing_interface

from .fakes import FakeAdapter
from .test_system_networks import FakeSystem, FakeTrigger, duration, later

SERVER = ("198.51.100.1", 443)
BEFORE = (Route(remote=SERVER[0], interface="eth0", chosen=True),)
VPN = (Route(remote=SERVER[0], interface="tun0", chosen=True),)
NO_DESCRIPTORS = OSError(errno.EMFILE, "too many open files")


class Kernel:
    """Its routes, None while it cannot be asked; counts the questions."""

    def __init__(self) -> None:
        self.routes: tuple[Route, ...] | None = BEFORE
        self.asked = 0

    def ask(
        self, interfaces: Sequence[Interface], servers: Sequence[tuple[str, int]]
    ) -> tuple[Route, ...] | None:
        self.asked += 1
        return self.routes

    def set(self, routes: tuple[Route, ...] | None) -> None:
        self.routes = routes


def networks(kernel: Kernel, trigger: FakeTrigger, system: FakeSystem) -> SystemNetworks:
    return SystemNetworks(
        system.list_adapters, AdapterReader(), trigger.open, ask_routes=kernel.ask
    )


def refuse(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Let nobody ask the kernel."""

    def raise_it() -> socket.socket:
        raise OSError(code, "no")

    monkeypatch.setattr(netlink, "open_for_questions", raise_it)


async def test_routes_stay_known_and_are_asked_for_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The message of the VPN's route comes once, and cannot be followed up then."""
    kernel, trigger = Kernel(), FakeTrigger()
    source = networks(kernel, trigger, FakeSystem())
    assert source.routes_to([SERVER]) == BEFORE
    async with trio.open_nursery() as nursery:
        nursery.start_soon(later, 1, lambda: kernel.set(None), lambda: trigger.fire(route=True))
        assert await duration(source) == pytest.approx(1)
        assert source.routes_to([SERVER]) == BEFORE
        nursery.start_soon(later, 1, lambda: kernel.set(VPN))
        # the next looks are 0.25, 0.75 and 1.75 s after the first one
        assert await duration(source) == pytest.approx(1.75, abs=0.05)
        assert source.routes_to([SERVER]) == VPN
        assert await duration(source) is None


async def test_who_waits_already_is_told_of_a_question_that_failed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A new connection asks; nobody has looked since."""
    kernel, trigger = Kernel(), FakeTrigger()
    source = networks(kernel, trigger, FakeSystem())
    kernel.set(None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(later, 5, lambda: source.routes_to([SERVER]), lambda: kernel.set(VPN))
        assert await duration(source) == pytest.approx(5.25, abs=0.05)
    assert source.routes_to([SERVER]) == VPN


async def test_a_system_that_never_tells_is_asked_at_a_bounded_pace(
    autojump_clock: trio.testing.MockClock,
) -> None:
    kernel, trigger = Kernel(), FakeTrigger()
    source = networks(kernel, trigger, FakeSystem())
    kernel.set(None)
    for number in range(1000):
        assert source.routes_to([(SERVER[0], number)]) is None
    before = kernel.asked
    assert await duration(source) is None
    # each second for half a minute, then half as often each time
    assert 28 <= kernel.asked - before <= 36
    # what is remembered of it has a bound, too
    kernel.set(VPN)
    before = kernel.asked
    assert await duration(source) is not None
    assert kernel.asked - before <= 256


async def test_an_answer_is_kept_while_somebody_listens(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Not one that failed. Each question has its own."""
    kernel, trigger = Kernel(), FakeTrigger()
    source = networks(kernel, trigger, FakeSystem())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source.wait_changed)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            assert source.routes_to([SERVER]) == BEFORE
        assert kernel.asked == 1
        assert source.routes_to([(SERVER[0], 4433)]) == source.routes([SERVER[0]]) == BEFORE
        assert kernel.asked == 3
        kernel.set(None)
        other = [("198.51.100.2", 443)]
        assert source.routes_to(other) is None
        kernel.set(VPN)
        assert source.routes_to(other) == VPN
        assert source.routes_to([SERVER]) == BEFORE
        for number in range(300):
            source.routes_to([(SERVER[0], number)])
        assert source.routes_to([SERVER]) == VPN
        nursery.cancel_scope.cancel()


async def test_interfaces_are_looked_at_again(autojump_clock: trio.testing.MockClock) -> None:
    system, trigger = FakeSystem(), FakeTrigger()
    source = networks(Kernel(), trigger, system)
    source.snapshot()

    def plug_in() -> None:
        system.add("tun0")
        system.failure = NO_DESCRIPTORS
        trigger.fire()

    def recover() -> None:
        system.failure = None

    async with trio.open_nursery() as nursery:
        nursery.start_soon(later, 1, plug_in)
        nursery.start_soon(later, 1.5, recover)
        assert await duration(source) == pytest.approx(1.8, abs=0.1)
    assert [interface.name for interface in source.snapshot()] == ["eth0", "tun0"]


async def test_a_clock_stands_in_for_news_that_cannot_be_had(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It tells of no routes: the first look with a better one is for all that came meanwhile."""
    kernel, trigger = Kernel(), FakeTrigger()
    triggers: list[ChangeTrigger] = [Clock(2.0, stands_in=True), Clock(2.0, stands_in=True)]
    source = SystemNetworks(
        FakeSystem().list_adapters,
        AdapterReader(),
        lambda: triggers.pop() if triggers else trigger.open(),
        ask_routes=kernel.ask,
    )
    assert await duration(source) == pytest.approx(4)
    assert trigger.opened == 1
    assert not trigger.is_open
    assert await duration(source) is None


@pytest.mark.parametrize(("code", "stands_in"), [(errno.EMFILE, True), (errno.EACCES, False)])
def test_which_clock_stands_in(code: int, stands_in: bool) -> None:
    def refuse(*_: int) -> socket.socket:
        raise OSError(code, "no")

    assert open_trigger("linux", 2.0, make_socket=refuse).stands_in is stands_in


def test_what_an_interface_is_is_not_guessed_for_lack_of_descriptors(tmp_path: Path) -> None:
    """A guess is remembered: a WireGuard device called "work" would never be a tunnel again."""
    answers: list[LinkTypes | OSError] = [NO_DESCRIPTORS, {"work": (65534, "wireguard")}]

    def link_types() -> LinkTypes:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    reader = LinuxReader(tmp_path, lambda name: 0x41, link_types)
    source = SystemNetworks(lambda: [FakeAdapter("work", index=7)], reader)
    assert source.snapshot() == ()
    assert [interface.kind for interface in source.snapshot()] == ["tunnel"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")
def test_no_socket_stays_untied_for_lack_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, errno.EMFILE)
    here = ("127.0.0.1", 9)
    with pytest.raises(OSError, match="no"):
        outgoing_interface(socket.AF_INET, here, SERVER)
    refuse(monkeypatch, errno.EACCES)
    assert outgoing_interface(socket.AF_INET, here, SERVER) is None


@pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")
def test_a_kernel_that_cannot_list_its_links_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """For lack of descriptors is not as if it never tells."""
    refuse(monkeypatch, errno.EACCES)
    assert read_link_types() == {}
    refuse(monkeypatch, errno.EMFILE)
    with pytest.raises(OSError, match="no"):
        read_link_types()
