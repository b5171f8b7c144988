"""Attacks 23 to 33: floods of challenges and connection IDs, stateless resets, other addresses."""

import hmac

import pytest

from tests.attacks.expect import closed_with, dropped, goes_on
from tests.peer.packets import APPLICATION
from tests.peer.script import (
    DISABLE_ACTIVE_MIGRATION,
    PREFERRED_ADDRESS,
    ServerScript,
    preferred_address,
)
from tests.peer.world import LOCAL, REMOTE, World
from trioquic._protocol.errors import (
    CONNECTION_ID_LIMIT_ERROR,
    FRAME_ENCODING_ERROR,
    PROTOCOL_VIOLATION,
)
from trioquic._protocol.events import Ending, PathFailed, PathValidated
from trioquic._protocol.lifetime import CoreState
from trioquic._protocol.path.rules import PathRefusedError, Refusal
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint

OTHER_LOCAL = ("192.0.2.2", 50002)
CID_LIMIT = 8  # what our client announces
MOST_RESPONSES = 16
TOKEN = b"0123456789abcdef"


def other_path(world: World, number: int = 2) -> int:
    return world.client.add_path((f"192.0.2.{number}", 50002), REMOTE)


def validated_path(world: World, number: int = 2) -> int:
    path = other_path(world, number)
    world.client.validate(path, world.now)
    world.run_until(lambda: any(e.path_id == path for e in world.seen(PathValidated)))
    world.settle()
    return path


# --- 23 -----------------------------------------------------------------------------------------


def challenges(count: int, mark: bytes) -> bytes:
    data = [mark + number.to_bytes(4, "big") for number in range(count)]
    return b"".join(fr.encode_path_challenge(each) for each in data)


@pytest.mark.parametrize("standby", [False, True])
def test_23_path_challenge_flood(standby: bool) -> None:
    """A capped queue, at most one response each, on the path they came in on."""
    world = World(ServerScript(challenge_new_paths=False)).connect()
    path = validated_path(world) if standby else 0
    before = len(world.peer.packets)
    for number in range(20):
        flood = world.peer.seal(APPLICATION, challenges(100, b"fl%02d" % number), path=path)
        world.client.receive(path, flood, len(flood), 0, world.now)
    world.settle()
    answers = [
        (p.path, data) for p in world.peer.packets[before:] for data in p.all(fr.PATH_RESPONSE)
    ]
    assert 1 <= len(answers) <= MOST_RESPONSES
    assert len(set(answers)) == len(answers)
    assert {where for where, _ in answers} == {path}
    assert world.client.path_view(path).responses_dropped == 2000 - len(answers)
    world.peer.challenge(path, b"a decent")
    world.settle()
    assert b"a decent" in [f.value for f in world.peer.frames(fr.PATH_RESPONSE)]
    goes_on(world)


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
    path = validated_path(world)
    cid = world.peer.sent_on(path)[0].dcid
    sequence = next(n for n, (issued, _) in world.peer.issued.items() if issued == cid)
    world.client.abandon(path, world.now, "test")
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
    world.attack(fr.encode_retire_connection_id(sequence))
    closed_with(world, PROTOCOL_VIOLATION, fr.RETIRE_CONNECTION_ID)


@pytest.mark.parametrize("sequence", [0, 2])
def test_26_retirement_of_the_id_the_packet_came_in_on(sequence: int) -> None:
    world = World().connect()
    world.peer.path_ids[0] = sequence
    world.attack(fr.encode_retire_connection_id(sequence))
    closed_with(world, PROTOCOL_VIOLATION, fr.RETIRE_CONNECTION_ID)


def test_26_a_retirement_twice_is_fine_and_the_pool_stays_small() -> None:
    world = World().connect()
    for _ in range(100):
        oldest, newest = min(world.peer.client_ids), max(world.peer.client_ids)
        world.peer.path_ids[0] = newest
        frame = fr.encode_retire_connection_id(oldest)
        world.peer.send(APPLICATION, frame + frame)
        del world.peer.client_ids[oldest]
        world.run_for(4 * world.delay)
    world.settle()
    assert world.client.statistics().active_own_ids <= 8
    goes_on(world)


