"""The move itself and what it leaves behind.

Points 13, 15 and 16 of what must hold for a path (docs/paths.md), in the core with a scripted peer.
"""

import random

import pytest

from tests.attacks.expect import goes_on
from tests.path.driver import (
    add,
    no_id_on_two_paths,
    standby,
    upload,
    validate,
)
from tests.peer.script import (
    ServerScript,
)
from tests.peer.world import World
from tests.streams.harness import buffered
from trioquic._protocol.events import (
    Ending,
    Migrated,
    PathDegraded,
    PathRecovered,
    PathValidated,
    ValidationFailed,
)
from trioquic._protocol.path.refusal import PathRefusedError, Refusal
from trioquic._protocol.path.state import PathState
from trioquic._protocol.wire import frames as fr

# 13. A failed path fails alone; with no path left the connection waits for one (9).


def test_13_a_failed_path_fails_alone() -> None:
    world = World().connect()
    dead, live = add(world, 2), add(world, 3)
    world.cut.add(dead)
    for path in (dead, live):
        world.client.validate(path, world.now)
    world.run_until(lambda: world.seen(ValidationFailed))
    assert [e.path_id for e in world.seen(ValidationFailed)] == [dead]
    assert [e.path_id for e in world.seen(PathValidated)] == [live]
    goes_on(world)
    world.cut.clear()
    validate(world, dead)  # it may be tried again


def test_13_without_a_path_the_connection_waits_for_one() -> None:
    world = World().connect()
    data = random.Random(3).randbytes(200_000)
    stream_id = upload(world, data)
    world.run_for(3 * world.delay)
    world.client.abandon(0, world.now)
    assert world.client.active_path == -1
    sent = len(world.peer.datagrams)
    world.run_for(5.0)
    assert len(world.peer.datagrams) <= sent + 60, "only what was under way arrives"
    assert world.terminated is None
    path = add(world)
    world.client.migrate(path, world.now, unvalidated=True)
    world.run_until(lambda: world.peer.stream(stream_id) == data)
    assert world.peer.active_path == path
    assert world.seen(Migrated)[-1].old == -1


def test_13_without_a_path_the_idle_timeout_ends_the_wait() -> None:
    world = World().connect()
    world.client.abandon(0, world.now)
    world.run_until(lambda: world.terminated, limit=40.0)
    assert world.terminated is not None
    assert world.terminated.ending is Ending.IDLE_TIMEOUT


# 15. The first non-probing packet migrates; prior validation is optional (9.2).


def test_15_migration_needs_validation_or_an_explicit_wish() -> None:
    world = World().connect()
    path = add(world)
    with pytest.raises(PathRefusedError) as caught:
        world.client.migrate(path, world.now)
    assert caught.value.refusal is Refusal.NOT_VALIDATED
    assert world.client.active_path == 0
    world.client.migrate(path, world.now, unvalidated=True)
    world.client.validate(path, world.now)
    world.run_until(lambda: world.seen(PathValidated))
    first = world.peer.sent_on(path)[0]
    assert not first.probing, "moved at once"
    assert first.has(fr.PATH_CHALLENGE), "and validated at the same time"
    assert world.client.path_view(path).state is PathState.ACTIVE
    goes_on(world)


def test_15_an_idle_connection_shows_its_move_with_a_packet_of_its_own() -> None:
    world = World().connect()
    path = standby(world)
    world.run_for(2.0)
    world.client.migrate(path, world.now)
    world.settle()
    assert [(e.old, e.new) for e in world.seen(Migrated)] == [(0, path)]
    assert world.peer.active_path == path
    goes_on(world)


def test_15_after_the_move_the_old_path_is_silent_until_it_is_wanted_again() -> None:
    world = World(ServerScript(challenge_new_paths=False)).connect()
    path = standby(world)
    world.client.migrate(path, world.now)
    world.settle()
    before = len(world.peer.sent_on(0))
    goes_on(world)
    world.run_for(5.0)
    assert len(world.peer.sent_on(0)) == before
    world.client.migrate(0, world.now)
    goes_on(world)
    assert world.peer.active_path == 0
    no_id_on_two_paths(world)


# 16. Each path has its own RTT and congestion controller; the ledger stays whole (9.4).


