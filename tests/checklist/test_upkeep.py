"""MTU, spin bit, stateless reset, idle timeout.

Points 17, 21 and 22 of what must hold for a path (docs/paths.md), in the core with a scripted peer.
"""

import pytest

from tests.attacks.expect import dropped, goes_on, stream_frame
from tests.path.driver import add, standby, upload, validate
from tests.peer.packets import APPLICATION
from tests.peer.script import (
    MAX_IDLE_TIMEOUT,
    ServerScript,
)
from tests.peer.world import LOCAL, World
from trioquic._protocol.events import (
    Ending,
    HandshakeCompleted,
)
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint

# 17. MTU and spin bit belong to a path; the spin bit is off on at least 1 in 16 (14, 17.4).


def test_17_each_path_starts_with_1200_bytes() -> None:
    world = World().connect()
    upload(world, bytes(100_000))
    world.settle()
    assert world.client.path_view(0).mtu == 1472
    path = add(world)
    assert world.client.path_view(path).mtu == 1200
    validate(world, path)
    world.client.migrate(path, world.now)
    world.settle()
    sizes = [len(d.data) for d in world.peer.datagrams if d.path == path]
    assert max(sizes) == 1200


def test_17_ecn_is_tried_anew_on_each_path() -> None:
    """What one path's marks suffered says nothing about another's."""
    world = World(ServerScript(report_ecn=False)).connect()
    upload(world, bytes(30_000))
    world.settle()
    assert world.peer.datagrams[-1].ecn == 0, "no marks were reported"
    world.peer.script.report_ecn = True
    path = standby(world)
    world.client.migrate(path, world.now)
    upload(world, bytes(100_000))
    world.run_for(2.0)
    on_path = [d.ecn for d in world.peer.datagrams if d.path == path]
    assert on_path[0] == 2
    assert on_path[-1] == 2


def test_17_the_spin_bit_is_disabled_on_some_paths() -> None:
    """The client shows the opposite of what it saw last; on 1 path in 16 it shows nothing, which is
    any value, so that nobody can tell at once."""
    spinning = 0
    total = 96
    quiet: set[int] = set()
    for seed in range(total):
        world = World(seed=seed).connect()
        shown = []
        for spin in (0, 1, 0, 1):
            packet = world.peer.seal(APPLICATION, b"\x01\x01", spin=spin)
            world.peer.send_datagram(packet)
            world.settle()
            shown.append(world.peer.packets[-1].first_byte >> 5 & 1)
        if shown == [1, 0, 1, 0]:
            spinning += 1
        else:
            assert len(set(shown)) == 1
            quiet.update(shown)
    assert quiet == {0, 1}
    assert total // 2 < spinning < total


def test_17_the_spin_bit_can_be_switched_off() -> None:
    for seed in range(8):
        world = World(seed=seed, spin_bit=False).connect()
        shown = set()
        for spin in (0, 1, 0, 1):
            world.peer.send_datagram(world.peer.seal(APPLICATION, b"\x01\x01", spin=spin))
            world.settle()
            shown.add(world.peer.packets[-1].first_byte >> 5 & 1)
        assert len(shown) == 1


@pytest.mark.parametrize("size", [1, 4, 8, 20])
def test_21_no_packet_is_too_short_to_be_answered_with_a_reset(size: int) -> None:
    """Section 10.3: at least 22 bytes longer than the ID that the server has to put into its own,
    however short the server's ID is."""
    world = World(ServerScript(cid=b"c" * size)).connect()
    for _ in range(5):
        world.client.ping()
        world.settle()
    world.client.close(0, "", True, world.now)
    world.settle()
    assert world.peer.close is not None
    short = [d for d in world.peer.datagrams if not d.data[0] & 0x80]
    assert min(len(d.data) for d in short) >= 22 + 8
    assert any(p.dcid == b"c" * size for d in short for p in d.packets)


