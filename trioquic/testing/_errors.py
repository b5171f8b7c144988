"""The errors of the operating system, as sockets raise them."""

import os


def failure(code: int) -> OSError:
    """The OSError (or the subclass that Python has for it) of an errno value."""
    return OSError(code, os.strerror(code))
