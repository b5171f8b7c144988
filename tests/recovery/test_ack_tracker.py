"""What we acknowledge and when: RFC 9000 section 13.2."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer.wire import read_ack
from trioquic._protocol.builder import PacketBuilder
from trioquic._protocol.recovery.ack_tracker import MAX_RANGES, AckTracker
from trioquic._protocol.space import APPLICATION, HANDSHAKE, INITIAL
from trioquic._protocol.token import Token
from trioquic._protocol.wire.frames import AckFrame
from trioquic._protocol.wire.varint import Reader

DELAY = 0.025


def write(
    tracker: AckTracker, now: float = 0.0, room: int = 1200, exponent: int = 3
) -> tuple[AckFrame, Token | None]:
    builder = PacketBuilder(room)
    tracker.write_ack(builder, now, exponent)
    assert not builder.ack_eliciting
    data = b"".join(builder.parts)
    assert len(data) <= room
    frame = read_ack(Reader(data, start=1), data[0] == 3)
    return frame, builder.tokens[0] if builder.tokens else None


def named(frame: AckFrame) -> set[int]:
    return {n for low, high in frame.ranges for n in range(low, high + 1)}


def receive(
    tracker: AckTracker, numbers: Iterable[int], now: float = 0.0, eliciting: bool = True
) -> None:
    for number in numbers:
        if not tracker.is_duplicate(number):
            tracker.on_received(number, now, eliciting, 0)


def test_nothing_received_nothing_to_say() -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    assert not tracker.ack_due(1e9)
    assert not tracker.has_unacked
    assert tracker.largest == -1
    builder = PacketBuilder(1200)
    tracker.write_ack(builder, 0.0, 3)
    assert builder.size == 0


def test_first_packet_is_acknowledged_after_the_delay_and_second_at_once() -> None:
    # 13.2.1, 13.2.2
    tracker = AckTracker(APPLICATION, DELAY)
    tracker.on_received(0, 5.0, True, 0)
    assert not tracker.ack_due(5.0)
    assert tracker.deadline == pytest.approx(5.025)
    assert tracker.ack_due(5.025)
    tracker.on_received(1, 5.01, True, 0)
    assert tracker.ack_due(5.01)
    assert tracker.deadline <= 5.01
    write(tracker)
    assert not tracker.ack_due(1e9)
    assert tracker.deadline == float("inf")


def test_the_delay_counts_from_the_first_eliciting_packet() -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    tracker.on_received(0, 4.0, False, 0)
    tracker.on_received(1, 5.0, True, 0)
    tracker.on_received(2, 5.02, False, 0)
    assert tracker.deadline == pytest.approx(5.025)


def test_packets_that_elicit_nothing_are_never_due_but_are_news() -> None:
    # 13.2.1: an ACK of an ACK of an ACK would never end
    tracker = AckTracker(APPLICATION, DELAY)
    receive(tracker, [0, 1, 2, 9, 5], eliciting=False)
    assert not tracker.ack_due(1e9)
    assert tracker.has_unacked
    frame, _ = write(tracker)
    assert named(frame) == {0, 1, 2, 5, 9}
    assert not tracker.has_unacked


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE])
def test_handshake_packets_are_acknowledged_at_once(space: int) -> None:
    tracker = AckTracker(space, DELAY)
    tracker.on_received(0, 5.0, True, 0)
    assert tracker.ack_due(5.0)
    frame, _ = write(tracker, 5.5)
    assert frame.delay == 0


@pytest.mark.parametrize("numbers", [(0, 2), (1, 0), (4,)])
def test_out_of_order_is_acknowledged_at_once(numbers: tuple[int, ...]) -> None:
    # 13.2.1
    tracker = AckTracker(APPLICATION, DELAY)
    for number in numbers[:-1]:
        tracker.on_received(number, 5.0, False, 0)
    tracker.on_received(numbers[-1], 5.0, True, 0)
    assert tracker.ack_due(5.0)


def test_an_old_gap_does_not_make_every_packet_urgent() -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    receive(tracker, [0, 2], 5.0)
    write(tracker)
    tracker.on_received(3, 5.0, True, 0)
    assert not tracker.ack_due(5.0)


def test_congestion_mark_is_reported_at_once() -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    tracker.on_received(0, 5.0, True, 2)
    assert not tracker.ack_due(5.0)
    tracker.on_received(1, 5.0, False, 3)
    assert not tracker.ack_due(5.0)
    write(tracker)
    tracker.on_received(2, 5.0, True, 3)
    assert tracker.ack_due(5.0)
    tracker.on_received(3, 5.0, True, 1)
    frame, _ = write(tracker)
    assert frame.ecn == (1, 1, 2)


def test_no_ecn_counts_without_marks() -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    tracker.on_received(0, 5.0, True, 0)
    assert write(tracker)[0].ecn is None


def test_delay_field() -> None:
    # 13.2.5: since the largest arrived, in units of 2^exponent microseconds
    tracker = AckTracker(APPLICATION, DELAY)
    tracker.on_received(1, 5.0, True, 0)
    tracker.on_received(0, 5.015, True, 0)
    frame, _ = write(tracker, 5.0161, exponent=3)
    assert frame.delay == pytest.approx(16_100 / 8, abs=1)
    assert frame.largest == 1


def test_duplicates() -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    receive(tracker, [0, 1, 5])
    assert [n for n in range(8) if tracker.is_duplicate(n)] == [0, 1, 5]


def test_duplicates_are_known_after_pruning() -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    receive(tracker, range(10))
    _, token = write(tracker)
    assert token is not None
    token.acked()
    receive(tracker, [10])
    assert named(write(tracker)[0]) >= {10}
    assert all(tracker.is_duplicate(n) for n in range(11))


def test_ranges_are_capped_and_the_oldest_are_dropped() -> None:
    # 13.2.3
    tracker = AckTracker(APPLICATION, DELAY)
    receive(tracker, range(0, 2 * (MAX_RANGES + 10), 2))
    frame, _ = write(tracker)
    assert len(frame.ranges) == MAX_RANGES
    assert frame.largest == 2 * (MAX_RANGES + 9)
    # below the dropped ranges nobody can tell any more, so nothing is accepted
    assert all(tracker.is_duplicate(n) for n in range(19))
    assert not tracker.is_duplicate(19)
    assert tracker.is_duplicate(20)


def test_acknowledged_acks_need_not_be_repeated() -> None:
    # 13.2.4
    tracker = AckTracker(APPLICATION, DELAY)
    receive(tracker, range(0, 20, 2))
    frame, token = write(tracker)
    assert len(frame.ranges) == 10
    assert token is not None
    token.acked()
    receive(tracker, [30])
    assert named(write(tracker)[0]) == {30}


def test_packet_that_came_after_the_frame_is_still_reported() -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    receive(tracker, [0, 1, 2, 6])
    _, token = write(tracker)
    receive(tracker, [4])
    assert token is not None
    token.acked()
    receive(tracker, [8])
    assert named(write(tracker)[0]) >= {4, 8}


def test_late_packet_below_the_mark_is_reported() -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    receive(tracker, [0, 2, 3])
    _, token = write(tracker)
    assert token is not None
    token.acked()
    receive(tracker, [1])
    assert 1 in named(write(tracker)[0])


def test_constant_reordering_does_not_stop_pruning() -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    tokens: list[Token] = []
    for base in range(0, 4000, 4):
        # one packet of four is missing for good, two change places
        receive(tracker, [base + 2, base + 1, base + 3])
        frame, token = write(tracker)
        assert token is not None
        tokens.append(token)
        if len(tokens) > 5:
            tokens.pop(0).acked()
        assert len(frame.ranges) < 16


def test_small_room_shortens_the_frame_without_pruning_the_rest() -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    receive(tracker, range(0, 100, 2))
    frame, token = write(tracker, room=40)
    assert frame.largest == 98
    assert 1 <= len(frame.ranges) < 50
    assert token is None
    builder = PacketBuilder(8)
    tracker.write_ack(builder, 0.0, 3)
    assert builder.size == 0
    assert len(write(tracker)[0].ranges) == 50


def test_lost_frame_changes_nothing() -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    receive(tracker, [0, 1])
    _, token = write(tracker)
    assert token is not None
    token.lost()
    assert named(write(tracker)[0]) == {0, 1}


@given(st.lists(st.integers(0, 100), max_size=120))
def test_every_accepted_packet_is_named(numbers: list[int]) -> None:
    tracker = AckTracker(APPLICATION, DELAY)
    accepted: set[int] = set()
    for number in numbers:
        assert tracker.is_duplicate(number) == (number in accepted)
        if number not in accepted:
            accepted.add(number)
            tracker.on_received(number, 0.0, True, 0)
    if accepted:
        assert named(write(tracker)[0]) == accepted


@pytest.mark.parametrize("seed", range(30))
def test_over_a_lossy_network_the_peer_learns_of_everything(seed: int) -> None:
    """Frames get lost, their acknowledgements too, packets are reordered and duplicated: whatever
    was accepted has been named by a frame that arrived, as soon as one of the last frames does."""
    chance = random.Random(seed)
    tracker = AckTracker(APPLICATION, DELAY)
    accepted: set[int] = set()
    learnt: set[int] = set()
    in_flight: list[Token] = []
    upcoming = list(range(400))
    for index in range(len(upcoming)):
        other = min(len(upcoming) - 1, index + chance.choice([0, 0, 0, 1, 2, 5]))
        upcoming[index], upcoming[other] = upcoming[other], upcoming[index]
    for number in upcoming:
        if chance.random() < 0.02:
            continue
        if not tracker.is_duplicate(number):
            accepted.add(number)
            tracker.on_received(number, 0.0, True, 0)
        if chance.random() < 0.3:
            frame, token = write(tracker)
            if chance.random() < 0.7:
                assert named(frame) <= accepted
                learnt |= named(frame)
                if token is not None and chance.random() < 0.7:
                    in_flight.append(token)
        if in_flight and chance.random() < 0.3:
            in_flight.pop(chance.randrange(len(in_flight))).acked()
    learnt |= named(write(tracker)[0])
    assert learnt == accepted
