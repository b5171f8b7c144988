"""Early data from the application's side: sent at once, taken or sent again, and always told."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partialmethod
from typing import Any

import pytest
import trio
import trio.testing
from aioquic.quic import events
from aioquic.quic.packet import QuicTransportParameters

import trioquic
from tests import sim_server
from tests.sim_server import ServerOptions, pattern
from tests.sim_world import SERVER, SERVER6, WIFI, World
from trioquic import EarlyData, MemorySessions
from trioquic._protocol.errors import PROTOCOL_VIOLATION
from trioquic.sessions import SessionKey, TakenSession

from .world import dial, open_sockets, phone_world, server_side

Clock = trio.testing.MockClock
pytestmark = pytest.mark.usefixtures("calendar")
DEAD, SHUT = "198.51.100.99", "198.51.100.98"
RTT = 0.05
# what the simulated link adds for the size of datagrams, and ACKs that are held back
SLACK = 0.03


def options(change: Callable[[QuicTransportParameters], None] | None = None) -> ServerOptions:
    """A server with tickets; from the second connection on, with changed parameters."""
    connections = 0

    def parameters(p: QuicTransportParameters) -> None:
        nonlocal connections
        connections += 1
        if change is not None and connections > 1:
            change(p)

    return ServerOptions(session_tickets=True, parameters=parameters)


class Moved(MemorySessions):
    """Believes that the server was where nobody listens."""

    async def take(self, key: SessionKey) -> TakenSession:
        ticket, token = await super().take(key)
        return TakenSession(ticket and replace(ticket, address=SHUT), token)


async def first_visit(
    world: World, sessions: MemorySessions | None = None, **more: Any
) -> MemorySessions:
    """A store with a ticket."""
    sessions = MemorySessions() if sessions is None else sessions
    async with dial(world, sessions=sessions, early_data=True, **more) as conn:
        assert conn.handshake_complete
        assert outcome(conn) is EarlyData.NONE
        await conn.wait_handshake_confirmed()
        await trio.sleep(4 * RTT)
    return sessions


async def ask(conn: trioquic.Connection, size: int) -> bytes:
    stream = await conn.open_stream(early_data=True)
    await stream.send_all(f"GET {size}\r\n".encode())
    await stream.send_eof()
    return b"".join([bytes(chunk) async for chunk in stream])


async def put(conn: trioquic.Connection, body: bytes) -> None:
    """Upload; the server's digest must be right."""
    stream = await conn.open_stream(early_data=True)
    await stream.send_all(b"PUT\r\n" + body)
    await stream.send_eof()
    answer = b"".join([bytes(chunk) async for chunk in stream])
    assert answer.decode() == hashlib.sha256(body).hexdigest()


def outcome(conn: trioquic.Connection) -> EarlyData:
    """Anew each time, also for the type checker."""
    return conn.early_data


async def completed(world: World) -> events.HandshakeCompleted:
    """What the server says of its newest connection, which this side has closed."""
    await server_side(world).closed.wait()
    [event] = [e for e in server_side(world).log if isinstance(e, events.HandshakeCompleted)]
    return event


async def test_forty_requests_before_the_server_has_answered(autojump_clock: Clock) -> None:
    async with phone_world(options(), ipv6=False) as world:
        sessions = await first_visit(world)
        began = trio.current_time()
        answered: list[float] = []

        async def one(conn: trioquic.Connection) -> None:
            assert await ask(conn, 50) == pattern(50)
            answered.append(trio.current_time() - began)

        async with dial(world, sessions=sessions, early_data=True) as conn:
            assert trio.current_time() == began
            assert not conn.handshake_complete and not conn.handshake_confirmed
            assert outcome(conn) is EarlyData.OFFERED
            assert (conn.alpn, conn.resumed) == ("hq-interop", False)
            assert conn.cipher_suite.startswith("TLS_") and conn.group is None
            assert conn.peer_certificates and conn.peer.initial_max_data
            async with trio.open_nursery() as nursery:
                for _ in range(40):
                    nursery.start_soon(one, conn)
            assert outcome(conn) is EarlyData.ACCEPTED
            assert conn.resumed and conn.group == "x25519"
        assert len(answered) == 40
        assert max(answered) < RTT + SLACK
        assert (await completed(world)).early_data_accepted


