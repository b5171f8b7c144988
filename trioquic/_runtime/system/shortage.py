"""Errors that say nothing of what was asked: the process, or the system, is out of something, or
was disturbed. What is read in such a moment must not be taken for an answer, and remembered."""

import errno
from typing import Final

_SHORTAGES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EINTR)


def is_shortage(error: OSError) -> bool:
    """Whether the next try may well succeed."""
    return error.errno in _SHORTAGES
