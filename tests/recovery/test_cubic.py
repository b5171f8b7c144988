"""CUBIC: RFC 9438. Expected values are computed here in segments and seconds, as the RFC does."""

import pytest

from trioquic._protocol.recovery.cubic import Cubic

from .driver import SIZE, Sender

SENT = 100.0  # all tests begin about here


def reduced(segments: int, rtt: float) -> Cubic:
    """A controller that has just lost a packet at a window of so many segments."""
    cubic = Cubic(SIZE)
    cubic.on_rtt_sample(rtt, rtt)
    # the first slow start is over, and no loss has told W_max
    cubic.threshold = segments * SIZE
    while cubic.window < segments * SIZE:
        cubic.on_acked(SIZE, SENT - 1.0, SENT - 0.9)
    assert cubic.window == segments * SIZE
    cubic.on_congestion(SENT - 0.5, SENT)
    return cubic


def test_the_first_slow_start_overshoots_by_a_window() -> None:
    # 4.10: so the first reduction is that of NewReno
    cubic = Cubic(SIZE)
    for _ in range(90):
        cubic.on_acked(SIZE, SENT - 1.0, SENT - 0.9)
    cubic.on_congestion(SENT - 0.5, SENT)
    assert cubic.window == 50 * SIZE
    cubic.on_congestion(SENT + 0.5, SENT + 1.0)
    assert cubic.window == 35 * SIZE


def one_round(cubic: Cubic, now: float, rtt: float) -> float:
    """A full window, sent evenly in the last round trip, is acknowledged in pieces until `now`;
    returns the window in segments."""
    packets = cubic.window // SIZE
    for index in range(packets):
        at = now - rtt + rtt * (index + 1) / packets
        cubic.on_acked(SIZE, at - rtt, at)
    return cubic.window / SIZE


def test_beta() -> None:
    # 4.6
    cubic = reduced(1000, 0.1)
    assert cubic.window == 700 * SIZE
    assert cubic.threshold == 700 * SIZE
    assert not cubic.in_slow_start
    # once for all losses of one window
    cubic.on_congestion(SENT, SENT + 0.05)
    assert cubic.window == 700 * SIZE
    assert cubic.congestion_events == 1
    cubic.on_congestion(SENT + 0.01, SENT + 0.1)
    assert cubic.window == 490 * SIZE
    assert cubic.congestion_events == 2


def test_nothing_sent_before_recovery_grows_the_window() -> None:
    cubic = reduced(1000, 0.1)
    for _ in range(500):
        cubic.on_acked(SIZE, SENT, SENT + 0.1)
    assert cubic.window == 700 * SIZE


def test_the_window_follows_the_cubic_function() -> None:
    # 4.2: W_max is 1000, cwnd_epoch 700, so K is the cube root of 300 / 0.4 = 750
    rtt, k = 0.1, 9.0856
    cubic = reduced(1000, rtt)
    begin = SENT + 2 * rtt + rtt / 700  # the first ACK of a packet sent in avoidance
    for number in range(140):
        t = (number + 1) * rtt - rtt / 700
        window = one_round(cubic, begin + t, rtt)
        assert window == pytest.approx(0.4 * (t - k) ** 3 + 1000, rel=0.005)
    # concave up to W_max, which is reached at K, and convex beyond
    assert window == pytest.approx(1000 + 0.4 * (14.0 - k) ** 3, rel=0.005)


def test_the_smoothed_rtt_is_how_far_it_looks_ahead() -> None:
    # 4.2: half a second after the epoch's begin, with many windows acknowledged in one moment
    cubic = reduced(1000, 2.0)
    cubic.on_acked(SIZE, SENT + 1.0, SENT + 3.0)
    for _ in range(7000):
        cubic.on_acked(SIZE, SENT + 1.5, SENT + 3.5)
    assert cubic.window / SIZE == pytest.approx(1000 - 0.4 * (9.0856 - 2.5) ** 3, rel=0.001)


