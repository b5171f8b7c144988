"""What is there at one moment: the core's paths and the networks, put together.

A path whose address was never seen in a snapshot (a loopback alias, an address that the system
chose on an interface nobody lists) counts as usable.
"""

import functools
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..._protocol.path.view import PathView
from ...addresses import AddressPair, LeftOut
from ...networks import Interface
from ...paths import Address
from ..paths.servers import Servers
from .memory import Way

# Connections to the same server from the same networks ask the same questions.
_MOST_ANSWERS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSight:
    """A path: the core's view, what its socket is bound to, and the interface that this is."""

    core: PathView
    local: Address
    interface: str | None
    """What the socket is tied to, by the name that the system has for it."""
    home: Interface | None
    listed: bool
    """Whether its address is among those of `home`."""
    pinned: bool
    suspended: bool

    @property
    def name(self) -> str | None:
        """The name of its interface, as far as that is known."""
        return self.interface if self.home is None else self.home.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Paths and networks, at one moment."""

    paths: tuple[PathSight, ...]
    active: int
    pairs: tuple[tuple[AddressPair, Way], ...]
    """Every pair in order, and where a path of it leads."""
    left_out: dict[tuple[str, str], LeftOut]
    """Why an interface is no candidate for an address of the server."""
    preferred: tuple[Address, ...]
    known: frozenset[Address]
    """Where the server has answered."""
    spare_ids: int
    answerable: int
    migration_allowed: bool
    preferred_pending: bool
    lost: str
    """Why there is no active path, if so."""

    def why_not(self, interface: str | None, remote: Address) -> LeftOut | None:
        """Why an interface is no candidate for this address of the server."""
        return self.left_out.get((interface or "", remote[0]))

    def has_route(self, interface: str | None, remote: Address) -> bool:
        """Whether the system has a route to the server there, or knows of none at all."""
        return self.why_not(interface, remote) is not LeftOut.NO_ROUTE


def home_of(
    address: str, name: str | None, interfaces: tuple[Interface, ...], named: bool
) -> tuple[Interface | None, bool]:
    """The interface of a path from this address, tied to the interface of this name, and whether
    the address is listed there. `named`: the source knows the interface by that name."""
    home, listed = _interface_of(address, name if named else None, interfaces)
    if name is not None and not listed:
        # Tied to it with an address of another one; or the application does not know it, and
        # that the address is in another network's range is chance.
        home = next((interface for interface in interfaces if interface.name == name), None)
    return home, listed


def ways_of(pairs: Sequence[AddressPair], servers: Servers) -> tuple[tuple[AddressPair, Way], ...]:
    """Where paths could lead: from each network to those of the server's addresses that are used
    from there, in the order of the pairs."""
    used = servers.used_on_each(pairs)
    return tuple(
        (pair, (pair.local, pair.interface, remote))
        for pair in pairs
        for remote in servers.addresses
        if pair.source_rank == 0 and pair.remote == remote[0] and remote in used[pair.interface]
    )


@functools.lru_cache(_MOST_ANSWERS)
def _interface_of(
    address: str, named: str | None, interfaces: tuple[Interface, ...]
) -> tuple[Interface | None, bool]:
    """The interface of a local address, and whether the address itself is listed there.

    An address that is not listed may still be in an interface's network (127.0.0.2)."""
    inside: Interface | None = None
    parsed = ipaddress.ip_address(address.partition("%")[0]) if address else None
    for interface in interfaces:
        if named is not None and interface.name != named:
            continue
        for entry in interface.addresses:
            if entry.address == address:
                return interface, True
            network = ipaddress.ip_network(f"{entry.address}/{entry.prefix_length}", strict=False)
            if parsed is not None and parsed in network:
                inside = inside or interface
    return inside, False
