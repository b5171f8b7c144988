"""What the peer may not do: limits, directions, final sizes (RFC 9000 sections 3, 4, 19)."""

import pytest

from tests.streams.harness import config, limits, make, refused, send_all, sent_frames
from trioquic._protocol.errors import (
    FINAL_SIZE_ERROR,
    FLOW_CONTROL_ERROR,
    STREAM_LIMIT_ERROR,
    STREAM_STATE_ERROR,
)
from trioquic._protocol.events import StreamOpened, StreamsAvailable
from trioquic._protocol.streams.table import StreamTable

OURS_BIDI, PEER_BIDI, OURS_UNI, PEER_UNI = 0, 1, 2, 3


def table_with_our_streams() -> StreamTable:
    table = make(config(data=100, stream=60, streams=5))
    assert table.open(True) == OURS_BIDI
    assert table.open(False) == OURS_UNI
    return table


def frame(table: StreamTable, name: str, number: int) -> None:
    """One harmless frame of each kind about a stream."""
    if name == "STREAM":
        table.on_stream_untrusted(number, 0, b"x", False)
    elif name == "RESET_STREAM":
        table.on_reset_stream_untrusted(number, 1, 1)
    elif name == "STREAM_DATA_BLOCKED":
        table.on_stream_data_blocked_untrusted(number, 1)
    elif name == "STOP_SENDING":
        table.on_stop_sending_untrusted(number, 1)
    else:
        table.on_max_stream_data_untrusted(number, 1 << 30)


TO_RECEIVER = ["STREAM", "RESET_STREAM", "STREAM_DATA_BLOCKED"]
TO_SENDER = ["STOP_SENDING", "MAX_STREAM_DATA"]


@pytest.mark.parametrize("name", TO_RECEIVER)
def test_a_frame_about_receiving_on_a_stream_that_only_we_send_on(name: str) -> None:
    with refused(STREAM_STATE_ERROR):
        frame(table_with_our_streams(), name, OURS_UNI)
    with refused(STREAM_STATE_ERROR):
        frame(table_with_our_streams(), name, OURS_UNI + 4)


@pytest.mark.parametrize("name", TO_SENDER)
def test_a_frame_about_sending_on_a_stream_that_only_the_peer_sends_on(name: str) -> None:
    with refused(STREAM_STATE_ERROR):
        frame(table_with_our_streams(), name, PEER_UNI)
    table = table_with_our_streams()
    table.on_stream_untrusted(PEER_UNI, 0, b"x", False)
    with refused(STREAM_STATE_ERROR):
        frame(table, name, PEER_UNI)


@pytest.mark.parametrize("name", TO_RECEIVER + TO_SENDER)
def test_a_frame_about_a_stream_of_ours_that_we_did_not_open(name: str) -> None:
    with refused(STREAM_STATE_ERROR):
        frame(table_with_our_streams(), name, OURS_BIDI + 4)
    if name in TO_SENDER:
        with refused(STREAM_STATE_ERROR):
            frame(table_with_our_streams(), name, OURS_UNI + 4)


@pytest.mark.parametrize("name", TO_RECEIVER + TO_SENDER)
def test_a_stream_of_the_peers_beyond_the_limit(name: str) -> None:
    table = table_with_our_streams()
    with refused(STREAM_LIMIT_ERROR):
        frame(table, name, PEER_BIDI + 4 * 5)
    frame(table, name, PEER_BIDI + 4 * 4)
    if name in TO_RECEIVER:
        with refused(STREAM_LIMIT_ERROR):
            frame(table, name, PEER_UNI + 4 * 5)
    with refused(STREAM_LIMIT_ERROR):
        frame(table, name, (1 << 62) - 3)


@pytest.mark.parametrize("name", TO_RECEIVER + TO_SENDER)
def test_any_frame_opens_a_stream_of_the_peers_and_all_lower_ones(name: str) -> None:
    table = table_with_our_streams()
    frame(table, name, PEER_BIDI + 8)
    opened = [event for event in table.poll_events() if isinstance(event, StreamOpened)]
    assert [event.stream_id for event in opened] == [1, 5, 9]
    frame(table, name, PEER_BIDI)
    frame(table, name, PEER_BIDI + 8)
    assert not any(isinstance(event, StreamOpened) for event in table.poll_events())


