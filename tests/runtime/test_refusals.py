"""When it is believed that nothing listens, which anybody on the way may say."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from trioquic._runtime.opening.refusals import Refusals

Clock = trio.testing.MockClock
FOR_EVER = 10.0


class Attempt:
    """An attempt to connect that is refused at these times, and answered at one."""

    def __init__(self, at: list[float], answer: float, beside: bool) -> None:
        self._at = at
        self._answer = answer
        self._beside = beside
        self.asked = 0
        self.told = 0

    def _statistics(self) -> Any:
        answered = trio.current_time() - self._began >= self._answer
        return SimpleNamespace(packets_received=int(answered))

    def _ask(self, _now: float) -> None:
        self.asked += 1

    def _tell(self) -> None:
        self.told += 1

    async def _refuse(self, refusals: Refusals) -> None:
        refusals.note(OSError("no answer to the question whether somebody listens"))
        for at in self._at:
            await trio.sleep_until(self._began + at)
            refusals.note(ConnectionRefusedError())

    async def run(self) -> float | None:
        """After how long it was believed; None if it was not."""
        self._began = trio.current_time()
        core = SimpleNamespace(statistics=self._statistics, repeat_initial=self._ask)
        driver: Any = SimpleNamespace(core=core, flush=lambda: None)
        async with trio.open_nursery() as nursery:

            def spawn(task: Callable[[], Awaitable[None]]) -> None:
                nursery.start_soon(task)

            refusals = Refusals(driver, self._tell, spawn, self._beside)
            nursery.start_soon(self._refuse, refusals)
            await refusals.wait(trio.Event(), self._began + FOR_EVER)
            took = trio.current_time() - self._began
            nursery.cancel_scope.cancel()
        return took if refusals.believed else None


STORM = [number / 50 for number in range(200)]


@pytest.mark.parametrize(
    ("at", "answer", "beside", "believed"),
    [
        pytest.param([0.0, 0.34, 0.68], 99.0, False, 0.75, id="a closed port"),
        pytest.param(STORM, 99.0, False, 0.75, id="no sooner, however often it is said"),
        pytest.param(STORM, 0.7, False, None, id="an answer outweighs all"),
        pytest.param([0.0], 99.0, False, None, id="a single one"),
        pytest.param([0.0, 0.1, 0.2, 0.3, 0.4], 99.0, False, None, id="for a moment only"),
        pytest.param([0.0, 1.2], 99.0, False, 1.2, id="a host that says it once a second"),
        pytest.param([0.0, 0.34], 99.0, True, 0.34, id="over a second network"),
        pytest.param(STORM, 0.2, True, None, id="an answer over a second network"),
    ],
)
async def test_when_it_is_believed(
    autojump_clock: Clock, at: list[float], answer: float, beside: bool, believed: float | None
) -> None:
    attempt = Attempt(at, answer, beside)
    took = await attempt.run()
    assert took == (None if believed is None else pytest.approx(believed, abs=0.021))
    assert attempt.told == 1
    assert attempt.asked <= 2
