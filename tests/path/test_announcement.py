"""What the first packet on a new active path says."""

from tests.path.driver import standby
from tests.peer.world import World
from trioquic._protocol.wire import frames as fr


def test_the_first_packet_after_a_move_repeats_what_was_received() -> None:
    """The last ACK may have gone into a dead path. Until the server has one, it counts all that it
    sent there as on its way, its window stays shut, and only its own PTO gets it going again."""
    world = World().connect()
    path = standby(world)
    world.settle()
    world.cut.add(0)
    number = world.peer.next_number[2]
    world.peer.send(2, bytes([fr.PING]), path=path)
    world.run_for(0.1)
    before = len(world.peer.sent_on(path))
    world.client.migrate(path, world.now)
    world.run_until(lambda: len(world.peer.sent_on(path)) > before)
    first = world.peer.sent_on(path)[before]
    assert first.has(fr.ACK, fr.ACK_ECN)
    assert first.has(fr.PING)
    acked = first.all(fr.ACK, fr.ACK_ECN)[0]
    assert acked.largest >= number
