"""A nursery between `__aenter__` and `__aexit__`, which the user of the block does not see.

httpx enters a transport and leaves it with two calls, and passes the exception of its user's block
on by itself. So the nursery is not told of that exception: it is cancelled, and whatever comes out
of it then is a bug, KeyboardInterrupt, or a cancellation from outside.
"""

import trio

from .. import InternalError


class Block:
    """An open nursery. To be left by the task that entered it, innermost first."""

    def __init__(self) -> None:
        self._manager = trio.open_nursery()

    async def enter(self) -> trio.Nursery:
        """Open it."""
        self._nursery = await self._manager.__aenter__()
        return self._nursery

    async def leave(self, *, raising: bool) -> None:
        """Cancel what is in it, and wait for that. `raising`: an exception is under way already,
        and goes on when this returns."""
        self._nursery.cancel_scope.cancel()
        try:
            await self._manager.__aexit__(None, None, None)
        except BaseExceptionGroup as group:
            rest = group.split(trio.Cancelled)[1]
            if rest is not None:
                if rest.split(Exception)[1] is not None:
                    raise
                raise InternalError(f"a bug in trioquic.httpx: {rest.exceptions[0]!r}") from group
            if not raising:
                raise
