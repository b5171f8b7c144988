"""Packet numbers of one space: the next one, and which were never sent.

A receiver that acknowledges packets it has not seen makes us send faster than the network allows
(RFC 9000 section 21.4). Therefore a number is left out at random now and then; an acknowledgement
of it can only be a lie. Each gap costs the honest peer an ACK range, so gaps become rarer as the
connection grows older.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from ..errors import PROTOCOL_VIOLATION, BadPacketError

FIRST_PERIOD: Final = 64
LAST_PERIOD: Final = 8192
MAX_SKIPPED: Final = 64
ACK_FRAME: Final = 0x02


class PacketNumbers:
    def __init__(self, rng: Callable[[int], bytes], skipping: bool) -> None:
        self.largest_sent = -1
        self._rng = rng
        self.upcoming = 0
        self._period: int = FIRST_PERIOD
        self._skip_at = -1
        self._skipped: list[int] = []
        # packets below were early data that the peer has refused
        self._refused = 0
        if skipping:
            self._plan_skip()

    def _plan_skip(self) -> None:
        period = self._period
        self._skip_at = self.upcoming + 1 + int.from_bytes(self._rng(4), "big") % period
        self._period = min(2 * period, LAST_PERIOD)

    def take_next(self) -> int:
        """The number of the next packet. A number that is taken and not used is never sent."""
        number = self.upcoming
        if number == self._skip_at:
            number += 1
            self.upcoming = number + 1
            self._plan_skip()
        else:
            self.upcoming = number + 1
        return number

    def on_sent(self, number: int) -> None:
        """Note that `number` went out; everything between it and the one before never did."""
        expected = self.largest_sent + 1
        if number != expected:
            if number < expected:
                raise ValueError("packet numbers must rise")
            self._skipped.extend(range(max(expected, number - MAX_SKIPPED), number))
            del self._skipped[:-MAX_SKIPPED]
        self.largest_sent = number

    def on_refused(self) -> None:
        """The peer has said that it reads nothing of what was sent until now."""
        self._refused = self.largest_sent + 1

    def check_ack_untrusted(self, largest: int, ranges: list[tuple[int, int]]) -> None:
        """PROTOCOL_VIOLATION when a number is acknowledged that was never sent (13.1), or was in a
        0-RTT packet that was rejected (RFC 9001 section 4.6.2)."""
        if largest > self.largest_sent:
            raise BadPacketError(
                PROTOCOL_VIOLATION, f"packet {largest} acknowledged but never sent", ACK_FRAME
            )
        lowest = ranges[-1][0]
        if lowest < self._refused:
            raise BadPacketError(
                PROTOCOL_VIOLATION,
                f"packet {lowest} acknowledged though 0-RTT was rejected",
                ACK_FRAME,
            )
        skipped = self._skipped
        if not skipped:
            return
        for low, high in ranges:
            if low <= skipped[-1]:
                index = bisect_left(skipped, low)
                if skipped[index] <= high:
                    raise BadPacketError(
                        PROTOCOL_VIOLATION,
                        f"packet {skipped[index]} acknowledged but left out on purpose",
                        ACK_FRAME,
                    )
