"""Networks that drop datagrams marked ECT must look like no black holes (section 13.4.2.2)."""

import pytest

from tests.attacks.expect import goes_on
from tests.path.driver import add, standby, upload
from tests.peer.script import ServerScript
from tests.peer.world import World
from trioquic._protocol.events import PathDegraded, PathValidated, ValidationFailed


def arrives(world: World, size: int, limit: float) -> None:
    stream_id = upload(world, bytes(size))
    world.run_until(lambda: len(world.peer.stream(stream_id)) == size, limit)


def test_the_first_path() -> None:
    """The second ClientHello goes out unmarked, and so does everything after it."""
    world = World(ServerScript(report_ecn=True))
    world.drops_marked = {0}
    before = world.now
    world.connect()
    assert world.now - before < 2.0
    arrives(world, 50_000, 1.0)
    assert {d.ecn for d in world.peer.datagrams} == {0}


@pytest.mark.parametrize("delay", [0.002, 0.010, 0.150])
def test_a_new_path_is_validated(delay: float) -> None:
    """From its second repetition on a challenge is not marked, and what follows it neither."""
    world = World(ServerScript(report_ecn=True), delay=delay).connect()
    path = add(world)
    world.drops_marked = {path}
    world.client.validate(path, world.now)
    world.run_until(lambda: world.seen(PathValidated) or world.seen(ValidationFailed), 10.0)
    assert [event.path_id for event in world.seen(PathValidated)] == [path]
    assert world.client.path_view(path).challenges_sent == 3
    world.settle()
    world.client.migrate(path, world.now)
    arrives(world, 50_000, 10 * delay + 0.5)
    assert not world.seen(PathDegraded)


def test_a_path_is_validated_where_none_carries_the_connection() -> None:
    """Nobody knows a round-trip time then, and the second repetition would come too late."""
    world = World(ServerScript(report_ecn=True)).connect()
    path = add(world)
    world.drops_marked = {path}
    world.client.suspend(world.now)
    world.client.validate(path, world.now)
    world.run_until(lambda: world.seen(PathValidated) or world.seen(ValidationFailed), 10.0)
    assert [event.path_id for event in world.seen(PathValidated)] == [path]
    assert world.client.path_view(path).challenges_sent == 2


def test_a_path_that_is_gone_to_before_it_answered() -> None:
    world = World(ServerScript(report_ecn=True)).connect()
    path = add(world)
    world.drops_marked = {path}
    world.client.migrate(path, world.now, unvalidated=True)
    world.client.validate(path, world.now)
    moved = world.now
    world.run_until(lambda: world.seen(PathValidated) or world.seen(ValidationFailed), 10.0)
    assert [event.path_id for event in world.seen(PathValidated)] == [path]
    assert world.now - moved < 1.5


def test_challenges_of_a_path_that_carries_marks_are_marked() -> None:
    world = World(ServerScript(report_ecn=True)).connect()
    path = standby(world)
    world.client.migrate(path, world.now)
    arrives(world, 50_000, 2.0)
    assert {d.ecn for d in world.peer.datagrams if d.path == path} == {2}


def test_a_path_that_begins_to_drop_them() -> None:
    """It carried marks for long: a change of routes is no end of the connection. From the second
    probe in a row on nothing is marked there."""
    world = World(ServerScript(report_ecn=True)).connect()
    arrives(world, 50_000, 2.0)
    assert world.peer.datagrams[-1].ecn == 2
    world.drops_marked = {0}
    arrives(world, 50_000, 3.0)
    assert world.peer.datagrams[-1].ecn == 0
    goes_on(world)


def test_marks_are_trusted_again_when_they_arrive_after_all() -> None:
    world = World(ServerScript(report_ecn=True)).connect()
    arrives(world, 50_000, 2.0)
    world.delays[0] = 1.0  # longer than two PTOs, for once
    stream_id = upload_now(world, 1000)
    world.run_for(0.5)
    world.delays[0] = world.delay
    world.run_until(lambda: len(world.peer.stream(stream_id)) == 1000)
    world.settle()
    arrives(world, 5_000, 2.0)
    assert world.peer.datagrams[-1].ecn == 2


def test_a_standby_that_removes_marks_leaves_them_to_the_path_in_use() -> None:
    world = World(ServerScript(report_ecn=True)).connect()
    path = add(world)
    world.bleached = {path}
    arrives(world, 50_000, 2.0)
    world.peer.script.acknowledge = False
    upload_now(world, 5_000)
    world.client.validate(path, world.now)
    world.run_for(2 * world.delay)
    world.peer.script.acknowledge = True
    # acknowledged together
    arrives(world, 50_000, 2.0)
    assert [d.ecn for d in world.peer.datagrams if d.path == 0][-1] == 2


def upload_now(world: World, size: int) -> int:
    stream_id = world.client.streams.open(True)
    assert world.client.streams.write(stream_id, bytes(size)) == size
    return stream_id
