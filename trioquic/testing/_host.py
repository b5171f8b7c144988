"""Simulated hosts and their interfaces: which way a datagram leaves, and with which source address.

Routing follows the source: a socket that is bound to an interface or to an address sends through
that interface and no other, as a phone with one routing table per network does. A socket bound to
neither takes, of the interfaces that are up and have an address and a route for the destination,
the one with the longest prefix, and of equals the one with the lowest metric. Datagrams to one of
the host's own addresses, or to a loopback address, never leave it and arrive at once.
"""

import errno
import ipaddress
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVarTuple, Unpack

import trio

from trioquic import _checks, networks

from .._construction import NoPublicConstructor, create
from ._addresses import (
    Endpoint,
    canonical,
    family_of,
    is_loopback,
    is_routable,
    overhead,
    split_prefix,
)
from ._core import Core
from ._errors import failure
from ._flight import DatagramInFlight
from ._link import Link, LinkDirection, LinkOptions, LinkProfile
from ._nat import Nat
from ._ports import BoundSocket, Ports
from ._record import Fate

Prefix: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Args = TypeVarTuple("Args")

current_host: "ContextVar[Host]" = ContextVar("trioquic.testing.current_host")


class Interface(metaclass=NoPublicConstructor, made_by="Host.add_interface"):
    """One interface of a host, made by `Host.add_interface`.

    `name`, `kind` ("ethernet", "wifi", "cellular", ...) and `metered` are what the host's snapshot
    reports. `index` is its number, from 1. Of two interfaces that could carry a datagram the one
    with the lower `metric` does, and of equals the older one.
    """

    def __init__(
        self,
        host: "Host",
        shown: networks.Interface,
        metric: int,
        routes: Sequence[str] | None,
        nat: Nat | None,
        profile: LinkProfile,
    ) -> None:
        self.host = host
        self.name: str = shown.name
        self.index: int = len(host.interfaces) + 1
        self.kind: networks.InterfaceKind = shown.kind
        self.metered: bool | None = shown.metered
        self.metric = metric
        self._mtu = 1500
        self._nat = nat
        self._up = True
        self._routes = _parsed(routes)
        self._prefixes: dict[str, int] = {}
        core = host._core
        self.link: Link = create(
            Link,
            create(LinkDirection, core, (host.name, self.name, "outbound"), profile, self._leave),
            create(LinkDirection, core, (host.name, self.name, "inbound"), profile, self._arrive),
        )
        """The access link that this interface hangs on."""

    def __repr__(self) -> str:
        state = "up" if self._up else "down"
        return f"<Interface {self.host.name}/{self.name} {state} {' '.join(self._prefixes)}>"

    @property
    def is_up(self) -> bool:
        return self._up

    @property
    def mtu(self) -> int:
        """Bytes of the largest IP packet; a larger one is refused with EMSGSIZE."""
        return self._mtu

    @mtu.setter
    def mtu(self, size: int) -> None:
        self._mtu = size
        self.host._interfaces_changed()

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
        self.host._networks.notify()

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
            self.host._core.claim(text, self)
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
            self.host._core.release(text)
        del self._prefixes[text]
        self.host._interfaces_changed()

    def _shown(self) -> networks.Interface:
        """As trioquic sees it."""
        return networks.Interface(
            name=self.name,
            index=self.index,
            kind=self.kind,
            up=self._up,
            metered=self.metered,
            addresses=tuple(
                networks.InterfaceAddress(address=address, prefix_length=length)
                for address, length in self._prefixes.items()
            ),
            mtu=self._mtu,
        )

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

    def _leave(self, flight: DatagramInFlight) -> None:
        """The outbound wire's end: into the core."""
        if self._nat is not None:
            self._nat._outward(self, flight)
        self.host._core.route(flight)

    def _take_in(self, flight: DatagramInFlight) -> bool:
        """From the core to the inbound wire."""
        self.link.inbound._carry(flight)
        return True

    def _arrive(self, flight: DatagramInFlight) -> None:
        """The inbound wire's end: into the host."""
        if not self._up:
            self.link.inbound._drop(flight, Fate.INTERFACE_DOWN)
        else:
            self.host._receive(flight, self)


class Host(metaclass=NoPublicConstructor, made_by="SimulatedNetwork.host"):
    """A machine in the simulated network, made by `SimulatedNetwork.host`.

    `icmp` says whether a datagram to a closed port is answered by "port unreachable", which a
    connected socket reports as ConnectionRefusedError from its next operation.
    """

    def __init__(self, core: Core, name: str, *, icmp: bool) -> None:
        self.name = name
        self.icmp = icmp
        self._core = core
        self._interfaces: dict[str, Interface] = {}
        self._ports = Ports()
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
        shown = networks.Interface(name=name, kind=kind, metered=metered)
        # below 0: better than what is there already
        _checks.check(_checks.whole(-_checks.LARGEST_VARINT), "metric", metric)
        for address in addresses:
            _checks.check(_checks.text, "address", address)
        if name in self._interfaces or name == "lo":
            raise ValueError(f"{self.name} already has an interface {name}")
        profile = LinkProfile(**link)
        interface = create(Interface, self, shown, metric, routes, nat, profile)
        if nat is not None:
            nat._attach(self._core)
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
                nat._detach(self._core)
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
            self._core.background().start_soon(function, *args)

    async def start(self, function: Callable[..., Awaitable[object]], *args: object) -> Any:
        """Like `start_soon`, but wait until it is ready, as `trio.Nursery.start` does.

        Returns what the function gave to its `task_status.started`. Cancelled, it cancels the
        function as well.
        """
        with self.as_current():
            return await self._core.background().start(function, *args)

    @property
    def open_sockets(self) -> tuple[trio.socket.SocketType, ...]:
        """The bound sockets that are not closed, each a `SimulatedSocket`."""
        return self._ports.sockets

    def _interfaces_changed(self) -> None:
        self._networks.update(interface._shown() for interface in self._interfaces.values())

    # Addresses and routes

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

    # Datagrams

    def _bind(self, sock: BoundSocket, local: Endpoint) -> Endpoint:
        """Give a socket its address and port, or a free port for port 0; raises OSError."""
        if local[0] and not self._is_own(local[0]):
            raise failure(errno.EADDRNOTAVAIL)
        return self._ports.bind(sock, local)

    def _send(self, flight: DatagramInFlight, interface: Interface | None) -> None:
        """Put a datagram on the wire; raises OSError if it does not fit."""
        size = len(flight.payload) + overhead(flight.destination[0])
        if interface is not None and size > interface.mtu:
            raise failure(errno.EMSGSIZE)
        self._core.record(flight, self.name, "lo" if interface is None else interface.name)
        if interface is None:
            self._receive(flight, None)
        else:
            interface.link.outbound._carry(flight)

    def _receive(self, flight: DatagramInFlight, interface: Interface | None) -> None:
        """Hand a datagram that arrived to the socket it fits best. If there is none, "port
        unreachable" goes back by the way it came (RFC 1122, 3.2.2.1)."""
        if flight.refused:
            flight.refuse()
            return
        fate = self._ports.deliver(flight, "" if interface is None else interface.name)
        flight.end(fate)
        if fate is not Fate.PORT_CLOSED or not self.icmp:
            return
        if interface is None:
            self._receive(flight.answer_refused(), None)
        elif interface.is_up:
            interface.link.outbound._carry(flight.answer_refused())


def _parsed(prefixes: Sequence[str] | None) -> tuple[Prefix, ...] | None:
    return None if prefixes is None else tuple(ipaddress.ip_network(p) for p in prefixes)
