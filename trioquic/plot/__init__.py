"""Pictures of handovers, drawn from traces.

    from trioquic import plot

    trace = plot.read_trace("6f3a..._client.sqlog")
    svg = plot.draw(trace)
    png = plot.render_png(svg)          # with the extra `png`

A trace is the qlog file of a connection (`TransportConfig.qlog_dir`). Those of other programs are
drawn as far as they tell the same. Everything here is synchronous and bounded: a minute of a fast
connection takes seconds to read, so call it in a thread where others wait.
"""

from ._draw import draw
from ._errors import MissingExtraError, TraceError
from ._model import Curve, Gap, Move, PathTrack, Span, Trace
from ._png import render_png
from ._read import read_trace

__all__ = [
    "Curve",
    "Gap",
    "MissingExtraError",
    "Move",
    "PathTrack",
    "Span",
    "Trace",
    "TraceError",
    "draw",
    "read_trace",
    "render_png",
]
