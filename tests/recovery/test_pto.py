"""Probe timeouts: RFC 9002 section 6.2."""

import pytest

from trioquic._protocol.space import APPLICATION, HANDSHAKE, INITIAL

from .driver import Sender


def take_all(sender: Sender, space: int) -> int:
    count = 0
    while sender.detector.take_probe(space):
        count += 1
    return count


def test_period_counts_from_the_last_eliciting_packet() -> None:
    # 6.2.1
    sender = Sender()
    sender.measure(0.1)
    sender.send()
    sender.now += 0.05
    sender.send()
    sender.send(eliciting=False)
    expected = 0.1 + 4 * 0.05 + 0.025
    assert sender.detector.next_deadline() == pytest.approx(sender.now + expected)


def test_max_ack_delay_is_for_the_application_space_only() -> None:
    sender = Sender(confirmed=False)
    sender.send(space=HANDSHAKE)
    assert sender.detector.next_deadline() == pytest.approx(sender.now + 0.999)
    sender.detector.discard_space(HANDSHAKE)
    sender.facts.on_confirmed()
    sender.send(space=APPLICATION)
    assert sender.detector.next_deadline() == pytest.approx(sender.now + 0.999 + 0.025)


def test_application_timer_waits_for_confirmation() -> None:
    # 6.2.1
    sender = Sender(confirmed=False)
    # by this the server's answer shows that it validated our address (6.2.2.1)
    sender.send(space=HANDSHAKE)
    sender.ack(0, space=HANDSHAKE)
    sender.send(space=APPLICATION)
    assert sender.detector.next_deadline() == float("inf")
    sender.facts.on_confirmed()
    assert sender.detector.next_deadline() < float("inf")


def test_expiry_owes_two_probes_and_loses_nothing() -> None:
    # 6.2.4, and 6.2: a PTO is no sign of loss
    sender = Sender()
    sender.measure(0.1)
    sender.send(5)
    flight = sender.path.bytes_in_flight
    window = sender.path.congestion.window
    sender.run_timer()
    assert sender.path.pto_count == 1
    assert sender.path.bytes_in_flight == flight
    assert sender.path.congestion.window == window
    assert sender.path.packets_lost == 0
    # so that the probes carry data, the two oldest packets' frames are sent again
    assert sender.lost() == [1, 2]
    assert take_all(sender, APPLICATION) == 2


def test_backoff_doubles_and_next_probes_take_the_next_packets() -> None:
    sender = Sender()
    sender.measure(0.1)
    sender.send(5)
    sent_at = sender.now
    pto = sender.path.rtt.pto(0.025)
    for count, expected in enumerate(([1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5])):
        sender.run_timer()
        assert sender.now == pytest.approx(sent_at + pto * 2**count)
        assert sender.lost() == expected
    # probes that were never taken do not pile up
    assert take_all(sender, APPLICATION) == 2
    # with nothing left to repeat the timer goes on, and a PING serves
    sender.run_timer()
    assert take_all(sender, APPLICATION) == 2
    assert all(frame.losses <= 1 for frame in sender.frames.values())


def test_sending_a_probe_restarts_the_period() -> None:
    sender = Sender()
    sender.measure(0.1)
    sender.send()
    sender.run_timer()
    sender.send()
    assert sender.detector.next_deadline() == pytest.approx(
        sender.now + 2 * sender.path.rtt.pto(0.025)
    )


def test_acknowledgement_resets_the_backoff() -> None:
    sender = Sender()
    sender.measure(0.1)
    sender.send()
    sender.run_timer()
    sender.send()
    sender.ack(2)
    assert sender.path.pto_count == 0


def test_requeued_packet_that_is_lost_later_is_not_requeued_again() -> None:
    sender = Sender()
    sender.measure(0.1)
    sender.send(2)
    sender.run_timer()
    sender.send(4)
    sender.ack(6)
    assert sender.path.packets_lost == 3
    assert [sender.frame(n).losses for n in (1, 2, 3)] == [1, 1, 1]


