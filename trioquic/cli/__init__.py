"""The command line: one module for each command, on the public API only (docs/command_line.md).

Results go to standard output, everything else to standard error. Every command has `--json` where
its result is more than a file, and exit codes that scripts can rely on.
"""

from .. import __version__, _checks

try:
    import click

    from .check import check
except ModuleNotFoundError as error:
    _checks.tell_extra(error, "cli", ("click", "rich", "pylsqpack"))
    raise
from .fetch import fetch
from .paths import paths
from .plot import plot


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trioquic")
def command() -> None:
    """QUIC connections that survive a change of network."""


command.add_command(check)
command.add_command(fetch)
command.add_command(paths)
command.add_command(plot)
