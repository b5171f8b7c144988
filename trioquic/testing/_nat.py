"""Address translation between an access link and the core.

Mapping is endpoint-independent (RFC 4787 section 4.1): one inside address and port keeps one
outside port, whoever it talks to. Filtering is address- and port-dependent by default (section 5):
only those who were sent something get through. A mapping that nothing used for `timeout` is
forgotten, and `rebind` forgets all at once; the next datagram of the same socket then leaves from
another outside port: for a QUIC server a migration that the client knows nothing about.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from ._addresses import Endpoint, canonical, family_of
from ._core import AddressOwner, Core
from ._flight import DatagramInFlight

MAX_MAPPINGS = 65_536
MAX_CONTACTS = 1024
FIRST_PORT = 1024


@dataclass(slots=True, eq=False)
class NatMapping:
    """One inside endpoint and what it looks like from outside."""

    owner: AddressOwner
    inside: Endpoint
    port: int
    used: float = 0.0
    contacts: OrderedDict[Endpoint, None] = field(default_factory=OrderedDict)


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
        self._by_inside: OrderedDict[tuple[int, Endpoint], NatMapping] = OrderedDict()
        self._by_port: dict[int, NatMapping] = {}
        self._next_port = FIRST_PORT
        # of each interface behind it
        self._cores: list[Core] = []

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
                for core in self._cores:
                    core.claim(address, self)
                for core in self._cores:
                    core.release(self._outside)
                self._outside = address
        self._by_inside.clear()
        self._by_port.clear()

    def _translates(self, address: str) -> bool:
        return family_of(address) == self._family

    def _attach(self, core: Core) -> None:
        """One more interface of this network is behind it."""
        core.claim(self._outside, self)
        self._cores.append(core)

    def _detach(self, core: Core) -> None:
        self._cores.remove(core)
        if core not in self._cores:
            core.release(self._outside)

    def _outward(self, owner: AddressOwner, flight: DatagramInFlight) -> None:
        """Give the datagram its outside source."""
        if not self._translates(flight.source[0]):
            return
        key = (id(owner), flight.source)
        mapping = self._by_inside.get(key)
        if mapping is not None and self._expired(mapping, flight.time):
            self._forget(key, mapping)
            mapping = None
        if mapping is None:
            mapping = NatMapping(owner, flight.source, self._free_port())
            self._by_inside[key] = mapping
            self._by_port[mapping.port] = mapping
            if len(self._by_inside) > MAX_MAPPINGS // 2:
                self._forget(*next(iter(self._by_inside.items())))
        mapping.used = flight.time
        mapping.contacts[flight.destination] = None
        if len(mapping.contacts) > MAX_CONTACTS:
            mapping.contacts.popitem(last=False)
        flight.source = (self._outside, mapping.port)

    def _take_in(self, flight: DatagramInFlight) -> bool:
        """Send the datagram on to its inside destination; False for one nobody waits for."""
        mapping = self._by_port.get(flight.destination[1])
        if mapping is None or self._expired(mapping, flight.time):
            return False
        if self.filtering and flight.source not in mapping.contacts:
            return False
        mapping.used = flight.time
        flight.destination = mapping.inside
        return mapping.owner._take_in(flight)

    def _expired(self, mapping: NatMapping, now: float) -> bool:
        return self.timeout is not None and now - mapping.used >= self.timeout

    def _forget(self, key: tuple[int, Endpoint], mapping: NatMapping) -> None:
        del self._by_inside[key]
        del self._by_port[mapping.port]

    def _free_port(self) -> int:
        """The next port in turn, so that a rebinding never finds the old port again soon."""
        while True:
            port = self._next_port
            self._next_port = port + 1 if port < 65_535 else FIRST_PORT
            if port not in self._by_port:
                return port
