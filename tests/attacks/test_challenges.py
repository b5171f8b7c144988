"""Attacks 23 and 45: floods of PATH_CHALLENGE, and what else is asked of us, past the window."""

import pytest

from tests.attacks.expect import goes_on
from tests.path.driver import add, challenges, standby, upload
from tests.peer.packets import APPLICATION, INITIAL
from tests.peer.script import ServerScript
from tests.peer.world import World
from trioquic._protocol.wire import frames as fr

MOST_RESPONSES = 8
SMALLEST = 1200


def questions(count: int, first: int = 0) -> bytes:
    return b"".join(
        fr.encode_path_data(fr.PATH_CHALLENGE, number.to_bytes(8, "big"))
        for number in range(first, first + count)
    )


def answers(world: World, since: int = 0) -> list[bytes]:
    return [data for packet in world.peer.packets[since:] for data in packet.all(fr.PATH_RESPONSE)]


def ask(world: World, path: int, payload: bytes) -> None:
    """Frames arrive on a path; the client sends what it has to say, and nobody acknowledges it."""
    packet = world.peer.seal(APPLICATION, payload, path=path)
    world.client.receive(path, packet, len(packet), 0, world.now)
    world.flush()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_45_responses_that_wait_share_one_datagram(elsewhere: bool) -> None:
    """101 bytes bring 1,200, once, and not 9,600."""
    world = World(ServerScript(challenge_new_paths=False)).connect()
    path = standby(world) if elsewhere else 0
    packets, datagrams = len(world.peer.packets), len(world.peer.datagrams)
    ask(world, path, questions(MOST_RESPONSES))
    world.settle()
    carriers = [p for p in world.peer.packets[packets:] if p.has(fr.PATH_RESPONSE)]
    assert len(carriers) == 1
    assert carriers[0].path == path
    assert carriers[0].all(fr.PATH_RESPONSE) == [n.to_bytes(8, "big") for n in range(8)]
    sizes = [len(datagram.data) for datagram in world.peer.datagrams[datagrams:]]
    assert sizes.count(SMALLEST) == 1
    assert sum(sizes) < SMALLEST + 100
    goes_on(world)


def test_45_at_most_eight_are_unacknowledged() -> None:
    """A peer that only asks gets eight answers, and no more before it acknowledges one; that a PTO
    repeats what was in a packet changes nothing."""
    world = World(ServerScript(challenge_new_paths=False)).connect()
    path = 0
    world.peer.script.acknowledge = False
    before, number = len(world.peer.packets), 0
    end = world.now + 5.0
    while world.now < end:
        ask(world, path, questions(1, number))
        number += 1
        world.run_for(0.02)
        view = world.client.path_view(path)
        assert view.bytes_in_flight <= view.congestion_window
    assert answers(world, before) == [n.to_bytes(8, "big") for n in range(MOST_RESPONSES)]
    view = world.client.path_view(path)
    assert view.responses_dropped == number - 2 * MOST_RESPONSES, "as many wait"
    world.peer.acknowledge(APPLICATION)
    world.settle()
    assert len(answers(world, before)) == 2 * MOST_RESPONSES
    world.peer.script.acknowledge = True
    world.settle()
    world.peer.challenge(path, b"a decent")
    world.settle()
    assert b"a decent" in answers(world)
    goes_on(world)


def test_45_on_another_path_each_pto_gives_up_what_was_sent() -> None:
    """There no probe asks what became of them; PTOs come at half the pace each time."""
    world = World(ServerScript(challenge_new_paths=False)).connect()
    path = standby(world)
    world.peer.script.acknowledge = False
    before = len(world.peer.packets)
    for number in range(500):
        ask(world, path, questions(4, 4 * number))
        world.run_for(0.01)
        view = world.client.path_view(path)
        assert view.bytes_in_flight <= view.congestion_window
    sent = len(answers(world, before))
    assert MOST_RESPONSES <= sent <= MOST_RESPONSES * (1 + view.pto_count)
    assert view.pto_count < 8


