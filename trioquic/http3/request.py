"""One request and its response: a bidirectional stream (RFC 9114 section 4.1).

Nothing is read before the user asks for it, so the response's flow control is the user's own pace.
Sending and receiving are independent: one task may send while another one receives.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

import trio

from .. import ConnectionLostError, StopSendingError, Stream, StreamResetError, _checks
from .._construction import NoPublicConstructor
from .errors import ErrorCode, HTTP3StreamError, PeerError, rejection, stream_error
from .fields import (
    Headers,
    HeaderTypes,
    ResponseHead,
    content_length,
    malformed,
    read_fields,
    read_response,
    request_fields,
)
from .frames import (
    CHUNK,
    DATA,
    DEFINED,
    HEADERS,
    PRIORITY_UPDATE_REQUEST,
    PUSH_PROMISE,
    FrameReader,
    encode_frame,
    encode_varint,
)
from .priority import Priority
from .state import ConnectionState

MOST: Final = _checks.optional(_checks.whole(1))
# up to this size it is cheaper to copy data behind its frame header than to send it by itself
_SMALL: Final = 1 << 15
_T = TypeVar("_T")
_WENT_AWAY: Final = "the server went away without processing the request"
_WITHOUT_CONTENT: Final = frozenset((204, 304))


class Request(
    trio.abc.AsyncResource, metaclass=NoPublicConstructor, made_by="HTTP3Connection.open_request"
):
    """A request under way, made by `HTTP3Connection.open_request`.

    Every call may raise `HTTP3StreamError` when the request failed, `RequestRejectedError` when the
    server did not process it, `HTTP3ConnectionError` and `trioquic.ConnectionLostError` when the
    connection is over, `trioquic.HandshakeError` when it never came to be and the request was early
    data, and `trio.ClosedResourceError` after one's own `cancel` or `aclose`.
    """

    def __init__(
        self, state: ConnectionState, stream: Stream, method: str, length: int | None
    ) -> None:
        self._state = state
        self._stream = stream
        self._frames = FrameReader(stream)
        self._method = method
        self._unsent = length  # bytes of content that were announced, and are not sent yet
        self._sent = False  # nothing more will be sent
        self._received = False  # nothing more will be received
        self._complete = False  # all of the response was received
        self._cancelled = False
        self._rejected = False
        self._blocked = False  # a field section waits for QPACK's dynamic table
        self._head: ResponseHead | None = None
        self._informational: list[ResponseHead] = []
        self._trailers: Headers | None = None
        self._expected: int | None = None  # bytes of content, where the headers say so
        self._content = 0
        self.stopped: int | None = None
        """The error code with which the server stopped reading the content, H3_NO_ERROR (0x100) if
        it simply needs no more of it (section 4.1); None if it did not."""

    def __repr__(self) -> str:
        return f"<Request {self._method} on stream {self.stream_id}>"

    @property
    def stream_id(self) -> int:
        """The stream's number (RFC 9000 section 2.1)."""
        return self._stream.stream_id

    @property
    def trailers(self) -> Headers:
        """The trailer fields, known once `receive_data` has returned b""."""
        return self._trailers or ()

    # -- sending ---------------------------------------------------------------------------------

    async def send_headers(self, fields: list[tuple[bytes, bytes]], *, end: bool) -> None:
        """Send the header section; `open_request` does this."""
        if end:
            self._check_whole()
        # encoded and queued without a pause, so that QPACK sees the sections in their order
        section = self._state.encoder.encode(self.stream_id, fields)
        await self._send(encode_frame(HEADERS, section))
        if end:
            await self.send_eof()

    async def send_data(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data` as a part of the content, waiting while the connection has no room for it.

        Does nothing once the server has `stopped` reading: its response will tell why. Cancelled,
        the content can not be completed any more and is given up. Raises ValueError, and sends
        nothing, for more than the content-length that the headers have.
        """
        _checks.check(_checks.octets, "data", data)
        size = memoryview(data).nbytes
        if not size:
            await trio.lowlevel.checkpoint()
            return
        self._count(size)
        header = encode_varint(DATA) + encode_varint(size)
        if size <= _SMALL:
            await self._send(header + data)
            return
        await self._send(header)
        await self._send(data)

    async def send_trailers(self, headers: HeaderTypes) -> None:
        """End the content with trailer fields (section 4.1). Cancelled, as `send_data`; raises
        ValueError as `send_eof`."""
        await self.send_headers(request_fields(headers), end=True)

    async def send_eof(self) -> None:
        """The content is complete. Idempotent; cancelled, nothing was done. Raises ValueError, and
        does nothing, if that is less than the headers' content-length."""
        if self._sent:
            await trio.lowlevel.checkpoint()
            return
        self._check_whole()
        try:
            await self._stream.send_eof()
        except StopSendingError as error:
            self.stopped = error.error_code
        except trio.ClosedResourceError as error:
            raise self._translated(error) from error
        except ConnectionLostError as error:
            await self._raise_rejection(error)
            raise
        self._sent = True
        self._forget_if_done()

    def _count(self, size: int) -> None:
        """Section 4.1.2: the content is as long as was announced."""
        if self._unsent is None or self._sent:
            return
        if size > self._unsent:
            text = f"content-length leaves {self._unsent} bytes to send, and there are {size} more"
            raise ValueError(text)
        self._unsent -= size

    def _check_whole(self) -> None:
        if self._unsent and not self._sent:
            text = f"the content ends {self._unsent} bytes before its content-length"
            raise ValueError(text)

    async def _send(self, data: bytes | bytearray | memoryview) -> None:
        if self.stopped is not None:
            await trio.lowlevel.checkpoint()
            return
        if self._sent:
            await trio.lowlevel.checkpoint()
            raise self._translated(trio.ClosedResourceError("the request's content is complete"))
        try:
            await self._stream.send_all(data)
        except StopSendingError as error:
            self.stopped = error.error_code
            self._sent = True
            self._forget_if_done()
        except trio.ClosedResourceError as error:
            raise self._translated(error) from error
        except ConnectionLostError as error:
            await self._raise_rejection(error)
            raise
        except trio.Cancelled:
            # A frame may have been cut off: no later frame would be understood.
            self._sent = True
            self._stream.reset(ErrorCode.H3_REQUEST_CANCELLED)
            raise

    # -- receiving -------------------------------------------------------------------------------

    async def receive_response(self) -> ResponseHead:
        """Wait for the response's status and headers; interim (1xx) responses come with it.

        Cancelled, call it again; called again, it returns the same.
        """
        if self._head is None:
            return await self._guarded(self._next_head)
        await trio.lowlevel.checkpoint()
        return self._head

    async def receive_data(self, max_bytes: int | None = None) -> bytes:
        """The next part of the content, at most `max_bytes`; b"" at its end.

        Cancelled, nothing is lost. Data that is not asked for stays with the server (RFC 9000
        section 4).
        """
        _checks.check(MOST, "max_bytes", max_bytes)
        if self._head is None:
            await self.receive_response()
        most = CHUNK if max_bytes is None else max_bytes
        return await self._guarded(lambda: self._next_data(most))

    async def _guarded(self, receive: Callable[[], Awaitable[_T]]) -> _T:
        await trio.lowlevel.checkpoint_if_cancelled()
        fills = self._frames.fills
        try:
            result = await receive()
        except (PeerError, StreamResetError, trio.ClosedResourceError) as error:
            raise self._translated(error) from error
        except ConnectionLostError as error:
            await self._raise_rejection(error)
            raise
        except HTTP3StreamError as error:
            self.cancel(error.code)
            raise
        if self._frames.fills == fills:
            # what was taken must not be lost to a cancellation
            await trio.lowlevel.cancel_shielded_checkpoint()
        return result

    @property
    def _has_begun(self) -> bool:
        """Whether anything of a response has come, be it read, readable or behind a gap: then the
        server has worked on the request, whatever it says. What a reset means is for its reader."""
        return self._stream.begun or self._stream.readable

    async def _next_head(self) -> ResponseHead:
        while True:
            kind = await self._frame()
            if kind is None:
                raise malformed("it ends without a final status")
            if kind != HEADERS:
                await self._pass_over(kind)
                continue
            head = read_response(await self._section())
            if head.status >= 200:
                self._expected = self._length(head)
                self._head = replace(head, informational=tuple(self._informational))
                return self._head
            self._informational.append(head)
            if len(self._informational) > self._state.config.max_informational:
                text = "the server sends interim responses without end"
                raise HTTP3StreamError(text, code=ErrorCode.H3_EXCESSIVE_LOAD)

    async def _next_data(self, most: int) -> bytes:
        while not self._complete:
            kind = await self._frame(most)
            if kind is None:
                if self._expected is not None and self._content != self._expected:
                    text = f"{self._content} bytes came where content-length says {self._expected}"
                    raise malformed(text)
                self._complete = self._received = True
                self._forget_if_done()
            elif kind == HEADERS and self._trailers is None and not self._is_tunnel:
                self._trailers = read_fields(await self._section())
            elif kind == DATA and self._trailers is None:
                data = await self._frames.content(most)
                self._content += len(data)
                if self._expected is not None and self._content > self._expected:
                    raise malformed(f"more comes than the {self._expected} bytes that it announced")
                if data:
                    return data
            else:
                await self._pass_over(kind)
        return b""

    async def _frame(self, most: int = 0) -> int | None:
        if self._cancelled:
            raise trio.ClosedResourceError("the request was cancelled")
        return HEADERS if self._blocked else await self._frames.frame(most)

    async def _section(self) -> list[tuple[bytes, bytes]]:
        decoder = self._state.decoder
        if not self._blocked:
            decoder.begin(self.stream_id, self._frames.remaining)
            fields = decoder.feed(self.stream_id, await self._frames.whole())
            if fields is not None:
                return fields
            self._blocked = True
        fields = await decoder.blocked(self.stream_id)
        self._blocked = False
        return fields

    async def _pass_over(self, kind: int) -> None:
        """A frame that is neither headers nor content where that may be."""
        if kind == PUSH_PROMISE:
            # section 7.2.5: no push ID was ever allowed
            raise PeerError(ErrorCode.H3_ID_ERROR, "PUSH_PROMISE, which was not asked for")
        if kind in DEFINED:
            # section 7.2; RFC 9218 section 7.2
            text = f"frame type {kind:#x} at this place of a response"
            raise PeerError(ErrorCode.H3_FRAME_UNEXPECTED, text)
        await self._frames.skip()

    def _length(self, head: ResponseHead) -> int | None:
        if self._method == "HEAD" or head.status in _WITHOUT_CONTENT:
            return 0
        return None if self._method == "CONNECT" else content_length(head.headers)

    @property
    def _is_tunnel(self) -> bool:
        return self._method == "CONNECT" and self._head is not None and self._head.status < 300

    # -- the end ---------------------------------------------------------------------------------

    def set_priority(self, priority: Priority) -> None:
        """Change which response the server should send first (RFC 9218 section 7). Returns at once;
        when very many such changes wait to be sent, the server is not told of this one."""
        self._stream.set_priority(priority.urgency, incremental=priority.incremental)
        update = encode_varint(self.stream_id) + priority.field_value
        self._state.control.offer(encode_frame(PRIORITY_UPDATE_REQUEST, update))

    def cancel(self, error_code: int = ErrorCode.H3_REQUEST_CANCELLED) -> None:
        """Give up what is not complete, both ways (section 4.1.1). Whoever waits is woken."""
        if not self._received:
            self._cancelled = True
            self._stop_decoding()
            self._stream.stop(error_code)
        if not self._sent:
            self._sent = True
            self._stream.reset(error_code)
        self._state.forget(self.stream_id)

    def reject(self) -> None:
        """The server has said that it will not process this request (section 5.2): unless it has
        answered, no more of it is sent, and no response awaited."""
        if not self._has_begun:
            self._rejected = True
            self.cancel()

    async def aclose(self) -> None:
        """Cancel what is not complete. Closes also when it is cancelled."""
        try:
            await trio.lowlevel.checkpoint()
        finally:
            self.cancel()

    def _forget_if_done(self) -> None:
        if self._sent and self._received:
            self._state.forget(self.stream_id)

    def _stop_decoding(self) -> None:
        """What comes of field sections is not read any more (RFC 9204 section 2.2.2.2)."""
        self._received = True
        try:
            self._state.decoder.cancel(self.stream_id)
        except PeerError as fault:
            self._state.fail(fault)

    async def _raise_rejection(self, lost: ConnectionLostError) -> None:
        """The connection is over. That the server had gone away before, and did not process the
        request, counts more, and another task may still be about to read it."""
        await self._state.over.wait()
        if self._rejected:
            raise rejection(_WENT_AWAY) from lost

    def _translated(
        self, error: PeerError | StreamResetError | trio.ClosedResourceError
    ) -> Exception:
        """What the user gets for what happened to the stream."""
        if isinstance(error, PeerError):
            return self._state.fail(error)
        if isinstance(error, StreamResetError):
            if not self._received:
                self._stop_decoding()
                self._forget_if_done()
            # that the stream was reset is no response
            return stream_error(error.error_code, has_begun=self._stream.begun)
        if self._rejected:
            # whatever has become of the connection since
            return rejection(_WENT_AWAY)
        if self._state.ended:
            return self._state.end_error()
        return error
