"""Address translation between an access link and the core.

Mapping is endpoint-independent (RFC 4787 section 4.1): one inside address and port keeps one
outside port, whoever it talks to. Filtering is address- and port-dependent by default (section 5):
only those who were sent something get through. A mapping that nothing used for `timeout` is
forgotten, and `rebind` forgets all at once; the next datagram of the same socket then leaves from
another outside port, which is what a QUIC server sees as a migration that the client knows nothing
about.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING

from ._addresses import Endpoint, canonical, family_of
from ._flight import Flight

if TYPE_CHECKING:
    from ._interface import Interface

MAX_MAPPINGS = 65_536
MAX_CONTACTS = 1024
FIRST_PORT = 1024


class Mapping:
    """One inside endpoint and what it looks like from outside."""

    __slots__ = ("contacts", "inside", "interface", "port", "used")

    def __init__(self, interface: "Interface", inside: Endpoint, port: int) -> None:
        self.interface = interface
        self.inside = inside
        self.port = port
        self.used = 0.0
        self.contacts: OrderedDict[Endpoint, None] = OrderedDict()


class Nat:
    """A network address translator; give it to `Host.add_interface(nat=...)`.

    It stands between the access link and the core, and translates the addresses of the family of
    `outside`; the other family passes unchanged. Several interfaces may share one.

    `timeout` is the time in seconds after which an unused mapping is forgotten (None: never).
    With `filtering=False` anybody may send to a mapping once it exists.
    """

    def __init__(
        self, outside: str, *, timeout: float | None = None, filtering: bool = True
    ) -> None:
        self._outside = canonical(outside)
        self._family = family_of(self._outside)
        self.timeout = timeout
        self.filtering = filtering
        self._by_inside: OrderedDict[tuple[int, Endpoint], Mapping] = OrderedDict()
        self._by_port: dict[int, Mapping] = {}
        self._next_port = FIRST_PORT
        self._interfaces: list[Interface] = []

    @property
    def outside(self) -> str:
        """The outside address."""
        return self._outside

    @property
    def mappings(self) -> dict[Endpoint, Endpoint]:
        """Inside endpoint to outside endpoint, of what is mapped now."""
        return {m.inside: (self._outside, m.port) for m in self._by_inside.values()}

    def rebind(self, outside: str | None = None) -> None:
        """Forget every mapping, and take another outside address if one is given.

        Raises ValueError if that address is of another family, or somebody else has it.
        """
        if outside is not None:
            address = canonical(outside)
            if family_of(address) != self._family:
                raise ValueError(f"{outside} is of another family than {self._outside}")
            if address != self._outside:
                for interface in self._interfaces:
                    interface.host.network._claim(address, self)
                for interface in self._interfaces:
                    interface.host.network._release(self._outside)
                self._outside = address
        self._by_inside.clear()
        self._by_port.clear()

    def _translates(self, address: str) -> bool:
        return family_of(address) == self._family

    def _attach(self, interface: "Interface") -> None:
        interface.host.network._claim(self._outside, self)
        self._interfaces.append(interface)

    def _detach(self, interface: "Interface") -> None:
        self._interfaces.remove(interface)
        if not self._interfaces:
            interface.host.network._release(self._outside)

    def _outward(self, interface: "Interface", flight: Flight) -> None:
        """Give the datagram its outside source."""
        if not self._translates(flight.source[0]):
            return
        key = (id(interface), flight.source)
        mapping = self._by_inside.get(key)
        if mapping is not None and self._expired(mapping, flight.time):
            self._forget(key, mapping)
            mapping = None
        if mapping is None:
            mapping = Mapping(interface, flight.source, self._free_port())
            self._by_inside[key] = mapping
            self._by_port[mapping.port] = mapping
            if len(self._by_inside) > MAX_MAPPINGS // 2:
                self._forget(*next(iter(self._by_inside.items())))
        mapping.used = flight.time
        mapping.contacts[flight.destination] = None
        if len(mapping.contacts) > MAX_CONTACTS:
            mapping.contacts.popitem(last=False)
        flight.source = (self._outside, mapping.port)

    def _inward(self, flight: Flight) -> "Interface | None":
        """Give the datagram its inside destination, or return None for one nobody waits for."""
        mapping = self._by_port.get(flight.destination[1])
        if mapping is None or self._expired(mapping, flight.time):
            return None
        if self.filtering and flight.source not in mapping.contacts:
            return None
        mapping.used = flight.time
        flight.destination = mapping.inside
        return mapping.interface

    def _expired(self, mapping: Mapping, now: float) -> bool:
        return self.timeout is not None and now - mapping.used >= self.timeout

    def _forget(self, key: tuple[int, Endpoint], mapping: Mapping) -> None:
        del self._by_inside[key]
        del self._by_port[mapping.port]

    def _free_port(self) -> int:
        """The next port in turn, so that a rebinding never finds the old port again soon."""
        while self._next_port in self._by_port:
            self._advance_port()
        port = self._next_port
        self._advance_port()
        return port

    def _advance_port(self) -> None:
        self._next_port = self._next_port + 1 if self._next_port < 65_535 else FIRST_PORT
