"""Paths that come, go, fall silent and are come back to."""

import pytest

from tests.attacks.expect import goes_on
from tests.path.driver import add, challenges, standby, upload, validate
from tests.peer.packets import APPLICATION
from tests.peer.script import ACTIVE_CID_LIMIT, ServerScript
from tests.peer.world import LOCAL, World
from trioquic._protocol.events import PathDegraded, PathRecovered, PathValidated, ValidationFailed
from trioquic._protocol.path.refusal import PathRefusedError, Refusal
from trioquic._protocol.path.state import PathState
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint


def test_an_rtt_learnt_by_probing_survives_a_challenge_of_the_server() -> None:
    # Answering the server's challenge on a standby path does not make it one that was in use.
    world = World().connect()
    path = standby(world)
    world.peer.challenge(path)
    world.settle()
    assert world.client.path_view(path).responses_sent == 1
    world.client.migrate(path, world.now)
    assert world.client.path_view(path).rtt == pytest.approx(2 * world.delay)


def test_coming_back_to_a_path_uses_what_was_probed_meanwhile() -> None:
    # Section 9.4 asks for a reset; RFC 9002 section 6.2.2 lets PATH_RESPONSE give the first RTT.
    world = World().connect()
    first, second = 0, standby(world)
    world.client.migrate(second, world.now)
    world.settle()
    world.delays[first] = 0.2
    validate(world, first)
    world.client.migrate(first, world.now)
    assert world.client.path_view(first).rtt == pytest.approx(0.4)
    assert world.client.path_view(first).bytes_in_flight < 1300
    goes_on(world)


def test_an_answer_after_lost_challenges_is_a_fresh_start() -> None:
    # The old path is dead, so ACKs of the challenges never come; the response is what shows that
    # the new path is alive. Its earlier silence must not count against it after the move. With
    # this delay another challenge is due between the first PTO and the end of the validation.
    world = World(delay=0.015).connect()
    world.cut.add(0)
    path = add(world)
    world.cut.add(path)
    world.client.validate(path, world.now)
    world.run_until(lambda: world.client.path_view(path).pto_count >= 1)
    world.cut.discard(path)
    world.run_until(lambda: world.seen(PathValidated))
    assert world.client.path_view(path).pto_count == 0
    world.client.migrate(path, world.now)
    world.settle()
    assert world.client.path_view(path).state is PathState.ACTIVE
    assert not [e for e in world.seen(PathDegraded) if e.path_id == path]
    goes_on(world)


def test_moving_to_a_path_that_was_silent_starts_with_one_pto() -> None:
    world = World().connect()
    path = add(world)
    world.cut.add(path)
    world.client.validate(path, world.now)
    world.run_until(lambda: world.seen(ValidationFailed))
    world.cut.discard(path)
    world.client.migrate(path, world.now, unvalidated=True)
    assert world.client.path_view(path).pto_count == 0
    world.settle()
    assert not world.seen(PathDegraded)
    goes_on(world)


def test_a_degraded_path_that_answers_a_challenge_has_recovered_once() -> None:
    world = World(keep_alive=0.5).connect()
    world.cut.add(0)
    world.run_until(lambda: world.seen(PathDegraded))
    world.client.validate(0, world.now)
    world.cut.discard(0)
    # acknowledgements still get lost: only the response comes through
    world.peer.script.acknowledge = False
    world.run_until(lambda: world.seen(PathValidated))
    assert world.client.path_view(0).state is PathState.ACTIVE
    world.peer.script.acknowledge = True
    world.peer.acknowledge(APPLICATION)
    world.settle()
    assert len(world.seen(PathDegraded)) == 1
    assert len(world.seen(PathRecovered)) == 1


def test_a_working_path_whose_challenges_stay_unanswered_goes_on() -> None:
    # The peer acknowledges what comes here: only the validation has failed.
    world = World(ServerScript(answer_challenges=False)).connect()
    world.client.validate(0, world.now)
    world.run_until(lambda: world.seen(ValidationFailed))
    assert world.client.path_view(0).state is PathState.ACTIVE
    world.settle()
    assert not world.seen(PathDegraded)
    assert not world.seen(PathRecovered)
    goes_on(world)


