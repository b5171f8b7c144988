"""Key updates of both sides, reordering around them, forged phase bits and the AEAD limits.

The peer is written out here, apart from the code under test: it derives each generation of keys
from the secrets and seals what it likes with any of them.
"""

import pytest

from trioquic._protocol.crypto.key_update import OneRttKeys
from trioquic._protocol.crypto.keys import (
    TLS_AES_128_GCM_SHA256,
    PacketKeys,
    packet_limits,
)
from trioquic._protocol.errors import AEAD_LIMIT_REACHED, KEY_UPDATE_ERROR, BadPacketError
from trioquic._protocol.facts import ConnectionFacts

SUITE = TLS_AES_128_GCM_SHA256
SERVER_SECRET = bytes(range(32))
CLIENT_SECRET = bytes(range(32, 64))
PTO = 0.1
HEADER = b"header"


class Pair:
    """The keys under test, and all generations of keys that a server would have."""

    def __init__(self, confirmed: bool = True) -> None:
        self.facts = ConnectionFacts()
        self.keys = OneRttKeys(SUITE, SERVER_SECRET, CLIENT_SECRET, self.facts)
        if confirmed:
            self.facts.on_confirmed()
        self.now = 0.0
        self.server = [PacketKeys.derive(SUITE, SERVER_SECRET)]
        self.client = [PacketKeys.derive(SUITE, CLIENT_SECRET)]
        for _ in range(4):
            self.server.append(self.server[-1].next_secret_keys())
            self.client.append(self.client[-1].next_secret_keys())

    def receive(self, pn: int, generation: int, phase: int | None = None) -> bytes | None:
        """A packet of the server, with the phase bit of its generation or a forged one."""
        sealed = self.server[generation].seal(pn, HEADER, b"from server")
        bit = generation & 1 if phase is None else phase
        return self.keys.open(pn, bit, HEADER, sealed, self.now, PTO)

    def forge(self, pn: int, phase: int) -> None:
        assert self.keys.open(pn, phase, HEADER, bytes(40), self.now, PTO) is None

    def send(self, pn: int) -> int:
        """Seal a packet; the generation whose keys open it."""
        sealed = self.keys.seal(pn, HEADER, b"from client")
        opened = [keys.open(pn, HEADER, sealed) == b"from client" for keys in self.client]
        assert opened.count(True) == 1
        generation = opened.index(True)
        assert self.keys.write_phase == generation & 1
        return generation

    def client_update(self, pn_next: int) -> None:
        assert self.keys.initiate_update(pn_next)


@pytest.fixture
def pair() -> Pair:
    return Pair()


class CountingDecrypt:
    """Stands in for an AEAD's decrypt and counts the trials."""

    def __init__(self, keys: PacketKeys, trials: list[int]) -> None:
        self.decrypt = keys._decrypt
        self.trials = trials
        keys._decrypt = self

    def __call__(self, nonce: bytes, data: bytes, header: bytes) -> bytes:
        self.trials.append(len(data))
        return self.decrypt(nonce, data, header)


def count_trials(keys: OneRttKeys) -> list[int]:
    """From here on, one entry for every attempt to decrypt with any of the present keys."""
    trials: list[int] = []
    for present in (keys._read, keys._read_next, keys._previous):
        if present is not None:
            CountingDecrypt(present, trials)
    return trials


def test_the_acknowledgement_of_early_data_says_nothing_of_these_keys(pair: Pair) -> None:
    # RFC 9001 sections 4.1.2 and 6.1: packet numbers go on, keys do not.
    assert not pair.keys.on_acked(4)
    for number in (5, 6):
        pair.send(number)
    assert not pair.keys.on_acked(4)
    assert not pair.keys.initiate_update(7)
    assert pair.keys.on_acked(5)
    pair.client_update(7)


def test_without_an_update_all_is_generation_0(pair: Pair) -> None:
    assert pair.receive(0, 0) == b"from server"
    assert pair.receive(7, 0) == b"from server"
    assert pair.receive(3, 0) == b"from server"
    assert pair.send(0) == 0
    assert (pair.keys.read_phase, pair.keys.write_phase, pair.keys.updates) == (0, 0, 0)


def test_the_server_updates(pair: Pair) -> None:
    pair.send(0)
    pair.receive(5, 0)
    assert pair.receive(6, 1) == b"from server"
    assert (pair.keys.read_phase, pair.keys.updates) == (1, 1)
    assert pair.send(1) == 1


