"""How long a request waits for what; without limits, for whoever has cancel scopes.

A timeout says how long the other side may take. A process that stood still (stopped, or kept by
somebody's computation) has not listened meanwhile: what came is in its sockets' buffers, or the
network is another one now. Whoever finds a deadline long gone looks once more before it gives up.
"""

import math
from dataclasses import dataclass
from typing import Final

import trio

# Nobody is as late as this because others had work to do
_STOOD_STILL: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """In seconds; infinity where there is none."""

    connect: float = math.inf
    read: float = math.inf
    write: float = math.inf
    pool: float = math.inf


def stood_still(deadline: float) -> bool:
    """Whether a deadline that has passed was missed for so long that it says nothing."""
    return trio.current_time() - deadline > _STOOD_STILL


async def wait_until(event: trio.Event, deadline: float) -> bool:
    """Whether the event comes in time; as long again if this process stood still meanwhile."""
    seconds = deadline - trio.current_time()
    while True:
        with trio.CancelScope(deadline=deadline):
            await event.wait()
        if event.is_set() or not stood_still(deadline):
            return event.is_set()
        deadline = trio.current_time() + max(0.0, seconds)
