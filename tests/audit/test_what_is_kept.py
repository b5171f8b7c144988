"""A connection that does nothing keeps nothing that it has no use for any more."""

import gc
from collections import Counter
from types import FunctionType, ModuleType

from tests.peer.world import World
from trioquic._protocol.connection import ClientConnection


def parts(core: ClientConnection) -> Counter[str]:
    """How many objects of each type the core holds on to, however indirectly."""
    seen: dict[int, object] = {}
    waiting: list[object] = [core]
    while waiting:
        thing = waiting.pop()
        if id(thing) not in seen and not isinstance(thing, type | ModuleType | FunctionType):
            seen[id(thing)] = thing
            waiting.extend(gc.get_referents(thing))
    return Counter(type(thing).__name__ for thing in seen.values())


def test_the_handshake_leaves_nothing_behind() -> None:
    world = World()
    before = parts(world.client)
    assert before["ClientOffer"] == before["KeySchedule"] == 1
    world.connect()
    world.settle()
    after = parts(world.client)
    # the keys of both directions, and the next ones for reading (RFC 9001 section 6.3)
    assert after["PacketKeys"] == 3
    assert after["ClientOffer"] == after["KeySchedule"] == after["X25519Share"] == 0
    # those of 1-RTT, and one in the place of both others
    assert after["CryptoStream"] == after["AckTracker"] == after["Ledger"] == 2


def test_empty_queues_are_shared() -> None:
    """An empty deque takes 760 bytes. A connection has one: the 1-RTT packets in flight. Three are
    all connections' empty ones: of packets, of control frames, of streams that take turns."""
    world = World().connect()
    world.settle()
    assert parts(world.client)["deque"] <= 4