@pytest.mark.parametrize("size", [0, 1, 4, 6, 8])
def test_21_what_counts_as_in_flight_is_counted(size: int) -> None:
    """RFC 9002 section 2: what elicits an acknowledgement or has PADDING in it. A packet that only
    acknowledges has none, as nobody need ever acknowledge that, and yet it is long enough."""
    world = World(ServerScript(cid=b"c" * size)).connect()
    upload(world, bytes(1000))
    world.settle()
    world.peer.script.acknowledge = False
    before = world.client.path_view(0).bytes_in_flight
    world.peer.datagrams.clear()
    for turn in range(40):
        stream = b"\x01" if turn % 8 else stream_frame(1, turn, bytes(1))
        world.peer.send(APPLICATION, stream)
        world.run_for(0.03)
    counted = 0
    quiet = 0
    for datagram in world.peer.datagrams:
        assert len(datagram.data) >= 30
        for packet in datagram.packets:
            if packet.ack_eliciting or packet.has(fr.PADDING):
                counted += len(datagram.data)
            quiet += not packet.ack_eliciting
            assert packet.ack_eliciting or not packet.has(fr.PADDING)
    assert quiet > 10
    assert world.client.path_view(0).bytes_in_flight - before == counted


# 21. Stateless reset: tokens of IDs in use, for that remote, not of retired ones (10.3.1).


@pytest.mark.parametrize("arrival", ["standby", "active"])
def test_21_the_token_of_a_paths_own_id_is_known(arrival: str) -> None:
    world = World().connect()
    path = standby(world)
    if arrival == "active":
        world.client.migrate(path, world.now)
        goes_on(world)
    cid = world.peer.sent_on(path)[0].dcid
    token = next(token for issued, token in world.peer.issued.values() if issued == cid)
    world.peer.send_stateless_reset(token, path)
    world.settle()
    if arrival == "active":
        assert world.terminated is not None
        assert world.terminated.ending is Ending.STATELESS_RESET
    else:
        # nothing is said about the path in use (10.3.1)
        assert world.client.live_paths() == [0]
        goes_on(world)


def test_21_the_token_of_an_abandoned_paths_id_is_not() -> None:
    world = World().connect()
    path = standby(world)
    cid = world.peer.sent_on(path)[0].dcid
    token = next(token for issued, token in world.peer.issued.values() if issued == cid)
    world.client.abandon(path, world.now)
    world.settle()
    before = dropped(world)
    world.peer.send_stateless_reset(token, 0)
    world.settle()
    assert dropped(world) == before + 1
    goes_on(world)


def test_21_a_token_that_belongs_to_another_server_address_is_not() -> None:
    """A path to another remote address: its token is of no use on this one."""
    world = World().connect()
    path = world.client.add_path(LOCAL, ("198.51.100.99", 4433))
    validate(world, path)
    cid = world.peer.sent_on(path)[0].dcid
    token = next(token for issued, token in world.peer.issued.values() if issued == cid)
    world.peer.send_stateless_reset(token, 0)
    world.settle()
    goes_on(world)
    world.peer.send_stateless_reset(token, path)
    world.settle()
    assert world.client.live_paths() == [0]


# 22. Idle timeout >= 3 PTO (10.1); keep-alive (10.1.2).


def test_22_the_idle_timeout_is_the_smaller_of_both() -> None:
    script = ServerScript(parameters={MAX_IDLE_TIMEOUT: encode_varint(7000)})
    world = World(script, idle_timeout=20.0).connect()
    heard = world.now
    world.run_until(lambda: world.terminated, limit=30.0)
    assert world.terminated is not None
    assert world.terminated.ending is Ending.IDLE_TIMEOUT
    assert 6.0 < world.now - heard <= 7.1


def test_22_the_idle_timeout_is_at_least_three_ptos() -> None:
    script = ServerScript(parameters={MAX_IDLE_TIMEOUT: encode_varint(100)})
    world = World(script, delay=0.400)
    world.run_until(lambda: world.seen(HandshakeCompleted))
    heard = world.now
    world.run_until(lambda: world.terminated)
    assert world.terminated is not None
    assert world.now - heard >= 3 * 0.8


def test_22_keep_alive_asks_for_a_sign_of_life_only_after_silence() -> None:
    world = World(keep_alive=10.0, idle_timeout=30.0).connect()
    before = len(world.peer.packets)
    world.run_for(100.0)
    assert world.terminated is None
    pings = [p for p in world.peer.packets[before:] if p.has(fr.PING)]
    assert 8 <= len(pings) <= 10
    for _ in range(20):
        world.run_for(5.0)
        world.peer.send(APPLICATION, stream_frame(3, 0, b""))
    assert len([p for p in world.peer.packets if p.has(fr.PING)]) - len(pings) <= 2


def test_22_keep_alive_does_not_hide_a_dead_peer() -> None:
    world = World(keep_alive=10.0, idle_timeout=30.0).connect()
    world.cut.add(0)
    heard = world.now
    world.run_until(lambda: world.terminated, limit=100.0)
    assert world.now - heard <= 45.0
