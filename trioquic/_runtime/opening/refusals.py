"""Whether nothing listens where the ClientHello goes: believed when it is said again and again.

The server's host says so with an ICMP message, but anybody on the way, or who guesses the port, can
say it as well. A single one is therefore only a reason to try the next address at once. Meanwhile
the ClientHello goes out again after a third of a second and after two: a closed port refuses each,
so it takes no longer than `_CERTAIN_AFTER` to be sure. A server that is there answers, and one
authentic packet of its own outweighs all refusals. So who forges them all the time can keep us from
a server whose answer takes longer than that, and from no other. Over a second network, where the
first already said the same, less is enough (`_SOON`): the two would have to lie together.
"""

from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

import trio

from ..driver import Driver
from ..sockets.sockets import TooNarrowError, is_refusal

_LEAST: Final = 2
# From the first refusal to the last, and until it is believed, seconds. Hosts limit their ICMP
# messages, some to one a second.
_SPREAD: Final = 0.5
_CERTAIN_AFTER: Final = 0.75
_SOON: Final = 0.3
# What RFC 9002 section 6.2.3 allows: a few times, a (guessed) round trip apart
_ASK_AGAIN_AFTER: Final = 0.34


class Refusals:
    """Of one attempt to connect."""

    def __init__(
        self,
        driver: Driver,
        first: Callable[[], None],
        spawn: Callable[[Callable[[], Awaitable[None]]], None],
        beside: bool,
    ) -> None:
        self._spread = _SOON if beside else _SPREAD
        self._certain_after = _SOON if beside else _CERTAIN_AFTER
        self._driver = driver
        self._first = first
        self._spawn = spawn
        self._first_at = inf
        self._last_at = -inf
        self._count = 0
        # the time that the attempt is given; cancelled when it is certain that nobody is there
        self._patience = trio.CancelScope()
        self.believed = False
        # why no datagram leaves this machine
        self.too_narrow = ""

    def note(self, error: OSError) -> None:
        """An error of the socket's; it counts if it says that nothing listens there, or that what a
        connection begins with does not fit."""
        if isinstance(error, TooNarrowError) and not self._answered:
            self.too_narrow = str(error.strerror)
            self._patience.cancel()
        if not is_refusal(error):
            return
        now = trio.current_time()
        self._count += 1
        self._last_at = now
        if self._count == 1:
            self._first_at = now
            self._spawn(self._ask_again)
            self._first()
        self._judge(now)

    async def wait(self, outcome: trio.Event, deadline: float) -> None:
        """Wait for the attempt's outcome, its deadline, or the certainty that nobody is there."""
        self._patience.deadline = deadline
        with self._patience:
            await outcome.wait()

    async def _ask_again(self) -> None:
        for _ in range(2):
            await trio.sleep(_ASK_AGAIN_AFTER)
            if self._answered:
                return
            self._driver.core.repeat_initial(trio.current_time())
            self._driver.flush()
        await trio.sleep_until(self._first_at + self._certain_after)
        self._judge(trio.current_time())

    @property
    def _answered(self) -> bool:
        return self._driver.core.statistics().packets_received > 0

    def _judge(self, now: float) -> None:
        enough = self._count >= _LEAST and self._last_at - self._first_at >= self._spread
        if enough and now >= self._first_at + self._certain_after and not self._answered:
            self.believed = True
            self._patience.cancel()
