"""Attacks 9 and 10: Version Negotiation and Retry."""

import pytest

from tests.attacks.expect import goes_on
from tests.attacks.handshakes import (
    resume,
    silent,
)
from tests.peer.packets import INITIAL
from tests.peer.script import (
    ServerScript,
)
from tests.peer.world import World
from trioquic._protocol import events as ev

# --- 9 ------------------------------------------------------------------------------------------


def test_9_version_negotiation_that_lists_our_version_is_ignored() -> None:
    world = silent()
    world.peer.send_version_negotiation((0xFF00001D, 1, 0x0A0A0A0A))
    world.settle()
    assert world.terminated is None
    resume(world)


@pytest.mark.parametrize("ids", [{"dcid": b"wrong-id"}, {"scid": b"wrong-id"}, {"scid": b""}])
def test_9_version_negotiation_with_wrong_ids_is_ignored(ids: dict[str, bytes]) -> None:
    world = silent()
    world.peer.send_version_negotiation((0xFF00001D,), **ids)
    world.settle()
    assert world.terminated is None
    resume(world)


def test_9_late_version_negotiation_is_ignored() -> None:
    world = silent()
    world.peer.send(INITIAL, b"\x01")
    world.settle()
    world.peer.send_version_negotiation((0xFF00001D,))
    world.settle()
    assert world.terminated is None
    resume(world)
    world.peer.send_version_negotiation((0xFF00001D,))
    goes_on(world)


@pytest.mark.parametrize("tail", [b"", b"\x00", b"\xff\x00\x00"])
def test_9_version_negotiation_without_or_with_broken_versions(tail: bytes) -> None:
    world = silent()
    world.peer.send_version_negotiation(())
    path, data = world.peer.outbox.pop()
    world.peer.send_datagram(data + tail, path)
    world.settle()
    assert world.terminated is None
    resume(world)


def test_9_honest_version_negotiation_ends_with_a_typed_reason() -> None:
    world = silent()
    world.peer.send_version_negotiation((0xFF00001D, 0x6B3343CF))
    world.settle()
    event = world.terminated
    assert event is not None
    assert event.ending is ev.Ending.VERSION
    assert "0x6b3343cf" in event.reason


# --- 10 -----------------------------------------------------------------------------------------


def test_10_a_good_retry_is_followed() -> None:
    world = World(ServerScript(retry=True)).connect()
    initials = [p for p in world.peer.packets if p.space == INITIAL]
    assert initials
    assert all(p.token == world.peer.script.retry_token for p in initials)
    assert {p.dcid for p in initials} <= {world.peer.script.retry_cid, world.peer.script.cid}
    assert [p.number for p in initials] == sorted({p.number for p in initials})
    assert initials[0].number > 0, "RFC 9000 section 17.2.5.3: packet numbers go on"
    goes_on(world)


@pytest.mark.parametrize("unused", [0x1, 0x6, 0xF])
def test_10_the_unused_bits_of_a_retry_mean_nothing(unused: int) -> None:
    """RFC 9000 section 17.2.5."""
    world = silent()
    sent = len(world.peer.packets)
    world.peer.send_retry(unused=unused)
    world.peer.keys.set_initial(world.peer.script.retry_cid)
    world.run_for(0.1)
    followed = world.peer.packets[sent:]
    assert followed
    assert all(packet.token == world.peer.script.retry_token for packet in followed)


def test_10_retry_with_a_bad_tag_is_discarded() -> None:
    world = silent()
    sent = len(world.peer.packets)
    world.peer.send_retry(tag=bytes(16))
    world.peer.send_retry(tag=b"\xff" * 16)
    world.run_for(0.1)
    assert not [p for p in world.peer.packets[sent:] if p.token]
    assert not world.peer.undecryptable, "it has not changed its keys"
    resume(world)


def test_10_retry_with_an_empty_token_is_discarded() -> None:
    world = silent()
    world.peer.send_retry(token=b"")
    world.run_for(0.1)
    assert not world.peer.undecryptable
    resume(world)


@pytest.mark.parametrize("size", [1, 63, 64, 500, 1000, 1100])
def test_10_retry_with_a_long_token_is_followed(size: int) -> None:
    world = World(ServerScript(retry=True, retry_token=b"t" * size)).connect()
    assert all(len(d.data) >= 1200 for d in world.peer.datagrams if d.data[0] & 0xF0 == 0xC0)
    goes_on(world)


@pytest.mark.parametrize("size", [1140, 1160, 1200, 5000, 17_000])
def test_10_retry_with_a_token_that_fits_no_datagram_is_discarded(size: int) -> None:
    """No Initial could carry it, so no honest server sends it; the one after it is followed."""
    world = silent()
    world.peer.send_retry(token=b"t" * size)
    world.run_for(2.0, steps=200)
    assert all(not p.token for p in world.peer.packets)
    resume(world)


def test_10_a_second_retry_is_discarded() -> None:
    world = World(ServerScript(retry=True, send_crypto=False))
    world.run_until(lambda: world.peer.tls.output)
    world.peer.script.retry_cid, first = b"\xcfsecond-retry", world.peer.script.retry_cid
    world.peer.send_retry(token=b"another token")
    world.peer.script.retry_cid = first
    world.run_for(0.1)
    assert all(p.token != b"another token" for p in world.peer.packets)
    resume(world)


def test_10_a_late_retry_is_discarded() -> None:
    world = silent()
    world.peer.send(INITIAL, b"\x01")
    world.settle()
    world.peer.send_retry()
    world.run_for(0.1)
    assert all(not p.token for p in world.peer.packets)
    resume(world)
    world.peer.send_retry()
    goes_on(world)


def test_10_retry_whose_id_equals_the_clients_choice_is_discarded() -> None:
    """RFC 9000 section 17.2.5.1."""
    world = silent()
    assert world.peer.original_dcid is not None
    world.peer.script.retry_cid = world.peer.original_dcid
    world.peer.send_retry()
    world.run_for(0.1)
    assert all(not p.token for p in world.peer.packets)
    resume(world)