def test_26_packets_to_a_retired_id_of_ours_are_dropped() -> None:
    world = World().connect()
    old = world.peer.client_ids[0][0]
    world.peer.path_ids[0] = 1
    world.attack(fr.encode_retire_connection_id(0))
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
        other_path(world)
    assert caught.value.refusal is Refusal.NO_SPARE_ID
    world.settle()
    assert {datagram.path for datagram in world.peer.datagrams} == {0}
    world.peer.issue_id()
    world.settle()
    path = validated_path(world)
    ids = {p.dcid for p in world.peer.sent_on(path)}
    assert ids == {world.peer.issued[1][0]}


def test_27_all_ids_withdrawn_but_one_while_two_paths_are_in_use() -> None:
    """The active path gets the ID that is left; the other falls silent until there is one."""
    world = World(ServerScript(spare_ids=2)).connect()
    path = validated_path(world)
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


# --- 28 -----------------------------------------------------------------------------------------


def test_28_packets_from_unknown_addresses_are_dropped() -> None:
    """Each path is one pair of addresses; what comes on no path of ours is not looked at."""
    world = World().connect()
    path = validated_path(world)
    world.client.abandon(path, world.now, "test")
    world.settle()
    received = world.client.statistics().packets_received
    for stranger in (99, -1, path):
        packet = world.peer.seal(APPLICATION, fr.encode_connection_close(7, None, b"bye"))
        world.client.receive(stranger, packet, len(packet), 0, world.now)
    assert world.client.statistics().packets_received == received
    goes_on(world)


# --- 29 -----------------------------------------------------------------------------------------


def test_29_wrong_path_response_is_ignored() -> None:
    world = World(ServerScript(answer_challenges=False)).connect()
    path = other_path(world)
    world.client.validate(path, world.now)
    world.run_until(lambda: world.peer.sent_on(path))
    (sent,) = world.peer.sent_on(path)[0].all(fr.PATH_CHALLENGE)
    wrong = [bytes(8), sent[::-1], sent[:7] + bytes([sent[7] ^ 1])]
    for data in wrong:
        world.peer.send(APPLICATION, fr.encode_path_response(data), path=path)
    world.run_for(4 * world.delay)
    assert not world.seen(PathValidated)
    assert world.client.statistics().unmatched_path_responses == len(wrong)
    world.peer.send(APPLICATION, fr.encode_path_response(sent), path=path)
    world.run_for(4 * world.delay)
    assert len(world.seen(PathValidated)) == 1
    goes_on(world)


# --- 30 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [(127, 0, 0, 1), (10, 0, 0, 1), (169, 254, 1, 1)])
def test_30_a_preferred_address_moves_nothing_by_itself(address: tuple[int, ...]) -> None:
    """The core never goes there on its own; whether to go is a policy's decision."""
    value = preferred_address((bytes(address), 4433), b"prefer-1", TOKEN)
    script = ServerScript(parameters={PREFERRED_ADDRESS: value}, spare_ids=0)
    world = World(script).connect()
    world.run_for(5.0)
    assert world.client.live_paths() == [0]
    assert world.client.path_view(0).remote == REMOTE
    goes_on(world)


# --- 31 -----------------------------------------------------------------------------------------


def test_31_disable_active_migration_is_a_typed_refusal() -> None:
    world = World(ServerScript(parameters={DISABLE_ACTIVE_MIGRATION: b""})).connect()
    for local in (OTHER_LOCAL, (LOCAL[0], LOCAL[1] + 1), None):
        with pytest.raises(PathRefusedError) as caught:
            world.client.add_path(local, REMOTE)
        assert caught.value.refusal is Refusal.DISABLED_BY_PEER
    world.settle()
    assert {datagram.path for datagram in world.peer.datagrams} == {0}
    goes_on(world)


