"""Spreads a congestion window over a round trip (RFC 9002 section 7.7).

A bucket of bytes fills at a rate a little above window / RTT, so that pacing itself never limits
throughput, and every sent packet takes its size out. The bucket holds an initial window at least
(the burst the RFC allows) and two milliseconds of sending at most, for a timer cannot wake us more
often than about once a millisecond and a batch of datagrams costs little more than one.
"""

from typing import Final

BURST_DATAGRAMS: Final = 10
BURST_SECONDS: Final = 0.002
QUANTUM_SECONDS: Final = 0.001
SHORTEST_WAIT: Final = 0.0001


class Pacer:
    """The bucket. The rate is an argument: it changes with every acknowledgement."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._filled_at = float("-inf")  # the first look finds a full bucket

    def budget(self, now: float, rate: float, datagram: int) -> int:
        """Bytes that may go now: at least one datagram, or 0."""
        capacity = max(float(BURST_DATAGRAMS * datagram), rate * BURST_SECONDS)
        if now > self._filled_at:
            self._tokens = min(capacity, self._tokens + (now - self._filled_at) * rate)
            self._filled_at = now
        # a byte of tolerance: a timer set for exactly one datagram must not find a hair less
        return max(int(self._tokens), datagram) if self._tokens >= datagram - 1.0 else 0

    def on_sent(self, size: int) -> None:
        """Take `size` out. Probes may overdraw: they go out whatever the pacer says (7.7)."""
        self._tokens -= size

    def deadline(self, now: float, rate: float, datagram: int) -> float:
        """When to look again: `now` if something may go, else when a worthwhile batch may."""
        if self.budget(now, rate, datagram) > 0:
            return now
        quantum = max(float(datagram), rate * QUANTUM_SECONDS)
        return now + max((quantum - self._tokens) / rate, SHORTEST_WAIT)
