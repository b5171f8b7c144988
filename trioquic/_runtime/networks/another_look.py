"""When to look again after a look that failed.

A process may be out of descriptors or memory just when a VPN comes up. The news of it are read then
and do not come again, so whoever hears them looks until there is an answer, less and less often.
"""

from math import inf
from typing import Final

import trio

from .change_triggers import ChangeTrigger

_SHORTEST_PAUSE: Final = 0.25
# At first no longer than a tunnel that comes late has until nothing goes beside it; a system that
# never tells, as Android's apps have it, is not asked each second for ever.
_LONGEST_AT_FIRST: Final = 1.0
_AT_FIRST: Final = 30
_LONGEST_PAUSE: Final = 64.0


class AnotherLook:
    """The time of it, and the wait for that or for news."""

    def __init__(self) -> None:
        self._time = inf
        self._pause = _SHORTEST_PAUSE
        self._failures = 0
        # of who waits now
        self._scope: trio.CancelScope | None = None

    def on_failure(self) -> None:
        """Something could not be found out. Who waits already is told."""
        if self._time < inf or not trio.lowlevel.in_trio_run():
            return
        self._time = trio.current_time() + self._pause
        self._failures += 1
        most = _LONGEST_AT_FIRST if self._failures < _AT_FIRST else _LONGEST_PAUSE
        self._pause = min(2 * self._pause, most)
        if self._scope is not None:
            self._scope.deadline = self._time

    def begin(self) -> None:
        """A look begins; it may fail again."""
        self._time = inf

    def end(self) -> None:
        """The look is over."""
        if self._time == inf:
            self._pause = _SHORTEST_PAUSE
            self._failures = 0

    async def wait(self, trigger: ChangeTrigger) -> bool:
        """Wait for news, or until it is time for another look; whether the news are of the sort
        that a snapshot may not show."""
        with trio.CancelScope(deadline=self._time) as self._scope:
            try:
                return await trigger.wait()
            finally:
                self._scope = None
        return False
