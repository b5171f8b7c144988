"""The second bit of 1-RTT packets: set, unless the server lets us do otherwise (RFC 9287)."""

from collections.abc import Callable
from typing import Final

from .wire.packets import FIXED_BIT

# Drawn together: asking the system for each packet's bit would cost as much as a frame does.
_AT_ONCE: Final = 64


class FixedBits:
    """The bits of the packets to come."""

    def __init__(self, rng: Callable[[int], bytes]) -> None:
        self._rng = rng
        # the server lets us clear the bit
        self.any_allowed = False
        self._dice = b""
        self._left = 0

    def draw(self) -> int:
        """The next one: anything, if that is allowed, so that nobody on the way comes to rely on it
        (section 3.1)."""
        if not self.any_allowed:
            return FIXED_BIT
        if self._left == 0:
            self._dice = self._rng(_AT_ONCE)
            self._left = _AT_ONCE
        self._left -= 1
        return self._dice[self._left] & FIXED_BIT
