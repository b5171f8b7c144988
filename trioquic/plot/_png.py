"""PNG out of SVG, by resvg, which is there with the extra `png`."""

from typing import Final

from .. import _checks
from ._errors import MissingExtraError, TraceError

_SVG: Final = _checks.instance(str)
_ZOOM: Final = _checks.number(above=True, most=100, unit="of pixels")


def render_png(svg: str, *, zoom: float = 2.0) -> bytes:
    """The picture as PNG, `zoom` pixels to each of its own.

    Raises `MissingExtraError` without the extra `png`, and `TraceError` for what is no SVG.
    """
    _checks.check(_SVG, "svg", svg)
    _checks.check(_ZOOM, "zoom", zoom)
    try:
        import resvg_py
    except ImportError as error:
        raise MissingExtraError(
            "PNG needs the package resvg-py: pip install 'trioquic[png]'"
        ) from error
    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=zoom))
    except ValueError as error:
        raise TraceError(f"this SVG cannot be rendered: {error}") from error
