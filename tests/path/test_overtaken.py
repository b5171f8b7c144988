"""Packets that another, faster path has overtaken."""

import pytest

from tests.path.driver import standby
from tests.peer.world import World
from trioquic._protocol.wire import frames as fr

APPLICATION = 2


@pytest.mark.parametrize("ahead", [100, 200, 300, 1000])
def test_a_packet_overtaken_by_more_than_its_number_can_express(ahead: int) -> None:
    """One byte of the number says less than how far the other path is ahead (section 17.1)."""
    world = World().connect()
    path = standby(world)
    data = bytes([fr.PATH_CHALLENGE]) + b"overtake"
    number = world.peer.next_number[APPLICATION]
    late = world.peer.seal(APPLICATION, data, number=number, pn_length=1, path=path, pad_to=1200)
    for following in range(number + 1, number + 1 + ahead):
        packet = world.peer.seal(APPLICATION, bytes([fr.PING]), number=following)
        world.client.receive(0, packet, len(packet), 0, world.now)
    before = world.client.statistics()
    world.client.receive(path, late, len(late), 0, world.now)
    after = world.client.statistics()
    assert after.packets_received == before.packets_received + 1
    assert after.dropped_unauthentic == before.dropped_unauthentic
    assert after.dropped_duplicate == before.dropped_duplicate
    # once is enough
    world.client.receive(path, late, len(late), 0, world.now)
    assert world.client.statistics().packets_received == after.packets_received
