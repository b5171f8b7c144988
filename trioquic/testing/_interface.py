"""Network interfaces of a simulated host: addresses, up or down, and the link behind them."""

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trioquic import networks

from .._construction import NoPublicConstructor, create
from ._addresses import canonical, family_of, overhead, split_prefix
from ._flight import Flight
from ._link import Link, LinkDirection, LinkProfile
from ._nat import Nat
from ._record import Fate

if TYPE_CHECKING:
    from ._host import Host


Prefix = ipaddress.IPv4Network | ipaddress.IPv6Network


class Interface(metaclass=NoPublicConstructor, made_by="Host.add_interface"):
    """One interface of a host, made by `Host.add_interface`.

    `name`, `kind` ("ethernet", "wifi", "cellular", ...) and `metered` are what the host's snapshot
    reports. `index` is its number, from 1. Of two interfaces that could carry a datagram the one
    with the lower `metric` does, and of equals the older one.
    """

    def __init__(
        self,
        host: "Host",
        name: str,
        index: int,
        *,
        kind: networks.InterfaceKind,
        metered: bool | None,
        metric: int,
        routes: Sequence[str] | None,
        nat: Nat | None,
        profile: LinkProfile,
    ) -> None:
        self.host = host
        self.name = name
        self.index = index
        self.kind = kind
        self.metered = metered
        self.metric = metric
        self.mtu = 1500
        """Bytes of the largest IP packet; a larger one is refused with EMSGSIZE."""
        self._nat = nat
        self._up = True
        self._routes = _parsed(routes)
        self._prefixes: dict[str, int] = {}
        network = host.network
        self.link: Link = create(
            Link,
            create(LinkDirection, network, (host.name, name, "outbound"), profile, self._leave),
            create(LinkDirection, network, (host.name, name, "inbound"), profile, self._arrive),
        )
        """The access link that this interface hangs on."""

    def __repr__(self) -> str:
        state = "up" if self._up else "down"
        return f"<Interface {self.host.name}/{self.name} {state} {' '.join(self._prefixes)}>"

    @property
    def is_up(self) -> bool:
        return self._up

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses, without prefix lengths, in the order in which they were added."""
        return tuple(self._prefixes)

    @property
    def prefixes(self) -> tuple[tuple[str, int], ...]:
        """Its addresses, each with the length of its prefix."""
        return tuple(self._prefixes.items())

    def down(self) -> None:
        """Lose the carrier: nothing leaves or arrives, and sending fails with ENETUNREACH.

        The addresses stay, as IPv4 addresses do on Linux.
        """
        if self._up:
            self._up = False
            self.host._interfaces_changed()

    def up(self) -> None:
        """Get the carrier back."""
        if not self._up:
            self._up = True
            self.host._interfaces_changed()

    def set_routes(self, prefixes: Sequence[str] | None) -> None:
        """Replace the prefixes that lead through this interface; None: all addresses do. Raises
        ValueError for what is no prefix."""
        self._routes = _parsed(prefixes)
        self.host._routes_changed()

    def add_address(self, address: str) -> None:
        """Add an address, with or without prefix length ("192.0.2.7", "2001:db8::7/64").

        Raises ValueError if it is no numeric address, or somebody in the network has it. Hosts
        behind different NATs may have the same private address.
        """
        text, length = split_prefix(address)
        if text in self._prefixes:
            raise ValueError(f"{self.name} already has {text}")
        if self.host._owner_of(text) is not None:
            raise ValueError(f"{self.host.name} already has {text}")
        if not self._is_translated(text):
            self.host.network._claim(text, self)
        self._prefixes[text] = length
        self.host._interfaces_changed()

    def remove_address(self, address: str) -> None:
        """Take an address away; sending from it then fails with EADDRNOTAVAIL.

        Raises ValueError if the interface does not have it.
        """
        text = canonical(address)
        if text not in self._prefixes:
            raise ValueError(f"{self.name} does not have {text}")
        if not self._is_translated(text):
            self.host.network._release(text)
        del self._prefixes[text]
        self.host._interfaces_changed()

    def _is_translated(self, address: str) -> bool:
        return self._nat is not None and self._nat._translates(address)

    def _source_for(self, destination: str) -> str | None:
        """The address to send from; None if there is none of this family."""
        family = family_of(destination)
        return next((a for a in self._prefixes if family_of(a) == family), None)

    def _longest(self, destination: str) -> int:
        """The length of the longest prefix that has the destination; -1 without a route."""
        if self._routes is None:
            return 0
        address = ipaddress.ip_address(destination)
        lengths = [
            p.prefixlen for p in self._routes if p.version == address.version and address in p
        ]
        return max(lengths, default=-1)

    def _leads_to(self, destination: str) -> bool:
        """Whether a datagram for there can leave here."""
        return self._source_for(destination) is not None and self._longest(destination) >= 0

    def _fits(self, flight: Flight) -> bool:
        return len(flight.payload) + overhead(flight.destination[0]) <= self.mtu

    def _leave(self, flight: Flight) -> None:
        """The outbound wire's end: into the core."""
        if self._nat is not None:
            self._nat._outward(self, flight)
        self.host.network._route(flight)

    def _arrive(self, flight: Flight) -> None:
        """The inbound wire's end: into the host."""
        if not self._up:
            self.link.inbound._drop(flight, Fate.INTERFACE_DOWN)
        else:
            self.host._receive(flight, self)


def _parsed(prefixes: Sequence[str] | None) -> tuple[Prefix, ...] | None:
    return None if prefixes is None else tuple(ipaddress.ip_network(p) for p in prefixes)
