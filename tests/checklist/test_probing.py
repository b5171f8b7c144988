"""Challenges and responses.

Points 8 to 12, 14 and 18 of what must hold for a path (docs/paths.md), in the core with a
scripted peer.
"""

from itertools import pairwise

import pytest

from tests.path.driver import (
    INITIAL_PTO,
    add,
    challenges,
    standby,
    upload,
)
from tests.peer.packets import APPLICATION
from tests.peer.script import (
    ServerScript,
)
from tests.peer.world import World
from trioquic._protocol.events import (
    Migrated,
    PathValidated,
    ValidationFailed,
)
from trioquic._protocol.path.state import PathState
from trioquic._protocol.wire import frames as fr

# 8. PATH_CHALLENGE data is unpredictable and new each time; one per packet; a slow pace.


def test_08_challenges_are_fresh_one_per_packet_and_slow() -> None:
    world = World(ServerScript(answer_challenges=False)).connect()
    path = add(world)
    world.client.validate(path, world.now)
    world.run_until(lambda: world.seen(ValidationFailed))
    sent = challenges(world, path)
    data = [value for packet in sent for value in packet.all(fr.PATH_CHALLENGE)]
    assert len(data) == len(sent) == len(set(data))
    assert 3 <= len(data) <= 8
    assert all(len(value) == 8 for value in data)
    gaps = [after.now - before.now for before, after in pairwise(sent)]
    assert all(later >= 1.9 * earlier for earlier, later in pairwise(gaps))
    assert gaps[0] >= world.client.path_view(0).pto


def test_08_other_connections_choose_other_challenges() -> None:
    seen = set()
    for seed in range(5):
        world = World(ServerScript(answer_challenges=False), seed=seed).connect()
        path = add(world)
        world.client.validate(path, world.now)
        world.run_until(lambda world=world, path=path: challenges(world, path))  # type: ignore[misc]
        seen.add(challenges(world, path)[0].all(fr.PATH_CHALLENGE)[0])
    assert len(seen) == 5


# 9. Datagrams with a challenge or a response have 1200 bytes; small ones are not dropped.


def test_09_challenges_and_responses_are_padded() -> None:
    world = World().connect()
    path = standby(world)
    world.peer.challenge(path)
    world.peer.challenge(0)
    world.settle()
    probes = [p for p in world.peer.packets if p.has(fr.PATH_CHALLENGE, fr.PATH_RESPONSE)]
    assert {p.path for p in probes} == {0, path}
    assert all(len(world.peer.datagrams[p.datagram].data) >= 1200 for p in probes)


def test_09_small_challenges_and_responses_are_accepted() -> None:
    world = World(ServerScript(answer_challenges=False)).connect()
    path = add(world)
    world.client.validate(path, world.now)
    world.run_until(lambda: challenges(world, path))
    (data,) = challenges(world, path)[0].all(fr.PATH_CHALLENGE)
    small = fr.encode_path_data(fr.PATH_RESPONSE, data) + fr.encode_path_data(
        fr.PATH_CHALLENGE, b"smallest"
    )
    world.peer.send(APPLICATION, small, path=path)
    world.settle()
    assert [e.path_id for e in world.seen(PathValidated)] == [path]
    answers = [p for p in world.peer.sent_on(path) if p.has(fr.PATH_RESPONSE)]
    assert [p.all(fr.PATH_RESPONSE) for p in answers] == [[b"smallest"]]
    assert len(world.peer.datagrams[answers[0].datagram].data) >= 1200


# 10. PATH_RESPONSE: on the path of the challenge, at once, once, never retransmitted (8.2.2).


def test_10_a_response_is_sent_once_on_the_arrival_path() -> None:
    world = World(ServerScript(acknowledge=False)).connect()
    path = standby(world)
    for where, data in ((path, b"on other"), (0, b"on first")):
        world.peer.challenge(where, data)
        asked = world.now
        world.run_for(2 * world.delay)
        (answer,) = [p for p in world.peer.packets if data in p.all(fr.PATH_RESPONSE)]
        assert answer.path == where
        assert answer.now - asked <= 2 * world.delay + 0.001
    world.run_for(10.0)  # nothing is acknowledged: whatever is retransmittable comes again
    responses = [f.value for f in world.peer.frames(fr.PATH_RESPONSE)]
    assert sorted(responses) == [b"on first", b"on other"]


# 11. Any outstanding challenge may be answered, on any path; an ACK validates nothing (8.2.3).


