"""Losses of packets that may have got lost for their size alone (RFC 8899 section 4.3).

Every path carries datagrams of the smallest size; what is larger may arrive no more, without a
word. So it is counted how often in a row such were lost, each time sent after the time before was
noticed, with none acknowledged that had been sent later.
"""

from math import inf
from typing import Final

# of a full datagram, in bytes: what every path must carry (RFC 9000 section 14.1)
SMALLEST: Final = 1200


class LargeLosses:
    def __init__(self) -> None:
        self.count = 0
        self._noticed_at = -inf
        self._acked = -1

    def restart(self, last_seq: int) -> None:
        """Full datagrams have another size: what was sent before proves nothing more."""
        self.count = 0
        self._acked = last_seq

    def on_acked(self, size: int, seq: int) -> None:
        """A packet has arrived, perhaps after it counted as lost."""
        if size > SMALLEST and seq > self._acked:
            self._acked = seq
            self.count = 0

    def on_lost(self, size: int, seq: int, sent_at: float, now: float) -> None:
        """A packet is lost, not larger than full datagrams are now."""
        if size > SMALLEST and seq > self._acked and sent_at >= self._noticed_at:
            self._noticed_at = now
            self.count += 1
