"""Our connection IDs, as a server uses and keeps them (RFC 9000 sections 5.1.1 and 5.1.2).

Some servers retire the ID of a path that the client gave up, some keep it. Neither may leave the
client without an answer on the next path.
"""

import random

import pytest

from tests.attacks.expect import goes_on
from tests.path.driver import add, standby, validate
from tests.peer.script import ACTIVE_CID_LIMIT, ServerScript
from tests.peer.world import World
from trioquic._protocol.builder import PacketBuilder
from trioquic._protocol.cid.own import OwnIds
from trioquic._protocol.path.refusal import PathRefusedError, Refusal
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import Reader, encode_varint


def offers(world: World) -> list[fr.NewConnectionId]:
    return [
        frame.value
        for packet in world.peer.packets
        for frame in packet.frames
        if frame.kind == fr.NEW_CONNECTION_ID
    ]


def hoarder(limit: int, obedient: bool = True) -> World:
    parameters: dict[int, bytes | None] = {ACTIVE_CID_LIMIT: encode_varint(limit)}
    script = ServerScript(
        hoard_ids=True, obey_retire_prior_to=obedient, parameters=parameters, spare_ids=4
    )
    return World(script).connect()


@pytest.mark.parametrize("limit", [2, 3, 5, 8])
def test_paths_come_and_go_with_a_server_that_keeps_our_ids(limit: int) -> None:
    """Each path is validated and closed again; the server has an ID to answer each with."""
    world = hoarder(limit)
    for number in range(2, 32):
        path = standby(world, number)
        world.client.abandon(path, world.now)
        world.settle()
    assert max(frame.retire_prior_to for frame in offers(world)) > 20
    assert len(world.peer.client_ids) <= limit
    goes_on(world)


@pytest.mark.parametrize("limit", [2, 5])
def test_a_standby_that_stays_keeps_working(limit: int) -> None:
    """Old IDs are asked back while another path is in use: that one goes on with a new ID."""
    world = hoarder(limit)
    first = standby(world, 2)
    if limit > 2:
        for number in range(3, 20):
            path = standby(world, number)
            world.client.abandon(path, world.now)
            world.settle()
    world.client.migrate(first, world.now)
    world.settle()
    goes_on(world)


def test_nothing_is_asked_back_while_there_are_enough() -> None:
    """A server that retires by itself is left alone."""
    world = World().connect()
    for number in range(2, 32):
        path = standby(world, number)
        world.client.abandon(path, world.now)
        world.settle()
    assert {frame.retire_prior_to for frame in offers(world)} == {0}


def test_the_offer_that_asks_ids_back_is_repeated_when_it_is_lost() -> None:
    world = hoarder(2)
    path = standby(world, 2)
    lost: list[bytes] = []

    def lose_offers(_path: int, datagram: bytes) -> bytes | None:
        if len(lost) < 2:
            lost.append(datagram)
            return None
        return datagram

    world.to_peer = lose_offers
    world.client.abandon(path, world.now)
    world.settle()
    assert len(lost) == 2
    standby(world, 3)
    goes_on(world)


def test_a_server_that_never_gives_back_costs_two_sets_of_ids() -> None:
    """Then no new path is possible, with a reason, and nothing grows."""
    world = hoarder(4, obedient=False)
    refusals: list[Refusal] = []
    for number in range(2, 60):
        path = add(world, number)
        if number < 5:
            validate(world, path)
        world.settle()
        try:
            world.client.migrate(path, world.now, unvalidated=True)
        except PathRefusedError as refused:
            refusals.append(refused.refusal)
        else:
            world.client.migrate(0, world.now)
        world.client.abandon(path, world.now)
        world.settle()
    assert len(offers(world)) <= 3 + 4
    goes_on(world)


def test_an_offer_never_withdraws_itself() -> None:
    """Section 19.15: Retire Prior To is at most the frame's own sequence number."""
    world = hoarder(5)
    for number in range(2, 32):
        path = standby(world, number)
        if number % 3 == 0:
            # the answer to this one is lost, so it is offered again after newer ones
            world.to_peer = lambda _path, datagram: None
        world.client.abandon(path, world.now)
        world.run_for(0.2)
        world.to_peer = None
        world.settle()
    assert all(frame.retire_prior_to <= frame.sequence for frame in offers(world))
    goes_on(world)


def test_ids_are_asked_back_by_the_offer_of_one_that_the_server_has_not() -> None:
    """One that was offered before may be used up, as only its acknowledgement was lost: a server
    that has nothing else to go on with when it gives the old ones back closes the connection
    (nginx), or breaks (aioquic)."""
    ids = OwnIds(random.Random(1).randbytes)
    ids.issue_up_to(3)
    assert written(ids) == [(1, 0), (2, 0)]
    ids.mark_used(1, path_id=1)
    ids.mark_used(2, path_id=2)
    ids.on_retire_untrusted(0, arrived_on=1)
    assert written(ids) == [(3, 0)]
    ids.issue_lost(3)
    ids.on_path_gone(2)
    assert written(ids) == [(3, 0), (4, 3), (5, 3)]
    ids.issue_lost(5)
    ids.issue_lost(4)
    assert written(ids) == [(5, 3), (4, 3)]


@pytest.mark.parametrize("seed", range(20))
def test_one_who_gives_ids_back_always_holds_another(seed: int) -> None:
    """Whatever is lost, comes late or is offered again: the frame that asks for IDs brings one
    that the server has not had, or comes after it."""
    dice = random.Random(seed)
    ids = OwnIds(dice.randbytes)
    ids.issue_up_to(3)
    had, held, prior = {0}, {0}, 0
    offered, given_back = written(ids), list[int]()
    for path in range(1, 400):
        while offered and dice.random() < 0.7:
            sequence, asked = offered.pop(dice.randrange(len(offered)))
            fate = dice.random()
            if fate < 0.5:
                ids.issue_lost(sequence)  # it is, or only its acknowledgement
            if fate < 0.25:
                continue
            prior = max(prior, asked)
            if sequence >= prior and sequence not in had:
                held.add(sequence)
            had.add(sequence)
            given_back += [old for old in held if old < prior]
            held = {new for new in held if new >= prior}
            assert held, f"{sequence} came and asked for those below {asked}"
            assert len(held) <= 3
        # The server uses them for a path that is given up, and keeps them or gives them back.
        for old in sorted(held):
            ids.mark_used(old, path)
            if dice.random() < 0.5 and len(held) > 1:
                held.discard(old)
                given_back.append(old)
        while given_back and dice.random() < 0.5:
            ids.on_retire_untrusted(given_back.pop(0), arrived_on=max(held))
        ids.on_path_gone(path)
        offered += written(ids)
    assert prior, "nothing was asked back"


def written(ids: OwnIds) -> list[tuple[int, int]]:
    """Sequence number and Retire Prior To of the frames that go out now."""
    builder = PacketBuilder(1000)
    ids.write_frames(builder)
    found = [fr.read_new_connection_id_untrusted(Reader(part, start=1)) for part in builder.parts]
    return [(frame.sequence, frame.retire_prior_to) for frame in found]
