"""Attacks 23, 28 to 33 and 53: challenges, strange addresses, stateless resets."""

import hmac

import pytest

from tests.attacks.expect import goes_on
from tests.path.driver import add, standby
from tests.peer.packets import APPLICATION
from tests.peer.script import (
    DISABLE_ACTIVE_MIGRATION,
    PREFERRED_ADDRESS,
    ServerScript,
    preferred_address,
)
from tests.peer.world import LOCAL, REMOTE, World
from trioquic._protocol.events import (
    Ending,
    PathMisled,
    PathReset,
    PathValidated,
)
from trioquic._protocol.lifetime import CoreState
from trioquic._protocol.path.refusal import PathRefusedError, Refusal
from trioquic._protocol.wire import frames as fr

OTHER_LOCAL = ("192.0.2.2", 50002)
CID_LIMIT = 8  # what our client announces
MOST_RESPONSES = 8
TOKEN = b"0123456789abcdef"


# --- 23 -----------------------------------------------------------------------------------------


def challenges(count: int, mark: bytes) -> bytes:
    data = [mark + number.to_bytes(4, "big") for number in range(count)]
    return b"".join(fr.encode_path_data(fr.PATH_CHALLENGE, each) for each in data)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_23_path_challenge_flood(elsewhere: bool) -> None:
    """A capped queue, at most one response each, on the path they came in on."""
    world = World(ServerScript(challenge_new_paths=False)).connect()
    path = standby(world) if elsewhere else 0
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


# --- 28 -----------------------------------------------------------------------------------------


def test_28_packets_from_unknown_addresses_are_dropped() -> None:
    """Each path is one pair of addresses; what comes on no path of ours is not looked at."""
    world = World().connect()
    path = standby(world)
    world.client.abandon(path, world.now)
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
    path = add(world)
    world.client.validate(path, world.now)
    world.run_until(lambda: world.peer.sent_on(path))
    (sent,) = world.peer.sent_on(path)[0].all(fr.PATH_CHALLENGE)
    wrong = [bytes(8), sent[::-1], sent[:7] + bytes([sent[7] ^ 1])]
    for data in wrong:
        world.peer.send(APPLICATION, fr.encode_path_data(fr.PATH_RESPONSE, data), path=path)
    world.run_for(4 * world.delay)
    assert not world.seen(PathValidated)
    assert world.client.statistics().unmatched_path_responses == len(wrong)
    world.peer.send(APPLICATION, fr.encode_path_data(fr.PATH_RESPONSE, sent), path=path)
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
    path = standby(world)
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


LONG_FORMS = {
    "of this version": b"\xc1\x00\x00\x00\x01",
    "of another version": b"\xf2\x0a\x0a\x0a\x0a",
    "of Version Negotiation": b"\x80\x00\x00\x00\x00",
    "that ends early": b"\xff",
}


@pytest.mark.parametrize("form", LONG_FORMS)
@pytest.mark.parametrize("to_us", [True, False])
def test_52_a_stateless_reset_with_a_long_header(form: str, to_us: bool) -> None:
    """RFC 9000 section 10.3: other versions may give it this form."""
    world = World().connect()
    dcid = world.client.source_id if to_us else b"stranger"
    head = LONG_FORMS[form] + b"\x08" + dcid + b"\x00" + bytes(range(20))
    world.peer.send_datagram(head + world.peer.script.reset_token[:15] + b"?")
    world.settle()
    assert world.terminated is None
    world.peer.send_datagram(head + world.peer.script.reset_token)
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
    paths = [0, standby(world, 2), standby(world, 3)]
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
    assert len(world.client.live_paths()) == len(paths)


# --- 53 -----------------------------------------------------------------------------------------


def test_53_a_reset_for_a_path_that_is_not_active_ends_that_path_alone() -> None:
    """Such as a worker sends that does not know the connection, when a probe from another port
    reaches it (section 10.3.1)."""
    world = World(ServerScript(answer_challenges=False)).connect()
    path = add(world)
    world.client.validate(path, world.now)
    world.run_until(lambda: world.peer.sent_on(path))
    token = world.peer.issued[1][1]
    assert world.peer.sent_on(path)[0].dcid == world.peer.issued[1][0]
    world.peer.send_stateless_reset(token, path)
    world.settle()
    assert [event.path_id for event in world.seen(PathReset)] == [path]
    assert world.client.live_paths() == [0]
    assert 1 in world.peer.retired
    goes_on(world)
    world.peer.send_stateless_reset(token)
    world.settle()
    goes_on(world)  # it is retired now


def test_53_also_when_it_comes_in_on_the_active_path() -> None:
    world = World().connect()
    path = standby(world)
    world.peer.send_stateless_reset(world.peer.issued[1][1], 0)
    world.settle()
    assert [event.path_id for event in world.seen(PathReset)] == [path]
    assert world.client.live_paths() == [0]
    goes_on(world)


def test_53_the_token_of_the_active_path_ends_the_connection_wherever_it_comes_in() -> None:
    world = World().connect()
    path = standby(world)
    world.peer.send_stateless_reset(world.peer.script.reset_token, path)
    world.settle()
    assert world.terminated is not None
    assert world.terminated.ending is Ending.STATELESS_RESET


def test_53_a_path_that_we_moved_to_unproven_ends_alone_while_there_is_another_way() -> None:
    """Once there is no other path and no connection ID for one, a reset is a reset."""
    world = World(ServerScript(spare_ids=3)).connect()
    first = add(world)
    world.client.migrate(first, world.now, unvalidated=True)
    world.client.abandon(0, world.now)
    world.cut |= {0, first}
    world.client.receive(
        first, reset := b"\x43" + bytes(40) + world.peer.issued[1][1], len(reset), 0, world.now
    )
    world.run_for(0.01)
    assert world.terminated is None
    assert world.client.active_path == -1
    second = add(world)
    world.client.migrate(second, world.now, unvalidated=True)
    world.client.receive(
        second, reset := b"\x43" + bytes(40) + world.peer.issued[2][1], len(reset), 0, world.now
    )
    world.run_for(0.01)
    assert world.terminated is not None
    assert world.terminated.ending is Ending.STATELESS_RESET


def test_53_what_is_no_reset_of_ours_is_a_hint_on_a_path_in_doubt_and_nothing_elsewhere() -> None:
    world = World(ServerScript(answer_challenges=False)).connect()
    path = add(world)
    world.client.validate(path, world.now)
    for where in (0, path, path):
        world.peer.send_stateless_reset(b"somebody else's!", where)
    world.settle()
    assert [event.path_id for event in world.seen(PathMisled)] == [path]
    assert world.client.path_view(path).stranger
    assert not world.client.path_view(0).stranger
    assert world.client.live_paths() == [0, path]
    goes_on(world)
