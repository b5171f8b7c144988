"""RTT estimation: RFC 9002 section 5."""

import pytest

from trioquic._protocol.recovery.rtt import GRANULARITY, RttEstimator
from trioquic._protocol.space import APPLICATION, HANDSHAKE, INITIAL

from .driver import Sender


def test_initial_pto_is_three_initial_rtts() -> None:
    # 6.2.2: initial RTT 333 ms, so the first PTO is 999 ms
    assert RttEstimator().pto(0.0) == pytest.approx(0.999)


def test_first_sample_sets_everything() -> None:
    rtt = RttEstimator()
    rtt.update(0.1, 0.02, 1.0)
    # 5.3: the first sample is taken whole, without the ACK delay
    assert (rtt.latest, rtt.minimum, rtt.smoothed, rtt.variation) == (0.1, 0.1, 0.1, 0.05)
    assert rtt.has_sample
    assert rtt.first_sample_at == 1.0


def test_later_samples_are_smoothed() -> None:
    rtt = RttEstimator()
    rtt.update(0.1, 0.0, 1.0)
    rtt.update(0.2, 0.0, 2.0)
    # the variation uses the smoothed value of before (5.3)
    assert rtt.variation == pytest.approx(0.75 * 0.05 + 0.25 * 0.1)
    assert rtt.smoothed == pytest.approx(0.875 * 0.1 + 0.125 * 0.2)
    assert rtt.first_sample_at == 1.0


def test_ack_delay_is_subtracted_unless_it_would_go_below_the_minimum() -> None:
    rtt = RttEstimator()
    rtt.update(0.1, 0.0, 1.0)
    rtt.update(0.2, 0.05, 2.0)
    assert rtt.smoothed == pytest.approx(0.875 * 0.1 + 0.125 * 0.15)
    before = rtt.smoothed
    rtt.update(0.12, 0.05, 3.0)
    assert rtt.smoothed == pytest.approx(0.875 * before + 0.125 * 0.12)
    # 5.2: the minimum is never adjusted
    assert rtt.minimum == 0.1


def test_minimum_follows_the_smallest_sample() -> None:
    rtt = RttEstimator()
    for sample in (0.1, 0.05, 0.2):
        rtt.update(sample, 0.0, 1.0)
    assert rtt.minimum == 0.05
    # 5.2: it starts again after persistent congestion
    rtt.on_persistent_congestion()
    assert rtt.minimum == 0.2


def test_timers_never_go_below_the_granularity() -> None:
    rtt = RttEstimator()
    for _ in range(100):
        rtt.update(0.00001, 0.0, 1.0)
    assert rtt.loss_delay() == GRANULARITY
    assert rtt.pto(0.0) == pytest.approx(GRANULARITY + 0.00001, rel=0.01)


def test_loss_delay_is_nine_eighths_of_the_larger_estimate() -> None:
    rtt = RttEstimator()
    rtt.update(0.1, 0.0, 1.0)
    rtt.update(0.4, 0.0, 1.0)
    assert rtt.loss_delay() == pytest.approx(0.45)
    rtt.update(0.01, 0.0, 1.0)
    assert rtt.loss_delay() == pytest.approx(rtt.smoothed * 9 / 8)


def test_sample_needs_the_largest_to_be_news() -> None:
    # 5.1
    sender = Sender()
    sender.send(2)
    sender.now += 0.1
    sender.ack(1)
    sender.now += 5.0
    sender.ack(0, 1)
    assert sender.path.rtt.latest == pytest.approx(0.1)


def test_sample_needs_something_that_elicits_an_ack() -> None:
    # 5.1: the peer may hold back the ACK of anything else for as long as it likes
    sender = Sender()
    sender.send(eliciting=False)
    sender.now += 5.0
    assert sender.ack(0) == 1
    assert not sender.path.rtt.has_sample
    sender.send(eliciting=True)
    sender.send(eliciting=False)
    sender.now += 0.1
    sender.ack(1, 2)
    assert sender.path.rtt.latest == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("space", "confirmed", "believed"),
    [(INITIAL, False, 0.0), (HANDSHAKE, False, 0.3), (APPLICATION, True, 0.025)],
)
def test_which_ack_delay_is_believed(space: int, confirmed: bool, believed: float) -> None:
    # 5.3: never in Initial, unlimited before confirmation, at most max_ack_delay after it
    sender = Sender(confirmed=confirmed)
    sender.send(space=space)
    sender.now += 0.1
    sender.ack(0, space=space)
    sender.send(space=space)
    sender.now += 0.5
    sender.ack(1, space=space, delay=0.3)
    assert sender.path.rtt.smoothed == pytest.approx(0.875 * 0.1 + 0.125 * (0.5 - believed))
