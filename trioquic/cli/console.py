"""What all commands share: the trio run, the two outputs, exit codes, HOST:PORT."""

import io
import json
import os
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn, TextIO, TypeVar, TypeVarTuple

import click
import trio
from rich.console import Console
from rich.markup import escape

from .._checks import without_password
from .._groups import leaves
from ..sessions import SessionFileWarning

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# As curl and the shells have them: 2 is also what click exits with.
NO_CONNECTION: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
# what also click exits with when standard output is a pipe that nobody reads
NO_OUTPUT: Final = 1
# A table in a file or a pipe is not squeezed into the width of a terminal that is not there.
_WIDTH_OF_FILES: Final = 200


def run(function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """`trio.run`; Ctrl-C ends the process with 130, without a traceback. SIGTERM and SIGHUP clean
    up like it, and end the process with 128 and their number, as the shells say it."""
    with _ended_like_control_c() as received:
        try:
            # Ctrl-C ends the command as a whole. In whatever runs just then it would end that
            # first, a connection perhaps, and who uses it would take it for lost.
            return trio.run(function, *args, restrict_keyboard_interrupt_to_checkpoints=True)
        except BaseException as error:
            if not any(isinstance(one, KeyboardInterrupt) for one in leaves(error)):
                raise
    sys.exit(128 + received[0] if received else INTERRUPTED)


@contextmanager
def _ended_like_control_c() -> Iterator[list[int]]:
    """The other signals that ask a process to end become SIGINT; yields those that have come.

    One that is ignored (`nohup`) stays so, and so do they all where SIGINT does not interrupt: in
    a background job of a script the process ends as it always did.
    """
    received: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        received.append(number)
        signal.raise_signal(signal.SIGINT)

    replaced: list[signal.Signals] = []
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        for name in ("SIGTERM", "SIGHUP"):
            # Windows has no SIGHUP
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                # outside of the main thread nobody may
                with suppress(ValueError):
                    signal.signal(number, interrupt)
                    replaced.append(number)
    try:
        yield received
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)


def output() -> Console:
    """Standard output, for tables."""
    return _console(sys.stdout, Console)


def messages() -> Console:
    """Standard error, for progress and what happens meanwhile; nothing fails for want of it."""
    return _console(sys.stderr, _Messages)


class _Messages(Console):
    """Goes on without a word when nobody reads any more."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


def _console(file: TextIO | None, kind: type[Console]) -> Console:
    if file is None:
        # closed by whoever has started this process
        file = io.StringIO()
    if isinstance(file, io.TextIOWrapper):
        # a server's words may have letters that this locale's files cannot have
        file.reconfigure(errors="backslashreplace")
    width = None if file.isatty() else _WIDTH_OF_FILES
    # what looks like the name of an emoji, :100:, is a part of an address
    return kind(file=file, width=width, highlight=False, emoji=False)


def printable(text: str) -> str:
    """Text that a server may have had a part in, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def safe(text: str) -> str:
    """The same for a `Console`, which shall find no markup of rich's in it."""
    return escape(printable(text))


def print_json(value: Any) -> None:
    """One JSON document on standard output, in ASCII: whatever reads it, and if it is a terminal,
    gets no letters that mean something else to it."""
    click.echo(json.dumps(value, indent=2))


def fail(code: int, text: str) -> NoReturn:
    """End the command with an exit code and a line on standard error."""
    complain(text)
    sys.exit(code)


def cannot_write(code: int, error: OSError) -> NoReturn:
    """End the command because standard output takes nothing."""
    # what is still in its buffer would fail again at the very end
    with suppress(OSError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    fail(code, f"standard output: {error}")


def complain(text: str) -> None:
    """A line on standard error."""
    messages().print(safe(f"trioquic: {text}"), soft_wrap=True)


@contextmanager
def trouble_told(tell: Callable[[str], None]) -> Iterator[None]:
    """What is wrong with a file beside a connection (sessions, secrets, a trace) is a line, not
    Python's warning, and told once: each secret has the same trouble."""
    shown = warnings.showwarning
    told: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        text = str(message)
        if not issubclass(category, SessionFileWarning | RuntimeWarning):
            shown(message, category, *where, **more)
        elif text not in told:
            told.add(text)
            tell(text)

    with warnings.catch_warnings():
        warnings.simplefilter("always", SessionFileWarning)
        warnings.simplefilter("always", RuntimeWarning)
        warnings.showwarning = show
        yield


def split_host(text: str, default_port: int) -> tuple[str, int]:
    """`HOST`, `HOST:PORT`, `[IPV6]:PORT` or a bare IPv6 address; BadParameter for anything else."""
    if any(mark in text for mark in "/@?#"):
        raise click.BadParameter(f"{without_password(text)!r} is not HOST or HOST:PORT")
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
