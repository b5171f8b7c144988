"""Reasons are derived from facts: in whatever order the news of them comes, they read the same."""

import errno
import itertools
from collections.abc import Callable

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import PREFERRED, World
from trioquic import NoPathReason
from trioquic._protocol.path.path import NetworkPath
from trioquic._runtime.supervisor.supervisor import Supervisor
from trioquic.causes import CloseCause
from trioquic.policy import PolicyEvent, Trigger

from .phone import Phone, phone

NOWHERE = ("198.51.100.77", PORT)


class Shuffled:
    """Has the supervisor hear one event, and others of the same instant, in a given order."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, supervisor: Supervisor, order: tuple[Trigger, ...]
    ) -> None:
        self._order = order
        self._hear = supervisor.hear
        self.waits_for: Trigger | None = None
        monkeypatch.setattr(supervisor, "hear", self.hear)

    def hear(self, event: PolicyEvent) -> None:
        if event.trigger is not self.waits_for:
            self._hear(event)
            return
        self.waits_for = None
        about_active = (Trigger.SILENT, Trigger.SOCKET_ERROR, Trigger.DEGRADED)
        for what in self._order:
            self._hear(PolicyEvent(trigger=what, path=0 if what in about_active else None))


async def cause_of_move(
    monkeypatch: pytest.MonkeyPatch,
    order: tuple[Trigger, ...],
    waits_for: Trigger,
    happen: Callable[[Phone], object],
) -> tuple[str, int]:
    """The cause, and the path left, when something happens and an answer is awaited."""

    def prepare(world: World) -> None:
        world.cellular.link.change(delay=0.01)  # so that it answers first

    async with phone(prepare=prepare) as here:
        shuffled = Shuffled(monkeypatch, here.conn._supervisor, order)
        await here.until(trioquic.PathValidated)
        shuffled.waits_for = waits_for
        happen(here)
        await (await here.conn.open_stream()).send_all(b"GET 10\r\n")
        await here.until(trioquic.Migrated)
        moved = here.heard(trioquic.Migrated)[0]
        assert moved.old is not None
        return moved.reason, moved.old.id


def no_way_out(here: Phone) -> None:
    error = OSError(errno.ENETUNREACH, "Network is unreachable")
    here.conn._paths.on_socket_error(0, error)


def silence(here: Phone) -> None:
    here.world.wifi.link.blackhole()


def down(here: Phone) -> None:
    here.world.wifi.down()


@pytest.mark.parametrize(
    ("happen", "others", "cause"),
    [
        (
            no_way_out,
            (Trigger.SOCKET_ERROR, Trigger.NETWORKS, Trigger.HINT, Trigger.IDS),
            "its socket finds no way out",
        ),
        (
            silence,
            (Trigger.SILENT, Trigger.NETWORKS, Trigger.DEGRADED, Trigger.VALIDATION_FAILED),
            "no answer for 1 PTO",
        ),
        (
            silence,
            (Trigger.SILENT, Trigger.SOCKET_ERROR, Trigger.HINT, Trigger.IDS),
            "no answer for 1 PTO, and its socket finds no way out",
        ),
        (
            down,
            (Trigger.NETWORKS, Trigger.SOCKET_ERROR, Trigger.SILENT, Trigger.IDS),
            "the active path is gone: wlan0 is down",
        ),
    ],
)
async def test_a_move_has_the_same_cause_in_every_order_of_events(
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    happen: Callable[[Phone], object],
    others: tuple[Trigger, ...],
    cause: str,
) -> None:
    found = set()
    for order in itertools.permutations(others):
        with monkeypatch.context() as patch:
            found.add(await cause_of_move(patch, order, others[0], happen))
    assert found == {(cause, 0)}


async def test_a_network_that_never_was_is_not_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        here.world.wifi.down()
        await here.until(trioquic.Migrated)
        ethernet = here.world.phone.add_interface("eth0", "192.0.2.200", delay=0.01)
        await here.until(trioquic.Migrated, 2)
        await here.download(1000)
        ethernet.down()
        await here.until(trioquic.Migrated, 3)
        await here.download(1000)
        here.world.wifi.up()
        await here.until(trioquic.Migrated, 4)
        assert [event.reason for event in here.heard(trioquic.Migrated)] == [
            "the active path is gone: wlan0 is down",
            "a better network is there",
            "the active path is gone: eth0 is down",
            "a better network is back",
        ]


async def test_what_was_lost_is_said_as_long_as_there_is_nothing_else(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Also when the standby was lost before, and when the path is no more."""
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        here.world.cellular.down()
        await here.until(trioquic.PathClosed)
        here.world.wifi.down()
        await here.until(trioquic.WaitingForPath)
        here.conn.network_changed()
        await trio.sleep(2)
        told = "wlan0 is down, and there is no other network"
        assert here.heard(trioquic.WaitingForPath)[0].reason == told
        assert here.conn.health.reason == f"there is no path: {told}"
        here.world.cellular.up()
        await here.until(trioquic.Migrated)
        (moved,) = here.heard(trioquic.Migrated)
        assert moved.reason == "the active path is gone: wlan0 is down"


