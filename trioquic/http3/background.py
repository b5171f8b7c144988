"""A nursery for the tasks of a block, which the block's user does not see.

A nursery wraps what goes through it into groups. The user's own exception must come out as it went
in, so it is kept aside while the nursery closes. The tasks in it end by being cancelled and keep
what goes wrong for those who ask, so anything else that comes out is a bug, or KeyboardInterrupt.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from ..errors import InternalError


@asynccontextmanager
async def background(package: str = "trioquic.http3") -> AsyncGenerator[trio.Nursery]:
    """A nursery that is cancelled when the block is left; its tasks are of the `package`."""
    own: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as error:
                own = error
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        rest = group.split(trio.Cancelled)[1]
        if rest is not None:
            _, not_ordinary = rest.split(Exception)
            if not_ordinary is not None:
                raise
            raise InternalError(f"a bug in {package}: {rest.exceptions[0]!r}") from group
        if own is None:
            raise
    if own is not None:
        raise own
