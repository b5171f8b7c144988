"""The one exception that comes out of a nursery which the application does not see.

A nursery raises groups, and nurseries in nurseries raise groups of groups. Who has opened none is
raised none: Ctrl-C is KeyboardInterrupt, a cancellation is trio.Cancelled, and so on. Tasks of this
library end by being cancelled, and turn what the network does to them into events, so anything else
in a group is a bug, and is called one, but what code of the application's has raised, and what trio
says where the application closes its scopes out of turn.

Any layer may import this module.
"""

import traceback
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from .errors import ApplicationCodeError, InternalError

_CORRUPTED: Final = ("Cancel scope stack corrupted", "Nursery stack corrupted")
_TRIOS: Final = "trio._core._run"
_NOTE: Final = "cancel scopes or nurseries around trioquic's tasks were closed out of turn"


@asynccontextmanager
async def hidden_nursery(package: str = "trioquic") -> AsyncGenerator[trio.Nursery]:
    """A nursery that is cancelled when the block is left; its tasks are of the `package`.

    The block's own exception must come out as it went in, so it is parked while the nursery ends.
    """
    own: BaseException | None = None
    failed: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as error:
                own = error
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failed = bug_in(group, package)
        if failed is None and own is None:
            failed = alone(group)
        if failed is not None and own is not None and is_of_misnesting(failed):
            # which has been told there
            failed = None
    # outside of the handlers, which would chain it to what it has nothing to do with
    try:
        if failed is not None:
            raise failed from failed.__cause__
        if own is not None:
            raise own
    finally:
        # whose tracebacks refer to this frame
        del own, failed


def bug_in(
    group: BaseExceptionGroup[BaseException], package: str = "trioquic"
) -> BaseException | None:
    """The exception to raise for a hidden nursery's group; None if it was only cancelled. Its tasks
    are of the `package`."""
    rest = group.split(trio.Cancelled)[1]
    if rest is None:
        return None
    found = list(leaves(rest))
    for leaf in found:
        # KeyboardInterrupt and SystemExit pass through, whatever else has gone wrong meanwhile
        if not isinstance(leaf, Exception):
            return leaf
    for leaf in found:
        # It says it all already.
        if isinstance(leaf, (InternalError, ApplicationCodeError)) or is_of_misnesting(leaf):
            return leaf
    error = InternalError(f"a bug in {package}: {found[0]!r}")
    error.__cause__ = rest
    return error


def is_of_misnesting(error: BaseException) -> bool:
    """Whether trio itself found, in one of our tasks, that cancel scopes or nurseries around them
    were closed out of turn, which the application must have done. The error has a note of it."""
    if isinstance(error, RuntimeError):
        known = str(error).startswith(_CORRUPTED)
    else:
        frames = traceback.walk_tb(error.__traceback__)
        last = [frame.f_globals.get("__name__", "") for frame, _ in frames][-1:]
        known = isinstance(error, AssertionError) and last == [_TRIOS]
    if known and _NOTE not in getattr(error, "__notes__", ()):
        error.add_note(_NOTE)
    return known


def alone(group: BaseExceptionGroup[BaseException], package: str = "trioquic") -> BaseException:
    """The same; trio.Cancelled if it was only cancelled. Which one makes no difference to trio."""
    return bug_in(group, package) or next(leaves(group))


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exception, or all exceptions in a group and in the groups in it."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from leaves(one)
    else:
        yield error
