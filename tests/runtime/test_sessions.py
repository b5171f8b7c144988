"""What connections take from a store and put into it: once, and on one network only."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import trio
import trio.testing
from aioquic._buffer import Buffer
from aioquic.quic.packet import pull_quic_header

import trioquic
from tests.sim_server import NAME, PORT, ServerOptions
from tests.sim_world import CELLULAR, SERVER, WIFI, World
from trioquic import MemorySessions
from trioquic.config import VERSIONS
from trioquic.sessions import AddressToken, Record, Resumption, SessionKey, TakenSession

from .world import dial, get, open_sockets, phone_world, server_side

Clock = trio.testing.MockClock
GENEROUS = ServerOptions(new_tokens=True)
WIFI_NETWORK = f"wlan0/{WIFI}"
CELLULAR_NETWORK = f"wwan0/{CELLULAR}"
FAR = "198.51.100.50"


class Watched(MemorySessions):
    """Remembers the calls, and may need its time to keep something."""

    def __init__(self, pause: float = 0.0) -> None:
        super().__init__()
        self.pause = pause
        self.asked: list[SessionKey] = []
        self.kept: list[tuple[SessionKey, Record]] = []

    @property
    def tokens(self) -> list[bytes]:
        """Those that were kept."""
        return [record.token for _, record in self.kept if isinstance(record, AddressToken)]

    async def take(self, key: SessionKey) -> TakenSession:
        self.asked.append(key)
        return await super().take(key)

    async def keep(self, key: SessionKey, records: Sequence[Record]) -> None:
        await trio.sleep(self.pause)
        self.kept += [(key, record) for record in records]
        await super().keep(key, records)


async def meet(world: World, sessions: MemorySessions, **more: Any) -> None:
    """Connect, and stay until the server has given what it has to give."""
    more = {"networks": world.phone, **more}
    async with dial(world, sessions=sessions, **more) as conn:
        await conn.wait_handshake_confirmed()
        assert await get(conn, 1000)


def sent_token(world: World) -> bytes:
    """What the newest connection began with."""
    header = server_side(world).first_packet
    assert header is not None
    return header.token


async def test_each_connection_brings_the_token_of_the_one_before(autojump_clock: Clock) -> None:
    sessions = MemorySessions()
    async with phone_world(GENEROUS, ipv6=False) as world:
        await meet(world, sessions)
        assert sent_token(world) == b""
        for _ in range(3):
            [token] = server_side(world).tokens
            await meet(world, sessions)
            assert sent_token(world) == token


async def test_without_a_store_nothing_is_kept(autojump_clock: Clock) -> None:
    async with phone_world(GENEROUS, ipv6=False) as world:
        for _ in range(2):
            async with dial(world) as conn:
                await conn.wait_handshake_confirmed()
            assert sent_token(world) == b""


async def test_another_network_gets_nothing(autojump_clock: Clock) -> None:
    """RFC 9000 section 9.5: the server would know that the two are the same client."""
    sessions = MemorySessions()
    async with phone_world(GENEROUS, ipv6=False) as world:
        await meet(world, sessions, interface="wlan0")
        [over_wifi] = server_side(world).tokens
        await meet(world, sessions, interface="wwan0")
        assert sent_token(world) == b""
        [over_cellular] = server_side(world).tokens
        await meet(world, sessions, local=WIFI)
        assert sent_token(world) == over_wifi
        await meet(world, sessions, local=CELLULAR)
        assert sent_token(world) == over_cellular


async def test_a_token_belongs_to_the_network_on_which_it_came(autojump_clock: Clock) -> None:
    sessions = Watched()
    async with phone_world(GENEROUS, ipv6=False) as world:
        async with dial(world, sessions=sessions, networks=world.phone) as conn:
            await conn.wait_handshake_confirmed()
            await conn.migrate(interface="wwan0")
            assert await get(conn, 1000)
            server_side(world).give_token()
            await trio.sleep(1)
        tokens = server_side(world).tokens
    assert [key.network for key, _ in sessions.kept] == [WIFI_NETWORK, CELLULAR_NETWORK]
    assert sessions.tokens == tokens


async def test_the_key_says_what_must_be_the_same(autojump_clock: Clock) -> None:
    options = ServerOptions(new_tokens=True, session_tickets=True)
    sessions = Watched()
    async with phone_world(options, ipv6=False) as world:
        await meet(world, sessions)
    [key] = {key for key, _ in sessions.kept}
    assert (key.server_name, key.port, key.version) == (NAME, PORT, VERSIONS["v1"])
    assert key.network == WIFI_NETWORK
    assert {type(record) for _, record in sessions.kept} == {AddressToken, Resumption}
    # a v2 ticket would do as well, if the connection begins with v2
    assert [asked.version for asked in sessions.asked] == list(VERSIONS.values())
    assert sessions.asked[0] == key


async def test_a_token_of_version_2_begins_a_connection_of_version_2(
    autojump_clock: Clock,
) -> None:
    """RFC 9369 section 5."""
    sessions = Watched()
    async with phone_world(GENEROUS, ipv6=False) as world:
        await meet(world, sessions, transport=trioquic.TransportConfig(versions=["v2"]))
        [token] = server_side(world).tokens
        await meet(world, sessions, transport=trioquic.TransportConfig(versions=["v1"]))
        assert sent_token(world) == b""
        sessions.clear()
        [(key, record), _] = sessions.kept
        await sessions.keep(key, [record])
        await meet(world, sessions)
        assert sent_token(world) == token
        header = server_side(world).first_packet
        assert header is not None
        assert header.version == VERSIONS["v2"]


async def test_each_attempt_of_a_race_has_a_token_of_its_own(autojump_clock: Clock) -> None:
    """RFC 9000 section 8.1.3: none is sent twice, also not to another address."""
    sessions = MemorySessions()
    async with phone_world(GENEROUS, ipv6=False) as world:
        far = world.net.host("far")
        far.add_interface("eth0", FAR, delay=1.0)
        async with dial(world, sessions=sessions, networks=world.phone) as conn:
            await conn.wait_handshake_confirmed()
            server_side(world).give_token()
            await trio.sleep(1)
        older, newer = server_side(world).tokens
        await meet(world, sessions, addresses=[FAR, SERVER])
        assert sent_token(world) == older
        sent = world.record.select(host="phone", destination=FAR)
    headers = [pull_quic_header(Buffer(data=d.payload), host_cid_length=8) for d in sent]
    assert {header.token for header in headers} == {newer}


@pytest.mark.usefixtures("calendar")
@pytest.mark.parametrize("alone", [True, False])
async def test_a_ticket_that_breaks_tls_is_left_out_the_second_time(
    autojump_clock: Clock, alone: bool
) -> None:
    """The server would refuse all of its kind; without one it is as for the first time."""
    async with phone_world(ServerOptions(session_tickets=True), ipv6=False) as world:
        sessions = MemorySessions()
        # there is one way to the server, or there are others that need no ticket
        more: dict[str, Any] = {"interface": "wlan0"} if alone else {}
        async with dial(world, sessions=sessions, **more) as conn:
            await meet(world, sessions, **more)
            assert await get(conn, 1000)
        for ticket in world.server.tickets.values():
            # the proof that the client has the secret will be wrong
            ticket.resumption_secret = bytes(len(ticket.resumption_secret))
        before = len(world.server.connections)
        async with dial(world, sessions=sessions, **more) as conn:
            assert not conn.resumed
            assert await get(conn, 1000)
        assert len(world.server.connections) == before + 2
        async with dial(world, sessions=sessions, **more) as conn:
            assert conn.resumed


@pytest.mark.usefixtures("calendar")
async def test_a_chain_of_tickets_goes_back_to_one_handshake(autojump_clock: Clock) -> None:
    async with phone_world(ServerOptions(session_tickets=True), ipv6=False) as world:
        sessions = Watched()
        for _ in range(3):
            await meet(world, sessions)
            await trio.sleep(3600)
        world.server.tickets.clear()
        await meet(world, sessions)
        found = [record for _, record in sessions.kept if isinstance(record, Resumption)]
        first, *chained, last = found
        assert first.authenticated_at <= first.issued_at
        assert len(chained) == 2
        for one in chained:
            assert one.authenticated_at == first.authenticated_at < one.issued_at
        # the server knew none of them: a certificate again
        assert last.authenticated_at <= last.issued_at


async def test_what_comes_last_is_kept_before_the_connection_is_gone(
    autojump_clock: Clock,
) -> None:
    """The store is still busy with the first token when the second comes and all is closed."""
    sessions = Watched(pause=0.5)
    async with phone_world(GENEROUS, ipv6=False) as world:
        async with dial(world, sessions=sessions, networks=world.phone) as conn:
            await conn.wait_handshake_confirmed()
            server_side(world).give_token()
            await trio.sleep(0.2)
            assert sessions.kept == []
        tokens = server_side(world).tokens
        assert len(tokens) == 2
    assert sessions.tokens == tokens


async def test_a_store_that_never_returns_does_not_keep_a_connection(
    autojump_clock: Clock,
) -> None:
    sessions = Watched(pause=math.inf)
    async with phone_world(GENEROUS, ipv6=False) as world:
        async with dial(world, sessions=sessions, networks=world.phone) as conn:
            await conn.wait_handshake_confirmed()
            await trio.sleep(0.1)
            start = trio.current_time()
        assert trio.current_time() - start < 5
    assert sessions.kept == []


async def test_cancelled_while_the_store_is_asked(autojump_clock: Clock) -> None:
    class Slow(MemorySessions):
        async def take(self, key: SessionKey) -> TakenSession:
            await trio.sleep_forever()
            raise AssertionError

    async with phone_world(ipv6=False) as world:
        with trio.move_on_after(1) as scope:
            async with dial(world, sessions=Slow()):
                pytest.fail("connected")
        assert scope.cancelled_caught
        assert open_sockets(world) == 0
