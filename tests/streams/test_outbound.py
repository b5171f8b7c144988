"""What goes into packets, in which order, and what becomes of it (RFC 9000 section 13.3)."""

from tests.streams.harness import config, limits, make, send, send_all, send_state, sent_frames
from trioquic._protocol.builder import PacketBuilder
from trioquic._protocol.streams.sending_part import SendState
from trioquic._protocol.wire import frames


def test_a_frame_that_fills_the_packet_goes_without_its_length() -> None:
    table = make()
    number = table.open(True)
    table.write(number, bytes(5000))
    builder = PacketBuilder(1000)
    table.write_frames(builder)
    assert builder.room == 0
    assert builder.parts[0][0] == frames.STREAM
    assert builder.ack_eliciting
    assert not builder.only_probing


def test_every_size_of_data_in_every_room() -> None:
    """Near the edges of the length's own size, nothing overflows and nothing is lost."""
    for size in [*range(70), 16382, 16383, 16384, 16385]:
        for room in [*range(35, 75), 1000, *range(16380, 16395)]:
            table = make()
            number = table.open(True)
            table.write(number, bytes(size))
            table.finish(number)
            data = sent_frames(table, room)
            assert sum(len(frame[3]) for frame in data) == size
            assert [frame[4] for frame in data] == [False] * (len(data) - 1) + [True]


def test_no_crumbs_at_the_end_of_a_packet() -> None:
    table = make()
    first, second = table.open(True), table.open(True)
    table.write(first, bytes(80))
    table.write(second, bytes(80))
    packet = send(table, 100)
    assert [frame[1] for frame in packet.frames] == [first]
    assert packet.size == 84


def test_many_small_streams_share_a_packet() -> None:
    table = make()
    numbers = [table.open(True) for _ in range(10)]
    for number in numbers:
        table.write(number, b"%d" % number)
        table.finish(number)
    packet = send(table)
    assert packet.frames == [("STREAM", n, 0, b"%d" % n, True) for n in numbers]
    assert not table.has_pending()


def test_a_lone_fin() -> None:
    table = make(theirs=limits(data=0, stream=0))
    number = table.open(True)
    assert not table.has_pending(), "an open stream is silent until it is used"
    table.finish(number)
    packet = send(table)
    assert packet.frames == [("STREAM", number, 0, b"", True)]
    packet.lost()
    assert sent_frames(table) == [("STREAM", number, 0, b"", True)]


def test_a_lone_fin_in_very_little_room() -> None:
    for room in range(6):
        table = make()
        number = table.open(True)
        table.finish(number)
        packet = send(table, room)
        assert packet.frames == ([("STREAM", number, 0, b"", True)] if room >= 2 else [])


def test_incremental_streams_take_turns_and_others_wait() -> None:
    table = make()
    numbers = [table.open(True) for _ in range(3)]
    for number in numbers:
        table.write(number, bytes(3000))
    order = [packet.frames[0][1] for packet in send_all(table, 1000)]
    assert order[:6] == numbers * 2
    for number in numbers:
        table.set_priority(number, 3, False)
        table.write(number, bytes(3000))
    order = [frame[1] for frame in sent_frames(table, 1000)]
    assert order == sorted(order)


def test_urgency() -> None:
    table = make()
    low, high = table.open(True), table.open(True)
    for number in (low, high):
        table.write(number, bytes(2000))
    table.set_priority(high, 1, True)
    table.set_priority(low, 6, True)
    assert [frame[1] for frame in sent_frames(table, 1000)] == [high] * 3 + [low] * 3
    table.write(low, bytes(10))
    table.set_priority(low, 0, False)
    table.write(high, bytes(10))
    assert [frame[1] for frame in sent_frames(table)] == [low, high]


def test_lost_data_goes_before_new_data_of_the_same_urgency() -> None:
    table = make()
    first, second = table.open(True), table.open(True)
    table.write(first, bytes(100))
    packet = send(table)
    table.write(second, bytes(100))
    table.write(first, bytes(100))
    packet.lost()
    found = [(frame[1], frame[2]) for frame in sent_frames(table)]
    assert found[0] == (first, 0)
    assert set(found[1:]) == {(first, 100), (second, 0)}


def test_urgent_new_data_goes_before_lost_data() -> None:
    table = make()
    lazy, urgent = table.open(True), table.open(True)
    table.set_priority(urgent, 0, True)
    table.write(lazy, bytes(500))
    packet = send(table)
    packet.lost()
    table.write(urgent, bytes(10))
    assert [frame[1] for frame in sent_frames(table)] == [urgent, lazy]


def test_the_streams_limit() -> None:
    table = make(theirs=limits(stream=10))
    number = table.open(True)
    table.write(number, b"0123456789abcdef")
    assert sent_frames(table) == [
        ("STREAM", number, 0, b"0123456789", False),
        ("STREAM_DATA_BLOCKED", number, 10),
    ]
    table.on_max_stream_data_untrusted(number, 9)
    assert not table.has_pending()
    table.write(number, b"g")
    assert not table.has_pending(), "blocked is said once per limit"
    table.finish(number)
    assert not table.has_pending(), "the FIN waits for the data"
    table.on_max_stream_data_untrusted(number, 14)
    assert sent_frames(table) == [
        ("STREAM", number, 10, b"abcd", False),
        ("STREAM_DATA_BLOCKED", number, 14),
    ]
    table.on_max_stream_data_untrusted(number, 100)
    assert sent_frames(table) == [("STREAM", number, 14, b"efg", True)]


