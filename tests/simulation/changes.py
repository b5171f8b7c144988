"""Lets happen to the phone's networks what a `Case` lists."""

from collections.abc import Callable, Sequence

import trio

from tests.sim_world import World
from tests.simulation.case import Change
from trioquic.testing import Interface, LinkDirection, Nat


async def play(world: World, nat: Nat | None, changes: Sequence[Change]) -> None:
    """Every change at its time, counted from now."""
    start = trio.current_time()
    for change in changes:
        await trio.sleep_until(start + change.at)
        interface = world.phone.interface(change.interface)
        if change.what == "rebound":
            assert nat is not None
            nat.rebind()
        else:
            _ACTIONS[change.what](interface, change)


def _direction(interface: Interface, change: Change) -> list[LinkDirection]:
    link = interface.link
    return {
        "outbound": [link.outbound],
        "inbound": [link.inbound],
        "both": [link.outbound, link.inbound],
    }[change.direction]


def _silence(interface: Interface, change: Change) -> None:
    for direction in _direction(interface, change):
        direction.blackhole()


def _hear(interface: Interface, change: Change) -> None:
    for direction in _direction(interface, change):
        direction.restore()


def _lose_address(interface: Interface, change: Change) -> None:
    if change.address in interface.addresses:
        interface.remove_address(change.address)


def _add_address(interface: Interface, change: Change) -> None:
    if change.address not in interface.addresses:
        interface.add_address(change.address)


_ACTIONS: dict[str, Callable[[Interface, Change], None]] = {
    "down": lambda interface, change: interface.down(),
    "up": lambda interface, change: interface.up(),
    "silent": _silence,
    "heard": _hear,
    "address lost": _lose_address,
    "address new": _add_address,
    "narrow": lambda interface, change: interface.link.change(mtu=change.mtu),
}
