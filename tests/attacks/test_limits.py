"""Attacks 47, 50 and 51, and the ends of numbers and keys: what is judged before a frame is read.

Numbers of sections are those of RFC 9000 unless another RFC is named.
"""

import pytest

from tests.attacks.expect import closed_with, dropped, goes_on
from tests.attacks.handshakes import half_open
from tests.peer.packets import APPLICATION, HANDSHAKE, INITIAL
from tests.peer.script import ServerScript
from tests.peer.world import World
from trioquic._protocol.errors import AEAD_LIMIT_REACHED, PROTOCOL_VIOLATION
from trioquic._protocol.wire import frames as fr

# --- 47 -----------------------------------------------------------------------------------------


def junk(dcid: bytes, size: int = 60) -> list[bytes]:
    """What looks like packets of the server that came before their keys."""
    noise = bytes((37 * i + 11) & 0xFF for i in range(size))
    scid = ServerScript().cid
    handshake = b"\xe0\x00\x00\x00\x01%c%b%c%b" % (len(dcid), dcid, len(scid), scid)
    return [b"\x41" + dcid + noise, handshake + (0x4000 | size).to_bytes(2, "big") + noise]


@pytest.mark.parametrize("cut", [8, 7, 1, 0])
def test_47_junk_with_foreign_ids_is_not_kept_and_causes_nothing(cut: int) -> None:
    """Section 5.2: what belongs to no connection is dropped, before there are keys as well."""
    world = half_open(INITIAL)
    sent, before = len(world.peer.datagrams), dropped(world)
    stranger = world.client.source_id[: 8 - cut] + b"stranger"[:cut]
    if not cut:
        stranger = stranger[:7] + bytes((stranger[7] ^ 1,))
    for _ in range(50):
        for datagram in junk(stranger):
            world.inject(datagram)
        world.run_for(0.001)
    assert len(world.client._receiver._long._undecryptable._kept) == 0
    assert dropped(world) - before == 100
    assert len(world.peer.datagrams) == sent, "the ClientHello is not repeated"
    world.peer.send_flight()
    world.connect()
    goes_on(world)


def test_47_junk_with_our_id_costs_little() -> None:
    """Whoever has seen the ClientHello knows the ID: some packets are kept, and the ClientHello is
    repeated a few times (RFC 9002 section 6.2.3)."""
    world = half_open(INITIAL)
    sent = len(world.peer.datagrams)
    for _ in range(1000):
        for datagram in junk(world.client.source_id):
            world.inject(datagram)
        world.run_for(0.0001)
    assert len(world.client._receiver._long._undecryptable._kept) <= 64
    assert len(world.peer.datagrams) - sent <= 12
    world.peer.send_flight()
    world.connect()
    goes_on(world)


def test_47_junk_does_not_bring_connection_close_again() -> None:
    """RFC 9000 section 10.2.1: it answers packets of the connection, and no others."""
    world = World().connect()
    world.client.close(0, "done", True, world.now)
    world.run_for(2 * world.delay)
    sent = len(world.peer.datagrams)
    for _ in range(20):
        for datagram in (*junk(b"stranger"), b"\x40", b"\xc0\x00\x00"):
            world.inject(datagram)
    world.run_for(2 * world.delay)
    assert len(world.peer.datagrams) == sent
    for _ in range(4):
        world.peer.send(APPLICATION, b"\x01")
        world.run_for(2 * world.delay)
    assert len(world.peer.datagrams) == sent + 3, "for the first, second and fourth"


