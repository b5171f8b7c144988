"""Attacks 24 to 27: floods of connection IDs, and their want."""

import pytest

from tests.attacks.expect import closed_with, dropped, goes_on
from tests.path.driver import add, standby
from tests.peer.packets import APPLICATION
from tests.peer.script import ACTIVE_CID_LIMIT, ServerScript
from tests.peer.world import World
from trioquic._protocol.errors import (
    CONNECTION_ID_LIMIT_ERROR,
    FRAME_ENCODING_ERROR,
    PROTOCOL_VIOLATION,
)
from trioquic._protocol.path.refusal import PathRefusedError, Refusal
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint

OTHER_LOCAL = ("192.0.2.2", 50002)
CID_LIMIT = 8  # what our client announces
MOST_RESPONSES = 16
TOKEN = b"0123456789abcdef"


# --- 24 -----------------------------------------------------------------------------------------


def test_24_new_connection_id_flood_with_rising_retire_prior_to() -> None:
    """The peer never acknowledges a retirement: those pending are capped, then it is over."""
    world = World(ServerScript(spare_ids=1, acknowledge=False)).connect()
    for sequence in range(1, 200):
        world.peer.issue_id(sequence, retire_prior_to=sequence)
        world.run_for(2 * world.delay)
        assert world.client.statistics().retiring_peer_ids <= 2 * CID_LIMIT + 1
        if world.terminated is not None:
            break
    world.settle()
    closed_with(world, CONNECTION_ID_LIMIT_ERROR, fr.NEW_CONNECTION_ID)


def test_24_rising_retire_prior_to_of_an_honest_peer() -> None:
    """With its retirements acknowledged it may go on for ever."""
    world = World(ServerScript(spare_ids=1)).connect()
    for sequence in range(1, 100):
        world.peer.issue_id(sequence, retire_prior_to=sequence)
        world.run_for(2 * world.delay)
    world.settle()
    goes_on(world)
    assert world.peer.retired >= set(range(99))
    assert world.client.statistics().retiring_peer_ids <= 2


def test_24_one_huge_jump_of_retire_prior_to() -> None:
    world = World().connect()
    last = (1 << 62) - 1
    world.peer.script.spare_ids = 0
    world.peer.issue_id(last, retire_prior_to=last, cid=b"the last", token=TOKEN)
    world.settle()
    assert world.terminated is None
    assert world.peer.retired >= {0, 1, 2, 3}
    goes_on(world)
    assert world.peer.packets[-1].dcid == b"the last"


@pytest.mark.parametrize("prior", [0, 20])
def test_24_an_id_that_comes_when_it_is_withdrawn_already_is_retired_unused(prior: int) -> None:
    """RFC 9000 section 19.15: its frame was overtaken by a later one, or repeats an older value of
    Retire Prior To. No path is given it, however many there are."""
    world = World(ServerScript(spare_ids=1)).connect()
    world.peer.script.spare_ids = 0
    for sequence in (30, 31, 32):
        world.peer.issue_id(sequence, retire_prior_to=30)
    world.settle()
    spare = world.client.statistics().spare_peer_ids
    world.peer.issue_id(20, retire_prior_to=prior)
    world.settle()
    assert 20 in world.peer.retired
    assert world.client.statistics().spare_peer_ids == spare
    for number in (2, 3):
        standby(world, number)
    used = {packet.dcid for packet in world.peer.packets}
    assert world.peer.issued[20][0] not in used
    assert {world.peer.issued[sequence][0] for sequence in (30, 31, 32)} <= used
    goes_on(world)


def test_24_more_ids_than_the_limit() -> None:
    world = World(ServerScript(spare_ids=1)).connect()
    for sequence in range(1, CID_LIMIT):
        world.peer.issue_id(sequence)
        world.run_for(2 * world.delay)
    assert world.terminated is None
    world.peer.issue_id(CID_LIMIT)
    world.settle()
    closed_with(world, CONNECTION_ID_LIMIT_ERROR, fr.NEW_CONNECTION_ID)


def test_24_sparse_sequence_numbers_do_not_fill_the_memory() -> None:
    """Each retired ID with a gap after it is something to remember."""
    world = World(ServerScript(spare_ids=1)).connect()
    for sequence in range(2, 4000, 2):
        world.peer.issue_id(sequence, retire_prior_to=sequence)
        world.run_for(2 * world.delay)
        if world.terminated is not None:
            break
    world.settle()
    closed_with(world, CONNECTION_ID_LIMIT_ERROR, fr.NEW_CONNECTION_ID)


