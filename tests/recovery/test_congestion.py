"""NewReno, and what every controller is surrounded by: RFC 9002 section 7."""

from collections.abc import Sequence

import pytest

from trioquic._protocol.recovery.choice import CUBIC, NEW_RENO
from trioquic._protocol.recovery.congestion import NewReno, initial_window
from trioquic._protocol.recovery.loss_period import MOST_ARRIVED
from trioquic._protocol.recovery.sent import MAX_QUIET
from trioquic._protocol.space import APPLICATION, HANDSHAKE, INITIAL

from .driver import SIZE, Sender


@pytest.mark.parametrize(
    ("datagram", "window"), [(1200, 12_000), (1452, 14_520), (1500, 14_720), (9000, 18_000)]
)
def test_initial_window(datagram: int, window: int) -> None:
    # 7.2
    assert initial_window(datagram) == window


def fill(sender: Sender) -> list[int]:
    """Send until the window is full."""
    sent: list[int] = []
    while sender.path.congestion.window - sender.path.bytes_in_flight >= SIZE:
        sent += sender.send()
    return sent


def test_slow_start_grows_by_what_is_acknowledged() -> None:
    # 7.3.1
    sender = Sender()
    sent = fill(sender)
    assert len(sent) == 10
    sender.now += 0.1
    sender.ack(*sent)
    assert sender.path.congestion.window == 24_000
    assert sender.path.congestion.in_slow_start


def test_loss_halves_once_a_window() -> None:
    # 7.3.2
    sender = Sender(congestion=NEW_RENO)
    sent = fill(sender)
    sender.now += 0.1
    sender.ack(sent[4])
    assert sender.path.congestion.congestion_events == 1
    window = sender.path.congestion.window
    assert window == (12_000 + SIZE) // 2
    sender.ack(sent[9])
    assert sender.path.packets_lost == 7 - 1
    assert sender.path.congestion.congestion_events == 1
    assert sender.path.congestion.window == window


def test_recovery_ends_with_a_packet_sent_in_it() -> None:
    sender = Sender(congestion=NEW_RENO)
    sent = fill(sender)
    sender.now += 0.1
    sender.ack(sent[9])
    window = sender.path.congestion.window
    sender.now += 0.01
    fresh = fill(sender)
    # 7.3.2: what was sent before does not grow the window
    sender.ack(sent[7], sent[8], sent[9])
    assert sender.path.congestion.window == window
    sender.now += 0.1
    sender.ack(*sent[7:], *fresh)
    assert sender.path.congestion.window == window
    more = fill(sender)
    sender.now += 0.1
    sender.ack(*sent[7:], *fresh, *more)
    assert sender.path.congestion.window == window + SIZE  # avoidance: one datagram a window
    # and a loss among what follows is a new event
    again = fill(sender)
    sender.now += 0.1
    sender.ack(again[3])
    assert sender.path.congestion.congestion_events == 2