# --- 50 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE])
@pytest.mark.parametrize("order", ["before", "after"])
def test_50_crypto_data_left_behind_when_keys_change(space: int, order: str) -> None:
    """RFC 9001 section 4.1.3: beyond a gap, where TLS does not see it, as well."""
    world = half_open(space)
    total = sum(len(data) for level, data in world.peer.tls.output if level == space)
    left = fr.encode_crypto(total + 50, b"left behind")
    if order == "before":
        world.attack(left, space)
        assert world.terminated is None
        world.peer.send_flight()
    else:
        for level, data in world.peer.tls.output:
            if level == space:
                world.peer.send_crypto(level, data)
                world.peer.send(space, left)
    world.settle()
    closed_with(world, PROTOCOL_VIOLATION, fr.CRYPTO)


@pytest.mark.parametrize("size", [0, 1])
def test_50_crypto_data_may_be_repeated_and_nothing_else(size: int) -> None:
    world = half_open(INITIAL)
    level, hello = world.peer.tls.output.pop(0)
    world.peer.send_crypto(level, hello)
    world.run_for(1.5 * world.delay)
    repeated = fr.encode_crypto(0, hello) + fr.encode_crypto(len(hello), b"x"[:size])
    world.peer.send(INITIAL, repeated)
    world.settle()
    if size:
        closed_with(world, PROTOCOL_VIOLATION, fr.CRYPTO)
    else:
        world.peer.send_flight()
        world.connect()


# --- 51 -----------------------------------------------------------------------------------------


def trials_of(keys: object, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often these keys have opened something, counted in the library's function."""
    trials: list[int] = []
    genuine = keys._decrypt  # type: ignore[attr-defined]

    def decrypt(*arguments: bytes) -> bytes:
        trials.append(1)
        return genuine(*arguments)  # type: ignore[no-any-return]

    monkeypatch.setattr(keys, "_decrypt", decrypt)
    return trials


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE, APPLICATION])
def test_51_a_duplicate_costs_what_a_fresh_packet_costs(
    space: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9000 section 12.3, RFC 9001 section 9.5: else the time tells what is under the header
    protection."""
    world = World().connect() if space == APPLICATION else half_open(space)
    if space == APPLICATION:
        assert world.client._parts.handshake.one_rtt is not None
        keys = world.client._parts.handshake.one_rtt._read
    else:
        found = world.client._parts.spaces[space].read
        assert found is not None
        keys = found
    trials = trials_of(keys, monkeypatch)
    packet = world.peer.seal(space, b"\x01")
    statistics = []
    for _ in range(3):
        world.inject(packet)
        statistics.append(world.client.statistics().dropped_duplicate)
    world.inject(packet[:-1] + bytes((packet[-1] ^ 1,)))
    assert len(trials) == 4, "one for each, in its first sight, as a duplicate and forged"
    assert statistics == [statistics[0] + n for n in range(3)]


# --- the ends of numbers and keys ---------------------------------------------------------------


def test_the_write_key_used_up_ends_with_a_word_and_then_in_silence() -> None:
    """RFC 9001 section 6.6, when the server never lets a key update come through."""
    world = World(ServerScript(acknowledge=False)).connect()
    keys = world.client._parts.handshake.one_rtt
    assert keys is not None
    keys.seal_limit = keys._sealed + 64
    world.client.ping()
    world.settle()
    closed_with(world, AEAD_LIMIT_REACHED)
    sent = len(world.peer.datagrams)
    keys.seal_limit = keys._sealed
    for _ in range(16):
        world.peer.send(APPLICATION, b"\x01")
    world.settle()
    assert len(world.peer.datagrams) == sent


def test_packet_numbers_used_up_end_in_silence() -> None:
    """RFC 9000 section 12.3: no CONNECTION_CLOSE, nor anything else."""
    world = World().connect()
    sent = len(world.peer.datagrams)
    world.client._parts.loss._numbers[APPLICATION].upcoming = (1 << 62) - 1
    world.client.ping()
    world.settle()
    assert len(world.peer.datagrams) == sent
    assert world.terminated is not None
    assert "packet numbers" in world.terminated.reason
    world.peer.send(APPLICATION, b"\x01")
    world.settle()
    assert len(world.peer.datagrams) == sent