async def test_networks_that_the_policy_does_not_allow_were_not_tried(
    autojump_clock: trio.testing.MockClock,
) -> None:
    policy = trioquic.MigrationPolicy(metered=False, no_path_timeout=5.0)
    async with phone(policy=policy) as here:
        here.world.wifi.down()
        await here.until(trioquic.WaitingForPath)
        told = "wlan0 is down, and the other networks are not to be used (metered=False: wwan0)"
        assert here.heard(trioquic.WaitingForPath)[0].reason == told
        with pytest.raises(trioquic.NoPathError, match="no path for 5 s") as caught:
            await here.conn.wait_healthy()
        assert caught.value.reason is NoPathReason.NO_NETWORK
        assert told in str(caught.value)


async def test_a_port_that_is_not_needed_is_given_up_for_one_that_works(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Another was tried in the silence, and then the old one answered."""
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        here.world.wifi.down()
        await here.until(trioquic.Migrated)
        await here.download(1000)
        here.world.cellular.link.blackhole()
        await (await here.conn.open_stream()).send_all(b"GET 10\r\n")
        await here.until(trioquic.PathDegraded)
        assert len(here.conn.paths) > 1
        here.world.cellular.link.restore()
        with trio.fail_after(5):
            await here.until(trioquic.PathClosed, 2)
        assert here.heard(trioquic.PathClosed)[1].cause is CloseCause.ANOTHER_PORT_WORKS


# -- the server's preferred address ----------------------------------------------------------------


async def test_a_preferred_address_that_was_not_asked_may_answer_yet(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    admits = NetworkPath.admits_probe
    monkeypatch.setattr(
        NetworkPath, "admits_probe", lambda path: path.remote[0] != PREFERRED and admits(path)
    )
    options = ServerOptions(preferred_ipv4=(PREFERRED, PORT))
    async with phone(options=options, prepare=lambda world: world.cellular.down()) as here:
        await here.until(trioquic.ValidationFailed)
        (failed,) = here.heard(trioquic.ValidationFailed)
        assert failed.reason == "no room in the congestion window for PATH_CHALLENGE"
        await trio.testing.wait_all_tasks_blocked()
        assert failed.path.state is trioquic.PathState.ABANDONED
        assert here.heard(trioquic.PreferredAddressResult) == []
        monkeypatch.undo()
        await here.until(trioquic.PreferredAddressResult)
        (result,) = here.heard(trioquic.PreferredAddressResult)
        assert (result.used, result.reason) == (True, "it answered")


async def test_a_preferred_address_that_does_not_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone(options=ServerOptions(preferred_ipv4=NOWHERE)) as here:
        await here.until(trioquic.PreferredAddressResult)
        (result,) = here.heard(trioquic.PreferredAddressResult)
        assert (result.used, result.reason) == (False, "it did not answer")


async def test_a_preferred_address_where_somebody_else_answers(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone(options=ServerOptions(preferred_ipv4=NOWHERE)) as here:
        await here.until(trioquic.PathValidated)
        there = next(path for path in here.conn.paths if path.remote == NOWHERE)
        for _ in range(32):
            here.conn._supervisor.hear(PolicyEvent(trigger=Trigger.MISLED, path=there.id))
        await here.until(trioquic.PreferredAddressResult)
        (result,) = here.heard(trioquic.PreferredAddressResult)
        assert result.reason == "who answers there does not know the connection"
        assert not result.used