async def test_what_was_not_said_to_be_safe_waits(autojump_clock: Clock) -> None:
    async with phone_world(options(), ipv6=False) as world:
        sessions = await first_visit(world)
        async with dial(world, sessions=sessions, early_data=True) as conn:
            began = trio.current_time()
            await conn.open_stream()
            assert trio.current_time() - began >= RTT
            assert conn.handshake_complete
            # and afterwards nothing is early any more
            assert await ask(conn, 10) == pattern(10)
        began = trio.current_time()
        async with dial(world, sessions=sessions) as conn:
            assert outcome(conn) is EarlyData.NONE
            assert conn.resumed
            assert trio.current_time() - began >= RTT


@pytest.mark.parametrize("less", [False, True])
async def test_what_the_server_cannot_read_is_sent_again(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch, less: bool
) -> None:
    """It has new keys, and perhaps gives less than before: of bytes, and of streams."""
    async with phone_world(options(), ipv6=False) as world:
        sessions = await first_visit(world)
        world.server.tickets.clear()
        if less:
            world.server.configuration.max_data = 1500
            world.server.configuration.max_stream_data = 700
            few = partialmethod(_few_streams, sim_server._Quic.__init__)
            monkeypatch.setattr(sim_server._Quic, "__init__", few)
        async with dial(world, sessions=sessions, early_data=True) as conn:
            async with trio.open_nursery() as nursery:
                for number in range(10):
                    nursery.start_soon(put, conn, pattern(1000 * number, number))
                await trio.testing.wait_all_tasks_blocked()
                assert outcome(conn) is EarlyData.OFFERED
            assert outcome(conn) is EarlyData.REJECTED
            assert conn.peer.initial_max_streams_bidi == (4 if less else 128)
            assert not conn.resumed
            assert await ask(conn, 100_000) == pattern(100_000)
        assert not (await completed(world)).early_data_accepted


def _few_streams(quic: sim_server._Quic, init: Callable[..., None], *arguments: object) -> None:
    init(quic, *arguments)
    limit = quic._local_max_streams_bidi
    limit.value = limit.sent = 4


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("seed", range(4))
async def test_over_a_bad_link(autojump_clock: Clock, forgets: bool, seed: int) -> None:
    async with phone_world(options(), ipv6=False, seed=seed) as world:
        sessions = await first_visit(world)
        if forgets:
            world.server.tickets.clear()
        world.wifi.link.change(loss=0.2, duplicate=0.1, reorder=0.2)
        async with dial(world, sessions=sessions, early_data=True) as conn:
            async with trio.open_nursery() as nursery:
                for number in range(5):
                    nursery.start_soon(put, conn, pattern(9000 * number, number))
            assert conn.early_data is (EarlyData.REJECTED if forgets else EarlyData.ACCEPTED)


@pytest.mark.parametrize(
    "name",
    [
        "active_connection_id_limit",
        "initial_max_data",
        "initial_max_stream_data_bidi_local",
        "initial_max_stream_data_bidi_remote",
        "initial_max_stream_data_uni",
        "initial_max_streams_bidi",
        "initial_max_streams_uni",
        "max_datagram_frame_size",
    ],
)
async def test_a_server_that_takes_it_cannot_lower_a_limit(
    autojump_clock: Clock, name: str
) -> None:
    """RFC 9000 section 7.4.1, RFC 9221 section 3."""

    def lower(p: QuicTransportParameters) -> None:
        value = getattr(p, name)
        setattr(p, name, value - 1)

    lowered = options(lower)
    lowered.configure = lambda c: setattr(c, "max_datagram_frame_size", 1200)
    async with phone_world(lowered, ipv6=False) as world:
        sessions = await first_visit(world)
        async with dial(world, sessions=sessions, early_data=True) as conn:
            with pytest.raises(trioquic.HandshakeError, match=f"lowered {name} from") as caught:
                await ask(conn, 10)
            assert caught.value.code == PROTOCOL_VIOLATION
            with pytest.raises(trioquic.HandshakeError):
                await conn.wait_handshake_complete()


