"""One stretch of time: what arrived and the congestion window above, a band for each path below.

The same panel shows a whole connection or a handover enlarged. From top to bottom: the numbers of
the handovers, the curves, the paths. Under each path's band are its challenges, pointing up as they
go out, and the answers to them.
"""

from typing import Final

from ._model import Gap, PathTrack, Trace
from ._scale import Scale, bytes_text, duration_text, round_step, seconds_text
from ._svg import FAINT_INK, INK, LINE, PAPER, Canvas, Point, shorten, text_width

LEFT: Final = 190.0
RIGHT: Final = 1030.0
WIDTH: Final = 1100.0
_FLAGS: Final = 24.0
_CHART: Final = 150.0
_BAND: Final = 26.0
_MARKS: Final = 18.0
_AXIS: Final = 26.0
# Points so far apart, in pixels, are not joined by a slope.
_HOLD: Final = 4.0
_FIRST_BAND: Final = _FLAGS + _CHART + 16.0

RECEIVED: Final = "#1c5fb8"
WINDOW: Final = "#8a4fb0"
GAP: Final = "#d64545"
CHALLENGE: Final = "#b26a00"
RESPONSE: Final = "#0f7b45"

# state: its colour, and what it is called
STATES: Final = {
    "candidate": ("#e3e7ec", "open, not known to work"),
    "probing": ("#f6cf72", "asked whether it works"),
    "validated": ("#a9d0f5", "works, stands by"),
    "active": ("#4fb477", "carries the connection"),
    "silent": ("url(#silent)", "carries it, no answer"),
    "degraded": ("#c0392b", "carries it, long without answer"),
}
PATTERNS: Final = (
    '<defs><pattern id="silent" width="8" height="8" patternUnits="userSpaceOnUse"'
    ' patternTransform="rotate(45)"><rect width="8" height="8" fill="#f5b7ae"/>'
    '<rect width="4" height="8" fill="#e4573d"/></pattern></defs>\n'
)
_CARRYING: Final = ("active", "silent", "degraded")