def test_avoidance_adds_one_datagram_a_window() -> None:
    # 7.3.3
    reno = NewReno(SIZE)
    reno.on_congestion(0.0, 1.0)
    start = reno.window
    for step in range(start // SIZE):
        reno.on_acked(SIZE, 2.0 + step, 3.0 + step)
    assert reno.window == start + SIZE
    assert not reno.in_slow_start


def test_nothing_sent_before_recovery_grows_the_window() -> None:
    # 7.3.2
    reno = NewReno(SIZE)
    reno.on_congestion(0.0, 1.0)
    start = reno.window
    for _ in range(100):
        reno.on_acked(SIZE, 1.0, 1.1)
    assert reno.window == start
    for _ in range(5):
        reno.on_acked(SIZE, 1.001, 1.1)
    assert reno.window == start + SIZE


def test_window_never_falls_below_two_datagrams() -> None:
    reno = NewReno(SIZE)
    for when in range(1, 20):
        reno.on_congestion(float(when), float(when) + 0.5)
    assert reno.window == 2 * SIZE


def test_underused_window_does_not_grow() -> None:
    # 7.8
    sender = Sender()
    for _ in range(50):
        sent = sender.send(3)
        sender.now += 0.1
        sender.ack(*sent)
    assert sender.path.congestion.window == 12_000


def test_only_packets_of_a_full_window_grow_it() -> None:
    sender = Sender()
    full = fill(sender)
    sender.now += 0.1
    sender.ack(*full[:8])
    more = sender.send(1)
    sender.now += 0.1
    sender.ack(*full, *more)
    assert sender.path.congestion.window == 24_000


def test_pacing_is_not_underuse() -> None:
    # 7.8: a sender that pacing holds back has something to send
    sender = Sender()
    sent = fill(sender)
    sender.now += 0.1
    sender.ack(*sent)
    window = sender.path.congestion.window
    sent = []
    while sender.detector._paths[0].send_budget(sender.now) > 0:
        sent += sender.send()
    assert sender.path.bytes_in_flight < window - SIZE
    sender.now += 0.1
    sender.ack(*sent)
    assert sender.path.congestion.window > window


def test_send_budget_stops_at_the_window() -> None:
    sender = Sender()
    assert sender.detector._paths[0].send_budget(sender.now) == 12_000
    sender.send(9)
    assert sender.detector._paths[0].send_budget(sender.now) > 0
    sender.send(1, size=1)
    assert sender.detector._paths[0].send_budget(sender.now) == 0
    assert sender.detector._paths[0].send_budget(sender.now) == 0
    assert sender.detector._paths[0].pacer_deadline(sender.now) == float("inf")


def outage(sender: Sender, seconds: float, rtt: float = 0.1) -> None:
    """Ten packets go into a dead link over `seconds`; then one gets through, in `rtt`."""
    for _ in range(10):
        sender.send()
        sender.now += seconds / 9
    sender.now -= seconds / 9
    (last,) = sender.send()
    sender.now += rtt
    sender.ack(0, last)


@pytest.mark.parametrize("congestion", [CUBIC, NEW_RENO])
def test_persistent_congestion(congestion: str) -> None:
    # 7.6: losses that span 3 PTO
    sender = Sender(congestion=congestion)
    sender.measure(0.1)
    duration = 3 * sender.path.rtt.pto(0.025)
    outage(sender, duration * 1.4, rtt=0.15)
    assert sender.path.congestion.window == 2 * SIZE
    # 5.2: the minimum RTT is measured anew, and be it larger
    assert sender.path.rtt.minimum == sender.path.rtt.latest == pytest.approx(0.15)


def test_shorter_losses_are_not_persistent() -> None:
    sender = Sender()
    sender.measure(0.1)
    outage(sender, 3 * sender.path.rtt.pto(0.025) * 0.8)
    assert sender.path.packets_lost == 9  # the tenth is not old enough yet
    assert sender.path.congestion.window > 2 * SIZE


@pytest.mark.parametrize(("ack_delay", "persistent"), [(0.0, False), (0.025, True)])
def test_the_duration_has_the_ack_delay_in_the_handshake_as_well(
    ack_delay: float, persistent: bool
) -> None:
    # 7.6.1: whatever space the losses are in
    sender = Sender(confirmed=False)
    sender.send(space=HANDSHAKE)
    sender.now += 0.01
    sender.ack(0, space=HANDSHAKE)
    sender.now += 0.001
    span = 3 * sender.path.rtt.pto(ack_delay) + 0.002
    for _ in range(4):
        sender.send(space=HANDSHAKE)
        sender.now += span / 3
    (last,) = sender.send(space=HANDSHAKE)
    sender.now += 0.012
    sender.ack(last, space=HANDSHAKE)
    assert sender.path.packets_lost == 4
    assert (sender.path.congestion.window == 2 * SIZE) == persistent


def test_an_acknowledged_packet_in_between_breaks_the_period() -> None:
    # 7.6.2
    sender = Sender()
    sender.measure(0.1)
    span = 3 * sender.path.rtt.pto(0.025) * 1.3
    for _ in range(10):
        sender.send()
        sender.now += span / 9
    (last,) = sender.send()
    sender.ack(0, 5, last)
    assert sender.path.packets_lost == 9
    assert sender.path.congestion.window > 2 * SIZE


@pytest.mark.parametrize(
    ("losing", "arriving"), [(HANDSHAKE, APPLICATION), (APPLICATION, HANDSHAKE)]
)
@pytest.mark.parametrize("arrives_before", [None, 0, 3, 6])
def test_what_arrived_in_another_space_breaks_the_period(
    losing: int, arriving: int, arrives_before: int | None
) -> None:
    """7.6.2: nothing that was sent between two lost packets may have been acknowledged, in whatever
    space. Six are lost, and in the other space one arrives that was sent before that of this
    number: where it lies in their midst no period is long enough."""
    sender = Sender(confirmed=False)
    sender.send(space=HANDSHAKE)
    sender.now += 0.01
    sender.ack(0, space=HANDSHAKE)
    step = 3 * sender.path.rtt.pto(0.025) * 1.3 / 5
    for number in range(7):
        sender.now += step - 0.01
        if number == arrives_before:
            other = sender.send(space=arriving)
            sender.now += 0.01
            sender.ack(*other, space=arriving)
        else:
            sender.now += 0.01
        (last,) = sender.send(space=losing)
    sender.now += 0.01
    sender.ack(last, space=losing)
    assert sender.path.packets_lost == 6
    assert (sender.path.congestion.window == 2 * SIZE) == (arrives_before != 3)


def collapsed(sender: Sender) -> bool:
    return sender.path.congestion.window == 2 * SIZE


def two_spaces() -> tuple[Sender, float]:
    """With an RTT sample; and a fifth of the time after which six lost packets collapse it."""
    sender = Sender(confirmed=False)
    sender.send(space=HANDSHAKE)
    sender.now += 0.01
    sender.ack(0, space=HANDSHAKE)
    return sender, 3 * sender.path.rtt.pto(0.025) * 1.3 / 5


def arrive(sender: Sender, *spaces: int) -> None:
    """A packet of each space is sent, and acknowledged: what was sent before is lost."""
    sender.now += 0.02
    sent = [(space, *sender.send(space=space)) for space in spaces]
    sender.now += 0.01
    for space, number in sent:
        sender.ack(number, space=space)


@pytest.mark.parametrize("judged", [(HANDSHAKE, APPLICATION), (APPLICATION, HANDSHAKE)])
@pytest.mark.parametrize(
    "lost", [(HANDSHAKE,) * 3 + (APPLICATION,) * 3, (HANDSHAKE, APPLICATION) * 3]
)
def test_losses_in_two_spaces_make_one_period(lost: Sequence[int], judged: Sequence[int]) -> None:
    # 7.6.2: "across all packet number spaces"
    sender, step = two_spaces()
    for space in lost:
        sender.now += step
        sender.send(space=space)
    arrive(sender, *judged)
    assert sender.path.packets_lost == 6
    assert collapsed(sender)


def test_what_arrived_between_the_losses_of_two_spaces_parts_them() -> None:
    sender, step = two_spaces()
    for _ in range(3):
        sender.now += step
        sender.send(space=HANDSHAKE)
    # so many that nobody remembers the first one
    sender.now += step / 2
    sender.ack(*sender.send(space=APPLICATION))
    for _ in range(3):
        sender.now += step / 2
        sender.send(space=APPLICATION)
        sender.now += step / 2
    after = sender.send(2 * MOST_ARRIVED, size=40, space=APPLICATION)
    sender.now += 0.01
    sender.ack(*after)
    assert sender.path.packets_lost == 3
    arrive(sender, HANDSHAKE)
    assert sender.path.packets_lost == 6
    assert not collapsed(sender)


def long_outage(sender: Sender) -> None:
    """Of ten packets the last is too young to be lost when an ACK comes; without it the time is too
    short for persistent congestion."""
    sender.measure(0.1)
    outage(sender, 3 * sender.path.rtt.pto(0.025) * 1.02)
    assert sender.path.packets_lost == 9
    assert not collapsed(sender)


def test_what_the_timer_finds_belongs_to_the_period() -> None:
    sender = Sender()
    long_outage(sender)
    sender.run_timer()
    assert sender.path.packets_lost == 10
    assert collapsed(sender)


@pytest.mark.parametrize("late", [2, 5, 9])
def test_a_late_ack_ends_the_period(late: int) -> None:
    sender = Sender()
    long_outage(sender)
    sender.ack(late)
    assert sender.path.spurious_losses == 1
    sender.run_timer()
    assert sender.path.packets_lost == 10
    assert not collapsed(sender)


def test_what_is_given_up_ends_the_period() -> None:
    """What had arrived of it is not known any more."""
    sender = Sender()
    long_outage(sender)
    sender.detector.requeue_path(0, sender.now)
    sender.send()
    sender.now += 0.2
    (last,) = sender.send()
    sender.now += 0.05
    sender.ack(last)
    assert sender.path.packets_lost == 10
    assert not collapsed(sender)


def test_what_arrived_behind_a_packet_that_elicits_nothing_ends_the_period() -> None:
    """It waits behind that one, until that one is forgotten."""
    sender = Sender()
    sender.measure(0.1)
    sender.now += 0.01
    sender.send()
    sender.now += 1.5
    sender.send(eliciting=False)
    (arrived,) = sender.send()
    sender.now += 0.05
    sender.ack(arrived)
    assert sender.path.packets_lost == 1
    sender.send(MAX_QUIET, eliciting=False)
    sender.now += 0.05
    sender.send()
    sender.now += 0.2
    (last,) = sender.send()
    sender.now += 0.05
    sender.ack(last)
    assert sender.path.packets_lost == 2
    assert not collapsed(sender)


def test_a_period_counts_once() -> None:
    sender = Sender()
    sender.measure(0.1)
    duration = 3 * sender.path.rtt.pto(0.025)
    for _ in range(10):
        sender.send()
        sender.now += duration * 1.4 / 9
    sender.now -= 0.05
    sender.send()
    sender.now += 0.02
    (last,) = sender.send()
    sender.now += 0.05
    sender.ack(0, last)
    assert (collapsed(sender), sender.path.packets_lost) == (True, 10)
    # what the timer finds now was lost in the same period
    sender.path.congestion.window = 40 * SIZE
    sender.run_timer()
    assert sender.path.packets_lost == 11
    assert not collapsed(sender)


def test_persistence_needs_an_earlier_rtt_sample() -> None:
    # 7.6.2
    sender = Sender()
    for _ in range(10):
        sender.send()
        sender.now += 1.0
    (last,) = sender.send()
    sender.now += 0.1
    sender.ack(last)
    assert sender.path.packets_lost == 10
    assert sender.path.congestion.window > 2 * SIZE


def test_packets_that_elicit_nothing_do_not_make_persistence() -> None:
    sender = Sender()
    sender.measure(0.1)
    for _ in range(10):
        sender.send(eliciting=False, padded=True)
        sender.now += 1.0
    (last,) = sender.send()
    sender.now += 0.1
    sender.ack(0, last)
    assert sender.path.packets_lost == 10
    assert sender.path.congestion.window > 2 * SIZE


def test_discarded_packets_leave_the_window() -> None:
    sender = Sender(confirmed=False)
    sender.send(3, space=INITIAL)
    sender.detector.discard_space(INITIAL)
    assert sender.path.bytes_in_flight == 0
    assert sender.path.congestion.congestion_events == 0
