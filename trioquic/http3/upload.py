"""A request's content on its way, in a task of its own, while the response may come already.

The content is the application's: an asynchronous iterable that may raise what it likes, or wait for
as long as it likes. What goes wrong in it is kept for whoever awaits the response. What goes wrong
with the connection is not: the response's reader finds that out by itself, and knows more.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import trio

from .. import QuicError
from .._groups import leaves
from .failure import Phase, RequestFailedError
from .request import Request

_NOT_THE_REQUESTS: Final = (KeyboardInterrupt, SystemExit, trio.Cancelled)
# The timeout is for one piece
_PIECE: Final = 1 << 16


class Upload:
    """Sends content, at most `timeout` seconds for a piece; `tell_end` is called at its end."""

    def __init__(
        self,
        request: Request,
        content: AsyncIterable[bytes] | bytes,
        timeout: float,
        tell_end: Callable[[], None],
    ) -> None:
        self._request = request
        self._content = content
        self._timeout = timeout
        self._tell_end = tell_end
        self._scope = trio.CancelScope()
        self._moved_at = trio.current_time()
        self.ended: trio.Event = trio.Event()
        self.failure: BaseException | None = None

    async def run(self) -> None:
        """Send it all, or until the server or this side wants no more. What ends the program, or
        this task, is not for whoever awaits the response, who may be doing something else."""
        try:
            with self._scope:
                await self._send()
        except BaseException as error:
            if any(isinstance(leaf, _NOT_THE_REQUESTS) for leaf in leaves(error)):
                raise
            self.failure = error
            # it can never be complete
            self._request.cancel()
        finally:
            self.ended.set()
            self._tell_end()

    async def _send(self) -> None:
        given = self._content
        content = _chunks(given) if isinstance(given, bytes) else aiter(given)
        try:
            async for chunk in content:
                whole = chunk if len(chunk) <= _PIECE else memoryview(chunk)
                for start in range(0, len(chunk), _PIECE):
                    if not await self._piece(whole[start : start + _PIECE]):
                        return
        finally:
            if isinstance(content, AsyncGenerator):
                await content.aclose()
        with suppress(QuicError, trio.ClosedResourceError), _keeping_its_word():
            await self._request.send_eof()

    async def _piece(self, piece: bytes | memoryview) -> bool:
        """Whether more can be sent."""
        try:
            with trio.move_on_after(self._timeout):
                with _keeping_its_word():
                    await self._request.send_data(piece)
                self._moved_at = trio.current_time()
                return self._request.stopped is None
        except (QuicError, trio.ClosedResourceError):
            return False
        text = "the server does not take the request's body in time"
        raise RequestFailedError(Phase.WRITE, text=text)

    async def wait_while_it_moves(self, seconds: float) -> None:
        """Wait until it has ended, or nothing of it was taken for so many seconds."""
        began = trio.current_time()
        while not self.ended.is_set():
            deadline = max(began, self._moved_at) + seconds
            if trio.current_time() >= deadline:
                break
            with trio.CancelScope(deadline=deadline):
                await self.ended.wait()

    async def stop(self) -> None:
        """Send no more, and wait until the content's iterator has been left."""
        self._scope.cancel()
        with trio.CancelScope(shield=True):
            await self.ended.wait()


@contextmanager
def _keeping_its_word() -> Iterator[None]:
    """Content of another length than its content-length is the application's doing, as are headers
    that HTTP does not allow."""
    try:
        yield
    except ValueError as error:
        raise RequestFailedError(Phase.WRITE, error) from error


async def _chunks(content: bytes) -> AsyncGenerator[bytes]:
    """Content that is all there."""
    yield content
