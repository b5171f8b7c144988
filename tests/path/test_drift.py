"""A server that sends to a path which is not active, by its own choice (attack 54)."""

import pytest

from tests.attacks.expect import goes_on
from tests.peer.packets import APPLICATION
from tests.peer.script import ServerScript
from tests.peer.world import World
from trioquic._protocol.events import PathValidated, ServerMoved
from trioquic._protocol.wire import frames as fr

from .driver import standby

PING = b"\x01"


def keeps_sending(world: World, path: int, payload: bytes = PING, packets: int = 60) -> None:
    """For 60 times 10 ms, which is some PTOs."""
    for _ in range(packets):
        world.peer.send(APPLICATION, payload, path=path)
        world.run_for(0.01)


def test_54_packets_that_keep_coming_on_a_standby_are_told_of() -> None:
    world = World().connect()
    path = standby(world)
    keeps_sending(world, path)
    told = world.seen(ServerMoved)
    assert told and {event.path_id for event in told} == {path}
    counted = world.client.statistics()
    assert counted.server_moves == len(told)
    assert 50 <= counted.stray_packets <= 60
    assert world.client.active_path == 0, "who moves is our affair"
    world.peer.send(APPLICATION, PING, path=0)
    goes_on(world)


def test_54_a_few_are_none() -> None:
    """Such as a last PING that was under way, or data of a server that looked for a moment."""
    world = World().connect()
    path = standby(world)
    for _ in range(10):
        keeps_sending(world, path, packets=3)
        world.peer.send(APPLICATION, PING, path=0)
        world.run_for(0.2)
    assert not world.seen(ServerMoved)


@pytest.mark.parametrize("challenges", [3, 40])
def test_54_probes_are_none(challenges: int) -> None:
    world = World().connect()
    path = standby(world)
    for _ in range(challenges):
        world.peer.challenge(path)
        world.run_for(0.02)
    assert not world.seen(ServerMoved)
    assert world.client.statistics().stray_packets == 0


def test_54_what_was_under_way_when_we_moved_is_none() -> None:
    """The old path is slow: its packets come in long after the move, but they are older."""
    world = World().connect()
    path = standby(world)
    world.delays[0] = 1.0
    for _ in range(60):
        world.peer.send(APPLICATION, PING, path=0)
    world.client.migrate(path, world.now)
    for _ in range(150):
        world.peer.send(APPLICATION, PING, path=path)
        world.run_for(0.01)
    assert not world.seen(ServerMoved)
    assert world.client.statistics().stray_packets == 0


@pytest.mark.parametrize("alone", [True, False])
def test_54_acknowledged_probes_are_none(alone: bool) -> None:
    """A server that acknowledges each challenge where it came in, while nothing else happens."""
    world = World(ServerScript(challenge_new_paths=False)).connect()
    path = standby(world)
    world.peer.script.answer_challenges = world.peer.script.acknowledge = False
    for _ in range(6):
        world.client.validate(path, world.now)
        world.run_until(lambda: world.peer.packets[-1].path == path)
        probe = world.peer.packets[-1]
        ack = fr.encode_ack([(probe.number, probe.number)], 0, None)
        response = fr.encode_path_data(fr.PATH_RESPONSE, probe.all(fr.PATH_CHALLENGE)[0])
        for payload in (ack, response) if alone else (ack + response,):
            world.peer.send(APPLICATION, payload, path=path)
        world.run_for(4.0)
    assert len(world.seen(PathValidated)) == 7
    assert not world.seen(ServerMoved)
    assert world.client.statistics().stray_packets == 0


def test_54_acknowledgements_with_something_behind_them_are_told_of() -> None:
    world = World().connect()
    path = standby(world)
    ack = fr.encode_ack(world.peer.ranges(APPLICATION), 0, None)
    keeps_sending(world, path, ack + PING)
    assert {event.path_id for event in world.seen(ServerMoved)} == {path}
