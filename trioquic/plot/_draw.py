"""The whole picture: what it is about, the handovers as a list, the connection, its worst handover
enlarged, and what the colours and marks mean.
"""

from typing import Final

from .. import _checks
from ._model import Move, PathTrack, Trace
from ._panel import (
    CHALLENGE,
    GAP,
    LEFT,
    PATTERNS,
    RECEIVED,
    RESPONSE,
    RIGHT,
    STATES,
    WIDTH,
    WINDOW,
    Panel,
    gap_text,
    number_badge,
)
from ._scale import bytes_text, duration_text
from ._svg import FAINT_INK, INK, Canvas, shorten, text_width

_MOST_PATHS: Final = 24
_MOST_LISTED: Final = 8
_MARGIN: Final = 16.0
# A handover that takes up this share of the whole needs no enlargement.
_LARGE_ENOUGH: Final = 0.25
# pixels; a state that lasts shorter is not explained
_VISIBLE: Final = 3
_SHORTEST_PAD: Final = 0.05
_LINE: Final = 19.0

_TRACE: Final = _checks.instance(Trace)


def draw(trace: Trace) -> str:
    """The picture of a trace as SVG, 1100 pixels wide, on a background of its own.

    Time goes from left to right. A band for each path is coloured by the path's state, with its
    challenges and their answers below it; curves above show the data that came (or went, in an
    upload) and the congestion window of the path in use; handovers are numbered and listed with
    their causes, and the gap of each is shaded. The handover with the longest gap is drawn a second
    time, enlarged.
    """
    _checks.check(_TRACE, "trace", trace)
    canvas = Canvas()
    paths, left_out = _chosen_paths(trace)
    y = _draw_heading(canvas, trace, left_out)
    worst = _worst(trace)
    window = _window(trace, worst)
    gap = worst.gap if worst is not None else None
    whole = Panel(canvas, trace, paths, y, (0.0, max(trace.duration, 1e-6)))
    whole.draw(trace.progress.points, None if window else gap)
    y = whole.end
    if worst is not None and window is not None:
        start, end = window
        number = trace.moves.index(worst) + 1
        canvas.text(_MARGIN, y + 26, f"Handover {number}, enlarged", 14, bold=True)
        y += 34
        inside = [
            path
            for path in paths
            if any(s.state in STATES and s.end > start and s.start < end for s in path.spans)
        ]
        enlarged = Panel(canvas, trace, inside, y, window)
        enlarged.draw(list(worst.detail), gap)
        y = enlarged.end
    pixel = (window[1] - window[0] if window else trace.duration) / (RIGHT - LEFT)
    states = {s.state for p in paths for s in p.spans if s.end - s.start >= _VISIBLE * pixel}
    y = _draw_legend(canvas, trace, paths, states, y + 14)
    return canvas.document(WIDTH, y + _MARGIN, _headline(trace), PATTERNS)


def _chosen_paths(trace: Trace) -> tuple[list[PathTrack], int]:
    """The paths to draw, those first that carried the connection, and how many are not drawn."""
    paths = [path for path in trace.paths if path.spans]
    if len(paths) <= _MOST_PATHS:
        return paths, 0
    first = sorted(paths, key=lambda path: all(s.state != "active" for s in path.spans))
    keys = {path.key for path in first[:_MOST_PATHS]}
    return [path for path in paths if path.key in keys], len(paths) - _MOST_PATHS


def _worst(trace: Trace) -> Move | None:
    """The handover to enlarge: the one with the longest gap, or else the first."""
    return max(trace.moves, key=lambda move: move.gap.length if move.gap else -1.0, default=None)


def _window(trace: Trace, worst: Move | None) -> tuple[float, float] | None:
    """From when to when it is enlarged, if that is of use."""
    if worst is None:
        return None
    start = end = worst.time
    if worst.gap is not None:
        start, end = min(start, worst.gap.start), max(end, worst.gap.end)
    pad = max(0.6 * (end - start), 1.5 * (worst.rtt or 0.0), _SHORTEST_PAD)
    start, end = max(start - pad, 0.0), min(end + pad, trace.duration)
    if end - start >= _LARGE_ENOUGH * trace.duration:
        return None
    return start, end


