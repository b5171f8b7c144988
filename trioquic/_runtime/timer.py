"""One long-lived task that sleeps until a deadline which moves while it sleeps.

Deadlines of a connection mostly move away: each acknowledgement puts off the next timeout. The
sleep is moved with them, since that costs far less than waking in vain.

A deadline that has passed already when it is set is kept for the next tick: whatever asks for one
again and again must not keep the program from everything else.
"""

from collections.abc import Callable
from math import inf
from typing import Final

import trio

_TICK: Final = 0.0005


class Timer:
    """Calls `expired` when the deadline has come. Times are those of trio's clock."""

    def __init__(self, expired: Callable[[], None]) -> None:
        self._expired = expired
        self._deadline = inf
        self._scope: trio.CancelScope | None = None

    def set(self, deadline: float) -> None:
        """Move the deadline; infinity for none."""
        self._deadline = deadline
        if self._scope is not None:
            self._scope.deadline = deadline

    async def run(self) -> None:
        """Sleep and call, until cancelled. `expired` is expected to set the next deadline."""
        while True:
            with trio.CancelScope(deadline=self._deadline) as scope:
                self._scope = scope
                await trio.sleep_forever()
            self._scope = None
            if trio.current_time() >= self._deadline:
                self._deadline = inf
                self._expired()
                self._deadline = max(self._deadline, trio.current_time() + _TICK)
