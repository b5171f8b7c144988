"""Two sans-IO QUIC endpoints over the simulated network, in virtual time."""

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from aioquic.quic.packet import QuicProtocolVersion, QuicTransportParameters

from tests.sim_server import PORT, ServerOptions, pattern, serve
from tests.sim_world import (
    CELLULAR,
    PREFERRED,
    PREFERRED6,
    SERVER,
    WIFI,
    World,
    shared_ids,
    simulated_world,
)
from tests.testing.quic_client import Client
from trioquic.testing import Fate, LinkOptions, Nat

Clock = trio.testing.MockClock
FAR_AWAY: LinkOptions = {"delay": 0.75, "rate": None}


@asynccontextmanager
async def connected(world: World, options: ServerOptions | None = None) -> AsyncIterator[Client]:
    client = Client(world, options or ServerOptions())
    await client.start(WIFI)
    try:
        await client.handshake()
        yield client
    finally:
        client.close()


async def test_a_handshake_costs_virtual_time_only(autojump_clock: Clock) -> None:
    real = time.monotonic()
    async with simulated_world(wifi=FAR_AWAY) as world, connected(world) as client:
        assert client.handshake_at == pytest.approx(1.5)
        assert await client.ask(b"GET 20000\r\n") == pattern(20_000)
        assert trio.current_time() >= 3.0
    assert time.monotonic() - real < 2.0


async def test_requests(autojump_clock: Clock) -> None:
    async with simulated_world() as world, connected(world) as client:
        body = pattern(300_000, seed=5)
        assert await client.ask(b"GET 1000000\r\n") == pattern(1_000_000)
        digest = hashlib.sha256(body).hexdigest()
        assert await client.ask(b"PUT\r\n" + body) == digest.encode()
        start = trio.current_time()
        assert await client.ask(b"WAIT 5 10\r\n") == pattern(10)
        assert trio.current_time() - start >= 5.0
        bad = client.send(b"nonsense")
        upload = client.send(body, unidirectional=True)
        connection = world.server.connections[0]
        while bad not in client.reset or upload not in connection.uploads:
            await client.step()
        assert connection.uploads[upload] == digest


async def test_retry(autojump_clock: Clock) -> None:
    options = ServerOptions(retry=True)
    async with simulated_world(options=options) as world, connected(world, options) as client:
        assert client.handshake_at == pytest.approx(0.1, abs=0.005)
        assert world.server.retries_sent == 1 and len(world.server.connections) == 1


async def test_version_negotiation(autojump_clock: Clock) -> None:
    options = ServerOptions()
    async with simulated_world(options=options) as world:
        world.server.configuration.supported_versions = [QuicProtocolVersion.VERSION_2]
        async with connected(world, options) as client:
            assert client.handshake_at == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize("seed", range(5))
async def test_a_transfer_over_bad_links(autojump_clock: Clock, seed: int) -> None:
    bad: LinkOptions = {"loss": 0.1, "corrupt": 0.05, "duplicate": 0.05, "reorder": 0.1}
    async with simulated_world(seed, wifi=bad) as world, connected(world) as client:
        assert await client.ask(b"GET 100000\r\n") == pattern(100_000)
        fates = world.record.fates()
        assert fates[Fate.LOST] > 3 and any(r.corrupted for r in world.record.records)


async def test_a_rebinding_nat_is_a_migration_for_the_server(autojump_clock: Clock) -> None:
    nat = Nat("203.0.113.99")
    async with simulated_world(wifi_nat=nat) as world, connected(world) as client:
        await client.ask(b"GET 1000\r\n")
        connection = world.server.connections[0]
        before = connection.peer
        nat.rebind()
        assert await client.ask(b"GET 100000\r\n") == pattern(100_000)
        assert connection.peer[0] == before[0] and connection.peer[1] != before[1]


async def test_a_client_may_move_to_another_interface(autojump_clock: Clock) -> None:
    async with simulated_world() as world, connected(world) as client:
        await client.ask(b"GET 1000\r\n")
        world.wifi.link.blackhole()
        await client.move(CELLULAR)
        client.quic.change_connection_id()
        assert await client.ask(b"GET 100000\r\n") == pattern(100_000)
        assert world.server.connections[0].peer[0] == CELLULAR
        sent = world.record.select(host="phone")
        assert shared_ids(sent) == {}


async def test_reused_connection_ids_are_seen(autojump_clock: Clock) -> None:
    async with simulated_world() as world, connected(world) as client:
        await client.ask(b"GET 1000\r\n")
        await client.move(CELLULAR)
        await client.ask(b"GET 1000\r\n")
        paths = {(WIFI, SERVER), (CELLULAR, SERVER)}
        assert list(shared_ids(world.record.select(host="phone")).values()) == [paths]


async def test_the_preferred_address_is_offered_and_served(autojump_clock: Clock) -> None:
    options = ServerOptions(preferred_ipv4=(PREFERRED, PORT), preferred_ipv6=(PREFERRED6, PORT))
    async with simulated_world(options=options) as world, connected(world, options) as client:
        # aioquic validates and uses it by itself; its socket is connected, so follow it
        await client.ask(b"GET 1000\r\n")
        offered = client.quic._remote_preferred_address
        assert offered is not None and offered.ipv4_address == (PREFERRED, PORT)
        assert offered.ipv6_address == (PREFERRED6, PORT)
        connection = world.server.connections_by_id[offered.connection_id]
        assert connection is world.server.connections[0]
        client.remote = (PREFERRED, PORT)
        await client.move(WIFI)
        client.quic._network_paths[0].addr = client.remote
        client.quic.change_connection_id()
        assert await client.ask(b"GET 50000\r\n") == pattern(50_000)
        assert connection.peer[:1] == (WIFI,) and connection.peer[2] == 1
        assert {r.source[0] for r in world.record.select(host="server")} == {SERVER, PREFERRED}


async def test_migration_can_be_disabled(autojump_clock: Clock) -> None:
    seen: list[QuicTransportParameters] = []
    options = ServerOptions(disable_active_migration=True, parameters=seen.append)
    async with simulated_world(options=options) as world, connected(world, options):
        assert [p.disable_active_migration for p in seen] == [True]


async def test_an_idle_connection_ends_on_both_sides(autojump_clock: Clock) -> None:
    options = ServerOptions(idle_timeout=10.0)
    async with simulated_world(options=options) as world, connected(world, options) as client:
        connection = world.server.connections[0]
        while client.terminated is None:
            await client.step()
        await connection.closed.wait()
        assert 10.0 < trio.current_time() < 12.0
        assert world.server.connections_by_id == {}


async def test_the_server_runs_over_real_sockets() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, ["127.0.0.1"], 0)
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
            await sock.connect(("127.0.0.1", server.port))
            # a version that no server knows is answered at once
            await sock.send(b"\xc0\x1a\x2a\x3a\x4a\x08" + bytes(8) + b"\x08" + bytes(1185))
            with trio.fail_after(10):
                answer = await sock.recv(2000)
        assert answer[1:5] == bytes(4)
        nursery.cancel_scope.cancel()
