"""trioquic.anyio: programs that know anyio only, and anyio's contract for errors and attributes."""

import hashlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio
import trio.testing
from anyio.abc import ByteStream, ByteStreamConnectable, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.text import TextStream
from anyio.streams.tls import TLSAttribute

import trioquic
from tests.certificates import Certificates
from tests.runtime.world import dial, open_sockets, phone_world, server_side
from tests.servers import aioquic_server
from tests.sim_server import ServerOptions, pattern
from tests.sim_world import CELLULAR, SERVER, WIFI
from trioquic.anyio import (
    QuicAttribute,
    QuicByteStream,
    QuicByteStreamConnectable,
    open_byte_stream,
)

# -- a program that was written for anyio and has never heard of QUIC ------------------------------


async def shout(remote: ByteStreamConnectable, words: list[str]) -> list[str]:
    """Lines to an echo service and back, and each over a stream of its own, at the same time."""
    answers: dict[str, str] = {}

    async def one(word: str) -> None:
        async with await remote.connect() as stream:
            await stream.send(f"ECHO\r\n{word}\n".encode())
            await stream.send_eof()
            line = await BufferedByteReceiveStream(stream).receive_until(b"\n", 99)
            answers[word] = line.decode()
            assert [part async for part in stream] == []

    async with anyio.create_task_group() as tasks:
        for word in words:
            tasks.start_soon(one, word)
    return [answers[word] for word in words]


async def converse(stream: ByteStream) -> str:
    """Text in turns, over anyio's wrappers."""
    text = TextStream(stream)
    await text.send("ECHO\r\n")
    heard = ""
    for word in ("grüße", "mañana", "水"):
        await text.send(word)
        while word not in heard:
            heard += await text.receive()
    with anyio.move_on_after(0.01) as scope:
        await text.receive()
    assert scope.cancelled_caught
    await text.send_eof()
    with pytest.raises(anyio.EndOfStream):
        await text.receive()
    return heard


def test_a_program_that_knows_anyio_only(certs: Certificates) -> None:
    async def main() -> None:
        async with aioquic_server(certs.server) as server:

            def opening() -> Any:
                return trioquic.open_connection(
                    server.host,
                    server.port,
                    alpn=["hq-interop"],
                    server_name="localhost",
                    tls=trioquic.TLSConfig(ca_file=server.ca_file),
                )

            async with opening() as conn:
                words = [f"word {number}" for number in range(20)]
                assert await shout(QuicByteStreamConnectable(conn), words) == words
            async with open_byte_stream(opening()) as stream:
                assert await converse(stream) == "grüßemañana水"
                assert stream.extra(TLSAttribute.alpn_protocol) == "hq-interop"

    anyio.run(main, backend="trio")


def test_another_backend_is_told() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="trio backend"):
            async with open_byte_stream(
                trioquic.open_connection("127.0.0.1", 1, alpn=["hq-interop"])
            ):
                pytest.fail("entered")

    anyio.run(main, backend="asyncio")


def test_a_connectable_needs_a_connection() -> None:
    with pytest.raises(TypeError, match="must be a Connection, not str"):
        QuicByteStreamConnectable("example.org")  # type: ignore[arg-type]


# -- anyio's contract ------------------------------------------------------------------------------