def test_overtaken_packets_open_for_three_ptos(pair: Pair) -> None:
    pair.receive(5, 0)
    pair.receive(8, 1)
    assert pair.receive(6, 0) == b"from server"
    pair.now = 3 * PTO - 0.001
    assert pair.receive(7, 0) == b"from server"
    pair.now = 3 * PTO
    assert pair.receive(4, 0) is None
    assert pair.receive(9, 1) == b"from server"


def test_the_client_updates_and_the_server_follows(pair: Pair) -> None:
    pair.receive(0, 0)
    assert pair.send(0) == 0
    pair.keys.on_acked(0)
    pair.client_update(1)
    assert pair.send(1) == 1
    # what the server still sends with the old keys is read as before
    assert pair.receive(1, 0) == b"from server"
    assert pair.keys.read_phase == 0
    # its answer carries the new phase, and completes the update without starting another
    assert pair.receive(2, 1) == b"from server"
    pair.keys.on_acked(1)
    assert (pair.keys.read_phase, pair.keys.write_phase, pair.keys.updates) == (1, 1, 1)
    assert pair.send(2) == 1


def test_both_update_at_the_same_time(pair: Pair) -> None:
    pair.receive(0, 0)
    pair.send(0)
    pair.keys.on_acked(0)
    pair.client_update(1)
    assert pair.receive(1, 1) == b"from server"
    assert pair.send(1) == 1
    assert pair.keys.updates == 1


def test_many_updates_by_turns(pair: Pair) -> None:
    for generation in range(4):
        assert pair.receive(10 * generation, generation) == b"from server"
        assert pair.send(generation) == generation
        pair.keys.on_acked(generation)
        pair.now += 1.0
        assert pair.receive(10 * generation + 1, generation) == b"from server"
        if generation % 2:
            pair.client_update(generation + 1)
    assert pair.keys.updates == 4


def test_when_the_client_may_not_update() -> None:
    pair = Pair(confirmed=False)
    keys = pair.keys
    pair.send(0)
    keys.on_acked(0)
    assert not keys.initiate_update(1)  # not confirmed
    pair.facts.on_confirmed()
    pair.client_update(1)
    pair.send(1)
    assert not keys.initiate_update(2)  # the server has not followed
    pair.receive(0, 1)
    keys.on_acked(1)
    assert not keys.initiate_update(2)  # the keys before are still kept
    pair.now = 3 * PTO
    pair.receive(1, 1)
    pair.client_update(2)
    assert (keys.updates, pair.send(2)) == (2, 2)


def test_an_update_needs_an_acknowledgement_in_its_own_phase(pair: Pair) -> None:
    keys = pair.keys
    pair.send(0)
    keys.on_acked(0)
    pair.client_update(1)
    pair.send(1)
    pair.receive(0, 1)
    pair.now = 3 * PTO
    pair.receive(1, 1)
    assert not keys.initiate_update(2)
    keys.on_acked(0)
    assert not keys.initiate_update(2)
    keys.on_acked(1)
    pair.client_update(2)


def test_the_first_packet_of_a_phase_that_the_server_began_counts_as_its_first(pair: Pair) -> None:
    pair.send(0)
    pair.send(1)
    pair.receive(0, 1)
    pair.now = 3 * PTO
    pair.receive(1, 1)
    pair.keys.on_acked(1)
    assert not pair.keys.initiate_update(2)
    pair.send(2)
    pair.keys.on_acked(2)
    pair.client_update(3)


def test_a_second_update_before_the_first_was_answered(pair: Pair) -> None:
    pair.send(0)
    pair.receive(0, 0)
    pair.receive(1, 1)
    with pytest.raises(BadPacketError) as caught:
        pair.receive(2, 2)
    assert caught.value.code == KEY_UPDATE_ERROR


def test_a_second_update_after_our_answer_is_fine(pair: Pair) -> None:
    pair.receive(0, 0)
    pair.receive(1, 1)
    pair.send(0)
    assert pair.receive(2, 2) == b"from server"
    # a packet overtaken by both updates is gone; one overtaken by the last is not
    assert pair.receive(1, 1) == b"from server"


def test_keys_never_go_back(pair: Pair) -> None:
    pair.receive(0, 0)
    pair.receive(1, 1)
    pair.receive(4, 1)
    with pytest.raises(BadPacketError) as caught:
        pair.receive(2, 0)
    assert caught.value.code == KEY_UPDATE_ERROR


def test_the_first_packet_of_a_phase_may_come_late(pair: Pair) -> None:
    """The lowest number of the phase is what counts, in whatever order its packets come."""
    pair.receive(0, 0)
    pair.receive(9, 1)
    pair.receive(5, 1)
    assert pair.receive(4, 0) == b"from server"
    with pytest.raises(BadPacketError):
        pair.receive(6, 0)


