"""Sends what a turn of the scheduler has produced, all of it together.

A write that flushes at once costs a packet and a system call, and so does the next one in the same
turn: the FIN behind a request, or the requests of a hundred other tasks. So a stream's calls only
say that there is something to send. One task flushes for all of them, one turn later: whoever
wrote has passed the checkpoint behind it by then and may have added more.
"""

from collections.abc import Callable

import trio


class Flusher:
    """Calls `flush` soon after somebody asked for it, once for all who ask meanwhile."""

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._sleeper = trio.lowlevel.ParkingLot()
        self.wanted = False

    def soon(self) -> None:
        """There is something to send. Whoever flushes first, for whatever reason, sends it."""
        if not self.wanted:
            self.wanted = True
            self._sleeper.unpark()

    async def run(self) -> None:
        """Wait and flush, until cancelled. `flush` is expected to take `wanted` back."""
        while True:
            if not self.wanted:
                await self._sleeper.park()
            await trio.lowlevel.checkpoint()
            if self.wanted:
                self._flush()
