"""The task that flushes when nobody else does: at a deadline, or soon after something was written.

It lives as long as the connection. Deadlines mostly move away: each acknowledgement puts off the
next timeout. The sleep is moved with them, since that costs far less than waking in vain. A
deadline that has passed already when it is set is kept for the next tick: whatever asks for one
again and again must not keep the program from everything else.

A write that flushes at once costs a packet and a system call, and so does the next one in the same
turn of the scheduler: the FIN behind a request, or the requests of a hundred other tasks. So a
stream's calls only say that there is something to send. The task flushes for all of them, one turn
later: whoever wrote has passed the checkpoint behind it by then and may have added more.
"""

from collections.abc import Callable
from math import inf
from typing import Final

import trio

_TICK: Final = 0.0005


class Timer:
    """When to flush. Times are those of trio's clock."""

    __slots__ = ("_deadline", "_overdue", "_scope", "_sleeper", "wanted")

    def __init__(self) -> None:
        self._deadline = inf
        # the deadline whose work is being done
        self._overdue = inf
        self._scope: trio.CancelScope | None = None
        self._sleeper = trio.lowlevel.ParkingLot()
        self.wanted = False

    def set(self, deadline: float) -> None:
        """Move the deadline; infinity for none."""
        self._deadline = deadline
        if self._scope is not None:
            self._scope.deadline = deadline

    def forget(self) -> None:
        """That a deadline was missed has been noticed; the next `set` is to come."""
        self._deadline = self._overdue = inf

    def lateness(self, now: float) -> float:
        """By how much the deadline was missed; below 0 if it is still to come."""
        return now - min(self._deadline, self._overdue)

    def soon(self) -> None:
        """There is something to send. Whoever flushes first, for whatever reason, sends it."""
        if not self.wanted:
            self.wanted = True
            self._sleeper.unpark()

    def on_flush(self) -> None:
        """What there is to send is about to be sent."""
        self.wanted = False

    async def run(self, expired: Callable[[], None], flush: Callable[[], None]) -> None:
        """Call `expired` when the deadline has come, and `flush` soon after somebody asked for it,
        once for all who ask meanwhile; until cancelled. `expired` is expected to set the next
        deadline, and both are expected to say `on_flush`."""
        while True:
            with trio.CancelScope(deadline=self._deadline) as scope:
                self._scope = scope
                await self._flush_when_wanted(flush)
            self._scope = None
            if trio.current_time() >= self._deadline:
                self._overdue, self._deadline = self._deadline, inf
                expired()
                self._overdue = inf
                self._deadline = max(self._deadline, trio.current_time() + _TICK)

    async def _flush_when_wanted(self, flush: Callable[[], None]) -> None:
        while True:
            if not self.wanted:
                await self._sleeper.park()
            await trio.lowlevel.checkpoint()
            if self.wanted:
                flush()
