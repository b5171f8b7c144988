"""One request on one connection, and its response, under httpx's timeouts.

The read timeout starts anew with each read. While the body is being sent it does not run: then the
server may be waiting for more of it, and the write timeout watches over that.
"""

import math
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TypeVar

import httpx
import trio

from ..http3 import Headers, Request, ResponseHead
from ._failures import FinalError, receiving
from ._pool import Place
from ._timeouts import Timeouts, stood_still
from ._upload import Upload

_T = TypeVar("_T")


class Exchange:
    """A request whose headers were sent."""

    def __init__(self, request: Request, timeouts: Timeouts, place: Place) -> None:
        self._request = request
        self._timeouts = timeouts
        self._place = place
        self._upload: Upload | None = None
        self._reader: trio.CancelScope | None = None
        self._closed = False

    @property
    def stream_id(self) -> int:
        return self._request.stream_id

    @property
    def trailers(self) -> Headers:
        """Known when all of the response was read."""
        return self._request.trailers

    def send_body(self, nursery: trio.Nursery, body: AsyncIterable[bytes]) -> None:
        """Start to send the body."""
        upload = Upload(self._request, body, self._timeouts.write, self._upload_ended)
        self._upload = upload
        nursery.start_soon(upload.run)

    async def receive_head(self) -> ResponseHead:
        """The response's status and headers.

        Raises httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError and httpx.RemoteProtocolError,
        as `receive_data` does, and `FinalError` with what the body raised, which says nothing of
        the connection even if it is one of httpx's exceptions. Cancelled, it can be called again.
        """
        try:
            return await self._read(self._request.receive_response)
        except BaseException as error:
            if self._upload is not None and error is self._upload.failure:
                raise FinalError(error) from None
            raise

    async def receive_data(self) -> bytes:
        """The next part of the response's body; b"" when it is complete and the request is, too.
        Raises what the body raised.

        A server that has answered may still read the request: what it does not want it has to
        refuse (RFC 9114 section 4.1). But a request's body may also wait for the response's end.
        """
        data = await self._read(self._request.receive_data)
        if not data and self._upload is not None:
            await self._upload.wait_while_it_moves()
            # the response is complete, and stands
            if not isinstance(self._upload.failure, httpx.WriteTimeout):
                self._raise_upload_failure()
        return data

    async def _read(self, receive: Callable[[], Awaitable[_T]]) -> _T:
        self._raise_upload_failure()
        while True:
            with trio.CancelScope() as scope:
                self._reader = scope
                self._set_deadline()
                try:
                    with receiving():
                        return await receive()
                finally:
                    self._reader = None
            self._raise_upload_failure()
            if not stood_still(scope.deadline):
                break
        self._place.connection.suspect()
        raise httpx.ReadTimeout("nothing came from the server in time")

    def _set_deadline(self) -> None:
        if self._reader is not None:
            uploading = self._upload is not None and not self._upload.ended.is_set()
            timeout = math.inf if uploading else self._timeouts.read
            self._reader.deadline = trio.current_time() + timeout

    def _upload_ended(self) -> None:
        self._set_deadline()
        if self._reader is not None and self._upload is not None and self._upload.failure:
            self._reader.cancel()

    def _raise_upload_failure(self) -> None:
        if self._upload is not None and self._upload.failure is not None:
            raise self._upload.failure

    async def aclose(self) -> None:
        """Cancel what is not complete, and give the place on the connection back. Idempotent;
        cancelled, it closes as well."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        self._request.cancel()
        self._place.release()
        if self._upload is None:
            await trio.lowlevel.checkpoint()
        else:
            await self._upload.stop()