@pytest.mark.parametrize("pn", [0, 4, 5])
def test_newer_keys_below_older_ones(pair: Pair, pn: int) -> None:
    pair.receive(4, 0)
    pair.receive(5, 0)
    with pytest.raises(BadPacketError) as caught:
        pair.receive(pn, 1)
    assert caught.value.code == KEY_UPDATE_ERROR


def test_old_keys_with_a_new_number(pair: Pair) -> None:
    """Section 6.4: the peer must not go back; once the old keys are gone nobody can tell."""
    pair.receive(0, 0)
    pair.receive(1, 1)
    with pytest.raises(BadPacketError) as caught:
        pair.receive(2, 0)
    assert caught.value.code == KEY_UPDATE_ERROR
    pair.now = 3 * PTO
    assert pair.receive(3, 0) is None
    assert pair.keys.read_phase == 1


def test_our_update_acknowledged_with_old_keys(pair: Pair) -> None:
    pair.send(0)
    pair.keys.on_acked(0)
    pair.client_update(1)
    pair.send(1)
    pair.keys.on_acked(0)
    with pytest.raises(BadPacketError) as caught:
        pair.keys.on_acked(1)
    assert caught.value.code == KEY_UPDATE_ERROR


def test_a_forged_phase_bit_costs_one_trial_and_changes_nothing(pair: Pair) -> None:
    pair.receive(10, 0)
    trials = count_trials(pair.keys)
    for pn in (0, 9, 10, 11, 1 << 61):
        for phase in (0, 1):
            pair.forge(pn, phase)
            assert len(trials) == 1
            trials.clear()
    assert (pair.keys.read_phase, pair.keys.write_phase, pair.keys.updates) == (0, 0, 0)
    assert pair.receive(11, 0) == b"from server"
    assert pair.receive(9, 0) == b"from server"
    assert pair.receive(12, 1) == b"from server"


@pytest.mark.parametrize("after", [0.0, 3 * PTO])
def test_a_forged_phase_bit_after_an_update(pair: Pair, after: float) -> None:
    """Whether or not the keys before the current ones are still kept."""
    pair.receive(10, 0)
    pair.receive(20, 1)
    pair.send(0)
    pair.now = after
    trials = count_trials(pair.keys)
    for pn in (0, 19, 20, 21, 1 << 61):
        for phase in (0, 1):
            pair.forge(pn, phase)
            suspect = not after and pn > 20 and phase == 0
            assert len(trials) == (2 if suspect else 1)
            trials.clear()
    assert (pair.keys.read_phase, pair.keys.write_phase, pair.keys.updates) == (1, 1, 1)
    assert pair.receive(19, 0) == (None if after else b"from server")
    assert pair.receive(21, 1) == b"from server"
    assert pair.receive(22, 2) == b"from server"


def test_a_genuine_packet_with_the_bit_flipped_fails(pair: Pair) -> None:
    assert pair.receive(0, 0, phase=1) is None
    assert pair.receive(0, 1, phase=0) is None
    assert pair.keys.updates == 0


def test_sealing_is_limited(pair: Pair) -> None:
    """The last packets that a key may seal are kept for CONNECTION_CLOSE (RFC 9001, 6.6)."""
    keys = pair.keys
    assert keys.failure_limit == packet_limits(SUITE)[1]
    assert keys.seal_limit == packet_limits(SUITE)[0]
    keys.seal_limit = 200
    due = []
    for pn in range(101):
        due.append(keys.update_due)
        pair.send(pn)
    assert due == [False] * 100 + [True]
    keys.on_acked(100)
    pair.client_update(101)
    # every key has the whole limit; the last of them is never exceeded
    for pn in range(101, 237):
        pair.send(pn)
    for _ in range(2):
        with pytest.raises(BadPacketError) as caught:
            keys.seal(237, HEADER, b"")
        assert caught.value.code == AEAD_LIMIT_REACHED
    keys.on_closing()
    for pn in range(237, 301):
        pair.send(pn)
    with pytest.raises(BadPacketError) as caught:
        keys.seal(301, HEADER, b"")
    assert caught.value.code == AEAD_LIMIT_REACHED


def test_header_protection_stays_through_updates(pair: Pair) -> None:
    sample = bytes(range(16))
    before = pair.keys.masks(sample), pair.keys.writer.masks(sample)
    assert before[0] != before[1]
    pair.receive(0, 1)
    assert (pair.keys.masks(sample), pair.keys.writer.masks(sample)) == before
