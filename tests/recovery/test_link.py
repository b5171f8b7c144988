"""Controllers on a simulated bottleneck of 20 Mbit/s with a round trip of 100 ms."""

import pytest

from trioquic._protocol.recovery.choice import CUBIC, NEW_RENO
from trioquic._protocol.space import APPLICATION

from .link import Upload

RATE = 20e6 / 8
RTT = 0.1
BDP = RATE * RTT


def upload(congestion: str, queue: float = 0.05) -> Upload:
    return Upload(congestion, rate=RATE, queue=queue, rtt=RTT)


def first_losses(congestion: str, queue: float) -> int:
    """What slow start costs: lost by a round trip after the first loss, or in four seconds."""
    transfer = upload(congestion, queue)
    for _ in range(40):
        transfer.run(0.1)
        if transfer.path.congestion.congestion_events:
            break
    # no persistent congestion, neither at once nor with what is lost in the same round
    assert transfer.path.congestion.window > 2 * transfer.path.max_datagram_size
    transfer.run(RTT + queue)
    assert transfer.path.congestion.window > 2 * transfer.path.max_datagram_size
    assert transfer.path.spurious_losses == 0
    return transfer.path.packets_lost


@pytest.mark.parametrize("queue", [0.2, 0.3, 1.0])
def test_hystart_spares_a_deep_queue(queue: float) -> None:
    assert first_losses(NEW_RENO, queue) > 500
    assert first_losses(CUBIC, queue) < first_losses(NEW_RENO, queue) / 3


@pytest.mark.parametrize("queue", [0.025, 0.05, 0.1])
def test_a_shallow_queue_costs_no_more_than_newreno(queue: float) -> None:
    # It is full before the first packet that waited in it is acknowledged, so HyStart++ cannot
    # know. But the window that overshot by as much as that must not overflow it once more.
    assert first_losses(CUBIC, queue) <= first_losses(NEW_RENO, queue)


@pytest.mark.parametrize("queue", [0.05, 0.1])
def test_the_link_is_used(queue: float) -> None:
    assert upload(CUBIC, queue).run(20.0) > 0.9


def test_a_deep_queue_is_left_by_hystart_without_any_loss() -> None:
    transfer = upload(CUBIC, queue=1.0)
    transfer.run(6.0)
    assert not transfer.path.congestion.in_slow_start
    assert transfer.path.packets_lost == 0
    assert transfer.path.congestion.window > BDP


def test_jitter_does_not_end_slow_start() -> None:
    # one round is 30 ms late, as when a radio sleeps
    transfer = upload(CUBIC)
    transfer.run(0.25)
    transfer.rtt += 0.03
    transfer.run(0.1)
    transfer.rtt -= 0.03
    transfer.run(0.15)
    assert transfer.path.congestion.in_slow_start
    transfer.run(0.4)
    assert transfer.path.congestion.window > BDP


@pytest.mark.parametrize("congestion", [CUBIC, NEW_RENO])
def test_what_is_lost_later_is_little(congestion: str) -> None:
    transfer = upload(congestion)
    transfer.run(5.0)
    before = transfer.path.packets_lost
    flight = transfer.path.in_flight[APPLICATION]
    sent = flight.next_seq
    transfer.run(20.0)
    assert transfer.path.packets_lost - before < 0.01 * (flight.next_seq - sent)


def test_a_pause_is_no_reason_to_grow() -> None:
    # RFC 9438 section 5.8: after a minute W_cubic would be anywhere
    transfer = upload(CUBIC)
    transfer.run(4.0)
    events = transfer.path.congestion.congestion_events
    before = transfer.path.congestion.window
    transfer.run(60.0, sending=False)
    assert transfer.path.congestion.window == pytest.approx(before, rel=0.05)
    transfer.run(0.5)
    assert transfer.path.congestion.window == pytest.approx(before, rel=0.05)
    assert transfer.path.congestion.congestion_events == events


def test_a_faster_link_is_found_in_seconds() -> None:
    # what CUBIC is for: 20 Mbit/s become 80, and NewReno adds a datagram a round trip
    gained = {}
    for congestion in (CUBIC, NEW_RENO):
        transfer = upload(congestion)
        transfer.run(3.0)
        transfer.rate *= 4
        before = transfer.path.congestion.window
        transfer.run(18.0)
        gained[congestion] = transfer.path.congestion.window - before
    assert gained[CUBIC] > 3 * gained[NEW_RENO] > 0
