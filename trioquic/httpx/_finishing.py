"""What is finished though its caller is cancelled, because others go on from there."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import trio

from .._groups import hidden_nursery

_GRACE: Final = 0.1
"""Seconds; a socket that takes bytes at all takes them at once."""


@asynccontextmanager
async def hurried(scope: trio.CancelScope) -> AsyncGenerator[None]:
    """The block of `scope`, which may be shielded: cancelled from outside, it has little time from
    then on, and is left in the same way as after a deadline of its own."""
    with trio.CancelScope() as leaving:
        async with hidden_nursery("trioquic.httpx") as nursery:
            nursery.start_soon(_hurry, scope)
            with scope:
                yield
            # what the block has got is not lost any more
            leaving.shield = True


async def _hurry(scope: trio.CancelScope) -> None:
    try:
        await trio.sleep_forever()
    finally:
        scope.deadline = trio.current_time() + _GRACE
