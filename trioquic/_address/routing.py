"""What the system's routes say about candidates: which there are, and in which order.

Three rules make candidates out of (interface, server address):

- **no route, no candidate**: where the system would not send packets, a probe is not sent either;
- **a tunnel is not left**: if the system sends to this address through a tunnel, only that is a
  candidate, as another may be what it runs over (a DSL line); if it does not, and the connection
  has been in one, only tunnels are. Whoever runs a VPN does not want the server, or
  anybody on the way, to learn the address beside it; an IPv6 route beside an IPv4 tunnel is such a
  way out, too;
- **only these**, if the caller named some.

Of those that are left the system's metrics say which comes first: whoever manages the networks
wrote them for that. Metrics of IPv4 and IPv6 are made in different ways (a router's advertisement
gives 1024, a DHCP client 100), so they are compared within a family, and an interface's place is
the mean of its places. The interface that the system itself uses is never behind another. Where
nobody knows the routes (`routes` is None) every interface counts and all are equal.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum
from math import inf

from .. import _checks
from .address import mapped, parse_address


def _address(name: str, value: object) -> object:
    text = _checks.text(name, value)
    try:
        parse_address(str(text))
    except ValueError as error:
        raise ValueError(f"{name} must be an IP address: {error}") from None
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One interface has a way to one of the addresses that were asked for."""

    remote: str = field(metadata=_checks.by(_address))
    """The address as it was given in the question."""
    interface: str = field(metadata=_checks.by(_checks.text))
    """The name of the interface."""
    source: str | None = _checks.checked(None, _address)
    """The address that the system would send from there; None if it does not tell."""
    source_named: bool = _checks.checked(False, _checks.flag)
    """The route itself names `source`, as those of a VPN do that has an address and no interface of
    its own; otherwise the system has chosen it, as RFC 6724 says or in a way of its own."""
    next_hop_sources: tuple[str, ...] = _checks.checked((), _checks.names(empty=True))
    """Those of the interface's addresses that belong to the router that packets take there, as far
    as another router has others (RFC 6724 section 5, rule 5.5). Empty: all, or nobody can tell."""
    metric: int | None = _checks.checked(None, _checks.whole(-_checks.LARGEST_VARINT))
    """Lower is better, among routes of one address family; None if the system does not tell."""
    chosen: bool = _checks.checked(False, _checks.flag)
    """The system itself sends packets for this address here."""

    def __post_init__(self) -> None:
        _checks.check_fields(self)


class LeftOut(Enum):
    """Why an interface is no candidate for a server's address."""

    NOT_NAMED = "not among the only interfaces that may be used"
    OUTSIDE_TUNNEL = "outside the tunnel"
    NO_ROUTE = "no route"
    TOO_NARROW = "its packets are too small for QUIC"


@dataclass(slots=True, kw_only=True, eq=False)
class Routing:
    """The system's routes and what the caller says about them."""

    routes: Collection[Route] | None = None
    """None: nobody knows any."""
    only: Collection[str] = ()
    """Names of the only interfaces that may be used; empty: all."""
    leave_tunnel: bool = False
    """Whether a tunnel may be left."""
    in_tunnel: bool = False
    """Whether the connection is, or was, in one."""
    tunnels: Collection[str] = ()
    """The names of all interfaces that are tunnels, to the connection."""
    trusted: Collection[str] = ()
    """Interfaces that the caller named, which need no route: a VPN without routes is used by
    naming it."""

    # by the number of the server's address and the interface
    _routes: dict[tuple[int, str], Route] = field(init=False, default_factory=dict)
    # the tunnels that the system sends into, by the number of the server's address
    _chosen: dict[int, set[str]] = field(init=False, default_factory=dict)
    _places: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        for route in self.routes or ():
            number = mapped(parse_address(route.remote))
            self._routes[number, route.interface] = route
            named = not self.only or route.interface in self.only
            if route.chosen and named and route.interface in self.tunnels:
                self._chosen.setdefault(number, set()).add(route.interface)
        self._places = _places(self.routes or ())

    def why_not(self, interface: str, remote: int) -> LeftOut | None:
        """Why the interface is no candidate for the address with this (mapped) number."""
        named = interface in self.only
        if self.only and not named:
            return LeftOut.NOT_NAMED
        chosen = self._chosen.get(remote)
        inside = interface in self.tunnels and (named or chosen is None or interface in chosen)
        confined = (self.in_tunnel or chosen is not None) and not self.leave_tunnel
        if confined and not inside:
            return LeftOut.OUTSIDE_TUNNEL
        needs_none = self.routes is None or named or interface in self.trusted
        return None if needs_none or (remote, interface) in self._routes else LeftOut.NO_ROUTE

    def route(self, interface: str, remote: int) -> Route | None:
        """The interface's way to the address with this (mapped) number; None if it is not known."""
        return self._routes.get((remote, interface))

    def place(self, interface: str) -> float:
        """The interface's place by the system's metrics, 0 is the best; equal where it has no
        order."""
        return 0.0 if self.routes is None else self._places.get(interface, inf)

    def reason(self, interface: str) -> str:
        """For people: what gave an interface its place."""
        routes = [route for route in self._routes.values() if route.interface == interface]
        metrics = sorted({route.metric for route in routes if route.metric is not None})
        chosen = "the system's own route" if any(route.chosen for route in routes) else ""
        shown = f"metric {', '.join(map(str, metrics))}" if metrics else ""
        return ", ".join(part for part in (chosen, shown) if part) or "no metric"


def _places(routes: Iterable[Route]) -> dict[str, float]:
    """Interfaces by the mean of their places among the routes of each family."""
    metrics: dict[int, dict[str, float]] = {}
    chosen: dict[int, set[str]] = {}
    for route in routes:
        family: int = parse_address(route.remote).version
        ways = metrics.setdefault(family, {})
        metric = inf if route.metric is None else route.metric
        ways[route.interface] = min(metric, ways.get(route.interface, inf))
        if route.chosen:
            chosen.setdefault(family, set()).add(route.interface)
    places: dict[str, list[int]] = {}
    for family, ways in metrics.items():
        best = min(ways.values())
        for interface in chosen.get(family, ()):
            # Longer prefixes and rules beat metrics; if they did, or if there are no metrics, what
            # the system does is first. If it only took one of equals, they are equal here, too.
            if ways[interface] > best or best == inf:
                ways[interface] = -1.0
        order = sorted(set(ways.values()))
        for interface, metric in ways.items():
            places.setdefault(interface, []).append(order.index(metric))
    return {interface: sum(found) / len(found) for interface, found in places.items()}
