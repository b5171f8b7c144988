"""Cancelled while streams are opened, accepted, written, read, ended and closed."""

import hashlib

import pytest
import trio
import trio.testing
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicTransportParameters

import trioquic
from tests.runtime.world import dial, get
from tests.sim_server import ServerOptions, pattern

from .harness import Bench, Cut, bench, sweep

# What fills this soon has to wait for the server.
BUFFER = 2048
CLOGGED = trioquic.TransportConfig(send_buffer=BUFFER)


def tight() -> ServerOptions:
    """A server with small windows."""

    def configure(configuration: QuicConfiguration) -> None:
        configuration.max_stream_data = 2 * BUFFER

    return ServerOptions(configure=configure)


def one_stream() -> ServerOptions:
    """A server that allows one bidirectional and no unidirectional stream at first."""

    def limit(parameters: QuicTransportParameters) -> None:
        parameters.initial_max_streams_bidi = 1
        parameters.initial_max_streams_uni = 0

    return ServerOptions(parameters=limit)


async def allow(b: Bench, bidirectional: int, unidirectional: int) -> None:
    """After a while, let the client open so many streams in all."""
    await trio.sleep(0.1)
    quic = b.server.quic
    for limit, value in (
        (quic._local_max_streams_bidi, bidirectional),
        (quic._local_max_streams_uni, unidirectional),
    ):
        # aioquic believes that it has allowed 128, and would see no need to tell less.
        limit.sent = limit.used
        limit.value = value
    b.server.flush()


async def test_open_stream(autojump_clock: trio.testing.MockClock) -> None:
    """Cancelled while it waits for credit, none was opened: the next one has its number."""

    async def case(cut: Cut) -> None:
        async with bench(one_stream()) as b:
            async with dial(b.world) as conn, trio.open_nursery() as nursery:
                assert await get(conn, 100) == pattern(100)
                nursery.start_soon(allow, b, 64, 64)
                stream = out = None
                with cut:
                    stream = await conn.open_stream()
                    out = await conn.open_send_stream()
                assert cut.caught is (out is None)
                if stream is None:
                    stream = await conn.open_stream()
                if out is None:
                    out = await conn.open_send_stream()
                assert (stream.stream_id, out.stream_id) == (4, 2)
                assert await get(conn, 100) == pattern(100)
            await b.nothing_left()

    await sweep(case, least=8)


async def test_one_of_two_who_wait_for_credit(autojump_clock: trio.testing.MockClock) -> None:
    """There is credit for one; that the other one is cancelled must not cost it."""

    async def case(cut: Cut) -> None:
        async with bench(one_stream()) as b:
            async with dial(b.world) as conn:
                assert await get(conn, 100) == pattern(100)
                opened = []

                async def other() -> None:
                    opened.append(await conn.open_stream())

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(other)
                    nursery.start_soon(allow, b, 2, 0)
                    with trio.move_on_after(1), cut:
                        opened.append(await conn.open_stream())
                    await trio.sleep(1)
                    nursery.cancel_scope.cancel()
                assert [stream.stream_id for stream in opened] == [4]
            await b.nothing_left()

    await sweep(case, least=8)


async def test_send_all(autojump_clock: trio.testing.MockClock) -> None:
    """Cancelled, some part from the front was taken, and the stream goes on after it."""
    data = pattern(4 * BUFFER)
    more = b"and so on"

    async def case(cut: Cut) -> None:
        async with bench(tight()) as b:
            async with dial(b.world, transport=CLOGGED) as conn:
                out = await conn.open_send_stream()
                done = False
                with cut:
                    await out.wait_send_all_might_not_block()
                    await out.send_all(data)
                    await out.wait_send_all_might_not_block()
                    done = True
                assert cut.caught is not done
                await out.send_all(more)
                await out.aclose()
            fronts = range(len(data), len(data) + 1) if done else range(len(data) + 1)
            arrived = b.server.uploads[out.stream_id]
            assert any(hashlib.sha256(data[:n] + more).hexdigest() == arrived for n in fronts)
            await b.nothing_left()

    await sweep(case, least=40)


