"""What one connection may use: the system's routes, the tunnel it is in, the names it was given.

Before the connection exists (`ways.py`) and as long as it does (`outlook.py`) the same question is
asked: which of our addresses may talk to which of the server's, in which order. The answer is made
of what the source of networks says now and of one thing that only the connection knows: the tunnel
that it has been in (`own_tunnel.py`). Where the system's own route leads beside that, or the tunnel
is gone, the connection has no candidates, and waits (`MigrationPolicy.leave_tunnel`).

A source of networks that the application made may not list the interface that the system sends
through. Nobody knows then what that is; it may be a VPN, and so it is not left either.

The application may always say otherwise: an interface or address that it names is used. When it
moves the connection out of the tunnel by name, the connection is no longer in it.
"""

import errno
import functools
from collections.abc import Callable, Collection, Sequence
from typing import Final

from ..._address.policy_table import DEFAULT_POLICY
from ...addresses import (
    AddressPair,
    LeftOut,
    NoCandidate,
    candidate_pairs,
    no_candidates,
)
from ...causes import Refusal
from ...errors import LocalAddressError, MigrationNotAllowedError
from ...networks import Interface, NetworkSource, is_own, routes_of, with_borrowed
from ...paths import Address
from ...policy import MigrationPolicy
from .own_tunnel import Networks, OwnTunnel

# Connections to the same server from the same networks ask the same questions.
_MOST_ANSWERS: Final = 64
_pairs_in_order = functools.lru_cache(_MOST_ANSWERS)(candidate_pairs)
_left_out = functools.lru_cache(_MOST_ANSWERS)(no_candidates)
# Of each family so many are asked for.
_MOST_OTHERS: Final = 4
_LOOPBACK: Final = "loopback"

_GONE: Final = "the tunnel is gone, and the connection does not leave it (leave_tunnel)"
_NO_TUNNEL: Final = "there is no tunnel, and nothing is to go beside one (tunnel_only)"
_UNLISTED: Final = (
    "where the system sends packets is not among the networks of the source, so that it may be a "
    "tunnel, which the connection does not leave (leave_tunnel)"
)
_ELSEWHERE: Final = (
    "packets to other addresses of the server take a tunnel now, and nothing goes beside it "
    "(leave_tunnel)"
)
_TOO_NARROW: Final = "other networks carry packets that are too small for QUIC only"
_NO_ROUTE: Final = "no other network has a route to the server"
_NOT_NAMED: Final = "no other interface may be used (only_interfaces)"
_NO_NETWORK: Final = "there is no other network"
_TRIED: Final = "other networks did not lead to the server"


