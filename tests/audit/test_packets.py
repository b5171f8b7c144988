"""Headers and closes."""

from tests.attacks.expect import dropped, goes_on
from tests.peer.packets import APPLICATION, seal
from tests.peer.world import World
from trioquic._protocol.wire import frames as fr


def test_a_packet_without_the_fixed_bit_is_no_packet() -> None:
    # Section 17.3.1: it MUST be discarded; section 5.2.2 gives no reason to close for it.
    world = World().connect()
    before = dropped(world)
    # the bit is authenticated, so it is not enough to clear it on the way
    keys, mask_keys = world.peer.keys.seal_keys(APPLICATION, 0)
    number = world.peer.next_number[APPLICATION]
    world.peer.next_number[APPLICATION] += 1
    header = bytes([0x03]) + world.peer.client_id(0) + number.to_bytes(4, "big")
    world.inject(seal(keys, header, 4, number, bytes([fr.PING]) + bytes(20), mask_keys))
    assert dropped(world) == before + 1
    goes_on(world)


def test_a_long_reason_is_cut_between_characters() -> None:
    world = World().connect()
    world.client.close(7, "x" + "ä" * 200, True, world.now)
    world.settle()
    assert world.peer.close is not None
    code, _, reason = world.peer.close
    assert code == 7
    assert reason.decode() == "x" + "ä" * 127
