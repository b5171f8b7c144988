"""A server that may send three times what came from a new address has to have room to validate it.

nginx 1.30 spends all of it on data: it challenges nobody, sends 141 bytes for each of our
acknowledgements, and ends the connection after seven seconds (NO_VIABLE_PATH).
"""

from tests.path.driver import add, standby
from tests.peer.packets import APPLICATION
from tests.peer.script import ServerScript
from tests.peer.world import World
from trioquic._protocol.events import PathValidated, ValidationFailed
from trioquic._protocol.wire import frames as fr

FULL = 1200
# What it has on its way at most
WINDOW = 12_000


class Miser:
    """Sends a window of data on the path that the connection has moved to, as far as it may. It
    challenges the path when something is left then."""

    def __init__(self, world: World, path: int) -> None:
        self.world = world
        self.path = path
        self.sent = 0

    @property
    def heard(self) -> list[int]:
        """The sizes of the datagrams that came on the path."""
        return [len(d.data) for d in self.world.peer.datagrams if d.path == self.path]

    @property
    def left(self) -> int:
        """What it may still send (RFC 9000 section 8.1)."""
        return 3 * sum(self.heard) - self.sent

    def spend(self) -> None:
        """A window, and then wait for the answers to that."""
        room = WINDOW
        while min(room, self.left) >= 64:
            size = min(FULL, self.left, room)
            self.world.peer.send(APPLICATION, bytes([fr.PING]), path=self.path, pad_to=size)
            self.sent += size
            room -= size
        self.world.run_for(2 * self.world.delay + 0.026)


def moved() -> tuple[World, Miser]:
    """The connection has left a path that answers, for one that it has asked once."""
    world = World(ServerScript(challenge_new_paths=False)).connect()
    path = standby(world)
    miser = Miser(world, path)
    # the response to our challenge
    miser.sent = FULL
    world.client.migrate(path, world.now)
    return world, miser


def test_it_gets_room_for_its_challenge() -> None:
    world, miser = moved()
    begun = world.now
    miser.spend()
    while miser.left < WINDOW + FULL:
        miser.spend()
        assert world.now < begun + 2.0, f"{miser.left} bytes are left"


def test_what_got_lost_on_the_path_gives_no_room() -> None:
    """nginx 1.30 drops the challenges that were overtaken: what was in them it may not send."""
    world = World(ServerScript(challenge_new_paths=False)).connect()
    path = add(world)
    world.cut.add(path)
    world.client.validate(path, world.now)
    world.run_until(lambda: world.seen(ValidationFailed))
    world.cut.remove(path)
    world.client.validate(path, world.now)
    world.run_until(lambda: world.seen(PathValidated))
    miser = Miser(world, path)
    miser.sent = FULL
    world.client.migrate(path, world.now)
    begun = world.now
    miser.spend()
    while miser.left < WINDOW + FULL:
        miser.spend()
        assert world.now < begun + 2.0, f"{miser.left} bytes are left"


def test_one_that_has_challenged_the_path_gets_no_padding() -> None:
    world, miser = moved()
    world.peer.challenge(miser.path)
    world.run_for(2 * world.delay)
    before = len(miser.heard)
    for _ in range(10):
        miser.spend()
    assert max(miser.heard[before:]) < FULL


def test_one_that_leaves_itself_room_gets_no_padding() -> None:
    world, miser = moved()
    before = len(miser.heard)
    for _ in range(10):
        world.peer.send(APPLICATION, bytes([fr.PING]), path=miser.path)
        world.run_for(2 * world.delay + 0.026)
    assert max(miser.heard[before:]) < FULL