def test_the_original_address_alone_may_be_moved_to_without_validation() -> None:
    # Section 9.6.2: the preferred address must be validated before anything else goes there.
    world = World().connect()
    elsewhere = world.client.add_path(LOCAL, ("198.51.100.9", 4433))
    with pytest.raises(PathRefusedError) as caught:
        world.client.migrate(elsewhere, world.now, unvalidated=True)
    assert caught.value.refusal is Refusal.NOT_VALIDATED
    validate(world, elsewhere)
    world.client.migrate(elsewhere, world.now)
    goes_on(world)


def test_retire_prior_to_in_a_repeated_frame_is_obeyed() -> None:
    world = World().connect()
    known = max(world.peer.issued)
    cid, token = world.peer.issued[known]
    world.attack(fr.encode_new_connection_id(known, known, cid, token))
    assert set(range(known)) <= world.peer.retired
    goes_on(world)


def spinning() -> World:
    """A connection whose first path has the spin bit on and has just sent a 1."""
    for seed in range(1, 8):
        world = World(ServerScript(acknowledge=False), seed=seed).connect()
        for spin in (1, 0):
            world.peer.send_datagram(world.peer.seal(APPLICATION, bytes([fr.PING]), spin=spin))
            world.settle()
            if world.peer.packets[-1].first_byte & 0x20:
                return world
    raise AssertionError("no path had the spin bit on")


def test_the_spin_bit_starts_at_0_with_a_new_connection_id() -> None:
    # Section 17.4, last paragraph.
    world = spinning()
    last = max(world.peer.issued)
    world.peer.issue_id(retire_prior_to=last)
    world.run_until(lambda: last - 1 in world.peer.retired)
    moved = [p for p in world.peer.packets if p.dcid == world.peer.issued[last][0]]
    assert moved
    assert not moved[0].first_byte & 0x20


def test_the_spin_bit_follows_the_largest_packet_of_its_own_path() -> None:
    # Section 17.4: what came over other paths meanwhile is no matter, not even behind it.
    for seed in range(1, 8):
        world = World(seed=seed).connect()
        path = standby(world)
        first = world.peer.next_number[APPLICATION]
        ahead = world.peer.seal(APPLICATION, bytes([fr.PING]), number=first + 20)
        world.inject(ahead)
        shown = []
        for number, spin in ((first, 1), (first + 2, 0), (first + 1, 1)):
            challenge = bytes([fr.PATH_CHALLENGE]) + b"%08d" % number
            late = world.peer.seal(
                APPLICATION, challenge, number=number, path=path, spin=spin, pad_to=1200
            )
            world.inject(late, path)
            world.settle()
            shown.append(world.peer.sent_on(path)[-1].first_byte >> 5 & 1)
        if shown == [0, 1, 1]:
            return
        # off on this path, which is the case on one in sixteen
        assert len(set(shown)) == 1
    raise AssertionError("the spin bit is never that of the path")


def test_a_spin_bit_that_is_off_is_drawn_for_each_connection_id() -> None:
    # Section 17.4: so that it links none of them.
    shown = set()
    for seed in range(8):
        world = World(seed=seed, spin_bit=False).connect()
        before = world.peer.packets[-1]
        world.peer.issue_id(retire_prior_to=max(world.peer.issued))
        world.settle()
        world.client.ping()
        world.settle()
        after = world.peer.packets[-1]
        assert before.dcid != after.dcid
        shown.add((before.first_byte >> 5 & 1, after.first_byte >> 5 & 1))
    assert {first != second for first, second in shown} == {True, False}


def test_a_peer_that_would_hold_many_ids_is_given_a_few() -> None:
    # gtlsserver holds 7, but counts one or two of those it has retired: see cid/own.py
    world = World(ServerScript(parameters={ACTIVE_CID_LIMIT: encode_varint(7)})).connect()
    assert sorted(world.peer.client_ids) == [0, 1, 2, 3, 4]
    world.peer.path_ids[0] = 1
    world.attack(fr.encode_integers(fr.RETIRE_CONNECTION_ID, 0))
    assert sorted(world.peer.client_ids) == [0, 1, 2, 3, 4, 5]


def test_challenges_are_not_starved_by_data() -> None:
    world = World().connect()
    upload(world, bytes(1 << 20))
    world.peer.script.acknowledge = False  # the window stays shut
    world.run_for(0.05)
    before = len(challenges(world, 0))
    world.client.validate(0, world.now)
    world.run_for(0.03)
    assert len(challenges(world, 0)) == before + 1
