"""How large the datagrams of a connection are, against a scripted server and paths of all sizes."""

import pytest

from tests.attacks.expect import goes_on
from tests.path.driver import add, standby, upload, validate
from tests.peer.packets import Packet
from tests.peer.script import MAX_IDLE_TIMEOUT, MAX_UDP_PAYLOAD, ServerScript
from tests.peer.world import REMOTE, World
from trioquic._protocol.events import PathDegraded, PathSilent
from trioquic._protocol.path.path import MtuProbe
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint

SIZE = 100_000


def generous() -> ServerScript:
    """A server that takes datagrams of any size, and waits for ever."""
    return ServerScript(parameters={MAX_UDP_PAYLOAD: None, MAX_IDLE_TIMEOUT: None})


def narrow(world: World, limit: int, path: int | None = None) -> None:
    """Larger datagrams of the client vanish, on one path or on all."""

    def passed(on: int, data: bytes) -> bytes | None:
        return None if len(data) > limit and path in (None, on) else data

    world.to_peer = passed


def sizes(world: World, path: int = 0) -> list[int]:
    return [len(d.data) for d in world.peer.datagrams if d.path == path]


def mtu(world: World, path: int = 0) -> int:
    return world.client.path_view(path).mtu


def is_mtu_probe(packet: Packet) -> bool:
    """PING and PADDING, and nothing else."""
    return {frame.kind for frame in packet.frames} == {fr.PING, fr.PADDING}


def arrived(world: World, stream_id: int, data: bytes) -> bool:
    world.run_until(lambda: len(world.peer.stream(stream_id)) == len(data), 120.0, 100_000)
    return world.peer.stream(stream_id) == data


def uploaded(world: World, times: int = 1) -> bool:
    data = world.random.randbytes(SIZE)
    return all(arrived(world, upload(world, data), data) for _ in range(times))


def test_a_larger_size_waits_for_the_window() -> None:
    """RFC 8899 section 3: it does not increase the window in bytes, which has to hold two of them.
    Here it shrinks while the probe is on its way."""
    world = World(generous(), interface_mtu=9000).connect()
    upload(world, world.random.randbytes(400_000))
    inside = world.client._parts.paths.get(0)
    assert inside is not None
    world.run_until(lambda: any(size > 2000 for size in sizes(world)))
    assert mtu(world) == 1200
    control = inside.recovery.congestion
    control.on_persistent_congestion()
    probed = max(sizes(world))
    MtuProbe(inside, probed).acked()
    assert (control.window, inside.search.size) == (2400, probed)
    assert mtu(world) == 1200
    world.run_until(lambda: mtu(world) > 1200)
    assert control.window >= 2 * mtu(world)
    assert uploaded(world)


def test_an_upload_fills_what_the_interface_sends() -> None:
    world = World().connect()
    assert mtu(world) == 1200
    assert uploaded(world, 4)
    assert mtu(world) == 1472
    assert max(sizes(world)) == 1472
    assert sizes(world).count(1472) > 4 * SIZE / 1472 * 0.8


@pytest.mark.parametrize(
    ("limit", "found"),
    [(1200, 1200), (1251, 1200), (1300, 1292), (1372, 1372), (1463, 1452), (1471, 1464)],
)
def test_an_upload_finds_what_the_path_carries(limit: int, found: int) -> None:
    world = World().connect()
    narrow(world, limit)
    assert uploaded(world, 20)
    assert mtu(world) == found
    assert world.client.path_view(0).packets_lost <= 18
    assert not world.seen(PathSilent)


def test_the_loss_of_probes_is_no_congestion() -> None:
    """Section 14.4. Nothing else is lost here."""
    world = World().connect()
    narrow(world, 1200)
    assert uploaded(world, 8)
    assert world.client.path_view(0).packets_lost >= 6
    assert world.client._parts.paths._live[0].recovery.congestion.congestion_events == 0


def test_the_loss_of_a_probe_is_no_silence() -> None:
    """It arms no PTO: nothing is sent again for it."""
    world = World().connect()
    narrow(world, 1200)
    stream_id = upload(world, bytes(14_000))
    world.run_until(lambda: len(world.peer.stream(stream_id)) == 14_000)
    for _ in range(50):
        world.run_for(0.1)
        assert world.client.path_view(0).pto_count == 0
    assert not world.seen(PathSilent)


def test_a_probe_is_alone_and_carries_nothing() -> None:
    world = World().connect()
    seen = len(world.peer.packets)
    assert uploaded(world)
    datagrams = world.peer.datagrams
    large = [p for p in world.peer.packets[seen:] if len(datagrams[p.datagram].data) > 1200]
    assert is_mtu_probe(large[0])
    assert not any(is_mtu_probe(p) for p in large[1:])
    datagram = datagrams[large[0].datagram]
    assert len(datagram.packets) == 1
    assert len(datagram.data) == 1472


def test_who_sends_little_probes_nothing() -> None:
    """Requests and downloads, for hours: no datagram is full."""
    world = World(keep_alive=10.0).connect()
    for _ in range(20):
        world.client.streams.write(world.client.streams.open(True), b"GET /" + bytes(1000))
        world.run_for(400.0, 100_000)
    assert max(sizes(world)) == 1200
    goes_on(world)


