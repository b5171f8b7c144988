"""What recovery knows of one path: RTT, congestion controller, pacer, packets in flight.

Every path has its own of each (RFC 9000 section 9.4), and packets carry the path they were sent on.
Within a path and a space packets have gapless sequence numbers; the packet threshold counts those.
Were it to count packet numbers, the packets on the old path would look reordered as soon as a
migration makes the new path's acknowledgements overtake them.

Packets in flight wait in a deque in the order of sending. Loss detection looks at its left end
only: where the oldest packet is not lost, no younger one is. Acknowledged packets stay in the deque
until they reach that end, so an acknowledgement costs no search.
"""

from collections import deque
from typing import Final

from ..space import APPLICATION, SPACES
from .choice import CUBIC, Choice, new_controller
from .congestion import CongestionController
from .ecn import EcnInput, EcnState, EcnValidator
from .large_losses import SMALLEST, LargeLosses
from .loss_period import LossPeriod
from .pacer import Pacer
from .rtt import RttEstimator
from .sent import ACKED, FORGOTTEN, LOST, MAX_QUIET, OUTSTANDING, REQUEUED, SentPacket

PACKET_THRESHOLD: Final = 3  # RFC 9002 section 6.1.1
PERSISTENT_CONGESTION_THRESHOLD: Final = 3  # section 7.6.1
MAX_BACKOFF: Final = 30  # of the PTO, in doublings; long after any idle timeout
PACING_GAIN: Final = 1.25  # section 7.7
SLOW_START_PACING_GAIN: Final = 2.0
NEVER: Final = float("inf")


# In the place of a queue that has nothing in it: an empty deque takes 760 bytes. All flights share
# it; it can hold nothing.
_NOTHING: Final[deque[SentPacket]] = deque(maxlen=0)


class PacketsInFlight:
    """The packets of one space on one path."""

    def __init__(self) -> None:
        self.queue = _NOTHING
        self.most_queued = 2 * MAX_QUIET  # before those that are forgotten are taken out
        self.next_seq = 0
        self.largest_acked_seq = -1
        self.eliciting = 0  # ack-eliciting packets outstanding
        self.last_eliciting_at = 0.0
        self.loss_time: float = NEVER
        # when the newest packet was sent that arrived and waits here no more, since the last loss;
        # -1 if there is none
        self.arrived = -1.0

    def clear(self) -> None:
        """Nothing is outstanding any more."""
        self.queue = _NOTHING
        self.most_queued = 2 * MAX_QUIET
        self.eliciting = 0
        self.loss_time = NEVER