def test_growth_in_one_round_trip_is_limited() -> None:
    # 4.2: the target is 1.5 windows at most, however far the function has run ahead
    cubic = reduced(100, 0.1)
    one_round(cubic, SENT + 0.3, 0.1)
    before = cubic.window
    for _ in range(before // SIZE):
        cubic.on_acked(SIZE, SENT + 0.2, SENT + 1000.0)
    # each ACK takes the window a part of the way there: ds = w dw / (1.5 - w), which is 1 at 1.29
    assert cubic.window == pytest.approx(1.29 * before, rel=0.005)
    for _ in range(100 * before // SIZE):
        cubic.on_acked(SIZE, SENT + 0.2, SENT + 1000.0)
    assert cubic.window == pytest.approx(1.5 * before, abs=SIZE)


def test_the_reno_friendly_region() -> None:
    # 4.3: on a short path W_est grows by 3 * 0.3 / 1.7 segments a round trip from 14 to 20, the
    # window before the loss, in 11.3 round trips, and by one a round trip from there
    rtt = 0.01
    cubic = reduced(20, rtt)
    begin = SENT + 2 * rtt
    for number in range(1, 12):
        window = one_round(cubic, begin + number * rtt, rtt)
        assert window == pytest.approx(14 + number * 0.5294, rel=0.02)
    reached = window
    for number in range(12, 42):
        window = one_round(cubic, begin + number * rtt, rtt)
    assert window == pytest.approx(reached + 30, rel=0.03)
    # where CUBIC by itself would have gone is far below
    assert 0.4 * (42 * rtt - 2.466) ** 3 + 20 < 17


def test_fast_convergence() -> None:
    # 4.7: a second loss below W_max (1000) leaves less than where it happened: 700 * 0.85 = 595
    cubic = reduced(1000, 0.1)
    cubic.on_congestion(SENT + 0.1, SENT + 0.2)
    assert cubic.window == 490 * SIZE
    k = ((595 - 490) / 0.4) ** (1 / 3)
    for number in range(round(k / 0.1)):
        window = one_round(cubic, SENT + 0.5 + number * 0.1, 0.1)
    assert window == pytest.approx(595, rel=0.01)


def test_no_fast_convergence_above_w_max() -> None:
    # W_max is where this loss happened, so K is the cube root of 0.3 * window / 0.4
    cubic = reduced(100, 0.1)
    now = SENT + 0.3
    while cubic.window < 120 * SIZE:
        one_round(cubic, now, 0.1)
        now += 0.1
    lost_at = cubic.window / SIZE
    cubic.on_congestion(now, now)
    assert cubic.window == pytest.approx(0.7 * lost_at * SIZE, abs=1)
    k = (0.3 * lost_at / 0.4) ** (1 / 3)
    for number in range(round(k / 0.1)):
        window = one_round(cubic, now + 0.3 + number * 0.1, 0.1)
    assert window == pytest.approx(lost_at, rel=0.02)


@pytest.mark.parametrize("pause", [0.5, 1000.0])
def test_time_without_enough_to_send_does_not_count(pause: float) -> None:
    # 4.2 and 5.8
    rtt = 0.1
    busy, paused = reduced(1000, rtt), reduced(1000, rtt)
    now = SENT + 0.3
    for _ in range(20):
        one_round(busy, now, rtt)
        one_round(paused, now, rtt)
        now += rtt
    # the pause ends with a window that is sent at once, and acknowledged a round trip later
    for cubic, shift in ((busy, 0.0), (paused, pause)):
        sent = now - rtt + shift
        for number in range(30):
            for _ in range(cubic.window // SIZE):
                cubic.on_acked(SIZE, sent + number * rtt, sent + (number + 1) * rtt)
    assert paused.window == pytest.approx(busy.window, rel=0.001)


def test_persistent_congestion_begins_anew() -> None:
    # 4.8: W_max is forgotten, slow start goes up to the threshold, the plateau is there
    cubic = reduced(1000, 0.1)
    cubic.on_congestion(SENT + 0.1, SENT + 2.0)
    cubic.on_persistent_congestion()
    assert cubic.window == 2 * SIZE
    now = SENT + 3.0
    rounds = 0
    while cubic.in_slow_start:
        one_round(cubic, now, 0.1)
        now += 0.1
        rounds += 1
    assert rounds == 8  # 2 << 8 is the first power above 490
    begin = cubic.window / SIZE
    assert begin == pytest.approx(490, rel=0.01)
    for _ in range(20):
        window = one_round(cubic, now, 0.1)
        now += 0.1
    # after 2 s: the estimate of NewReno, or the cubic function from its plateau
    assert begin < window < begin + 22


def test_the_window_never_falls_below_two_datagrams() -> None:
    cubic = Cubic(SIZE)
    for number in range(20):
        cubic.on_congestion(SENT + number, SENT + number + 0.5)
    assert cubic.window == 2 * SIZE
    # and grows again from there, K being no root of what is negative
    for number in range(20, 30):
        cubic.on_acked(SIZE, SENT + number, SENT + number + 0.1)
    assert cubic.window > 2 * SIZE


def test_two_flows_share_a_bottleneck() -> None:
    # a fluid model: both lose whenever together they are above capacity
    rtt, capacity = 0.05, 400
    flows = [reduced(500, rtt), reduced(40, rtt)]
    now = SENT + 1.0
    shares: list[float] = []
    for number in range(2400):  # two minutes
        now += rtt
        windows = [one_round(flow, now, rtt) for flow in flows]
        if sum(windows) > capacity:
            for flow in flows:
                flow.on_congestion(now, now + rtt / 1000)
            now += rtt
        if number > 1200:
            shares.append(windows[1] / sum(windows))
    assert 0.4 < sum(shares) / len(shares) < 0.6


def test_it_is_the_default_of_every_path() -> None:
    sender = Sender()
    assert isinstance(sender.path.congestion, Cubic)
    first = sender.path.congestion
    sender.detector._paths[0].reset()
    assert isinstance(sender.path.congestion, Cubic)
    assert sender.path.congestion is not first
    assert isinstance(sender.detector.add_path(1).congestion, Cubic)