async def test_a_server_may_raise_its_limits(autojump_clock: Clock) -> None:
    def higher(p: QuicTransportParameters) -> None:
        p.initial_max_data = (p.initial_max_data or 0) * 2

    async with phone_world(options(higher), ipv6=False) as world:
        sessions = await first_visit(world)
        async with dial(world, sessions=sessions, early_data=True) as conn:
            await put(conn, pattern(20_000))
            assert outcome(conn) is EarlyData.ACCEPTED


@pytest.mark.parametrize("writes", [True, False])
async def test_another_protocol_gets_nothing_that_was_meant_for_the_first(
    autojump_clock: Clock, writes: bool
) -> None:
    """The application was told the first one, whether it has written anything or not."""
    both = ("hq-interop", "other")
    async with phone_world(options(), ipv6=False) as world:
        sessions = await first_visit(world, alpn=both)
        world.server.tickets.clear()
        world.server.configuration.alpn_protocols = ["other"]
        async with dial(world, sessions=sessions, early_data=True, alpn=both) as conn:
            if writes:
                stream = await conn.open_send_stream(early_data=True)
                await stream.send_all(b"for the first one")
                await stream.aclose()
            with pytest.raises(trioquic.AlpnError, match="refused early data for hq-interop"):
                await conn.open_stream()
        await server_side(world).closed.wait()
        assert server_side(world).uploads == {}


async def test_the_last_datagram_is_full_also_when_the_parameters_are_bad(
    autojump_clock: Clock,
) -> None:
    """RFC 9000 section 14.1: the server drops an Initial packet in a smaller one."""

    def forge(p: QuicTransportParameters) -> None:
        p.original_destination_connection_id = b"somebody"

    async with phone_world(options(forge), ipv6=False) as world:
        sessions = await first_visit(world)
        async with dial(world, sessions=sessions, early_data=True) as conn:
            with pytest.raises(trioquic.HandshakeError, match="original_destination"):
                await ask(conn, 10)
        sent = [record.payload for record in world.record.select(host="phone") if record.payload]
        # also of version 1's Initial packets
        initial = [data for data in sent if data[0] & 0xF0 == 0xC0]
        assert min(len(data) for data in initial) >= 1200
        assert sent[-1] == initial[-1]


async def test_a_closed_port_ends_it_within_a_second(autojump_clock: Clock) -> None:
    """No other address is tried with early data, and whoever waits is told."""
    transport = trioquic.TransportConfig(handshake_timeout=2)
    async with phone_world(options(), ipv6=False) as world:
        world.net.host("shut").add_interface("eth0", SHUT)
        sessions = Moved()
        await first_visit(world, sessions)
        where = [SHUT, DEAD]
        began = trio.current_time()
        async with dial(
            world, sessions=sessions, early_data=True, addresses=where, transport=transport
        ) as conn:
            with pytest.raises(trioquic.HandshakeError, match="nothing listens on UDP") as caught:
                await conn.wait_handshake_complete()
            assert type(caught.value) is trioquic.HandshakeError
        assert 0.5 < trio.current_time() - began < 1.0
        assert open_sockets(world) == 0


async def test_a_server_that_is_gone(autojump_clock: Clock) -> None:
    async with phone_world(options(), ipv6=False) as world:
        sessions = await first_visit(world)
        world.wifi.link.change(loss=1.0)
        began = trio.current_time()
        async with dial(world, sessions=sessions, early_data=True) as conn:
            with pytest.raises(trioquic.HandshakeTimeoutError, match="within 10 s"):
                await ask(conn, 10)
            assert trio.current_time() - began == pytest.approx(10)
            with pytest.raises(trioquic.HandshakeTimeoutError):
                await conn.open_stream()
        assert open_sockets(world) == 0


