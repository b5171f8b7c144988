"""Notices that the machine slept, or that the program was stopped.

Linux's monotonic clock, trio's, stands still while the machine sleeps; CLOCK_BOOTTIME does not, so
what the difference of both has grown by is time asleep. It counts for the idle timeout (RFC 9000
section 10.1), as the server's clock went on. A stopped program (SIGSTOP) is seen by deadlines that
were missed by far. Either way the first thing to do is to look at everything anew (`driver.py`):
the timers that ran out say nothing about the server, as nobody listened.
"""

import sys
import time
from math import inf
from typing import Final

# Less is a busy machine.
LONG: Final = 1.0


def boot_offset() -> float:
    """How far the clock that goes on in sleep is ahead of the other; 0 where there is none."""
    if sys.platform == "win32":
        # its monotonic clock goes on
        return 0.0
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if clock is None else time.clock_gettime(clock) - time.monotonic()


class Asleep:
    """What one connection has noticed of it so far."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known = inf

    def take(self) -> float:
        """Seconds asleep since the last call, 0 if there was nothing worth a look."""
        offset = boot_offset()
        slept = offset - self._known
        if -LONG < slept < LONG:
            return 0.0
        # the first call; or the two clocks were read with a pause between
        self._known = offset
        return max(slept, 0.0)
