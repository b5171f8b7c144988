"""What a congestion controller of the user's own must have.

A file of its own, as it is never compiled: users may derive classes from it, and weak references to
instances of a compiled class with a plain base are not cleared.
"""

from typing import Final, Protocol


class CongestionControl(Protocol):
    """What a congestion controller of one's own must have. Sizes are bytes, times are seconds on
    the connection's clock.

    It decides about the window only. Loss detection, pacing and the account of what is in flight
    are not its business, and nothing it does may wait.

    If it has a method `on_datagram_size(size: int)`, that is called when full datagrams of the path
    get another size than the one it was made with (RFC 9000 section 14.3).
    """

    @property
    def window(self) -> int:
        """How much may be in flight; looked at after each call. Fewer than two full datagrams count
        as two (RFC 9002 section 7.2)."""

    @property
    def in_slow_start(self) -> bool:
        """Whether the window grows fast: pacing then leaves more room for it (section 7.7)."""

    def on_acked(self, size: int, time_sent: float, now: float) -> None:
        """A packet was acknowledged that was sent while the window was in full use. The others, of
        an application that has little to send, say nothing about the path (section 7.8)."""

    def on_round(self) -> None:
        """A round trip is over: a packet was acknowledged that was sent after the last call."""

    def on_rtt_sample(self, latest: float, smoothed: float) -> None:
        """The round-trip time was measured (section 5)."""

    def on_congestion(self, time_sent: float, now: float) -> None:
        """Packets were lost, or marked by the network; the newest was sent at `time_sent`. All that
        happens to one window of packets should count once (section 7.3.2)."""

    def on_persistent_congestion(self) -> None:
        """Nothing got through for so long that the window should begin anew (section 7.6)."""


MEMBERS: Final = tuple([name for name in vars(CongestionControl) if not name.startswith("_")])
