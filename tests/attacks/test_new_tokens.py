"""Tokens for later connections: told once each, and sent in every Initial (RFC 9000, 8.1.3)."""

import pytest

from tests.attacks.expect import goes_on
from tests.peer.packets import APPLICATION, INITIAL
from tests.peer.script import ServerScript
from tests.peer.wire import encode_new_token
from tests.peer.world import World
from trioquic._protocol import events as ev
from trioquic._protocol.handshake.future_connections import LONGEST_NEW_TOKEN


def initial_tokens(world: World) -> list[bytes]:
    return [packet.token for packet in world.peer.packets if packet.space == INITIAL]


def test_each_token_is_told_once() -> None:
    world = World().connect()
    for token in (b"one", b"two", b"one"):
        world.attack(encode_new_token(token))
    assert [event.token for event in world.seen(ev.TokenReceived)] == [b"one", b"two"]
    goes_on(world)


@pytest.mark.parametrize(("size", "told"), [(LONGEST_NEW_TOKEN, 1), (LONGEST_NEW_TOKEN + 1, 0)])
def test_a_token_that_is_too_long_to_be_used_is_not_told(size: int, told: int) -> None:
    world = World().connect()
    world.attack(encode_new_token(bytes(size)))
    assert len(world.seen(ev.TokenReceived)) == told
    goes_on(world)


@pytest.mark.parametrize("size", [1, 64, LONGEST_NEW_TOKEN])
def test_every_initial_carries_the_token(size: int) -> None:
    token = b"t" * size
    world = World(token=token)
    # the first flight is lost, so that there are more than the first ones
    world.cut.add(0)
    world.run_for(0.5)
    world.cut.clear()
    world.connect()
    tokens = initial_tokens(world)
    assert len(tokens) >= 2
    assert set(tokens) == {token}
    goes_on(world)


def test_a_token_that_leaves_no_room_is_not_sent() -> None:
    world = World(token=bytes(LONGEST_NEW_TOKEN + 1)).connect()
    assert set(initial_tokens(world)) == {b""}


def test_the_token_of_a_retry_takes_its_place() -> None:
    """The server does not like ours, and says how it wants to be addressed instead."""
    world = World(ServerScript(retry=True), token=b"from long ago")
    sent: list[bytes] = []

    def watch(path: int, data: bytes) -> bytes:
        sent.append(data)
        return data

    world.to_peer = watch
    world.connect()
    assert b"from long ago" in sent[0]
    assert set(initial_tokens(world)) == {world.peer.script.retry_token}
    goes_on(world)


def test_a_token_of_a_retry_is_not_for_later() -> None:
    world = World(ServerScript(retry=True)).connect()
    assert not world.seen(ev.TokenReceived)
    world.peer.send(APPLICATION, encode_new_token(b"for later"))
    world.settle()
    assert [event.token for event in world.seen(ev.TokenReceived)] == [b"for later"]
