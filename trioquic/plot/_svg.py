"""The few shapes that a picture is made of, as SVG text.

Coordinates are pixels with one decimal. Whatever is written is escaped; the font is whatever the
viewer has, so widths of text are estimates on the large side.
"""

from html import escape
from typing import Final, TypeAlias

Point: TypeAlias = tuple[float, float]

INK: Final = "#1f2733"
FAINT_INK: Final = "#5b6675"
LINE: Final = "#d5dae1"
PAPER: Final = "#ffffff"

_FONT: Final = "Helvetica, Arial, 'DejaVu Sans', sans-serif"
# of the widest usual font at one pixel of size
_CHARACTER: Final = 0.61
_BOLD: Final = 1.1


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a text is, at most."""
    return len(text) * size * _CHARACTER * (_BOLD if bold else 1.0)


def shorten(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """As much of a text as fits."""
    most = int(width / text_width("x", size, bold=bold))
    return text if len(text) <= most else text[: max(most - 1, 0)] + "…"


class Canvas:
    """Shapes, the first drawn first."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def rectangle(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        *,
        stroke: str = "none",
        opacity: float = 1.0,
    ) -> None:
        """A filled rectangle; nothing if it has no width."""
        if width > 0 and height > 0:
            faint = f' fill-opacity="{opacity:g}"' if opacity < 1 else ""
            self._parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
                f' fill="{fill}"{faint} stroke="{stroke}"/>'
            )

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        stroke: str,
        *,
        width: float = 1.0,
        dashes: str = "",
    ) -> None:
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"'
            f' stroke-width="{width:g}"{dashed}/>'
        )

    def curve(
        self, points: list[Point], stroke: str, *, width: float = 1.5, dashes: str = ""
    ) -> None:
        if len(points) > 1:
            dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
            where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            self._parts.append(
                f'<polyline points="{where}" fill="none" stroke="{stroke}"'
                f' stroke-width="{width:g}" stroke-linejoin="round"{dashed}/>'
            )

    def polygon(self, points: list[Point], fill: str) -> None:
        where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polygon points="{where}" fill="{fill}"/>')

    def circle(self, x: float, y: float, radius: float, fill: str) -> None:
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}"/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 12,
        *,
        fill: str = INK,
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        """One line, its baseline at `y`; `anchor`: start, middle or end."""
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}"'
            f' text-anchor="{anchor}"{weight}>{escape(text)}</text>'
        )

    def document(self, width: float, height: float, title: str, definitions: str = "") -> str:
        """All of it, on paper of its own: it looks alike in light and dark surroundings."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
            f' width="{width:.0f}" height="{height:.0f}" role="img" font-family="{_FONT}">\n'
            f"<title>{escape(title)}</title>\n{definitions}"
            f'<rect width="100%" height="100%" rx="8" fill="{PAPER}" stroke="{LINE}"/>\n'
            + "\n".join(self._parts)
            + "\n</svg>\n"
        )
