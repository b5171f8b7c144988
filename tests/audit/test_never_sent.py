"""What only a server says, and what comes of it when somebody else does (RFC 9000, RFC 9001)."""

import itertools

import pytest

from tests.attacks.expect import dropped, goes_on
from tests.attacks.handshakes import resume, silent
from tests.path.driver import standby
from tests.peer.packets import seal
from tests.peer.world import World
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.packets import ZERO_RTT_PACKET, encode_long_header
from trioquic._protocol.wire.versions import SPOKEN

from .test_early_data import world as early_world

# A version that nobody speaks, and none at all
OTHER_VERSIONS = (0x0A0A0A0A, 0xFF00001D, 0)


def long_header(version: int, ids: tuple[bytes, bytes], size: int = 1200) -> bytes:
    """As any version has it (RFC 8999 section 5.1), of the server's to us."""
    dcid, scid = ids
    head = b"\xc0" + version.to_bytes(4, "big")
    head += bytes([len(dcid)]) + dcid + bytes([len(scid)]) + scid
    return head + bytes(size - len(head))


def versions_of(world: World) -> set[int]:
    """Of all long headers at the beginning of the client's datagrams."""
    return {
        int.from_bytes(datagram.data[1:5], "big")
        for datagram in world.peer.datagrams
        if datagram.data[0] & 0x80
    }


def test_versions_that_nobody_speaks_are_answered_with_nothing() -> None:
    """RFC 9000 sections 5.2.1 and 6.1: Version Negotiation is for servers."""
    world = silent()
    ids = world.peer.client_ids[0][0], world.peer.original_dcid or b""
    for version in OTHER_VERSIONS:
        before = len(world.peer.datagrams)
        world.inject(long_header(version, ids))
        assert len(world.peer.datagrams) == before
    resume(world)
    before = len(world.peer.datagrams)
    for version in OTHER_VERSIONS:
        world.inject(long_header(version, ids))
        world.inject(long_header(version, (b"stranger", b"")))
    world.settle()
    assert len(world.peer.datagrams) == before
    assert versions_of(world) <= set(SPOKEN)
    goes_on(world)


@pytest.mark.parametrize("size", [20, 43, 44, 100, 1200])
def test_what_belongs_to_no_connection_is_answered_with_nothing(size: int) -> None:
    """RFC 9000 sections 10.3 and 11: no stateless reset is sent, as there is state. Nor is one on
    a path that was given up, or when the connection is over."""
    world = World().connect()
    path = standby(world)
    world.client.abandon(path, world.now)
    world.settle()
    stranger = b"\x41stranger" + bytes(range(256)) * 5
    before = len(world.peer.datagrams)
    world.inject(stranger[:size])
    world.inject(stranger[:size], path)
    world.settle()
    assert len(world.peer.datagrams) == before
    goes_on(world)
    world.client.close(0, "", True, world.now)
    world.run_for(10.0)
    before = len(world.peer.datagrams)
    world.inject(stranger[:size])
    world.run_for(10.0)
    assert len(world.peer.datagrams) == before


def test_our_connection_ids_are_all_of_random_bytes() -> None:
    """RFC 9000 section 5.1: they tell nothing, neither which belong together nor anything else. No
    byte is the same in all, no two have more in common than by chance, and other random bytes make
    other IDs."""
    ids = []
    for seed in range(8):
        world = World(seed=seed).connect()
        ids += [cid for cid, _ in world.peer.client_ids.values()]
    assert len(ids) >= 32
    for place in range(8):
        assert len({cid[place] for cid in ids}) > 16
    common = [
        sum(a == b for a, b in zip(one, other, strict=True))
        for one, other in itertools.combinations(ids, 2)
    ]
    assert max(common) <= 2
    again = World(seed=0).connect()
    assert [cid for cid, _ in again.peer.client_ids.values()] == ids[: len(again.peer.client_ids)]


@pytest.mark.parametrize("after", [False, True])
def test_a_0_rtt_packet_of_the_servers_is_dropped(after: bool) -> None:
    """RFC 9001 section 5.6: whatever it is sealed with, be it our own keys of the early data."""
    world, watch = early_world()
    zero_rtt = world.client._parts.handshake.zero_rtt
    assert zero_rtt is not None
    stream = world.client.streams.open(True)
    world.client.streams.write(stream, b"early")
    if after:
        world.connect()
    else:
        world.peer.script.send_crypto = world.peer.script.acknowledge = False
        world.run_until(lambda: world.peer.tls.output)
    assert watch.early()
    ids = world.peer.client_ids[0][0], world.peer.script.cid
    payload = fr.encode_connection_close(1, None, b"") + bytes(30)
    header = encode_long_header(ZERO_RTT_PACKET, *ids, b"", 0, 4, len(payload))
    before = dropped(world)
    world.inject(seal(zero_rtt.keys, header, 4, 0, payload))
    assert dropped(world) == before + 1
    assert world.terminated is None
    if after:
        goes_on(world)
    else:
        resume(world)
