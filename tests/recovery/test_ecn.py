"""Congestion marks on what we send: RFC 9000 section 13.4.2."""

import itertools

import pytest

from trioquic._protocol.recovery.choice import NEW_RENO
from trioquic._protocol.recovery.ecn import ECT_0, TABLE, TEST_PACKETS, EcnInput, EcnState
from trioquic._protocol.space import HANDSHAKE

from .driver import Sender


def mark(sender: Sender, count: int, path: int = 0) -> list[int]:
    """Send packets as the path's state has it."""
    sent: list[int] = []
    for _ in range(count):
        sent += sender.send(path=path, ecn=sender.detector._paths[path].ecn.codepoint)
    return sent


def state(sender: Sender, path: int = 0) -> EcnState:
    return sender.detector._paths[path].ecn.state


def test_table_is_complete_and_failure_is_final() -> None:
    assert set(TABLE) == set(itertools.product(EcnState, EcnInput))
    assert {TABLE[EcnState.FAILED, event] for event in EcnInput} == {EcnState.FAILED}


def test_a_few_packets_are_marked_and_then_the_answer_is_awaited() -> None:
    sender = Sender()
    mark(sender, TEST_PACKETS - 1)
    assert sender.path.ecn.codepoint == ECT_0
    mark(sender, 1)
    assert sender.path.ecn.codepoint == 0
    assert state(sender) is EcnState.WAITING


def test_true_counts_confirm() -> None:
    sender = Sender()
    sent = mark(sender, TEST_PACKETS)
    sender.ack(*sent[:3], ecn=(3, 0, 0))
    assert state(sender) is EcnState.CAPABLE
    assert sender.path.ecn.codepoint == ECT_0
    mark(sender, 50)
    assert sender.path.ecn.codepoint == ECT_0


@pytest.mark.parametrize(
    "counts",
    [
        None,  # marks were removed, or the peer does not report
        (1, 0, 0),  # fewer than were acknowledged
        (2, 1, 0),  # ECT(1) was never sent
        (9, 0, 0),  # more than were ever sent
        (2, 0, 9),
    ],
)
def test_impossible_counts_turn_marking_off(counts: tuple[int, int, int] | None) -> None:
    sender = Sender()
    sent = mark(sender, 4)
    sender.ack(sent[0], sent[1], ecn=counts)
    assert state(sender) is EcnState.FAILED
    assert sender.path.ecn.codepoint == 0
    assert sender.path.congestion.congestion_events == 0


def test_falling_counts_turn_marking_off() -> None:
    sender = Sender()
    sent = mark(sender, 6)
    sender.ack(*sent[:3], ecn=(3, 0, 0))
    sender.ack(*sent[:4], ecn=(2, 0, 2))
    assert state(sender) is EcnState.FAILED


def test_rise_of_ce_is_a_congestion_event() -> None:
    # RFC 9002 section 7.1
    sender = Sender(congestion=NEW_RENO)
    sent = mark(sender, 10)
    window = sender.path.congestion.window
    sender.now += 0.1
    sender.ack(*sent[:2], ecn=(1, 0, 1))
    assert sender.path.congestion.congestion_events == 1
    assert sender.path.congestion.window == (window + 2 * 1200) // 2
    # the same count again is nothing new, a rise within the same window neither
    sender.ack(*sent[:4], ecn=(3, 0, 1))
    sender.ack(*sent[:6], ecn=(4, 0, 2))
    assert sender.path.congestion.congestion_events == 1
    assert sender.lost() == []


def test_acks_that_do_not_raise_the_largest_are_not_judged() -> None:
    # 13.4.2.1: they may have been reordered
    sender = Sender()
    sent = mark(sender, 5)
    sender.ack(sent[0], sent[3], ecn=(2, 0, 0))
    sender.ack(sent[1], sent[3], ecn=(1, 0, 0))
    assert state(sender) is EcnState.CAPABLE
    sender.ack(*sent, ecn=(5, 0, 0))
    assert state(sender) is EcnState.CAPABLE