def fill_window(world: World) -> None:
    """The client has as much in flight as it may, and hears nothing of it."""
    upload(world, bytes(1 << 18))
    world.peer.script.acknowledge = False
    view = world.client.path_view(0)
    while view.bytes_in_flight + SMALLEST <= view.congestion_window:
        world.run_for(0.005)
        view = world.client.path_view(0)


def test_45_a_full_window_holds_responses_back() -> None:
    """They go out with the probes of a PTO, or when an acknowledgement makes room."""
    world = World(ServerScript(challenge_new_paths=False)).connect()
    fill_window(world)
    before = len(world.peer.packets)
    ask(world, 0, questions(3))
    for _ in range(200):
        ask(world, 0, questions(100, 1000))
    assert answers(world, before) == []
    world.run_for(0.001, steps=20)
    view = world.client.path_view(0)
    assert view.bytes_in_flight <= view.congestion_window
    world.peer.acknowledge(APPLICATION)
    world.peer.script.acknowledge = True
    world.settle()
    assert answers(world, before)[:3] == [n.to_bytes(8, "big") for n in range(3)]
    goes_on(world)


def test_45_responses_travel_with_the_probes_of_a_pto() -> None:
    world = World(ServerScript(challenge_new_paths=False)).connect()
    fill_window(world)
    before = len(world.peer.packets)
    ask(world, 0, questions(3))
    world.run_for(1.0)
    assert world.client.path_view(0).pto_count
    assert len(answers(world, before)) == 3


def test_45_our_own_challenges_obey_the_window() -> None:
    """The one that is due waits without a busy timer, and goes with a PTO's probe at the latest."""
    world = World(ServerScript(challenge_new_paths=False)).connect()
    fill_window(world)
    world.cut.add(0)
    sent = world.client.path_view(0).challenges_sent
    world.client.validate(0, world.now)
    world.run_for(0.001, steps=20)
    view = world.client.path_view(0)
    assert view.challenges_sent == sent
    assert view.bytes_in_flight <= view.congestion_window
    world.run_for(1.0, steps=200)
    view = world.client.path_view(0)
    assert view.pto_count
    assert view.challenges_sent > sent


def test_45_a_full_window_of_one_path_delays_no_other() -> None:
    world = World(ServerScript(challenge_new_paths=False)).connect()
    fill_window(world)
    path = add(world)
    world.client.validate(path, world.now)
    world.run_for(0.001)
    assert world.client.path_view(path).challenges_sent == 1
    world.run_for(0.02)
    assert len(challenges(world, path)) == 1


def test_45_pings_obey_the_window() -> None:
    world = World().connect()
    fill_window(world)
    sent = world.client.path_view(0).datagrams_sent
    for _ in range(50):
        world.client.ping()
        world.flush()
    assert world.client.path_view(0).datagrams_sent == sent
    world.run_for(0.001, steps=20)
    world.peer.acknowledge(APPLICATION)
    world.peer.script.acknowledge = True
    world.settle()
    goes_on(world)


def test_45_a_ping_before_a_full_window_is_sent_at_once() -> None:
    world = World().connect()
    before = len(world.peer.packets)
    world.client.ping()
    world.run_for(2 * world.delay)
    assert any(packet.has(fr.PING) for packet in world.peer.packets[before:])


def test_45_acknowledgements_of_initial_packets_obey_the_window() -> None:
    """They are padded, so they count; anybody who saw the first Initial can make such packets."""
    world = World(ServerScript(send_crypto=False))
    world.run_until(lambda: world.peer.tls.output)
    for _ in range(100):
        packet = world.peer.seal(INITIAL, b"\x01")
        world.client.receive(0, packet, len(packet), 0, world.now)
        world.flush()
        view = world.client.path_view(0)
        assert view.bytes_in_flight <= view.congestion_window
    world.run_for(0.001, steps=20)
    world.peer.script.send_crypto = True
    world.peer.send_flight()
    world.run_until(lambda: world.client.handshake_confirmed)
    world.settle()
    goes_on(world)