async def test_receive_some(autojump_clock: trio.testing.MockClock) -> None:
    """Cancelled anywhere, no byte is lost."""
    size = 3000

    async def case(cut: Cut) -> None:
        async with bench() as b:
            async with dial(b.world) as conn:
                stream = await conn.open_stream()
                await stream.send_all(b"GET %d\r\n" % size)
                await stream.send_eof()
                got = b""
                with cut:
                    while part := await stream.receive_some(700):
                        got += part
                assert cut.caught or len(got) == size
                while part := await stream.receive_some(700):
                    got += part
                assert got == pattern(size)
                assert await stream.receive_some() == b""
            await b.nothing_left()

    await sweep(case, least=20)


async def test_send_eof(autojump_clock: trio.testing.MockClock) -> None:
    """Cancelled, nothing was done: there may be more to send."""

    async def case(cut: Cut) -> None:
        async with bench() as b:
            async with dial(b.world) as conn:
                stream = await conn.open_stream()
                await stream.send_all(b"PUT\r\nfirst")
                with cut:
                    await stream.send_eof()
                if cut.caught:
                    await stream.send_all(b"second")
                    await stream.send_eof()
                else:
                    with pytest.raises(trio.ClosedResourceError):
                        await stream.send_all(b"second")
                arrived = b"first" + b"second" * cut.caught
                assert await stream.receive_some() == hashlib.sha256(arrived).hexdigest().encode()
            await b.nothing_left()

    await sweep(case, least=1)


async def test_aclose(autojump_clock: trio.testing.MockClock) -> None:
    """Cancelled, it resets, so that the server does not take half of the data for all of it."""

    async def case(cut: Cut) -> None:
        async with bench(tight()) as b:
            async with dial(b.world, transport=CLOGGED) as conn:
                out = await conn.open_send_stream()
                await out.send_all(pattern(BUFFER))
                with cut:
                    await out.aclose()
                with pytest.raises(trio.ClosedResourceError):
                    await out.send_all(b"more")
                await trio.sleep(1)
                resets = [e for e in b.server.log if isinstance(e, events.StreamReset)]
                if cut.caught:
                    assert b.server.uploads == {}
                    assert [(e.stream_id, e.error_code) for e in resets] == [(out.stream_id, 0)]
                else:
                    whole = hashlib.sha256(pattern(BUFFER)).hexdigest()
                    assert b.server.uploads == {out.stream_id: whole}
                    assert resets == []
                assert await get(conn, 100) == pattern(100)
            await b.nothing_left()

    await sweep(case, least=1)


async def test_aclose_after_the_end(autojump_clock: trio.testing.MockClock) -> None:
    """What was ended before is delivered, cancelled or not."""

    async def case(cut: Cut) -> None:
        async with bench() as b:
            async with dial(b.world) as conn:
                stream = await conn.open_stream()
                await stream.send_all(b"PUT\r\nbody")
                await stream.send_eof()
                with cut:
                    await stream.aclose()
                for operation in (stream.send_eof, stream.receive_some):
                    with pytest.raises(trio.ClosedResourceError):
                        await operation()
                await trio.sleep(1)
                kinds = [type(e) for e in b.server.log]
                assert events.StreamReset not in kinds
                assert events.StopSendingReceived in kinds
                assert stream.stream_id not in b.server._digests
            await b.nothing_left()

    await sweep(case, least=1)


async def test_accept_stream(autojump_clock: trio.testing.MockClock) -> None:
    """Three tasks wait and one of them is cancelled: each stream comes to somebody, once."""

    async def open_streams(b: Bench) -> None:
        for number in range(4):
            await trio.sleep(0.05 * (number % 2))
            quic = b.server.quic
            stream_id = quic.get_next_available_stream_id(is_unidirectional=number < 3)
            quic.send_stream_data(stream_id, b"%d" % number, end_stream=True)
            b.server.flush()

    async def case(cut: Cut) -> None:
        async with bench() as b:
            async with dial(b.world) as conn:
                got: list[bytes] = []

                async def accept() -> None:
                    stream = await conn.accept_stream()
                    # What is accepted is in hand: only then it is this task's.
                    with trio.CancelScope(shield=True):
                        got.append(bytes(await stream.receive_some()))

                await conn.wait_handshake_confirmed()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(open_streams, b)
                    nursery.start_soon(accept)
                    nursery.start_soon(accept)
                    with cut:
                        await accept()
                for _ in range(4 - len(got)):
                    await accept()
                assert sorted(got) == [b"0", b"1", b"2", b"3"]
            await b.nothing_left()

    await sweep(case, least=10)
