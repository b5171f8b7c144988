"""When to look for a connection again, while nobody answers."""

from typing import Final

import trio

from ..url import Origin
from .pool import Pool

# Seconds until the next look, doubling
_FIRST: Final = 0.1
_LONGEST: Final = 0.8


class Pauses:
    """For one request to this origin, which looks again for so many `seconds`."""

    def __init__(self, pool: Pool, origin: Origin, seconds: float) -> None:
        self._pool = pool
        self._origin = origin
        self._deadline = trio.current_time() + seconds
        self._next = _FIRST

    @property
    def over(self) -> bool:
        """Whether there is no time left for another one, or no client."""
        return self._pool.closed or trio.current_time() + self._next >= self._deadline

    async def wait(self) -> None:
        """The next one, longer than the one before; it ends when there is a connection."""
        await self._pool.wait_ready(self._origin, self._next)
        self._next = min(2 * self._next, _LONGEST)
