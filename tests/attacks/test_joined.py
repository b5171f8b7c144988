"""Attack 43: short datagrams, joined by the kernel in any mix, never reach the cipher's state."""

import pytest

from tests.attacks.expect import dropped, goes_on
from tests.attacks.handshakes import half_open
from tests.attacks.joined import LARGEST, SUITES, Spoofer, connected, play
from tests.peer.packets import APPLICATION, HANDSHAKE, INITIAL
from tests.peer.world import World
from trioquic._protocol.events import Ending


@pytest.mark.parametrize("cipher", ["AES-128", "ChaCha20"])
def test_43_joined_datagrams_of_every_size(cipher: str) -> None:
    world = connected(SUITES[cipher])
    for size in play(world, range(1, LARGEST + 1), every_last=False):
        if size in (8, 28, 29, 64) or size % 300 == 0:
            goes_on(world)


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE])
def test_43_before_their_keys(space: int) -> None:
    """None of them is kept that has no sample, and the handshake takes its course."""
    world = half_open(space)
    spoofer = Spoofer(world)
    for size in range(1, 29):
        for last in range(1, size + 1):
            spoofer.joined(size, 2, last, known=True)
    assert len(world.client._receiver._long._undecryptable._kept) == 0
    world.peer.send_flight()
    world.connect()
    goes_on(world)


@pytest.mark.parametrize("size", [21, 22, 28])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_43_one_of_them_is_a_stateless_reset(size: int, position: int) -> None:
    """RFC 9000 section 10.3.1: 21 bytes are enough for one."""
    world = World().connect()
    spoofer = Spoofer(world)
    datagrams = [spoofer.datagram(size, known=False) for _ in range(3)]
    datagrams[position] = datagrams[position][:-16] + world.peer.script.reset_token
    world.client.receive(0, b"".join(datagrams), size, 0, world.now)
    world.flush()
    assert world.terminated is not None
    assert world.terminated.ending is Ending.STATELESS_RESET


def test_43_what_is_genuine_among_them_is_received() -> None:
    world = World().connect()
    packets = [world.peer.seal(APPLICATION, b"\x01", pad_to=60) for _ in range(2)]
    before = dropped(world)
    received = world.client.statistics().packets_received
    forged = Spoofer(world).datagram(60, known=True)
    world.client.receive(0, b"".join((forged, *packets, b"\x40short")), 60, 0, world.now)
    assert dropped(world) - before == 2
    assert world.client.statistics().packets_received - received == 2
    goes_on(world)


def test_43_too_short_behind_a_long_header() -> None:
    """What is left of a datagram behind its packets of the handshake."""
    for size in range(1, 40):
        world = half_open(INITIAL)
        tail = (b"\x41" + world.client.source_id + bytes(40))[:size]
        world.inject(world.peer.seal(INITIAL, b"\x01") + tail)
        world.peer.send_flight()
        world.connect()
        world.inject(world.peer.seal(HANDSHAKE, b"\x01") + tail)
        world.inject(tail)
        goes_on(world)


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE])
def test_43_long_headers_without_a_sample(space: int) -> None:
    """Also those that come before their keys, and would be kept."""
    world = half_open(INITIAL)
    packet = world.peer.seal(INITIAL, bytes(20))
    # what is in front of the two bytes of the length
    front = bytes((packet[0] | space << 5,)) + packet[1 : 6 + 8 + 1 + 8]
    front += b"\x00" if space == INITIAL else b""
    before = dropped(world)
    for size in range(20):
        world.inject(front + (0x4000 | size).to_bytes(2, "big") + bytes(size))
    assert dropped(world) - before == 20
    assert len(world.client._receiver._long._undecryptable._kept) == 0
    world.peer.send_flight()
    world.connect()
    goes_on(world)
