"""What is known of the round trip of a path that only stands by (RFC 9308: probing learns)."""

import pytest

from tests.peer.world import World
from trioquic._protocol.events import PathValidated

from .driver import standby, validate


def test_every_challenge_of_a_standby_measures_it_again() -> None:
    world = World().connect()
    path = standby(world)
    assert world.client.path_view(path).rtt == pytest.approx(0.020, abs=0.001)
    world.delays[path] = 0.200
    for _ in range(30):
        validate(world, path)
        world.run_for(1.0)
    assert world.seen(PathValidated)[-1].rtt == pytest.approx(0.400, abs=0.001)
    # smoothed, an eighth at a time (RFC 9002 section 5.3)
    rtt = world.client.path_view(path).rtt
    assert rtt is not None
    assert 0.380 < rtt <= 0.400