class PathRecovery:
    def __init__(self, path_id: int, congestion: Choice = CUBIC) -> None:
        self.path_id = path_id
        self.max_datagram_size: int = SMALLEST
        # what window and pacer must have room for before anything goes: a full datagram at least
        self.needed: int = SMALLEST
        self.large_losses = LargeLosses()
        self.rtt = RttEstimator()
        self._choice = congestion
        self.congestion: CongestionController = new_controller(congestion, SMALLEST)
        self.pacer = Pacer()
        self.ecn = EcnValidator()
        self.in_flight: list[PacketsInFlight] = [PacketsInFlight() for _ in SPACES]
        self.bytes_in_flight = 0
        self.pto_count = 0
        # the window is the least there is for the silence that lasts
        self._collapsed = False
        self.packets_lost = 0
        # of what was in flight, what the peer is not known to have, nor to get any more
        self.bytes_missing = 0
        # counted as lost, and acknowledged after all
        self.spurious_losses = 0
        self._epoch = 0
        self._period = LossPeriod()
        # packets up to this sequence number were sent while the window was in full use
        self._full_until: list[int] = [-1 for _ in SPACES]
        # a round trip is over when a 1-RTT packet behind this one is acknowledged
        self._round_end = -1

    def on_sent(self, packet: SentPacket) -> None:
        space = packet.space
        flight = self.in_flight[space]
        seq = flight.next_seq
        flight.next_seq = seq + 1
        packet.seq = seq
        packet.epoch = self._epoch
        if flight.queue is _NOTHING:
            flight.queue = deque()
        flight.queue.append(packet)
        size = packet.size
        if packet.ecn:
            self.ecn.on_marked_sent()
        if not packet.in_flight:
            self._trim(flight)
            return
        self.bytes_in_flight += size
        self.pacer.on_sent(size)
        if packet.ack_eliciting:
            flight.eliciting += 1
            flight.last_eliciting_at = packet.time_sent
        if self.bytes_in_flight + self.needed > self.congestion.window:
            self._full_until[space] = seq

    def _trim(self, flight: PacketsInFlight) -> None:
        # packets that elicit nothing are forgotten in time (sent.py), with no ACK to trim by
        queue = flight.queue
        while queue and queue[0].state != OUTSTANDING:
            packet = queue.popleft()
            if packet.state == ACKED:
                flight.arrived = packet.time_sent
        if len(queue) > flight.most_queued:
            # A peer has many of them sent behind one packet that it does not acknowledge.
            flight.queue = deque([each for each in queue if each.state != FORGOTTEN])
            flight.most_queued = 2 * len(flight.queue) + MAX_QUIET

    def _rate(self) -> float:
        window = self.congestion.window
        gain = SLOW_START_PACING_GAIN if self.congestion.in_slow_start else PACING_GAIN
        return gain * window / max(self.rtt.smoothed, 0.000001)

    def admits(self, size: int) -> bool:
        """Whether the window has room for so much; what is small and urgent asks no pacer."""
        return self.bytes_in_flight + size <= self.congestion.window

    def send_budget(self, now: float) -> int:
        """Bytes that window and pacer allow now; 0 when it is less than what is needed."""
        room = self.congestion.window - self.bytes_in_flight
        if room < self.needed:
            return 0
        paced = self.pacer.budget(now, self._rate(), self.needed)
        if paced == 0 and 2 * self.bytes_in_flight >= self.congestion.window:
            # section 7.8: held back by pacing is not the same as having nothing to send
            flight = self.in_flight[APPLICATION]
            self._full_until[APPLICATION] = flight.next_seq - 1
        return min(room, paced)

    def pacer_deadline(self, now: float) -> float:
        """When the pacer allows more; never, if it is the window that must open first."""
        if self.congestion.window - self.bytes_in_flight < self.needed:
            return NEVER
        return self.pacer.deadline(now, self._rate(), self.needed)

    def reserve(self, size: int) -> None:
        """Window and pacer must have room for so much before anything goes."""
        self.needed = size

    def set_datagram_size(self, size: int) -> None:
        """Full datagrams have another size from now on; what is in flight proves nothing more."""
        self.max_datagram_size = size
        self.needed = size
        self.large_losses.restart(self.in_flight[APPLICATION].next_seq - 1)
        self.congestion.on_datagram_size(size)

    def on_acked(self, packet: SentPacket, now: float) -> None:
        space = packet.space
        flight = self.in_flight[space]
        if packet.seq > flight.largest_acked_seq:
            flight.largest_acked_seq = packet.seq
        if not packet.in_flight:
            return
        size = packet.size
        self.bytes_in_flight -= size
        if packet.ack_eliciting:
            flight.eliciting -= 1
        self.large_losses.on_acked(size, packet.seq)
        if packet.seq > self._round_end and space == APPLICATION:
            self._round_end = flight.next_seq - 1
            self.congestion.on_round()
        if packet.epoch == self._epoch and packet.seq <= self._full_until[space]:
            self.congestion.on_acked(size, packet.time_sent, now)

    def on_acked_early(self, time_sent: float) -> None:
        """A packet arrived while there are other spaces, whose losses it parts (7.6.2)."""
        self._period.on_arrived_early(time_sent)

    def on_late_ack(self, packet: SentPacket) -> None:
        """A packet that was given up has arrived after all. Its bytes left the flight long ago."""
        if packet.in_flight and packet.state in (LOST, REQUEUED):
            self.bytes_missing -= packet.size
        if packet.state == LOST and packet.in_flight:
            self.spurious_losses += 1
            self.large_losses.on_acked(packet.size, packet.seq)
        flight = self.in_flight[packet.space]
        flight.arrived = max(flight.arrived, packet.time_sent)
        if packet.seq > flight.largest_acked_seq:
            flight.largest_acked_seq = packet.seq

    def on_rtt_sample(self, packet: SentPacket, ack_delay: float, now: float) -> None:
        """The newest packet of an ACK gives a sample, unless the path was reset meanwhile (9.4)."""
        if packet.epoch == self._epoch:
            self.rtt.update(max(now - packet.time_sent, 0.0), ack_delay, now)
            self.congestion.on_rtt_sample(self.rtt.latest, self.rtt.smoothed)

    def on_ecn_verdict(
        self, newest: SentPacket, confirmed: bool, refuted: bool, rise: int, now: float
    ) -> None:
        """What an ACK that names marked packets of this path says about marks (13.4.2); neither
        `confirmed` nor `refuted`, and it says nothing."""
        if newest.epoch != self._epoch:
            return
        if refuted:
            self.ecn.advance(EcnInput.REFUTE)
        elif confirmed:
            self.ecn.advance(EcnInput.CONFIRM)
        if rise > 0 and self.ecn.state is EcnState.CAPABLE:
            self.congestion.on_congestion(newest.time_sent, now)

    def detect_lost(self, space: int, now: float, max_ack_delay: float) -> list[SentPacket]:
        """Remove the packets that are lost by now (6.1), and let the controller know."""
        flight = self.in_flight[space]
        flight.loss_time = NEVER
        queue = flight.queue
        largest = flight.largest_acked_seq
        delay = self.rtt.loss_delay()
        lost: list[SentPacket] = []
        longest = 0.0
        while queue:
            packet = queue[0]
            if packet.state == ACKED:
                flight.arrived = packet.time_sent
            elif packet.state == OUTSTANDING:
                if packet.seq > largest:
                    break
                expiry = packet.time_sent + delay
                if packet.seq > largest - PACKET_THRESHOLD and expiry > now:
                    flight.loss_time = expiry
                    break
                lost.append(packet)
                # section 7.6.2: only what was sent after the first RTT sample (and in this epoch)
                known = packet.epoch == self._epoch and self.rtt.has_sample
                if packet.ack_eliciting and known and packet.time_sent > self.rtt.first_sample_at:
                    length = self._period.on_lost(packet.time_sent, flight.arrived)
                    longest = max(longest, length)
                    flight.arrived = -1.0
            queue.popleft()
        if lost:
            self._on_lost(flight, lost, now)
            if longest > self.rtt.pto(max_ack_delay) * PERSISTENT_CONGESTION_THRESHOLD:
                self._period.restart()
                self.congestion.on_persistent_congestion()
                self.rtt.on_persistent_congestion()
        return lost

    def _on_lost(self, flight: PacketsInFlight, lost: list[SentPacket], now: float) -> None:
        latest: SentPacket | None = None
        for packet in lost:
            packet.state = LOST
            if not packet.in_flight:
                continue
            self.bytes_in_flight -= packet.size
            self.bytes_missing += packet.size
            self.packets_lost += 1
            if packet.ack_eliciting:
                flight.eliciting -= 1
            if packet.size > self.max_datagram_size:
                # RFC 9000 section 14.4: a probe of the path's MTU, or from before it was found to
                # have become smaller; lost for its size and not by congestion
                continue
            self.large_losses.on_lost(packet.size, packet.seq, packet.time_sent, now)
            if packet.epoch == self._epoch:
                latest = packet
        if latest is not None:
            self.congestion.on_congestion(latest.time_sent, now)

    def give_up(self, space: int) -> list[SentPacket]:
        """Take everything outstanding out of flight, with no judgement about the network."""
        flight = self.in_flight[space]
        given_up = [packet for packet in flight.queue if packet.state == OUTSTANDING]
        flight.clear()
        if space == APPLICATION:
            # with what arrived of it and waited in the queue, which others do not know
            self._period.restart()
        for packet in given_up:
            packet.state = REQUEUED
            if packet.in_flight:
                self.bytes_in_flight -= packet.size
                self.bytes_missing += packet.size
        return given_up

    def guess_rtt(self, rtt: float) -> None:
        """A probe took so long. That is no sample, but the initial RTT of a path that carries
        nothing, or has no sample yet (RFC 9002 section 6.2.2)."""
        self.rtt = RttEstimator(rtt)

    def reset(self, guess: float = 0.0) -> None:
        """Start anew on a changed path (RFC 9000 section 9.4); `guess` is the initial RTT, 0 for
        that of a path of which nothing is known."""
        self._epoch += 1
        self.rtt = RttEstimator(guess)
        self.congestion = new_controller(self._choice, self.max_datagram_size)
        self.pacer = Pacer()
        self.ecn = EcnValidator()
        self.pto_count = 0
        self._period = LossPeriod()
        self._full_until = [-1 for _ in SPACES]
        self._round_end = self.in_flight[APPLICATION].next_seq - 1

    def on_long_silence(self, last_sent: float, now: float) -> None:
        """Nothing was acknowledged for so long that all in flight counts as lost, until what was
        sent at `last_sent`: the window is the least there is, as after persistent congestion (RFC
        9002 sections 5.2 and 7.6). What is sent instead has a PTO of its own, so this is one."""
        if not self._collapsed:
            self._collapsed = True
            self.congestion.on_congestion(last_sent, now)
            self.congestion.on_persistent_congestion()
            self.rtt.on_persistent_congestion()
        self.pto_count += 1

    @property
    def long_silent(self) -> bool:
        """Whether PTOs have passed in a row as in persistent congestion."""
        return self.pto_count >= PERSISTENT_CONGESTION_THRESHOLD

    def on_answer(self) -> None:
        """The path answers, or has another chance to: the PTO begins anew without its backoff."""
        self.pto_count = 0
        self._collapsed = False

    def on_pto(self) -> None:
        self.pto_count += 1
        self.ecn.advance(EcnInput.STOP if self.pto_count == 1 else EcnInput.DOUBT)

    @property
    def awaits_acks(self) -> bool:
        """Whether something is outstanding that the peer has to acknowledge."""
        eliciting = 0
        for flight in self.in_flight:
            eliciting += flight.eliciting
        return eliciting > 0

    def loss_time(self) -> float:
        """The earliest time at which the time threshold makes a packet lost."""
        return min(flight.loss_time for flight in self.in_flight)

    def pto_period(self, space: int, max_ack_delay: float) -> float:
        """The PTO with its backoff; the peer delays ACKs in 1-RTT only (6.2.1)."""
        base = self.rtt.pto(max_ack_delay if space == APPLICATION else 0.0)
        return base * (1 << min(self.pto_count, MAX_BACKOFF))

    def pto_deadline(self, space: int, max_ack_delay: float) -> float:
        """When the PTO of a space expires; never, with nothing outstanding to be acknowledged."""
        flight = self.in_flight[space]
        if flight.eliciting == 0:
            return NEVER
        return flight.last_eliciting_at + self.pto_period(space, max_ack_delay)

    def probe_candidates(self, space: int, count: int) -> list[SentPacket]:
        """The oldest outstanding packets whose frames a probe has not repeated yet."""
        found: list[SentPacket] = []
        for packet in self.in_flight[space].queue:
            if packet.state == OUTSTANDING and packet.ack_eliciting and not packet.requeued:
                found.append(packet)
                if len(found) == count:
                    break
        return found