def test_beyond_the_limit_of_the_stream() -> None:
    table = table_with_our_streams()
    table.on_stream_untrusted(OURS_BIDI, 0, bytes(60), False)
    with refused(FLOW_CONTROL_ERROR):
        table.on_stream_untrusted(OURS_BIDI, 60, b"x", False)
    with refused(FLOW_CONTROL_ERROR):
        table.on_stream_untrusted(PEER_UNI, (1 << 62) - 2, b"x", False)


def test_beyond_the_limit_of_the_connection() -> None:
    table = table_with_our_streams()
    table.on_stream_untrusted(OURS_BIDI, 0, bytes(60), False)
    table.on_stream_untrusted(PEER_BIDI, 30, bytes(10), False)
    table.on_stream_untrusted(PEER_BIDI, 0, bytes(40), False)
    with refused(FLOW_CONTROL_ERROR):
        table.on_stream_untrusted(PEER_UNI, 0, b"x", False)


def test_the_connections_limit_counts_offsets_and_not_bytes() -> None:
    table = table_with_our_streams()
    table.on_stream_untrusted(OURS_BIDI, 59, b"x", False)
    with refused(FLOW_CONTROL_ERROR):
        table.on_stream_untrusted(PEER_BIDI, 40, b"x", False)


def test_a_reset_counts_its_final_size() -> None:
    table = table_with_our_streams()
    table.on_stream_untrusted(OURS_BIDI, 0, bytes(60), False)
    with refused(FLOW_CONTROL_ERROR):
        table.on_reset_stream_untrusted(PEER_BIDI, 0, 41)
    with refused(FLOW_CONTROL_ERROR):
        table.on_reset_stream_untrusted(PEER_BIDI + 4, 0, 61)


def test_final_sizes() -> None:
    table = table_with_our_streams()
    table.on_stream_untrusted(PEER_UNI, 0, b"abc", True)
    with refused(FINAL_SIZE_ERROR):
        table.on_stream_untrusted(PEER_UNI, 3, b"d", False)
    with refused(FINAL_SIZE_ERROR):
        table.on_reset_stream_untrusted(PEER_UNI, 0, 2)


def test_data_that_nobody_reads_moves_no_limit() -> None:
    """attacks: credit grows with consumed bytes only."""
    table = table_with_our_streams()
    table.on_stream_untrusted(OURS_BIDI, 0, bytes(60), False)
    table.on_stream_untrusted(PEER_BIDI, 0, bytes(40), False)
    table.on_stream_data_blocked_untrusted(OURS_BIDI, 60)
    assert sent_frames(table) == []


def test_reading_moves_both_limits() -> None:
    table = table_with_our_streams()
    table.on_stream_untrusted(OURS_BIDI, 0, bytes(50), False)
    assert len(table.read(OURS_BIDI, 29, 1.0, 0.0)) == 29
    assert sent_frames(table) == []
    assert len(table.read(OURS_BIDI, 21, 1.0, 0.0)) == 21
    assert sent_frames(table) == [("MAX_STREAM_DATA", OURS_BIDI, 110), ("MAX_DATA", 150)]
    table.on_stream_untrusted(OURS_BIDI, 109, b"x", False)
    with refused(FLOW_CONTROL_ERROR):
        table.on_stream_untrusted(OURS_BIDI, 110, b"x", False)


def test_no_more_stream_credit_once_the_size_is_known() -> None:
    table = table_with_our_streams()
    table.on_stream_untrusted(OURS_BIDI, 0, bytes(60), True)
    table.read(OURS_BIDI, 60, 1.0, 0.0)
    assert sent_frames(table) == [("MAX_DATA", 160)]


def test_a_fast_reader_gets_larger_windows() -> None:
    ours = config(data=1000, stream=1000)
    ours.max_data_window = 8000
    ours.max_stream_window = 4000
    table = make(ours)
    number = table.open(True)
    offset = 0
    limit = data_limit = 1000
    for step in range(20):
        table.on_stream_untrusted(number, offset, bytes(limit - offset), False)
        offset = limit
        table.read(number, 10_000, step * 0.01, 0.1)
        sent = {name: value for name, *_rest, value in sent_frames(table)}
        limit = sent["MAX_STREAM_DATA"]
        data_limit = sent.get("MAX_DATA", data_limit)
        assert data_limit >= limit, "the connection holds a single stream up"
    assert limit - offset == 4000
    assert 4000 < data_limit - offset <= 8000