def test_24_a_withdrawn_id_silences_the_probing_of_its_path() -> None:
    """A path without an ID has nothing to say, and must not keep the timer busy."""
    world = World(ServerScript(spare_ids=2, answer_challenges=False)).connect()
    path = add(world)
    world.client.validate(path, world.now)
    world.run_for(4 * world.delay)
    world.peer.script.spare_ids = 0
    before = len(world.peer.sent_on(path))
    assert before
    world.peer.issue_id(50, retire_prior_to=50)
    world.run_for(2.0, steps=100)
    assert len(world.peer.sent_on(path)) == before
    world.peer.script.answer_challenges = True
    world.peer.issue_id(51)
    world.run_for(4.0, steps=200)
    assert world.peer.sent_on(path)[-1].dcid == world.peer.issued[51][0]
    goes_on(world)


# --- 25 -----------------------------------------------------------------------------------------


def raw_new_id(sequence: int, retire_prior_to: int, cid: bytes, token: bytes = TOKEN) -> bytes:
    head = b"\x18" + encode_varint(sequence) + encode_varint(retire_prior_to)
    return head + bytes([len(cid)]) + cid + token


@pytest.mark.parametrize(
    "frame",
    [
        raw_new_id(10, 11, b"next one"),
        raw_new_id(0, 1, b"next one"),
        raw_new_id(10, 0, b""),
        raw_new_id(10, 0, bytes(21)),
        raw_new_id(10, 0, bytes(255)),
    ],
)
def test_25_malformed_new_connection_id(frame: bytes) -> None:
    world = World().connect()
    world.attack(frame)
    closed_with(world, FRAME_ENCODING_ERROR, fr.NEW_CONNECTION_ID)


@pytest.mark.parametrize("sequence", [0, 1, 3])
def test_25_a_sequence_number_reused_with_another_id(sequence: int) -> None:
    world = World().connect()
    world.attack(fr.encode_new_connection_id(sequence, 0, b"impostor", TOKEN))
    closed_with(world, PROTOCOL_VIOLATION, fr.NEW_CONNECTION_ID)


def test_25_a_sequence_number_reused_with_another_token() -> None:
    world = World().connect()
    cid, _ = world.peer.issued[2]
    world.attack(fr.encode_new_connection_id(2, 0, cid, TOKEN))
    closed_with(world, PROTOCOL_VIOLATION, fr.NEW_CONNECTION_ID)


def test_25_an_id_reused_with_another_sequence_number() -> None:
    world = World().connect()
    cid, token = world.peer.issued[2]
    world.attack(fr.encode_new_connection_id(100, 0, cid, token))
    closed_with(world, PROTOCOL_VIOLATION, fr.NEW_CONNECTION_ID)


def test_25_the_same_frame_again_is_fine() -> None:
    world = World().connect()
    cid, token = world.peer.issued[2]
    spare = world.client.statistics().spare_peer_ids
    for _ in range(5):
        world.attack(fr.encode_new_connection_id(2, 0, cid, token))
    assert world.client.statistics().spare_peer_ids == spare
    goes_on(world)


def test_25_the_same_frame_again_after_its_retirement_is_fine() -> None:
    """Retransmissions may be late."""
    world = World().connect()
    path = standby(world)
    cid = world.peer.sent_on(path)[0].dcid
    sequence = next(n for n, (issued, _) in world.peer.issued.items() if issued == cid)
    world.client.abandon(path, world.now)
    world.settle()
    assert sequence in world.peer.retired
    world.attack(fr.encode_new_connection_id(sequence, 0, *world.peer.issued[sequence]))
    goes_on(world)


def test_25_new_connection_id_from_a_peer_with_zero_length_ids() -> None:
    world = World(ServerScript(cid=b"", spare_ids=0)).connect()
    world.attack(fr.encode_new_connection_id(1, 0, b"suddenly", TOKEN))
    closed_with(world, PROTOCOL_VIOLATION, fr.NEW_CONNECTION_ID)


# --- 26 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sequence", [100, (1 << 62) - 1])
def test_26_retirement_of_an_id_never_issued(sequence: int) -> None:
    world = World().connect()
    world.attack(fr.encode_integers(fr.RETIRE_CONNECTION_ID, sequence))
    closed_with(world, PROTOCOL_VIOLATION, fr.RETIRE_CONNECTION_ID)


