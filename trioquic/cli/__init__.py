"""The command line: one module for each command, on the public API only (docs/command_line.md).

Results go to standard output, everything else to standard error. Every command has `--json` where
its result is more than a file, and exit codes that scripts can rely on.
"""

import sys
from typing import Any

from .. import __version__, _checks

try:
    import click

    from .check import check
except ModuleNotFoundError as _error:
    _checks.tell_extra(_error, "cli", ("click", "rich", "pylsqpack"))
    raise
from .console import INTERRUPTED, NO_OUTPUT, cannot_write
from .fetch import fetch
from .paths import paths
from .plot import plot


class Commands(click.Group):
    """Ends as documented, whatever command is interrupted or cannot write its results."""

    def main(self, *args: Any, **more: Any) -> Any:
        try:
            return super().main(*args, **more)
        except OSError as error:
            cannot_write(NO_OUTPUT, error)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trioquic")
def command() -> None:
    """QUIC connections that survive a change of network."""


command.add_command(check)
command.add_command(fetch)
command.add_command(paths)
command.add_command(plot)