def test_unmarked_packets_prove_nothing() -> None:
    sender = Sender()
    sender.send(3)
    sender.ack(0, 1, 2)
    assert state(sender) is EcnState.TESTING
    mark(sender, 1)
    sender.send(1)
    sender.ack(4)
    assert state(sender) is EcnState.TESTING


def test_timeout_ends_the_test() -> None:
    sender = Sender()
    sent = mark(sender, 2)
    sender.run_timer()
    assert sender.path.ecn.codepoint == 0
    sender.ack(*sent, ecn=(2, 0, 0))
    assert state(sender) is EcnState.CAPABLE


def test_each_path_is_tested_on_its_own() -> None:
    # 9.2 of RFC 9000
    sender = Sender()
    sent = mark(sender, 3)
    sender.ack(*sent)
    assert state(sender) is EcnState.FAILED
    sender.detector.add_path(1)
    sender.facts.on_active_path(1)
    new = mark(sender, 3, path=1)
    sender.ack(*new, ecn=(3, 0, 0))
    assert state(sender, 1) is EcnState.CAPABLE
    assert state(sender, 0) is EcnState.FAILED


def two_marked_paths() -> tuple[Sender, list[int], list[int]]:
    """Paths 0 and 1, the first in use, with five and two marked packets under way."""
    sender = Sender()
    sender.detector.add_path(1)
    return sender, mark(sender, 5), mark(sender, 2, path=1)


def test_a_path_that_removes_marks_does_not_fail_another() -> None:
    """One ACK names packets of both; whose marks are missing nobody knows."""
    sender, first, second = two_marked_paths()
    sender.ack(*first, *second, ecn=(5, 0, 0))
    assert state(sender, 0) is EcnState.TESTING
    assert state(sender, 1) is EcnState.TESTING
    # what follows names one of them only
    sender.ack(*mark(sender, 2), ecn=(7, 0, 0))
    sender.ack(*mark(sender, 1, path=1), ecn=(7, 0, 0))
    assert state(sender, 0) is EcnState.CAPABLE
    assert state(sender, 1) is EcnState.FAILED


def test_more_marks_are_missing_than_the_other_path_sent() -> None:
    sender, first, second = two_marked_paths()
    sender.ack(*first, *second, ecn=(2, 0, 0))
    assert state(sender, 0) is EcnState.FAILED
    assert state(sender, 1) is EcnState.TESTING


def test_marks_that_a_path_changes_fail_no_other() -> None:
    """It makes them ECT(1), which the peer goes on counting for ever."""
    sender, first, second = two_marked_paths()
    sender.ack(*second, ecn=(0, 2, 0))
    assert state(sender, 1) is EcnState.FAILED
    sender.ack(*first, *mark(sender, 1), ecn=(6, 2, 0))
    assert state(sender, 0) is EcnState.CAPABLE


def test_counts_that_cannot_be_fail_every_path_that_is_named() -> None:
    sender, first, second = two_marked_paths()
    sender.ack(*first, *second, ecn=(8, 0, 0))
    assert [state(sender, path) for path in (0, 1)] == [EcnState.FAILED, EcnState.FAILED]


def test_reset_tests_anew() -> None:
    sender = Sender()
    sent = mark(sender, 3)
    sender.detector._paths[0].reset()
    sender.ack(*sent)
    assert state(sender) is EcnState.TESTING


def test_spaces_count_apart() -> None:
    sender = Sender(confirmed=False)
    sender.send(2, space=HANDSHAKE, ecn=ECT_0)
    sent = mark(sender, 2)
    sender.ack(0, 1, space=HANDSHAKE, ecn=(2, 0, 0))
    sender.ack(*sent, ecn=(2, 0, 0))
    assert state(sender) is EcnState.CAPABLE
