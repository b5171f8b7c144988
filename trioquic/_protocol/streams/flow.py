"""Flow control: what the peer may send us, and what we may send (RFC 9000 section 4).

`ReceiveWindow` is ours to give. The limit moves only when the reader consumes, never because data
came in: sparse offsets or a reader that sleeps do not inflate anything. A new limit is announced
when half of the window is used up. If the reader needed less than two round trips for that, then
the window may be what slows the peer, and it doubles, up to a bound.
"""

from typing import Final

TUNING_ROUND_TRIPS: Final = 2.0


class ReceiveWindow:
    """The credit we give, of a stream or of the connection."""

    __slots__ = ("_since", "consumed", "limit", "maximum", "received", "window")

    def __init__(self, window: int, maximum: int) -> None:
        self.window = window
        self.maximum = max(window, maximum)
        self.limit = window
        self.received = 0  # for a stream, the highest offset; for the connection, their sum
        self.consumed = 0
        self._since = -1.0  # when the limit was last raised

    def consume(self, count: int, now: float, rtt: float) -> bool:
        """The reader took `count` bytes. True when a new limit is to be announced."""
        self.consumed += count
        if self._since < 0:
            self._since = now
        if (self.limit - self.consumed) * 2 > self.window:
            return False
        if rtt > 0 and now - self._since < TUNING_ROUND_TRIPS * rtt:
            self.grow(self.window * 2)
        self._since = now
        return self._raise()

    def release(self, count: int) -> bool:
        """`count` bytes will never be read. True when a new limit is to be announced."""
        self.consumed += count
        return (self.limit - self.consumed) * 2 <= self.window and self._raise()

    def grow(self, window: int) -> None:
        """Make the window at least this large, within its bound; announced with the next limit."""
        self.window = max(self.window, min(window, self.maximum))

    def _raise(self) -> bool:
        limit = self.consumed + self.window
        if limit <= self.limit:
            return False
        self.limit = limit
        return True


class SendCredit:
    """The credit we have, for all streams together."""

    def __init__(self) -> None:
        self.limit = 0
        self.used = 0

    @property
    def available(self) -> int:
        """How many more bytes of new stream data may be sent."""
        return self.limit - self.used

    def raise_to(self, limit: int) -> None:
        """MAX_DATA; a smaller value than before means nothing."""
        self.limit = max(self.limit, limit)

    def restart(self) -> None:
        """Nothing counts that was used, nor the limit."""
        self.limit = self.used = 0
