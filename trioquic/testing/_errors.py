"""The errors of the operating system, as sockets raise them, and the one of a forgotten host."""

import os

from ..errors import ApplicationCodeError


class NoCurrentHostError(ApplicationCodeError, RuntimeError):
    """A socket was made outside `Host.as_current`. It may be a connection of trioquic's that makes
    it, in a task that the application does not see, and is no bug of trioquic's."""


def failure(code: int) -> OSError:
    """The OSError (or the subclass that Python has for it) of an errno value."""
    return OSError(code, os.strerror(code))
