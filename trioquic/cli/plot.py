"""`trioquic plot`: a picture of what a trace tells (`trioquic.plot`)."""

from pathlib import Path

import click

from .. import plot as pictures
from .console import USAGE, fail

_FAILED = 1


@click.command()
@click.argument("trace", type=click.Path(exists=True, dir_okay=False))
@click.option("-o", "--output", required=True, metavar="FILE", help="FILE.svg or FILE.png.")
def plot(trace: str, output: str) -> None:
    """Draw the paths of a connection, and what its handovers cost, from its qlog TRACE.

    Traces come from `trioquic fetch --qlog DIR`, and from TransportConfig.qlog_dir.

    Exit codes: 0; 1 TRACE is no trace, or FILE cannot be written; 2 usage, or PNG without the
    package for it.
    """
    kind = Path(output).suffix.lower()
    if kind not in (".svg", ".png"):
        raise click.BadParameter(f"{output!r} ends neither in .svg nor in .png", param_hint="-o")
    try:
        svg = pictures.draw(pictures.read_trace(trace))
        picture = svg.encode() if kind == ".svg" else pictures.render_png(svg)
        Path(output).write_bytes(picture)
    except pictures.MissingExtraError as error:
        fail(USAGE, str(error))
    except (pictures.TraceError, OSError) as error:
        fail(_FAILED, str(error))
