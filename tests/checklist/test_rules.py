"""When a path may come to be, and with which connection IDs.

Points 1 to 7 of what must hold for a path (docs/paths.md), in the core with a scripted peer.
"""

import pytest

from tests.attacks.expect import goes_on
from tests.path.driver import add, no_id_on_two_paths, refused, standby
from tests.peer.packets import APPLICATION
from tests.peer.script import (
    ACTIVE_CID_LIMIT,
    DISABLE_ACTIVE_MIGRATION,
    ServerScript,
)
from tests.peer.world import LOCAL, REMOTE, World
from trioquic._protocol.events import (
    HandshakeCompleted,
    Migrated,
    PathValidated,
)
from trioquic._protocol.path.refusal import PathRefusedError, Refusal
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint

# 1. No migration before the handshake is confirmed (section 9).


def test_01_no_path_before_the_handshake_is_confirmed() -> None:
    world = World(ServerScript(handshake_done=False))
    assert refused(world) is Refusal.NOT_CONFIRMED
    world.run_until(lambda: world.seen(HandshakeCompleted))
    world.settle()
    assert refused(world) is Refusal.NOT_CONFIRMED
    world.attack(b"\x1e")
    assert standby(world) == 1


# 2. disable_active_migration: nothing, not even a probe, from a new local address (18.2).


def test_02_disable_active_migration_forbids_even_a_probe() -> None:
    world = World(ServerScript(parameters={DISABLE_ACTIVE_MIGRATION: b""})).connect()
    assert refused(world) is Refusal.DISABLED_BY_PEER
    with pytest.raises(PathRefusedError):
        world.client.add_path((LOCAL[0], LOCAL[1] + 1), REMOTE)
    world.run_for(5.0)
    assert {datagram.path for datagram in world.peer.datagrams} == {0}
    goes_on(world)


# 3. Packets from unknown server addresses are discarded (9).


def test_03_packets_that_arrive_on_no_path_are_discarded() -> None:
    world = World().connect()
    packet = world.peer.seal(APPLICATION, fr.encode_connection_close(1, None, b""))
    world.client.receive(5, packet, len(packet), 0, world.now)
    goes_on(world)


# 4. A destination connection ID is never used on two paths; probes <= spare IDs (9.5, 8.2).


def test_04_no_connection_id_on_two_paths() -> None:
    world = World().connect()
    for round_number in range(12):
        path = standby(world, round_number + 2)
        world.client.migrate(path, world.now)
        goes_on(world)
        old = world.seen(Migrated)[-1].old
        world.client.abandon(old, world.now)
        world.settle()
    no_id_on_two_paths(world)
    assert world.client.statistics().retiring_peer_ids == 0


def test_04_no_more_concurrent_probes_than_spare_ids() -> None:
    world = World(ServerScript(spare_ids=4)).connect()
    paths = [add(world, number) for number in (2, 3, 4)]
    assert refused(world, 5) is Refusal.NO_SPARE_ID
    for path in paths:
        world.client.validate(path, world.now)
    world.run_until(lambda: len(world.seen(PathValidated)) == 3)
    no_id_on_two_paths(world)
    world.client.abandon(paths[0], world.now)
    world.settle()
    assert standby(world, 5) == 4
    no_id_on_two_paths(world)


# 5. IDs of unused paths are retired, a retirement is never forgotten (5.1.2).


def test_05_the_id_of_an_abandoned_path_is_retired_however_often_that_is_lost() -> None:
    world = World().connect()
    path = standby(world)
    cid = world.peer.sent_on(path)[0].dcid
    sequence = next(n for n, (issued, _) in world.peer.issued.items() if issued == cid)
    lost: list[bytes] = []

    def lose_some(_path: int, data: bytes) -> bytes | None:
        if len(lost) < 5:
            lost.append(data)
            return None
        return data

    world.to_peer = lose_some
    world.client.abandon(path, world.now)
    world.run_until(lambda: sequence in world.peer.retired)
    assert len(lost) == 5
    world.settle()
    assert world.client.statistics().retiring_peer_ids == 0
    assert all(p.dcid != cid for p in world.peer.packets[-3:])


def test_05_retire_prior_to_stops_the_use_at_once() -> None:
    world = World().connect()
    before = len(world.peer.packets)
    world.peer.issue_id(30, retire_prior_to=30)
    world.settle()
    new = world.peer.issued[30][0]
    assert {p.dcid for p in world.peer.packets[before:]} == {new}
    assert world.peer.retired >= {0, 1, 2, 3}
    goes_on(world)


# 6. The peer has an unused ID of ours before we migrate (5.1.1).


def test_06_the_peer_is_given_as_many_ids_as_it_may_hold() -> None:
    world = World(ServerScript(parameters={ACTIVE_CID_LIMIT: encode_varint(5)})).connect()
    assert sorted(world.peer.client_ids) == [0, 1, 2, 3, 4]
    assert len({cid for cid, _ in world.peer.client_ids.values()}) == 5
    world.peer.path_ids[0] = 4
    world.attack(fr.encode_integers(fr.RETIRE_CONNECTION_ID, 0))
    assert sorted(world.peer.client_ids) == [0, 1, 2, 3, 4, 5]


def test_06_no_unvalidated_move_when_the_peer_has_no_unused_id_of_ours() -> None:
    world = World(ServerScript(parameters={ACTIVE_CID_LIMIT: None})).connect()
    assert sorted(world.peer.client_ids) == [0, 1]
    world.peer.path_ids[0] = 1
    world.attack(b"\x01")
    path = add(world)
    with pytest.raises(PathRefusedError) as caught:
        world.client.migrate(path, world.now, unvalidated=True)
    assert caught.value.refusal is Refusal.NO_SPARE_OWN_ID
    del world.peer.client_ids[0]
    world.attack(fr.encode_integers(fr.RETIRE_CONNECTION_ID, 0))
    world.client.migrate(path, world.now, unvalidated=True)
    goes_on(world)


def test_06_two_ids_are_enough_for_a_validated_path() -> None:
    """The smallest limit there is: the peer's answer on the new path used up the second ID."""
    world = World(ServerScript(parameters={ACTIVE_CID_LIMIT: None})).connect()
    path = standby(world)
    world.client.migrate(path, world.now)
    goes_on(world)
    assert world.client.active_path == path


def test_06_new_connection_ids_may_travel_with_a_challenge() -> None:
    world = World().connect()
    path = add(world)
    world.peer.path_ids[0] = 1
    # the retirement is known to the client at the moment when it sends its challenge
    packet = world.peer.seal(APPLICATION, fr.encode_integers(fr.RETIRE_CONNECTION_ID, 0))
    world.client.receive(0, packet, len(packet), 0, world.now)
    world.client.validate(path, world.now)
    batch = world.client.transmit(path, world.now)
    assert batch is not None
    world.peer.receive(path, batch.data, world.now)
    probe = world.peer.sent_on(path)[0]
    assert probe.probing
    assert probe.has(fr.NEW_CONNECTION_ID)
    world.settle()
    goes_on(world)


# 7. No migration when the peer chose a zero-length ID (9.5).


def test_07_no_path_to_a_peer_with_zero_length_ids() -> None:
    world = World(ServerScript(cid=b"", spare_ids=0)).connect()
    assert refused(world) is Refusal.ZERO_LENGTH_ID
    goes_on(world)
