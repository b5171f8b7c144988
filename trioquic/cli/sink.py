"""Where content goes: into a file that appears when it is complete, or to standard output.

Content is hashed and written in a worker thread, in blocks, so that a slow disk holds up neither
the connection's acknowledgements nor other downloads, and memory stays bounded.
"""

import contextlib
import hashlib
import os
import stat
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import BinaryIO, ClassVar, Final

import trio

_BLOCK: Final = 1 << 18


class Sink(ABC):
    """Takes the content of one download, in order. `size` is how much it has taken.

    All methods raise OSError when the system does not take what they have.
    """

    in_turn: ClassVar[bool] = False
    """Whether other sinks of this kind have to wait until this one is finished."""

    def __init__(self, block: int) -> None:
        self.size: int = 0
        self._block = block
        self._digest = hashlib.sha256()
        self._waiting = bytearray()

    @property
    @abstractmethod
    def name(self) -> str:
        """For people and for summaries."""

    @property
    def sha256(self) -> str:
        """The digest of what was stored, in hexadecimal; of everything after `finish`."""
        return self._digest.hexdigest()

    async def open(self) -> None:
        """Make ready for content."""
        await trio.lowlevel.checkpoint()

    async def write(self, data: bytes) -> None:
        """Take the next piece. Cancelled, the sink can only be discarded."""
        self.size += len(data)
        self._waiting += data
        if len(self._waiting) >= self._block:
            await self._store_waiting()
        else:
            await trio.lowlevel.checkpoint()

    async def restart(self) -> bool:
        """Forget all content, because it comes again from the beginning; False if that cannot be
        done any more."""
        await trio.lowlevel.checkpoint()
        return self.size == 0

    @abstractmethod
    async def finish(self) -> None:
        """The content is complete."""

    @abstractmethod
    def discard(self) -> None:
        """Give up what is not complete; does nothing after `finish`."""

    async def _store_waiting(self) -> None:
        block, self._waiting = bytes(self._waiting), bytearray()
        await trio.to_thread.run_sync(self._store, block)

    def _store(self, block: bytes) -> None:
        self._digest.update(block)
        self._write(block)

    @abstractmethod
    def _write(self, block: bytes) -> None: ...

    def _forget(self) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        self._waiting.clear()


class StandardOutput(Sink):
    """Writes content as it comes."""

    in_turn = True

    def __init__(self) -> None:
        super().__init__(block=1)

    @property
    def name(self) -> str:
        return "-"

    def _write(self, block: bytes) -> None:
        sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()

    async def finish(self) -> None:
        await trio.lowlevel.checkpoint()

    def discard(self) -> None:
        """What is written is written."""


class File(Sink):
    """A file that is there, whole, after `finish`; until then the content is in another file beside
    it, which is removed by `discard`. What is there already and no regular file, such as /dev/null,
    is written to as it is."""

    def __init__(self, path: Path) -> None:
        super().__init__(_BLOCK)
        self._path = path
        self._part: Path | None = None
        self._file: BinaryIO | None = None

    @property
    def name(self) -> str:
        return str(self._path)

    async def open(self) -> None:
        """Make the file for the content that is not complete."""
        await trio.to_thread.run_sync(self._open)

    def _open(self) -> None:
        mode = None
        with contextlib.suppress(FileNotFoundError):
            found = self._path.stat()
            if not stat.S_ISREG(found.st_mode):
                self._file = self._path.open("wb")
                return
            mode = stat.S_IMODE(found.st_mode)
        part = self._path.with_name(f".{self._path.name}.{os.urandom(4).hex()}.part")
        self._file = part.open("xb")
        self._part = part
        if mode is not None:
            part.chmod(mode)

    def _write(self, block: bytes) -> None:
        assert self._file is not None
        self._file.write(block)

    async def restart(self) -> bool:
        self._forget()
        await trio.to_thread.run_sync(self._truncate)
        return True

    def _truncate(self) -> None:
        assert self._file is not None
        if self._part is not None:
            self._file.seek(0)
            self._file.truncate()

    async def finish(self) -> None:
        await self._store_waiting()
        await trio.to_thread.run_sync(self._close)

    def _close(self) -> None:
        assert self._file is not None
        self._file.close()
        if self._part is not None:
            self._part.replace(self._path)
            self._part = None

    def discard(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)
            self._part = None
