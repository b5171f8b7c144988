"""Leaving slow start before it overflows the queue: HyStart++ (RFC 9406).

A queue that fills shows in longer round trips. So the smallest RTT of each round is held against
that of the round before. Once it has risen, slow start goes on conservatively, at a quarter of the
growth, for five rounds; if the RTT falls back meanwhile, the rise was jitter, and slow start is
resumed. After five such rounds the window is where congestion avoidance begins.

A round ends when a packet that was sent after its beginning is acknowledged. The limit L on the
growth by one acknowledgement is infinite, for we always pace (section 4.3).
"""

from typing import Final

MIN_RTT_THRESHOLD: Final = 0.004  # section 4.3, with the other constants
MAX_RTT_THRESHOLD: Final = 0.016
MIN_RTT_DIVISOR: Final = 8
RTT_SAMPLES: Final = 8
GROWTH_DIVISOR: Final = 4
CONSERVATIVE_ROUNDS: Final = 5
UNKNOWN: Final = float("inf")


class HyStart:
    def __init__(self) -> None:
        self.conservative = False  # "conservative slow start", CSS
        self._minimum = UNKNOWN  # of this round
        self._last_minimum = UNKNOWN  # of the round before
        self._samples = 0  # in this round
        self._baseline = UNKNOWN  # what the RTT had risen to
        self._rounds = 0  # of conservative slow start, begun ones too

    def growth(self, size: int) -> int:
        """How much the window grows when `size` bytes are acknowledged."""
        return size // GROWTH_DIVISOR if self.conservative else size

    def on_rtt_sample(self, rtt: float) -> None:
        """Judge the round by its smallest RTT, once there are enough samples to trust that."""
        self._samples += 1
        if rtt < self._minimum:
            self._minimum = rtt
        if self._samples < RTT_SAMPLES:
            return
        if self.conservative:
            if self._minimum < self._baseline:
                self.conservative = False
                self._baseline = UNKNOWN
        elif self._last_minimum != UNKNOWN:
            last = self._last_minimum
            rise = max(MIN_RTT_THRESHOLD, min(last / MIN_RTT_DIVISOR, MAX_RTT_THRESHOLD))
            if self._minimum >= last + rise:
                self.conservative = True
                self._baseline = self._minimum
                self._rounds = 0

    def on_round(self) -> bool:
        """A round has ended and the next begins. True: slow start should end with it."""
        self._last_minimum = self._minimum
        self._minimum = UNKNOWN
        self._samples = 0
        if not self.conservative:
            return False
        # the round in whose middle the RTT was seen to rise counts as a whole one
        self._rounds += 1
        return self._rounds == CONSERVATIVE_ROUNDS
