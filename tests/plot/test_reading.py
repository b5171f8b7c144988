"""What is read from traces: ours, others', damaged ones and too large ones."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from trioquic import plot
from trioquic.plot import _records
from trioquic.plot._model import MOST_POINTS
from trioquic.plot._progress import Outstanding

from .stories import CUT_AT, DOWNLOAD, KIB, UPLOAD, Story, download, tell, upload, wandering


@pytest.fixture
def trace_file(trace_files: dict[Story, Path]) -> Path:
    return trace_files[download]


def test_a_download_whose_path_is_cut(trace_file: Path) -> None:
    trace = plot.read_trace(trace_file)
    assert trace.title == f"trioquic {trace_file.name.partition('_')[0]}"
    assert trace.server == "198.51.100.1:4433"
    assert trace.ending == "closed by this side"
    assert not trace.upload and trace.damaged == 0 and trace.incomplete_from is None
    assert trace.progress.last == DOWNLOAD
    (move,) = trace.moves
    wifi, cellular = trace.paths[:2]
    assert (wifi.name, cellular.name) == ("wlan0", "wwan0")
    assert (move.old, move.new) == (wifi.key, cellular.key)
    assert move.cause == "no answer for 1 PTO"
    assert move.rtt == pytest.approx(0.08, abs=0.01)
    # nothing came from the cut on; the server goes on one round trip after the move
    assert move.gap is not None
    assert CUT_AT <= move.gap.start <= CUT_AT + 0.1
    assert move.gap.start < move.time < move.gap.end
    assert move.time + 0.08 <= move.gap.end <= move.time + 0.25
    assert [span.state for span in wifi.spans if span.start < CUT_AT][-1] == "active"
    assert [span.state for span in cellular.spans] == ["probing", "validated", "active"]
    assert cellular.spans[-1].start == pytest.approx(move.time, abs=0.001)
    asked, answered = cellular.challenges[0], cellular.responses[0]
    assert answered - asked == pytest.approx(0.08, abs=0.01)
    # Wi-Fi was asked whether it is really gone
    assert wifi.challenges and not wifi.responses
    assert max(time for time, _ in move.detail) > move.gap.end


class Counted(int):
    """Counts how often it is compared."""

    comparisons = 0

    def __lt__(self, other: int) -> bool:
        Counted.comparisons += 1
        return int(self) < int(other)

    def __le__(self, other: int) -> bool:
        Counted.comparisons += 1
        return int(self) <= int(other)

    def __gt__(self, other: int) -> bool:
        Counted.comparisons += 1
        return int(self) > int(other)

    def __ge__(self, other: int) -> bool:
        Counted.comparisons += 1
        return int(self) >= int(other)

    __hash__ = int.__hash__


def test_what_was_acknowledged_before_costs_next_to_nothing() -> None:
    """ACK frames repeat themselves, with many ranges, while much is under way or lost."""
    outstanding = Outstanding()
    packets, under_way = 4000, 2000
    for number in range(packets):
        outstanding.sent(Counted(number), 1)
    # every other packet was lost
    ranges = [(number, number) for number in range(0, packets - under_way, 2)]
    assert outstanding.acked(ranges) == len(ranges)
    Counted.comparisons = 0
    last = ranges[-64:]
    for number in range(packets - under_way, packets, 2):
        last = [*last[1:], (number, number)]
        assert outstanding.acked(last) == 1
    # two searches for each range, by halves
    assert Counted.comparisons < under_way / 2 * 64 * 2 * 13


def acked_one_by_one(sizes: dict[int, int], ranges: list[tuple[int, int]]) -> int:
    """What `Outstanding.acked` means."""
    largest = max(high for _, high in ranges)
    found = [n for n in sizes if any(low <= n <= high for low, high in ranges)]
    gained = sum([sizes.pop(number) for number in found])
    for number in [n for n in sizes if n < largest - (1 << 14)]:
        del sizes[number]
    return gained


@pytest.mark.parametrize("seed", range(5))
def test_what_acknowledgements_bring(seed: int) -> None:
    dice = random.Random(seed)
    outstanding, sizes, top = Outstanding(), dict[int, int](), 0
    for _ in range(300):
        for _ in range(dice.randrange(20)):
            top += dice.choice((1, 1, 1, 2, 5000))
            # in others' traces numbers come in any order, and twice
            number = dice.choice((top, top, top, max(0, top - dice.randrange(50))))
            size = dice.randrange(1, 1500)
            outstanding.sent(number, size)
            sizes[number] = size
        ranges = []
        for _ in range(dice.randrange(1, 6)):
            low = max(0, top - dice.randrange(60))
            ranges.append((low, low + dice.randrange(-2, 12)))
        assert outstanding.acked(ranges) == acked_one_by_one(sizes, ranges)
    assert outstanding.acked([]) == 0


def test_an_upload_progresses_by_acknowledgements(trace_files: dict[Story, Path]) -> None:
    trace = plot.read_trace(trace_files[upload])
    assert trace.upload
    # data that was sent twice may be acknowledged twice
    assert UPLOAD <= trace.progress.last < 1.2 * UPLOAD
    (move,) = trace.moves
    assert move.gap is not None and 0.08 < move.gap.length < 1
    windows = [value for _, value in trace.paths[1].window.points]
    # Slow start doubles it in the one round trip that the rest of the upload takes; nothing is
    # acknowledged that was sent beyond the window.
    assert max(windows) == 2 * windows[0]


def test_a_full_trace_says_from_when_on(tmp_path: Path) -> None:
    trace = plot.read_trace(tell(download, tmp_path / "traces", limit=128 * KIB))
    assert trace.incomplete_from is not None
    assert trace.progress.last < DOWNLOAD
    assert len(trace.moves) == 1


def test_the_rtt_that_a_gap_is_measured_in(tmp_path: Path) -> None:
    """That of the new path at the handover, if it was measured there; not that of long after."""

    def validated(time: float, rtt: float) -> dict[str, Any]:
        return {"time": time, "name": "trioquic:path_validated", "tuple": "1", "data": {"rtt": rtt}}

    migrated = {"time": 500, "name": "trioquic:migrated", "data": {"old": "0", "new": "1"}}
    before, at, after = validated(10, 120), validated(580, 80), validated(9000, 30)
    for events, rtt in (([before, migrated, after], 0.12), ([before, migrated, at, after], 0.08)):
        trace = plot.read_trace(sequence(tmp_path / "x.sqlog", HEADER, events))
        assert [move.rtt for move in trace.moves] == [rtt]


def test_many_handovers(trace_files: dict[Story, Path]) -> None:
    trace = plot.read_trace(trace_files[wandering])
    assert len(trace.moves) == 10
    for before, after in zip(trace.moves, trace.moves[1:], strict=False):
        assert before.new == after.old
        assert before.gap is None or before.gap.end >= before.time


# -- other programs' traces ----------------------------------------------------------------------


def sequence(path: Path, header: dict[str, Any], events: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"\x1e{json.dumps(record)}\n" for record in [header, *events]))
    return path


HEADER = {"qlog_version": "0.3", "qlog_format": "JSON-SEQ", "trace": {"common_fields": {}}}


def received(time: float, offset: int, length: int, **more: Any) -> dict[str, Any]:
    frame = {"frame_type": "stream", "stream_id": 0, "offset": offset, "length": length}
    data = {"header": {"packet_type": "1RTT", "packet_number": 1}, "frames": [frame]}
    return {"time": time, "name": "transport:packet_received", "data": data, **more}


def test_events_of_an_older_draft(tmp_path: Path) -> None:
    metrics = {"cwnd": 14_000, "smoothed_rtt": 20}
    events = [
        received(5, 0, 1000),
        {"time": 6, "name": "recovery:metrics_updated", "data": metrics},
        # the second piece comes late, once more, and then is there at last
        received(8, 2000, 1000),
        received(10, 2000, 1000),
        received(25, 1000, 1000),
    ]
    trace = plot.read_trace(sequence(tmp_path / "theirs.sqlog", HEADER, events))
    assert trace.progress.points == [(0.0, 1000), (0.02, 3000)]
    (path,) = trace.paths
    assert [(span.start, span.end, span.state) for span in path.spans] == [(0.0, 0.02, "active")]
    assert path.rtt == 0.02
    assert path.window.points == [(0.001, 14_000)]


@pytest.mark.parametrize(
    ("common", "configuration", "times"),
    [
        ({"time_format": "absolute"}, {}, [1.7e12, 1.7e12 + 30]),
        ({"time_format": "delta"}, {}, [500, 30]),
        ({"time_format": "relative"}, {"time_units": "us"}, [0, 30_000]),
    ],
)
def test_one_document_and_other_times(
    tmp_path: Path, common: dict[str, str], configuration: dict[str, str], times: list[float]
) -> None:
    events = [received(times[0], 0, 1000), received(times[1], 1000, 500)]
    trace = {"common_fields": common, "configuration": configuration, "events": events}
    path = tmp_path / "theirs.qlog"
    path.write_text(json.dumps({"qlog_version": "0.3", "title": "theirs", "traces": [trace]}))
    found = plot.read_trace(path)
    assert found.progress.points == [(0.0, 1000), (pytest.approx(0.03), 1500)]
    assert found.title == "theirs"


# -- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1e",
        b"\x1e\x1e\x1e\n",
        b"not a trace",
        b"[1, 2]",
        b"{}",
        b'{"qlog_version": "0.3"}',
        b'{"qlog_version": "0.3", "traces": [3]}',
        b'{"qlog_version": "0.3", "traces": [{"events": 3}]}',
        b'\x1e{"qlog_version": "0.3"}\n',
        b'\x1e{"qlog_version": "0.3", "trace": {}}\n',
        b'\x1e{"qlog_version": "0.3", "trace": {}}\n\x1e{"time": NaN, "name": "x", "data": {}}\n',
        b'\x1e{"qlog_version": "0.3", "trace": {}}\n' + b"\x1e" + b"[" * 100_000 + b"\n",
        b'\x1e{"qlog_version": "0.3", "trace": {}}\n\x1e{"time": ' + b"1" * 5000 + b"}\n",
        bytes(random.Random(1).randbytes(100_000)),
        b"\x1e" + bytes(2 << 20),
    ],
)
def test_what_is_no_trace(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.sqlog"
    path.write_bytes(content)
    with pytest.raises(plot.TraceError, match=r"x\.sqlog"):
        plot.read_trace(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        plot.read_trace(tmp_path / "x")


def test_a_trace_that_breaks_off(trace_file: Path, tmp_path: Path) -> None:
    """Wherever the writer was stopped, what is there is drawn."""
    content = trace_file.read_bytes()
    whole = len(content)
    for end in (whole - 3, whole // 2, whole // 3 + 1, 2000):
        path = tmp_path / "cut.sqlog"
        path.write_bytes(content[:end])
        trace = plot.read_trace(path)
        assert trace.damaged == 0
        assert trace.progress.last <= DOWNLOAD
        plot.draw(trace)


def test_records_that_are_broken_are_counted(trace_file: Path, tmp_path: Path) -> None:
    """Whatever is in the fields, there is a picture or a TraceError."""
    rng = random.Random(7)
    start, *records = trace_file.read_bytes()[:200_000].split(b"\x1e")[1:-1]
    odd = (
        b"null",
        b"-1",
        b"1e999",
        b'"\\u0000<&>\\ud800"',
        b"[]",
        b"{}",
        b"[[]]",
        b"1e30",
        b"true",
    )
    damaged = 0
    for _ in range(40):
        broken = []
        for record in rng.sample(records, 100):
            at = rng.randrange(len(record))
            match rng.randrange(6):
                case 0:
                    record = record[:at] + rng.choice(odd) + record[at:]
                case 1:
                    # the value of some field
                    at = record.find(b":", at) + 1
                    record = (
                        record[:at] + rng.choice(odd) + b"," + record[record.find(b",", at) + 1 :]
                    )
                case 2:
                    record = record[:at] + rng.randbytes(3) + record[at + 3 :]
            broken.append(b"\x1e" + record + b"\n")
        path = tmp_path / "broken.sqlog"
        path.write_bytes(b"\x1e" + start + b"".join(broken))
        try:
            trace = plot.read_trace(path)
        except plot.TraceError:
            continue
        damaged += trace.damaged
        plot.draw(trace)
    assert damaged > 100


def test_fields_of_any_type(tmp_path: Path) -> None:
    """Every field of every event that is looked at, with every type of JSON in its place."""
    names = [
        "packet_received",
        "packet_sent",
        "recovery_metrics_updated",
        "tuple_assigned",
        "path_state_updated",
        "path_silence_updated",
        "path_opened",
        "path_validated",
        "migrated",
        "connection_started",
        "connection_closed",
        "handshake_failed",
    ]
    fields = """header frames smoothed_rtt congestion_window tuple_id tuple_local tuple_remote new
    old cause silent interface rtt remote initiator trigger reason""".split()
    values: list[Any] = [
        None,
        True,
        -1,
        1e300,
        10**400,
        "x",
        [],
        [None, 1, "x", {}],
        {},
        {"ip_v4": 1},
    ]
    frames = [
        [{"frame_type": kind, key: value}]
        for kind in ("stream", "ack", "path_challenge", "path_response", 3)
        for key in ("stream_id", "offset", "length", "raw", "acked_ranges", "data")
        for value in values
    ]
    events = [
        {"time": 1, "name": f"x:{name}", "tuple": "1", "data": {field: value}}
        for name in names
        for field in fields
        for value in (*values, *(frames if field == "frames" else ()))
    ]
    trace = plot.read_trace(sequence(tmp_path / "x.sqlog", HEADER, events))
    assert trace.damaged == 0
    plot.draw(trace)


# -- bounds --------------------------------------------------------------------------------------


def test_a_long_connection_takes_no_more_memory(tmp_path: Path) -> None:
    events = [received(time, 1000 * time, 1000) for time in range(20_000)]
    trace = plot.read_trace(sequence(tmp_path / "x.sqlog", HEADER, events))
    points = trace.progress.points
    assert MOST_POINTS // 4 < len(points) <= MOST_POINTS + 1
    assert points[0][1] < 100_000 and points[-1] == (19.999, 20_000_000)
    assert len(plot.draw(trace)) < 100_000


@pytest.mark.parametrize("name", ["path_opened", "migrated"])
def test_too_many_paths_or_handovers(tmp_path: Path, name: str) -> None:
    events = [
        {"time": 1, "name": f"trioquic:{name}", "tuple": f"{n}", "data": {"new": "1"}}
        for n in range(2000)
    ]
    with pytest.raises(plot.TraceError, match="more than"):
        plot.read_trace(sequence(tmp_path / "x.sqlog", HEADER, events))


def test_too_large_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sequence(tmp_path / "x.sqlog", HEADER, [received(1, 0, 1)])
    monkeypatch.setattr(_records, "_LARGEST_FILE", 10)
    with pytest.raises(plot.TraceError, match="more than"):
        plot.read_trace(path)
    document = tmp_path / "x.qlog"
    document.write_text('{"qlog_version": "0.3"}')
    monkeypatch.setattr(_records, "_LARGEST_FILE", 1000)
    monkeypatch.setattr(_records, "_LARGEST_DOCUMENT", 10)
    with pytest.raises(plot.TraceError, match="too large"):
        plot.read_trace(document)
