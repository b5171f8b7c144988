"""The network interfaces of this machine, or of a world that the application supplies.

A `NetworkSource` says which interfaces there are and when that has changed. A connection takes the
system's (`trioquic.system_networks`) unless `open_connection(networks=...)` names another: a phone
application that hears from its platform what no library can see, or a simulated network. Such an
application feeds a `ManualNetworks`, or implements the two methods of `NetworkSource` itself.

A source that also knows where the system would send packets is a `RoutingSource`: it has `routes`,
or a `PortRoutingSource`, where that depends on ports as well, as the system's own does. Then an
interface without a route to the server is no candidate, a tunnel is not left, and the routes'
metrics order the networks. Without it every interface counts.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Protocol, get_args, runtime_checkable
from weakref import WeakKeyDictionary

import trio

from . import _checks
from ._address.address import parse_address
from ._address.local import InterfaceKind as InterfaceKind  # public here
from ._address.routing import Route as Route  # public here

KINDS: tuple[InterfaceKind, ...] = get_args(InterfaceKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceAddress:
    """One IP address of an interface, in its canonical form, without a zone.

    `prefix_length` is that of its network, in bits. The flags are IPv6's, and False where nobody
    knows: `temporary` (RFC 8981), `deprecated` (its preferred lifetime is over), `tentative` (the
    system has not yet made sure that it is unique, or it is not; it cannot be used), `home` (a
    mobile node's home address, RFC 6275). Raises ValueError for what is no address.
    """

    address: str = field(metadata=_checks.by(_checks.text))
    prefix_length: int = field(metadata=_checks.by(_checks.whole(0, 128)))
    deprecated: bool = _checks.checked(False, _checks.flag)
    temporary: bool = _checks.checked(False, _checks.flag)
    tentative: bool = _checks.checked(False, _checks.flag)
    home: bool = _checks.checked(False, _checks.flag)

    def __post_init__(self) -> None:
        _checks.check_fields(self)
        parsed = ipaddress.ip_address(self.address.partition("%")[0])
        if not 0 <= self.prefix_length <= parsed.max_prefixlen:
            raise ValueError(f"{self.address} cannot have a prefix of {self.prefix_length} bits")
        object.__setattr__(self, "address", str(parsed))

    @property
    def version(self) -> int:
        """4 or 6."""
        return ipaddress.ip_address(self.address).version


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One network interface. `index` is the system's number for it, None where there is none.

    `up`: packets can pass (it is switched on and has a carrier). `metered`: traffic costs, None if
    unknown. `encapsulates`: it brings one IP version over the other (6in4, 6to4, Teredo) without
    being a `tunnel` that hides anybody. `mtu`: the largest IP packet that it sends, None if
    unknown; QUIC does not run where that is below 1228 bytes. `name` is what
    `open_connection(interface=...)` takes. Raises ValueError for an empty name and for a `kind`
    that is not in `KINDS`, TypeError for wrong types.
    """

    name: str = field(metadata=_checks.by(_checks.text))
    index: int | None = _checks.checked(None, _checks.whole(0))
    kind: InterfaceKind = _checks.checked("other", _checks.one_of(KINDS))
    up: bool = _checks.checked(True, _checks.flag)
    metered: bool | None = _checks.checked(None, _checks.flag)
    addresses: tuple[InterfaceAddress, ...] = _checks.checked((), _checks.several(InterfaceAddress))
    encapsulates: bool = _checks.checked(False, _checks.flag)
    mtu: int | None = _checks.checked(None, _checks.whole(0))

    def __post_init__(self) -> None:
        _checks.check_fields(self)


@runtime_checkable
class NetworkSource(Protocol):
    """Where the interfaces come from, and the news of them.

    Who watches does this, best without a checkpoint between the snapshot and `wait_changed`::

        while True:
            act_on(source.snapshot())
            await source.wait_changed()

    One source may serve several connections at the same time, so it must wake every task that
    waits. The methods are called from trio's thread.
    """

    def snapshot(self) -> tuple[Interface, ...]:
        """All interfaces as they are now, also those that are down.

        Must not block for long (a few milliseconds at most), and must not raise: a source that
        cannot tell at the moment repeats its last answer.
        """
        ...

    async def wait_changed(self) -> None:
        """Return when the snapshot may differ from what it was at the time of the call, or when
        something else has changed that lets packets pass now, such as a route.

        To return without need is allowed but costs work; to miss a change is not allowed: one
        that happens at any time after the call, even before its first checkpoint, ends the wait.
        May be cancelled at any time and called again.
        """
        ...


@runtime_checkable
class RoutingSource(NetworkSource, Protocol):
    """A source that knows the system's routes, too. A change of routes ends `wait_changed`."""

    def routes(self, remotes: Sequence[str]) -> tuple[Route, ...] | None:
        """Which interfaces have a way to these IP addresses, as it is now.

        One `Route` for each interface and address, none where there is no way; for each address
        the interface that the system itself would use is `chosen`. None: nobody knows at the
        moment, every interface counts. Must not block for long and must not raise, as `snapshot`.
        """
        ...


@runtime_checkable
class PortRoutingSource(NetworkSource, Protocol):
    """A source that knows the system's routes, which may depend on the server's port.

    A source that passes on what another one knows does it by `routes_of`::

        def routes_to(self, servers):
            return trioquic.networks.routes_of(self.inner, servers)
    """

    def routes_to(self, servers: Sequence[tuple[str, int]]) -> tuple[Route, ...] | None:
        """As `RoutingSource.routes`, for datagrams to these IP addresses and UDP ports.

        `Route.remote` is the address alone. An address may come with several ports; then it has the
        routes of each.
        """
        ...


def routes_of(
    source: NetworkSource, servers: Sequence[tuple[str, int]]
) -> tuple[Route, ...] | None:
    """What a source knows of the routes to these addresses and ports, by `routes_to` if it has
    that, else by `routes`; None if it knows nothing of routes."""
    if isinstance(source, PortRoutingSource):
        return source.routes_to(tuple(dict.fromkeys(servers)))
    if isinstance(source, RoutingSource):
        return source.routes(tuple(dict.fromkeys(address for address, _ in servers)))
    return None


def address_of(sockaddr: Sequence[object]) -> str:
    """The IP address of what `getaddrinfo` returns, with the number of its zone if it means
    something on one link only (RFC 4007): `socket` tells that apart from the address."""
    host, *more = sockaddr
    scope = more[2] if len(more) == 3 else 0
    return f"{host}%{scope}" if scope and "%" not in str(host) else str(host)


def is_own(remote: str, interfaces: Sequence[Interface]) -> bool:
    """Whether this is an address of this machine: no network leads there."""
    address = parse_address(remote.partition("%")[0])
    return address.is_loopback or any(
        entry.address == str(address) for interface in interfaces for entry in interface.addresses
    )


def with_borrowed(
    interfaces: tuple[Interface, ...], routes: Sequence[Route] | None
) -> tuple[Interface, ...]:
    """The interfaces with the addresses that the system sends from there also where they are not
    their own: unnumbered links, as tunnels often are, borrow one of another interface (RFC 1812
    section 2.2.7)."""
    borrowed: dict[str, dict[str, None]] = {}
    for route in routes or ():
        if route.source is not None:
            borrowed.setdefault(route.interface, {})[route.source] = None
    result = []
    for interface in interfaces:
        own = {entry.address for entry in interface.addresses}
        added = tuple(
            InterfaceAddress(address=one, prefix_length=ipaddress.ip_address(one).max_prefixlen)
            for one in borrowed.get(interface.name, ())
            if one not in own
        )
        result.append(
            replace(interface, addresses=interface.addresses + added) if added else interface
        )
    return tuple(result)


context_networks: ContextVar[RoutingSource | None] = ContextVar(
    "trioquic.networks.context_networks", default=None
)
"""What stands for the system in this context and in the tasks that are started from it:
`trioquic.system_networks` returns it. `trioquic.testing` sets it to the simulated host on which the
context runs. None: nothing does."""


class ManualNetworks:
    """A source that the application feeds: what it is told in `update` is what there is.

    Call `update` from trio's thread (from others with `trio.from_thread.run_sync`) whenever the
    platform reports something. No wake-up is missed, whatever a task does between two calls:
    `wait_changed` returns at once if there was an update since the task's last `wait_changed`
    returned (before the first of them: since its first `snapshot`).
    """

    def __init__(self, interfaces: Iterable[Interface] = ()) -> None:
        self._interfaces = _checked(interfaces)
        self._metrics: dict[str, int] | None = None
        self._version = 0
        # Each task has its own place, so that none takes away another's wake-up.
        self._seen: WeakKeyDictionary[trio.lowlevel.Task, int] = WeakKeyDictionary()
        self._news = trio.Event()

    def __repr__(self) -> str:
        return f"<ManualNetworks {' '.join(i.name for i in self._interfaces)}>"

    @property
    def version(self) -> int:
        """How many updates have changed something."""
        return self._version

    def update(
        self, interfaces: Iterable[Interface], *, metrics: Mapping[str, int] | None = None
    ) -> bool:
        """Replace all interfaces; whether that changed anything. Wakes those who wait if it did.

        `metrics` has the names of the interfaces that have a route to the internet, each with a
        number: the system uses the one with the lowest. An interface that is missing there is no
        candidate, and a tunnel with the lowest is not left. None: nothing is known of routes, and
        every interface that is up counts.

        Raises ValueError if two interfaces have the same name or a metric is negative, TypeError
        for what is no interface or no metric.
        """
        checked = _checked(interfaces)
        known = None if metrics is None else _checked_metrics(metrics)
        if (checked, known) == (self._interfaces, self._metrics):
            return False
        self._interfaces, self._metrics = checked, known
        self.notify()
        return True

    def routes(self, remotes: Sequence[str]) -> tuple[Route, ...] | None:
        """The same for each address, over the interfaces that are up and have its family; None if
        `update` was given no metrics."""
        metrics = self._metrics
        if metrics is None:
            return None
        routes: list[Route] = []
        for remote in remotes:
            version = parse_address(remote).version
            ways = [
                interface.name
                for interface in self._interfaces
                if interface.up
                and interface.name in metrics
                and any(entry.version == version for entry in interface.addresses)
            ]
            chosen = min(ways, key=metrics.__getitem__, default=None)
            routes += [
                Route(remote=remote, interface=name, metric=metrics[name], chosen=name == chosen)
                for name in ways
            ]
        return tuple(routes)

    def notify(self) -> None:
        """Wake those who wait although the interfaces are the same: for instance, there is a
        route again."""
        self._version += 1
        self._news.set()
        self._news = trio.Event()

    def snapshot(self) -> tuple[Interface, ...]:
        """What the last `update` said."""
        if trio.lowlevel.in_trio_task():
            self._seen.setdefault(trio.lowlevel.current_task(), self._version)
        return self._interfaces

    async def wait_changed(self) -> None:
        """Wait for an update that this task has not seen. Cancelled, it remains unseen."""
        task = trio.lowlevel.current_task()
        if self._seen.setdefault(task, self._version) == self._version:
            await self._news.wait()
        else:
            await trio.lowlevel.checkpoint()
        self._seen[task] = self._version


def _checked_metrics(metrics: Mapping[str, int]) -> dict[str, int]:
    _checks.instance(Mapping, wanted="a mapping of names to numbers")("metrics", metrics)
    for name, metric in metrics.items():
        _checks.text("names in metrics", name)
        _checks.whole(0)(f"the metric of {name}", metric)
    return dict(metrics)


def _checked(interfaces: Iterable[Interface]) -> tuple[Interface, ...]:
    result = _checks.tuple_of(Interface, "interfaces", interfaces)
    for name, number in Counter(interface.name for interface in result).items():
        if number > 1:
            raise ValueError(f"two interfaces are called {name!r}")
    return result
