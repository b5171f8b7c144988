"""The tunnel (VPN) that a connection is in, and the tunnels that are none for it.

That it has been in one is remembered when the tunnel goes, and the system's own route leads beside
it. Another tunnel that was there all the time, and that the system did not choose, is no way out:
it may be what the connection's own one ran over, such as a DSL line.
"""

import ipaddress
from typing import Final, NamedTuple

from ...networks import Interface, Route
from ...policy import MigrationPolicy

_TUNNEL: Final = "tunnel"


class Networks(NamedTuple):
    """The interfaces, and the system's routes to some addresses, at one moment."""

    interfaces: tuple[Interface, ...]
    routes: tuple[Route, ...] | None
    remotes: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names of the interfaces."""
        return frozenset(interface.name for interface in self.interfaces)

    @property
    def chosen(self) -> frozenset[str]:
        """The interfaces that the system sends packets through."""
        return frozenset(route.interface for route in self.routes or () if route.chosen)


class OwnTunnel:
    """What one connection remembers of tunnels."""

    def __init__(self, policy: MigrationPolicy) -> None:
        self._policy = policy
        self._in_tunnel = policy.tunnel_only
        self.was_there = False
        """Whether the connection has ever been in a tunnel."""
        self._name: str | None = None
        # those that the own one may run over
        self._beside: frozenset[str] = frozenset()

    @property
    def entered(self) -> bool:
        """Whether the connection is in a tunnel that it must not leave, also while that is gone."""
        return self._in_tunnel and not self._policy.leave_tunnel

    @property
    def beside(self) -> frozenset[str]:
        """Tunnels that are outside, as the own one may run over them."""
        return self._beside

    @property
    def not_tunnels(self) -> tuple[str, ...]:
        """The same, and those that the policy names."""
        return tuple(sorted(self._beside.union(self._policy.not_tunnels)))

    def is_tunnel(self, interface: Interface) -> bool:
        """Whether the interface is a tunnel, to this connection."""
        return self._policy.is_tunnel(interface) and interface.name not in self._beside

    def note_path(
        self, interface: Interface, named: bool, now: Networks, elsewhere: frozenset[str]
    ) -> None:
        """The connection is on this interface; `named` by the application. `elsewhere`: what the
        system sends packets through to other addresses of the server."""
        if named:
            self._beside -= {interface.name}
        if not self.is_tunnel(interface):
            if named:
                self._in_tunnel = self._policy.tunnel_only
            return
        name, routes, chosen = interface.name, now.routes, now.chosen
        # One that the system sends nothing into is a network like any other, and may be left again.
        if routes is None or named or self._policy.only_interfaces or name in chosen:
            self._in_tunnel = self.was_there = True
        if name in chosen:
            self._note_beside(name, now, elsewhere)
        elif any(route.interface == name for route in routes or ()):
            # The system prefers another one to this, which works: so this does not run over it.
            self._beside -= chosen

    def _note_beside(self, own: str, now: Networks, elsewhere: frozenset[str]) -> None:
        """Remember the tunnels that the `own` one may run over: those that are up when it is
        entered, even without a route, as they may get that when the own one goes; and later those
        with a route. A VPN that is coming up has none until the system sends packets there."""
        new, self._name = own != self._name, own
        routed = {route.interface for route in now.routes or ()}
        spared = now.chosen.union(elsewhere, self._policy.only_interfaces)
        for other in now.interfaces:
            # also what the policy says that is none: http3 has that from an earlier connection
            if other.name in spared or not other.up or other.kind != _TUNNEL:
                continue
            if other.name in routed or (new and _leads_somewhere(other)):
                self._beside |= {other.name}


def _leads_somewhere(interface: Interface) -> bool:
    """Whether it has an address for more than its own link; macOS makes tunnels without."""
    addresses = (ipaddress.ip_address(a.address.partition("%")[0]) for a in interface.addresses)
    return any(not address.is_link_local for address in addresses)
