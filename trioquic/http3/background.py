"""A nursery for the tasks of a block, which the block's user does not see.

A nursery wraps what goes through it into groups. The user's own exception must come out as it went
in, so it is kept aside while the nursery closes. What else comes out is one exception, too; which
one, `_groups` says.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from .._groups import alone, bug_in, is_of_misnesting


@asynccontextmanager
async def background(package: str = "trioquic.http3") -> AsyncGenerator[trio.Nursery]:
    """A nursery that is cancelled when the block is left; its tasks are of the `package`."""
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
    if failed is not None:
        raise failed from failed.__cause__
    if own is not None:
        raise own
