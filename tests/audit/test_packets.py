"""Headers and closes."""

import pytest

from tests.attacks.expect import dropped, goes_on
from tests.peer.certificates import root
from tests.peer.packets import APPLICATION, HANDSHAKE, seal
from tests.peer.script import GREASE_QUIC_BIT, ServerScript
from tests.peer.world import World
from trioquic._protocol.config import CoreConfig
from trioquic._protocol.streams.config import StreamConfig
from trioquic._protocol.tls.config import TlsClientConfig
from trioquic._protocol.tls.own_roots import OwnRoots
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.transport_parameters import decode_transport_parameters_untrusted
from trioquic._protocol.wire.varint import Reader
from trioquic._protocol.wire.versions import SPOKEN, VERSION_1


def test_the_servers_fixed_bit_may_be_clear() -> None:
    # RFC 9287 section 3: we say so, and the bit is authenticated like all others.
    world = World().connect()
    before = world.client.statistics()
    keys, mask_keys = world.peer.keys.seal_keys(APPLICATION, 0)
    number = world.peer.next_number[APPLICATION]
    world.peer.next_number[APPLICATION] += 1
    header = bytes([0x03]) + world.peer.client_id(0) + number.to_bytes(4, "big")
    world.inject(seal(keys, header, 4, number, bytes([fr.PING]) + bytes(20), mask_keys))
    after = world.client.statistics()
    assert after.packets_received == before.packets_received + 1
    assert dropped(world) == 0
    goes_on(world)


@pytest.mark.parametrize("allowed", [True, False])
def test_our_fixed_bit_is_clear_now_and_then_if_the_server_allows_it(allowed: bool) -> None:
    # RFC 9287 section 3.1
    parameters: dict[int, bytes | None] = {GREASE_QUIC_BIT: b""} if allowed else {}
    world = World(ServerScript(parameters=parameters)).connect()
    world.settle()
    bits = []
    for _ in range(40):
        world.client.ping()
        batch = world.client.transmit(0, world.now)
        assert batch is not None
        bits.append(batch.data[0] & 0x40)
    assert set(bits) == ({0, 0x40} if allowed else {0x40})


def test_the_client_hello_has_a_version_and_a_parameter_that_do_not_exist() -> None:
    # RFC 9000 sections 15 and 18.1
    world = World().connect()
    raw = world.peer.tls.client_transport_parameters
    assert raw is not None
    parameters = decode_transport_parameters_untrusted(raw)
    assert parameters.version_information is not None
    chosen, available = parameters.version_information
    assert (chosen, available[:2]) == (VERSION_1, SPOKEN)
    assert available[2] & 0x0F0F0F0F == 0x0A0A0A0A
    reader, found = Reader(raw, 0), []
    while reader.remaining:
        found.append(reader.varint_untrusted())
        reader.take_untrusted(reader.varint_untrusted())
    assert sum(identifier % 31 == 27 for identifier in found) == 1


def test_the_delay_that_is_promised_has_room_for_late_timers() -> None:
    """RFC 9000 section 18.2: the ACK goes out with the timer, which may be late."""
    world = World().connect()
    raw = world.peer.tls.client_transport_parameters
    assert raw is not None
    promised = decode_transport_parameters_untrusted(raw).max_ack_delay / 1000
    world.peer.send(APPLICATION, bytes([fr.PING]))
    sent, before = world.now, len(world.peer.packets)
    world.run_until(lambda: len(world.peer.packets) > before)
    held_back = world.now - sent - 2 * world.delay
    assert held_back == pytest.approx(0.025, abs=0.001)
    assert promised - held_back >= 0.004


def test_the_longest_delay_is_a_valid_parameter() -> None:
    config = CoreConfig(
        tls=TlsClientConfig(server_name="a", alpn=("b",), verification=OwnRoots([root(0)])),
        streams=StreamConfig(),
        max_ack_delay=16.3835,
    )
    assert config.parameters(b"").max_ack_delay == (1 << 14) - 1


def test_a_long_reason_is_cut_between_characters() -> None:
    world = World().connect()
    world.client.close(7, "x" + "ä" * 200, True, world.now)
    world.settle()
    assert world.peer.close is not None
    code, _, reason = world.peer.close
    assert code == 7
    assert reason.decode() == "x" + "ä" * 127


@pytest.mark.parametrize("retry", [False, True])
def test_the_packets_of_a_datagram_have_one_connection_id(retry: bool) -> None:
    # Section 12.2, also where the ID to send to changes: with Retry, and with the first answer.
    world = World(ServerScript(retry=retry)).connect()
    world.peer.issue_id(retire_prior_to=max(world.peer.issued))
    goes_on(world)
    ids = [{packet.dcid for packet in d.packets} for d in world.peer.datagrams if d.packets]
    assert all(len(found) == 1 for found in ids)
    assert len(set.union(*ids)) > 2
    assert any(len(d.packets) > 1 for d in world.peer.datagrams), "some were coalesced"


@pytest.mark.parametrize("same", [True, False])
def test_a_1_rtt_packet_behind_others_must_have_their_id(same: bool) -> None:
    # Section 12.2: "Receivers SHOULD ignore any subsequent packets with a different" ID.
    world = World(ServerScript(handshake_done=False))
    world.run_until(lambda: world.client.handshake_complete)
    world.settle()
    first, other = world.peer.client_ids[0][0], world.peer.client_ids[1][0]
    before = world.client.statistics()
    handshake = world.peer.seal(HANDSHAKE, bytes([fr.PING]), dcid=first)
    short = world.peer.seal(APPLICATION, bytes([fr.PING]), dcid=first if same else other)
    world.inject(handshake + short)
    after = world.client.statistics()
    assert after.packets_received - before.packets_received == (2 if same else 1)
    assert after.dropped_unknown_id - before.dropped_unknown_id == (0 if same else 1)
