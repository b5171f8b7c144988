"""Loss detection over all spaces and paths (RFC 9002 section 6), for a client.

Packet numbers belong to a space and run through all paths; everything else belongs to a path:

- an RTT sample goes to the path its packet was sent on, and only while that path is the active one:
  the peer answers on the active path, so for any other the sample would mix two paths. A standby
  path's RTT comes from its PATH_RESPONSE instead;
- packets are judged lost by their own path's acknowledgements and RTT;
- the PTO of the active path sends probes. On any other path a PTO only means that its packets
  should not wait any longer: they are given up, and their frames are sent on the active path.

A probe should carry data rather than a PING (6.2.4). So a PTO tells the tokens of the oldest
packets `lost()`, without taking those packets out of flight: a PTO is no sign of loss (6.2). They
are marked, so that a later real loss does not repeat the same frames a third time.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..facts import ConnectionFacts
from ..space import APPLICATION, HANDSHAKE, INITIAL, SPACES
from .choice import CUBIC, Choice
from .large_losses import SMALLEST
from .numbers import PacketNumbers
from .path_recovery import NEVER, PACKET_THRESHOLD, PathRecovery
from .sent import ACKED, OUTSTANDING, Ledger, SentPacket

if TYPE_CHECKING:
    from ..wire.frames import AckFrame

PROBES: Final = 2  # RFC 9002 section 6.2.4
HANDSHAKE_PROBES: Final = 1
MOST_HURRIES: Final = 3  # section 6.2.3: "a limited number of times per connection"


# In the place of a discarded space's ledger; nothing is entered there. All connections share it.
_NO_LEDGER: Final = Ledger()


class LossDetector:
    def __init__(
        self, facts: ConnectionFacts, rng: Callable[[int], bytes], congestion: Choice = CUBIC
    ) -> None:
        self._facts = facts
        # the server has acknowledged a packet that only it can read (6.2.2.1)
        self._server_reached = False
        self.probes: list[int] = [0 for _ in SPACES]
        self._congestion = congestion
        self._paths: dict[int, PathRecovery] = {}
        self._ledgers: list[Ledger] = [Ledger() for _ in SPACES]
        self._numbers: list[PacketNumbers] = [
            PacketNumbers(rng, skipping=space == APPLICATION) for space in SPACES
        ]
        # the anti-deadlock timer of 6.2.2.1 runs from here, once something was sent
        self._last_activity = NEVER
        self._hurries = 0
        self._hurried_at = -NEVER

    def add_path(self, path_id: int) -> PathRecovery:
        """Begin with a path, with an initial window and an unknown RTT."""
        path = PathRecovery(path_id, self._congestion)
        self._paths[path_id] = path
        return path

    def requeue_path(self, path_id: int, now: float) -> None:
        """Have everything in flight on a path sent again, with no reaction of its controller."""
        path = self._paths[path_id]
        self._last_activity = now
        for space in SPACES:
            ledger = self._ledgers[space]
            for packet in path.give_up(space):
                ledger.remember(packet)
                self._tell_lost(packet)

    def make_room(self, path_id: int, now: float) -> None:
        """The window of a path that has been silent for long is full of what nobody will
        acknowledge, and PTOs are far apart: have it sent again, as much as the least window takes,
        so that the path can be asked whether it is back."""
        path = self._paths[path_id]
        if path.long_silent and not path.admits(SMALLEST):
            last_sent = path.in_flight[APPLICATION].last_eliciting_at
            self.requeue_path(path_id, now)
            path.on_long_silence(last_sent, now)
            if self._facts.observer is not None:
                self._facts.observer.recovery_updated(path)

    def remove_path(self, path_id: int, now: float) -> None:
        """Requeue and forget the path. Late acknowledgements still reach the tokens."""
        self.requeue_path(path_id, now)
        del self._paths[path_id]

    def next_packet_number(self, space: int) -> int:
        """Take the number for the next packet of a space. Each call gives another one."""
        return self._numbers[space].take_next()

    def next_number_hint(self, space: int) -> int:
        """No packet of the space sent from now on has a smaller number; takes nothing."""
        return self._numbers[space].upcoming

    def largest_acked(self, space: int) -> int:
        """The largest packet number the peer has acknowledged, or -1."""
        return self._ledgers[space].largest_acked

    def on_sent(self, packet: SentPacket) -> None:
        """A packet went out. Packets of one space are reported in the order of their numbers."""
        space = packet.space
        self._numbers[space].on_sent(packet.number)
        self._ledgers[space].add(packet)
        self._paths[packet.path].on_sent(packet)
        if packet.ack_eliciting:
            self._last_activity = packet.time_sent

    def take_probe(self, space: int) -> bool:
        """Whether a probe is owed in a space: an ack-eliciting packet in spite of the window."""
        if self.probes[space] > 0:
            self.probes[space] -= 1
            return True
        return False

    def ask(self) -> None:
        """Owe two probes with no PTO, when nothing is in flight that has one: a single one might
        get lost, and two are acknowledged at once."""
        path = self._paths.get(self._facts.active_path)
        if path is not None and not path.in_flight[APPLICATION].eliciting:
            self.probes[APPLICATION] = max(self.probes[APPLICATION], PROBES)

    def on_ack_untrusted(self, space: int, ack: "AckFrame", now: float, ack_delay: float) -> int:
        """Process an ACK frame; returns how many packets it acknowledged for the first time.

        `ack_delay` is the frame's field in seconds, scaled by the peer's exponent.
        """
        ledger = self._ledgers[space]
        if ledger is _NO_LEDGER:
            return 0
        self._numbers[space].check_ack_untrusted(ack.largest, ack.ranges)
        rising = ack.largest > ledger.largest_acked
        if rising:
            ledger.largest_acked = ack.largest
        taken = ledger.take_acked(ack.ranges)
        if not taken:
            return 0
        self._last_activity = now
        if space == HANDSHAKE:
            # only the server that got our Handshake packets has these keys (6.2.2.1)
            self._server_reached = True
        touched = self._account_acked(taken, now)
        self._sample_rtt(taken, ack.largest, now, self._believed_delay(space, ack_delay))
        if rising and ledger.ecn.marked:
            self._judge_ecn(ledger, taken, ack.ecn, now)
        for packet in taken:
            packet.state = ACKED
            for token in packet.tokens:
                token.acked()
        for path in touched:
            # section 6.2.1: an Initial's ACK does not show that the server may send freely
            if self._address_validated:
                path.on_answer()
            self._detect_lost(path, space, now)
            if self._facts.observer is not None:
                self._facts.observer.recovery_updated(path)
        return len(taken)

    def _account_acked(self, taken: list[SentPacket], now: float) -> list[PathRecovery]:
        """Credit each packet to its own path; returns the paths concerned."""
        touched: list[PathRecovery] = []
        path: PathRecovery | None = None
        path_id = -1
        for packet in taken:
            if packet.path != path_id:
                path_id = packet.path
                path = self._paths.get(path_id)
                if path is not None and path not in touched:
                    touched.append(path)
            if path is None:
                continue
            if packet.state == OUTSTANDING:
                path.on_acked(packet, now)
            else:
                path.on_late_ack(packet)
            if not self._facts.confirmed:
                path.on_acked_early(packet.time_sent)
        return touched

    def _sample_rtt(
        self, taken: list[SentPacket], largest: int, now: float, ack_delay: float
    ) -> None:
        """Section 5.1: a sample only if the largest is news, with something that elicits an ACK."""
        newest: SentPacket | None = None
        eliciting = False
        for packet in taken:
            if packet.path == self._facts.active_path and packet.state == OUTSTANDING:
                if packet.number == largest:
                    newest = packet
                if packet.ack_eliciting:
                    eliciting = True
        if newest is not None and eliciting:
            self._paths[newest.path].on_rtt_sample(newest, ack_delay, now)

    def _judge_ecn(
        self,
        ledger: Ledger,
        taken: list[SentPacket],
        counts: tuple[int, int, int] | None,
        now: float,
    ) -> None:
        """Tell the paths of marked packets what the peer's counts say about their marks."""
        newest: dict[int, SentPacket] = {}
        marked: dict[int, int] = {}
        newly = 0
        for packet in taken:
            if packet.ecn:
                newly += 1
                other = newest.get(packet.path)
                marked[packet.path] = marked.get(packet.path, 0) + 1
                if other is None or other.number < packet.number:
                    newest[packet.path] = packet
        missing = ledger.ecn.missing_untrusted(newly, counts)
        for path_id, packet in newest.items():
            path = self._paths.get(path_id)
            if path is not None:
                refuted = missing > newly - marked[path_id]
                path.on_ecn_verdict(packet, missing == 0, refuted, ledger.ecn.rise, now)

    def _believed_delay(self, space: int, ack_delay: float) -> float:
        # section 5.3: none in Initial; limited to what the peer promised, once that is confirmed
        if space == INITIAL:
            return 0.0
        if self._facts.confirmed and ack_delay > self._facts.max_ack_delay:
            return self._facts.max_ack_delay
        return ack_delay

    def _detect_lost(self, path: PathRecovery, space: int, now: float) -> None:
        lost = path.detect_lost(space, now, self._facts.max_ack_delay)
        if lost:
            ledger = self._ledgers[space]
            for packet in lost:
                ledger.remember(packet)
                self._tell_lost(packet)
            if self._facts.observer is not None:
                reordered = path.in_flight[space].largest_acked_seq - PACKET_THRESHOLD
                for packet in lost:
                    self._facts.observer.packet_lost(
                        path.path_id, space, packet.number, packet.seq <= reordered
                    )

    def _tell_lost(self, packet: SentPacket) -> None:
        if not packet.requeued:
            packet.requeued = True
            for token in packet.tokens:
                token.lost()

    def withdraw(self, space: int) -> None:
        """The peer has read none of a space's packets and never will: what was in them is lost."""
        self._numbers[space].on_refused()
        self._ledgers[space] = Ledger()
        self.probes[space] = 0
        for path in self._paths.values():
            for packet in path.give_up(space):
                self._tell_lost(packet)

    def discard_space(self, space: int) -> None:
        """The keys of a space are gone: its packets are neither acknowledged nor lost (6.4)."""
        if self._ledgers[space] is _NO_LEDGER:
            return
        self._ledgers[space] = _NO_LEDGER
        self.probes[space] = 0
        for path in self._paths.values():
            path.give_up(space)
            path.on_answer()

    def hurry_initial(self, now: float) -> None:
        """Packets came whose keys a lost Initial of the server would have brought: send the
        ClientHello again before its PTO, so that the server repeats its answer (6.2.3)."""
        path = self._paths.get(self._facts.active_path)
        if path is None or self._facts.has_handshake_keys or self._hurries >= MOST_HURRIES:
            return
        if now >= self._hurried_at + path.rtt.smoothed:
            self._hurries += 1
            self._hurried_at = now
            self._owe_probes(path, INITIAL, HANDSHAKE_PROBES)

    def next_deadline(self) -> float:
        """When `on_deadline` must be called; inf if there is nothing to wait for."""
        deadline = NEVER
        for path in self._paths.values():
            when = path.loss_time()
            if when == NEVER:
                when = self._pto_deadline(path)
            deadline = min(deadline, when)
        return deadline

    def on_deadline(self, now: float) -> None:
        """Declare losses by time, or else handle PTOs (a path with a loss timer has no PTO)."""
        for path in list(self._paths.values()):
            if path.loss_time() != NEVER:
                for space in SPACES:
                    if path.in_flight[space].loss_time <= now:
                        self._detect_lost(path, space, now)
                if self._facts.observer is not None:
                    self._facts.observer.recovery_updated(path)
            elif self._pto_deadline(path) <= now:
                self._on_pto(path, now)

    def _pto_deadline(self, path: PathRecovery) -> float:
        deadline = min(
            path.pto_deadline(INITIAL, self._facts.max_ack_delay),
            path.pto_deadline(HANDSHAKE, self._facts.max_ack_delay),
        )
        if self._facts.confirmed:
            # section 6.2.1: the server may not be able to read 1-RTT packets before
            return min(deadline, path.pto_deadline(APPLICATION, self._facts.max_ack_delay))
        active = path.path_id == self._facts.active_path
        if deadline == NEVER and active and not self._address_validated:
            # section 6.2.2.1: the server may be out of anti-amplification credit
            return self._last_activity + path.pto_period(INITIAL, self._facts.max_ack_delay)
        return deadline

    @property
    def _address_validated(self) -> bool:
        return self._server_reached or self._facts.confirmed

    def _on_pto(self, path: PathRecovery, now: float) -> None:
        path.on_pto()
        if self._facts.observer is not None:
            self._facts.observer.recovery_updated(path)
        if path.path_id != self._facts.active_path:
            self.requeue_path(path.path_id, now)
        elif self._facts.confirmed:
            self._owe_probes(path, APPLICATION, PROBES)
        else:
            self._on_handshake_pto(path, now)

    def _on_handshake_pto(self, path: PathRecovery, now: float) -> None:
        # section 6.2.4: data in flight in other spaces is probed too, for it shares the datagram
        eliciting = [space for space in SPACES if path.in_flight[space].eliciting > 0]
        if not eliciting or eliciting == [APPLICATION]:
            eliciting.append(HANDSHAKE if self._facts.has_handshake_keys else INITIAL)
            self._last_activity = now
        for space in eliciting:
            self._owe_probes(path, space, HANDSHAKE_PROBES)

    def _owe_probes(self, path: PathRecovery, space: int, least: int) -> None:
        """At least so many probes, and as many as repeat what is outstanding, up to PROBES: half a
        ClientHello would be no use to the server."""
        repeated = path.probe_candidates(space, PROBES)
        self.probes[space] = max(self.probes[space], least, len(repeated))
        for packet in repeated:
            self._tell_lost(packet)