class Panel:
    """Draws a span of time between the heights `top` and `Panel.end`."""

    def __init__(
        self, canvas: Canvas, trace: Trace, paths: list[PathTrack], top: float, span: Point
    ) -> None:
        self._canvas = canvas
        self._trace = trace
        self._paths = paths
        self._top = top
        self._badges: list[float] = []
        self._time = Scale(*span, LEFT, RIGHT)
        self._chart_top = top + _FLAGS
        self._chart_bottom = self._chart_top + _CHART
        self._bands = {
            path.key: top + _FIRST_BAND + index * (_BAND + _MARKS)
            for index, path in enumerate(paths)
        }
        self._bottom = top + _FIRST_BAND + len(paths) * (_BAND + _MARKS)
        self.end = self._bottom + _AXIS

    def draw(self, points: list[Point], gap: Gap | None) -> None:
        """All of it. `points` are the progress; the length of `gap` is told."""
        self._draw_axis()
        self._draw_gaps()
        self._draw_progress(points)
        self._draw_window()
        for path in self._paths:
            self._draw_path(path)
        self._draw_moves()
        for path in self._paths:
            self._draw_probes(path)
        if gap is not None:
            self._tell(gap)
        self._tell_incomplete()

    # -- the parts -------------------------------------------------------------------------------

    def _draw_axis(self) -> None:
        canvas = self._canvas
        ticks = self._time.ticks(10)
        step = round_step((self._time.high - self._time.low) / 10)
        for tick in ticks:
            x = self._time(tick)
            canvas.line(x, self._chart_top, x, self._bottom, LINE)
            text = seconds_text(tick, step)
            canvas.text(x, self._bottom + 16, text, 11, fill=FAINT_INK, anchor="middle")
        canvas.line(LEFT, self._chart_bottom, RIGHT, self._chart_bottom, FAINT_INK)

    def _draw_gaps(self) -> None:
        for gap in {move.gap for move in self._trace.moves if move.gap is not None}:
            left, right = self._time(gap.start), self._time(gap.end)
            if right > LEFT and left < RIGHT:
                width = max(right - left, 1.5)
                height = self._bottom - self._chart_top
                self._canvas.rectangle(left, self._chart_top, width, height, GAP, opacity=0.13)

    def _draw_progress(self, points: list[Point]) -> None:
        if not points:
            return
        shown = _clip(points, self._time.low, self._time.high)
        low = shown[0][1] if shown and self._time.low > 0 else 0.0
        high = max(shown[-1][1] if shown else 0.0, low + 1)
        # room for the line at its highest and lowest
        scale = Scale(low, high * 1.04 - low * 0.04, self._chart_bottom, self._chart_top)
        step = round_step((high - low) / 4)
        for tick in scale.ticks(5):
            y = scale(tick)
            self._canvas.line(LEFT, y, RIGHT, y, LINE)
            text = bytes_text(tick, step)
            self._canvas.text(LEFT - 8, y + 4, text, 11, fill=RECEIVED, anchor="end")
        line: list[Point] = []
        for time, value in shown:
            x = self._time(time)
            if line and x - line[-1][0] > _HOLD:
                # nothing came for a while: no line may rise through that
                line.append((x - 1, line[-1][1]))
            line.append((x, scale(value)))
        self._canvas.curve(line, RECEIVED, width=2)

    def _draw_window(self) -> None:
        steps: list[Point] = []
        uses = [(s, path) for path in self._paths for s in path.spans if s.state in _CARRYING]
        for span, path in sorted(uses, key=lambda use: (use[0].start, use[0].end, use[1].key)):
            steps += _clip(path.window.points, span.start, span.end)
        shown = _clip(steps, self._time.low, self._time.high)
        if not shown:
            return
        top = max(value for _, value in shown) * 1.15
        scale = Scale(0, top, self._chart_bottom, self._chart_top)
        step = round_step(top / 4)
        for tick in scale.ticks(4)[1:]:
            text = bytes_text(tick, step)
            self._canvas.text(RIGHT + 8, scale(tick) + 4, text, 11, fill=WINDOW)
        line: list[Point] = []
        for time, value in shown:
            if line:
                line.append((self._time(time), line[-1][1]))
            line.append((self._time(time), scale(value)))
        self._canvas.curve(line, WINDOW, dashes="5 3")

    def _draw_path(self, path: PathTrack) -> None:
        canvas = self._canvas
        top = self._bands[path.key]
        where = path.local if path.interface else path.remote
        width = LEFT - 24
        canvas.text(16, top + 13, shorten(path.name, width, 13, bold=True), 13, bold=True)
        canvas.text(16, top + 28, shorten(where, width, 11), 11, fill=FAINT_INK)
        canvas.rectangle(LEFT, top, RIGHT - LEFT, _BAND, "#f6f7f9")
        for span in path.spans:
            colour = STATES.get(span.state)
            if colour is not None and span.end >= self._time.low and span.start <= self._time.high:
                left, right = self._time(span.start), self._time(span.end)
                canvas.rectangle(left, top, max(right - left, 0.6), _BAND, colour[0])

    def _draw_probes(self, path: PathTrack) -> None:
        canvas = self._canvas
        y = self._bands[path.key] + _BAND
        for time in self._thinned(path.challenges):
            x = self._time(time)
            canvas.polygon([(x, y + 3), (x - 5, y + 12), (x + 5, y + 12)], CHALLENGE)
        for time in self._thinned(path.responses):
            canvas.circle(self._time(time), y + 8, 4.2, RESPONSE)

    def _draw_moves(self) -> None:
        rows = [-100.0, -100.0]
        for index, move in enumerate(self._trace.moves):
            if not self._time.low <= move.time <= self._time.high:
                continue
            x = self._time(move.time)
            self._canvas.line(x, self._chart_top, x, self._bottom, INK, width=1.2)
            self._arrow(x, move.old, move.new)
            # As many numbers as there is room for; the others are in the list.
            for row, last in enumerate(rows):
                if x - last >= 18:
                    rows[row] = x
                    self._badges.append(x)
                    number_badge(self._canvas, x, self._top + 14 - row * 16, index + 1)
                    break

    def _arrow(self, x: float, old: str | None, new: str) -> None:
        start, end = self._bands.get(old or ""), self._bands.get(new)
        if start is None or end is None:
            return
        first, last = start + _BAND / 2, end + _BAND / 2
        back = -9 if last > first else 9
        self._canvas.line(x, first, x, last, PAPER, width=5)
        self._canvas.line(x, first, x, last + back, INK, width=2.6)
        self._canvas.circle(x, first, 4, INK)
        self._canvas.polygon([(x, last), (x - 6, last + back), (x + 6, last + back)], INK)

    def _tell(self, gap: Gap) -> None:
        """The length of a gap, above the line from its beginning to its end."""
        move = next(move for move in self._trace.moves if move.gap == gap)
        text = gap_text(gap, move.rtt)
        left, right = self._time(gap.start), self._time(gap.end)
        y = self._chart_top
        self._canvas.line(left, y, right, y, GAP, width=2)
        for edge in (left, right):
            self._canvas.line(edge, y - 5, edge, y + 5, GAP, width=2)
        # in the middle, or beside the numbers that are there
        width = text_width(text, 13, bold=True)
        starts = [(left + right - width) / 2]
        starts += [x + 16 for x in self._badges] + [x - 16 - width for x in self._badges]
        for start in starts:
            free = all(x + 12 <= start or x - 12 >= start + width for x in self._badges)
            if free and start >= LEFT and start + width <= WIDTH - 16:
                y = self._top + 14
                self._canvas.text(start, y, text, 13, fill=GAP, bold=True)
                break

    def _tell_incomplete(self) -> None:
        start = self._trace.incomplete_from
        if start is None or start > self._time.high:
            return
        x = self._time(start)
        self._canvas.rectangle(x, self._chart_top, RIGHT - x, _CHART, PAPER, opacity=0.7)
        text = "the trace is full: no packets from here on"
        anchor, side = ("end", -6) if x > (LEFT + RIGHT) / 2 else ("start", 6)
        self._canvas.line(x, self._chart_top, x, self._chart_bottom, FAINT_INK, dashes="2 3")
        y = self._chart_bottom - 8
        self._canvas.text(x + side, y, text, 11, fill=FAINT_INK, anchor=anchor)

    # -- helpers ---------------------------------------------------------------------------------

    def _thinned(self, times: list[float]) -> list[float]:
        """Those within the panel that would not lie on each other."""
        found: list[float] = []
        for time in times:
            if self._time.low <= time <= self._time.high:
                if not found or self._time(time) - self._time(found[-1]) >= 2:
                    found.append(time)
        return found


def _clip(points: list[Point], low: float, high: float) -> list[Point]:
    """The points of a stretch of time, and the values with which it begins and ends."""
    before = [(low, value) for time, value in points if time < low][-1:]
    inside = [point for point in points if low <= point[0] <= high]
    shown = before + inside
    return [*shown, (high, shown[-1][1])] if shown else []


def number_badge(canvas: Canvas, x: float, y: float, number: int) -> None:
    canvas.circle(x, y - 4, 8, INK)
    size = 10 if number < 100 else 8
    canvas.text(x, y - 0.4, str(number), size, fill=PAPER, anchor="middle", bold=True)


def gap_text(gap: Gap, rtt: float | None) -> str:
    text = f"{duration_text(gap.length)} gap"
    return text if not rtt else f"{text} = {gap.length / rtt:.1f} RTT"
