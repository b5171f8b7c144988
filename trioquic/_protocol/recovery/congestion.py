"""Congestion control of one path (RFC 9002 section 7): an interface and NewReno.

A controller knows only window arithmetic. Bytes in flight, which packets may feed it, and whether
the window was really used are `path_recovery`'s business. A new path has a new controller
(RFC 9000 section 9.4).
"""

from typing import Final

MINIMUM_WINDOW_DATAGRAMS: Final = 2  # section 7.2
INITIAL_WINDOW_DATAGRAMS: Final = 10
INITIAL_WINDOW_BYTES: Final = 14720
UNLIMITED: Final = (1 << 62) - 1


def initial_window(max_datagram_size: int) -> int:
    """Section 7.2: ten datagrams, limited to the larger of 14,720 bytes and two datagrams."""
    return min(
        INITIAL_WINDOW_DATAGRAMS * max_datagram_size,
        max(INITIAL_WINDOW_BYTES, MINIMUM_WINDOW_DATAGRAMS * max_datagram_size),
    )


class CongestionController:
    """What a controller has to answer. `window` bytes may be in flight."""

    def __init__(self, max_datagram_size: int) -> None:
        self.max_datagram_size = max_datagram_size
        self.window = initial_window(max_datagram_size)
        self.threshold: int = UNLIMITED  # ssthresh
        self.congestion_events = 0
        # a recovery period ends when a packet sent after its start is acknowledged (7.3.2);
        # comparing send times says the same without another state
        self.recovery_start = float("-inf")

    @property
    def in_slow_start(self) -> bool:
        """Whether the window doubles each round trip (7.3.1)."""
        return self.window < self.threshold

    def on_datagram_size(self, size: int) -> None:
        """Full datagrams have another size from now on, of which the window holds two at least. It
        is what it was, in bytes (RFC 8899 section 3)."""
        self.max_datagram_size = size

    def on_acked(self, size: int, time_sent: float, now: float) -> None:
        """A packet was acknowledged that was sent while the window was in full use (7.8)."""
        raise NotImplementedError

    def on_round(self) -> None:
        """A packet was acknowledged that was sent after the last call: a round trip is over."""

    def on_rtt_sample(self, latest: float, smoothed: float) -> None:
        """The RTT was measured (section 5)."""

    def on_congestion(self, time_sent: float, now: float) -> None:
        """The packet sent at `time_sent` was lost, or the network marked it: the window shrinks,
        once for all losses of one window (7.3.2)."""
        if time_sent > self.recovery_start:
            self.recovery_start = now
            self.congestion_events += 1
            self.threshold = max(self._reduced(), self._least())
            self.window = self.threshold

    def on_persistent_congestion(self) -> None:
        """Nothing got through for a long time: down to the minimum, and slow start again up to the
        threshold (7.6.2)."""
        self.window = self._least()
        self.recovery_start = float("-inf")

    def _reduced(self) -> int:
        """The window after a congestion event, which begins with this."""
        raise NotImplementedError

    def _least(self) -> int:
        return MINIMUM_WINDOW_DATAGRAMS * self.max_datagram_size


class NewReno(CongestionController):
    """Section 7.3 and appendix B: slow start, recovery, congestion avoidance."""

    def __init__(self, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size)
        self._credit = 0  # bytes acknowledged towards the next step in avoidance

    def on_acked(self, size: int, time_sent: float, now: float) -> None:
        """Grow: by what was acknowledged in slow start, by one datagram a window afterwards."""
        if time_sent <= self.recovery_start:
            return
        if self.window < self.threshold:
            self.window += size
            return
        self._credit += size
        if self._credit >= self.window:
            self._credit -= self.window
            self.window += self.max_datagram_size

    def _reduced(self) -> int:
        self._credit = 0
        return self.window // 2

    def on_persistent_congestion(self) -> None:
        super().on_persistent_congestion()
        self._credit = 0
