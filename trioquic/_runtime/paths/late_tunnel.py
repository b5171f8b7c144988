"""A tunnel that comes up when something is under way already: what leads beside it, and for how
long.

Whoever sends packets without a path of its own is in the tunnel at once, as the system's routes say
so. What is under way outside has `TO_ENTER`, for the tunnel to answer, so that nothing is lost
where it works. The same holds for attempts to connect (`race.py`) and for a path that is being
validated (`by_hand.py`); for the path in use the supervisor sees to it (`sight.py`).
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Final

import trio

from ...paths import Address
from .reach import Reach

TO_ENTER: Final = 1.0
"""Seconds that something may go on outside after a tunnel has come up."""
# News of networks come in dozens; they are looked at together.
_PACE: Final = 0.01
# What was seen so long ago may be otherwise.
_FRESH: Final = 0.05


class LateTunnel:
    """Whether packets to the server take a tunnel by now, and what leads beside it."""

    def __init__(self, reach: Reach, servers: Sequence[Address], leave_at: float = inf) -> None:
        self._reach = reach
        self._servers = tuple(servers)
        self._looked_at = trio.current_time()
        self._outside: frozenset[str] = frozenset()
        self.there = False
        """Whether the system sends packets to the server through a tunnel."""
        self.leave_at = leave_at
        """When nothing may be outside any more."""

    def note_servers(self, servers: Sequence[Address]) -> None:
        """These are the server's addresses, as far as they are known by now."""
        self._servers = tuple(servers)

    def leads_outside(self, interface: str | None) -> bool:
        """Whether an interface leads beside the tunnel, as far as that is known."""
        return interface in self._outside

    def look(self, stays: Callable[[], bool] = lambda: False) -> bool:
        """See how it is now; whether a tunnel has come or gone. `stays`: whether what was in the
        tunnel must not leave it, if it has gone."""
        self._looked_at = trio.current_time()
        now = self._reach.networks(self._servers)
        there = self._reach.begins_in_tunnel(now)
        if not there and self.there and stays():
            # what is new, too
            self._outside |= self._reach.outside_of(now)
            return False
        # What is not listed may be a tunnel for all that is known.
        before = self._outside
        self._outside = self._reach.outside_of(now) if there else frozenset()
        if there is self.there and self._outside <= before:
            return False
        self.there = there
        # what is new there does not get another second
        self.leave_at = min(self.leave_at, trio.current_time() + TO_ENTER) if there else inf
        return True

    def look_again(self, stays: Callable[[], bool]) -> bool:
        """The same, if the last look was some time ago."""
        return trio.current_time() > self._looked_at + _FRESH and self.look(stays)

    async def follow(
        self,
        changed: Callable[[], None],
        leave: Callable[[], None],
        stays: Callable[[], bool] = lambda: False,
    ) -> None:
        """Call `changed` when a tunnel has come or gone, and for all news while one is there;
        `leave` when nothing may be outside any more. Runs until cancelled."""
        while True:
            if self.look(stays) or self.there:
                changed()
            with trio.move_on_at(self.leave_at):
                await self._reach.source.wait_changed()
                await trio.sleep(_PACE)
            if trio.current_time() >= self.leave_at:
                self.leave_at = inf
                leave()
