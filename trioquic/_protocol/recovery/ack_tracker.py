"""What was received in one packet-number space, and when and how to acknowledge it.

One `RangeSet` serves two purposes. All of it tells duplicates (RFC 9000 section 12.3: a packet is
processed once); it is capped, and everything below the range that was dropped last counts as a
duplicate. Only the part from `_report_from` on goes into ACK frames: once the peer has acknowledged
one of our ACK frames there is no use in repeating what it said (section 13.2.4).

A packet that came late, after that frame was written, must not fall below the mark: no frame would
ever name it. Such packets hold the mark down until a frame that was written after them is
acknowledged. They are kept as two generations of "the lowest late number": the older waits for its
frame, the younger collects what comes meanwhile and takes its turn then. So the mark goes on rising
even when packets are reordered all the time.

An ACK is due (section 13.2.1 and .2) at once in Initial and Handshake, and in 1-RTT for the second
packet that elicits one, for one out of order or behind a gap, and for a congestion mark; otherwise
after the delay we promised.
"""

from typing import Final

from ..builder import PacketBuilder
from ..range_set import RangeSet
from ..space import APPLICATION
from ..token import Token
from ..wire.frames import encode_ack
from .ecn import ECT_0

MAX_RANGES: Final = 64
ELICITING_THRESHOLD: Final = 2
NEVER: Final = float("inf")
NOT_LATE: Final = 1 << 62
MICROSECONDS: Final = 1_000_000
# no frame is written into less room: it could name one range of large numbers only
SMALLEST_ROOM: Final = 32

# codepoints in the IP header (RFC 3168 section 5), beside ECT_0
ECT_1: Final = 1
ECN_CE: Final = 3


class AckToken(Token):
    """An ACK frame that was sent. Its loss needs nothing: the next one says more."""

    __slots__ = ("_largest", "_serial", "_tracker")

    def __init__(self, tracker: "AckTracker", serial: int, largest: int) -> None:
        self._tracker = tracker
        self._serial = serial
        self._largest = largest

    def acked(self) -> None:
        self._tracker.on_ack_seen(self._serial, self._largest)


class AckTracker:
    def __init__(self, space: int, max_ack_delay: float) -> None:
        self.largest = -1
        self.deadline: float = NEVER  # when an ACK must go even if nothing else does
        self.promised: float = NEVER  # by when the peer may expect it (section 13.2.1)
        self.has_unacked = False  # an ACK frame would tell the peer something new
        self._delayed = space == APPLICATION
        self._max_ack_delay = max_ack_delay
        self._largest_at = 0.0
        self._received = RangeSet()
        self._floor = 0  # everything below counts as received
        self._eliciting = 0  # ack-eliciting packets since the last ACK frame
        self._report_from = 0
        self._serial = 0  # ACK frames written
        self._late_low = NOT_LATE
        self._late_serial = 0  # a frame with a higher serial has named `_late_low`
        self._younger_late_low = NOT_LATE
        self._ect_0 = 0
        self._ect_1 = 0
        self._ce = 0

    def is_duplicate(self, pn: int) -> bool:
        """Whether `pn` was received before, or is so old that nobody remembers."""
        if pn > self.largest:
            return False
        return pn < self._floor or self._received.contains(pn)

    def on_received(self, pn: int, now: float, ack_eliciting: bool, ecn: int) -> None:
        """A packet that is no duplicate was decrypted and processed."""
        received = self._received
        in_order = pn == self.largest + 1
        if in_order and self.largest >= 0:
            received.ends[-1] = pn + 1
        else:
            received.add(pn, pn + 1)
            if len(received.starts) > MAX_RANGES:
                self._floor = received.pop_first()[1]
        if pn > self.largest:
            self.largest = pn
            self._largest_at = now
        else:
            self._on_late(pn)
        if ecn:
            self._count_mark(ecn)
            if ecn == ECN_CE and ack_eliciting:
                # section 13.2.1: the sender should hear of congestion without delay
                self.deadline = now
        self.has_unacked = True
        if ack_eliciting:
            if self._eliciting == 0:
                self.promised = now + self._max_ack_delay
            self._eliciting += 1
            if not in_order or not self._delayed or self._eliciting >= ELICITING_THRESHOLD:
                self.deadline = now
            elif self.deadline > self.promised:
                self.deadline = self.promised

    def _on_late(self, pn: int) -> None:
        if pn < self._report_from:
            self._report_from = pn
        if self._late_low == NOT_LATE:
            self._late_low = pn
            self._late_serial = self._serial
        elif pn < self._younger_late_low:
            self._younger_late_low = pn

    def _count_mark(self, ecn: int) -> None:
        if ecn == ECT_0:
            self._ect_0 += 1
        elif ecn == ECT_1:
            self._ect_1 += 1
        elif ecn == ECN_CE:
            self._ce += 1

    def ack_due(self, now: float) -> bool:
        """Whether an ACK must be sent now, in a packet of its own if need be."""
        return self.deadline <= now

    def write_ack(
        self, builder: PacketBuilder, now: float, ack_delay_exponent: int, least: int = 0
    ) -> None:
        """Add an ACK frame of what was received, unless there is nothing to say or no room.

        `least` is how long the frame should be, so that a packet with nothing else in it needs no
        PADDING: with that it would count as in flight (RFC 9002 section 2), and nobody has to
        acknowledge it."""
        if self.largest < 0 or builder.room < SMALLEST_ROOM:
            return
        ranges = self._ranges_to_report()
        delay = 0
        if self._delayed:
            delay = int(max(now - self._largest_at, 0.0) * MICROSECONDS) >> ack_delay_exponent
        ecn = (self._ect_0, self._ect_1, self._ce) if self._ect_0 | self._ect_1 | self._ce else None
        frame = encode_ack(ranges, delay, ecn, least)
        whole = True
        while len(frame) > builder.room:
            if len(ranges) == 1:
                return
            whole = False
            ranges = ranges[: len(ranges) // 2]
            frame = encode_ack(ranges, delay, ecn)
        self._serial += 1
        # a shortened frame must not let anybody believe that the rest was told
        token = AckToken(self, self._serial, self.largest) if whole else None
        builder.add_quiet(frame, token)
        self.has_unacked = False
        self._eliciting = 0
        self.deadline = self.promised = NEVER

    def _ranges_to_report(self) -> list[tuple[int, int]]:
        """Descending and inclusive, from the largest down to the mark (at least one range)."""
        starts = self._received.starts
        ends = self._received.ends
        index = len(starts) - 1
        ranges = [(starts[index], ends[index] - 1)]
        mark = self._report_from
        index -= 1
        while index >= 0 and ends[index] > mark:
            ranges.append((starts[index], ends[index] - 1))
            index -= 1
        return ranges

    def on_ack_seen(self, serial: int, largest: int) -> None:
        """The peer has seen the frame `serial`, which named everything up to `largest` by then."""
        if serial > self._late_serial:
            self._late_low = self._younger_late_low
            self._late_serial = self._serial
            self._younger_late_low = NOT_LATE
        mark = min(largest + 1, self._late_low, self._younger_late_low)
        if mark > self._report_from:
            self._report_from = mark
