"""A connection's whole life, cancelled at every moment, and proof that no await was left out.

The life is made of everything that can be waited for. Which awaits of the runtime its tasks were at
when they were cancelled is compared with the awaits in the runtime's source.
"""

import ast
import functools
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicTransportParameters

import trioquic
from tests.runtime.world import ALPN, dial, get
from tests.sim_server import NAME, PORT, ServerOptions, pattern
from tests.sim_world import CELLULAR, PREFERRED, SERVER, SERVER6, WIFI

from .harness import (
    BY_HAND,
    MOST_STEPS,
    RUNTIME,
    AttentiveQuic,
    Bench,
    Cut,
    OneSpareId,
    Place,
    bench,
    in_runtime,
    sweep,
)
from .test_supervised import OPTIONS, supervised, wander

SHUT = "198.51.100.98"
SEND_BUFFER = 1500
TRANSPORT = trioquic.TransportConfig(handshake_timeout=0.4, send_buffer=SEND_BUFFER, datagrams=True)

# Awaits that a life does not meet, and why. Whoever adds an await to the runtime either adds to a
# life what leads there, or adds a line here.
ELSEWHERE = (
    # real sockets: test_loopback.py
    "native_socket.py: ",
    # the system's interfaces, not the simulated host's: tests/networks/test_system_networks.py
    "change_triggers.py: ",
    "system_networks.py: ",
    "another_look.py: ",
    # a tunnel that comes up late: test_connecting.py and test_paths.py
    "late_tunnel.py: await trio.sleep(_PACE)",
    "path_set.py: await tunnel.follow(lambda: None, leave)",
    # a socket that was closed between two waits: test_paths.py closes paths at any moment
    "factory_socket.py: await self.check_open()",
    "sockets.py: await trio.lowlevel.checkpoint()",
    # what came while the store was busy: tests/runtime/test_sessions.py
    "connection_task.py: await self._keeper.finish()",
    # a port that stays closed: test_connecting.py
    "refusals.py: await trio.sleep_until(self._first_at + self._certain_after)",
    # a policy that insists on what cannot be had: tests/supervisor/test_custom_policy.py
    "supervisor.py: await trio.sleep(_SHORTEST_PAUSE)",
    # many errors in a row
    "factory_socket.py: await trio.sleep(PAUSE)",
)


def miserly() -> ServerOptions:
    """One stream at first, and little data."""

    def configure(configuration: QuicConfiguration) -> None:
        configuration.max_stream_data = 2000
        configuration.max_datagram_frame_size = 65535

    def limit(parameters: QuicTransportParameters) -> None:
        parameters.initial_max_streams_bidi = 1

    return ServerOptions(configure=configure, parameters=limit, session_tickets=True)


def of_two_addresses() -> ServerOptions:
    return ServerOptions(preferred_ipv4=(PREFERRED, PORT))


def of_a_silent_address() -> ServerOptions:
    return ServerOptions(preferred_ipv4=("198.51.100.77", PORT))


async def serve_life(b: Bench) -> None:
    """What the server does by itself: it opens a stream, allows more, and sends datagrams."""
    await trio.sleep(0.8)
    if b.world.server.connections:
        quic = b.server.quic
        quic.send_stream_data(quic.get_next_available_stream_id(is_unidirectional=True), b"!")
        b.server.flush()
        await trio.sleep(0.5)
        limit = quic._local_max_streams_bidi
        limit.sent, limit.value = limit.used, 64
        b.server.flush()
        await trio.sleep(0.5)
        for data in (b"first", b"second"):
            quic.send_datagram_frame(data)
        b.server.flush()


async def life_of_streams(b: Bench) -> None:
    """A connect, a transfer and a close."""
    sessions = trioquic.MemorySessions()
    async with dial(
        b.world, "life.example", server_name=NAME, transport=TRANSPORT, sessions=sessions
    ) as conn:
        await conn.wait_handshake_confirmed()
        stream = await conn.open_stream()
        await stream.send_all(b"PUT\r\n" + bytes(SEND_BUFFER))
        await stream.wait_send_all_might_not_block()
        await stream.send_eof()
        assert len(await stream.receive_some()) == 64
        await stream.aclose()
        incoming = await conn.accept_stream()
        assert await incoming.receive_some() == b"!"
        await incoming.aclose()
        # both wait for credit
        async with trio.open_nursery() as nursery:
            nursery.start_soon(conn.wait_open_stream_might_not_block)
            nursery.start_soon(conn.wait_open_send_stream_might_not_block)
            assert await get(conn, 500) == pattern(500)
        # Leaving a nursery is no checkpoint, and what follows does not wait.
        await trio.lowlevel.checkpoint()
        receipt = conn.send_datagram(b"here we are")
        assert await receipt.wait() is trioquic.DatagramOutcome.ACKNOWLEDGED
        # waits for the first one, and not for the second
        assert await conn.receive_datagram() == b"first"
        assert await conn.receive_datagram() == b"second"
        out = await conn.open_send_stream()
        await out.send_all(b"the end")
        await out.wait_send_all_might_not_block()
        await out.aclose()
        with trio.move_on_after(0.01):
            await conn.wait_closed()


