"""Streams as trio knows them (RFC 9000 section 2): thin classes over the two halves.

A `Stream` goes both ways; a `SendStream` was opened by this side and a `ReceiveStream` by the
server. All follow the contract of `trio.abc`.
"""

import trio

from ..._construction import NoPublicConstructor, create
from ..driver import Driver
from .halves import ReceiveHalf, SendHalf


async def _close(send: SendHalf | None, receive: ReceiveHalf | None) -> None:
    """Close what there is: gracefully, or at once if this task is cancelled; always."""
    abort = True
    try:
        await trio.lowlevel.checkpoint()
        abort = False
    finally:
        if receive is not None:
            receive.close()
        if send is not None:
            send.close(abort=abort)


class SendStream(
    trio.abc.SendStream, metaclass=NoPublicConstructor, made_by="Connection.open_send_stream"
):
    """A stream that this side opened to send only."""

    __slots__ = ("_send", "_stream_id")

    _send: SendHalf
    _stream_id: int

    def __repr__(self) -> str:
        return f"<SendStream {self._stream_id}>"

    @property
    def stream_id(self) -> int:
        """The stream's number on the wire (RFC 9000 section 2.1)."""
        return self._stream_id

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`, in order and reliably.

        Returns when the connection has taken it (see `TransportConfig.send_buffer`), not when it
        has arrived. Raises `StopSendingError` when the peer wants no more, `ConnectionLostError`
        when the connection ended, `trio.ClosedResourceError` after one's own close, and
        `trio.BusyResourceError` if another task is sending. Cancelled, any part from the front of
        `data` may have been taken.
        """
        await self._send.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until `send_all` can take something at once; errors as there."""
        await self._send.wait_send_all_might_not_block()

    def reset(self, error_code: int) -> None:
        """Give up: RESET_STREAM (RFC 9000 section 19.4) with an application error code.

        What has not arrived yet never will; the peer's reader gets an error. Changes nothing once
        everything was acknowledged.
        """
        self._send.reset(error_code)

    def set_priority(self, urgency: int, *, incremental: bool = False) -> None:
        """Which stream's data leaves first: `urgency` 0 (first) to 7, 3 when it was never set.

        Streams of equal urgency take turns if they are `incremental`, else the older one goes first
        (RFC 9218 has the idea).
        """
        self._send.set_priority(urgency, incremental)

    async def aclose(self) -> None:
        """End the data with a FIN; what was sent is delivered as long as the connection lives.

        Cancelled, it resets the stream with code 0 instead, unless that was ended before: a peer
        never takes half of the data for all of it.
        """
        await _close(self._send, None)


class ReceiveStream(
    trio.abc.ReceiveStream, metaclass=NoPublicConstructor, made_by="Connection.accept_stream"
):
    """A stream that the server opened to send only."""

    __slots__ = ("_receive", "_stream_id")

    _receive: ReceiveHalf
    _stream_id: int

    def __repr__(self) -> str:
        return f"<ReceiveStream {self._stream_id}>"

    @property
    def stream_id(self) -> int:
        """The stream's number on the wire (RFC 9000 section 2.1)."""
        return self._stream_id

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes, at most `max_bytes`; b"" once the peer has sent its last.

        Raises `StreamResetError` when the peer gave up, `ConnectionLostError` when the connection
        ended (what arrived before is delivered first), `trio.ClosedResourceError` after one's own
        close, and `trio.BusyResourceError` if another task is receiving. Cancelled, nothing is
        lost. Reading is what gives the peer credit to send more (RFC 9000 section 4).
        """
        return await self._receive.receive_some(max_bytes)

    def stop(self, error_code: int) -> None:
        """Want no more: STOP_SENDING (RFC 9000 section 19.5) with an application error code."""
        self._receive.stop(error_code)

    async def aclose(self) -> None:
        """Stop with code 0 unless the end was reached. Closes also when it is cancelled."""
        await _close(None, self._receive)


class Stream(
    trio.abc.HalfCloseableStream,
    metaclass=NoPublicConstructor,
    made_by="Connection.open_stream and accept_stream",
):
    """A stream that goes both ways, opened by either side."""

    __slots__ = ("_receive", "_send", "_stream_id")

    _receive: ReceiveHalf
    _send: SendHalf
    _stream_id: int

    def __repr__(self) -> str:
        return f"<Stream {self._stream_id}>"

    @property
    def stream_id(self) -> int:
        """The stream's number on the wire (RFC 9000 section 2.1)."""
        return self._stream_id

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As `SendStream.send_all`."""
        await self._send.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As `SendStream.wait_send_all_might_not_block`."""
        await self._send.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """End the data with a FIN and go on receiving. Idempotent; cancelled, nothing was done."""
        await self._send.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """As `ReceiveStream.receive_some`."""
        return await self._receive.receive_some(max_bytes)

    def reset(self, error_code: int) -> None:
        """Give up sending, as `SendStream.reset`; receiving goes on."""
        self._send.reset(error_code)

    def stop(self, error_code: int) -> None:
        """Give up receiving, as `ReceiveStream.stop`; sending goes on."""
        self._receive.stop(error_code)

    def set_priority(self, urgency: int, *, incremental: bool = False) -> None:
        """As `SendStream.set_priority`."""
        self._send.set_priority(urgency, incremental)

    async def aclose(self) -> None:
        """Close both directions, as `SendStream.aclose` and `ReceiveStream.aclose`."""
        await _close(self._send, self._receive)


def make_send_stream(driver: Driver, stream_id: int) -> SendStream:
    """The public face of a unidirectional stream of ours."""
    stream = create(SendStream)
    stream._stream_id = stream_id
    stream._send = SendHalf(driver, stream_id)
    return stream


def make_receive_stream(driver: Driver, stream_id: int) -> ReceiveStream:
    """The public face of a unidirectional stream of the server's."""
    stream = create(ReceiveStream)
    stream._stream_id = stream_id
    stream._receive = ReceiveHalf(driver, stream_id)
    return stream


def make_stream(driver: Driver, stream_id: int) -> Stream:
    """The public face of a bidirectional stream."""
    stream = create(Stream)
    stream._stream_id = stream_id
    stream._send = SendHalf(driver, stream_id)
    stream._receive = ReceiveHalf(driver, stream_id)
    return stream
