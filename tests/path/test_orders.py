"""Commands and answers in odd orders: refused or obeyed, nothing else."""

import random

import pytest

from tests.attacks.expect import goes_on
from tests.path.driver import (
    add,
    challenges,
    no_id_on_two_paths,
    upload,
)
from tests.peer.packets import APPLICATION
from tests.peer.script import (
    ServerScript,
)
from tests.peer.world import World
from trioquic._protocol.errors import CommandError
from trioquic._protocol.events import (
    Ending,
)
from trioquic._protocol.path.refusal import PathRefusedError, Refusal
from trioquic._protocol.path.state import PathState
from trioquic._protocol.wire import frames as fr


def test_an_answer_to_the_old_active_path_after_the_move() -> None:
    """It was being validated when it fell silent and the connection moved away."""
    world = World(ServerScript(answer_challenges=False)).connect()
    path = standby_by_hand(world)
    upload(world, bytes(50_000))
    world.client.validate(0, world.now)
    world.run_until(lambda: challenges(world, 0))
    (data,) = challenges(world, 0)[-1].all(fr.PATH_CHALLENGE)
    world.peer.script.acknowledge = False
    world.run_for(0.5)
    assert world.client.path_view(0).pto_count > 0
    world.client.migrate(path, world.now)
    world.peer.send(APPLICATION, fr.encode_path_data(fr.PATH_RESPONSE, data), path=0)
    world.run_for(4 * world.delay)
    assert world.client.path_view(0).state is PathState.VALIDATED
    world.peer.script.acknowledge = True
    goes_on(world)


def test_validation_of_the_old_active_path_ends_after_the_move() -> None:
    world = World(ServerScript(answer_challenges=False)).connect()
    path = standby_by_hand(world)
    upload(world, bytes(50_000))
    world.client.validate(0, world.now)
    world.peer.script.acknowledge = False
    world.run_for(0.5)
    world.client.migrate(path, world.now)
    world.peer.script.acknowledge = True
    world.run_for(10.0)
    assert world.client.path_view(0).state is PathState.CANDIDATE
    goes_on(world)


def standby_by_hand(world: World) -> int:
    """Validate a path while the peer answers nothing on its own."""
    path = add(world)
    world.client.validate(path, world.now)
    world.run_until(lambda: challenges(world, path))
    (data,) = challenges(world, path)[0].all(fr.PATH_CHALLENGE)
    world.peer.send(APPLICATION, fr.encode_path_data(fr.PATH_RESPONSE, data), path=path)
    world.settle()
    assert world.client.path_view(path).state is PathState.VALIDATED
    return path


def test_a_path_that_was_left_before_the_handshake_is_confirmed_is_not_probed() -> None:
    """Nothing can go out there, so a challenge that is due would keep the timer busy."""
    world = World(ServerScript(handshake_done=False))
    world.run_until(lambda: world.client.handshake_complete)
    world.settle()
    world.client.suspend(world.now)
    with pytest.raises(PathRefusedError) as caught:
        world.client.validate(0, world.now)
    assert caught.value.refusal is Refusal.NOT_CONFIRMED
    world.run_for(5.0, steps=20)


@pytest.mark.parametrize("seed", range(40))
def test_commands_in_any_order_are_refused_or_obeyed(seed: int) -> None:
    """Nothing but a typed refusal comes out, and no ID is ever used on two paths."""
    source = random.Random(seed)
    world = World(seed=seed).connect()
    client = world.client
    stream_id = upload(world, bytes(400_000))
    for step in range(60):
        path = source.choice([*client.live_paths(), 99])
        action = source.randrange(11)
        try:
            if action == 0:
                add(world, source.randrange(2, 200))
            elif action in (1, 2):
                client.validate(path, world.now)
            elif action == 3:
                client.migrate(path, world.now)
            elif action == 4:
                client.migrate(path, world.now, unvalidated=True)
            elif action == 5 and step % 3 == 0:
                client.abandon(path, world.now)
            elif action == 6:
                world.cut ^= {path}
            elif action == 7:
                client.stop_validation(path)
            elif action == 8:
                client.suspend(world.now)
            elif action == 9:
                client.resume(world.now)
            else:
                newest = max(world.peer.issued) + 1
                world.peer.issue_id(newest, retire_prior_to=source.choice([0, newest - 2]))
        except CommandError:
            pass
        world.run_for(source.choice([0.0, 0.005, 0.05, 0.5]))
        if world.terminated is not None:
            break
    no_id_on_two_paths(world)
    if world.terminated is not None:
        assert world.terminated.ending in (Ending.IDLE_TIMEOUT, Ending.PROTOCOL_ERROR)
        return
    world.cut.clear()
    if client.active_path < 0:
        try:
            client.migrate(add(world, 250), world.now, unvalidated=True)
        except PathRefusedError as error:
            if error.refusal not in (Refusal.NO_SPARE_ID, Refusal.NO_SPARE_OWN_ID):
                raise
            return  # every path and every ID was given up: nobody can be told
    world.run_until(lambda: len(world.peer.stream(stream_id)) == 400_000, limit=30.0)
