"""What a picture needs to know of a connection: little, whatever the size of its trace.

Times are seconds since the trace begins, sizes bytes.
"""

from dataclasses import dataclass, field
from typing import Final

MOST_POINTS: Final = 2048


class Curve:
    """Points of a rising time, at most `MOST_POINTS`: when there are more, every second one goes,
    and of those that come later as many are passed over."""

    __slots__ = ("_last", "_passed", "_points", "_stride")

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []
        self._last: tuple[float, float] | None = None
        self._stride = 1
        self._passed = 0

    def add(self, time: float, value: float) -> None:
        self._last = (time, value)
        self._passed += 1
        if self._passed < self._stride:
            return
        self._passed = 0
        self._points.append(self._last)
        if len(self._points) >= MOST_POINTS:
            self._stride *= 2
            del self._points[1::2]

    @property
    def points(self) -> list[tuple[float, float]]:
        """The points, the last one always among them."""
        if self._last is None or self._points[-1] == self._last:
            return self._points.copy()
        return [*self._points, self._last]

    @property
    def last(self) -> float:
        """The last value, 0 without points."""
        return 0.0 if self._last is None else self._last[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A path is in one state for a while."""

    start: float
    end: float
    state: str


@dataclass(slots=True, kw_only=True)
class PathTrack:
    """One path: what it is, its states one after the other, and what was asked and answered."""

    key: str
    local: str = ""
    remote: str = ""
    interface: str = ""
    spans: list[Span] = field(default_factory=list)
    challenges: list[float] = field(default_factory=list)
    responses: list[float] = field(default_factory=list)
    """When an answer to one of its challenges came, on whichever path."""
    window: Curve = field(default_factory=Curve)
    """The congestion window."""
    rtt: float | None = None
    """The last that was measured."""

    @property
    def name(self) -> str:
        """The shortest name that tells it from others."""
        return self.interface or self.local or f"path {self.key}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The longest time around a handover in which there was no progress (`Trace.progress`)."""

    start: float
    end: float

    @property
    def length(self) -> float:
        """Seconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A handover."""

    time: float
    old: str | None
    new: str
    cause: str
    rtt: float | None
    """Of the path that it leads to, by the validation at the handover, or else as known before."""
    gap: Gap | None = None
    detail: tuple[tuple[float, float], ...] = ()
    """Points of the trace's progress around it, finer than the curve of the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a picture is drawn of."""

    title: str
    server: str
    duration: float
    paths: tuple[PathTrack, ...]
    moves: tuple[Move, ...]
    progress: Curve
    """Data of all streams: what came in order, or else what was sent and acknowledged."""
    upload: bool
    """Whether that is what was sent, for it is more."""
    ending: str
    """How the connection ended, as far as the trace tells."""
    incomplete_from: float | None
    """From here on the trace has no packets, for want of room."""
    damaged: int
    """Records that could not be read."""
