"""One request on one connection, and its response, within the request's timeouts.

The read timeout starts anew with each read. While the content is being sent it does not run: then
the server may be waiting for more of it, and the write timeout watches over that.

What goes wrong is a `RequestFailedError`, but for what the request's content raises.
"""

import math
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Final, TypeVar

import trio

from .. import Connection
from .failure import EXPECTED, Phase, RequestFailedError, failed
from .fields import ResponseHead
from .request import Request
from .timeouts import Timeouts, stood_still
from .upload import Upload

_T = TypeVar("_T")
_EXPECTED: Final = EXPECTED[Phase.READ]


class Exchange:
    """A request whose headers were sent. `on_late` is called when nothing came in time, `on_close`
    once, at the end; `is_closed` says whether the client has ended the connection."""

    def __init__(
        self,
        request: Request,
        quic: Connection,
        *,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        on_late: Callable[[], None] = lambda: None,
        on_close: Callable[[], None] = lambda: None,
        is_closed: Callable[[], bool] = lambda: False,
    ) -> None:
        self.request: Request = request
        self.quic: Connection = quic
        self._timeouts = timeouts
        self._on_late = on_late
        self._on_close = on_close
        self._is_closed = is_closed
        self._upload: Upload | None = None
        self._reader: trio.CancelScope | None = None
        self._closed = False
        self.head: ResponseHead
        """The response's, once it was received."""

    @property
    def upload_failure(self) -> BaseException | None:
        """What the request's content has raised."""
        return None if self._upload is None else self._upload.failure

    def send_content(self, nursery: trio.Nursery, content: AsyncIterable[bytes] | bytes) -> None:
        self._upload = Upload(self.request, content, self._timeouts.write, self._upload_ended)
        nursery.start_soon(self._upload.run)

    async def receive_head(self) -> ResponseHead:
        """The response's status and headers; the same when called again, also after a
        cancellation."""
        self.head = await self._read(self.request.receive_response)
        return self.head

    async def receive_data(self, max_bytes: int | None = None) -> bytes:
        """The next part of the response's content; b"" when it is complete."""
        return await self._read(lambda: self.request.receive_data(max_bytes))

    async def wait_uploaded(self, seconds: float) -> None:
        """Once the response is complete: wait until the request is, too, or nothing of its content
        was taken for so many seconds.

        A server that has answered may still read the request: what it does not want it has to
        refuse (RFC 9114 section 4.1). But a request's content may also wait for the response's end.
        """
        if self._upload is not None:
            await self._upload.wait_while_it_moves(seconds)
            # the response is complete, and stands
            if not isinstance(self._upload.failure, RequestFailedError):
                self._raise_upload_failure()

    async def _read(self, receive: Callable[[], Awaitable[_T]]) -> _T:
        if self._upload is None and self._timeouts.read == math.inf:
            # nothing but the response can end it
            try:
                return await receive()
            except _EXPECTED as error:
                raise self._failed(error) from error
        self._raise_upload_failure()
        while True:
            with trio.CancelScope() as scope:
                self._reader = scope
                self._set_deadline()
                try:
                    return await receive()
                except _EXPECTED as error:
                    # the content's failure may be why the request was cancelled
                    if self.upload_failure is None:
                        raise self._failed(error) from error
                finally:
                    self._reader = None
            self._raise_upload_failure()
            if not stood_still(scope.deadline):
                break
        self._on_late()
        raise RequestFailedError(Phase.READ, text="nothing came from the server in time")

    def _failed(self, error: Exception) -> RequestFailedError:
        # what was given up before has not ended by that
        return failed(Phase.READ, error, closed=self._is_closed() and not self._closed)

    def _set_deadline(self) -> None:
        if self._reader is not None:
            uploading = self._upload is not None and not self._upload.ended.is_set()
            timeout = math.inf if uploading else self._timeouts.read
            self._reader.deadline = trio.current_time() + timeout

    def _upload_ended(self) -> None:
        self._set_deadline()
        if self._reader is not None and self.upload_failure is not None:
            self._reader.cancel()

    def _raise_upload_failure(self) -> None:
        if self.upload_failure is not None:
            raise self.upload_failure

    async def aclose(self) -> None:
        """Cancel what is not complete. Idempotent; cancelled, it closes as well."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        self.request.cancel()
        self._on_close()
        if self._upload is None:
            await trio.lowlevel.checkpoint()
        else:
            await self._upload.stop()