async def life_of_paths(b: Bench) -> None:
    """Everything that can be done with paths."""
    migration = trioquic.MigrationPolicy(linger=1000.0, automatic=False)
    async with (
        dial(b.world, SERVER, migration=migration) as conn,
        conn.path_events() as events,
    ):
        first = conn.active_path
        assert first is not None
        path = await conn.add_path(interface="wwan0")
        await path.validate()
        assert isinstance(await events.receive(), trioquic.PathOpened)
        conn.migrate_to(path)
        await first.aclose()
        await trio.sleep(0.2)
        # The second of them needs the connection ID of the path that the first one left.
        for interface in ("wlan0", "wwan0"):
            await conn.migrate(interface=interface)
        out = await conn.open_send_stream()
        await out.send_all(bytes(1000))
        await out.aclose()


async def life_of_a_download(b: Bench) -> None:
    """A move in the middle of it waits until the server has settled."""
    async with dial(b.world, SERVER, migration=BY_HAND) as conn, trio.open_nursery() as nursery:
        await conn.wait_handshake_confirmed()
        nursery.start_soon(get, conn, 60_000)
        await conn.migrate(interface="wwan0")
        out = await conn.open_send_stream()
        await out.send_all(bytes(1000))
        await out.aclose()


async def life_in_a_nursery(b: Bench) -> None:
    """What the others leave out: `connect`, local addresses, and not having to wait."""
    tls = trioquic.TLSConfig(ca_data=b.world.server.options.credentials.ca_pem)
    async with trio.open_nursery() as nursery:
        conn = await trioquic.connect(
            nursery,
            SERVER,
            PORT,
            alpn=[ALPN],
            tls=tls,
            transport=TRANSPORT,
            migration=BY_HAND,
            local=WIFI,
        )
        async with conn:
            out = await conn.open_send_stream()
            await out.send_all(bytes(SEND_BUFFER))
            await out.wait_send_all_might_not_block()
            await trio.sleep(1)
            # Cancelled here, it is the next operation that finds out.
            await trio.lowlevel.cancel_shielded_checkpoint()
            # the server has opened it long ago
            incoming = await conn.accept_stream()
            assert await incoming.receive_some() == b"!"
            await conn.migrate(local=CELLULAR)
            await out.aclose()


async def life_of_names(b: Bench) -> None:
    """Names that lead nowhere, and one that does."""
    b.world.net.name("six.example", SERVER6)
    b.world.net.name("silent.example", "198.51.100.96", "198.51.100.97")
    with pytest.raises(trioquic.LocalAddressError):
        async with dial(b.world, "six.example", local=WIFI):
            pass
    with pytest.raises(trioquic.HandshakeTimeoutError):
        async with dial(b.world, "silent.example", transport=TRANSPORT):
            pass
    async with dial(b.world, "life.example", server_name=NAME) as conn:
        out = await conn.open_send_stream()
        await out.send_all(b"the end")
        await out.aclose()


async def life_between_two_addresses(b: Bench) -> None:
    """The application looks after a server that prefers another address."""
    async with dial(b.world, SERVER, migration=BY_HAND) as conn:
        path = await conn.add_path(interface="wwan0", server=(PREFERRED, PORT))
        await path.aclose()
        await conn.migrate(interface="wwan0")
        out = await conn.open_send_stream()
        await out.send_all(bytes(1000))
        await out.aclose()


async def life_with_one_id(b: Bench) -> None:
    """The server prefers an address that is silent: the one ID goes there first."""
    transport = trioquic.TransportConfig(datagrams=True)
    async with dial(b.world, SERVER, migration=BY_HAND, transport=transport) as conn:
        await conn.wait_handshake_confirmed()
        await trio.sleep(0.2)
        await conn.migrate(interface="wwan0")
        out = await conn.open_send_stream()
        await out.send_all(bytes(1000))
        await out.aclose()


def missed(places: set[Place]) -> list[str]:
    """The awaits in the runtime's source at which no task was cancelled."""
    found = []
    for path in sorted(Path(RUNTIME).rglob("*.py")):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Await | ast.AsyncWith | ast.AsyncFor):
                continue
            last = node.end_lineno if isinstance(node, ast.Await) else node.lineno
            assert last is not None
            if not any((path.name, line) in places for line in range(node.lineno, last + 1)):
                segment = ast.get_source_segment(text, node) or ""
                found.append(f"{path.name}: {segment.splitlines()[0]}")
    return found


