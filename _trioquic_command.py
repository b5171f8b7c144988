"""The program `trioquic`, which `pyproject.toml` names.

It stands beside the package: whoever imports a module of that loads most of it first, which takes
some tenths of a second, and Ctrl-C meanwhile would end in a traceback. (`python -m trioquic` has no
such place.)
"""

import sys


def main() -> None:
    """Load the package, and run its command line."""
    try:
        from trioquic import __main__ as program
    except KeyboardInterrupt:
        # as it ends later (`trioquic.cli.console.INTERRUPTED`, which is not there yet)
        sys.exit(130)
    program.main()
