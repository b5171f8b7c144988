"""A request's body on its way, in a task of its own, while the response may come already.

The body is the application's: an asynchronous iterable that may raise what it likes, or wait for as
long as it likes. What goes wrong in it is kept for whoever awaits the response. What goes wrong
with the connection is not: the response's reader finds that out by itself, and knows more.
"""

from collections.abc import AsyncIterable, Callable
from contextlib import AsyncExitStack
from typing import Final

import httpx
import trio

from .. import QuicError
from .._groups import leaves
from ..http3 import Request

_NOT_THE_REQUESTS: Final = (KeyboardInterrupt, SystemExit, trio.Cancelled)
# The write timeout is for one piece
_PIECE: Final = 1 << 16


class Upload:
    """Sends a body; `tell_end` is called when it has ended."""

    def __init__(
        self,
        request: Request,
        body: AsyncIterable[bytes],
        write_timeout: float,
        tell_end: Callable[[], None],
    ) -> None:
        self._request = request
        self._body = body
        self._timeout = write_timeout
        self._tell_end = tell_end
        self._scope = trio.CancelScope()
        self._moved_at = trio.current_time()
        self.ended = trio.Event()
        self.failure: BaseException | None = None

    async def run(self) -> None:
        """Send it all, or until the server or this side wants no more. What ends the program, or
        this task, is not for whoever awaits the response, who may be doing something else."""
        try:
            with self._scope:
                await self._send()
        except BaseException as error:
            if not _is_the_requests_own(error):
                raise
            self.failure = error
        finally:
            self.ended.set()
            self._tell_end()

    async def _send(self) -> None:
        async with AsyncExitStack() as stack:
            chunks = aiter(self._body)
            if hasattr(chunks, "aclose"):
                stack.push_async_callback(chunks.aclose)
            async for chunk in chunks:
                for start in range(0, len(chunk), _PIECE):
                    if not await self._piece(chunk[start : start + _PIECE]):
                        return
        try:
            await self._request.send_eof()
        except (QuicError, trio.ClosedResourceError):
            return

    async def _piece(self, piece: bytes) -> bool:
        """Whether more can be sent."""
        try:
            with trio.move_on_after(self._timeout):
                await self._request.send_data(piece)
                self._moved_at = trio.current_time()
                return self._request.stopped is None
        except (QuicError, trio.ClosedResourceError):
            return False
        raise httpx.WriteTimeout("the server does not take the request's body in time")

    async def wait_while_it_moves(self) -> None:
        """Wait until it has ended, or nothing of the body came for the write timeout."""
        began = trio.current_time()
        while not self.ended.is_set():
            deadline = max(began, self._moved_at) + self._timeout
            if trio.current_time() >= deadline:
                break
            with trio.CancelScope(deadline=deadline):
                await self.ended.wait()

    async def stop(self) -> None:
        """Send no more, and wait until the body's iterator has been left."""
        self._scope.cancel()
        with trio.CancelScope(shield=True):
            await self.ended.wait()


def _is_the_requests_own(error: BaseException) -> bool:
    """Whether an exception, of whichever class, is about this one request."""
    all_of_it = leaves(error) if isinstance(error, BaseExceptionGroup) else (error,)
    return not any(isinstance(leaf, _NOT_THE_REQUESTS) for leaf in all_of_it)
