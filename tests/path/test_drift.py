"""A server that sends to a path which is not active, by its own choice (attack 54)."""

import pytest

from tests.attacks.expect import goes_on
from tests.peer.packets import APPLICATION
from tests.peer.world import World
from trioquic._protocol.events import ServerMoved

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
