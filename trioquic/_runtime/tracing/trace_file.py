"""One trace on disk: records of text, never more than so many bytes, and no trouble for anybody.

The file is made for its owner's eyes and must not be there before. Records are gathered and written
in large pieces, at once and without a thread: what they cost is a copy into the system's cache. Who
adds a record says how much room it has to leave, so that rare and important records still fit when
frequent ones do not. When the disk is full or gone, the trace ends there with one warning; the
connection that it is about goes on.
"""

import os
import warnings
from typing import Final

_PIECE: Final = 64 << 10


class TraceFile:
    """Open from its making on; OSError if that cannot be."""

    def __init__(self, path: str, limit: int) -> None:
        self._path = path
        self._descriptor = _create(path)
        self._limit = limit
        self._size = 0
        self._waiting: list[str] = []
        self._waiting_size = 0

    def add(self, record: str, leave: int) -> bool:
        """Add a record of ASCII text if it leaves that much room, and say whether it did."""
        length = len(record)
        if self._size + length > self._limit - leave or self._descriptor < 0:
            return False
        self._size += length
        self._waiting.append(record)
        self._waiting_size += length
        if self._waiting_size >= _PIECE:
            self._write()
        return True

    def close(self) -> None:
        """Write what waits and close the file. Idempotent."""
        if self._descriptor >= 0:
            self._write()
        self._shut()

    def _write(self) -> None:
        piece = memoryview("".join(self._waiting).encode("ascii"))
        self._waiting.clear()
        self._waiting_size = 0
        try:
            while piece:
                piece = piece[os.write(self._descriptor, piece) :]
        except OSError as error:
            self._shut()
            warn(f"the trace {self._path} ends early: {error}")

    def _shut(self) -> None:
        if self._descriptor >= 0:
            descriptor = self._descriptor
            self._descriptor = -1
            try:
                os.close(descriptor)
            except OSError as error:
                # Some file systems notice only now that there is no room.
                warn(f"the trace {self._path} may be incomplete: {error}")


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def warn(message: str) -> None:
    """What cannot be written for somebody who debugs is no reason to end a connection."""
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    except RuntimeWarning:
        # Somebody has made errors of warnings.
        return
