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
from tests.peer.world import REMOTE, World
from trioquic._protocol.events import PathSilent, PathValidated, ValidationFailed
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


def busy_for(world: World, seconds: float) -> None:
    end = world.now + seconds
    busy(world, lambda: world.now > end)


def gaps(world: World, since: float) -> list[float]:
    """How long nothing came on the active path, again and again."""
    active = world.client.active_path
    times = [d.now for d in world.peer.datagrams if d.path == active and d.now >= since]
    return [later - earlier for earlier, later in pairwise(times)] or [0.0]


def holds(world: World, since: float) -> list[float]:
    """The gaps that are more than the rhythm of the download."""
    return [gap for gap in gaps(world, since) if gap > 3 * TICK]


def pto_of(world: World) -> float:
    return world.client.path_view(world.client.active_path).pto


def longest_hold(world: World) -> float:
    """A PTO, and the time until the next packet of the download makes an ACK."""
    return pto_of(world) + 2 * TICK + 0.001


def probe_in_vain(world: World, path: int) -> float:
    """Validate a path on which nothing arrives, and give it up; returns when that began."""
    world.cut.add(path)
    before = failures(world, path)
    started = world.now
    world.client.validate(path, started)
    busy(world, lambda: failures(world, path) > before)
    return started


def failures(world: World, path: int) -> int:
    return len([event for event in world.seen(ValidationFailed) if event.path_id == path])


@pytest.mark.parametrize("delay", [0.012, 0.030, 0.055])
def test_a_slower_path_is_validated_during_a_download(delay: float) -> None:
    world = strict()
    path = add(world)
    world.delays[path] = delay
    started = world.now
    world.client.validate(path, started)
    busy(world, lambda: world.seen(PathValidated) or world.seen(ValidationFailed))
    assert [event.path_id for event in world.seen(PathValidated)] == [path]
    assert world.now - started < 0.6
    # the download has waited for an ACK delay once, and then for a PTO at most
    assert max(gaps(world, started)) < longest_hold(world)
    after = world.now
    busy(world, lambda: world.now > after + 0.3)
    assert not holds(world, after), "once it is answered nobody waits"


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
    assert not holds(world, started)


def test_a_path_that_the_server_knows_holds_nobody_back() -> None:
    world = strict()
    path = standby(world)
    world.cut.add(path)
    started = world.now
    world.client.validate(path, started)
    busy(world, lambda: world.seen(ValidationFailed))
    assert not holds(world, started)


def validated_slowly(world: World, path: int) -> None:
    """In the middle of the download, over a way that takes both waits."""
    world.delays[path] = 0.055
    before, failed = len(world.seen(PathValidated)), failures(world, path)
    world.client.validate(path, world.now)
    busy(world, lambda: len(world.seen(PathValidated)) > before or failures(world, path) > failed)
    assert failures(world, path) == failed


def forget(world: World, path: int) -> None:
    """The server drops a path that it has answered on, as nginx does when it is asked on another,
    and retires the ID that it used there."""
    sequence = world.peer.path_ids.pop(path)
    del world.peer.client_ids[sequence]
    world.peer.send(APPLICATION, fr.encode_integers(fr.RETIRE_CONNECTION_ID, sequence))
    busy_for(world, 2 * world.delay)


def test_a_path_that_the_server_has_forgotten_is_waited_for_again() -> None:
    world = strict()
    path = add(world)
    validated_slowly(world, path)
    forget(world, path)
    validated_slowly(world, path)


def test_another_port_on_a_way_that_has_answered_is_worth_another_wait() -> None:
    world = strict()
    path = add(world)
    validated_slowly(world, path)
    world.client.abandon(path, world.now)
    busy(world, lambda: world.client.statistics().spare_peer_ids)
    validated_slowly(world, world.client.add_path(("192.0.2.2", 50003), REMOTE))


def test_a_dead_path_is_waited_for_twice() -> None:
    world = strict()
    started = probe_in_vain(world, add(world))
    first, second = holds(world, started)
    assert first < MAX_ACK_DELAY + 2 * TICK + 0.001
    assert second < longest_hold(world)


def test_nobody_waits_for_a_way_that_was_tried_in_vain() -> None:
    """Neither for the same path nor for another port of the same address."""
    world = strict()
    path = add(world)
    probe_in_vain(world, path)
    again = probe_in_vain(world, path)
    world.client.abandon(path, world.now)
    probe_in_vain(world, world.client.add_path(("192.0.2.2", 50003), REMOTE))
    assert not holds(world, again)