def test_11_a_response_on_another_path_validates_the_challenged_one() -> None:
    world = World(ServerScript(answer_challenges=False)).connect()
    first, second = add(world, 2), add(world, 3)
    for path in (first, second):
        world.client.validate(path, world.now)
    world.run_until(lambda: challenges(world, first) and challenges(world, second))
    (data,) = challenges(world, second)[0].all(fr.PATH_CHALLENGE)
    world.peer.send(APPLICATION, fr.encode_path_data(fr.PATH_RESPONSE, data), path=0)
    world.run_for(2 * world.delay)
    assert [e.path_id for e in world.seen(PathValidated)] == [second]
    assert world.client.path_view(second).state is PathState.VALIDATED
    assert world.client.path_view(first).state is PathState.PROBING
    assert world.client.path_view(0).state is PathState.ACTIVE


def test_11_acknowledgements_validate_nothing() -> None:
    world = World(ServerScript(answer_challenges=False)).connect()
    path = add(world)
    world.client.validate(path, world.now)
    world.run_until(lambda: world.seen(ValidationFailed))
    acked = {n for low, high in world.peer.ranges(APPLICATION) for n in range(low, high + 1)}
    assert {p.number for p in challenges(world, path)} <= acked
    assert not world.seen(PathValidated)


@pytest.mark.parametrize("answered", [0, 1, -1])
def test_11_every_outstanding_challenge_may_be_answered(answered: int) -> None:
    """A path with a long round trip: the answer comes after the next challenge went out."""
    world = World(ServerScript(answer_challenges=False)).connect()
    path = add(world)
    world.client.validate(path, world.now)
    world.run_until(lambda: len(challenges(world, path)) >= 4)
    (data,) = challenges(world, path)[answered].all(fr.PATH_CHALLENGE)
    world.peer.send(APPLICATION, fr.encode_path_data(fr.PATH_RESPONSE, data), path=path)
    world.run_for(2 * world.delay)
    (event,) = world.seen(PathValidated)
    sent = challenges(world, path)[answered].now - world.delay
    assert event.rtt == pytest.approx(world.now - sent, abs=0.01)


# 12. Validation is given up after 3 * max(PTO, PTO of the initial RTT) (8.2.4).


@pytest.mark.parametrize("delay", [0.010, 0.600])
def test_12_validation_is_given_up(delay: float) -> None:
    world = World(ServerScript(answer_challenges=False), delay=delay).connect()
    path = add(world)
    started, pto = world.now, world.client.path_view(0).pto
    world.client.validate(path, started)
    world.run_until(lambda: world.seen(ValidationFailed))
    assert world.now - started == pytest.approx(3 * max(pto, INITIAL_PTO), rel=0.05)
    assert world.client.path_view(path).state is PathState.CANDIDATE
    sent = len(challenges(world, path))
    world.run_for(10.0)
    assert len(challenges(world, path)) == sent


# 14. Only probing frames go out on a path that is merely probed (9.1).


def test_14_a_probed_path_carries_only_probing_frames() -> None:
    world = World(ServerScript(follow_migration=False)).connect()
    upload(world, bytes(100_000))
    path = add(world)
    world.client.validate(path, world.now)
    for _ in range(20):
        # ack-eliciting packets that arrive there are acknowledged on the active path
        world.peer.send(APPLICATION, b"\x01", path=path)
        world.peer.challenge(path)
        world.run_for(world.delay)
    world.settle()
    assert world.seen(PathValidated)
    on_path = world.peer.sent_on(path)
    assert len(on_path) > 10
    assert all(packet.probing for packet in on_path)
    acked = {n for a in world.peer.frames(fr.ACK, space=APPLICATION) for n in a.value.ranges}
    assert max(high for _, high in acked) >= world.peer.next_number[APPLICATION] - 30
    assert not world.seen(Migrated)


# 18. A challenge on the active path is answered with a non-probing packet as well (9.3.3).


def test_18_a_challenge_on_the_active_path_is_answered_with_more_than_a_probe() -> None:
    world = World().connect()
    world.peer.challenge(0, b"is it so")
    world.settle()
    answers = [p for p in world.peer.packets if b"is it so" in p.all(fr.PATH_RESPONSE)]
    assert len(answers) == 1
    after = [p for p in world.peer.sent_on(0) if p.number >= answers[0].number]
    assert any(not p.probing and p.ack_eliciting for p in after)
