"""A new path over a slower network, to a server that takes none from a packet that was overtaken.

nginx 1.30 drops what comes from a new address unless it has the highest packet number so far. What
goes out elsewhere behind a challenge, be it an ACK, must not be there first.
"""

from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.path.driver import add, challenges, standby
from tests.peer.packets import APPLICATION
from tests.peer.script import ServerScript
from tests.peer.world import World
from trioquic._protocol.events import PathValidated, ValidationFailed
from trioquic._protocol.wire import frames as fr

MAX_ACK_DELAY = 0.025
TICK = 0.002


def strict(answers: bool = True) -> World:
    script = ServerScript(new_paths_need_newest=True, answer_challenges=answers)
    return World(script).connect()


def busy(world: World, condition: Callable[[], object], limit: float = 5.0) -> None:
    """A download goes on: a packet that has to be acknowledged comes every two milliseconds."""
    end = world.now + limit
    while not condition():
        assert world.now < end, "nothing came of it"
        world.peer.send(APPLICATION, bytes([fr.PING]))
        world.run_for(TICK)


def gaps(world: World, since: float) -> list[float]:
    """How long nothing came on the first path, again and again."""
    times = [d.now for d in world.peer.datagrams if d.path == 0 and d.now >= since]
    return [later - earlier for earlier, later in pairwise(times)] or [0.0]


@pytest.mark.parametrize(("delay", "ptos"), [(0.012, 1), (0.030, 1), (0.055, 1), (0.080, 2)])
def test_a_slower_path_is_validated_during_a_download(delay: float, ptos: int) -> None:
    world = strict()
    path = add(world)
    world.delays[path] = delay
    started = world.now
    world.client.validate(path, started)
    busy(world, lambda: world.seen(PathValidated) or world.seen(ValidationFailed))
    assert [event.path_id for event in world.seen(PathValidated)] == [path]
    assert world.now - started < 0.6
    # the download has waited for an ACK delay once, and then for a PTO or two at most
    assert max(gaps(world, started)) < ptos * world.client.path_view(0).pto + 0.010
    after = world.now
    busy(world, lambda: world.now > after + 0.3)
    assert max(gaps(world, after)) < 2 * TICK + 0.001, "once it is answered nobody waits"


def test_the_second_challenge_is_worth_an_ack_delay() -> None:
    """It is enough where the networks differ by less."""
    world = strict()
    path = add(world)
    world.delays[path] = world.delay + 0.020
    started = world.now
    world.client.validate(path, started)
    busy(world, lambda: world.seen(PathValidated))
    assert world.client.path_view(path).challenges_sent == 2
    assert max(gaps(world, started)) < MAX_ACK_DELAY + 2 * TICK + 0.001


def test_the_first_challenge_holds_nobody_back() -> None:
    world = World().connect()
    path = add(world)
    started = world.now
    world.client.validate(path, started)
    busy(world, lambda: world.seen(PathValidated))
    busy(world, lambda: world.now > started + 0.3)
    assert max(gaps(world, started)) < 2 * TICK + 0.001


def test_a_path_that_the_server_knows_holds_nobody_back() -> None:
    world = strict()
    path = standby(world)
    world.cut.add(path)
    started = world.now
    world.client.validate(path, started)
    busy(world, lambda: world.seen(ValidationFailed))
    assert max(gaps(world, started)) < 2 * TICK + 0.001


def test_a_dead_path_holds_the_others_back_three_times() -> None:
    world = strict()
    path = add(world)
    world.cut.add(path)
    started = world.now
    world.client.validate(path, started)
    busy(world, lambda: world.seen(ValidationFailed))
    assert len([gap for gap in gaps(world, started) if gap > 0.010]) == 3


def held_back() -> tuple[World, int]:
    """Data is under way, and the third challenge of a new path has just gone out."""
    world = strict(answers=False)
    path = add(world)
    world.client.validate(path, world.now)
    world.run_until(lambda: world.client.path_view(path).challenges_sent == 3)
    return world, path


def test_a_response_is_not_held_back() -> None:
    """Section 8.2.2 allows no delay."""
    world, _ = held_back()
    world.peer.challenge(0, b"is it so")
    asked = world.now
    world.run_until(lambda: any(b"is it so" in p.all(fr.PATH_RESPONSE) for p in world.peer.packets))
    assert world.now - asked <= 2 * world.delay + 0.001


def test_the_end_is_not_held_back() -> None:
    world, _ = held_back()
    world.client.close(0, "", True, world.now)
    closed = world.now
    world.run_until(lambda: world.peer.close is not None)
    assert world.now - closed <= world.delay + 0.001


def test_another_paths_first_challenge_is_not_held_back() -> None:
    world, _ = held_back()
    world.peer.script.new_paths_need_newest = False
    other = add(world, 3)
    world.client.validate(other, world.now)
    asked = world.now
    world.run_until(lambda: challenges(world, other))
    assert world.now - asked <= world.delay + 0.001


def test_what_was_held_back_goes_out_by_itself() -> None:
    world, _ = held_back()
    stream_id = world.client.streams.open(True)
    world.client.streams.write(stream_id, b"later")
    asked = world.now
    world.run_until(lambda: world.peer.stream(stream_id) == b"later")
    assert world.delay < world.now - asked <= world.delay + 0.090