def test_an_idle_connection_is_not_probed_again() -> None:
    """Not after 600 s either, unless there is data for it."""
    world = World(generous(), idle_timeout=0.0).connect()
    narrow(world, 1300)
    assert uploaded(world, 20)
    world.settle()
    world.to_peer = None
    seen = len(world.peer.datagrams)
    world.run_for(1200.0)
    assert not [d for d in world.peer.datagrams[seen:] if len(d.data) > 100]
    assert uploaded(world, 2)
    assert mtu(world) == 1472


def test_1200_turns_it_off() -> None:
    world = World(interface_mtu=9000, max_datagram_size=1200).connect()
    assert uploaded(world)
    assert max(sizes(world)) == 1200


def test_the_server_may_want_smaller_ones() -> None:
    script = ServerScript(parameters={MAX_UDP_PAYLOAD: encode_varint(1300)})
    world = World(script, interface_mtu=9000).connect()
    assert uploaded(world)
    assert max(sizes(world)) == mtu(world) == 1300


def test_jumbo_frames() -> None:
    world = World(generous(), interface_mtu=9000).connect()
    assert uploaded(world, 8)
    assert mtu(world) == 8972


# -- black holes -----------------------------------------------------------------------------------


def test_a_black_hole_in_the_middle_of_an_upload() -> None:
    """The PTO's probes are small, so that the path is not taken for dead, and a few of them show
    what it is."""
    world = World().connect()
    assert uploaded(world)
    assert mtu(world) == 1472
    pto = world.client.path_view(0).pto
    stream_id = upload(world, bytes(SIZE))
    narrow(world, 1250)
    began = world.now
    world.run_until(lambda: mtu(world) == 1200)
    assert world.now - began < 2 * (pto + 0.025 + 3 * world.delay)
    assert arrived(world, stream_id, bytes(SIZE))
    assert not world.seen(PathDegraded)
    assert mtu(world) == 1200


def test_what_was_a_black_hole_is_tried_again_later() -> None:
    world = World(generous(), idle_timeout=0.0).connect()
    assert uploaded(world)
    narrow(world, 1250)
    assert uploaded(world)
    assert mtu(world) == 1200
    world.to_peer = None
    world.run_for(1.0)
    assert uploaded(world)
    assert mtu(world) == 1472


@pytest.mark.parametrize("seed", range(5))
def test_heavy_loss_is_no_black_hole(seed: int) -> None:
    """A tenth of all datagrams is lost, whatever their size."""
    world = World(seed=seed).connect()

    def dropped(_path: int, data: bytes) -> bytes | None:
        return None if world.random.random() < 0.1 else data

    world.to_peer = dropped
    assert uploaded(world, 8)
    assert mtu(world) == 1472


def test_a_tail_that_is_lost_is_no_black_hole() -> None:
    """A queue that overflows loses everything behind it; what comes then gets through."""
    world = World().connect()
    assert uploaded(world)
    for _ in range(3):
        narrow(world, 1250)
        stream_id = upload(world, bytes(20_000))
        world.run_for(world.delay)
        world.to_peer = None
        assert arrived(world, stream_id, bytes(20_000))
        assert mtu(world) == 1472


# -- several paths ---------------------------------------------------------------------------------


def test_each_path_has_its_own_size() -> None:
    world = World(generous(), interface_mtu=9000).connect()
    assert uploaded(world, 8)
    path = add(world)
    validate(world, path)
    assert set(sizes(world, path)) == {1200}
    world.client.migrate(path, world.now)
    world.settle()
    assert (mtu(world), mtu(world, path)) == (8972, 1200)
    assert uploaded(world)
    assert mtu(world, path) == 1472
    assert max(sizes(world, path)) == 1472


def test_from_a_wide_path_to_a_narrow_one_in_the_middle() -> None:
    """What was lost on the old path in datagrams of 8972 bytes fits into those of the new one."""
    world = World(generous(), interface_mtu=9000).connect()
    path = world.client.add_path(("192.0.2.2", 50002), REMOTE, 1280)
    validate(world, path)
    assert uploaded(world, 8)
    assert mtu(world) == 8972
    data = world.random.randbytes(2 * SIZE)
    stream_id = upload(world, data)
    world.cut.add(0)
    world.run_until(lambda: world.client.path_view(0).pto_count)
    world.client.migrate(path, world.now)
    assert arrived(world, stream_id, data)
    assert mtu(world, path) == 1252


def test_coming_back_begins_with_1200_bytes() -> None:
    world = World().connect()
    assert uploaded(world)
    path = standby(world)
    world.client.migrate(path, world.now)
    world.settle()
    assert mtu(world) == 1472
    world.client.migrate(0, world.now)
    assert mtu(world) == 1200
    world.settle()
    assert uploaded(world)
    assert mtu(world) == 1472


def test_a_standby_is_not_probed_for_its_size() -> None:
    """PING is no probing frame: it would move the connection (section 9.1)."""
    world = World().connect()
    path = standby(world)
    assert uploaded(world)
    validate(world, path)
    assert set(sizes(world, path)) == {1200}


def test_challenges_stay_small_on_a_wide_path() -> None:
    """They ask whether the path works, which must not depend on large datagrams."""
    world = World().connect()
    assert uploaded(world)
    upload(world, bytes(SIZE))
    seen = len(world.peer.packets)
    world.client.validate(0, world.now)
    world.settle()
    challenges = [p for p in world.peer.packets[seen:] if p.has(fr.PATH_CHALLENGE)]
    assert challenges
    assert {len(world.peer.datagrams[p.datagram].data) for p in challenges} == {1200}
