"""Datagrams that nobody has authenticated, of every size, joined as the kernel does it (UDP_GRO).

Each batch is some datagrams of one size and a last one that is no longer. Whatever their sizes, all
of them are dropped and counted one by one, the core raises nothing, and the connection goes on: the
cipher that takes header protection off is a stream, and a piece of a block in it would make every
later mask wrong.

The suite plays the sizes around everything that the code compares with; `python -m
tests.attacks.joined` (`make joined`) plays every size from 1 to 1500 with a last datagram of every
length, with all ciphers.
"""

import random
import time
from collections.abc import Iterable, Iterator

from tests.attacks.expect import dropped, goes_on
from tests.peer.script import ServerScript
from tests.peer.tls_server import TlsScript
from tests.peer.world import World

LARGEST = 1500
SUITES = {"AES-128": 0x1301, "AES-256": 0x1302, "ChaCha20": 0x1303}
# around: a header without a number, with one, a stateless reset, a whole sample, a Version
# Negotiation packet, a block and a batch of blocks
EDGES = (1, 2, 7, 8, 9, 10, 13, 14, 16, 20, 21, 22, 28, 29, 30, 48, 64, 1199, 1200)
_NOISE = random.Random(11).randbytes(1 << 17)


def connected(suite: int) -> World:
    return World(ServerScript(tls=TlsScript(cipher_suite=suite))).connect()


class Spoofer:
    """Somebody who knows the client's address and, from the handshake, one of its IDs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ours = world.client.source_id
        self._at = 0

    def datagram(self, size: int, known: bool) -> bytes:
        """Noise that looks like a 1-RTT packet, of the client's connection or of another."""
        self._at = (self._at + 61) % (len(_NOISE) - LARGEST)
        head = bytes((0x40 | _NOISE[self._at] & 0x3F,)) + (self.ours if known else b"")
        return (head + _NOISE[self._at : self._at + size])[:size]

    def joined(self, size: int, whole: int, last: int, known: bool) -> None:
        """`whole` datagrams of a size and the last one reach the client as one batch."""
        datagrams = [self.datagram(size, known) for _ in range(whole)]
        datagrams.append(self.datagram(last, known))
        before = dropped(self.world)
        client = self.world.client
        client.receive(0, b"".join(datagrams), size, 0, self.world.now)
        assert dropped(self.world) - before == len(datagrams), (size, whole, last, known)


def lasts(size: int) -> Iterable[int]:
    """The lengths of a last datagram that are worth a look."""
    if size <= 64:
        return range(1, size + 1)
    return sorted({edge for edge in EDGES if edge <= size} | {size - 1, size})


def play(world: World, sizes: Iterable[int], *, every_last: bool) -> Iterator[int]:
    """Play batches of these sizes; tells after each size."""
    spoofer = Spoofer(world)
    for size in sizes:
        for last in range(1, size + 1) if every_last else lasts(size):
            whole = 1 + (size + last) % 3
            spoofer.joined(size, whole, last, known=True)
            if not every_last:
                spoofer.joined(size, whole, last, known=False)
        if size <= 64:
            # more than are unmasked together
            spoofer.joined(size, 130, size, known=True)
        yield size


def main() -> None:
    for name, suite in SUITES.items():
        world = connected(suite)
        began = time.monotonic()
        for size in play(world, range(1, LARGEST + 1), every_last=True):
            if size % 50 == 0:
                goes_on(world)
        count = dropped(world)
        print(f"{name}: {count} datagrams dropped, {time.monotonic() - began:.0f} s, goes on")


if __name__ == "__main__":
    main()
