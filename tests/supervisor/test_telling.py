"""What happened, and why: each migration has a cause, each refusal and failure a reason."""

import math
from typing import ClassVar

import pytest
import trio
import trio.testing

import trioquic
from tests.runtime.world import dial, phone_world
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import PREFERRED, SERVER
from trioquic._protocol.events import ConnectionIdsAvailable
from trioquic.causes import CloseCause, MigrationCause
from trioquic.policy import (
    ClosePath,
    Decision,
    Migrate,
    MigrationPolicy,
    OpenPath,
    PolicyEvent,
    Trigger,
    View,
)

from .phone import Phone, phone


def reasons(here: Phone) -> list[str]:
    """Why paths were closed, in order."""
    return [event.reason for event in here.heard(trioquic.PathClosed)]


async def test_a_network_that_goes(autojump_clock: trio.testing.MockClock) -> None:
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        here.world.wifi.down()
        await here.until(trioquic.PathClosed)
        await here.until(trioquic.Migrated)
        assert reasons(here) == ["its network is gone: wlan0 is down"]
        (moved,) = here.heard(trioquic.Migrated)
        assert moved.cause is MigrationCause.NETWORK_GONE
        assert moved.reason == "the active path is gone: wlan0 is down"
        # it was closed before the move, and is told all the same
        assert moved.old is here.heard(trioquic.PathClosed)[0].path


async def test_a_time_without_network(autojump_clock: trio.testing.MockClock) -> None:
    """Then there is nothing that the connection moves from."""
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        here.world.wifi.down()
        here.world.cellular.down()
        await here.until(trioquic.WaitingForPath)
        (waiting,) = here.heard(trioquic.WaitingForPath)
        assert trio.current_time() < waiting.deadline <= trio.current_time() + 30
        here.world.wifi.up()
        await here.until(trioquic.Migrated)
        moved = here.heard(trioquic.Migrated)[-1]
        assert (moved.old, moved.new.interface) == (None, "wlan0")
        assert moved.cause


