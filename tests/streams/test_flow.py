"""Windows that grow with consumption and tune themselves, RFC 9000 section 4."""

from trioquic._protocol.streams.flow import ReceiveWindow, SendCredit


def test_a_limit_moves_when_half_of_the_window_is_used() -> None:
    window = ReceiveWindow(100, 100)
    assert not window.consume(49, 0.0, 0.0)
    assert window.limit == 100
    assert window.consume(1, 0.0, 0.0)
    assert window.limit == 150
    assert not window.consume(49, 0.0, 0.0)
    assert window.consume(1, 0.0, 0.0)
    assert window.limit == 200


def test_receiving_alone_moves_nothing() -> None:
    """attacks: sparse offsets must not inflate windows."""
    window = ReceiveWindow(100, 10_000)
    window.received = 100
    assert window.limit == 100
    assert window.window == 100


def test_a_reader_faster_than_two_round_trips_per_half_doubles_the_window() -> None:
    window = ReceiveWindow(100, 350)
    assert window.consume(50, 1.0, 0.1)
    assert (window.window, window.limit) == (200, 250)
    assert window.consume(100, 1.1999, 0.1)
    assert (window.window, window.limit) == (350, 500)
    window.consume(500, 1.2, 0.1)
    assert window.window == 350, "the bound"


def test_a_slow_reader_leaves_the_window_as_it_is() -> None:
    window = ReceiveWindow(100, 1000)
    assert not window.consume(1, 1.0, 0.1)
    assert window.consume(49, 1.25, 0.1)
    assert (window.window, window.limit) == (100, 150)
    assert window.consume(50, 1.5, 0.1)
    assert (window.window, window.limit) == (100, 200)


def test_without_a_round_trip_time_nothing_is_tuned() -> None:
    window = ReceiveWindow(100, 1000)
    assert window.consume(60, 1.0, 0.0)
    assert window.window == 100


def test_released_bytes_move_the_limit_and_tune_nothing() -> None:
    window = ReceiveWindow(100, 1000)
    assert not window.release(49)
    assert window.release(1)
    assert (window.window, window.limit) == (100, 150)


def test_growth_is_announced_with_the_next_limit() -> None:
    window = ReceiveWindow(100, 300)
    window.grow(200)
    assert window.limit == 100
    assert window.consume(10, 0.0, 0.0)
    assert window.limit == 210
    window.grow(50)
    assert window.window == 200
    window.grow(1000)
    assert window.window == 300


def test_a_closed_window_stays_closed() -> None:
    window = ReceiveWindow(0, 0)
    assert not window.release(0)
    assert window.limit == 0


def test_send_credit_only_grows() -> None:
    credit = SendCredit()
    assert credit.available == 0
    credit.raise_to(10)
    credit.used = 4
    credit.raise_to(8)
    assert credit.available == 6
