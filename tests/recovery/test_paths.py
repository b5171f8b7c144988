"""Recovery with several paths: RFC 9000 section 9.4."""

import pytest

from trioquic._protocol.space import APPLICATION

from .driver import SIZE, Sender


def two_paths() -> Sender:
    sender = Sender()
    sender.measure(0.05)
    sender.detector.add_path(1)
    return sender


def migrate(sender: Sender) -> None:
    sender.facts.on_active_path(1)


def test_migration_makes_no_spurious_loss() -> None:
    # the new path is faster: its acknowledgements overtake those of the old one
    sender = two_paths()
    old = sender.send(5, path=0)
    migrate(sender)
    new = sender.send(20, path=1)
    sender.now += 0.01
    sender.ack(*new)
    assert sender.lost() == []
    sender.now += 0.04
    sender.ack(*old, *new)
    assert all(sender.frame(n).acks == 1 for n in old)
    assert sender.detector._paths[0].spurious_losses == 0


def test_losses_of_one_path_leave_the_other_window_alone() -> None:
    sender = two_paths()
    old = sender.send(8, path=0)
    migrate(sender)
    sender.send(8, path=1)
    before = sender.detector._paths[1].congestion.window
    sender.now += 0.05
    sender.ack(old[-1])
    assert sender.detector._paths[0].congestion.congestion_events == 1
    assert sender.detector._paths[1].congestion.window == before
    assert sender.detector._paths[1].bytes_in_flight == 8 * SIZE


def test_rtt_sample_never_comes_from_another_path() -> None:
    sender = two_paths()
    (old,) = sender.send(path=0)
    migrate(sender)
    sender.now += 3.0
    sender.ack(old)
    assert not sender.detector._paths[1].rtt.has_sample
    # nor does an answer that came by the new path say anything about the old one
    assert sender.detector._paths[0].rtt.latest == pytest.approx(0.05)
    (new,) = sender.send(path=1)
    sender.now += 0.08
    sender.ack(old, new)
    assert sender.detector._paths[1].rtt.latest == pytest.approx(0.08)


def test_rtt_sample_survives_older_packets_of_another_path() -> None:
    sender = two_paths()
    old = sender.send(2, path=0)
    migrate(sender)
    new = sender.send(2, path=1)
    sender.now += 0.08
    assert sender.ack(*old, *new) == 4
    assert sender.detector._paths[1].rtt.latest == pytest.approx(0.08)


def test_requeue_sends_everything_again_without_blame() -> None:
    sender = two_paths()
    sent = sender.send(6, path=0)
    window = sender.path.congestion.window
    sender.detector.requeue_path(0, sender.now)
    assert sender.lost() == sent
    assert sender.path.bytes_in_flight == 0
    assert sender.path.congestion.window == window
    assert sender.path.packets_lost == 0
    assert sender.detector.next_deadline() == float("inf")
    # late acknowledgements are no spurious losses: nobody judged
    sender.now += 0.01
    assert sender.ack(*sent) == 6
    assert sender.path.spurious_losses == 0
    assert all(sender.frame(n).acks == 1 for n in sent)
    assert sender.path.bytes_in_flight == 0


def test_requeue_does_not_repeat_what_a_probe_repeated() -> None:
    sender = two_paths()
    sender.send(3)
    sender.run_timer()
    sender.detector.requeue_path(0, sender.now)
    assert [sender.frame(n).losses for n in (1, 2, 3)] == [1, 1, 1]


def test_removed_path_is_gone_and_its_late_acks_are_harmless() -> None:
    sender = two_paths()
    sent = sender.send(6, path=0)
    migrate(sender)
    sender.send(1, path=1)
    sender.detector.remove_path(0, sender.now)
    assert sender.lost() == sent
    with pytest.raises(KeyError):
        sender.detector._paths[0]
    assert sender.ack(*sent) == 6
    assert all(sender.frame(n).acks == 1 for n in sent)
    assert sender.detector._paths[1].bytes_in_flight == SIZE
    assert not sender.detector._paths[1].rtt.has_sample


def test_timeout_of_a_standby_path_requeues_and_probes_nothing() -> None:
    sender = two_paths()
    old = sender.send(3, path=0)
    migrate(sender)
    sender.run_timer()
    assert sender.lost() == old
    assert sender.detector._paths[0].bytes_in_flight == 0
    assert not sender.detector.take_probe(APPLICATION)
    assert sender.detector.next_deadline() == float("inf")


def test_pto_counts_are_separate() -> None:
    sender = two_paths()
    sender.send(1, path=0)
    sender.run_timer()
    assert sender.detector._paths[0].pto_count == 1
    migrate(sender)
    (new,) = sender.send(1, path=1)
    sender.ack(new)
    assert sender.detector._paths[0].pto_count == 1
    assert sender.detector._paths[1].pto_count == 0


def test_new_path_starts_with_the_initial_window_and_rtt() -> None:
    sender = two_paths()
    path = sender.detector._paths[1]
    assert path.congestion.window == 12_000
    assert not path.rtt.has_sample
    assert path.rtt.pto(0.0) == pytest.approx(0.999)


def test_reset_starts_anew_and_old_packets_feed_nothing() -> None:
    sender = Sender()
    sent = sender.send(10)
    sender.now += 0.5
    sender.ack(*sent)
    assert sender.path.congestion.window == 24_000
    in_flight = sender.send(20)
    sender.detector._paths[0].reset()
    assert sender.path.congestion.window == 12_000
    assert not sender.path.rtt.has_sample
    assert sender.path.bytes_in_flight == 20 * SIZE
    sender.now += 0.5
    # acknowledged and lost ones leave the flight, and say nothing to the new state
    sender.ack(*in_flight[10:])
    assert sender.path.bytes_in_flight == 0
    assert sender.path.packets_lost == 10
    assert sender.path.congestion.window == 12_000
    assert sender.path.congestion.congestion_events == 0
    assert not sender.path.rtt.has_sample
    # what is sent from now on counts
    fresh = sender.send(10)
    sender.now += 0.02
    sender.ack(*fresh)
    assert sender.path.rtt.latest == pytest.approx(0.02)
    assert sender.path.congestion.window == 24_000


def test_loss_on_a_standby_path_is_found_by_its_own_acknowledgements() -> None:
    sender = two_paths()
    old = sender.send(5, path=0)
    migrate(sender)
    sender.send(1, path=1)
    sender.now += 0.05
    sender.ack(old[-1])
    assert sender.lost() == old[:2]
