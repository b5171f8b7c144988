"""Which of the server's addresses are used, and from which network (RFC 9000 section 9.6).

The server has the address of the handshake and prefers at most two others, one for each address
family. One of them is selected (section 9.6.1): on each network that of the family in use, or the
other where that is all the network has (section 9.6.3). The original address is left for good when
the connection has moved to a preferred one. Until then it is what counts where a preferred one was
asked in vain; where it cannot be reached itself that one is asked again, as nothing else is left.
"""

import ipaddress
import socket
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ..._protocol.path.preferred import PreferredAddress, PreferredState
from ..._protocol.path.reach import inside_of
from ...addresses import AddressPair
from ...networks import Interface, is_own
from ...paths import Address
from ..sockets.sockets import Remote


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The server's addresses, at one moment."""

    original: Address | None
    """That of the handshake; None when it was left for good."""
    preferred: tuple[Address, ...]
    """Those that may be used, also if they were asked in vain."""
    failed: frozenset[Address]
    """Of these, the ones that did not answer while the original one did."""
    in_use: Address
    """Where the connection is, or was last."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All of them."""
        return self.preferred if self.original is None else (self.original, *self.preferred)

    def used_on_each(self, pairs: Iterable[AddressPair]) -> dict[str, tuple[Address, ...]]:
        """Those that are used from each network, by its interface, in the order of the pairs. A
        network has its own selection: what another one reaches is no help to it."""
        reachable: defaultdict[str, set[Address]] = defaultdict(set)
        for pair in pairs:
            reachable[pair.interface].update(a for a in self.addresses if a[0] == pair.remote)
        return {name: self.used_from(addresses) for name, addresses in reachable.items()}

    def used_from(self, reachable: Collection[Address]) -> tuple[Address, ...]:
        """Those that are used from a network that has ways to all of these."""
        preferred = [address for address in self.preferred if address in reachable]
        if self.original is None or self.original not in reachable:
            return self._selected(preferred)
        return (self.original, *(() if self.failed else self._selected(preferred)))

    def _selected(self, preferred: list[Address]) -> tuple[Address, ...]:
        six = ":" in self.in_use[0]
        return tuple(sorted(preferred, key=lambda address: (":" in address[0]) != six)[:1])


def servers_of(preferred: PreferredAddress, handshake: Address) -> Servers:
    """What the core knows of them; those that the policy does not want are not used."""
    states = {address: preferred.state_of(address) for address in preferred.addresses}
    return Servers(
        original=None if preferred.reached else handshake,
        preferred=tuple(a for a, state in states.items() if state is not PreferredState.IGNORED),
        failed=frozenset(a for a, state in states.items() if state is PreferredState.FAILED),
        in_use=preferred.last or handshake,
    )


def own_of(
    preferred: PreferredAddress, handshake: Address, interfaces: Sequence[Interface]
) -> tuple[Address, ...]:
    """Preferred addresses that are this machine's own, which nobody has noticed yet. What listens
    here may trust a packet from here (section 21.5.3); a server of this machine's may have several
    of its addresses."""
    if is_own(handshake[0], interfaces):
        return ()
    states = {address: preferred.state_of(address) for address in preferred.addresses}
    return tuple(
        address
        for address, state in states.items()
        if state is not PreferredState.REACHED and _leads_here(address[0], interfaces)
    )


def _leads_here(address: str, interfaces: Sequence[Interface]) -> bool:
    """Whether this is one of our addresses, or a gateway makes one of it, such as a NAT64. The
    prefix of a NAT64 that a network has chosen for itself (RFC 6052) is not known."""
    inside = inside_of(ipaddress.ip_address(address))
    return any(is_own(each, interfaces) for each in (address, *map(str, inside)))


def remote_of(address: Address, original: Remote) -> Remote:
    """What a socket is connected to for an address of the server's; `original`: what the resolver
    said of the first one."""
    if address == original.address:
        return original
    return Remote(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, address)
