"""What is known of the round trip of a path that does not carry the connection (RFC 9308: probing
learns), and what is left of it when the connection moves there (RFC 9002 section 6.2.2).
"""

import pytest

from tests.attacks.expect import goes_on
from tests.peer.script import ServerScript
from tests.peer.world import LOCAL, REMOTE, World
from trioquic._protocol.events import PathValidated, ValidationFailed

from .driver import INITIAL_PTO, add, challenges, standby, validate

MAX_ACK_DELAY = 0.025


def test_every_challenge_of_a_standby_measures_it_again() -> None:
    world = World().connect()
    path = standby(world)
    assert world.client.path_view(path).rtt == pytest.approx(0.020, abs=0.001)
    world.delays[path] = 0.200
    validate(world, path)
    assert world.seen(PathValidated)[-1].rtt == pytest.approx(0.400, abs=0.001)
    view = world.client.path_view(path)
    assert view.rtt == view.min_rtt == pytest.approx(0.400, abs=0.001)
    # that of an initial RTT
    assert view.pto == pytest.approx(3 * 0.400 + MAX_ACK_DELAY, abs=0.003)


def test_the_time_to_a_response_is_no_sample() -> None:
    """The first sample replaces it, instead of being averaged with it."""
    world = World().connect()
    world.delays[1] = 0.200
    path = standby(world)
    world.delays[1] = 0.010
    world.client.migrate(path, world.now)
    goes_on(world)
    view = world.client.path_view(path)
    assert view.rtt is not None and view.rtt < 0.060
    assert view.min_rtt == pytest.approx(0.020, abs=0.002)


def test_a_path_that_the_connection_returns_to_starts_anew() -> None:
    """Section 9.4: also with the round-trip time, which may be that of another network now."""
    world = World().connect()
    path = standby(world)
    world.client.migrate(path, world.now)
    goes_on(world)
    assert world.client.path_view(0).rtt is not None
    world.client.migrate(0, world.now)
    view = world.client.path_view(0)
    assert view.rtt is None
    assert view.pto == pytest.approx(INITIAL_PTO + MAX_ACK_DELAY)
    goes_on(world)
    assert world.client.path_view(0).rtt == pytest.approx(0.020, abs=0.010)


def test_what_a_probe_took_since_is_the_first_guess() -> None:
    world = World().connect()
    path = standby(world)
    world.client.migrate(path, world.now)
    goes_on(world)
    world.delays[0] = 0.050
    validate(world, 0)
    world.client.migrate(0, world.now)
    assert world.client.path_view(0).pto == pytest.approx(0.325, abs=0.01)


def test_only_the_port_changed_and_the_estimate_is_kept() -> None:
    world = World().connect()
    path = world.client.add_path((LOCAL[0], 50009), REMOTE)
    validate(world, path)
    world.client.migrate(path, world.now)
    goes_on(world)
    world.client.migrate(0, world.now)
    assert world.client.path_view(0).pto == pytest.approx(0.085, abs=0.02)


def test_nothing_changed_at_all_and_the_estimate_is_kept() -> None:
    """The network was gone for a while, and is the same."""
    world = World().connect()
    world.client.suspend(world.now)
    world.run_for(2.0)
    world.client.migrate(0, world.now)
    assert world.client.path_view(0).pto == pytest.approx(0.085, abs=0.02)
    goes_on(world)


def test_challenges_of_a_slow_path_keep_its_pace() -> None:
    """Sections 8.2.1 and 9.4: once its round trip is known, its own PTO counts."""
    world = World(ServerScript()).connect()
    world.delays[1] = 0.300
    path = standby(world)
    world.peer.script.answer_challenges = False
    own = world.client.path_view(path).pto
    assert own > 1.8
    already = len(challenges(world, path))
    started = world.now
    world.client.validate(path, started)
    world.run_until(lambda: world.seen(ValidationFailed))
    assert world.now - started == pytest.approx(3 * own, rel=0.01)
    sent = [packet.now for packet in challenges(world, path)[already:]]
    assert sent[1] - sent[0] == pytest.approx(own, rel=0.01)
    assert len(sent) == 2


def test_challenges_of_a_path_of_which_nothing_is_known_are_few() -> None:
    """They come faster than RFC 9002 would have them (docs/paths.md), and are no more than what a
    new connection may send at once."""
    world = World(ServerScript(answer_challenges=False)).connect()
    path = add(world)
    started = world.now
    world.client.validate(path, started)
    world.run_until(lambda: world.seen(ValidationFailed))
    sent = challenges(world, path)
    assert sent[1].now - sent[0].now < 0.1
    assert len(sent) <= 6
