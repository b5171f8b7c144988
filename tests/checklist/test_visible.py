"""What probing learns about a path can be seen, and may drive the choice (RFC 9308 section 8).

Point 23 of what must hold for a path (docs/paths.md), under the supervisor.
"""

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_world import World
from tests.supervisor.phone import phone
from trioquic.policy import Decision, Migrate, PolicyEvent, View
from trioquic.testing import Datagram


class Fastest(trioquic.MigrationPolicy):
    """Goes to the path with the shortest round trip, as far as probing has measured it."""

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        decision = super().decide(view, event, now)
        ways = [p for p in view.paths if p.rtt and p.state is trioquic.PathState.VALIDATED]
        best = min(ways, key=lambda path: path.rtt or 0.0, default=None)
        if view.active is None or best is None or not view.active.rtt or not best.rtt:
            return decision
        if best.rtt < 0.8 * view.active.rtt:
            return Decision((Migrate(best.id, reason=f"{best.rtt:.3f} s is faster"),))
        return decision


async def test_23_the_round_trip_time_of_a_standby_is_known_before_it_carries_anything(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        (answer,) = here.heard(trioquic.PathValidated)
        assert answer.rtt == pytest.approx(0.08, abs=0.002)
        standby = answer.path.statistics()
        assert standby.interface == "wwan0"
        assert standby.rtt == standby.min_rtt == answer.rtt
        assert (standby.challenges_sent, standby.validations) == (1, 1)


async def test_23_the_loss_of_probes_is_counted(autojump_clock: trio.testing.MockClock) -> None:
    lost = 0

    def lose_two(datagram: Datagram) -> bytes | None:
        nonlocal lost
        lost += 1
        return None if lost <= 2 else datagram.payload

    async with phone(policy=trioquic.MigrationPolicy(standby=0)) as here:
        with here.world.cellular.link.outbound.filtered(lose_two):
            path = await here.conn.add_path(interface="wwan0")
            rtt = await path.validate()
        counted = path.statistics()
        assert (counted.challenges_sent, counted.validations) == (3, 1)
        assert rtt == pytest.approx(0.08, abs=0.002), "of the challenge that was answered"


def slow_wifi(world: World) -> None:
    world.wifi.link.change(delay=0.2)


async def test_23_a_policy_may_choose_by_what_was_measured(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The inherited policy would stay on Wi-Fi, which works."""
    async with phone(policy=Fastest(), prepare=slow_wifi) as here:
        await here.until(trioquic.Migrated)
        (moved,) = here.heard(trioquic.Migrated)
        assert moved.new.interface == "wwan0"
        assert moved.reason.endswith("s is faster")
        await here.download(50_000)
    async with phone(prepare=slow_wifi) as here:
        await here.until(trioquic.PathValidated)
        await here.download(50_000)
        assert not here.heard(trioquic.Migrated)
