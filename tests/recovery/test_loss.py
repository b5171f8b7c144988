"""Loss detection by acknowledgements: RFC 9002 section 6.1, and what tokens are told."""

import random
import time

import pytest

from trioquic._protocol.recovery.sent import MAX_QUIET, MAX_REMEMBERED
from trioquic._protocol.space import APPLICATION, HANDSHAKE, INITIAL
from trioquic._protocol.wire.frames import AckFrame

from .driver import SIZE, Sender


def test_tokens_are_acknowledged_once() -> None:
    sender = Sender()
    sender.send(3)
    sender.now += 0.1
    assert sender.ack(0, 1) == 2
    assert sender.ack(0, 1) == 0
    assert sender.ack(0, 1, 2) == 1
    assert [sender.frame(n).acks for n in range(3)] == [1, 1, 1]
    assert sender.path.bytes_in_flight == 0
    assert sender.detector.largest_acked(APPLICATION) == 2


def test_packet_threshold() -> None:
    # 6.1.1: three newer packets have arrived
    sender = Sender()
    sender.send(5)
    sender.now += 0.1
    sender.ack(2)
    assert sender.lost() == []
    sender.ack(2, 3)
    assert sender.lost() == [0]
    sender.ack(2, 3, 4)
    assert sender.lost() == [0, 1]
    assert sender.path.packets_lost == 2
    assert sender.path.bytes_in_flight == 0


def test_time_threshold_is_armed_and_fires() -> None:
    # 6.1.2: 9/8 of the RTT after its sending, once a newer packet is acknowledged
    sender = Sender()
    sender.send(2)
    sender.now += 0.08
    sender.ack(1)
    assert sender.lost() == []
    assert sender.detector.next_deadline() == pytest.approx(100.09)
    sender.detector.on_deadline(100.0899)
    assert sender.lost() == []
    sender.run_timer()
    assert sender.lost() == [0]
    assert sender.detector.next_deadline() == float("inf")


def test_time_threshold_at_the_acknowledgement() -> None:
    sender = Sender()
    sender.measure(0.08)
    sender.send()
    sender.now += 0.1
    sender.send()
    sender.now += 0.08
    sender.ack(2)
    assert sender.lost() == [1]


def test_nothing_newer_acknowledged_means_nothing_lost() -> None:
    # 6.1: however long it takes
    sender = Sender()
    sender.measure(0.05)
    sender.send(5)
    sender.now += 60.0
    sender.ack(1)
    assert sender.lost() == []


def test_a_deadline_that_fires_always_makes_progress() -> None:
    # rounding must not leave a timer that fires for ever at the same time
    sender = Sender()
    for step in range(200):
        sender.now = 1e6 + step * 0.7303
        sender.send(2)
        sender.now += 0.0517 + step * 1e-7
        sender.ack(2 * step + 1)
        sender.run_timer()
        assert sender.frame(2 * step).losses == 1


def test_spaces_do_not_judge_each_other() -> None:
    sender = Sender(confirmed=False)
    sender.send(space=INITIAL)
    sender.send(space=HANDSHAKE)
    sender.send(5, space=APPLICATION)
    sender.now += 0.05
    sender.ack(4, space=APPLICATION)
    assert sender.lost(INITIAL) == []
    assert sender.lost(HANDSHAKE) == []
    assert sender.lost(APPLICATION) == [0, 1]


def test_late_acknowledgement_is_credited_and_counted() -> None:
    sender = Sender()
    sender.send(5)
    sender.now += 0.1
    sender.ack(4)
    assert sender.lost() == [0, 1]
    in_flight = sender.path.bytes_in_flight
    assert sender.ack(0, 4) == 1
    assert (sender.frame(0).losses, sender.frame(0).acks) == (1, 1)
    assert sender.path.spurious_losses == 1
    assert sender.path.bytes_in_flight == in_flight
    # and only once
    assert sender.ack(0, 4) == 0
    assert sender.path.spurious_losses == 1


def test_late_acknowledgement_gives_no_rtt_sample() -> None:
    sender = Sender()
    sender.measure(0.1)
    sender.send(5)
    sender.now += 0.1
    sender.ack(4, 5)
    sender.now += 20.0
    sender.ack(1, 2, 3, 4, 5)
    assert sender.path.rtt.latest == pytest.approx(0.1)


def test_memory_of_lost_packets_is_bounded() -> None:
    sender = Sender()
    total = MAX_REMEMBERED + 500
    sender.send(total + 3)
    sender.now += 0.1
    sender.ack(total + 2)
    assert len(sender.lost()) == total
    assert sender.ack(*range(total + 3)) == MAX_REMEMBERED + 2
    # the oldest are forgotten: their acknowledgement means nothing
    assert sender.frame(499).acks == 0
    assert sender.frame(500).acks == 1


