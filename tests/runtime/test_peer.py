"""What a connection tells of the server: its parameters, Retry, tickets."""

import dataclasses

import pytest
import trio.testing
from aioquic.quic.packet import QuicTransportParameters

from tests.runtime.world import dial, phone_world
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import PREFERRED, PREFERRED6

CHOSEN = {
    "active_connection_id_limit": 5,
    "initial_max_data": 1_000_001,
    "initial_max_stream_data_bidi_local": 1_000_002,
    "initial_max_stream_data_bidi_remote": 1_000_003,
    "initial_max_stream_data_uni": 1_000_004,
    "initial_max_streams_bidi": 101,
    "initial_max_streams_uni": 102,
    "max_udp_payload_size": 1400,
    "ack_delay_exponent": 4,
    "max_datagram_frame_size": 1300,
}


def choose(parameters: QuicTransportParameters) -> None:
    for name, value in CHOSEN.items():
        setattr(parameters, name, value)
    parameters.max_idle_timeout = 12_500
    parameters.max_ack_delay = 30


async def test_what_the_server_says_is_passed_on(autojump_clock: trio.testing.MockClock) -> None:
    options = ServerOptions(
        retry=True,
        disable_active_migration=True,
        preferred_ipv4=(PREFERRED, PORT),
        preferred_ipv6=(PREFERRED6, PORT),
        parameters=choose,
    )
    async with phone_world(options) as world, dial(world) as conn:
        peer = conn.peer
        assert {name: getattr(peer, name) for name in CHOSEN} == CHOSEN
        assert peer.retry
        assert peer.disable_active_migration
        assert peer.preferred_ipv4 == (PREFERRED, PORT)
        assert peer.preferred_ipv6 == (PREFERRED6, PORT)
        assert peer.connection_id_length == 8
        assert peer.max_idle_timeout == 12.5
        assert peer.max_ack_delay == 0.03
        with pytest.raises(dataclasses.FrozenInstanceError):
            peer.retry = False  # type: ignore[misc]
    assert conn.peer == peer


async def test_what_the_server_leaves_out(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world, dial(world) as conn:
        assert not conn.peer.retry
        assert not conn.peer.disable_active_migration
        assert conn.peer.preferred_ipv4 is None
        assert conn.peer.preferred_ipv6 is None
        assert conn.peer.max_datagram_frame_size is None


@pytest.mark.parametrize("tickets", [False, True])
async def test_tickets_are_counted(tickets: bool, autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world(ServerOptions(session_tickets=tickets)) as world, dial(world) as conn:
        await conn.wait_handshake_confirmed()
        assert conn.statistics().session_tickets == tickets
