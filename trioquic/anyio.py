"""QUIC streams as anyio's byte streams, for anyio applications that run on trio.

anyio's streams differ from trio's in three things: the end of the data is an exception
(`anyio.EndOfStream`), the errors are anyio's own classes, and facts such as addresses are typed
attributes. This is a thin adapter for these three; what a stream does is `trioquic.Stream`'s doing,
which is the cause (`__cause__`) of every error here.

A connection has tasks, which live in a block of the application's. So a `ByteStreamConnectable`
opens its streams on a connection that is open already, and `open_byte_stream` is such a block.
"""

import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from typing import Any

import anyio
import trio
from anyio.abc import ByteStream, ByteStreamConnectable, SocketAttribute
from anyio.streams.tls import TLSAttribute

from . import Connection, ConnectionLostError, HandshakeError, Path, Stream

__all__ = ["QuicAttribute", "QuicByteStream", "QuicByteStreamConnectable", "open_byte_stream"]


class QuicAttribute(anyio.TypedAttributeSet):
    """What a QUIC stream knows beside `anyio.abc.SocketAttribute` and anyio's `TLSAttribute`."""

    connection: Connection = anyio.typed_attribute()
    """The connection, with everything that anyio has no interface for."""
    active_path: Path = anyio.typed_attribute()
    """The network path that carries the connection now; missing while there is none."""
    stream_id: int = anyio.typed_attribute()
    """The stream's number on the wire (RFC 9000 section 2.1)."""


class QuicByteStream(ByteStream):
    """A bidirectional QUIC stream as `anyio.abc.ByteStream`.

    One task may send while another one receives. A connection that moves to another network is not
    noticed here, except in the attributes: `extra(SocketAttribute.local_address)` is where the
    connection is at that moment, and is missing (as `family`, the ports and the remote address)
    while there is no path. `TLSAttribute` has `alpn_protocol`, `peer_certificate_binary` and
    `tls_version`.
    """

    def __init__(
        self, stream: Stream, connection: Connection, *, owns_connection: bool = False
    ) -> None:
        """Adapt `stream` of `connection`; with `owns_connection` closing it closes both."""
        self._stream = stream
        self._connection = connection
        self._owns_connection = owns_connection

    def __repr__(self) -> str:
        return f"<QuicByteStream {self._stream.stream_id}>"

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The typed attributes, see above."""
        conn = self._connection
        found: dict[Any, Callable[[], Any]] = {
            QuicAttribute.connection: lambda: conn,
            QuicAttribute.stream_id: lambda: self._stream.stream_id,
            TLSAttribute.alpn_protocol: lambda: conn.alpn,
            TLSAttribute.peer_certificate_binary: lambda: conn.peer_certificates[0],
            TLSAttribute.tls_version: lambda: "TLSv1.3",
        }
        path = conn.active_path
        if path is not None:
            local, remote = path.local, path.remote
            family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
            found |= {
                QuicAttribute.active_path: lambda: path,
                SocketAttribute.family: lambda: family,
                SocketAttribute.local_address: lambda: local,
                SocketAttribute.local_port: lambda: local[1],
                SocketAttribute.remote_address: lambda: remote,
                SocketAttribute.remote_port: lambda: remote[1],
            }
        return found

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """The next bytes, at least one and at most `max_bytes`.

        Raises `anyio.EndOfStream` after the peer's last, `anyio.BrokenResourceError` when the peer
        reset the stream or the connection ended, `anyio.ClosedResourceError` after one's own close,
        `anyio.BusyResourceError` if another task is receiving, and ValueError for a size below 1.
        Cancelled, nothing is lost.
        """
        with _errors_of_anyio("receiving from"):
            data = await self._stream.receive_some(max_bytes)
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        """Send all of `item`; returns when the connection has taken it.

        Raises `anyio.BrokenResourceError` when the peer wants no more or the connection ended,
        `anyio.ClosedResourceError` after one's own close or `send_eof`, and
        `anyio.BusyResourceError` if another task is sending. Cancelled, any part from the front of
        `item` may have been taken.
        """
        with _errors_of_anyio("sending to"):
            await self._stream.send_all(item)

    async def send_eof(self) -> None:
        """End what is sent, and go on receiving. Idempotent; cancelled, nothing was done."""
        with _errors_of_anyio("sending to"):
            await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close both directions, and the connection if the stream owns it. Idempotent.

        Cancelled (as by `anyio.aclose_forcefully`), it resets what was not ended, and closes.
        """
        try:
            await self._stream.aclose()
        finally:
            if self._owns_connection:
                await self._connection.aclose()


class QuicByteStreamConnectable(ByteStreamConnectable):
    """Makes streams of one open connection: `connect` opens the next one.

    The connection is the application's, in the block that it was opened in, and every stream ends
    with it. Closing a stream leaves the connection open.
    """

    def __init__(self, connection: Connection) -> None:
        if not isinstance(connection, Connection):
            raise TypeError(f"connection must be a Connection, not {type(connection).__name__}")
        self._connection = connection

    async def connect(self) -> QuicByteStream:
        """Open a stream, waiting until the server allows one more (RFC 9000 section 4.6).

        Nothing is sent before the first data. Raises `anyio.ConnectionFailed` if the connection is
        over, and RuntimeError on another backend than trio. Cancelled, no stream was opened.
        """
        _check_backend()
        with _connection_failed():
            return QuicByteStream(await self._connection.open_stream(), self._connection)


@asynccontextmanager
async def open_byte_stream(
    connection: AbstractAsyncContextManager[Connection],
) -> AsyncIterator[QuicByteStream]:
    """A connection with one stream, which owns it::

        async with open_byte_stream(trioquic.open_connection(host, port, alpn=["x"])) as stream:

    Leaving the block normally closes the stream and then the connection; leaving it by an exception
    or a cancellation closes the connection at once. An exception of the block comes out as it is.
    Raises `anyio.ConnectionFailed` when there is no connection, and RuntimeError on another
    backend than trio.
    """
    _check_backend()
    async with AsyncExitStack() as stack:
        with _connection_failed():
            conn = await stack.enter_async_context(connection)
            stream = QuicByteStream(await conn.open_stream(), conn, owns_connection=True)
        yield stream
        await stream.aclose()


@contextmanager
def _errors_of_anyio(action: str) -> Iterator[None]:
    try:
        yield
    except trio.ClosedResourceError as error:
        raise anyio.ClosedResourceError(str(error)) from error
    except trio.BrokenResourceError as error:
        raise anyio.BrokenResourceError(str(error)) from error
    except trio.BusyResourceError as error:
        raise anyio.BusyResourceError(action) from error


@contextmanager
def _connection_failed() -> Iterator[None]:
    try:
        yield
    except (HandshakeError, ConnectionLostError, OSError, trio.ClosedResourceError) as error:
        raise anyio.ConnectionFailed(str(error)) from error


def _check_backend() -> None:
    if not trio.lowlevel.in_trio_run():
        raise RuntimeError("trioquic needs anyio's trio backend: anyio.run(main, backend='trio')")
