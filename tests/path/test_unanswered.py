"""What is said of a validation that came to nothing: only who was asked did not answer."""

from tests.path.driver import add, challenges, standby
from tests.peer.script import ServerScript
from tests.peer.world import World
from trioquic._protocol.events import ValidationFailed


def told(world: World, path: int) -> str:
    """What is said of the next attempt."""
    before = len(world.seen(ValidationFailed))
    world.client.validate(path, world.now)
    world.run_until(lambda: len(world.seen(ValidationFailed)) > before)
    failed = world.seen(ValidationFailed)[-1]
    assert failed.path_id == path
    return failed.reason


def test_one_who_was_asked_did_not_answer() -> None:
    world = World(ServerScript(answer_challenges=False)).connect()
    path = add(world)
    assert told(world, path) == "no answer to PATH_CHALLENGE"
    assert challenges(world, path)


def test_without_a_connection_id_nobody_is_asked() -> None:
    """The server retires all that it gave, and gives one, which the active path needs (5.1.2)."""
    world = World().connect()
    path = standby(world)
    world.peer.script.spare_ids = 0
    asked = world.client.path_view(path).challenges_sent
    world.client.validate(path, world.now)
    world.peer.issue_id(40, retire_prior_to=40)
    ((_, datagram),) = world.peer.outbox
    world.peer.outbox.clear()
    world.inject(datagram)
    world.run_until(lambda: world.seen(ValidationFailed))
    (failed,) = world.seen(ValidationFailed)
    assert (failed.path_id, failed.reason) == (path, "no connection ID to send PATH_CHALLENGE with")
    assert world.client.path_view(path).challenges_sent == asked


def test_without_room_in_the_window_nobody_is_asked() -> None:
    """Nothing is acknowledged on a path that is dead, so its window fills (RFC 9002 section 7)."""
    world = World(idle_timeout=600.0).connect()
    path = add(world)
    world.cut.add(path)
    asked = 0
    reasons = []
    for _ in range(8):
        reasons.append(told(world, path))
        view = world.client.path_view(path)
        full = view.bytes_in_flight + 1200 > view.congestion_window
        assert (reasons[-1] == "no answer to PATH_CHALLENGE") == (view.challenges_sent > asked)
        if reasons[-1] != "no answer to PATH_CHALLENGE":
            assert full
            assert reasons[-1] == "no room in the congestion window for PATH_CHALLENGE"
        asked = view.challenges_sent
    assert len(set(reasons)) == 2
