"""What seeds have brought to light, each point as one small test with the scripted server."""

from tests.attacks.handshakes import resume, silent
from tests.peer.packets import HANDSHAKE
from tests.peer.world import World
from trioquic._protocol.wire import frames as fr

PING = bytes([fr.PING])


def hellos(world: World) -> list[float]:
    """When the client sent its ClientHello, which takes two datagrams where ML-KEM is offered; the
    server has not acknowledged any."""
    return sorted({p.now for p in world.peer.packets if p.has(fr.CRYPTO)})


def test_the_client_hello_is_repeated_at_once_when_only_the_servers_initial_is_lost() -> None:
    """RFC 9002 section 6.2.3: packets that cannot be opened yet say that it is lost. It is not
    repeated for each of them, though."""
    world = silent()
    start = world.now
    for _ in range(3):
        world.peer.send(HANDSHAKE, PING)
    world.run_for(0.3)
    assert len(hellos(world)) == 2
    assert hellos(world)[1] - start < 3 * world.delay, "the PTO is 1 s"
    resume(world)


def test_the_client_hello_is_hurried_a_few_times_only() -> None:
    world = silent()
    intervals = []
    for _ in range(40):
        world.peer.send(HANDSHAKE, PING)
        before = len(hellos(world))
        world.run_for(0.4)
        intervals.append(len(hellos(world)) - before)
    assert intervals[:3] == [1, 1, 1]
    # 16 s: the rest of it belongs to the PTO, after 1, 2, 4 and 8 s
    assert sum(intervals) <= 3 + 4
    resume(world)
