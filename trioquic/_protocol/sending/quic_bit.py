"""The second bit of 1-RTT packets: set, unless the server lets us do otherwise (RFC 9287)."""

from collections.abc import Callable
from typing import Final

from ..facts import ConnectionFacts
from ..wire.packets import QUIC_BIT

# Drawn together: asking the system for each packet's bit would cost as much as a frame does.
_AT_ONCE: Final = 64


class QuicBit:
    def __init__(self, facts: ConnectionFacts, rng: Callable[[int], bytes]) -> None:
        self._facts = facts
        self._rng = rng
        self._dice = b""
        self._left = 0

    def draw(self) -> int:
        """The next one: anything, if the server allows that, so that nobody on the way comes to
        rely on it (section 3.1)."""
        peer = self._facts.peer
        if peer is None or not peer.grease_quic_bit:
            return QUIC_BIT
        if self._left == 0:
            self._dice = self._rng(_AT_ONCE)
            self._left = _AT_ONCE
        self._left -= 1
        return self._dice[self._left] & QUIC_BIT
