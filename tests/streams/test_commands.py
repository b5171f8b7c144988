"""Commands, views and the life of a stream's state, as the application sees them."""

import pytest

from tests.streams.harness import (
    buffered,
    config,
    limits,
    make,
    receive_state,
    send,
    send_all,
    send_state,
    sent_frames,
)
from trioquic._protocol.errors import CommandError
from trioquic._protocol.events import Event, StreamOpened, StreamReadable, StreamWritable
from trioquic._protocol.streams.receiving_part import ReceiveState
from trioquic._protocol.streams.sending_part import SendState
from trioquic._protocol.streams.table import StreamTable


def opened(bidirectional: bool = True) -> tuple[StreamTable, int]:
    table = make()
    return table, table.open(bidirectional)


def deliver(table: StreamTable) -> list[Event]:
    """Everything that is to be sent arrives; the events that this made."""
    for packet in send_all(table):
        packet.acked()
    return table.poll_events()


def test_numbers() -> None:
    table = make()
    assert [table.open(kind) for kind in (True, True, False, False, True)] == [0, 4, 2, 6, 8]


def test_a_request_and_its_answer() -> None:
    table, number = opened()
    assert table.write(number, b"GET /") == 5
    assert buffered(table, number) == 5
    assert not table.all_acked(number)
    table.finish(number)
    assert not table.drained
    assert send_state(table, number) is SendState.READY
    packet = send(table)
    assert packet.frames == [("STREAM", number, 0, b"GET /", True)]
    assert send_state(table, number) is SendState.DATA_SENT
    packet.acked()
    assert table.drained
    assert table.all_acked(number)
    assert table.poll_events() == [StreamWritable(stream_id=number)]
    assert not table.readable(number)
    table.on_stream_untrusted(number, 0, b"200", False)
    assert table.readable(number)
    assert table.poll_events() == [StreamReadable(stream_id=number)]
    assert table.read(number, 2, 0.0, 0.0) == b"20"
    assert table.read(number, 2, 0.0, 0.0) == b"0"
    assert table.read(number, 2, 0.0, 0.0) == b""
    assert not table.at_end(number)
    table.on_stream_untrusted(number, 3, b"", True)
    assert table.poll_events() == [StreamReadable(stream_id=number)]
    assert receive_state(table, number) is ReceiveState.DATA_RECVD
    assert table.at_end(number)
    assert number not in table._streams


def assert_reclaimed(table: StreamTable, number: int) -> None:
    assert number not in table._streams
    if number & 3 != 2:
        assert table.at_end(number)
        assert table.readable(number)
        assert table.read(number, 10, 0.0, 0.0) == b""
        table.stop_sending(number, 1)
        table.on_stream_untrusted(number, 1000, b"late", True)
        table.on_reset_stream_untrusted(number, 5, 9)
        table.on_stream_data_blocked_untrusted(number, 1)
    if number & 3 != 3:
        assert table.all_acked(number)
        assert buffered(table, number) == 0
        assert table.send_room(number) == 0
        table.finish(number)
        table.reset(number, 1)
        table.set_priority(number, 1, False)
        table.on_stop_sending_untrusted(number, 1)
        table.on_max_stream_data_untrusted(number, 1 << 40)
        with pytest.raises(CommandError):
            table.write(number, b"x")
    assert sent_frames(table) == []
    table.poll_events()


def test_a_stream_we_only_send_on() -> None:
    table, number = opened(False)
    table.write(number, b"x")
    table.finish(number)
    assert deliver(table) == [StreamWritable(stream_id=number)]
    assert_reclaimed(table, number)
    assert send_state(table, number) is SendState.DATA_RECVD
    for view in (table.at_end, table.readable, table.reset_code):
        with pytest.raises(CommandError):
            view(number)
    with pytest.raises(CommandError):
        table.read(number, 1, 0.0, 0.0)
    with pytest.raises(CommandError):
        table.stop_sending(number, 1)


def test_a_stream_we_only_receive_on() -> None:
    table = make()
    table.on_stream_untrusted(3, 0, b"hello", True)
    assert table.poll_events() == [StreamOpened(stream_id=3), StreamReadable(stream_id=3)]
    with pytest.raises(CommandError):
        table.write(3, b"x")
    with pytest.raises(CommandError):
        table.finish(3)
    with pytest.raises(CommandError):
        table.reset(3, 0)
    with pytest.raises(CommandError):
        table.set_priority(3, 0, True)
    assert table.read(3, 100, 0.0, 0.0) == b"hello"
    assert_reclaimed(table, 3)
    assert receive_state(table, 3) is ReceiveState.DATA_READ


def test_a_stream_of_the_peers_both_ways() -> None:
    table = make()
    table.on_stream_untrusted(1, 0, b"?", True)
    assert table.read(1, 100, 0.0, 0.0) == b"?"
    assert 1 in table._streams, "the sending half still lives"
    table.write(1, b"!")
    table.finish(1)
    deliver(table)
    assert_reclaimed(table, 1)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 400, -1, -4])
