"""HyStart++: RFC 9406 section 4.2."""

import pytest

from trioquic._protocol.recovery.cubic import Cubic
from trioquic._protocol.recovery.hystart import HyStart

from .driver import SIZE


def one_round(hystart: HyStart, *rtts: float) -> bool:
    """A round in which these were measured; whether slow start is over at its end."""
    for rtt in rtts:
        hystart.on_rtt_sample(rtt)
    return hystart.on_round()


def steady(rtt: float, samples: int = 8) -> list[float]:
    return [rtt] * samples


@pytest.mark.parametrize(
    ("rtt", "threshold"),
    [
        (0.010, 0.004),  # an eighth would be less than 4 ms
        (0.032, 0.004),
        (0.080, 0.010),
        (0.128, 0.016),
        (0.500, 0.016),  # an eighth would be more than 16 ms
    ],
)
def test_how_much_the_rtt_must_rise(rtt: float, threshold: float) -> None:
    for rise, conservative in ((threshold - 0.0001, False), (threshold + 0.0001, True)):
        hystart = HyStart()
        one_round(hystart, *steady(rtt))
        one_round(hystart, *steady(rtt + rise))
        assert hystart.conservative is conservative


def test_a_round_is_judged_by_eight_samples_at_least() -> None:
    hystart = HyStart()
    one_round(hystart, *steady(0.1))
    for _ in range(7):
        hystart.on_rtt_sample(0.2)
    assert not hystart.conservative
    hystart.on_rtt_sample(0.2)
    assert hystart.conservative


def test_the_smallest_sample_of_a_round_counts() -> None:
    hystart = HyStart()
    one_round(hystart, 0.1, *steady(0.3))
    one_round(hystart, 0.105, *steady(0.3))
    assert not hystart.conservative
    one_round(hystart, 0.12, *steady(0.3))
    assert hystart.conservative


def test_a_round_is_held_against_the_one_before_only() -> None:
    hystart = HyStart()
    for step in range(20):
        one_round(hystart, *steady(0.1 + 0.01 * step))
    assert not hystart.conservative


def test_a_round_without_samples_says_nothing() -> None:
    hystart = HyStart()
    one_round(hystart, *steady(0.1))
    one_round(hystart)
    one_round(hystart, *steady(0.5))
    assert not hystart.conservative


def test_conservative_growth_is_a_quarter() -> None:
    hystart = HyStart()
    assert hystart.growth(SIZE) == SIZE
    one_round(hystart, *steady(0.1))
    for rtt in steady(0.2):
        hystart.on_rtt_sample(rtt)
    assert hystart.growth(SIZE) == SIZE // 4


def test_slow_start_ends_after_five_conservative_rounds() -> None:
    # the round in which the RTT rose is the first of them
    hystart = HyStart()
    one_round(hystart, *steady(0.1))
    assert [one_round(hystart, *steady(0.2)) for _ in range(5)] == [False] * 4 + [True]


@pytest.mark.parametrize("late", [1, 4])
def test_slow_start_is_resumed_when_the_rtt_falls_back(late: int) -> None:
    hystart = HyStart()
    one_round(hystart, *steady(0.1))
    for _ in range(late):
        one_round(hystart, *steady(0.2))
    # what is only a little shorter than the rise is shorter
    one_round(hystart, *steady(0.199))
    assert not hystart.conservative
    assert hystart.growth(SIZE) == SIZE
    # and the next rise has all its five rounds again
    assert [one_round(hystart, *steady(0.3)) for _ in range(5)] == [False] * 4 + [True]


def test_it_takes_eight_samples_to_resume_as_well() -> None:
    hystart = HyStart()
    one_round(hystart, *steady(0.1))
    one_round(hystart, *steady(0.2))
    one_round(hystart, *steady(0.1, 7))
    assert hystart.conservative


def cubic_round(cubic: Cubic, now: float, rtt: float) -> None:
    """A full window sent a round trip ago is acknowledged by every second packet."""
    packets = cubic.window // SIZE
    cubic.on_round()
    for index in range(packets):
        cubic.on_acked(SIZE, now - rtt, now)
        if index % 2:
            cubic.on_rtt_sample(rtt, rtt)


def test_the_window_doubles_then_grows_by_quarters_then_as_cubic_says() -> None:
    # RFC 9438 section 4.10
    cubic = Cubic(SIZE)
    windows = []
    for number in range(5):
        cubic_round(cubic, 1.0 + number, 0.1)
        windows.append(cubic.window // SIZE)
    assert windows == [20, 40, 80, 160, 320]
    cubic_round(cubic, 6.0, 0.15)
    # eight samples are sixteen packets; the rise is seen with the sixteenth
    full, quarter = 16, (320 - 16) / 4
    assert cubic.window / SIZE == pytest.approx(320 + full + quarter)
    for number in range(4):
        before = cubic.window
        cubic_round(cubic, 7.0 + number, 0.15)
        assert cubic.window == pytest.approx(1.25 * before, abs=SIZE)
        assert cubic.in_slow_start
    before = cubic.window
    cubic_round(cubic, 11.0, 0.15)
    assert not cubic.in_slow_start
    assert cubic.congestion_events == 0
    # the plateau: K is 0 and W_max the window itself, so NewReno's datagram a round is more
    assert before < cubic.window <= before + SIZE


def test_a_loss_in_conservative_slow_start_ends_it_as_well() -> None:
    cubic = Cubic(SIZE)
    for number in range(5):
        cubic_round(cubic, 1.0 + number, 0.1)
    cubic_round(cubic, 6.0, 0.15)
    window = cubic.window
    cubic.on_congestion(6.5, 6.6)
    assert cubic.window == window // 2
    assert not cubic.in_slow_start
    # RFC 9406 section 4.3: it is for the first slow start; a later one doubles
    cubic.on_persistent_congestion()
    cubic_round(cubic, 8.0, 0.15)
    assert cubic.window == 4 * SIZE