def test_streams_that_the_peer_opened_give_credit_back_when_they_are_reclaimed() -> None:
    table = make(config(streams=4))
    for index in range(4):
        table.on_stream_untrusted(PEER_UNI + 4 * index, 0, b"x", True)
    assert sent_frames(table) == []
    for index in range(3):
        assert table.read(PEER_UNI + 4 * index, 10, 1.0, 0.0) == b"x"
    assert sent_frames(table) == [("MAX_STREAMS_UNI", 7)]
    table.on_stream_untrusted(PEER_UNI + 4 * 6, 0, b"x", True)
    with refused(STREAM_LIMIT_ERROR):
        table.on_stream_untrusted(PEER_UNI + 4 * 7, 0, b"x", True)


def test_reset_churn_gives_no_credit_until_the_application_looks() -> None:
    """attacks: reset churn and an application that does not read; the state stays bounded."""
    table = make(config(streams=4))
    for index in range(4):
        table.on_reset_stream_untrusted(PEER_UNI + 4 * index, 7, 0)
    with refused(STREAM_LIMIT_ERROR):
        table.on_reset_stream_untrusted(PEER_UNI + 16, 7, 0)
    assert sent_frames(table) == []
    assert table.reset_code(PEER_UNI) == 7
    assert sent_frames(table) == [("MAX_STREAMS_UNI", 5)]


def test_thousands_of_streams_come_and_go() -> None:
    table = make(config(streams=4))
    limit = 4
    for index in range(3000):
        assert index < limit
        table.on_stream_untrusted(PEER_BIDI + 4 * index, 0, b"q", True)
        number = PEER_BIDI + 4 * index
        assert table.read(number, 10, 1.0, 0.0) == b"q"
        table.reset(number, 1)
        sent = []
        while table.has_pending():
            for packet in send_all(table):
                sent += packet.frames
                packet.acked()
        limit = max([limit, *(frame[1] for frame in sent if frame[0] == "MAX_STREAMS_BIDI")])
    assert not table._streams
    assert len(table._inventory._codes) <= 1024


def test_we_open_as_many_streams_as_the_peer_allows() -> None:
    table = make(theirs=limits(streams=2))
    assert [table.open(True), table.open(True), table.open(True), table.open(True)] == [
        0,
        4,
        -1,
        -1,
    ]
    assert [table.open(False), table.open(False), table.open(False)] == [2, 6, -1]
    table.poll_events()
    assert sent_frames(table) == [("STREAMS_BLOCKED_BIDI", 2), ("STREAMS_BLOCKED_UNI", 2)]
    table.on_max_streams_untrusted(True, 1)
    assert table.open(True) == -1
    assert table.poll_events() == []
    assert sent_frames(table) == [], "once per limit"
    table.on_max_streams_untrusted(True, 3)
    assert table.poll_events() == [StreamsAvailable(bidirectional=True)]
    assert table.open(True) == 8
    assert table.open(True) == -1
    assert sent_frames(table) == [("STREAMS_BLOCKED_BIDI", 3)]


def test_a_blocked_frame_is_dropped_when_the_credit_came_first() -> None:
    table = make(theirs=limits(streams=0))
    assert table.open(True) == -1
    table.on_max_streams_untrusted(True, 1)
    assert sent_frames(table) == []


def test_no_streams_before_the_handshake() -> None:
    table = StreamTable(config())
    assert table.open(True) == -1
    table.apply_peer_limits(limits(streams=1))
    assert table.poll_events() == [
        StreamsAvailable(bidirectional=True),
        StreamsAvailable(bidirectional=False),
    ]
    assert table.open(True) == 0


def test_the_peers_parameters_are_from_its_point_of_view() -> None:
    """Section 18.2: "remote" in the peer's parameters are the streams that we open."""
    theirs = limits()
    theirs.initial_max_stream_data_bidi_remote = 10
    theirs.initial_max_stream_data_bidi_local = 20
    theirs.initial_max_stream_data_uni = 30
    table = make(theirs=theirs)
    table.open(True)
    table.open(False)
    table.on_stream_untrusted(PEER_BIDI, 0, b"", False)
    for number, limit in ((OURS_BIDI, 10), (PEER_BIDI, 20), (OURS_UNI, 30)):
        table.write(number, bytes(100))
        assert sum(len(f[3]) for f in sent_frames(table) if f[0] == "STREAM") == limit


def test_what_a_stream_takes_at_first_is_the_same_for_all_kinds() -> None:
    table = make(config(stream=10))
    table.open(True)
    for number in (OURS_BIDI, PEER_BIDI, PEER_UNI):
        table.on_stream_untrusted(number, 0, bytes(10), False)
        with refused(FLOW_CONTROL_ERROR):
            table.on_stream_untrusted(number, 10, b"x", False)