def test_a_stream_that_never_was(number: int) -> None:
    table = make()
    for command in (
        lambda: table.write(number, b"x"),
        lambda: table.finish(number),
        lambda: table.reset(number, 0),
        lambda: table.stop_sending(number, 0),
        lambda: table.read(number, 1, 0.0, 0.0),
        lambda: table.at_end(number),
        lambda: table.send_room(number),
        lambda: table.set_priority(number, 3, True),
    ):
        with pytest.raises(CommandError):
            command()


def test_write_takes_what_the_buffer_has_room_for() -> None:
    ours = config()
    ours.send_buffer = 100
    table = make(ours)
    number = table.open(True)
    data = bytes(range(250))
    assert table.write(number, data) == 100
    assert table.send_room(number) == 0
    assert table.write(number, data, 100) == 0
    assert deliver(table) == [StreamWritable(stream_id=number)]
    assert table.write(number, data, 100) == 100
    assert table.write(number, data, 200) == 0
    assert [frame[3] for frame in sent_frames(table)] == [data[100:200]]


def test_the_writer_is_woken_once_a_quarter_of_the_buffer_is_free() -> None:
    ours = config()
    ours.send_buffer = 4000
    table = make(ours)
    number = table.open(True)
    table.write(number, bytes(4000))
    packets = send_all(table, 500)
    woken = []
    for packet in packets:
        packet.acked()
        woken.append(bool(table.poll_events()))
    room_before = 0
    for packet, event in zip(packets, woken, strict=True):
        room = room_before + len(packet.frames[0][3])
        assert event == (room_before < 1000 <= room or room == 4000)
        room_before = room


def test_the_peer_resets() -> None:
    table, number = opened()
    table.on_stream_untrusted(number, 0, b"lost", False)
    table.poll_events()
    table.on_reset_stream_untrusted(number, 77, 10)
    assert table.poll_events() == [StreamReadable(stream_id=number)]
    assert receive_state(table, number) is ReceiveState.RESET_RECVD
    assert table.readable(number)
    assert table.read(number, 10, 0.0, 0.0) == b""
    assert not table.at_end(number)
    assert table.reset_code(number) == 77
    assert receive_state(table, number) is ReceiveState.RESET_READ
    table.finish(number)
    deliver(table)
    assert_reclaimed(table, number)
    assert table.reset_code(number) == 77
    assert receive_state(table, number) is ReceiveState.RESET_READ


def test_a_reset_gives_the_connections_credit_back() -> None:
    table = make(config(data=100, stream=100))
    number = table.open(True)
    table.on_stream_untrusted(number, 0, bytes(30), False)
    table.on_reset_stream_untrusted(number, 0, 90)
    assert sent_frames(table) == [("MAX_DATA", 190)]


def test_a_reset_after_all_data_is_here_loses_nothing() -> None:
    table, number = opened()
    table.on_stream_untrusted(number, 0, b"data", True)
    table.on_reset_stream_untrusted(number, 77, 4)
    assert table.reset_code(number) is None
    assert table.read(number, 10, 0.0, 0.0) == b"data"
    assert table.at_end(number)


def test_we_reset() -> None:
    table, number = opened()
    table.write(number, bytes(5000))
    packet = send(table, 1000)
    sent = len(packet.frames[0][3])
    table.finish(number)
    table.reset(number, 42)
    table.reset(number, 43)
    assert table.drained
    assert not table.all_acked(number)
    packet.lost()
    reset = send(table)
    assert reset.frames == [("RESET_STREAM", number, 42, sent)]
    assert send_state(table, number) is SendState.RESET_SENT
    with pytest.raises(CommandError):
        table.write(number, b"x")
    with pytest.raises(CommandError):
        table.finish(number)
    reset.lost()
    assert deliver(table) == [StreamWritable(stream_id=number)]
    assert send_state(table, number) is SendState.RESET_RECVD
    assert table.all_acked(number)
    reset.lost()
    assert not table.has_pending()
    table.on_stream_untrusted(number, 0, b"", True)
    assert table.at_end(number)
    assert_reclaimed(table, number)


def test_a_reset_after_everything_arrived_is_too_late() -> None:
    table, number = opened()
    table.finish(number)
    deliver(table)
    table.reset(number, 1)
    assert sent_frames(table) == []
    assert send_state(table, number) is SendState.DATA_RECVD