class Reach:
    """One for each attempt to connect, and for the connection it becomes."""

    def __init__(
        self,
        networks: NetworkSource,
        policy: MigrationPolicy,
        interface: str | None = None,
        others: Callable[[], Sequence[Address]] = tuple,
    ) -> None:
        """`others`: what else the server's name stands for, by now. Where the system sends packets
        there through a tunnel, the connection would have begun in that."""
        self.source = networks
        self.policy = policy
        # a VPN without routes is used by naming it
        self._trusted = () if interface is None else (interface,)
        self._own = OwnTunnel(policy)
        self._others = others
        self._led_inside = False
        # tunnels for what else the server's name stands for
        self._elsewhere: frozenset[str] = frozenset()
        # whether there is a connection already
        self._begun = False
        # the connection is on an interface that the source does not list, and its name if known
        self._unlisted = False
        self._unlisted_name: str | None = None

    def check_policy(self) -> None:
        """MigrationNotAllowedError where the application's policy forbids other paths."""
        if not self.policy.enabled:
            raise MigrationNotAllowedError(Refusal.POLICY, "MigrationPolicy.enabled is False")

    @property
    def in_tunnel(self) -> bool:
        """Whether the connection is in a tunnel that it must not leave, also while that is gone."""
        return self._own.entered

    @property
    def beside(self) -> frozenset[str]:
        """Tunnels that count as outside, as the connection's own may run over them."""
        return self._own.beside

    @property
    def _stays_inside(self) -> bool:
        """Whether the connection is in a tunnel, or in what may be one, or belongs into one."""
        inside = self.in_tunnel or self._unlisted or self._led_inside
        return inside and not self.policy.leave_tunnel

    def is_tunnel(self, interface: Interface) -> bool:
        """Whether the interface is a tunnel, to this connection."""
        return self._own.is_tunnel(interface)

    def note_path(self, interface: Interface, named: bool, now: Networks) -> None:
        """The connection is on this interface; `named` by the application."""
        self._begun = True
        self._unlisted = False
        self._own.note_path(interface, named, now, self._elsewhere)

    def note_unlisted(self, name: str | None) -> None:
        """The connection is on an interface that the source has never listed."""
        self._begun = True
        self._unlisted = True
        self._unlisted_name = name

    def is_outside(self, interface: Interface) -> bool:
        """Whether the interface is beside the tunnel that the connection must not leave."""
        return self._stays_inside and not self.is_tunnel(interface)

    def _tunnels(self, now: Networks) -> set[str]:
        return {interface.name for interface in now.interfaces if self.is_tunnel(interface)}

    def outside_of(self, now: Networks) -> frozenset[str]:
        """The interfaces beside the tunnel that the system sends packets through, if it does."""
        tunnels = self._tunnels(now)
        chosen = tunnels & now.chosen
        only = self.policy.only_interfaces
        return now.names - (chosen | tunnels.intersection(only) if chosen else tunnels)

    def begins_in_tunnel(self, now: Networks, used: Collection[str] = ()) -> bool:
        """Whether the system sends packets to any of the server's addresses through a tunnel that
        may be used: then the others, where it does not, are ways around the tunnel. `used`: the
        interfaces that it has sent through already, which tells also where no routes are known."""
        return self._stays_inside or self._leads_inside(now, used)

    def _leads_inside(self, now: Networks, used: Collection[str] = ()) -> bool:
        only = self.policy.only_interfaces
        chosen = now.chosen.union(used)
        into = chosen & self._tunnels(now)
        # where nothing is known of an interface, it may be a tunnel
        inside = into.intersection(only) if only else into or chosen - now.names
        return bool(inside) and not self.policy.leave_tunnel

    def look(self, servers: Sequence[Address]) -> Networks:
        """`networks` for a connection to one of several addresses: beside a tunnel that has come up
        for the others it does not stay, such as over IPv6 beside an IPv4-only VPN."""
        others = _some_of_each_family(self._others())
        if others:
            elsewhere = self.networks(others)
            self._led_inside = self._leads_inside(elsewhere)
            self._elsewhere = elsewhere.chosen
        return self.networks(servers)

    def networks(self, servers: Sequence[Address]) -> Networks:
        """The interfaces, and the system's routes to these servers, as they are now."""
        interfaces = tuple(self.source.snapshot())
        routes = routes_of(self.source, servers)
        remotes = tuple(dict.fromkeys(address for address, _ in servers))
        return Networks(with_borrowed(interfaces, routes), routes, remotes)

    def pairs(self, now: Networks, in_tunnel: bool | None = None) -> tuple[AddressPair, ...]:
        """Every pair that may be used, the best first."""
        policy = self.policy
        return _pairs_in_order(
            now.interfaces,
            now.remotes,
            prefer_interfaces=tuple(policy.interfaces),
            prefer_kinds=tuple(policy.kinds),
            only_interfaces=tuple(policy.only_interfaces),
            routes=now.routes,
            leave_tunnel=policy.leave_tunnel,
            in_tunnel=self._stays_inside if in_tunnel is None else in_tunnel,
            trusted=self._trusted,
            not_tunnels=self._own.not_tunnels,
            address_policy=policy.address_policy,
        )

    def left_out(self, now: Networks) -> tuple[NoCandidate, ...]:
        """Every pair that may not be used, and why."""
        policy = self.policy
        return _left_out(
            now.interfaces,
            now.remotes,
            only_interfaces=tuple(policy.only_interfaces),
            routes=now.routes,
            leave_tunnel=policy.leave_tunnel,
            in_tunnel=self._stays_inside,
            trusted=self._trusted,
            not_tunnels=self._own.not_tunnels,
        )

    def why_none(self, servers: Sequence[Address]) -> str:
        """For people: what is missing when there is no path and nothing to make one of."""
        now = self.networks(servers)
        pairs = self.pairs(now)
        if any(self.policy.wants(pair.interface, pair.kind, pair.metered) for pair in pairs):
            return _TRIED
        unwanted = [
            self.policy.why_not(pair.interface, pair.kind, pair.metered)
            for pair in pairs
            if pair.kind != _LOOPBACK
        ]
        if unwanted:
            facts = "; ".join(dict.fromkeys(fact for fact in unwanted if fact))
            what = "other networks" if self._begun else "networks that lead to the server"
            return f"the {what} are not to be used ({facts})"
        if self._led_inside and not self.in_tunnel:
            return _ELSEWHERE
        reasons = {left.reason for left in self.left_out(now)}
        if not (self.in_tunnel or self.policy.leave_tunnel) and (
            self._unlisted or now.chosen - now.names
        ):
            return _UNLISTED
        if self.in_tunnel or LeftOut.OUTSIDE_TUNNEL in reasons:
            if self.policy.tunnel_only and not self._own.was_there:
                return _NO_TUNNEL
            up = {interface.name for interface in now.interfaces if interface.up}
            others = ", ".join(sorted(up & self.beside))
            return f"{_GONE}; it may have run over {others} (not_tunnels)" if others else _GONE
        if LeftOut.TOO_NARROW in reasons:
            return _TOO_NARROW
        if LeftOut.NO_ROUTE in reasons:
            return _NO_ROUTE
        return _NOT_NAMED if LeftOut.NOT_NAMED in reasons else _NO_NETWORK

    def interface_for(self, server: Address) -> str | None:
        """The interface for a path for which the application named neither interface nor address.
        None: wherever the system sends packets. LocalAddressError if that is not allowed."""
        policy = self.policy
        if not self._stays_inside and not policy.only_interfaces:
            interfaces = self.source.snapshot()
            if not policy.limits(interfaces) or is_own(server[0], interfaces):
                return None
        elif not self.in_tunnel and self._unlisted:
            return self._unlisted_name
        pairs = policy.to_begin(self.pairs(self.networks((server,))))
        if not pairs:
            raise LocalAddressError(errno.ENETUNREACH, self.why_none((server,)))
        return pairs[0].interface

    def source_for(self, interface: str | None, server: Address) -> str | None:
        """The address to begin from on this interface, or on the one that the system sends through,
        where the application says how it is chosen (RFC 6724). None: the system chooses."""
        if self.policy.address_policy == DEFAULT_POLICY:
            return None
        now = self.networks((server,))
        pairs = [pair for pair in self.pairs(now) if pair.source_rank == 0]
        if interface is None:
            # without routes only one interface is the system's for sure
            ways = now.chosen if now.routes is not None else {pair.interface for pair in pairs}
            interface = next(iter(ways)) if len(ways) == 1 else None
        return next((pair.local for pair in pairs if pair.interface == interface), None)


def _some_of_each_family(servers: Sequence[Address]) -> tuple[Address, ...]:
    """A VPN may have one family only, whichever the resolver names first."""
    ipv6 = [server for server in servers if ":" in server[0]]
    ipv4 = [server for server in servers if ":" not in server[0]]
    return (*ipv6[:_MOST_OTHERS], *ipv4[:_MOST_OTHERS])
