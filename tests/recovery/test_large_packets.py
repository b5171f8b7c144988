"""Packets larger than every path carries: what their loss means, and the room for a probe."""

import pytest

from trioquic._protocol.recovery.choice import Foreign, new_controller

from .driver import SIZE, Sender
from .test_choice import Noted

LARGE = 1472


def wide(congestion: str = "cubic") -> Sender:
    """A path that has been found to carry more."""
    sender = Sender(congestion=congestion)
    sender.path.set_datagram_size(LARGE)
    return sender


def test_the_loss_of_a_probe_of_the_mtu_is_no_congestion() -> None:
    # RFC 9000 section 14.4: it is larger than datagrams are
    sender = Sender()
    window = sender.path.congestion.window
    (probe,) = sender.send(size=LARGE, eliciting=False, padded=True)
    assert sender.path.bytes_in_flight == LARGE
    sender.send(3)
    sender.now += 0.1
    sender.ack(1, 2, 3)
    assert sender.lost() == [probe]
    assert sender.path.bytes_in_flight == 0
    assert sender.path.congestion.congestion_events == 0
    assert sender.path.congestion.window >= window
    assert sender.path.large_losses.count == 0


def test_a_probe_of_the_mtu_arms_no_timeout() -> None:
    sender = Sender()
    sender.send(size=LARGE, eliciting=False, padded=True)
    assert sender.detector.next_deadline() == float("inf")


def test_the_loss_of_a_full_datagram_is_congestion() -> None:
    sender = wide()
    sender.send(4, size=LARGE)
    sender.now += 0.1
    sender.ack(1, 2, 3)
    assert sender.path.congestion.congestion_events == 1


def test_large_losses_count_once_a_round() -> None:
    sender = wide()
    for times in (1, 2, 3):
        large = sender.send(5, size=LARGE)
        sender.now += 0.05
        small = sender.send(3, size=100)
        sender.now += 0.05
        sender.ack(*small)
        assert set(large) <= set(sender.lost())
        assert sender.path.large_losses.count == times


def test_packets_of_one_round_that_are_lost_one_by_one_count_once() -> None:
    sender = wide()
    sender.send(3, size=LARGE)
    small = sender.send(6, size=100)
    sender.now += 0.1
    for newest in small[2:]:
        sender.ack(newest)
        sender.now += 0.001
    assert sender.lost()[:3] == [0, 1, 2]
    assert sender.path.large_losses.count == 1


def test_what_arrives_ends_the_count() -> None:
    sender = wide()
    sender.send(size=LARGE)
    sender.now += 0.05
    small = sender.send(3, size=100)
    sender.now += 0.05
    sender.ack(*small)
    assert sender.path.large_losses.count == 1
    (arrived,) = sender.send(size=LARGE)
    sender.now += 0.1
    sender.ack(arrived)
    assert sender.path.large_losses.count == 0


def test_losses_between_large_packets_that_arrive_do_not_count() -> None:
    sender = wide()
    sender.send(4, size=LARGE)
    sender.now += 0.1
    sender.ack(3)
    assert sender.lost() == [0]
    assert sender.path.large_losses.count == 0


def test_a_late_acknowledgement_ends_the_count() -> None:
    sender = wide()
    (late,) = sender.send(size=LARGE)
    small = sender.send(3, size=100)
    sender.now += 0.1
    sender.ack(*small)
    assert sender.path.large_losses.count == 1
    sender.ack(late)
    assert sender.path.large_losses.count == 0


def test_what_was_sent_before_the_fall_proves_nothing() -> None:
    """Neither congestion nor another black hole."""
    sender = wide()
    sender.send(5, size=LARGE)
    sender.path.set_datagram_size(SIZE)
    small = sender.send(3)
    sender.now += 0.1
    sender.ack(*small)
    assert sender.lost() == [0, 1, 2, 3, 4]
    assert sender.path.large_losses.count == 0
    assert sender.path.congestion.congestion_events == 0


def test_room_is_kept_for_what_is_needed() -> None:
    sender = Sender()
    window = sender.path.congestion.window
    sender.send(window // SIZE - 2)
    path = sender.path
    assert path.send_budget(sender.now) == 2 * SIZE
    path.needed = 2 * SIZE + 1
    assert path.send_budget(sender.now) == 0
    assert path.pacer_deadline(sender.now) == float("inf")


@pytest.mark.parametrize("choice", ["cubic", "newreno", Noted])
def test_controllers_hear_of_the_size(choice: str | type[Noted]) -> None:
    """The window stays what it is."""
    controller = new_controller(choice, SIZE)
    window = controller.window
    controller.on_datagram_size(LARGE)
    assert (controller.max_datagram_size, controller.window) == (LARGE, window)


@pytest.mark.parametrize("choice", ["cubic", "newreno"])
def test_the_smallest_window_holds_two_datagrams(choice: str) -> None:
    controller = new_controller(choice, SIZE)
    controller.on_datagram_size(LARGE)
    controller.on_persistent_congestion()
    assert controller.window == 2 * LARGE


def test_newreno_grows_by_such_datagrams() -> None:
    controller = new_controller("newreno", SIZE)
    controller.threshold = controller.window = 12_000
    controller.on_datagram_size(LARGE)
    controller.on_acked(12_000, 1.0, 1.1)
    assert controller.window == 12_000 + LARGE


def test_cubic_begins_its_curve_anew() -> None:
    """One that was computed for other datagrams would jump."""
    controller = new_controller("cubic", SIZE)
    controller.threshold = controller.window = 120_000
    for number in range(100):
        controller.on_acked(12_000, 1.0 + number * 0.01, 1.1 + number * 0.01)
    before = controller.window
    controller.on_datagram_size(8972)
    controller.on_acked(12_000, 2.0, 2.1)
    assert before <= controller.window < before + 12_000


def test_a_controller_of_ones_own_may_want_to_know() -> None:
    class Curious(Noted):
        def on_datagram_size(self, size: int) -> None:
            self.calls.append(("size", size))
            self.window = 10 * size

    control = Curious(SIZE)
    controller = Foreign(SIZE, control)
    controller.on_datagram_size(LARGE)
    assert control.calls == [("size", LARGE)]
    assert controller.window == 10 * LARGE
