"""What comes out of a nursery that the application does not see.

A nursery raises groups. Tasks of this library end by being cancelled, and turn what the network
does to them into events, so anything else in a group is a bug, or KeyboardInterrupt.
"""

from collections.abc import Iterator

import trio

from ..errors import InternalError


def bug_in(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The exception to raise for a hidden nursery's group; None if it was only cancelled."""
    rest = group.split(trio.Cancelled)[1]
    if rest is None:
        return None
    leaves = list(_leaves(rest))
    for leaf in leaves:
        # KeyboardInterrupt and SystemExit pass through; an InternalError says it all already.
        if not isinstance(leaf, Exception) or isinstance(leaf, InternalError):
            return leaf
    error = InternalError(f"a bug in trioquic: {leaves[0]!r}")
    error.__cause__ = rest
    return error


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for exception in group.exceptions:
        if isinstance(exception, BaseExceptionGroup):
            yield from _leaves(exception)
        else:
            yield exception
