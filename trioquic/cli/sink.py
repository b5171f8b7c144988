"""Where content goes: into a plain file, which appears when it is complete.

What is no plain file is in `outputs.py`. Content is hashed and written in a worker thread, in
blocks, so that a slow disk holds up neither the connection's acknowledgements nor other downloads,
and memory stays bounded.
"""

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import IO, Final

import trio

_BLOCK: Final = 1 << 18
# of the name, in that of the file that is not complete: names have 255 bytes at most
_MOST_OF_NAME: Final = 50


class Sink(ABC):
    """Takes the content of one download, in order. `size` is how much it has taken, `name` what it
    is called for people and in summaries; content is stored in blocks of `block` bytes at least.

    All methods raise OSError when the system does not take what they have.
    """

    turn: Hashable = None
    """What other sinks must not write to before this one is finished; None: nobody else can."""

    def __init__(self, name: str, block: int) -> None:
        self.name = name
        self.size: int = 0
        self._block = block
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self._may_hang = False  # writing may take until somebody reads

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
        await trio.to_thread.run_sync(self._store, block, abandon_on_cancel=self._may_hang)

    def _store(self, block: bytes) -> None:
        self._digest.update(block)
        self._write(block)

    @abstractmethod
    def _write(self, block: bytes) -> None: ...

    def _forget(self) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        self._waiting.clear()


class File(Sink):
    """A plain file that is there, whole, after `finish`; until then the content is in another file
    beside it, which is removed by `discard`.

    Links are followed. A file that is there keeps its owner and mode; where that takes writing into
    it (it has several names, belongs to somebody else, is mounted, is in a folder of others) it is
    written when the content is complete.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _BLOCK)
        self._path = path
        self._target = path  # without links
        self._part: Path | None = None
        self._file: IO[bytes] | None = None
        self._in_place = False

    async def open(self) -> None:
        """Make the file for the content that is not complete."""
        await trio.to_thread.run_sync(self._open)

    def _open(self) -> None:
        # a chain of links without an end is found out here
        with contextlib.suppress(FileNotFoundError):
            self._path.stat()
        self._target = Path(os.path.realpath(self._path))
        found = None
        with contextlib.suppress(FileNotFoundError):
            found = self._target.stat()
        if found is None:
            self._open_part(0o666)
            return
        # whoever protects a file against writing does not want it replaced; and it is no folder
        os.close(os.open(self._target, os.O_WRONLY))
        try:
            # who may not read the file may not read what will be in it
            self._open_part(0o600)
        except OSError:
            # nothing can be made in this folder, but the file can be written
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - till the end
            return
        assert self._file is not None
        self._in_place = found.st_nlink > 1 or not _made_alike(self._file, self._target, found)

    def _open_part(self, mode: int) -> None:
        name = f".{self._target.name[:_MOST_OF_NAME]}.{os.urandom(4).hex()}.part"
        part = self._target.with_name(name)
        try:
            self._file = open(part, "x+b", opener=partial(os.open, mode=mode))  # noqa: SIM115 - till the end
        except OSError as error:
            # the name that the user knows
            raise OSError(error.errno, error.strerror, self.name) from None
        self._part = part

    def _write(self, block: bytes) -> None:
        assert self._file is not None
        self._file.write(block)

    async def restart(self) -> bool:
        self._forget()
        await trio.to_thread.run_sync(self._truncate)
        return True

    def _truncate(self) -> None:
        assert self._file is not None
        self._file.seek(0)
        self._file.truncate()

    async def finish(self) -> None:
        await self._store_waiting()
        await trio.to_thread.run_sync(self._close)

    def _close(self) -> None:
        assert self._file is not None
        self._file.flush()
        part = self._part
        try:
            if part is None or self._in_place or not self._moved(part):
                self._rewrite(self._file)
                if part is not None:
                    part.unlink()
        except OSError as error:
            if part is None or not part.exists():
                raise
            # what has come is complete, and nobody wants to wait for it twice
            self._part = None
            text = f"{error.strerror or error}; the new content is in {part}"
            raise OSError(error.errno, text) from error
        self._file.close()
        self._part = None

    def _rewrite(self, source: IO[bytes]) -> None:
        """Write into the file that is there; it need not be readable. What it has to grow by comes
        first: a full disk shows then, while the old content is whole."""
        size = source.seek(0, os.SEEK_END)
        with os.fdopen(os.open(self._target, os.O_WRONLY), "wb", buffering=0) as target:
            old = os.fstat(target.fileno()).st_size
            try:
                _copy(source, target, min(old, size), size)
                os.fsync(target.fileno())
            except OSError:
                target.truncate(old)
                raise
            _copy(source, target, 0, min(old, size))
            target.truncate(size)

    def _moved(self, part: Path) -> bool:
        """Whether the new file could take the place of the old one."""
        assert self._file is not None
        if os.name == "nt":
            # a file that is open cannot be moved there, and is not needed any more then
            self._file.close()
        try:
            part.replace(self._target)
        except OSError:
            # such as a file that is mounted, as containers have them
            if os.name == "nt" or not self._target.is_file():
                raise
            return False
        return True

    def discard(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        if self._part is not None:
            with contextlib.suppress(OSError):
                self._part.unlink(missing_ok=True)
            self._part = None


def _copy(source: IO[bytes], target: IO[bytes], start: int, end: int) -> None:
    """The bytes from one place to another, to the same places."""
    source.seek(start)
    target.seek(start)
    while start < end:
        block = memoryview(source.read(min(_BLOCK, end - start)))
        start += len(block)
        while block:
            block = block[target.write(block) :]


def _made_alike(file: IO[bytes], path: Path, like: os.stat_result) -> bool:
    """Whether a new file could be given the owner, the group and the mode of the one at `path`."""
    if sys.platform == "win32":
        return True
    own = os.fstat(file.fileno())
    try:
        if sys.platform == "linux" and any("posix_acl" in name for name in os.listxattr(path)):
            return False
        if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
            os.fchown(file.fileno(), like.st_uid, like.st_gid)
        # without what would give the new content somebody's rights, as if it had been written to
        os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode) & 0o777)
    except OSError:
        return False
    return True
