"""From qlog events to what a picture is drawn of, in one pass and in bounded memory.

Our own traces tell states and handovers in events of their own (docs/qlog.md). Of others only the
packets, the recovery metrics and the tuples are understood, under today's names and those of older
drafts; a path is then in use from its first packet on. Nothing is believed: a field that is missing
or of another type is as if it were not there.
"""

import os
from dataclasses import replace
from typing import Any, Final

from ._errors import TraceError
from ._model import Move, PathTrack, Span, Trace
from ._progress import DirectionProgress, Order, Outstanding
from ._records import Records, number

_MOST_PATHS: Final = 1024
_MOST_MOVES: Final = 1024
_MOST_MARKS: Final = 4096
_MOST_CHALLENGES: Final = 4096
# A validation that ends so soon after a handover, in seconds, tells the RTT that it met.
_AT_A_MOVE: Final = 1.0
_LONGEST_TEXT: Final = 120
_LARGEST: Final = 1 << 62


def read_trace(path: str | os.PathLike[str]) -> Trace:
    """Read a trace. Raises OSError for a file that cannot be read, and `TraceError` for one that is
    no trace, is damaged beyond use, or is too large (2 GiB, 1024 paths or handovers)."""
    records = Records(path)
    collector = _Collector()
    for time, name, key, data in records:
        collector.take(time, name, key, data)
    return collector.finish(records.title, records.damaged)


class _State:
    """The state that a path is in while the trace is read."""

    def __init__(self, track: PathTrack) -> None:
        self.track = track
        self.state = ""
        self.silent = False
        self.since = 0.0

    def change(self, time: float, state: str, silent: bool = False) -> None:
        if self.shown:
            span = Span(start=self.since, end=time, state=self.shown)
            if span.end > span.start and len(self.track.spans) < _MOST_MARKS:
                self.track.spans.append(span)
        self.state = state
        self.silent = silent
        self.since = time

    @property
    def shown(self) -> str:
        return "silent" if self.silent and self.state == "active" else self.state


class _Collector:
    def __init__(self) -> None:
        self._paths: dict[str, _State] = {}
        # without their gaps and details, which are known at the end
        self._moves: list[Move] = []
        self._received = DirectionProgress()
        self._sent = DirectionProgress()
        self._order = Order()
        self._outstanding = Outstanding()
        self._challenges: dict[str, str] = {}
        self._server = ""
        self._ending = ""
        self._failure = ""
        self._full_at: float | None = None
        self._end = 0.0
        self._has_states = False
        # the path that the connection was on before its last step
        self._carried: str | None = None
        self._carrying: str | None = None

    def take(self, time: float, name: str, key: str, data: dict[str, Any]) -> None:
        self._end = max(self._end, time)
        match name:
            case "packet_received":
                self._packet_received(time, key, data)
            case "packet_sent":
                self._packet_sent(time, key, data)
            case "recovery_metrics_updated" | "metrics_updated":
                self._metrics(time, key, data)
            case "tuple_assigned" | "path_assigned":
                self._assigned(time, data)
            case "path_state_updated":
                self._stepped(time, key, _text(data.get("new")))
            case "path_silence_updated":
                state = self._path(time, key)
                state.change(time, state.state, data.get("silent") is True)
            case "path_opened":
                self._path(time, key).track.interface = _text(data.get("interface"))
            case "path_validated":
                self._validated(time, key, data)
            case "migrated":
                self._migrated(time, data)
            case "connection_started":
                self._server = _endpoint(data.get("remote"))
            case "connection_closed":
                self._ending = _ending(data)
            case "handshake_failed":
                self._failure = _text(data.get("reason"))
            case "limit_reached":
                self._full_at = time

    def finish(self, title: str, damaged: int) -> Trace:
        for state in self._paths.values():
            state.change(self._end, "")
        upload = self._sent.total > self._received.total
        progress = self._sent if upload else self._received
        moves = [
            replace(
                move, gap=progress.gap(index, move.time, move.rtt), detail=progress.detail(index)
            )
            for index, move in enumerate(self._moves)
        ]
        tracks = tuple(state.track for state in self._paths.values())
        if not self._server and tracks:
            self._server = tracks[0].remote
        return Trace(
            title=_text(title),
            server=self._server,
            duration=self._end,
            paths=tracks,
            moves=tuple(moves),
            progress=progress.curve,
            upload=upload,
            ending=f"no connection: {self._failure}" if self._failure else self._ending,
            incomplete_from=self._full_at,
            damaged=damaged,
        )

    def _stepped(self, time: float, key: str, state: str) -> None:
        self._has_states = True
        if state == "active" and key != self._carrying:
            self._carried, self._carrying = self._carrying, key
        self._path(time, key).change(time, state)

    # -- events ----------------------------------------------------------------------------------

    def _path(self, time: float, key: str) -> _State:
        state = self._paths.get(key)
        if state is None:
            if len(self._paths) >= _MOST_PATHS:
                raise TraceError(f"the trace has more than {_MOST_PATHS} paths")
            state = self._paths[key] = _State(PathTrack(key=_text(key)))
            state.since = time
        return state

    def _packet_received(self, time: float, key: str, data: dict[str, Any]) -> None:
        self._in_use(time, key)
        for frame in _frames(data):
            kind = frame.get("frame_type")
            if kind == "stream":
                stream, start, length = _extent(frame)
                self._received.add(time, self._order.add(stream, start, start + length))
            elif kind == "ack" and _packet_type(data) == "1RTT":
                self._sent.add(time, self._outstanding.acked(_ranges(frame.get("acked_ranges"))))
            elif kind == "path_response":
                asked = self._paths.get(self._challenges.get(_text(frame.get("data")), key))
                if asked is not None and len(asked.track.responses) < _MOST_MARKS:
                    asked.track.responses.append(time)

    def _packet_sent(self, time: float, key: str, data: dict[str, Any]) -> None:
        self._in_use(time, key)
        size = 0
        for frame in _frames(data):
            kind = frame.get("frame_type")
            if kind == "stream":
                size += _extent(frame)[2]
            elif kind == "path_challenge":
                track = self._path(time, key).track
                if len(track.challenges) < _MOST_MARKS:
                    track.challenges.append(time)
                if len(self._challenges) < _MOST_CHALLENGES:
                    self._challenges[_text(frame.get("data"))] = key
        if size and _packet_type(data) == "1RTT":
            packet = number(data["header"].get("packet_number"))
            if packet is not None:
                self._outstanding.sent(int(packet), size)

    def _in_use(self, time: float, key: str) -> None:
        """A packet: in others' traces that is all that is known of a path's state."""
        if not self._has_states and key not in self._paths:
            self._path(time, key).change(time, "active")

    def _metrics(self, time: float, key: str, data: dict[str, Any]) -> None:
        track = self._path(time, key).track
        window = _size(data.get("congestion_window", data.get("cwnd")))
        if window:
            track.window.add(time, window)
        track.rtt = _seconds(data.get("smoothed_rtt")) or track.rtt

    def _validated(self, time: float, key: str, data: dict[str, Any]) -> None:
        track = self._path(time, key).track
        track.rtt = _seconds(data.get("rtt")) or track.rtt
        if self._moves:
            move = self._moves[-1]
            if move.new == key and time - move.time < _AT_A_MOVE:
                self._moves[-1] = replace(move, rtt=track.rtt)

    def _assigned(self, time: float, data: dict[str, Any]) -> None:
        key = data.get("tuple_id", data.get("path_id"))
        if not isinstance(key, str):
            return
        local = data.get("tuple_local", data.get("path_local"))
        remote = data.get("tuple_remote", data.get("path_remote"))
        state = self._path(time, key)
        if local is None and remote is None:
            state.change(time, "abandoned")
            return
        state.track.local = _endpoint(local)
        state.track.remote = _endpoint(remote)
        if not state.state:
            state.change(time, "candidate")

    def _migrated(self, time: float, data: dict[str, Any]) -> None:
        new = data.get("new")
        if not isinstance(new, str):
            return
        if len(self._moves) >= _MOST_MOVES:
            raise TraceError(f"the trace has more than {_MOST_MOVES} handovers")
        old = data.get("old")
        rtt = self._path(time, new).track.rtt
        # From a path that is gone already the move is from nowhere, as the core sees it.
        known = old if isinstance(old, str) and old in self._paths else self._carried
        cause = _text(data.get("reason", data.get("cause")))
        self._moves.append(Move(time=time, old=known, new=new, cause=cause, rtt=rtt))
        self._received.note_move()
        self._sent.note_move()


