"""What all commands share: the trio run, the two outputs, exit codes, HOST:PORT."""

import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn, TextIO, TypeVar, TypeVarTuple

import click
import trio
from rich.console import Console
from rich.markup import escape

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# As curl and the shells have them: 2 is also what click exits with.
NO_CONNECTION: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
# A table in a file or a pipe is not squeezed into the width of a terminal that is not there.
_WIDTH_OF_FILES: Final = 200


def run(function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """`trio.run`; Ctrl-C ends the process with 130, without a traceback."""
    results: list[T] = []
    try:
        results.append(trio.run(function, *args))
    except* KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    return results[0]


def output() -> Console:
    """Standard output, for tables."""
    return _console(sys.stdout)


def messages() -> Console:
    """Standard error, for progress and what happens meanwhile."""
    return _console(sys.stderr)


def _console(file: TextIO) -> Console:
    width = None if file.isatty() else _WIDTH_OF_FILES
    return Console(file=file, width=width, highlight=False)


def safe(text: str) -> str:
    """Text that a server may have had a part in, for a `Console`: no markup of rich's, and nothing
    that a terminal would obey."""
    return escape("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text))


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def fail(code: int, text: str) -> NoReturn:
    """End the command with an exit code and a line on standard error."""
    complain(text)
    sys.exit(code)


def complain(text: str) -> None:
    """A line on standard error."""
    messages().print(safe(f"trioquic: {text}"), soft_wrap=True)


def split_host(text: str, default_port: int) -> tuple[str, int]:
    """`HOST`, `HOST:PORT`, `[IPV6]:PORT` or a bare IPv6 address; BadParameter for anything else."""
    host, colon, port = text.rpartition(":")
    if text.startswith("["):
        inside, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise click.BadParameter(f"{text!r} is not [ADDRESS] or [ADDRESS]:PORT")
        host, colon, port = inside, rest[:1], rest[1:]
    elif not colon or ":" in host:
        host, colon, port = text, "", ""
    if colon and not (port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise click.BadParameter(f"{port!r} is not a port")
    if not host:
        raise click.BadParameter("the host is missing")
    return host, int(port) if colon else default_port


def host_and_port(host: str, port: int) -> str:
    """As in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