def test_16_the_new_path_starts_with_a_fresh_rtt_and_window() -> None:
    world = World(delay=0.010).connect()
    world.delays[1] = 0.150
    stream_id = upload(world, bytes(500_000))
    world.run_until(lambda: len(world.peer.stream(stream_id)) > 200_000)
    assert world.client.path_view(0).congestion_window > 20_000
    path = add(world)
    fresh = world.client.path_view(path)
    assert fresh.rtt is None
    assert fresh.congestion_window <= 14_720
    validate(world, path)
    world.client.migrate(path, world.now)
    assert world.client.path_view(path).congestion_window <= 14_720
    assert world.client.path_view(path).bytes_in_flight <= 1_300
    world.run_until(lambda: len(world.peer.stream(stream_id)) == 500_000)
    old, new = world.client.path_view(0), world.client.path_view(path)
    assert old.rtt is not None and new.rtt is not None and new.min_rtt is not None
    assert old.rtt < 0.100
    assert new.rtt > 0.250
    assert new.min_rtt > 0.290, "no acknowledgement of the old path's packets gave a sample"
    assert old.bytes_in_flight == 0


def test_16_packets_of_the_old_path_are_acknowledged_over_the_new_one() -> None:
    """No spurious loss, no retransmission, no harm to the new window."""
    world = World().connect()
    path = standby(world)
    data = random.Random(4).randbytes(300_000)
    stream_id = upload(world, data)
    world.run_until(lambda: len(world.peer.stream(stream_id)) > 100_000)
    world.client.migrate(path, world.now)
    world.run_until(lambda: buffered(world.client.streams, stream_id) == 0)
    assert world.peer.stream(stream_id) == data
    for number in (0, path):
        view = world.client.path_view(number)
        assert view.packets_lost == 0
        assert view.bytes_in_flight == 0
    sent = sum(len(p[2]) for q in world.peer.packets for p in q.all(fr.STREAM))
    assert sent == len(data), "nothing was sent twice"


def test_16_what_was_in_flight_on_a_dead_path_is_sent_again_on_the_new_one() -> None:
    world = World().connect()
    path = standby(world)
    data = random.Random(5).randbytes(300_000)
    stream_id = upload(world, data)
    world.run_until(lambda: len(world.peer.stream(stream_id)) > 100_000)
    world.cut.add(0)
    world.run_for(0.5)
    moved = world.now
    world.client.migrate(path, moved)
    world.run_until(lambda: len(world.peer.stream(stream_id)) > 150_000)
    assert world.now - moved < 0.3, "the old path's backed-off PTO is not waited for"
    world.run_until(lambda: world.peer.stream(stream_id) == data)
    assert world.client.path_view(path).packets_lost == 0
    goes_on(world)


def test_16_abandoning_the_dead_path_is_enough_to_send_again() -> None:
    world = World().connect()
    path = standby(world)
    data = random.Random(6).randbytes(300_000)
    stream_id = upload(world, data)
    world.run_until(lambda: len(world.peer.stream(stream_id)) > 100_000)
    world.cut.add(0)
    world.run_for(world.delay)
    world.client.migrate(path, world.now)
    world.client.abandon(0, world.now)
    moved = world.now
    world.run_until(lambda: world.peer.stream(stream_id) == data)
    assert world.now - moved < 2.0
    goes_on(world)


def test_16_coming_back_to_a_path_starts_afresh() -> None:
    world = World(delay=0.150).connect()
    world.delays[1] = 0.010
    path = standby(world)
    world.client.migrate(path, world.now)
    goes_on(world)
    world.delays[0] = 0.010
    world.client.migrate(0, world.now)
    goes_on(world)
    goes_on(world)
    rtt = world.client.path_view(0).rtt
    assert rtt is not None and rtt < 0.060, "what was learnt before says nothing about now"


# The active path's health is told in events; what to do about it is for others to decide.


def test_13_a_silent_active_path_degrades_and_recovers() -> None:
    world = World().connect()
    stream_id = upload(world, bytes(200_000))
    world.run_until(lambda: len(world.peer.stream(stream_id)) > 50_000)
    world.cut.add(0)
    cut = world.now
    world.run_until(lambda: world.seen(PathDegraded))
    pto = 0.020 + 4 * 0.010 + 0.025
    assert world.now - cut < (1 + 2 + 4 + 1) * pto, "three PTOs, with their backoff"
    assert world.client.path_view(0).state is PathState.DEGRADED
    assert world.client.active_path == 0
    world.run_for(1.0)
    world.cut.clear()
    world.run_until(lambda: world.seen(PathRecovered))
    assert world.client.path_view(0).state is PathState.ACTIVE
    world.run_until(lambda: len(world.peer.stream(stream_id)) == 200_000)
