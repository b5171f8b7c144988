"""CUBIC (RFC 9438), with HyStart++ for the first slow start (RFC 9406): the default controller.

In congestion avoidance the window follows a cubic function of the time since avoidance began:

    W_cubic(t) = C * (t - K)^3 + W_max

On paths so short or slow that NewReno would grow faster than that, the window follows an estimate
of NewReno's (4.3). Sizes are bytes here, where the RFC counts segments. W_cubic depends on time
only, so it is computed once for all the packets that one moment's ACK frames acknowledge.

The clock of W_cubic stands still while the application sends too little to fill the window (4.2,
5.8). Packets sent in such a time never get here (`path_recovery`); so it lasted from the last
acknowledgement that did until the sending of the packet that does next.
"""

from math import cbrt
from typing import Final

from .congestion import UNLIMITED, CongestionController
from .hystart import HyStart

C: Final = 0.4  # section 5.1, in datagrams per second cubed
BETA: Final = 0.7  # section 4.6
OVERSHOT_BETA: Final = 0.5
RENO_ALPHA: Final = 3.0 * (1.0 - BETA) / (1.0 + BETA)  # section 4.3
FAST_CONVERGENCE: Final = (1.0 + BETA) / 2.0  # section 4.7
MOST_GROWTH: Final = 1.5  # section 4.2, of the window in one round trip
NEVER: Final = float("inf")


class Cubic(CongestionController):
    def __init__(self, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size)
        self._hystart = HyStart()
        self._rtt = 0.0  # smoothed
        self._w_max = 0.0  # 0: no loss has told it
        self._prior = 0  # cwnd_prior, the window before its last reduction, if any
        self._epoch_start = NEVER  # of congestion avoidance
        self._k = 0.0
        self._estimate = 0.0  # W_est
        self._alpha = RENO_ALPHA
        self._aimed_at = NEVER  # when the two below were computed
        self._cubic = 0.0  # W_cubic(t)
        self._target = 0.0  # W_cubic(t + RTT) within its limits
        self._credit = 0.0  # growth of less than a byte

    def on_acked(self, size: int, time_sent: float, now: float) -> None:
        """Grow by what was acknowledged in slow start, towards W_cubic afterwards."""
        if time_sent <= self.recovery_start:
            return
        window = self.window
        if window < self.threshold:
            self.window += self._hystart.growth(size)
            return
        if now != self._aimed_at:
            self._aim(time_sent, now)
        share = size / window
        self._estimate += self._alpha * self.max_datagram_size * share
        if self._cubic < self._estimate:
            self.window = max(window, int(self._estimate))
        elif self._target > window:
            self._credit += (self._target - window) * share
            whole = int(self._credit)
            self._credit -= whole
            self.window += whole

    def _aim(self, time_sent: float, now: float) -> None:
        """Compute where W_cubic is now, and where it will be a round trip later (4.2)."""
        if self._epoch_start == NEVER:
            self._begin(now)
        elif time_sent > self._aimed_at:
            self._epoch_start += time_sent - self._aimed_at
        self._aimed_at = now
        if self._estimate >= self._prior:
            self._alpha = 1.0
        scale = C * self.max_datagram_size
        offset = now - self._epoch_start - self._k
        self._cubic = scale * offset * offset * offset + self._w_max
        offset += self._rtt
        target = scale * offset * offset * offset + self._w_max
        self._target = min(target, MOST_GROWTH * self.window)

    def _begin(self, now: float) -> None:
        # sections 4.2, 4.8 and 4.10: with no loss to tell W_max the window begins on the plateau
        window = float(self.window)
        self._epoch_start = now
        self._estimate = window
        self._alpha = RENO_ALPHA
        if self._w_max > window:
            self._k = cbrt((self._w_max - window) / (C * self.max_datagram_size))
        else:
            self._w_max = window
            self._k = 0.0

    def _leave_avoidance(self) -> None:
        self._epoch_start = NEVER
        self._aimed_at = NEVER

    def on_datagram_size(self, size: int) -> None:
        """W_cubic counts in datagrams: its curve begins anew."""
        super().on_datagram_size(size)
        self._leave_avoidance()

    def _reduced(self) -> int:
        """Seven tenths (4.6)."""
        # The first slow start has about doubled the window since the packet was sent. Seven tenths
        # of that would overflow the queue again (4.10 leaves it to us).
        beta = OVERSHOT_BETA if self.threshold == UNLIMITED else BETA
        # RFC 9406 section 4.3: it ends with the first loss, and no later slow start has it
        self._hystart.conservative = False
        window = self.window
        # section 4.7: a window that did not come back to W_max has new competitors: make room
        self._w_max = window * FAST_CONVERGENCE if window < self._w_max else float(window)
        self._prior = window
        self._leave_avoidance()
        return int(window * beta)

    def on_persistent_congestion(self) -> None:
        """There is no W_max any more (4.8)."""
        super().on_persistent_congestion()
        self._w_max = 0.0
        self._leave_avoidance()

    def on_round(self) -> None:
        """The rounds of conservative slow start end it: avoidance begins without a loss (4.10)."""
        if self._hystart.on_round():
            self.threshold = self.window

    def on_rtt_sample(self, latest: float, smoothed: float) -> None:
        """W_cubic is aimed at a round trip ahead; HyStart++ watches for a rise."""
        self._rtt = smoothed
        if self.threshold == UNLIMITED:
            self._hystart.on_rtt_sample(latest)
