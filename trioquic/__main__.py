"""The command `trioquic`, also `python -m trioquic`. What it does is in `trioquic.cli`."""

import sys


def main() -> None:
    """Run the command line; without the packages it needs, say which extra has them."""
    try:
        from .cli import command
    except KeyboardInterrupt:
        # as it ends later (`cli.console.INTERRUPTED`, which is not there yet)
        sys.exit(130)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("click", "pylsqpack", "rich"):
            raise
        sys.stderr.write(
            f"trioquic: the command line needs {missing}: pip install 'trioquic[cli]'\n"
        )
        sys.exit(2)
    command(prog_name="trioquic")


if __name__ == "__main__":
    main()
