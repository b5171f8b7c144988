"""The round-trip time of one path (RFC 9002 section 5) and the delays that follow from it.

Before the first sample the estimate is the initial RTT with half of it as variation (section
6.2.2), so the first PTO is three times the initial RTT. That is 333 ms, unless something is known
of the path: what a probe took is no sample, but may be the initial RTT.
"""

from typing import Final

GRANULARITY: Final = 0.001  # section 6.1.2: the timer's resolution
INITIAL_RTT: Final = 0.333  # section 6.2.2


class RttEstimator:
    """Latest, minimum and smoothed RTT with its variation, in seconds. `guess`: the initial RTT,
    0 when nothing is known of the path."""

    def __init__(self, guess: float = 0.0) -> None:
        initial_rtt = guess or INITIAL_RTT
        # whether it is about this path at all
        self.known = guess > 0.0
        self.has_sample = False
        self.first_sample_at = 0.0  # meaningful once has_sample is true
        self.latest = 0.0
        self.minimum = guess
        self.smoothed = initial_rtt
        self.variation = initial_rtt / 2

    def update(self, latest: float, ack_delay: float, now: float) -> None:
        """Take one measurement. `ack_delay` is already limited to what may be believed (5.3)."""
        self.latest = latest
        if not self.has_sample:
            self.has_sample = self.known = True
            self.first_sample_at = now
            self.minimum = latest
            self.smoothed = latest
            self.variation = latest / 2
            return
        # section 5.2: the minimum ignores the peer's delay, so a lying peer cannot lower it
        if latest < self.minimum:
            self.minimum = latest
        adjusted = latest
        if latest >= self.minimum + ack_delay:
            adjusted = latest - ack_delay
        self.variation += (abs(self.smoothed - adjusted) - self.variation) / 4
        self.smoothed += (adjusted - self.smoothed) / 8

    def on_persistent_congestion(self) -> None:
        """Section 5.2: the path may have changed under us, so the old minimum is worth nothing."""
        self.minimum = self.latest

    def pto(self, max_ack_delay: float) -> float:
        """The probe timeout without backoff (6.2.1); `max_ack_delay` is 0 before 1-RTT."""
        return self.smoothed + max(4 * self.variation, GRANULARITY) + max_ack_delay

    def loss_delay(self) -> float:
        """How long after its sending a packet older than an acknowledged one is lost (6.1.2)."""
        return max(1.125 * max(self.latest, self.smoothed), GRANULARITY)
