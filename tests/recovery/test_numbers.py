"""Packet numbers, and acknowledgements that lie about them (RFC 9000 sections 13.1 and 21.4)."""

import itertools
import random

import pytest

from trioquic._protocol.errors import PROTOCOL_VIOLATION, BadPacketError
from trioquic._protocol.recovery.numbers import MAX_SKIPPED, PacketNumbers
from trioquic._protocol.space import APPLICATION, HANDSHAKE, INITIAL

from .driver import Sender, no_randomness, to_ranges


def sent_with_skips(count: int) -> tuple[PacketNumbers, list[int]]:
    numbers = PacketNumbers(random.Random(7).randbytes, skipping=True)
    sent = []
    for _ in range(count):
        number = numbers.take_next()
        numbers.on_sent(number)
        sent.append(number)
    return numbers, sent


def test_numbers_rise_by_one_without_skipping() -> None:
    numbers = PacketNumbers(no_randomness, skipping=False)
    assert [numbers.take_next() for _ in range(5000)] == list(range(5000))


def test_some_numbers_are_left_out_ever_more_rarely() -> None:
    _, sent = sent_with_skips(200_000)
    gaps = [b for a, b in itertools.pairwise(sent) if b != a + 1]
    assert all(b - a in (1, 2) for a, b in itertools.pairwise(sent))
    assert gaps[0] < 100
    assert 20 < len(gaps) < 200


def test_where_is_random() -> None:
    def first_gap(seed: int) -> int:
        numbers = PacketNumbers(random.Random(seed).randbytes, skipping=True)
        return next(n for n in itertools.count() if numbers.take_next() != n)

    assert len({first_gap(seed) for seed in range(20)}) > 5


def test_acknowledging_a_left_out_number_is_a_violation() -> None:
    numbers, sent = sent_with_skips(500)
    assert sent[-1] > 500
    honest = to_ranges(set(sent))
    numbers.check_ack_untrusted(sent[-1], honest)
    missing = honest[1][1] + 1
    for low, high in ((missing, missing), (0, sent[-1]), (missing - 1, missing)):
        with pytest.raises(BadPacketError) as caught:
            numbers.check_ack_untrusted(high, [(low, high)])
        assert caught.value.code == PROTOCOL_VIOLATION
        assert caught.value.frame_type == 0x02


def test_a_number_taken_and_not_used_counts_as_never_sent() -> None:
    sender = Sender()
    sender.send()
    sender.detector.next_packet_number(APPLICATION)
    sender.send()
    assert sender.ack(0, 2) == 2
    with pytest.raises(BadPacketError):
        sender.ack(1)


def test_memory_of_gaps_is_bounded() -> None:
    numbers = PacketNumbers(no_randomness, skipping=False)
    numbers.on_sent(10 * MAX_SKIPPED)
    numbers.on_sent(20 * MAX_SKIPPED)
    with pytest.raises(BadPacketError):
        numbers.check_ack_untrusted(20 * MAX_SKIPPED, [(20 * MAX_SKIPPED - 1, 20 * MAX_SKIPPED)])
    numbers.check_ack_untrusted(20 * MAX_SKIPPED, [(20 * MAX_SKIPPED, 20 * MAX_SKIPPED), (3, 5)])


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE, APPLICATION])
def test_acknowledging_what_was_never_sent_is_a_violation(space: int) -> None:
    sender = Sender(confirmed=False)
    sender.send(3, space=space)
    with pytest.raises(BadPacketError) as caught:
        sender.ack(3, space=space)
    assert caught.value.code == PROTOCOL_VIOLATION
    assert sender.ack(2, space=space) == 1


def test_numbers_must_rise() -> None:
    numbers = PacketNumbers(no_randomness, skipping=False)
    numbers.on_sent(4)
    with pytest.raises(ValueError, match="must rise"):
        numbers.on_sent(4)


def test_hint_is_not_above_the_next_number() -> None:
    sender = Sender()
    for _ in range(300):
        hint = sender.detector.next_number_hint(APPLICATION)
        assert hint <= sender.detector.next_packet_number(APPLICATION)