def test_requeued_packet_can_still_be_acknowledged() -> None:
    sender = Sender()
    sender.measure(0.1)
    sender.send(1)
    sender.run_timer()
    sender.ack(1)
    assert sender.frame(1).acks == 1
    assert sender.path.spurious_losses == 0
    assert sender.path.bytes_in_flight == 0


def test_loss_timer_takes_precedence() -> None:
    # 6.2.1: no PTO while the time threshold timer is set
    sender = Sender()
    sender.measure(0.1)
    sender.send(2)
    sender.now += 0.1
    sender.ack(2)
    assert sender.path.loss_time() < sender.now + 0.02
    sender.now += 50.0
    sender.detector.on_deadline(sender.now)
    assert sender.lost() == [1]
    assert sender.path.pto_count == 0


def test_client_must_not_go_quiet_before_its_address_is_validated() -> None:
    # 6.2.2.1: everything of ours is acknowledged, but the server may be blocked
    sender = Sender(confirmed=False)
    sender.send(space=INITIAL)
    sender.now += 0.1
    sender.ack(0, space=INITIAL)
    deadline = sender.detector.next_deadline()
    assert deadline == pytest.approx(sender.now + 0.1 + 4 * 0.05)
    sender.run_timer()
    assert take_all(sender, INITIAL) == 1
    assert take_all(sender, HANDSHAKE) == 0
    # the next one is backed off
    assert sender.detector.next_deadline() == pytest.approx(sender.now + 0.6)
    sender.facts.on_handshake_keys()
    sender.run_timer()
    assert take_all(sender, INITIAL) == 0
    assert take_all(sender, HANDSHAKE) == 1


def test_anti_deadlock_timer_runs_although_application_data_is_in_flight() -> None:
    sender = Sender(confirmed=False)
    sender.facts.on_handshake_keys()
    sender.send(space=APPLICATION)
    sender.run_timer()
    assert take_all(sender, HANDSHAKE) == 1
    assert take_all(sender, APPLICATION) == 1


@pytest.mark.parametrize("how", ["handshake ack", "confirmed"])
def test_anti_deadlock_timer_ends_with_validation(how: str) -> None:
    sender = Sender(confirmed=False)
    sender.send(space=INITIAL)
    sender.send(space=HANDSHAKE)
    sender.ack(0, space=INITIAL)
    if how == "confirmed":
        sender.facts.on_confirmed()
        sender.detector.discard_space(HANDSHAKE)
    else:
        sender.ack(0, space=HANDSHAKE)
    assert sender.detector.next_deadline() == float("inf")


def test_initial_ack_does_not_reset_the_backoff_before_validation() -> None:
    # 6.2.1
    sender = Sender(confirmed=False)
    sender.send(space=INITIAL)
    sender.run_timer()
    sender.ack(0, space=INITIAL)
    assert sender.path.pto_count == 1
    sender.send(space=HANDSHAKE)
    sender.ack(0, space=HANDSHAKE)
    assert sender.path.pto_count == 0


def test_no_timer_before_anything_was_sent() -> None:
    sender = Sender(confirmed=False)
    assert sender.detector.next_deadline() == float("inf")


def test_handshake_probes_cover_every_space_in_flight() -> None:
    # 6.2.4: coalesced, so the Finished and the first request go out together
    sender = Sender(confirmed=False)
    sender.send(space=INITIAL)
    sender.send(space=HANDSHAKE)
    sender.send(space=APPLICATION)
    sender.run_timer()
    assert [take_all(sender, space) for space in (INITIAL, HANDSHAKE, APPLICATION)] == [1, 1, 1]
    assert sender.lost(INITIAL) == [0]
    assert sender.lost(HANDSHAKE) == [0]
    assert sender.lost(APPLICATION) == [0]


def test_discarding_a_space_drops_its_probes() -> None:
    sender = Sender(confirmed=False)
    sender.send(space=INITIAL)
    sender.run_timer()
    sender.detector.discard_space(INITIAL)
    assert take_all(sender, INITIAL) == 0


def test_backoff_does_not_overflow() -> None:
    sender = Sender()
    sender.send()
    for _ in range(2000):
        sender.run_timer()
    assert sender.detector.next_deadline() < float("inf")
