"""Sessions in a file, for programs that run again, and for several at the same time.

Nothing is kept in memory: every operation locks a file beside it, reads, changes, and puts a new
file in the old one's place. So a program that is killed leaves the old or the new content, two that
write at once lose nothing, and what one has taken the other cannot take. Where the system has no
such locks (Windows), the later of two that write in the same moment wins.

All of that waits for the disk, and is done in a thread.

Who has read the secrets can pose as the server to us, so the file is its owner's alone. One that
others can read or write, or that belongs to somebody else, is not believed.
"""

import os
import stat
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import trio

from ._format import LARGEST_FILE, DamagedError, ForeignError, decode, encode
from ._memory import DAY
from ._records import Record, SessionKey, TakenSession
from ._shelf import Entry, Limits, Shelf

_LONGEST_WAIT: Final = 1.0  # seconds, for other programs that write
_PAUSE: Final = 0.002
_NOTHING: Final = TakenSession()

T = TypeVar("T")

if sys.platform == "win32":

    def _lock(descriptor: int) -> bool:
        """There is none."""
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        """Whether the lock could be had in time. It goes with its descriptor."""
        end = time.monotonic() + _LONGEST_WAIT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    return False
                time.sleep(_PAUSE)
            except OSError:
                # a file system without locks
                return True
            else:
                return True


class SessionFileWarning(RuntimeWarning):
    """A file of sessions cannot be used, or was damaged: connections start without it."""


class FileSessions:
    """A store in a file, which other programs and other objects may use at the same time."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        across_networks: bool = False,
        per_server: int = 8,
        most: int = 128,
        token_lifetime: float = DAY,
    ) -> None:
        """The file need not be there, but its folder must. For the other arguments see
        `MemorySessions`.

        Nothing ever raises because of the file: a `SessionFileWarning`, once for each sort of
        trouble, says what is wrong. A damaged file is replaced, and so is one that others have
        access to: nothing in it is believed. One that is not ours is left alone, and nothing kept.
        """
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"path must be a path, not {type(path).__name__}")
        # A link stays a link, and the working directory may change.
        self._path = os.path.realpath(path)
        self._limits = Limits(
            across_networks=across_networks,
            per_server=per_server,
            most=most,
            token_lifetime=token_lifetime,
        )
        # for threads of this object; the lock beside the file is for everybody else
        self._mutex = threading.Lock()
        self._troubles: dict[str, str] = {}
        self._told: set[str] = set()

    async def take(self, key: SessionKey) -> TakenSession:
        """See `SessionStore`. Waits for the disk, and up to a second for others that write."""
        taken = await self._in_thread(lambda shelf: shelf.take(key, time.time()), _NOTHING, False)
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
        except trio.Cancelled:
            records = [record for record in taken if record is not None]
            with trio.move_on_after(2 * _LONGEST_WAIT, shield=True):
                await self.keep(key, records)
            raise
        return taken

    async def keep(self, key: SessionKey, records: Sequence[Record]) -> None:
        """See `SessionStore`. Waits for the disk, and up to a second for others that write.
        Cancelled, it goes on by itself."""
        await self._in_thread(lambda shelf: shelf.keep(key, records, time.time()), None, True)

    async def clear(self) -> None:
        """Forget everything, for the other users of the file as well. Waits as `keep`."""
        await self._in_thread(lambda shelf: shelf.entries.clear(), None, True)

    # -- in a thread -------------------------------------------------------------------------------

    async def _in_thread(self, change: Callable[[Shelf], T], otherwise: T, abandon: bool) -> T:
        result = await trio.to_thread.run_sync(
            self._change, change, otherwise, abandon_on_cancel=abandon
        )
        self._warn()
        return result

    def _change(self, change: Callable[[Shelf], T], otherwise: T) -> T:
        """Change what the file has; `otherwise` if that was not possible."""
        try:
            with self._locked() as locked:
                if not locked:
                    self._note("lock", "is being written by others all the time")
                    return otherwise
                found = self._read()
                if found is None:
                    return otherwise
                before, sound = found
                shelf = Shelf(self._limits, before)
                result = change(shelf)
                if not sound or shelf.entries != before:
                    self._write(encode(shelf.entries))
                return result
        except OSError as error:
            # What could not be taken away is still there, and so was not taken.
            self._note("write", f"cannot be written: {error}")
            return otherwise

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Keep others out; False if one of them does not come to an end."""
        if not self._mutex.acquire(timeout=_LONGEST_WAIT):
            yield False
            return
        try:
            if sys.platform == "win32":
                yield True
                return
            # It stays, as who removes it may remove one that others have just locked.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._path + ".lock", flags, 0o600)
            try:
                yield _lock(descriptor)
            finally:
                os.close(descriptor)
        finally:
            self._mutex.release()

    def _read(self) -> tuple[list[Entry], bool] | None:
        """What is in the file, and whether it is as it should be; None to leave it alone."""
        try:
            content, private = self._read_bytes()
        except FileNotFoundError:
            return [], True
        except OSError as error:
            self._note("read", f"cannot be read: {error}")
            return None
        try:
            entries = decode(content)
        except ForeignError as error:
            self._note("foreign", f"{error}; it is left alone, and no sessions are kept")
            return None
        except DamagedError as error:
            self._note("damaged", f"{error}; a new one takes its place")
            return [], False
        if not private:
            self._note("private", "was open to other users; what is in it is not believed")
            return [], False
        return entries, True

    def _read_bytes(self) -> tuple[bytes, bool]:
        """The content, and whether others had no access to it."""
        # A pipe would keep us waiting for somebody who writes.
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(self._path, flags | getattr(os, "O_BINARY", 0))
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError("it is no file")
            private = True
            if sys.platform != "win32":
                if status.st_uid != os.geteuid():
                    raise OSError("it belongs to another user")
                private = not status.st_mode & 0o077
            with open(descriptor, "rb", closefd=False) as file:
                # one that is too large is cut short, and so is not whole
                return file.read(LARGEST_FILE + 1), private
        finally:
            os.close(descriptor)

    def _write(self, content: bytes) -> None:
        """Put this in the file's place, whole or not at all."""
        folder, name = os.path.split(self._path)
        # is made for its owner's eyes only
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}-", dir=folder)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, self._path)
        except BaseException:
            os.unlink(temporary)
            raise

    # -- telling -----------------------------------------------------------------------------------

    def _note(self, kind: str, what: str) -> None:
        self._troubles[kind] = f"{self._path} {what}"

    def _warn(self) -> None:
        """Say in trio's thread what was found, each sort of trouble once."""
        for kind, text in list(self._troubles.items()):
            del self._troubles[kind]
            if kind in self._told:
                continue
            self._told.add(kind)
            try:
                warnings.warn(text, SessionFileWarning, stacklevel=2)
            except SessionFileWarning:
                # Somebody has made errors of warnings; still no connection ends because of a file.
                continue