def test_after_a_while_a_way_that_was_tried_in_vain_is_worth_another_wait() -> None:
    """The server may have had no room for its answer."""
    world = strict()
    path = add(world)
    probe_in_vain(world, path)
    for _ in range(5):
        busy_for(world, 2.0)
    world.cut.discard(path)
    validated_slowly(world, path)


def test_a_way_on_which_a_stranger_answers_is_worth_another_wait() -> None:
    """Another worker of the server: the way is not dead, another port may reach the right one."""
    world = strict()
    path = add(world)
    world.to_peer = lambda number, data: None if number == path else data
    world.client.validate(path, world.now)
    busy(world, lambda: world.client.path_view(path).challenges_sent == 4)
    world.inject(b"\x40" + bytes(60), path)
    world.client.abandon(path, world.now)
    started = probe_in_vain(world, world.client.add_path(("192.0.2.2", 50003), REMOTE))
    assert len(holds(world, started)) == 2


def test_two_slower_paths_are_asked_at_once() -> None:
    world = strict()
    paths = [add(world, 2), add(world, 3)]
    started = world.now
    for path, delay in zip(paths, (0.030, 0.050), strict=True):
        world.delays[path] = delay
        world.client.validate(path, world.now)
        busy_for(world, 0.012)
    busy(world, lambda: len(world.seen(PathValidated)) == 2)
    assert world.now - started < 0.6
    assert max(gaps(world, started)) < longest_hold(world)
    assert sum(holds(world, started)) < 2 * pto_of(world) + 0.010


def test_what_waiting_costs_is_one_account_of_the_connection() -> None:
    """Three new ways at a time, at different times, none of which leads anywhere."""
    world = strict()
    started, pto, longest = world.now, pto_of(world), longest_hold(world)
    for number in range(2, 14, 3):
        paths = [add(world, number + i) for i in range(3)]
        world.cut.update(paths)
        for path in paths:
            world.client.validate(path, world.now)
            busy_for(world, 0.090)
        busy_for(world, 3.0)
        assert all(failures(world, path) for path in paths)
        for path in paths:
            world.client.abandon(path, world.now)
        busy(world, lambda: world.client.statistics().spare_peer_ids >= 3)
    lasted = world.now - started
    assert lasted > 12
    waited = holds(world, started)
    assert len(waited) > 4, "the account is paid into"
    assert max(waited) < longest
    assert sum(waited) < 2 * pto + 0.05 * lasted + 2 * TICK * len(waited)


def test_a_path_just_moved_to_waits_for_nobody() -> None:
    """A failover, while a third network is probed: neither what was held back before the move nor
    what is asked after it keeps the new path from sending."""
    world = strict()
    refuge, other = standby(world, 3), add(world, 2)
    world.cut.add(other)
    world.client.validate(other, world.now)
    busy(world, lambda: world.client.path_view(other).challenges_sent == 3)
    moved = world.now
    world.client.migrate(refuge, moved)
    probe_in_vain(world, add(world, 4))
    assert not holds(world, moved)
    world.client.abandon(other, world.now)
    busy(world, lambda: world.client.statistics().spare_peer_ids)
    settled = world.now
    probe_in_vain(world, add(world, 5))
    assert len(holds(world, settled)) == 2, "and then it waits as the first one did"


def test_a_silent_path_waits_for_nobody() -> None:
    world = strict()
    other = add(world)
    world.cut.update((0, other))
    world.client.ping()
    world.run_until(lambda: world.seen(PathSilent))
    world.client.validate(other, world.now)
    run_to_challenge(world, other, 2)
    assert asks_at_once(world)
    run_to_challenge(world, other, 3)
    assert asks_at_once(world)


def run_to_challenge(world: World, path: int, number: int) -> None:
    world.run_until(lambda: world.client.path_view(path).challenges_sent == number)


def asks_at_once(world: World) -> bool:
    before = world.client.path_view(0).datagrams_sent
    world.client.ping()
    world.flush()
    return world.client.path_view(0).datagrams_sent == before + 1


@pytest.mark.parametrize("early", [0.001, 0.008, 0.015])
def test_behind_the_second_challenge_an_ack_is_as_late_as_promised(early: float) -> None:
    """RFC 9000 section 13.2.1, also for what had come before the challenge went out."""
    world = strict()
    path = add(world)
    world.cut.add(path)
    due = world.now + pto_of(world)
    world.client.validate(path, world.now)
    world.run_for(due - early - world.delay - world.now)
    world.peer.send(APPLICATION, bytes([fr.PING]))
    count = len(world.peer.datagrams)
    world.run_until(lambda: len(world.peer.sent_on(0)) and len(world.peer.datagrams) > count)
    assert world.client.path_view(path).challenges_sent == 2
    assert world.now <= due - early + MAX_ACK_DELAY + world.delay + 0.001


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
