"""A server that ties pairs of streams: what is sent on one comes out of the other.

The streams of a pair are opened together and begin with one byte that says they are there. Two
bidirectional streams of the client make a pair, or a unidirectional one of the client with one that
the server opens for it. FIN, RESET_STREAM and STOP_SENDING are passed on. Credit is given only as
the other end reads, so that a pair clogs when nobody does.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
import trio
import trio.testing
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream

import trioquic
from tests import sim_server
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import SERVER, simulated_world

Settle = Callable[[], Awaitable[None]]

# Windows and buffers this small clog soon.
WINDOW = 16 << 10
TRANSPORT = trioquic.TransportConfig(
    initial_max_stream_data=WINDOW,
    max_stream_data=WINDOW,
    send_buffer=WINDOW,
    max_streams_uni=1000,
)


class TyingQuic(sim_server._Quic):
    """Raises a stream's limit only while its partner has passed on what came in."""

    partners: dict[int, int]

    def _write_stream_limits(
        self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream
    ) -> None:
        number = stream.stream_id
        partner = self._streams.get(self.partners.get(number, -1)) if number is not None else None
        if partner is not None:
            if partner.sender._buffer_stop - partner.sender._buffer_start > 1024:
                return
        super()._write_stream_limits(builder, space, stream)


class Switchboard(sim_server.ServerConnection):
    """The connection that passes everything on."""

    def __init__(self, server: sim_server.SimServer, quic: TyingQuic) -> None:
        super().__init__(server, quic)
        self.partners = quic.partners = {}
        self._waiting: dict[int, list[tuple[bytes, bool]]] = {}

    def _take_events(self) -> None:
        seen = len(self.log)
        super()._take_events()
        for event in self.log[seen:]:
            partner = self.partners.get(getattr(event, "stream_id", -1))
            if partner is None:
                continue
            if isinstance(event, events.StreamReset) and partner in self.quic._streams:
                self.quic.reset_stream(partner, event.error_code)
            elif isinstance(event, events.StopSendingReceived) and partner in self.quic._streams:
                self.quic.stop_stream(partner, event.error_code)

    def _on_data(self, stream_id: int, data: bytes, end: bool) -> None:
        if stream_id not in self.partners:
            data = self._tie(stream_id, data)
        self._pass_on(stream_id, data, end)

    def _tie(self, stream_id: int, data: bytes) -> bytes:
        if stream_id & 2:
            partner = self.quic.get_next_available_stream_id(is_unidirectional=True)
            self.partners[stream_id] = partner
            self.partners[partner] = stream_id
            self.quic.send_stream_data(partner, data[:1])
        else:
            self.partners[stream_id] = stream_id ^ 4
        return data[1:]

    def _pass_on(self, stream_id: int, data: bytes, end: bool) -> None:
        partner = self.partners[stream_id]
        if partner not in self.partners:
            self._waiting.setdefault(partner, []).append((data, end))
            return
        for early, early_end in self._waiting.pop(stream_id, []):
            self._send(stream_id, early, early_end)
        self._send(partner, data, end)

    def _send(self, stream_id: int, data: bytes, end: bool) -> None:
        if self.takes(stream_id) and (data or end):
            self.quic.send_stream_data(stream_id, data, end)


def options() -> ServerOptions:
    """For a server whose streams have small windows."""

    def configure(configuration: QuicConfiguration) -> None:
        configuration.max_stream_data = WINDOW

    return ServerOptions(configure=configure)


@contextmanager
def switchboards() -> Iterator[None]:
    """Servers made by tests.sim_server are switchboards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sim_server, "_Quic", TyingQuic)
        patch.setattr(sim_server, "ServerConnection", Switchboard)
        yield


@asynccontextmanager
async def simulated_switchboard() -> AsyncIterator[trioquic.Connection]:
    """A connection to a switchboard over the simulated network."""
    with switchboards():
        async with simulated_world(options=options()) as world:
            with world.phone.as_current():
                async with trioquic.open_connection(
                    SERVER,
                    PORT,
                    alpn=["hq-interop"],
                    tls=trioquic.TLSConfig(ca_data=options().credentials.ca_pem),
                    transport=TRANSPORT,
                ) as conn:
                    yield conn


@asynccontextmanager
async def loopback_switchboard() -> AsyncIterator[trioquic.Connection]:
    """The same over the machine's loopback interface and real sockets."""
    with switchboards():
        async with trio.open_nursery() as nursery:
            server: sim_server.SimServer = await nursery.start(
                sim_server.serve, ["127.0.0.1"], 0, options()
            )
            async with trioquic.open_connection(
                "127.0.0.1",
                server.port,
                alpn=["hq-interop"],
                tls=trioquic.TLSConfig(ca_data=options().credentials.ca_pem),
                transport=TRANSPORT,
            ) as conn:
                yield conn
            nursery.cancel_scope.cancel()


async def tied_streams(conn: trioquic.Connection) -> tuple[trioquic.Stream, trioquic.Stream]:
    """Two streams that are each other's far end."""
    first = await conn.open_stream()
    second = await conn.open_stream()
    assert second.stream_id == first.stream_id + 4
    for stream in (first, second):
        await stream.send_all(b"!")
    return first, second


async def one_way(conn: trioquic.Connection) -> tuple[trioquic.SendStream, trioquic.ReceiveStream]:
    """A stream to send on, and the one where it comes out."""
    sender = await conn.open_send_stream()
    await sender.send_all(b"!")
    receiver = await conn.accept_stream()
    assert isinstance(receiver, trioquic.ReceiveStream)
    assert await receiver.receive_some() == b"!"
    return sender, receiver


async def clog(stream: trioquic.Stream | trioquic.SendStream, settle: Settle) -> None:
    """Send until nothing is taken any more; `settle` waits until nothing moves.

    A blocked writer is only woken for a worthwhile piece of room, so the last bit is filled by
    smaller pieces."""

    async def fill(size: int) -> None:
        while True:
            await stream.send_all(bytes(size))

    for size in (WINDOW, WINDOW // 64, 1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fill, size)
            await settle()
            nursery.cancel_scope.cancel()


async def settle_in_virtual_time() -> None:
    await trio.sleep(5)


async def settle_in_real_time() -> None:
    """No task, here or at the server, has moved for longer than an acknowledgement may wait."""
    await trio.testing.wait_all_tasks_blocked(0.06)
