"""The picture: well-formed, complete, nothing written over something else, and as PNG."""

import sys
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import pytest

from trioquic import plot
from trioquic.plot._scale import Scale, bytes_text, duration_text, round_step
from trioquic.plot._svg import text_width

from .stories import STORIES, Story, download

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def traces(trace_files: dict[Story, Path]) -> dict[Story, plot.Trace]:
    return {story: plot.read_trace(file) for story, file in trace_files.items()}


def texts(svg: str) -> list[tuple[str, float, float, float, float]]:
    """Every text and the box it takes up, as wide as it may be at most."""
    found = []
    for element in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        size = float(element.attrib["font-size"])
        content = element.text or ""
        width = text_width(content, size, bold="font-weight" in element.attrib)
        x, y = float(element.attrib["x"]), float(element.attrib["y"])
        x -= {"start": 0.0, "middle": width / 2, "end": width}[element.attrib["text-anchor"]]
        found.append((content, x, y - 0.75 * size, x + width, y + 0.2 * size))
    return found


def overlapping(svg: str) -> list[tuple[str, str]]:
    """Texts that may be drawn over each other."""
    boxes = texts(svg)
    return [
        (a[0], b[0])
        for index, a in enumerate(boxes)
        for b in boxes[index + 1 :]
        if a[1] < b[3] and b[1] < a[3] and a[2] < b[4] and b[2] < a[4]
    ]


@pytest.mark.parametrize("story", STORIES)
def test_no_text_over_another_or_beyond_the_edge(
    traces: dict[Story, plot.Trace], story: Story
) -> None:
    svg = plot.draw(traces[story])
    assert overlapping(svg) == []
    for content, left, _, right, _ in texts(svg):
        assert left >= 0 and right <= 1100, content


def test_the_checker_finds_an_overlap() -> None:
    text = '<text x="{}" y="10" font-size="12" text-anchor="start">abc</text>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg">{text.format(0)}{text.format(10)}</svg>'
    assert overlapping(svg) == [("abc", "abc")]


def test_a_handover_explains_itself(traces: dict[Story, plot.Trace]) -> None:
    trace = traces[download]
    svg = plot.draw(trace)
    said = [text for text, *_ in texts(svg)]
    (move,) = trace.moves
    assert move.gap is not None and move.rtt is not None
    gap = f"{move.gap.length * 1000:.0f} ms gap = {move.gap.length / move.rtt:.1f} RTT"
    assert gap in said
    (sentence,) = [text for text in said if text.startswith("at ")]
    for part in ("from wlan0 to wwan0", "no answer for 1 PTO", gap):
        assert part in sentence
    for words in (
        "600.0 kB received, one handover",
        "Handover 1, enlarged",
        "wlan0",
        trace.paths[0].local,
        "challenge sent",
        "its answer",
        "carries the connection",
        "works, stands by",
        "received in order",
        "congestion window of the path in use",
    ):
        assert words in said
    # its own paper, whatever is around it
    root = ElementTree.fromstring(svg)
    paper = next(iter(root.iter(f"{SVG}rect")))
    whole = [r for r in root.iter(f"{SVG}rect") if r.attrib.get("width") == "100%"]
    assert paper is not None and whole[0].attrib["fill"] == "#ffffff"


def test_where_the_gap_is_drawn(traces: dict[Story, plot.Trace]) -> None:
    """In the enlargement the shaded area lies where the curve is level."""
    root = ElementTree.fromstring(plot.draw(traces[download]))
    shaded = [r for r in root.iter(f"{SVG}rect") if r.attrib["fill"] == "#d64545"]
    left, width = (float(shaded[1].attrib[name]) for name in ("x", "width"))
    curves = [p for p in root.iter(f"{SVG}polyline") if p.attrib["stroke"] == "#1c5fb8"]
    points = [tuple(map(float, p.split(","))) for p in curves[1].attrib["points"].split()]
    level = max(pairwise(points), key=lambda pair: pair[1][0] - pair[0][0])
    assert width > 100
    assert level[0][0] == pytest.approx(left, abs=2)
    assert level[1][0] == pytest.approx(left + width, abs=2)
    assert level[0][1] == level[1][1]


def test_names_are_only_text(trace_files: dict[Story, Path], tmp_path: Path) -> None:
    """What comes from the network or the file cannot become markup."""
    content = trace_files[download].read_text()
    evil = '<script>&amp;\\"]]>\\u0001\\u202e'
    content = content.replace("no answer for 1 PTO", evil).replace("wwan0", evil * 20)
    file = tmp_path / "evil.sqlog"
    file.write_text(content)
    svg = plot.draw(plot.read_trace(file))
    assert "<script" not in svg
    said = [text for text, *_ in texts(svg)]
    assert any('<script>&amp;"]]>' in text for text in said)
    assert overlapping(svg) == []


def test_png(traces: dict[Story, plot.Trace]) -> None:
    png = plot.render_png(plot.draw(traces[download]), zoom=1.0)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(png[16:20], "big") == 1100
    # something is drawn
    assert len(png) > 20_000
    with pytest.raises(plot.TraceError, match="SVG"):
        plot.render_png("no picture")


def test_png_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(plot.MissingExtraError, match=r"trioquic\[png\]"):
        plot.render_png("<svg/>")


def test_scales() -> None:
    assert [round_step(x) for x in (0.011, 0.3, 1, 7, 0)] == [0.02, 0.5, 1, 10, 0]
    assert Scale(0, 10, 100, 200).ticks(5) == [0, 2, 4, 6, 8, 10]
    assert Scale(3, 3, 100, 200)(7) == 100
    assert Scale(0, 10, 100, 200)(99) == 200
    assert [bytes_text(x) for x in (0, 999, 1500, 2e6)] == ["0 B", "999 B", "1.5 kB", "2.0 MB"]
    assert [duration_text(x) for x in (0.0204, 1.5, 12)] == ["20 ms", "1.50 s", "12.0 s"]
