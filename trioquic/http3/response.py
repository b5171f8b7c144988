"""Responses, all there or read while they come, and a request with its response as one block."""

import json
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import trio

from .. import Connection, _checks
from .._construction import NoPublicConstructor, create
from .._groups import hidden_nursery
from .charset import decoded
from .errors import HTTP3Error, StatusError
from .exchange import Exchange
from .failure import unwrapped
from .fields import Headers, ResponseHead
from .request import MOST

LIMIT: Final = _checks.optional(_checks.whole(0))

Content: TypeAlias = bytes | bytearray | memoryview | AsyncIterable[bytes]
"""A request's content: all of it, or piece by piece."""
_CONTENT: Final = _checks.optional(
    _checks.instance(
        bytes,
        bytearray,
        memoryview,
        AsyncIterable,
        wanted="bytes or an asynchronous iterable of bytes",
    )
)


def checked_content(content: Content | None) -> AsyncIterable[bytes] | bytes | None:
    """What is to be sent. Raises TypeError."""
    _checks.check(_CONTENT, "content", content)
    return bytes(content) if isinstance(content, bytearray | memoryview) else content


class Response(metaclass=NoPublicConstructor, made_by="HTTP3Connection.request"):
    """A response whose content is read while it comes: `async for chunk in response`."""

    def __init__(self, exchange: Exchange, url: str) -> None:
        self._exchange = exchange
        self._url = url
        self._kept = b""  # what a `read` that failed had got

    def __repr__(self) -> str:
        return f"<Response {self.status}>"

    @property
    def url(self) -> str:
        """What was asked for, without user and fragment; after redirects, the last URL."""
        return self._url

    @property
    def quic(self) -> Connection:
        """The QUIC connection that it comes on, for its paths and statistics."""
        return self._exchange.quic

    @property
    def status(self) -> int:
        """The status code (RFC 9110 section 15)."""
        return self._exchange.head.status

    @property
    def headers(self) -> Headers:
        return self._exchange.head.headers

    def header(self, name: str, default: str | None = None) -> str | None:
        """The value of the first field of that name, in whichever letters; `default` if there is
        none."""
        return self._exchange.head.header(name, default)

    @property
    def informational(self) -> tuple[ResponseHead, ...]:
        """The interim (1xx) responses that came before."""
        return self._exchange.head.informational

    @property
    def trailers(self) -> Headers:
        """The trailer fields, known once all of the content was read."""
        return self._exchange.request.trailers

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
        with unwrapped():
            return await self._exchange.receive_data(max_bytes)

    async def read(self, *, max_bytes: int | None = None) -> bytes:
        """All of the content that was not read yet. Raises HTTP3Error when it exceeds `max_bytes`,
        and what `Request.receive_data` raises. After an error or a cancellation, what had come can
        be read again."""
        _checks.check(LIMIT, "max_bytes", max_bytes)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteResponse(ResponseHead):
    """What `Client.request` and its like return: head and content."""

    url: str
    """What was asked for, without user and fragment; after redirects, the last URL."""
    content: bytes
    trailers: Headers = ()

    def __repr__(self) -> str:
        return f"<CompleteResponse {self.status}, {len(self.content)} bytes>"

    @property
    def text(self) -> str:
        """The content as text: of the charset that its Content-Type names, or UTF-8 if that is
        none that texts on the web have. What is no text becomes U+FFFD."""
        return decoded(self.content, self.header("content-type") or "")

    def json(self) -> Any:
        """What the content says in JSON (RFC 8259). Raises ValueError for what is none, and for
        what has thousands of levels (section 9)."""
        try:
            return json.loads(self.content)
        except RecursionError:
            raise ValueError("the JSON is nested too deeply") from None

    def raise_for_status(self) -> "CompleteResponse":
        """This response, if its status says success (2xx); raises `StatusError` if not."""
        if not 200 <= self.status < 300:
            raise StatusError(self.status, self.url)
        return self


@asynccontextmanager
async def reading(exchange: Exchange, url: str) -> AsyncGenerator[Response]:
    """A response as a block, at the end of which the request is cancelled if it is not complete.
    What its content raises comes out, unless something else does."""
    try:
        with unwrapped():
            await exchange.receive_head()
        yield create(Response, exchange, url)
    finally:
        await exchange.aclose()
    if exchange.upload_failure is not None:
        with unwrapped():
            raise exchange.upload_failure


@asynccontextmanager
async def respond(
    exchange: Exchange, content: AsyncIterable[bytes] | bytes | None, url: str
) -> AsyncGenerator[Response]:
    """The response to a request whose headers were sent."""
    if content is None:
        async with reading(exchange, url) as response:
            yield response
        return
    async with hidden_nursery("trioquic.http3") as nursery:
        exchange.send_content(nursery, content)
        async with reading(exchange, url) as response:
            yield response