def test_49_retirement_of_an_id_never_sent() -> None:
    """RFC 9000 section 19.16: those that are issued count when a frame with them has left."""
    world = World(ServerScript(parameters={ACTIVE_CID_LIMIT: encode_varint(2)})).connect()
    assert set(world.peer.client_ids) == {0, 1}
    world.peer.path_ids[0] = 1
    # it asks for a replacement, and retires that one as well before it can have come
    world.attack(
        fr.encode_integers(fr.RETIRE_CONNECTION_ID, 0)
        + fr.encode_integers(fr.RETIRE_CONNECTION_ID, 2)
    )
    closed_with(world, PROTOCOL_VIOLATION, fr.RETIRE_CONNECTION_ID)


def test_49_retirement_of_an_id_whose_frame_was_lost() -> None:
    """It did leave: the server may have got it and its acknowledgement be lost."""
    world = World(ServerScript(parameters={ACTIVE_CID_LIMIT: encode_varint(2)})).connect()
    world.peer.path_ids[0] = 1
    world.to_peer = lambda path, data: None
    world.peer.send(APPLICATION, fr.encode_integers(fr.RETIRE_CONNECTION_ID, 0))
    world.run_for(2 * world.delay)
    world.peer.send(APPLICATION, fr.encode_integers(fr.RETIRE_CONNECTION_ID, 2))
    world.run_for(2 * world.delay)
    world.to_peer = None
    world.settle()
    goes_on(world)


@pytest.mark.parametrize("sequence", [0, 2])
def test_26_retirement_of_the_id_the_packet_came_in_on(sequence: int) -> None:
    world = World().connect()
    world.peer.path_ids[0] = sequence
    world.attack(fr.encode_integers(fr.RETIRE_CONNECTION_ID, sequence))
    closed_with(world, PROTOCOL_VIOLATION, fr.RETIRE_CONNECTION_ID)


def test_26_a_retirement_twice_is_fine_and_the_pool_stays_small() -> None:
    world = World().connect()
    for _ in range(100):
        oldest, newest = min(world.peer.client_ids), max(world.peer.client_ids)
        world.peer.path_ids[0] = newest
        frame = fr.encode_integers(fr.RETIRE_CONNECTION_ID, oldest)
        world.peer.send(APPLICATION, frame + frame)
        del world.peer.client_ids[oldest]
        world.run_for(4 * world.delay)
    world.settle()
    assert world.client.statistics().active_own_ids <= 8
    goes_on(world)


def test_26_packets_to_an_id_of_ours_retired_long_ago_are_dropped() -> None:
    """Late packets may still come to one that was retired just now, but not for ever."""
    world = World().connect()
    old = world.peer.client_ids[0][0]
    for _ in range(20):
        oldest, newest = min(world.peer.client_ids), max(world.peer.client_ids)
        world.peer.path_ids[0] = newest
        del world.peer.client_ids[oldest]
        world.attack(fr.encode_integers(fr.RETIRE_CONNECTION_ID, oldest))
    before = dropped(world)
    world.peer.send(APPLICATION, fr.encode_connection_close(1, None, b""), dcid=old)
    world.settle()
    assert dropped(world) == before + 1
    goes_on(world)


# --- 27 -----------------------------------------------------------------------------------------


def test_27_no_spare_id_at_the_moment_of_failover() -> None:
    """A typed refusal, and nothing is sent from the other address."""
    world = World(ServerScript(spare_ids=1)).connect()
    with pytest.raises(PathRefusedError) as caught:
        add(world)
    assert caught.value.refusal is Refusal.NO_SPARE_ID
    world.settle()
    assert {datagram.path for datagram in world.peer.datagrams} == {0}
    world.peer.issue_id()
    world.settle()
    path = standby(world)
    ids = {p.dcid for p in world.peer.sent_on(path)}
    assert ids == {world.peer.issued[1][0]}


def test_27_all_ids_withdrawn_but_one_while_two_paths_are_in_use() -> None:
    """The active path gets the ID that is left; the other falls silent until there is one."""
    world = World(ServerScript(spare_ids=2)).connect()
    path = standby(world)
    world.peer.script.spare_ids = 0
    for sequence in range(50, 60):
        world.peer.issue_id(sequence, retire_prior_to=sequence)
        world.settle()
        goes_on(world)
        assert world.peer.packets[-1].path == 0
        assert world.peer.packets[-1].dcid == world.peer.issued[sequence][0]
    by_id: dict[bytes, set[int]] = {}
    for packet in world.peer.packets:
        by_id.setdefault(packet.dcid, set()).add(packet.path)
    assert all(len(paths) == 1 for paths in by_id.values()), "no ID on two paths"
    world.peer.issue_id(60)
    world.settle()
    world.client.validate(path, world.now)
    world.settle()
    assert world.peer.sent_on(path)[-1].dcid == world.peer.issued[60][0]