def test_the_connections_limit() -> None:
    table = make(theirs=limits(data=10))
    first, second = table.open(True), table.open(True)
    table.write(first, b"012345")
    table.write(second, b"0123456")
    assert sent_frames(table) == [
        ("STREAM", first, 0, b"012345", False),
        ("STREAM", second, 0, b"0123", False),
        ("DATA_BLOCKED", 10),
    ]
    table.write(first, b"678")
    assert not table.has_pending()
    table.on_max_data_untrusted(10)
    assert not table.has_pending()
    table.on_max_data_untrusted(12)
    found = sent_frames(table)
    assert sum(len(frame[3]) for frame in found if frame[0] == "STREAM") == 2
    assert found[-1] == ("DATA_BLOCKED", 12)
    table.on_max_data_untrusted(1000)
    assert sum(len(frame[3]) for frame in sent_frames(table)) == 4


def test_lost_data_and_a_lone_fin_need_no_credit() -> None:
    """Section 4.1: flow control counts offsets, so what goes again is paid already."""
    table = make(theirs=limits(data=10))
    first, second, third = table.open(True), table.open(True), table.open(True)
    table.write(first, b"0123456789")
    packet = send(table)
    table.write(second, b"waits")
    assert sent_frames(table) == [("DATA_BLOCKED", 10)]
    packet.lost()
    table.finish(third)
    assert sent_frames(table) == [
        ("STREAM", first, 0, b"0123456789", False),
        ("STREAM", third, 0, b"", True),
    ]


def test_a_lost_blocked_frame_goes_again_only_while_it_is_true() -> None:
    table = make(theirs=limits(data=10, stream=5, streams=2))
    first, second = table.open(True), table.open(True)
    table.write(first, bytes(6))
    table.write(second, bytes(5))
    table.open(True)
    third = table.open(False)
    table.write(third, b"x")
    blocked = {
        ("STREAM_DATA_BLOCKED", first, 5),
        ("DATA_BLOCKED", 10),
        ("STREAMS_BLOCKED_BIDI", 2),
    }
    packets = send_all(table)
    assert {f for p in packets for f in p.frames if f[0] != "STREAM"} == blocked
    for packet in packets:
        packet.lost()
    again = send_all(table)
    assert {f for p in again for f in p.frames if f[0] != "STREAM"} == blocked
    table.on_max_data_untrusted(11)
    table.on_max_stream_data_untrusted(first, 6)
    table.on_max_streams_untrusted(True, 3)
    send_all(table)
    table.on_max_data_untrusted(100)
    send_all(table)
    for packet in again:
        packet.lost()
    assert {f[0] for f in sent_frames(table)} == {"STREAM"}


def test_a_lost_limit_goes_again_with_the_newest_value() -> None:
    table = make(config(data=100, stream=100))
    number = table.open(True)
    table.on_stream_untrusted(number, 0, bytes(50), False)
    table.read(number, 100, 0.0, 0.0)
    old = send(table)
    assert old.frames == [("MAX_STREAM_DATA", number, 150), ("MAX_DATA", 150)]
    table.on_stream_untrusted(number, 50, bytes(50), False)
    table.read(number, 100, 0.0, 0.0)
    old.lost()
    new = send(table)
    assert new.frames == [("MAX_STREAM_DATA", number, 200), ("MAX_DATA", 200)]
    old.lost()
    assert not table.has_pending(), "the newer one is under way"
    new.lost()
    assert sent_frames(table) == new.frames
    table.on_stream_untrusted(number, 100, b"", True)
    new.lost()
    assert sent_frames(table) == [("MAX_DATA", 200)]


def test_a_lost_stream_limit_goes_again() -> None:
    table = make(config(streams=2))
    for number in (3, 7):
        table.on_stream_untrusted(number, 0, b"", True)
        assert table.at_end(number)
    packet = send(table)
    assert packet.frames[0][0] == "MAX_STREAMS_UNI"
    packet.lost()
    assert sent_frames(table) == packet.frames


def test_control_frames_go_first_and_wait_for_room() -> None:
    table = make()
    numbers = [table.open(True) for _ in range(30)]
    table.write(numbers[0], bytes(2000))
    for number in numbers[1:]:
        table.reset(number, 1)
    found = [frame[0] for frame in sent_frames(table, 40)]
    assert found.count("RESET_STREAM") == 29
    assert found[:29] == ["RESET_STREAM"] * 29


def test_lost_then_acknowledged_is_not_sent_again() -> None:
    table = make()
    number = table.open(False)
    table.write(number, bytes(3000))
    table.finish(number)
    packets = send_all(table, 1000)
    for packet in packets:
        packet.lost()
    assert table.has_pending()
    for packet in packets:
        packet.acked()
    assert not table.has_pending()
    assert send_state(table, number) is SendState.DATA_RECVD


def test_a_probe_may_repeat_what_is_still_under_way() -> None:
    """`lost` while the packet may still arrive, more than once, and in any order."""
    table = make()
    number = table.open(False)
    table.write(number, b"data")
    table.finish(number)
    first = send(table)
    first.lost()
    second = send(table)
    assert second.frames == first.frames
    first.lost()
    third = send(table)
    assert third.frames == first.frames
    second.acked()
    assert table.all_acked(number)
    for packet in (first, third):
        packet.lost()
        packet.acked()
    assert not table.has_pending()


def test_a_reset_stream_leaves_the_schedule() -> None:
    table = make()
    number = table.open(True)
    table.write(number, bytes(3000))
    packets = [send(table, 1000)]
    packets[0].lost()
    table.reset(number, 1)
    assert [frame[0] for frame in sent_frames(table)] == ["RESET_STREAM"]
    packets[0].lost()
    packets[0].acked()
    assert not table.has_pending()