def test_packets_nobody_has_to_acknowledge_are_forgotten() -> None:
    # a client that only downloads sends little but ACKs
    sender = Sender()
    sender.send(10_000, eliciting=False)
    assert sender.path.bytes_in_flight == 0
    assert len(sender.path.in_flight[APPLICATION].queue) == MAX_QUIET
    assert sender.detector.next_deadline() == float("inf")
    sender.send()
    sender.now += 0.1
    assert sender.ack(*range(10_001)) == MAX_QUIET + 1
    assert sender.path.packets_lost == 0
    assert len(sender.path.in_flight[APPLICATION].queue) == 0


def test_nor_are_they_kept_behind_one_that_is_not_acknowledged() -> None:
    """A peer may have us acknowledge for ever, and acknowledge nothing itself."""
    sender = Sender()
    sender.send()
    sender.send(10_000, eliciting=False)
    assert len(sender.path.in_flight[APPLICATION].queue) <= 4 * MAX_QUIET
    sender.now += 0.1
    assert sender.ack(*range(10_001)) == MAX_QUIET + 1
    assert len(sender.path.in_flight[APPLICATION].queue) == 0


def test_quiet_packets_count_for_the_packet_threshold_but_not_as_losses() -> None:
    sender = Sender()
    sender.send(1)
    sender.send(3, eliciting=False)
    sender.send(1, eliciting=True)
    sender.now += 0.1
    window = sender.path.congestion.window
    sender.ack(3)
    assert sender.lost() == [0]
    sender.send(4)
    sender.ack(3, 8)
    assert sender.path.packets_lost == 3  # 0, 4 and 5; not the quiet 1 and 2
    assert sender.path.congestion.window < window


def test_padding_counts_as_in_flight_but_arms_no_timer() -> None:
    # section 2 and 6.2.1
    sender = Sender()
    sender.send(eliciting=False, padded=True)
    assert sender.path.bytes_in_flight == SIZE
    assert sender.detector.next_deadline() == float("inf")
    sender.ack(0)
    assert sender.path.bytes_in_flight == 0


def test_discarded_space_is_neither_lost_nor_acknowledged() -> None:
    # 6.4
    sender = Sender(confirmed=False)
    sender.send(3, space=INITIAL)
    sender.send(1, space=HANDSHAKE)
    sender.path.pto_count = 2
    sender.detector.discard_space(INITIAL)
    assert sender.path.bytes_in_flight == SIZE
    assert sender.path.pto_count == 0
    assert sender.ack(2, space=INITIAL) == 0
    assert [sender.frame(n, INITIAL).acks for n in range(3)] == [0, 0, 0]
    assert sender.lost(INITIAL) == []
    sender.detector.discard_space(INITIAL)
    assert sender.lost(INITIAL) == []


def test_ack_work_does_not_grow_with_the_range() -> None:
    """An ACK that repeats the connection's whole history costs what is new in it."""
    sender = Sender()
    count = 20_000
    sender.send(count)
    sender.ack(*range(count))
    sender.send(4)
    # one packet left waiting at the far end must not make every ACK walk the distance
    huge = [(5, count + 1), (0, 3)]
    started = time.process_time()
    for _ in range(2000):
        sender.detector.on_ack_untrusted(
            APPLICATION, AckFrame(count + 1, 0, huge, None), sender.now, 0.0
        )
    assert time.process_time() - started < 1.0  # walking it would take a minute


@pytest.mark.parametrize("seed", range(3))
def test_random_traffic_keeps_the_books(seed: int) -> None:
    """Whatever is acknowledged or lost: bytes in flight are those of the outstanding packets."""
    chance = random.Random(seed)
    sender = Sender()
    waiting: set[int] = set()
    settled_once: set[int] = set()
    for _ in range(1000):
        sender.now += chance.random() * 0.02
        for number in sender.send(chance.randrange(4), eliciting=chance.random() < 0.8):
            waiting.add(number)
        if waiting and chance.random() < 0.6:
            chosen = {n for n in waiting if chance.random() < 0.3} or {min(waiting)}
            waiting -= chosen
            sender.ack(*chosen)
            settled_once |= chosen
        if sender.detector.next_deadline() <= sender.now:
            sender.detector.on_deadline(sender.now)
        queue = sender.path.in_flight[APPLICATION].queue
        outstanding = [p for p in queue if p.state == 0]
        assert sender.path.bytes_in_flight == sum(p.size for p in outstanding if p.in_flight)
        assert sender.path.in_flight[APPLICATION].eliciting == sum(
            p.ack_eliciting for p in outstanding
        )
    for (_, number), frame in sender.frames.items():
        assert frame.losses <= 1
        assert frame.acks <= 1
        assert frame.acks == 0 or number in settled_once
