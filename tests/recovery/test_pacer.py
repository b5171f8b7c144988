"""Pacing: RFC 9002 section 7.7."""

import pytest

from trioquic._protocol.recovery.pacer import Pacer

from .driver import SIZE, Sender


def test_a_burst_of_an_initial_window_is_allowed() -> None:
    pacer = Pacer()
    assert pacer.budget(50.0, 100_000.0, SIZE) == 10 * SIZE
    pacer.on_sent(10 * SIZE)
    assert pacer.budget(50.0, 100_000.0, SIZE) == 0


def test_bucket_fills_at_the_rate_and_not_beyond_a_burst() -> None:
    pacer = Pacer()
    pacer.budget(50.0, 120_000.0, SIZE)
    pacer.on_sent(10 * SIZE)
    assert pacer.budget(50.005, 120_000.0, SIZE) == 0
    assert pacer.budget(50.05, 120_000.0, SIZE) == pytest.approx(6000, abs=1)
    assert pacer.budget(90.0, 120_000.0, SIZE) == 10 * SIZE


def test_burst_grows_with_fast_links() -> None:
    # 1 GB/s: two milliseconds' worth, or the timer could not keep up
    assert Pacer().budget(1.0, 1e9, SIZE) == 2_000_000


def test_deadline_is_when_something_may_go() -> None:
    pacer = Pacer()
    now = 50.0
    assert pacer.deadline(now, 120_000.0, SIZE) == now
    pacer.budget(now, 120_000.0, SIZE)
    pacer.on_sent(10 * SIZE)
    deadline = pacer.deadline(now, 120_000.0, SIZE)
    assert deadline == pytest.approx(50.01)
    assert pacer.budget(deadline, 120_000.0, SIZE) >= SIZE


def test_waiting_for_the_deadline_always_makes_progress() -> None:
    for start in (0.0, 1e3, 1e7):
        for rate in (3e3, 7.77e5, 1.3e9):
            pacer = Pacer()
            now = start
            pacer.budget(now, rate, SIZE)
            pacer.on_sent(11 * SIZE + 7)
            for _ in range(300):
                deadline = pacer.deadline(now, rate, SIZE)
                if deadline == now:
                    pacer.on_sent(pacer.budget(now, rate, SIZE) + 3)
                    continue
                assert deadline > now
                now = deadline
                assert pacer.budget(now, rate, SIZE) > 0


def test_a_window_is_spread_over_a_round_trip() -> None:
    sender = Sender()
    sender.measure(0.1, rounds=20)
    sender.path.congestion.window = 120_000
    sender.path.congestion.threshold = 1
    start = sender.now
    wakeups = 0
    while sender.detector._paths[0].pacer_deadline(sender.now) < float("inf"):
        if sender.detector._paths[0].send_budget(sender.now) > 0:
            sender.send()
        else:
            sender.now = sender.detector._paths[0].pacer_deadline(sender.now)
            wakeups += 1
    # 1.25 windows a round trip, less the first burst
    assert sender.now - start == pytest.approx(0.1 * 0.9 / 1.25, rel=0.05)
    assert wakeups > 40


def test_probes_may_overdraw() -> None:
    pacer = Pacer()
    pacer.budget(1.0, 1000.0, SIZE)
    pacer.on_sent(20 * SIZE)
    assert pacer.deadline(1.0, 1000.0, SIZE) == pytest.approx(1.0 + 11 * SIZE / 1000.0)
