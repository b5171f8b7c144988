"""When a path counts as silent, and what the first packet on another one is answered with."""

from tests.attacks.expect import goes_on, stream_frame
from tests.path.driver import add, standby
from tests.peer.packets import APPLICATION, Packet
from tests.peer.script import ServerScript
from tests.peer.world import World
from trioquic._protocol.events import (
    PathDegraded,
    PathRecovered,
    PathSilent,
    PathValidated,
    ServerHeard,
    ServerSilent,
)
from trioquic._protocol.wire import frames as fr


def waiting() -> tuple[World, int]:
    """A client that has asked for something, and knows that the request has arrived."""
    world = World().connect()
    stream_id = world.client.streams.open(True)
    world.client.streams.write(stream_id, b"GET /")
    world.client.streams.finish(stream_id)
    world.run_until(lambda: world.peer.stream(stream_id) == b"GET /")
    return world, stream_id


def pings(world: World, since: int) -> list[Packet]:
    return [p for p in world.peer.packets[since:] if p.has(fr.PING)]


def trickle(world: World, stream_id: int, count: int, pause: float) -> None:
    """The peer sends a little now and then, for ever unfinished."""
    for offset in range(count):
        world.peer.send(APPLICATION, stream_frame(stream_id, offset, b"x"))
        world.run_for(pause)


def test_who_waits_asks_with_two_pings_after_a_round_trip_and_a_quarter() -> None:
    world, stream_id = waiting()
    trickle(world, stream_id, 20, 0.005)
    world.run_for(world.delay)
    seen = len(world.peer.packets)
    heard = world.now
    world.run_until(lambda: pings(world, seen))
    assert world.now - heard < 0.1
    world.run_for(2 * world.delay)
    assert len(pings(world, seen)) == 2
    assert not world.seen(PathSilent)


def test_who_asks_says_again_what_was_received() -> None:
    """The last ACK may be what was lost; a peer that waits for it waits longer each time."""
    world, stream_id = waiting()
    trickle(world, stream_id, 20, 0.005)
    world.settle()
    world.to_client = lambda path, data: None
    last = [packet for packet in world.peer.packets if packet.has(fr.ACK)][-1]
    world.client.streams.write(world.client.streams.open(True), b"lost")
    seen = len(world.peer.packets)
    world.run_for(3.0)
    probes = [packet for packet in world.peer.packets[seen + 1 :] if packet.ack_eliciting]
    assert len(probes) >= 4
    for probe in probes:
        (ack,) = probe.all(fr.ACK)
        assert ack.largest >= last.all(fr.ACK)[0].largest


def test_nobody_asks_while_what_was_sent_has_a_timer_already() -> None:
    """The PTO of the data in flight does it: no PING beside."""
    world, stream_id = waiting()
    trickle(world, stream_id, 20, 0.005)
    world.peer.script.acknowledge = False
    other = world.client.streams.open(True)
    world.client.streams.write(other, b"more")
    seen = len(world.peer.packets)
    world.run_until(lambda: world.seen(PathSilent))
    first = next(p for p in world.peer.packets[seen:] if p.ack_eliciting)
    assert not first.has(fr.PING)
    assert [p for p in world.peer.packets[seen:] if p.has(fr.STREAM)]


def test_a_path_dies_and_is_silent_after_one_pto_without_anything() -> None:
    world, stream_id = waiting()
    trickle(world, stream_id, 20, 0.005)
    pto = world.client.path_view(0).pto
    died = world.now
    world.cut.add(0)
    world.run_until(lambda: world.seen(PathSilent))
    assert world.now - died <= 3 * pto
    world.run_until(lambda: world.seen(PathDegraded))
    world.cut.clear()
    world.run_until(lambda: world.seen(PathRecovered))
    goes_on(world)


def test_unanswered_pings_are_no_silence_while_data_comes() -> None:
    """Only what goes to the peer is lost: the path still brings data, and is not called silent
    before it counts as degraded."""
    world, stream_id = waiting()
    trickle(world, stream_id, 20, 0.005)
    world.to_peer = lambda _path, _data: None
    world.client.ping()
    pto = world.client.path_view(0).pto
    for offset in range(20, 20 + int(2.5 * pto / 0.005)):
        world.peer.send(APPLICATION, stream_frame(stream_id, offset, b"x"))
        world.run_for(0.005)
        if world.client.path_view(0).pto_count:
            assert not world.seen(PathSilent)
    assert world.client.path_view(0).pto_count in (1, 2)
    world.run_until(lambda: world.seen(PathSilent))
    world.to_peer = None
    goes_on(world)


def test_silence_is_noticed_when_the_data_stops_after_a_lost_ping() -> None:
    """Without waiting for the next, doubled PTO."""
    world, stream_id = waiting()
    trickle(world, stream_id, 20, 0.005)
    world.to_peer = lambda _path, _data: None
    world.client.ping()
    pto = world.client.path_view(0).pto
    offset = 20
    while not world.client.path_view(0).pto_count:
        world.peer.send(APPLICATION, stream_frame(stream_id, offset, b"x"))
        world.run_for(0.005)
        offset += 1
    died = world.now
    world.run_until(lambda: world.seen(PathSilent))
    assert world.now - died <= pto + world.delay


def test_the_answer_to_a_challenge_ends_a_silence_that_nobody_has_noticed() -> None:
    """It is read before the timer that is due at the same moment: the server was just heard."""
    world = World().connect()
    path = add(world)
    world.delays[path] = world.delay / 10
    world.cut.add(0)
    world.client.ping()
    world.flush()
    unnoticed = world.now + 3 * world.client.path_view(0).pto
    world.run_for(unnoticed - world.now - world.delays[path])
    held: list[bytes] = []
    world.to_client = lambda _path, data: held.append(data)
    world.client.validate(path, world.now)
    world.flush()
    world.run_until(lambda: held)
    assert not world.seen(ServerSilent)
    world.now = unnoticed + 0.001
    world.inject(held[0], path)
    assert world.seen(PathValidated)
    assert not world.seen(ServerSilent)
    assert not world.seen(ServerHeard)


def test_the_first_packet_on_the_new_path_is_acknowledged_at_once_and_once() -> None:
    """Whatever it is: the server learns from it what was lost on the old path."""
    world = World(ServerScript(challenge_new_paths=False)).connect()
    path = standby(world)
    seen = len(world.peer.packets)
    world.client.migrate(path, world.now)
    world.run_until(lambda: len(world.peer.sent_on(path)) and world.peer.active_path == path)
    first = world.now
    world.run_until(
        lambda: [p for p in world.peer.packets[seen + 1 :] if p.path == path and p.has(fr.ACK)]
    )
    assert world.now - first <= 2 * world.delay + 0.001
    world.settle()
    later = [p for p in world.peer.packets[seen:] if p.path == path and p.has(fr.PING)]
    assert len(later) == 2, "the move itself, and the answer to the first packet"
    goes_on(world)
