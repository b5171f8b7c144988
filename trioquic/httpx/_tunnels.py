"""TCP connections keep to the tunnels (VPNs) that the QUIC connections keep to.

A way around HTTP/3 would follow the system's routes, which lead outside when a tunnel goes away.
So a host that was reached through a tunnel (`http3/client/tunnels.py`) is reached through tunnels
only, whichever way.

TCP connections are made by `_tcp.py` over the routes that are found here, which are those of a QUIC
connection: the system is asked about UDP to the same port, so a VPN that takes only UDP is kept to
by both. One that takes only TCP has it by the system's own choice, to which nothing is tied. A
transport that the application has brought follows the system's routes; it is used only where they
lead it inside, to whichever of the host's addresses.
"""

import errno
import ipaddress
import socket
from collections.abc import Sequence
from typing import NamedTuple

import httpx

from .. import Interface, LocalAddressError, MigrationPolicy, NetworkSource, Route
from .._resolver import Resolved, resolve
from ..addresses import AddressPair, candidate_pairs
from ..http3.client.tunnels import HostsInside
from ..networks import address_of, is_own, routes_of


class TCPRoute(NamedTuple):
    """One of a host's addresses, and the interface to go there by; None: the system's choice."""

    remote: str
    interface: Interface | None


class Tunnels:
    """What one transport knows; `policy` and `inside` are those of its QUIC connections."""

    def __init__(
        self, networks: NetworkSource, policy: MigrationPolicy, inside: HostsInside
    ) -> None:
        self._networks = networks
        self._policy = policy
        self._inside = inside

    def holds(self, host: str) -> bool:
        """Whether nothing to this host may leave the tunnels."""
        return self._inside.holds(host)

    def check(self, host: str) -> None:
        """Raises httpx.ConnectError if the host is to be reached through a tunnel, and there is
        none."""
        if self.holds(host) and not self._tunnels(host):
            raise httpx.ConnectError(_gone(host))

    def routes(self, host: str, remotes: Sequence[str], port: int) -> list[TCPRoute]:
        """Those to a host with these addresses, the best first. Raises LocalAddressError if none
        may be used."""
        policy, routes = self._policy, self._routes(remotes, port)
        inside = self.holds(host) or any(self._led_inside(host, remotes, routes) or ())
        interfaces = self._networks.snapshot()
        here = [remote for remote in remotes if is_own(remote, interfaces)]
        limited = policy.limits(interfaces) and len(here) < len(remotes)
        if not inside and not policy.only_interfaces and not limited:
            return [TCPRoute(remote, None) for remote in remotes]
        named = {interface.name: interface for interface in interfaces}
        pairs = candidate_pairs(
            interfaces,
            remotes,
            prefer_interfaces=policy.interfaces,
            prefer_kinds=policy.kinds,
            only_interfaces=policy.only_interfaces,
            routes=routes,
            leave_tunnel=policy.leave_tunnel,
            in_tunnel=inside,
            not_tunnels=(*policy.not_tunnels, *self._inside.beside(host)),
            address_policy=policy.address_policy,
        )
        best = policy.to_begin([pair for pair in pairs if pair.source_rank == 0])
        found = [TCPRoute(pair.remote, named[pair.interface]) for pair in best]
        if not inside and not policy.only_interfaces:
            # `kinds` and `metered` are about networks; none leads to this machine
            found += [TCPRoute(remote, None) for remote in here]
        if not found:
            text = _gone(host) if inside else f"no way to {host} {_why(policy, pairs)}"
            raise LocalAddressError(errno.ENETUNREACH, text)
        if inside:
            self._note(host, routes)
        return found

    async def check_system(self, host: str, port: int) -> None:
        """Make sure that a transport which follows the system's routes stays inside, if the host is
        to be reached so. Raises httpx.ConnectError if it would not."""
        self.check(host)
        if not self._tunnels(host):
            return
        try:
            remotes = list(await addresses_of(host, port))
        except OSError as error:
            if self.holds(host):
                raise httpx.ConnectError(str(error)) from error
            # a transport that goes to a proxy, or nowhere, need not know the name
            return
        routes = self._routes(remotes, port)
        led = self._led_inside(host, remotes, routes)
        if led is None or not (self.holds(host) or any(led)):
            return
        if not all(led):
            raise httpx.ConnectError(_gone(host))
        self._note(host, routes)

    def is_inside(self, host: str, interface: Interface) -> bool:
        """Whether the interface is a tunnel to the host, and may not be left."""
        policy, only = self._policy, self._policy.only_interfaces
        return (
            policy.is_tunnel(interface)
            and interface.name not in self._inside.beside(host)
            and (not only or interface.name in only)
            and not policy.leave_tunnel
        )

    def _tunnels(self, host: str) -> set[str]:
        """Those that are up."""
        up = [interface for interface in self._networks.snapshot() if interface.up]
        return {interface.name for interface in up if self.is_inside(host, interface)}

    def _routes(self, remotes: Sequence[str], port: int) -> tuple[Route, ...] | None:
        return routes_of(self._networks, [(remote, port) for remote in remotes])

    def _led_inside(
        self, host: str, remotes: Sequence[str], routes: tuple[Route, ...] | None
    ) -> list[bool] | None:
        """For each address, whether the system sends there through a tunnel; None if nobody
        knows."""
        if routes is None:
            return None
        tunnels = self._tunnels(host)
        inside = {route.remote for route in routes if route.chosen and route.interface in tunnels}
        return [remote in inside for remote in remotes]

    def _note(self, host: str, routes: tuple[Route, ...] | None) -> None:
        """The host is reached through a tunnel, which may run over those that the system does not
        choose."""
        before, own = self._inside.beside(host), self._tunnels(host)
        chosen = own.intersection(route.interface for route in routes or () if route.chosen)
        self._inside.note(host, before | own - chosen if chosen else before)


async def addresses_of(host: str, port: int) -> dict[str, Resolved]:
    """A host's addresses, in the order of the resolver. An IPv4-mapped one is named as the IPv4
    address it is. Raises OSError."""
    addresses: dict[str, Resolved] = {}
    for one in await resolve(host, port, kind=socket.SOCK_STREAM):
        address = address_of(one[4])
        mapped = getattr(ipaddress.ip_address(address), "ipv4_mapped", None)
        addresses.setdefault(str(mapped or address), one)
    return addresses


def _why(policy: MigrationPolicy, pairs: Sequence[AddressPair]) -> str:
    """Which field of the policy leaves no way."""
    facts = [policy.why_not(pair.interface, pair.kind, pair.metered) for pair in pairs]
    told = "; ".join(dict.fromkeys(fact for fact in facts if fact))
    if told:
        return f"may be used ({told})"
    names = " or ".join(policy.only_interfaces)
    return f"over {names} (only_interfaces)" if names else "over a network that may be used"


def _gone(host: str) -> str:
    return f"the tunnel to {host} is gone, and is not left (leave_tunnel)"