async def test_data_moves_on_over_a_migration(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world(ipv6=False) as world, open_byte_stream(dial(world)) as stream:
        await stream.send(b"GET 300000\r\n")
        await stream.send_eof()
        await stream.send_eof()
        received = bytearray()
        assert stream.extra(SocketAttribute.local_address)[0] == WIFI
        async for chunk in stream:
            assert 0 < len(chunk) <= 65536
            received += chunk
            if stream.extra(SocketAttribute.local_address)[0] == WIFI and len(received) > 50_000:
                await stream.extra(QuicAttribute.connection).migrate("wwan0")
        assert received == pattern(300_000)
        assert stream.extra(SocketAttribute.local_address)[0] == CELLULAR
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        with pytest.raises(ValueError, match="max_bytes"):
            await stream.receive(0)


async def test_attributes(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world(ipv6=False) as world, dial(world) as conn:
        connectable = QuicByteStreamConnectable(conn)
        async with await connectable.connect() as stream, await connectable.connect() as second:
            path = conn.active_path
            assert path is not None
            assert stream.extra(QuicAttribute.connection) is conn
            assert stream.extra(QuicAttribute.active_path) is path
            assert stream.extra(QuicAttribute.stream_id) == 0
            assert second.extra(QuicAttribute.stream_id) == 4
            assert stream.extra(SocketAttribute.family) is socket.AF_INET
            assert stream.extra(SocketAttribute.local_address) == path.local
            assert stream.extra(SocketAttribute.local_port) == path.local[1]
            assert stream.extra(SocketAttribute.remote_address) == (SERVER, 4433)
            assert stream.extra(SocketAttribute.remote_port) == 4433
            assert stream.extra(TLSAttribute.alpn_protocol) == "hq-interop"
            assert stream.extra(TLSAttribute.tls_version) == "TLSv1.3"
            certificate = stream.extra(TLSAttribute.peer_certificate_binary)
            assert certificate is not None
            assert (
                hashlib.sha256(certificate).digest()
                == hashlib.sha256(conn.peer_certificates[0]).digest()
            )
            await path.aclose()
            assert stream.extra(QuicAttribute.active_path, None) is None
            with pytest.raises(anyio.TypedAttributeLookupError):
                stream.extra(SocketAttribute.remote_address)


async def refuses(kind: type[Exception], call: Callable[..., Awaitable[object]], *args: Any) -> Any:
    """The call raises exactly this; its cause is trio's or trioquic's own error."""
    with pytest.raises(kind) as caught:
        await call(*args)
    assert type(caught.value) is kind
    assert str(caught.value)
    return caught.value.__cause__


async def test_closed(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world, dial(world) as conn:
        connectable = QuicByteStreamConnectable(conn)
        stream = await connectable.connect()
        await stream.send_eof()
        cause = await refuses(anyio.ClosedResourceError, stream.send, b"more")
        assert isinstance(cause, trio.ClosedResourceError)
        await stream.aclose()
        await stream.aclose()
        for call, args in ((stream.send, [b"x"]), (stream.receive, []), (stream.send_eof, [])):
            cause = await refuses(anyio.ClosedResourceError, call, *args)
            assert isinstance(cause, trio.ClosedResourceError)
        # the connection is the application's: it is open still
        async with await connectable.connect() as other:
            await other.send(b"GET 10\r\n")
            await other.send_eof()
            assert await BufferedByteReceiveStream(other).receive_exactly(10) == pattern(10)
        await conn.aclose()
        cause = await refuses(anyio.ConnectionFailed, connectable.connect)
        assert isinstance(cause, trio.ClosedResourceError)


async def test_busy(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world(ipv6=False) as world, open_byte_stream(dial(world)) as stream:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.receive)
            await anyio.wait_all_tasks_blocked()
            cause = await refuses(anyio.BusyResourceError, stream.receive)
            assert isinstance(cause, trio.BusyResourceError)
            tasks.cancel_scope.cancel()


async def test_broken_by_the_peer(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world, dial(world) as conn:
        connectable = QuicByteStreamConnectable(conn)
        async with await connectable.connect() as stream:
            await stream.send(b"NONSENSE\r\n")
            await stream.send_eof()
            cause = await refuses(anyio.BrokenResourceError, stream.receive)
            assert isinstance(cause, trioquic.StreamResetError)
        async with await connectable.connect() as stream:
            await stream.send(b"PUT\r\n")
            # stopping a stream that the server has not seen yet would be an error of its own
            await anyio.sleep(1)
            server_side(world).quic.stop_stream(4, 9)
            server_side(world).flush()
            await anyio.sleep(1)
            cause = await refuses(anyio.BrokenResourceError, stream.send, b"more")
            assert isinstance(cause, trioquic.StopSendingError)
            assert cause.error_code == 9

            server_side(world).quic.close(error_code=7, reason_phrase="enough")
            server_side(world).flush()
            for call, args in ((stream.receive, []), (stream.send_eof, [])):
                cause = await refuses(anyio.BrokenResourceError, call, *args)
                assert isinstance(cause, trioquic.PeerClosedError)
            cause = await refuses(anyio.ConnectionFailed, connectable.connect)
            assert isinstance(cause, trioquic.PeerClosedError)


async def test_no_connection(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world(ServerOptions(alpn=("other",))) as world:
        with pytest.raises(anyio.ConnectionFailed, match="none of the offered") as caught:
            await open_byte_stream(dial(world)).__aenter__()
        assert isinstance(caught.value.__cause__, trioquic.AlpnError)
        with pytest.raises(anyio.ConnectionFailed) as caught:
            await open_byte_stream(dial(world, "unknown.example")).__aenter__()
        assert isinstance(caught.value.__cause__, socket.gaierror)


async def test_the_stream_owns_its_connection(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        async with open_byte_stream(dial(world)) as stream:
            served = server_side(world)
            await anyio.aclose_forcefully(stream)
            assert open_sockets(world) == 0
            await refuses(anyio.ClosedResourceError, stream.receive)
        await served.closed.wait()


async def test_the_blocks_exception_comes_out(autojump_clock: trio.testing.MockClock) -> None:
    error = anyio.BrokenResourceError("of my own")
    async with phone_world() as world:

        async def fail() -> None:
            async with open_byte_stream(dial(world)) as stream:
                await stream.send(b"half of a requ")
                raise error

        with pytest.raises(anyio.BrokenResourceError) as caught:
            await fail()
        assert caught.value is error
        assert open_sockets(world) == 0
        with anyio.move_on_after(5) as scope:
            async with open_byte_stream(dial(world)) as stream:
                await stream.receive()
        assert scope.cancelled_caught
        assert open_sockets(world) == 0


async def test_an_adapted_stream_is_still_trios(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone_world() as world, dial(world) as conn:
        inner = await conn.open_stream()
        stream = QuicByteStream(inner, conn)
        assert repr(stream) == f"<QuicByteStream {inner.stream_id}>"
        await inner.send_all(b"GET 1000\r\n")
        await stream.send_eof()
        first = await stream.receive(10)
        assert len(first) == 10
        assert first + b"".join([bytes(chunk) async for chunk in inner]) == pattern(1000)