def test_the_peer_stops_us() -> None:
    table, number = opened()
    table.write(number, bytes(100))
    send(table)
    table.on_stop_sending_untrusted(number, 99)
    assert table.poll_events() == [StreamWritable(stream_id=number)]
    assert table.stop_code(number) == 99
    with pytest.raises(CommandError, match="99"):
        table.write(number, b"x")
    with pytest.raises(CommandError, match="99"):
        table.finish(number)
    table.on_stop_sending_untrusted(number, 98)
    packet = send(table)
    assert packet.frames == [("RESET_STREAM", number, 99, 100)]
    packet.acked()
    table.on_stream_untrusted(number, 0, b"", True)
    assert table.read(number, 1, 0.0, 0.0) == b""
    assert_reclaimed(table, number)
    assert table.stop_code(number) == 99
    assert send_state(table, number) is SendState.RESET_RECVD


def test_a_stop_after_all_arrived_or_after_our_reset_changes_nothing() -> None:
    table, number = opened()
    table.finish(number)
    deliver(table)
    table.on_stop_sending_untrusted(number, 99)
    assert table.stop_code(number) is None
    other = table.open(True)
    table.reset(other, 1)
    table.on_stop_sending_untrusted(other, 99)
    assert table.stop_code(other) is None
    assert sent_frames(table) == [("RESET_STREAM", other, 1, 0)]


def test_we_stop_the_peer() -> None:
    table = make(config(data=100, stream=100))
    number = table.open(True)
    table.on_stream_untrusted(number, 0, bytes(30), False)
    table.poll_events()
    table.stop_sending(number, 5)
    table.stop_sending(number, 6)
    assert sent_frames(table) == [("STOP_SENDING", number, 5)]
    with pytest.raises(CommandError):
        table.read(number, 1, 0.0, 0.0)
    assert not table.readable(number)
    # what still comes is counted, and its credit given back at once
    table.on_stream_untrusted(number, 30, bytes(30), False)
    assert table.poll_events() == []
    assert sent_frames(table) == [("MAX_DATA", 160)]
    table.finish(number)
    deliver(table)
    assert number in table._streams, "the final size is not known yet"
    table.on_reset_stream_untrusted(number, 5, 70)
    assert table.poll_events() == []
    assert_reclaimed(table, number)
    assert table._window.consumed == table._window.received == 70


def test_a_stopped_stream_ends_with_a_fin_as_well() -> None:
    table = make()
    table.on_stream_untrusted(3, 0, b"x", False)
    table.stop_sending(3, 5)
    table.on_stream_untrusted(3, 10, b"end", True)
    assert_reclaimed(table, 3)
    assert table._window.consumed == table._window.received == 13


def test_a_stop_when_the_size_is_known_needs_no_frame() -> None:
    table = make()
    table.on_stream_untrusted(3, 10, b"end", True)
    table.stop_sending(3, 5)
    assert_reclaimed(table, 3)
    assert table._window.consumed == table._window.received == 13


def test_a_lost_stop_goes_again_while_it_matters() -> None:
    table, number = opened()
    table.stop_sending(number, 5)
    packet = send(table)
    packet.lost()
    packet = send(table)
    assert packet.frames == [("STOP_SENDING", number, 5)]
    table.on_reset_stream_untrusted(number, 5, 0)
    packet.lost()
    assert not table.has_pending()


def test_drained_waits_for_finished_streams_only() -> None:
    table = make()
    done, other = table.open(True), table.open(True)
    table.write(other, b"unfinished")
    assert table.drained
    table.write(done, b"finished")
    table.finish(done)
    assert not table.drained
    first = send(table)
    first.lost()
    assert not table.drained
    deliver(table)
    assert table.drained


def test_events_come_once_per_stream_and_poll() -> None:
    table, number = opened()
    for offset in range(5):
        table.on_stream_untrusted(number, offset, b"x", False)
    assert table.poll_events() == [StreamReadable(stream_id=number)]
    assert table.poll_events() == []
    table.on_stream_untrusted(number, 6, b"x", False)
    table.read(number, 10, 0.0, 0.0)
    table.on_stream_untrusted(number, 7, b"x", False)
    assert table.poll_events() == [StreamReadable(stream_id=number)]
    table.read(number, 10, 0.0, 0.0)
    table.on_stream_untrusted(number, 9, b"x", False)
    assert table.poll_events() == [], "a gap; the reader would find nothing"


@pytest.mark.parametrize("urgency", [-1, 8])
def test_an_urgency_that_does_not_exist(urgency: int) -> None:
    table, number = opened()
    with pytest.raises(CommandError):
        table.set_priority(number, urgency, True)


def test_the_codes_of_reclaimed_streams_are_remembered_within_bounds() -> None:
    table = make(theirs=limits(streams=3000))
    for _ in range(1500):
        number = table.open(True)
        table.on_reset_stream_untrusted(number, 6, 0)
        assert table.reset_code(number) == 6
        table.finish(number)
        deliver(table)
    assert not table._streams
    assert table.reset_code(number) == 6
    assert table.reset_code(0) is None
    assert table.at_end(0)
