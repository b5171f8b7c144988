"""Simulated hosts: a UDP stack with ports, and the choice of interface and source address.

Routing follows the source: a socket that is bound to an interface or to an address sends through
that interface and no other, as a phone with one routing table per network does. A socket bound to
neither takes, of the interfaces that are up and have an address and a route for the destination,
the one with the longest prefix, and of equals the one with the lowest metric. Datagrams to one of
the host's own addresses, or to a loopback address, never leave it and arrive at once.
"""

import errno
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVarTuple, Unpack

from trioquic import _checks, networks

from .._construction import NoPublicConstructor, create
from ._addresses import Endpoint, canonical, is_loopback, is_routable
from ._errors import failure
from ._flight import Flight
from ._interface import Interface
from ._link import LinkOptions, LinkProfile
from ._nat import Nat
from ._record import Fate

if TYPE_CHECKING:
    from ._network import SimulatedNetwork
    from ._sockets import SimulatedSocket

FIRST_EPHEMERAL_PORT = 49_152
LAST_PORT = 65_535

Args = TypeVarTuple("Args")

current_host: "ContextVar[Host]" = ContextVar("trioquic.testing.current_host")


class Host(metaclass=NoPublicConstructor, made_by="SimulatedNetwork.host"):
    """A machine in the simulated network, made by `SimulatedNetwork.host`.

    `icmp` says whether a datagram to a closed port is answered by "port unreachable", which a
    connected socket reports as ConnectionRefusedError from its next operation.
    """

    def __init__(self, network: "SimulatedNetwork", name: str, *, icmp: bool) -> None:
        self.network = network
        self.name = name
        self.icmp = icmp
        self._interfaces: dict[str, Interface] = {}
        self._sockets: dict[int, list[SimulatedSocket]] = {}
        self._next_port = FIRST_EPHEMERAL_PORT
        self._networks = networks.ManualNetworks()

    def __repr__(self) -> str:
        return f"<Host {self.name}>"

    def add_interface(
        self,
        name: str,
        *addresses: str,
        kind: networks.InterfaceKind = "ethernet",
        metered: bool | None = None,
        metric: int = 0,
        routes: Sequence[str] | None = None,
        nat: Nat | None = None,
        **link: Unpack[LinkOptions],
    ) -> Interface:
        """Give the host an interface that is up, with its own access link into the internet.

        The link's options (see `LinkProfile`) hold for both directions; change one direction
        afterwards with `interface.link.inbound.change(...)`. With a `nat`, addresses of the NAT's
        family are private to it. `routes` are the prefixes that lead through the interface, such
        as "0.0.0.0/1"; None: all addresses. A tunnel is an interface of kind "tunnel".

        Raises ValueError if the name or an address is taken, or an option or `kind` makes no sense.
        """
        for field, row, value in (
            ("name", _checks.text, name),
            ("kind", _checks.one_of(networks.KINDS), kind),
            ("metered", _checks.optional(_checks.flag), metered),
            # below 0: better than what is there already
            ("metric", _checks.whole(-_checks.LARGEST_VARINT), metric),
        ):
            _checks.check(row, field, value)
        for address in addresses:
            _checks.check(_checks.text, "address", address)
        if name in self._interfaces or name == "lo":
            raise ValueError(f"{self.name} already has an interface {name}")
        interface = create(
            Interface,
            self,
            name,
            len(self._interfaces) + 1,
            kind=kind,
            metered=metered,
            metric=metric,
            routes=routes,
            nat=nat,
            profile=LinkProfile(**link),
        )
        if nat is not None:
            nat._attach(interface)
        self._interfaces[name] = interface
        self._interfaces_changed()
        try:
            for address in addresses:
                interface.add_address(address)
        except BaseException:
            for added in interface.addresses:
                interface.remove_address(added)
            del self._interfaces[name]
            if nat is not None:
                nat._detach(interface)
            self._interfaces_changed()
            raise
        return interface

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """The interfaces in the order in which they were added."""
        return tuple(self._interfaces.values())

    def snapshot(self) -> tuple[networks.Interface, ...]:
        """All interfaces, as trioquic sees them: a host is a `NetworkSource`, and can be the
        `networks` argument of `trioquic.open_connection`."""
        return self._networks.snapshot()

    def routes(self, remotes: Sequence[str]) -> tuple[networks.Route, ...]:
        """What the host's routing says: a host is a `RoutingSource`. Every interface that is up
        and has an address of the family has a route, unless its `routes` say otherwise."""
        found = []
        for remote in remotes:
            plain = canonical(remote.partition("%")[0])
            chosen = None if self._is_own(plain) else self._default_interface(plain)
            for interface in self._interfaces.values():
                if interface.is_up and (self._is_own(plain) or interface._leads_to(plain)):
                    found.append(
                        networks.Route(
                            remote=remote,
                            interface=interface.name,
                            source=interface._source_for(plain),
                            metric=interface.metric,
                            chosen=interface is chosen,
                        )
                    )
        return tuple(found)

    async def wait_changed(self) -> None:
        """Wait for a change of an interface, an address or a route.

        One that happened since the task's last wait ended (before the first: since its first
        `snapshot`) ends the wait at once.
        """
        await self._networks.wait_changed()

    def interface(self, name: str) -> Interface:
        """The interface of this name; KeyError if there is none."""
        return self._interfaces[name]

    @contextmanager
    def as_current(self) -> Iterator[None]:
        """Make the sockets that are created in the block, and in the tasks started from it,
        sockets of this host, and the host's interfaces those of the machine: connections that are
        opened there without `networks` use them."""
        token = current_host.set(self)
        system = networks.context_networks.set(self)
        try:
            yield
        finally:
            networks.context_networks.reset(system)
            current_host.reset(token)

    def start_soon(
        self, function: Callable[[Unpack[Args]], Awaitable[object]], *args: *Args
    ) -> None:
        """Run `await function(*args)` in the background, on this host.

        It is cancelled when the network's block ends; if it fails, the block ends.
        RuntimeError if the network is not running.
        """
        with self.as_current():
            self.network._background().start_soon(function, *args)

    async def start(self, function: Callable[..., Awaitable[object]], *args: object) -> Any:
        """Like `start_soon`, but wait until it is ready, as `trio.Nursery.start` does.

        Returns what the function gave to its `task_status.started`. Cancelled, it cancels the
        function as well.
        """
        with self.as_current():
            return await self.network._background().start(function, *args)

    @property
    def open_sockets(self) -> "tuple[SimulatedSocket, ...]":
        """The bound sockets that are not closed."""
        return tuple(s for sockets in self._sockets.values() for s in sockets)

    def _interfaces_changed(self) -> None:
        self._networks.update(
            networks.Interface(
                name=i.name,
                index=i.index,
                kind=i.kind,
                up=i.is_up,
                metered=i.metered,
                addresses=tuple(
                    networks.InterfaceAddress(address=address, prefix_length=length)
                    for address, length in i.prefixes
                ),
            )
            for i in self._interfaces.values()
        )

    # Addresses and routes

    def _routes_changed(self) -> None:
        self._networks.notify()

    def _owner_of(self, address: str) -> Interface | None:
        return next((i for i in self._interfaces.values() if address in i.addresses), None)

    def _is_own(self, address: str) -> bool:
        return is_loopback(address) or self._owner_of(address) is not None

    def _egress(self, source: str, device: str, destination: str) -> tuple[Interface | None, str]:
        """The interface to send through (None: to the host itself) and the source address.

        `source` and `device` are what the socket is bound to, or empty. Raises OSError.
        """
        if is_loopback(destination) or (not device and self._is_own(destination)):
            return None, source or destination
        if not is_routable(destination) or is_loopback(source):
            raise failure(errno.ENETUNREACH)
        if source:
            interface = self._owner_of(source)
            if interface is None or (device and interface.name != device):
                raise failure(errno.EADDRNOTAVAIL)
        elif device:
            interface = self._interfaces[device]
        else:
            interface = self._default_interface(destination)
        if interface is None or not interface.is_up or not interface._leads_to(destination):
            raise failure(errno.ENETUNREACH)
        address = source or interface._source_for(destination)
        if address is None:
            raise failure(errno.ENETUNREACH)
        return interface, address

    def _default_interface(self, destination: str) -> Interface | None:
        usable = [i for i in self._interfaces.values() if i.is_up and i._leads_to(destination)]
        return min(usable, key=lambda i: (-i._longest(destination), i.metric), default=None)

    # Ports

    def _bind(self, sock: "SimulatedSocket", local: Endpoint) -> Endpoint:
        """Enter a socket under its port, or under a free one for port 0; raises OSError."""
        address, port = local
        if address and not self._is_own(address):
            raise failure(errno.EADDRNOTAVAIL)
        if port == 0:
            port = self._free_port()
        elif any(sock._conflicts(other, address) for other in self._sockets.get(port, ())):
            raise failure(errno.EADDRINUSE)
        self._sockets.setdefault(port, []).append(sock)
        return address, port

    def _free_port(self) -> int:
        for _ in range(FIRST_EPHEMERAL_PORT, LAST_PORT + 1):
            port = self._next_port
            self._next_port = port + 1 if port < LAST_PORT else FIRST_EPHEMERAL_PORT
            if port not in self._sockets:
                return port
        raise failure(errno.EADDRINUSE)

    def _unbind(self, sock: "SimulatedSocket", port: int) -> None:
        sockets = self._sockets[port]
        sockets.remove(sock)
        if not sockets:
            del self._sockets[port]

    # Datagrams

    def _send(self, flight: Flight, interface: Interface | None) -> None:
        """Put a datagram on the wire; raises OSError if it does not fit."""
        if interface is not None and not interface._fits(flight):
            raise failure(errno.EMSGSIZE)
        self.network._record(flight, self.name, "lo" if interface is None else interface.name)
        if interface is None:
            self._receive(flight, None)
        else:
            interface.link.outbound._carry(flight)

    def _receive(self, flight: Flight, interface: Interface | None) -> None:
        """Hand a datagram that arrived to the socket it fits best."""
        if flight.refused:
            flight.origin._refuse(flight.original_destination)
            return
        best: SimulatedSocket | None = None
        best_score = -1
        for sock in self._sockets.get(flight.destination[1], ()):
            score = sock._score(flight, "" if interface is None else interface.name)
            if score > best_score:
                best, best_score = sock, score
        if best is not None:
            flight.end(Fate.DELIVERED if best._deliver(flight) else Fate.BUFFER_FULL)
            return
        flight.end(Fate.PORT_CLOSED)
        if self.icmp:
            self._answer_refused(flight, interface)

    def _answer_refused(self, flight: Flight, interface: Interface | None) -> None:
        """Send "port unreachable" back by the way the datagram came (RFC 1122, 3.2.2.1)."""
        answer = Flight(
            flight.time, flight.destination, flight.source, flight.payload[:8], flight.origin
        )
        answer.original_destination = flight.original_destination
        answer.refused = True
        if interface is None:
            self._receive(answer, None)
        elif interface.is_up:
            interface.link.outbound._carry(answer)
