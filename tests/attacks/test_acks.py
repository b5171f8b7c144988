"""Attacks 19 to 22: acknowledgements that are wrong, huge or odd."""

import time

import pytest

from tests.attacks.expect import closed_with, goes_on
from tests.peer.packets import APPLICATION, HANDSHAKE, INITIAL
from tests.peer.script import ServerScript
from tests.peer.world import REMOTE, World
from trioquic._protocol.errors import FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION
from trioquic._protocol.events import PathValidated
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.varint import encode_varint

MOST_RANGES = 64


def upload(world: World, size: int = 400_000) -> int:
    """The client sends much; the peer gives credit for it."""
    stream_id = world.client.streams.open(True)
    world.peer.send(APPLICATION, fr.encode_integers(fr.MAX_DATA, 1 << 24))
    world.peer.send(APPLICATION, fr.encode_integers(fr.MAX_STREAM_DATA, stream_id, 1 << 24))
    world.settle()
    assert world.client.streams.write(stream_id, bytes(size)) == size
    return stream_id


def numbers(world: World, space: int = APPLICATION) -> set[int]:
    return {p.number for p in world.peer.packets if p.space == space}


# --- 19 -----------------------------------------------------------------------------------------


def test_19_ack_of_a_packet_never_sent_in_1_rtt() -> None:
    world = World().connect()
    largest = max(numbers(world))
    world.attack(fr.encode_ack([(largest + 50, largest + 50)], 0, None))
    closed_with(world, PROTOCOL_VIOLATION, fr.ACK)


@pytest.mark.parametrize("space", [INITIAL, HANDSHAKE])
def test_19_ack_of_a_packet_never_sent_in_the_handshake(space: int) -> None:
    world = World(ServerScript(send_crypto=False, acknowledge=False))
    world.run_until(lambda: world.peer.tls.output)
    if space == HANDSHAKE:
        world.peer.send_crypto(INITIAL, world.peer.tls.output[0][1])
        world.settle()
    world.attack(fr.encode_ack([(70, 70)], 0, None), space)
    closed_with(world, PROTOCOL_VIOLATION, fr.ACK)


def test_19_packet_numbers_are_skipped_to_catch_optimistic_acks() -> None:
    world = World().connect()
    upload(world)
    world.run_for(5.0)
    seen = numbers(world)
    skipped = sorted(set(range(max(seen))) - seen)
    assert skipped, "some numbers are never used"
    assert len(skipped) < len(seen) / 4
    world.attack(fr.encode_ack([(skipped[-1], skipped[-1])], 0, None))
    closed_with(world, PROTOCOL_VIOLATION, fr.ACK)


def test_19_an_ack_range_over_a_skipped_number() -> None:
    world = World().connect()
    upload(world)
    world.run_for(5.0)
    world.attack(fr.encode_ack([(0, max(numbers(world)))], 0, None))
    closed_with(world, PROTOCOL_VIOLATION, fr.ACK)


# --- 20 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        b"\x02\x05\x00\x00\x06",  # first range below zero
        b"\x02\x05\x00\x01\x00\x04\x00",  # gap below zero
        b"\x02\x05\x00\x01\x00\x02\x05",  # second range below zero
        b"\x02\x00\x00\x01\x00\x00\x00",
        b"\x03\x05\x00\x00\x06\x00\x00\x00",
        b"\x02\x05\x00" + encode_varint((1 << 62) - 1) + b"\x00",  # endless ranges announced
        b"\x02\x05\x00\x00" + encode_varint((1 << 62) - 1),
        b"\x02" + encode_varint((1 << 62) - 1) + b"\x00\x01\x00" + encode_varint((1 << 62) - 1),
    ],
)
def test_20_underflowing_ack_ranges(frame: bytes) -> None:
    world = World().connect()
    world.attack(frame)
    closed_with(world, FRAME_ENCODING_ERROR, frame[0])


def test_20_ack_with_a_range_over_all_numbers_there_are() -> None:
    """It must not be walked number by number."""
    world = World().connect()
    largest = (1 << 62) - 1
    started = time.perf_counter()
    world.attack(fr.encode_ack([(0, largest)], 0, None))
    assert time.perf_counter() - started < 5.0
    closed_with(world, PROTOCOL_VIOLATION, fr.ACK)


def test_20_acks_with_very_many_ranges_cost_linear_work() -> None:
    """A thousand frames of 550 ranges each: quadratic work would take minutes."""
    world = World().connect()
    upload(world, 800_000)
    world.run_until(lambda: len(numbers(world)) > 600)
    seen = sorted(numbers(world))
    every_other = [(n, n) for n in seen[-500:] if n % 2 == 0][::-1]
    frame = fr.encode_ack(every_other, 0, None)
    assert len(frame) < 1100
    started = time.perf_counter()
    for _ in range(300):
        world.inject(world.peer.seal(APPLICATION, frame))
    assert time.perf_counter() - started < 10.0
    world.run_for(3.0)
    goes_on(world)


