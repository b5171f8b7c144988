"""Where content goes that does not go into a plain file: standard output, devices, pipes.

It is written as it comes, and what is written stays written. Two downloads into the same of these
take turns. A pipe that nobody reads must not keep the command from ending, so a write is left alone
when it is cancelled.
"""

import io
import os
import re
import select
import stat
import sys
import time
from pathlib import Path
from typing import BinaryIO, Final

import trio

from . import failures
from .failures import FetchError
from .sink import File, Sink

_STANDARD_OUTPUT: Final = 1
_OF_ANOTHER: Final = -1
_MOST_LINKS: Final = 40
_LOOK_AGAIN: Final = 0.01
_DESCRIPTOR: Final = re.compile(r"/proc/(?:self|thread-self|(\d+))/fd/(\d+)|/dev/fd/(\d+)")
_BINARY: Final = (
    "this is binary, and standard output is a terminal: give a file, or -o - to see it all the same"
)


def sink_for(name: str) -> Sink:
    """Where the content goes that the user wants to have in `name`. Whatever is wrong with that is
    an OSError when the sink is opened."""
    descriptor = _descriptor_of(name)
    if descriptor == _STANDARD_OUTPUT:
        return StandardOutput(binary=True, name=name)
    if descriptor is not None:
        return Through(name, None if descriptor == _OF_ANOTHER else descriptor)
    try:
        special = not stat.S_ISREG(os.stat(name).st_mode)
    except OSError:
        special = False
    return Through(name) if special or name.endswith(os.sep) else File(Path(name))


def _descriptor_of(name: str) -> int | None:
    """The descriptor of this process that a path leads to, such as /dev/stdout's.

    Opened by its path, it would be another one: at the beginning of the file, and cut to nothing.
    """
    path = os.path.abspath(name)
    for _ in range(_MOST_LINKS):
        found = _DESCRIPTOR.fullmatch(path)
        if found is not None:
            own = found[1] in (None, str(os.getpid()))
            return int(found[2] or found[3]) if own else _OF_ANOTHER
        try:
            path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
        except OSError:
            return None
    return None


class _Written(Sink):
    """Writes content as it comes into `_file`, which `open` finds."""

    def __init__(self, name: str) -> None:
        super().__init__(name, block=1)
        self._may_hang = True
        self._file: io.RawIOBase | BinaryIO | None = None

    def _write(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            written = self._write_some(rest)
            if written is None:
                # whoever opened it does not want to be kept waiting, and shares that with us
                self._wait_until_it_takes_more()
            else:
                rest = rest[written:]

    def _write_some(self, block: memoryview) -> int | None:
        """How much was taken; None: nothing, at the moment."""
        assert self._file is not None
        return self._file.write(block)

    def _wait_until_it_takes_more(self) -> None:
        if sys.platform == "win32":
            # nothing there is waited for as a socket is
            time.sleep(_LOOK_AGAIN)
            return
        assert self._file is not None
        waiting = select.poll()
        waiting.register(self._file, select.POLLOUT)
        waiting.poll()

    async def finish(self) -> None:
        await trio.lowlevel.checkpoint()

    def discard(self) -> None:
        """What is written is written."""


class StandardOutput(_Written):
    """`binary`: also what a terminal may not be able to show."""

    turn: str | int | None = _STANDARD_OUTPUT

    def __init__(self, *, binary: bool, name: str = "-") -> None:
        super().__init__(name)
        self._binary = binary

    async def open(self) -> None:
        await super().open()
        if sys.stdout is None:
            raise OSError("standard output is closed")
        self._binary = self._binary or not sys.stdout.isatty()
        # past the buffer: a thread that hangs with it could not be left alone
        buffer = sys.stdout.buffer
        self._file = buffer.raw if isinstance(buffer, io.BufferedWriter) else buffer

    def _write(self, block: bytes) -> None:
        if not self._binary and b"\0" in block:
            raise FetchError(failures.WRITING, _BINARY)
        super()._write(block)


class Through(_Written):
    """A device, a pipe, or a `descriptor` that somebody else has opened for this process."""

    def __init__(self, name: str, descriptor: int | None = None) -> None:
        super().__init__(name)
        self._given = descriptor
        self._given_up = False
        where = os.path.realpath(name)
        if where != os.devnull:
            self.turn: str | int | None = where if descriptor is None else descriptor

    async def open(self) -> None:
        """Waits until a named pipe has a reader."""
        await trio.to_thread.run_sync(self._open, abandon_on_cancel=True)

    def _open(self) -> None:
        if self._given is not None:
            descriptor = os.dup(self._given)
        else:
            # not made: what had to be there is gone
            descriptor = os.open(self.name, os.O_WRONLY)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        if self._given_up:
            # before the pipe had a reader; nobody else knows of this file
            self._file.close()

    async def finish(self) -> None:
        await super().finish()
        assert self._file is not None
        self._file.close()

    def discard(self) -> None:
        # said first: a thread that opens the file just now sees it, or is seen
        self._given_up = True
        if self._file is not None:
            self._file.close()
