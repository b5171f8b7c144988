"""Steps that the tests of paths share."""

import pytest

from tests.peer.packets import Packet
from tests.peer.world import REMOTE, World
from trioquic._protocol.events import (
    PathValidated,
)
from trioquic._protocol.path.refusal import PathRefusedError, Refusal
from trioquic._protocol.wire import frames as fr

INITIAL_PTO = 0.999


def add(world: World, number: int = 2) -> int:
    return world.client.add_path((f"192.0.2.{number}", 50002), REMOTE)


def refused(world: World, number: int = 2) -> Refusal:
    with pytest.raises(PathRefusedError) as caught:
        add(world, number)
    return caught.value.refusal


def validate(world: World, path: int) -> None:
    before = len(world.seen(PathValidated))
    world.client.validate(path, world.now)
    world.run_until(lambda: len(world.seen(PathValidated)) > before)
    assert world.seen(PathValidated)[-1].path_id == path


def standby(world: World, number: int = 2) -> int:
    """A validated path, with everything about it settled."""
    path = add(world, number)
    validate(world, path)
    world.settle()
    return path


def challenges(world: World, path: int) -> list[Packet]:
    return [p for p in world.peer.sent_on(path) if p.has(fr.PATH_CHALLENGE)]


def upload(world: World, data: bytes) -> int:
    """Start sending, with enough credit for everything."""
    stream_id = world.client.streams.open(True)
    credit = fr.encode_integers(fr.MAX_DATA, 1 << 24) + fr.encode_integers(
        fr.MAX_STREAM_DATA, stream_id, 1 << 24
    )
    world.attack(credit)
    assert world.client.streams.write(stream_id, data) == len(data)
    return stream_id


def ids_by_path(world: World) -> dict[bytes, set[int]]:
    used: dict[bytes, set[int]] = {}
    for packet in world.peer.packets:
        used.setdefault(packet.dcid, set()).add(packet.path)
    return used


def no_id_on_two_paths(world: World) -> None:
    assert all(len(paths) == 1 for paths in ids_by_path(world).values())
