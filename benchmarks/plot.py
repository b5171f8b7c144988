"""The medians as a picture: one small bar chart for each of the works that matter most.

SVG is written by hand, without a background and in colours that stand out from white as well as
from black, so that a README shows it in both.
"""

from collections.abc import Sequence
from html import escape

from .report import Results, median, shown
from .works import OURS, Metric, Work

NAMES = {"compiled": "trioquic", "plain": "trioquic, plain"}
COLOURS = {"compiled": "#2f81f7", "plain": "#2f81f7"}
OTHERS = "#8b949e"
PALE = {"plain": 0.55}
TEXT = "#7a828b"
WIDTH, GAP, COLUMNS = 390, 30, 2
LABEL, VALUE = 140, 60
HEADING, BAR, PITCH, BELOW = 24, 14, 20, 22


def text(x: float, y: float, content: str, style: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{TEXT}"{style}>{escape(content)}</text>'


def bar(y: float, length: float, colour: str, opacity: float) -> str:
    place = f'x="{LABEL}" y="{y:g}" width="{length:.1f}" height="{BAR}" rx="2"'
    return f'<rect {place} fill="{colour}" fill-opacity="{opacity:g}"/>'


def panel(work: Work, metric: Metric, clients: Sequence[str], results: Results) -> list[str]:
    """Heading and bars, with the origin at the top left."""
    unit = metric.unit + ("" if metric.more_is_better else ", less is better")
    bold = ' font-weight="bold"'
    parts = [
        text(0, 12, work.title, bold),
        text(WIDTH, 12, f"{metric.name}, {unit}", ' font-size="10" text-anchor="end"'),
    ]
    found = {client: median(work, metric, results, client) for client in clients}
    values = {client: value for client, value in found.items() if value is not None}
    longest = max(values.values(), default=1.0)
    y = float(HEADING)
    for client, value in values.items():
        length = max(1.0, value / longest * (WIDTH - LABEL - VALUE))
        heavy = bold if client in OURS else ""
        parts += [
            text(LABEL - 8, y + 11, NAMES.get(client, client), f' text-anchor="end"{heavy}'),
            bar(y, length, COLOURS.get(client, OTHERS), PALE.get(client, 1.0)),
            text(LABEL + length + 6, y + 11, shown(value)),
        ]
        y += PITCH
    return parts


def draw(works: Sequence[Work], clients: Sequence[str], results: Results) -> str:
    """The whole picture: every metric that is to be plotted and was measured."""
    panels = [
        panel(work, metric, clients, results)
        for work in works
        for metric in work.metrics
        if metric.plotted and results.get(work.name)
    ]
    height = HEADING + PITCH * len(clients) + BELOW
    lines = -(-len(panels) // COLUMNS)
    size = f"{COLUMNS * WIDTH + (COLUMNS - 1) * GAP} {lines * height}"
    font = 'font-size="12" font-family="system-ui, sans-serif"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img" {font}>',
        "<title>trioquic beside other QUIC clients: medians of the benchmark suite</title>",
    ]
    for number, content in enumerate(panels):
        row, column = divmod(number, COLUMNS)
        parts.append(f'<g transform="translate({column * (WIDTH + GAP)} {row * height + 4})">')
        parts += content
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"
