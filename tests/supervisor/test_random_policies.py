"""Policies that decide at random: whatever comes of it, it is no bug of the library's."""

import random
from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from trioquic.policy import (
    Action,
    CallServerBack,
    Challenge,
    ClosePath,
    Decision,
    Migrate,
    MissConnectionID,
    OpenAndMigrate,
    OpenPath,
    PolicyEvent,
    Suspend,
    View,
    WaitForPath,
)

from .phone import Phone, phone
from .test_odd_policies import policy


class Dice:
    """Decides by throwing dice, or as always."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision | None:
        if self.random.random() < 0.4:
            return None
        again = now + self.random.choice([0.0, 0.01, 1.0])
        actions = [self._action(view, now) for _ in range(self.random.randrange(4))]
        return Decision(actions, look_again=again)  # type: ignore[arg-type]

    def _action(self, view: View, now: float) -> Action:
        path = self.random.choice([path.id for path in view.paths] or [0]) + (
            self.random.random() < 0.1
        )
        plain: list[Action] = [
            ClosePath(path),
            CallServerBack(),
            Suspend(),
            Migrate(path),
            Migrate(path, unvalidated=True),
            Challenge(path),
            WaitForPath(),
        ]
        if view.candidates:
            way = self.random.choice(view.candidates)
            plain += [OpenPath(way), OpenPath(way), OpenAndMigrate(way), MissConnectionID(way)]
        return self.random.choice(plain)


async def weather(here: Phone, dice: random.Random) -> None:
    """Networks go, come and fall silent."""
    while True:
        await trio.sleep(dice.random())
        interface = dice.choice([here.world.wifi, here.world.cellular])
        change: Any = dice.choice(
            [
                interface.down,
                interface.up,
                interface.up,
                interface.link.blackhole,
                interface.link.restore,
                interface.link.restore,
                here.conn.network_changed,
            ]
        )
        change()


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.series) for seed in range(2, 8))]
)
async def test_no_decision_breaks_anything(
    autojump_clock: trio.testing.MockClock, seed: int
) -> None:
    dice = Dice(seed)
    async with phone(seed, policy=policy(dice.decide)) as here:
        with trio.move_on_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(weather, here, dice.random)
                with suppress(trioquic.NoPathError, trioquic.IdleTimeoutError):
                    while True:
                        await here.download(20_000)
                nursery.cancel_scope.cancel()
        closed = [event.path for event in here.heard(trioquic.PathClosed)]
        assert len(closed) == len(set(closed)), seed
