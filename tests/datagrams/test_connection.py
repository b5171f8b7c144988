"""Datagrams of whole connections, with aioquic's server, in the simulator."""

from collections.abc import Callable

import pytest
import trio.testing
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration

import trioquic
from tests.runtime.world import dial, phone_world
from tests.sim_server import ServerConnection, ServerOptions
from trioquic import DatagramOutcome, TransportConfig

Clock = trio.testing.MockClock
ACCEPT = TransportConfig(datagrams=True)


class Echo:
    """Sends each datagram back, and keeps what came."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.received: list[bytes] = []

    def __call__(self, event: events.QuicEvent) -> None:
        if isinstance(event, events.DatagramFrameReceived):
            self.received.append(event.data)
            if event.data.startswith(b"echo"):
                self.send(event.data)

    def send(self, *datagrams: bytes) -> None:
        for data in datagrams:
            self.connection.quic.send_datagram_frame(data)
        self.connection.flush()


def options(made: list[Echo], limit: int | None = 65536) -> ServerOptions:
    def application(connection: ServerConnection) -> Callable[[events.QuicEvent], None]:
        made.append(Echo(connection))
        return made[-1]

    def configure(configuration: QuicConfiguration) -> None:
        configuration.max_datagram_frame_size = limit

    return ServerOptions(application=application, configure=configure)


async def test_both_ways(autojump_clock: Clock) -> None:
    servers: list[Echo] = []
    async with phone_world(options(servers)) as world, dial(world, transport=ACCEPT) as conn:
        receipt = conn.send_datagram(b"echo 1")
        assert receipt.outcome is DatagramOutcome.QUEUED
        assert await conn.receive_datagram() == b"echo 1"
        assert await receipt.wait() is DatagramOutcome.ACKNOWLEDGED
        conn.send_datagram(bytearray(b"echo 2"))
        conn.send_datagram(memoryview(b"echo 3"))
        assert [await conn.receive_datagram() for _ in range(2)] == [b"echo 2", b"echo 3"]
        statistics = conn.statistics()
        assert (statistics.datagrams_sent, statistics.datagrams_received) == (3, 3)
        assert statistics.datagrams_lost == 0


async def test_the_largest_arrives_and_one_byte_more_is_refused(autojump_clock: Clock) -> None:
    servers: list[Echo] = []
    async with phone_world(options(servers)) as world, dial(world) as conn:
        await conn.wait_handshake_confirmed()
        for _ in range(3):
            largest = conn.max_datagram_size
            assert await conn.send_datagram(bytes(largest)).wait() is DatagramOutcome.ACKNOWLEDGED
            with pytest.raises(trioquic.DatagramError, match="do not fit"):
                conn.send_datagram(bytes(conn.max_datagram_size + 1))
            await trio.sleep(5)
        # path MTU discovery has found more than the 1200 bytes at first
        assert 1150 < len(servers[0].received[0]) < 1200 < largest
        assert [len(data) for data in servers[0].received][-1] == largest


async def test_the_servers_limit(autojump_clock: Clock) -> None:
    servers: list[Echo] = []
    async with phone_world(options(servers, 500)) as world, dial(world) as conn:
        assert conn.max_datagram_size == 497
        assert await conn.send_datagram(bytes(497)).wait() is DatagramOutcome.ACKNOWLEDGED


async def test_a_server_that_takes_none(autojump_clock: Clock) -> None:
    async with phone_world() as world, dial(world, transport=ACCEPT) as conn:
        assert conn.max_datagram_size == 0
        with pytest.raises(trioquic.DatagramError, match="takes no datagrams"):
            conn.send_datagram(b"")


async def test_a_client_that_takes_none(autojump_clock: Clock) -> None:
    servers: list[Echo] = []
    async with phone_world(options(servers)) as world:
        async with dial(world) as conn:
            # sending needs no more than the server's word
            assert await conn.send_datagram(b"x").wait() is DatagramOutcome.ACKNOWLEDGED
            for _ in range(2):
                with pytest.raises(trioquic.DatagramError, match="datagrams=True"):
                    await conn.receive_datagram()
        with pytest.raises(trio.ClosedResourceError):
            await conn.receive_datagram()


async def test_losses_are_told(autojump_clock: Clock) -> None:
    servers: list[Echo] = []
    async with phone_world(options(servers), wifi={"loss": 0.3}) as world, dial(world) as conn:
        receipts = []
        for number in range(200):
            receipts.append(conn.send_datagram(b"%d" % number))
            await trio.sleep(0.02)
        outcomes = [await receipt.wait() for receipt in receipts]
        came = set(servers[0].received)
        for number, outcome in enumerate(outcomes):
            # nothing is acknowledged that has not come
            assert outcome is not DatagramOutcome.ACKNOWLEDGED or b"%d" % number in came
        assert 20 < outcomes.count(DatagramOutcome.LOST) < 120
        assert conn.statistics().datagrams_lost >= outcomes.count(DatagramOutcome.LOST)
        assert len(came) == len(servers[0].received), "a datagram came twice"


@pytest.mark.compiled
async def test_ten_thousand_each_way_over_three_moves(autojump_clock: Clock) -> None:
    """Nobody waits for anybody: what is too much is dropped and counted, and no more is kept."""
    count, buffer = 10_000, 100
    servers: list[Echo] = []
    transport = TransportConfig(datagrams=True, datagram_buffer=buffer)
    async with phone_world(options(servers)) as world, dial(world, transport=transport) as conn:
        await conn.wait_handshake_confirmed()
        server = servers[0]
        for part in range(4):
            for number in range(count // 4):
                conn.send_datagram(b"%05d" % (part * count // 4 + number) + bytes(500))
                server.connection.quic.send_datagram_frame(bytes(500))
                if number % 10 == 0:
                    server.connection.flush()
                    await trio.sleep(0.001)
                core = conn._driver.core.datagrams
                assert len(core._outgoing or ()) <= buffer
                assert len(core._incoming or ()) <= buffer
            if part < 3:
                await conn.migrate(interface=("wwan0", "wlan0")[part % 2])
        await trio.sleep(10)
        statistics = conn.statistics()
        assert statistics.datagrams_sent + statistics.datagrams_dropped_sending == count
        assert statistics.datagrams_dropped_sending > 1000
        arrived = server.received
        assert len(arrived) == len(set(arrived))
        assert statistics.datagrams_sent - statistics.datagrams_lost <= len(arrived)
        assert len(arrived) <= statistics.datagrams_sent
        # the newest was not pushed out
        assert arrived[-1].startswith(b"%05d" % (count - 1))
        kept = 0
        with trio.move_on_after(1):
            while True:
                await conn.receive_datagram()
                kept += 1
        assert kept == buffer
        assert statistics.datagrams_dropped_receiving == statistics.datagrams_received - buffer


async def test_receivers_take_turns_and_can_be_cancelled(autojump_clock: Clock) -> None:
    servers: list[Echo] = []
    got: list[bytes] = []
    async with phone_world(options(servers)) as world, dial(world, transport=ACCEPT) as conn:
        with trio.move_on_after(1) as scope:
            await conn.receive_datagram()
        assert scope.cancelled_caught

        async def receive() -> None:
            got.append(await conn.receive_datagram())

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(receive)
            await trio.sleep(0.5)
            servers[0].send(b"a", b"b", b"c")
        assert sorted(got) == [b"a", b"b", b"c"]


async def test_the_end_of_the_connection(autojump_clock: Clock) -> None:
    servers: list[Echo] = []
    async with phone_world(options(servers)) as world:
        async with dial(world, transport=ACCEPT) as conn:
            await conn.wait_handshake_confirmed()
            servers[0].send(b"last words")
            await trio.sleep(0.5)
            world.wifi.down()
            receipt = conn.send_datagram(b"never arrives")
            await trio.sleep(0.2)
            servers[0].connection.quic.close(error_code=7)
            servers[0].connection.flush()
            await trio.sleep(0.5)
            world.wifi.up()
            conn.ping()
            await trio.sleep(5)
            assert await conn.receive_datagram() == b"last words"
            with pytest.raises(trioquic.ConnectionLostError):
                await conn.receive_datagram()
            with pytest.raises(trioquic.ConnectionLostError):
                conn.send_datagram(b"")
            if receipt.outcome is DatagramOutcome.SENT:
                with pytest.raises(trioquic.ConnectionLostError):
                    await receipt.wait()
        with pytest.raises(trioquic.ConnectionLostError):
            conn.send_datagram(b"")
        with pytest.raises(trioquic.ConnectionLostError):
            await conn.receive_datagram()