async def test_leaving_before_the_server_has_answered(autojump_clock: Clock) -> None:
    """What was ended with a FIN arrives, the handshake comes to its end for that."""
    async with phone_world(options(), ipv6=False) as world:
        sessions = await first_visit(world)
        async with dial(world, sessions=sessions, early_data=True) as conn:
            stream = await conn.open_send_stream(early_data=True)
            await stream.send_all(pattern(30_000))
            await stream.aclose()
        [digest] = server_side(world).uploads.values()
        assert digest == hashlib.sha256(pattern(30_000)).hexdigest()
        assert open_sockets(world) == 0


@pytest.mark.parametrize("ticks", range(0, 60, 6))
async def test_cancelled_at_any_time(autojump_clock: Clock, ticks: int) -> None:
    async with phone_world(options(), ipv6=False) as world:
        sessions = await first_visit(world)
        with trio.move_on_after(ticks / 1000):
            async with dial(world, sessions=sessions, early_data=True) as conn:
                await put(conn, pattern(100_000))
        assert open_sockets(world) == 0
        with pytest.raises(ZeroDivisionError):
            async with dial(world, sessions=sessions, early_data=True) as conn:
                raise ZeroDivisionError
        assert open_sockets(world) == 0


async def test_it_goes_to_where_the_ticket_came_from(autojump_clock: Clock) -> None:
    """The first address is dead; last time the second one answered."""
    async with phone_world(options(), ipv6=False) as world:
        where = [DEAD, SERVER]
        sessions = await first_visit(world, addresses=where)
        began = trio.current_time()
        async with dial(world, sessions=sessions, early_data=True, addresses=where) as conn:
            assert trio.current_time() == began
            assert await ask(conn, 10) == pattern(10)
            assert outcome(conn) is EarlyData.ACCEPTED
        assert open_sockets(world) == 0


async def test_an_unknown_address_gets_no_early_data(autojump_clock: Clock) -> None:
    async with phone_world(options()) as world:
        sessions = await first_visit(world, local=WIFI, addresses=[SERVER])
        async with dial(
            world, sessions=sessions, early_data=True, interface="wlan0", addresses=[SERVER6, DEAD]
        ) as conn:
            assert conn.handshake_complete
            assert outcome(conn) is EarlyData.NONE


async def test_what_is_for_one_network_goes_to_no_other_for_its_address(
    autojump_clock: Clock,
) -> None:
    """RFC 9000 section 9.5: IPv4 and IPv6 are networks of their own to a store, and what was taken
    for the first way may be known there."""
    sessions = MemorySessions(across_networks=True)
    async with phone_world(options()) as world:
        over_ipv4 = {"local": WIFI, "addresses": [SERVER]}
        await first_visit(world, sessions, networks=world.phone, **over_ipv4)
        async with dial(
            world,
            sessions=sessions,
            early_data=True,
            networks=world.phone,
            addresses=[SERVER6, SERVER],
        ) as conn:
            assert conn.early_data is EarlyData.NONE
            assert conn.resumed
            assert conn.active_path is not None
            assert conn.active_path.remote[0] == SERVER6


async def test_datagrams_wait(autojump_clock: Clock) -> None:
    chatty = options()
    chatty.configure = lambda c: setattr(c, "max_datagram_frame_size", 1200)
    transport = trioquic.TransportConfig(datagrams=True)
    async with phone_world(chatty, ipv6=False) as world:
        sessions = await first_visit(world, transport=transport)
        async with dial(world, sessions=sessions, early_data=True, transport=transport) as conn:
            receipt = conn.send_datagram(b"not to be replayed")
            await trio.sleep(RTT / 2)
            assert receipt.outcome is trioquic.DatagramOutcome.QUEUED
            assert await receipt.wait() is trioquic.DatagramOutcome.ACKNOWLEDGED
        [seen] = [e for e in server_side(world).log if isinstance(e, events.DatagramFrameReceived)]
        assert seen.data == b"not to be replayed"