def test_20_ranges_that_we_acknowledge_are_capped() -> None:
    world = World().connect()
    start = world.peer.next_number[APPLICATION]
    for step in range(2000):
        world.inject(world.peer.seal(APPLICATION, b"\x01", number=start + 2 * step))
    world.settle()
    acks = [f.value for f in world.peer.frames(fr.ACK)]
    assert acks[-1].largest == start + 2 * 1999
    assert 1 < len(acks[-1].ranges) <= MOST_RANGES
    assert max(len(ack.ranges) for ack in acks) <= MOST_RANGES
    goes_on(world)


@pytest.mark.parametrize("delay", [1 << 14, 1 << 30, (1 << 62) - 1])
def test_20_absurd_ack_delays_do_not_spoil_the_rtt(delay: int) -> None:
    world = World(ServerScript(acknowledge=False, handshake_done=False))
    for confirmed in (False, True):
        if confirmed:
            world.peer.send(APPLICATION, b"\x1e")
        for _ in range(5):
            world.run_for(0.1)
            for space in (INITIAL, HANDSHAKE, APPLICATION):
                if world.peer.ranges(space):
                    world.peer.send(space, fr.encode_ack(world.peer.ranges(space), delay, None))
    world.peer.script.acknowledge = True
    goes_on(world)
    view = world.client.path_view(0)
    assert view.rtt is not None and view.min_rtt is not None
    assert 0.019 < view.min_rtt <= view.rtt < 0.1
    assert 0 < view.pto < 0.5


# --- 21 -----------------------------------------------------------------------------------------

MAXIMUM = (1 << 62) - 1


def marked(world: World) -> bool:
    """Whether the newest packets of the client were marked."""
    newest = world.peer.datagrams[-5:]
    assert len({datagram.ecn for datagram in newest}) == 1
    return newest[0].ecn == 2


@pytest.mark.parametrize(
    "counts",
    [(0, 0, 0), (1, 0, 0), (0, 10, 0), (10, 1, 0), (MAXIMUM, MAXIMUM, MAXIMUM), (0, 0, MAXIMUM)],
)
@pytest.mark.parametrize("late", [False, True])
def test_21_impossible_ecn_counts_turn_ecn_off(counts: tuple[int, int, int], late: bool) -> None:
    world = World(ServerScript(report_ecn=True)).connect()
    stream_id = upload(world, 200_000)
    if late:
        world.run_until(lambda: len(world.peer.stream(stream_id)) > 50_000)
        assert marked(world), "an honest peer's counts keep it on"
    world.peer.script.acknowledge = False
    for _ in range(20):
        world.run_for(2 * world.delay)
        world.peer.send(APPLICATION, fr.encode_ack(world.peer.ranges(APPLICATION), 0, counts))
    world.peer.script.acknowledge = True
    world.run_until(lambda: len(world.peer.stream(stream_id)) == 200_000)
    assert not marked(world)
    goes_on(world)


def test_21_a_peer_that_reports_no_marks_turns_ecn_off() -> None:
    world = World(ServerScript(report_ecn=False)).connect()
    assert world.peer.datagrams[0].ecn == 2
    upload(world, 50_000)
    world.run_for(1.0)
    assert not marked(world)


def test_21_honest_counts_keep_ecn_on() -> None:
    world = World(ServerScript(report_ecn=True)).connect()
    upload(world, 200_000)
    world.run_for(2.0)
    assert marked(world)


def test_21_congestion_marks_without_end_shrink_the_window_and_no_more() -> None:
    world = World(ServerScript(report_ecn=True)).connect()
    stream_id = upload(world, 100_000)
    world.peer.script.acknowledge = False
    for _ in range(200):
        world.run_for(2 * world.delay)
        counts = (0, 0, world.peer.marks[APPLICATION])
        world.peer.send(APPLICATION, fr.encode_ack(world.peer.ranges(APPLICATION), 0, counts))
    world.peer.script.acknowledge = True
    world.run_until(lambda: len(world.peer.stream(stream_id)) == 100_000)
    assert world.client.path_view(0).congestion_window >= 2 * 1200
    goes_on(world)


# --- 22 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["forwards", "backwards", "twice", "after the end"])
def test_22_acks_of_probes_in_odd_orders(order: str) -> None:
    world = World(ServerScript(answer_challenges=False, acknowledge=False)).connect()
    peer = world.peer
    path = world.client.add_path(("192.0.2.2", 50002), REMOTE)
    world.client.validate(path, world.now)
    world.run_until(lambda: len(peer.sent_on(path)) >= 2)
    probes = [packet.number for packet in peer.sent_on(path)]
    if order == "after the end":
        world.client.abandon(path, world.now)
        world.run_for(0.5)
    wanted = {"backwards": probes[::-1], "twice": probes * 2}.get(order, probes)
    for number in wanted:
        peer.send(APPLICATION, fr.encode_ack([(number, number)], 0, None), path=0)
        world.run_for(2 * world.delay)
    assert not world.seen(PathValidated), "an ACK validates nothing"
    peer.script.acknowledge = peer.script.answer_challenges = True
    goes_on(world)


def test_22_old_acks_after_newer_ones() -> None:
    world = World().connect()
    upload(world, 100_000)
    old: list[bytes] = []
    for _ in range(30):
        world.run_for(world.delay)
        old.append(fr.encode_ack(world.peer.ranges(APPLICATION), 0, None))
    for frame in reversed(old):
        world.peer.send(APPLICATION, frame)
    world.settle()
    goes_on(world)