# --- 32 -----------------------------------------------------------------------------------------


def test_32_no_path_ever_goes_below_1200() -> None:
    """Errors of sockets do not reach the core: nothing there can shrink a path."""
    world = World().connect()
    path = validated_path(world)
    assert world.client.path_view(0).mtu >= 1200
    assert world.client.path_view(path).mtu >= 1200
    initials = [d for d in world.peer.datagrams if d.data[0] & 0xB0 == 0x80]
    assert initials
    assert all(len(d.data) >= 1200 for d in initials)


# --- 33 -----------------------------------------------------------------------------------------


def test_33_a_valid_stateless_reset_drains_quietly() -> None:
    world = World().connect()
    sent = len(world.peer.datagrams)
    world.peer.send_stateless_reset(world.peer.script.reset_token)
    world.settle()
    event = world.terminated
    assert event is not None
    assert event.ending is Ending.STATELESS_RESET
    for _ in range(10):
        world.peer.send(APPLICATION, b"\x01")
        world.settle()
    assert len(world.peer.datagrams) == sent, "a drained connection is silent"
    world.run_for(60.0)
    assert world.client.state is CoreState.CLOSED


@pytest.mark.parametrize("size", [21, 22, 42, 1200])
def test_33_a_stateless_reset_of_any_size(size: int) -> None:
    world = World().connect()
    world.peer.send_stateless_reset(world.peer.script.reset_token, size=size)
    world.settle()
    assert world.terminated is not None
    assert world.terminated.ending is Ending.STATELESS_RESET


def test_33_a_stateless_reset_behind_one_of_our_ids() -> None:
    """By chance its first bytes may be an ID of ours: then it is one that does not authenticate."""
    world = World().connect()
    noise = b"\x41" + world.peer.client_ids[0][0] + bytes(range(30))
    world.peer.send_datagram(noise + world.peer.script.reset_token)
    world.settle()
    assert world.terminated is not None
    assert world.terminated.ending is Ending.STATELESS_RESET


def test_33_wrong_tokens_are_ignored() -> None:
    world = World().connect()
    token = world.peer.script.reset_token
    for position in range(16):
        wrong = bytearray(token)
        wrong[position] ^= 1
        world.peer.send_stateless_reset(bytes(wrong))
    for unused in world.peer.issued.values():
        if unused[1] != token:
            world.peer.send_stateless_reset(unused[1])
    world.peer.send_datagram(b"\x43" + token)  # too short to be one
    world.settle()
    goes_on(world)


def test_33_the_token_of_a_retired_id_is_ignored() -> None:
    world = World().connect()
    world.peer.issue_id(20, retire_prior_to=20)
    world.settle()
    assert 0 in world.peer.retired
    world.peer.send_stateless_reset(world.peer.script.reset_token)
    world.settle()
    goes_on(world)
    world.peer.send_stateless_reset(world.peer.issued[20][1])
    world.settle()
    assert world.terminated is not None


def test_33_no_stateless_reset_before_the_handshake_is_complete() -> None:
    world = World(ServerScript(send_crypto=False))
    world.run_until(lambda: world.peer.tls.output)
    world.peer.send_stateless_reset(world.peer.script.reset_token)
    world.settle()
    assert world.terminated is None


def test_33_all_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many comparisons for a token that matches nothing as for any other datagram."""
    world = World().connect()
    paths = [0, validated_path(world, 2), validated_path(world, 3)]
    compared: list[int] = []
    genuine = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return genuine(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    packet = b"\x43" + bytes(60)
    world.client.receive(0, packet, len(packet), 0, world.now)
    assert compared == [16] * len(paths)
    compared.clear()
    packet += world.peer.script.reset_token
    world.client.receive(0, packet, len(packet), 0, world.now)
    assert compared == [16] * len(paths)
    assert not world.seen(PathFailed)
