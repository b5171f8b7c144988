"""A ClientHello with ML-KEM's key takes two datagrams: they leave together, and arrive somehow.

The server of these tests knows X25519 only, unless they say otherwise.
"""

import random
from collections.abc import Callable

import pytest

from tests.attacks.expect import goes_on
from tests.peer.packets import HANDSHAKE, INITIAL, Packet
from tests.peer.script import ServerScript
from tests.peer.tls_server import P384, X25519MLKEM768, TlsScript
from tests.peer.world import World
from trioquic._protocol import events as ev
from trioquic._protocol.wire import frames as fr

Pass = Callable[[int, bytes], bytes | None]


def initials(world: World) -> list[Packet]:
    """The client's Initial packets with a part of the ClientHello, as they came."""
    return [p for p in world.peer.packets if p.space == INITIAL and p.has(fr.CRYPTO)]


def covered(packets: list[Packet]) -> int:
    """How much of the ClientHello they carry, from its beginning and without a gap."""
    end = 0
    pieces = [f.value for p in packets for f in p.frames if f.kind == fr.CRYPTO]
    for offset, data in sorted(pieces):
        assert offset <= end
        end = max(end, offset + len(data))
    return end


def test_both_datagrams_leave_at_once() -> None:
    world = World().connect()
    first, second = initials(world)
    assert first.now == second.now
    assert (first.datagram, second.datagram) == (0, 1)
    assert [len(world.peer.datagrams[at].data) for at in (0, 1)] == [1200, 1200]
    assert 1300 < covered([first, second]) < 2000
    # one round trip, as with a short one: ours out, theirs back
    (completed,) = world.seen(ev.HandshakeCompleted)
    handshake = next(p for p in world.peer.packets if p.space == HANDSHAKE)
    assert handshake.now - first.now == pytest.approx(2 * world.delay)
    assert completed.group == 0x1D
    goes_on(world)


@pytest.mark.parametrize("retry_group", [None, P384])
def test_with_a_server_that_speaks_it(retry_group: int | None) -> None:
    tls = TlsScript(groups=(X25519MLKEM768, P384), retry_group=retry_group)
    if retry_group is not None:
        tls.groups = (P384,)
    world = World(ServerScript(tls=tls)).connect()
    (completed,) = world.seen(ev.HandshakeCompleted)
    assert completed.group == (retry_group or X25519MLKEM768)
    goes_on(world)


def dropping(lost: set[int]) -> Pass:
    """The client's datagrams of these numbers never arrive."""
    count = -1

    def passing(path: int, data: bytes) -> bytes | None:
        nonlocal count
        count += 1
        return None if count in lost else data

    return passing


@pytest.mark.parametrize("lost", [{0}, {1}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}, {0, 1, 2, 3}])
def test_what_is_lost_is_sent_again(lost: set[int]) -> None:
    world = World()
    world.to_peer = dropping(lost)
    world.connect()
    assert covered(initials(world)) > 1300
    assert all(len(world.peer.datagrams[p.datagram].data) >= 1200 for p in initials(world))
    goes_on(world)


def test_the_first_timeout_sends_all_of_it_again() -> None:
    """RFC 9002 section 6.2.4: two datagrams may go out then, and this needs both."""
    world = World()
    world.to_peer = dropping({0, 1})
    world.run_until(lambda: len(initials(world)) == 2)
    first, second = initials(world)
    assert first.now == second.now
    assert covered([first, second]) > 1300


def test_the_other_half_follows_when_one_was_heard() -> None:
    """The server has the first half and says so: what is lost is the rest, and goes to the ID that
    the server has chosen by then."""
    world = World()
    world.to_peer = dropping({1})
    world.run_until(lambda: len(initials(world)) == 2)
    _, second = initials(world)
    assert second.dcid == world.peer.script.cid
    world.connect()
    goes_on(world)


@pytest.mark.parametrize("twice", [False, True])
def test_swapped_and_duplicated(twice: bool) -> None:
    world = World()
    held: list[bytes] = []

    def swapping(path: int, data: bytes) -> bytes | None:
        if len(held) == 2:
            return data
        held.append(data)
        if len(held) == 1:
            return None
        world._put(False, path, data)
        if twice:
            world._put(False, path, held[0])
            world._put(False, path, data)
        return held[0]

    world.to_peer = swapping
    world.connect()
    first, second = initials(world)[:2]
    assert first.number > second.number
    goes_on(world)


def test_a_retry_for_each_half() -> None:
    """RFC 9000 section 17.2.5.2: the second is ignored, and both halves go out with the token."""
    world = World(ServerScript(retry=True))
    again = False

    def doubling(path: int, data: bytes) -> bytes | None:
        nonlocal again
        if not again:
            again = True
            world._put(True, path, data)
        return data

    world.to_client = doubling
    world.connect()
    first, second = initials(world)[:2]
    token = world.peer.script.retry_token
    assert (first.token, second.token) == (token, token)
    assert first.now == second.now
    assert covered([first, second]) > 1300
    goes_on(world)


@pytest.mark.parametrize("size", [500, 1000, 1100])
def test_a_token_that_leaves_little_room(size: int) -> None:
    """It goes with every Initial: the ClientHello then takes more of them, up to some forty."""
    world = World(ServerScript(retry=True, retry_token=bytes(size))).connect()
    assert len(initials(world)) >= 1700 // (1200 - size)
    goes_on(world)


def test_a_version_negotiation_for_each_half() -> None:
    world = World(ServerScript(send_crypto=False, acknowledge=False))
    world.run_until(lambda: len(initials(world)) == 2)
    for _ in range(2):
        world.peer.send_version_negotiation((0x6B3343CF,))
    world.settle()
    assert world.terminated is not None
    assert world.terminated.ending is ev.Ending.VERSION


@pytest.mark.parametrize("seed", range(30))
def test_a_lossy_link_that_reorders_and_duplicates(seed: int) -> None:
    """A fifth is lost each way, a fifth comes twice, and everything up to two round trips late."""
    chance = random.Random(seed)
    world = World(ServerScript(tls=TlsScript(groups=(X25519MLKEM768,))), seed=seed)
    sent: list[bytes] = []

    def rough(path: int, data: bytes) -> bytes | None:
        world.delays[path] = world.delay * chance.uniform(1, 4)
        sent.append(data)
        if chance.random() < 0.2:
            return None
        if chance.random() < 0.2:
            sent.append(data)
            world.to_peer = None
            world._put(False, path, data)
            world.to_peer = rough
            world.delays[path] = world.delay * chance.uniform(1, 4)
        return data

    world.to_peer = rough
    world.run_until(lambda: world.seen(ev.HandshakeCompleted), limit=60.0)
    assert len(sent) >= 2
    assert world.seen(ev.HandshakeCompleted)[0].group == X25519MLKEM768