# -- words ---------------------------------------------------------------------------------------


def _headline(trace: Trace) -> str:
    what = "sent" if trace.upload else "received"
    count = len(trace.moves)
    moves = {0: "no handover", 1: "one handover"}.get(count, f"{count} handovers")
    return f"{bytes_text(trace.progress.last)} {what}, {moves}"


def _draw_heading(canvas: Canvas, trace: Trace, left_out: int) -> float:
    canvas.text(_MARGIN, 32, _headline(trace), 19, bold=True)
    facts = [f"server {trace.server}" if trace.server else "", duration_text(trace.duration)]
    facts += [trace.ending, trace.title]
    if left_out:
        facts.append(f"{left_out} more paths are not drawn")
    if trace.damaged:
        facts.append(f"{trace.damaged} records could not be read")
    text = shorten(" · ".join(filter(None, facts)), WIDTH - 2 * _MARGIN, 12)
    canvas.text(_MARGIN, 52, text, 12, fill=FAINT_INK)
    y = 78.0
    names = {path.key: path.name for path in trace.paths}
    for number, move in enumerate(trace.moves[:_MOST_LISTED], start=1):
        number_badge(canvas, _MARGIN + 8, y, number)
        text = shorten(_sentence(move, names), WIDTH - 3 * _MARGIN - 16, 13)
        canvas.text(_MARGIN + 24, y, text, 13)
        y += _LINE
    more = len(trace.moves) - _MOST_LISTED
    if more > 0:
        canvas.text(_MARGIN + 24, y, f"and {more} more", 13, fill=FAINT_INK)
        y += _LINE
    return y


def _sentence(move: Move, names: dict[str, str]) -> str:
    new = names.get(move.new, "?")
    old = names.get(move.old, "?") if move.old is not None else "no path"
    text = f"at {move.time:.3f} s from {old} to {new}"
    if move.cause:
        text += f": {move.cause}"
    if move.gap is not None:
        text += f"; {gap_text(move.gap, move.rtt)}"
        if move.rtt:
            text += f" of {new} ({duration_text(move.rtt)})"
    return text


# -- the legend ----------------------------------------------------------------------------------


def _draw_legend(
    canvas: Canvas, trace: Trace, paths: list[PathTrack], states: set[str], y: float
) -> float:
    """Only what is in the picture, from left to right and on as many lines as it takes."""
    x = _MARGIN
    entries = [(state, name) for state, (_, name) in STATES.items() if state in states]
    if any(path.challenges for path in paths):
        entries.append(("challenge", "challenge sent"))
    if any(path.responses for path in paths):
        entries.append(("response", "its answer"))
    progress = "acknowledged by the server" if trace.upload else "received in order"
    entries += [("progress", progress), ("window", "congestion window of the path in use")]
    if any(move.gap for move in trace.moves):
        entries.append(("gap", f"gap: nothing {progress}"))
    if trace.moves:
        entries.append(("move", "handover"))
    canvas.line(_MARGIN, y, WIDTH - _MARGIN, y, "#e8ebef")
    y += 20
    for kind, name in entries:
        width = 30 + text_width(name, 12) + 16
        if x + width > WIDTH and x > _MARGIN:
            x = _MARGIN
            y += 22
        _draw_symbol(canvas, kind, x, y)
        canvas.text(x + 30, y, name, 12)
        x += width
    return y


def _draw_symbol(canvas: Canvas, kind: str, x: float, y: float) -> None:
    match kind:
        case "challenge":
            canvas.polygon([(x + 11, y - 10), (x + 6, y - 1), (x + 16, y - 1)], CHALLENGE)
        case "response":
            canvas.circle(x + 11, y - 4.5, 4.2, RESPONSE)
        case "progress":
            canvas.line(x, y - 4, x + 22, y - 4, RECEIVED, width=2)
        case "window":
            canvas.line(x, y - 4, x + 22, y - 4, WINDOW, width=1.5, dashes="5 3")
        case "gap":
            canvas.rectangle(x, y - 11, 22, 13, GAP, opacity=0.18)
        case "move":
            number_badge(canvas, x + 11, y, 1)
        case _:
            canvas.rectangle(x, y - 11, 22, 13, STATES[kind][0], stroke=INK)