# -- fields that may be anything -----------------------------------------------------------------


def _text(value: object) -> str:
    """Something to show: printable, and not too long."""
    if not isinstance(value, str):
        return ""
    return "".join(c for c in value[:_LONGEST_TEXT] if c.isprintable())


def _size(value: object) -> int:
    # most of them; an ACK frame has hundreds
    if type(value) is int:
        return value if 0 <= value <= _LARGEST else 0
    found = number(value)
    return int(found) if found is not None and 0 <= found <= _LARGEST else 0


def _seconds(milliseconds: object) -> float | None:
    found = number(milliseconds)
    return found / 1000 if found is not None and found > 0 else None


def _frames(data: dict[str, Any]) -> list[dict[str, Any]]:
    frames = data.get("frames")
    if not isinstance(frames, list):
        return []
    return [frame for frame in frames if isinstance(frame, dict)]


def _packet_type(data: dict[str, Any]) -> object:
    header = data.get("header")
    return header.get("packet_type") if isinstance(header, dict) else None


def _extent(frame: dict[str, Any]) -> tuple[int, int, int]:
    """Stream, offset and length of a STREAM frame."""
    raw = frame.get("raw")
    length = frame.get("length")
    if length is None and isinstance(raw, dict):
        length = raw.get("payload_length", raw.get("length"))
    return _size(frame.get("stream_id")), _size(frame.get("offset")), _size(length)


def _ranges(value: object) -> list[tuple[int, int]]:
    if not isinstance(value, list):
        return []
    pairs = [pair for pair in value if isinstance(pair, list) and pair]
    return [(_size(pair[0]), _size(pair[-1])) for pair in pairs]


def _endpoint(value: object) -> str:
    if not isinstance(value, dict):
        return ""
    for family in ("v4", "v6"):
        address = value.get(f"ip_{family}")
        if isinstance(address, str):
            port = value.get(f"port_{family}")
            host = f"[{_text(address)}]" if family == "v6" else _text(address)
            return f"{host}:{_size(port)}" if port is not None else host
    return ""


def _ending(data: dict[str, Any]) -> str:
    who = {"local": "by this side", "remote": "by the server"}.get(_text(data.get("initiator")), "")
    trigger = _text(data.get("trigger")).replace("_", " ")
    if trigger in ("application", ""):
        return f"closed {who}".strip()
    return f"ended: {trigger}"