async def test_networks_that_the_policy_does_not_want_were_not_tried(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """And at the end it is still known which network was lost."""
    policy = trioquic.MigrationPolicy(metered=False, no_path_timeout=3.0)
    async with phone(policy=policy) as here:
        here.world.wifi.down()
        await here.until(trioquic.WaitingForPath)
        unwanted = "wlan0 is down, and the other networks are not to be used"
        assert unwanted in here.heard(trioquic.WaitingForPath)[0].reason
        with pytest.raises(trioquic.NoPathError, match=unwanted) as caught:
            await here.conn.wait_healthy()
        assert caught.value.reason is trioquic.NoPathReason.NO_NETWORK


async def test_a_standby_that_does_not_answer(autojump_clock: trio.testing.MockClock) -> None:
    """It is given up for that, which is no other failure."""
    async with phone() as here:
        here.world.cellular.link.blackhole()
        await here.until(trioquic.ValidationFailed, 2)
        first, second = here.heard(trioquic.ValidationFailed)
        assert first.reason == second.reason == "no answer to PATH_CHALLENGE"
        assert here.heard(trioquic.PathClosed)[0].cause is CloseCause.NO_ANSWER
        assert first.path is not second.path
        assert first.path.state is trioquic.PathState.ABANDONED
        assert here.heard(trioquic.Migrated) == []


async def test_a_move_by_hand_that_nobody_answers(autojump_clock: trio.testing.MockClock) -> None:
    async with phone(policy=trioquic.MigrationPolicy(automatic=False)) as here:
        here.world.cellular.link.blackhole()
        with pytest.raises(trioquic.PathValidationError):
            await here.conn.migrate(interface="wwan0")
        await trio.sleep(5)
        (failed,) = here.heard(trioquic.ValidationFailed)
        assert failed.reason == "no answer to PATH_CHALLENGE"
        (closed,) = here.heard(trioquic.PathClosed)
        assert (closed.path, closed.cause) == (failed.path, CloseCause.NO_ANSWER)


async def test_a_path_that_failed_and_works_again(autojump_clock: trio.testing.MockClock) -> None:
    """Its end is news then."""
    async with phone(policy=trioquic.MigrationPolicy(automatic=False)) as here:
        path = await here.conn.add_path(interface="wwan0")
        here.world.cellular.link.blackhole()
        with pytest.raises(trioquic.PathValidationError):
            await path.validate()
        here.world.cellular.link.restore()
        await path.validate()
        await path.aclose()
        await here.until(trioquic.PathClosed)
        assert len(here.heard(trioquic.ValidationFailed)) == 1
        assert reasons(here) == ["closed by the application"]


async def test_the_preferred_address(autojump_clock: trio.testing.MockClock) -> None:
    options = ServerOptions(preferred_ipv4=(PREFERRED, PORT))
    async with phone(options=options) as here:
        await here.until(trioquic.PathClosed)
        (moved,) = here.heard(trioquic.Migrated)
        assert moved.cause is MigrationCause.PREFERRED_ADDRESS
        # what became of the address is told after the move there
        kinds = [type(event) for _, event in here.events]
        assert kinds.index(trioquic.Migrated) < kinds.index(trioquic.PreferredAddressResult)
        closed = here.heard(trioquic.PathClosed)[0]
        assert closed.path.remote[0] == SERVER
        assert closed.cause is CloseCause.PREFERRED_ADDRESS


class Greedy(trioquic.MigrationPolicy):
    """Wants more paths than there can be."""

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        if event.trigger is not Trigger.CONFIRMED:
            return Decision()
        return Decision(tuple(map(OpenPath, view.candidates[:1] * 12)))


async def test_a_refusal_is_told_once(autojump_clock: trio.testing.MockClock) -> None:
    async with phone(policy=Greedy()) as here:
        await trio.sleep(20)  # each refusal waits for IDs first
        opened = len(here.conn.paths) - 1
        refusals = here.heard(trioquic.MigrationRefused)
        assert 0 < opened < 12
        assert len(refusals) == 12 - opened
        possible = {trioquic.Refusal.NO_SPARE_ID, trioquic.Refusal.TOO_MANY_PATHS}
        assert {event.refusal for event in refusals} <= possible
        assert all(event.reason == event.refusal.value for event in refusals)


class Terse(trioquic.MigrationPolicy):
    """Moves as soon as it can, and does not say why."""

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        inherited = super().decide(view, event, now)
        ready = [p for p in view.paths if p.state is trioquic.PathState.VALIDATED]
        if ready and view.active is not None and view.active.id == 0:
            return Decision((Migrate(ready[0].id),))
        return inherited.without(Migrate, ClosePath)


async def test_a_policy_that_gives_no_cause(autojump_clock: trio.testing.MockClock) -> None:
    async with phone(policy=Terse(move_back_after=math.inf)) as here:
        await here.until(trioquic.Migrated)
        assert here.heard(trioquic.Migrated)[0].reason == "decided by the policy"


async def test_a_move_by_hand(autojump_clock: trio.testing.MockClock) -> None:
    async with phone(policy=trioquic.MigrationPolicy(automatic=False)) as here:
        old = here.conn.active_path
        await here.conn.migrate(interface="wwan0")
        await here.until(trioquic.PathClosed)
        assert here.heard(trioquic.Migrated)[0].cause is MigrationCause.APPLICATION
        (closed,) = here.heard(trioquic.PathClosed)
        assert (closed.path, closed.cause) == (old, CloseCause.LEFT)


async def test_the_time_that_each_path_was_active(autojump_clock: trio.testing.MockClock) -> None:
    policy = trioquic.MigrationPolicy(automatic=False)
    async with phone(policy=policy) as here:
        first = here.conn.active_path
        assert first is not None
        second = await here.conn.add_path(interface="wwan0")
        await second.validate()

        def times() -> tuple[float, float]:
            return first.statistics().time_active, second.statistics().time_active

        begun, none = times()
        assert begun > 0
        assert none == 0
        await trio.sleep(7)
        here.conn.migrate_to(second)
        await trio.sleep(3)
        here.conn.migrate_to(first)
        await trio.sleep(2)
        here.conn.migrate_to(second)
        assert times() == pytest.approx((begun + 9, 3))
        await first.aclose()
        await trio.sleep(1)
        assert times() == pytest.approx((begun + 9, 4))
        await second.aclose()
        await trio.sleep(1)
        assert times() == pytest.approx((begun + 9, 4))


class Counting(MigrationPolicy):
    """Remembers why it was asked."""

    asked: ClassVar[list[Trigger]] = []

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        self.asked.append(event.trigger)
        return super().decide(view, event, now)


async def test_news_that_are_alike_are_looked_at_together(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A server may withdraw and give connection IDs with every frame of a packet."""
    async with phone_world() as world, dial(world, migration=Counting()) as conn:
        await conn.wait_handshake_confirmed()
        await trio.sleep(1)
        Counting.asked.clear()
        for spare in range(60):
            conn._paths.on_path_event(ConnectionIdsAvailable(spare=spare))
        await trio.testing.wait_all_tasks_blocked()
        assert Counting.asked == [Trigger.IDS]