async def supervised_life(b: Bench) -> None:
    """What the supervisor does by itself."""
    async with supervised(b) as conn:
        await wander(b, conn)


async def cancel_life(
    live: Callable[[Bench], Awaitable[None]],
    cut: Cut,
    *,
    options: Callable[[], ServerOptions] = miserly,
    quic: type[AttentiveQuic] = OneSpareId,
) -> None:
    async with bench(options(), quic=quic) as b:
        b.world.net.host("shut").add_interface("eth0", SHUT)
        b.world.net.name("life.example", SHUT, SERVER)
        b.world.net.set_resolver_delay(0.01)
        b.world.server_host.start_soon(serve_life, b)
        with cut:
            await live(b)
        if cut.caught:
            assert trio.current_time() == cut.time
        else:
            assert len(b.server.uploads) == 1
        await b.nothing_left()


async def cancel_early_data(cut: Cut) -> None:
    """A connection that goes to where the last one was, and sends at once."""
    async with bench(miserly(), quic=OneSpareId) as b:
        b.world.net.host("shut").add_interface("eth0", SHUT)
        again = functools.partial(
            dial,
            b.world,
            addresses=[SHUT, SERVER],
            transport=TRANSPORT,
            sessions=trioquic.MemorySessions(),
            early_data=True,
        )
        async with again() as conn:
            await conn.wait_handshake_confirmed()
            await trio.sleep(0.2)
        await b.nothing_left()
        b.world.server.connections.clear()
        with cut:
            async with again() as conn:
                assert not conn.handshake_complete
                early = await conn.open_send_stream(early_data=True)
                await early.send_all(b"at once")
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(conn.wait_handshake_complete)
                    await conn.open_send_stream()
                await early.aclose()
        if cut.caught:
            assert trio.current_time() == cut.time
        else:
            assert len(b.server.uploads) == 1
        await b.nothing_left()


async def cancel_supervised_life(cut: Cut) -> None:
    async with bench(OPTIONS) as b:
        with cut:
            await supervised_life(b)
        if cut.caught:
            assert trio.current_time() == cut.time
        else:
            assert len(b.server.uploads) == 1
        await b.nothing_left_in_the_end()


CASES: dict[str, Callable[[Cut], Awaitable[None]]] = {
    "early data": cancel_early_data,
    "supervised": cancel_supervised_life,
    "streams": functools.partial(cancel_life, life_of_streams),
    "paths": functools.partial(cancel_life, life_of_paths),
    "download": functools.partial(cancel_life, life_of_a_download),
    "names": functools.partial(cancel_life, life_of_names),
    "two addresses": functools.partial(
        cancel_life, life_between_two_addresses, options=of_two_addresses, quic=AttentiveQuic
    ),
    "one ID": functools.partial(cancel_life, life_with_one_id, options=of_a_silent_address),
    "in a nursery": functools.partial(cancel_life, life_in_a_nursery),
}


@pytest.mark.series
@pytest.mark.usefixtures("calendar")
@pytest.mark.parametrize("name", CASES)
async def test_cancelled_at_every_moment(name: str, autojump_clock: trio.testing.MockClock) -> None:
    await sweep(CASES[name], least=30 if name == "early data" else 100)


@pytest.mark.usefixtures("calendar")
async def test_no_wait_is_left_out(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what the runtime waits for anywhere, but what other tests cancel: where a task is after
    one of its steps is where `test_cancelled_at_every_moment` cancels it, or later. A third of
    those moments shows what is waited for after a cancellation."""
    places: set[Place] = set()
    checkpoint = trio.lowlevel.checkpoint_if_cancelled

    async def noted_checkpoint() -> None:
        # Without a cancellation it is no step: nobody waits there.
        caller = sys._getframe(1)
        folder, _, name = caller.f_code.co_filename.rpartition("/")
        if in_runtime(folder):
            places.add((name, caller.f_lineno))
        await checkpoint()

    monkeypatch.setattr(trio.lowlevel, "checkpoint_if_cancelled", noted_checkpoint)
    # early data first, as `calendar` is an hour behind: nothing may be from the future
    for case in CASES.values():
        uncut = Cut(MOST_STEPS)
        uncut.watches = True
        await case(uncut)
        places |= uncut.places
        places |= await sweep(case, least=30, every=3)
    left_out = [where for where in missed(places) if not where.startswith(ELSEWHERE)]
    assert left_out == [], "\n".join(left_out)
