"""The queues of `_protocol/datagrams.py`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioquic._protocol.builder import PacketBuilder
from trioquic._protocol.datagrams import DatagramOutcome, Datagrams, Receipt
from trioquic._protocol.errors import BadPacketError
from trioquic._protocol.events import DatagramReadable, DatagramSettled, Event
from trioquic._protocol.wire.frames import (
    DATAGRAM,
    DATAGRAM_WITH_LENGTH,
    encode_datagram_header,
    parse_datagram_untrusted,
)

ROOM = 1170


def make(*, buffer: int = 4, limit: int = 65535) -> tuple[Datagrams, list[Event]]:
    events: list[Event] = []
    datagrams = Datagrams(True, buffer, events)
    datagrams.apply_peer_limit(limit)
    return datagrams, events


@pytest.mark.parametrize("size", [0, 1, 63, 64, 16383, 16384, 60000])
def test_the_frame(size: int) -> None:
    frame = encode_datagram_header(size) + bytes(size)
    end = len(frame)
    assert frame[0] == DATAGRAM_WITH_LENGTH
    place = parse_datagram_untrusted(frame + b"more", frame[0], 1, end + 4)
    assert place == (end - size, end)
    assert parse_datagram_untrusted(bytes(size + 1), DATAGRAM, 1, size + 1) == (1, size + 1)


def test_a_frame_that_is_cut_short() -> None:
    with pytest.raises(BadPacketError):
        parse_datagram_untrusted(b"\x31\x05abcde", DATAGRAM_WITH_LENGTH, 1, 6)


@given(st.integers(0, 70_000), st.integers(0, 70_000))
def test_the_largest_fits_and_one_more_does_not(limit: int, room: int) -> None:
    datagrams, _ = make(limit=limit)
    largest = datagrams.largest(room)
    most = min(limit, room)
    if largest:
        assert largest + len(encode_datagram_header(largest)) <= most
    # a byte more fits only where the length itself would take two bytes more
    assert largest + 1 + len(encode_datagram_header(largest + 1)) > most or most < 4


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_not_even_an_empty_one_where_the_peer_takes_none(limit: int) -> None:
    """RFC 9221 section 3. It took some when this was written, before early data was refused."""
    datagrams, _ = make()
    receipt = datagrams.send(b"")
    datagrams.apply_peer_limit(limit)
    builder = PacketBuilder(ROOM)
    datagrams.write_frames(builder, ROOM)
    assert builder.parts == []
    assert receipt.outcome is DatagramOutcome.DROPPED


def test_they_leave_in_order_as_many_as_fit() -> None:
    datagrams, _ = make()
    receipts = [datagrams.send(bytes([number]) * 500) for number in range(3)]
    builder = PacketBuilder(ROOM)
    datagrams.write_frames(builder, ROOM)
    assert [part[0] for part in builder.parts[1::2]] == [0, 1]
    assert [receipt.outcome for receipt in receipts] == [
        DatagramOutcome.SENT,
        DatagramOutcome.SENT,
        DatagramOutcome.QUEUED,
    ]
    assert datagrams.has_pending()
    builder.tokens[0].acked()
    builder.tokens[1].lost()
    assert receipts[0].outcome is DatagramOutcome.ACKNOWLEDGED
    assert receipts[1].outcome is DatagramOutcome.LOST
    assert (datagrams.sent, datagrams.lost) == (2, 1)


def test_a_loss_that_was_none() -> None:
    datagrams, _ = make()
    receipt = datagrams.send(b"late")
    builder = PacketBuilder(ROOM)
    datagrams.write_frames(builder, ROOM)
    builder.tokens[0].lost()
    builder.tokens[0].acked()
    assert receipt.outcome is DatagramOutcome.ACKNOWLEDGED
    assert datagrams.lost == 1


def test_the_oldest_makes_room() -> None:
    datagrams, events = make(buffer=2)
    receipts: list[Receipt] = [datagrams.send(b"a")]
    receipts[0].on_awaited()
    receipts += [datagrams.send(b"b"), datagrams.send(b"c")]
    assert receipts[0].outcome is DatagramOutcome.DROPPED
    assert [type(event) for event in events] == [DatagramSettled]
    assert datagrams.dropped_sending == 1
    builder = PacketBuilder(ROOM)
    datagrams.write_frames(builder, ROOM)
    assert builder.parts[1::2] == [b"b", b"c"]


def test_what_does_not_fit_the_new_path_is_dropped() -> None:
    datagrams, _ = make()
    large, small = datagrams.send(bytes(1400)), datagrams.send(b"small")
    builder = PacketBuilder(ROOM)
    datagrams.write_frames(builder, ROOM)
    assert large.outcome is DatagramOutcome.DROPPED
    assert small.outcome is DatagramOutcome.SENT
    assert datagrams.dropped_sending == 1


def test_what_does_not_fit_this_packet_waits_for_the_next() -> None:
    datagrams, _ = make()
    receipt = datagrams.send(bytes(1000))
    builder = PacketBuilder(500)
    datagrams.write_frames(builder, ROOM)
    assert builder.size == 0
    assert receipt.outcome is DatagramOutcome.QUEUED
    assert datagrams.has_pending()


def test_a_reader_that_falls_behind_loses_the_oldest() -> None:
    datagrams, events = make(buffer=3)
    for number in range(5):
        datagrams.on_datagram_untrusted(bytes([number]))
    assert [type(event) for event in events] == [DatagramReadable] * 3, "as many as can be read"
    assert [datagrams.take() for _ in range(4)] == [b"\2", b"\3", b"\4", None]
    assert (datagrams.received, datagrams.dropped_receiving) == (5, 2)


def test_large_ones_have_a_bound_in_bytes() -> None:
    """attacks: no flow control counts them."""
    datagrams, events = make(buffer=256)
    for number in range(200):
        datagrams.on_datagram_untrusted(bytes([number]) + bytes(15_999))
    held = []
    while (data := datagrams.take()) is not None:
        held.append(data)
    assert sum(map(len, held)) <= 1 << 20
    assert [data[0] for data in held] == list(range(200 - len(held), 200))
    assert datagrams.dropped_receiving == 200 - len(held) == 200 - len(events)
    datagrams.on_datagram_untrusted(b"news")
    assert datagrams.take() == b"news"


def test_nothing_is_accepted_that_was_not_offered() -> None:
    datagrams = Datagrams(False, 4, [])
    with pytest.raises(BadPacketError):
        datagrams.on_datagram_untrusted(b"")
    assert not datagrams.supported
    assert datagrams.largest(ROOM) == 0
