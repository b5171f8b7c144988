"""A request with its content, and the response to it, as one block: `HTTP3Connection.request`."""

from collections.abc import AsyncGenerator, AsyncIterable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import trio

from .. import QuicError, _checks
from .._construction import NoPublicConstructor, create
from .background import background
from .errors import ErrorCode, HTTP3Error
from .fields import Headers, ResponseHead
from .request import MOST, Request

_READ: Final = _checks.optional(_checks.whole(0))

Content: TypeAlias = bytes | bytearray | memoryview | AsyncIterable[bytes]


class Response(metaclass=NoPublicConstructor, made_by="HTTP3Connection.request"):
    """A response whose content is read while it comes: `async for chunk in response`."""

    def __init__(self, request: Request, head: ResponseHead) -> None:
        self._request = request
        self._head = head
        self._kept = b""  # what a `read` that failed had got

    def __repr__(self) -> str:
        return f"<Response {self.status}>"

    @property
    def status(self) -> int:
        """The status code (RFC 9110 section 15)."""
        return self._head.status

    @property
    def headers(self) -> Headers:
        return self._head.headers

    @property
    def informational(self) -> tuple[ResponseHead, ...]:
        """The interim (1xx) responses that came before."""
        return self._head.informational

    @property
    def trailers(self) -> Headers:
        """The trailer fields, known once all of the content was read."""
        return self._request.trailers

    def __aiter__(self) -> "Response":
        return self

    async def __anext__(self) -> bytes:
        data = await self.receive_some()
        if not data:
            raise StopAsyncIteration
        return data

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next part of the content, b"" at its end; errors as `Request.receive_data`."""
        if self._kept:
            _checks.check(MOST, "max_bytes", max_bytes)
            await trio.lowlevel.checkpoint()
            most = len(self._kept) if max_bytes is None else max_bytes
            data, self._kept = self._kept[:most], self._kept[most:]
            return data
        return await self._request.receive_data(max_bytes)

    async def read(self, *, max_bytes: int | None = None) -> bytes:
        """All of the content that was not read yet. Raises HTTP3Error when it exceeds `max_bytes`,
        and what `Request.receive_data` raises. After an error or a cancellation, what had come can
        be read again."""
        _checks.check(_READ, "max_bytes", max_bytes)
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in self:
                chunks.append(chunk)
                size += len(chunk)
                if max_bytes is not None and size > max_bytes:
                    raise HTTP3Error(f"the content is larger than {max_bytes} bytes")
        except BaseException:
            self._kept = b"".join(chunks)
            raise
        return b"".join(chunks)


class Upload:
    """Sends the content of a request; what goes wrong in making it is kept for the requester."""

    def __init__(self, request: Request, content: AsyncIterable[bytes]) -> None:
        self._request = request
        self._content = content
        self.error: Exception | None = None

    async def run(self) -> None:
        try:
            complete = await self._send_all()
        except Exception as error:
            self.error = error
            self._request.cancel(ErrorCode.H3_REQUEST_CANCELLED)
            return
        if complete:
            await self._try(self._request.send_eof())

    async def _send_all(self) -> bool:
        """Send piece for piece; whether the server has taken all."""
        pieces = self._content
        try:
            async for piece in pieces:
                if not await self._try(self._request.send_data(piece)):
                    return False
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        return True

    async def _try(self, sending: Coroutine[Any, Any, None]) -> bool:
        """Whether sending goes on. Why it does not, the one who receives is told."""
        try:
            await sending
        except (QuicError, trio.ClosedResourceError):
            return False
        return self._request.stopped is None


@asynccontextmanager
async def respond(
    request: Request, content: AsyncIterable[bytes] | None
) -> AsyncGenerator[Response]:
    """The response to a request whose headers were sent; leaving the block ends the request."""
    if content is None:
        async with request:
            yield create(Response, request, await request.receive_response())
        return
    upload = Upload(request, content)
    try:
        async with background() as nursery, request:
            nursery.start_soon(upload.run)
            yield create(Response, request, await request.receive_response())
    except (HTTP3Error, trio.ClosedResourceError):
        # The user's own content may be why the request was cancelled.
        if upload.error is not None:
            raise upload.error from None
        raise
    if upload.error is not None:
        raise upload.error


async def chunks_of(content: bytes) -> AsyncGenerator[bytes]:
    """Content that is all there."""
    yield content
