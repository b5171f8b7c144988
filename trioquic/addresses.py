"""Every way from this machine to a server's addresses, the best first, and why (RFC 6724).

A connection orders its candidates for new paths with this function, so what it says is what a
connection would do. The caller's preferences sort first; what they leave tied is for RFC 6724, of
which an `AddressPolicy` changes what may be changed.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from . import _checks
from ._address.local import LocalAddress
from ._address.pairs import KINDS, PairPreferences
from ._address.pairs import AddressPair as AddressPair  # public here, as are the next two
from ._address.pairs import NoCandidate as NoCandidate
from ._address.pairs import candidate_pairs as _candidate_pairs
from ._address.pairs import routes_of as _routes_of
from ._address.policy_table import DEFAULT_POLICY
from ._address.policy_table import DEFAULT_TABLE as DEFAULT_TABLE  # public here, as are the next
from ._address.policy_table import AddressPolicy as AddressPolicy
from ._address.policy_table import PolicyRow as PolicyRow
from ._address.policy_table import PolicyTable as PolicyTable
from ._address.routing import LeftOut as LeftOut
from ._address.routing import Route, Routing
from .networks import KINDS as _ALL_KINDS
from .networks import Interface, with_borrowed

_NAMES: Final = _checks.names(empty=True)
_KINDS: Final = _checks.names(_ALL_KINDS, empty=True)
_POLICY: Final = _checks.instance(AddressPolicy)


def candidate_pairs(
    interfaces: Iterable[Interface],
    remotes: Sequence[str],
    *,
    prefer_interfaces: Sequence[str] = (),
    prefer_kinds: Sequence[str] = KINDS,
    only_interfaces: Sequence[str] = (),
    routes: Sequence[Route] | None = None,
    leave_tunnel: bool = False,
    in_tunnel: bool = False,
    trusted: Sequence[str] = (),
    not_tunnels: Sequence[str] = (),
    address_policy: AddressPolicy = DEFAULT_POLICY,
) -> tuple[AddressPair, ...]:
    """All pairs that can work, the best first.

    `interfaces` is a `NetworkSource.snapshot()`; those that are down and tentative addresses are
    left out. `remotes` are IP addresses in the order of the resolver, which breaks the last ties.
    `routes` is what `RoutingSource.routes(remotes)` says; with None every interface counts.
    `in_tunnel`: the connection is or was in a tunnel, whatever the routes say now; `not_tunnels`
    are none, whatever their kind. `trusted` interfaces need no route. The preferences are those of
    `MigrationPolicy`: interfaces by name, then kinds if their order is not the default, then the
    routes' metrics, then kinds, then metered interfaces last; `address_policy` is what RFC 6724
    goes by. Raises ValueError for a remote that is no IP address.
    """
    known = with_borrowed(_checks.tuple_of(Interface, "interfaces", interfaces), routes)
    _checks.texts("remotes", remotes, "address", "IP addresses")
    _checks.check(_NAMES, "prefer_interfaces", prefer_interfaces)
    _checks.check(_KINDS, "prefer_kinds", prefer_kinds)
    _checks.check(_NAMES, "only_interfaces", only_interfaces)
    _checks.check(_NAMES, "not_tunnels", not_tunnels)
    _checks.check(_POLICY, "address_policy", address_policy)
    tunnels = _tunnels(known, routes, not_tunnels)
    preferences = PairPreferences(
        interfaces=(*only_interfaces, *prefer_interfaces),
        kinds=tuple(prefer_kinds),
        kinds_first=not _is_default_order(prefer_kinds),
        addresses=address_policy,
        routing=Routing(
            routes=routes,
            only=only_interfaces,
            leave_tunnel=leave_tunnel,
            in_tunnel=in_tunnel,
            tunnels=tunnels,
            trusted=trusted,
        ),
    )
    return _candidate_pairs(_local_addresses(known, tunnels), remotes, preferences)


def no_candidates(
    interfaces: Iterable[Interface],
    remotes: Sequence[str],
    *,
    only_interfaces: Sequence[str] = (),
    routes: Sequence[Route] | None = None,
    leave_tunnel: bool = False,
    in_tunnel: bool = False,
    trusted: Sequence[str] = (),
    not_tunnels: Sequence[str] = (),
) -> tuple[NoCandidate, ...]:
    """What `candidate_pairs` leaves out because of the system's routes, `only_interfaces` or an
    interface that is too narrow for QUIC, in the order of the remotes. The arguments mean the same;
    preferences and `address_policy` order what is there, and leave nothing out.
    """
    known = with_borrowed(tuple(interfaces), routes)
    tunnels = _tunnels(known, routes, not_tunnels)
    routing = Routing(
        routes=routes,
        only=only_interfaces,
        leave_tunnel=leave_tunnel,
        in_tunnel=in_tunnel,
        tunnels=tunnels,
        trusted=trusted,
    )
    preferences = PairPreferences(routing=routing)
    return tuple(_routes_of(_local_addresses(known, tunnels), remotes, preferences)[1])


def _tunnels(
    interfaces: Sequence[Interface], routes: Sequence[Route] | None, not_tunnels: Collection[str]
) -> set[str]:
    """The tunnels, and what may be one for all that is known: where the system sends packets, and
    which is not among the interfaces."""
    names = {interface.name for interface in interfaces}
    tunnels = {interface.name for interface in interfaces if interface.kind == "tunnel"}
    unlisted = {r.interface for r in routes or () if r.chosen and r.interface not in names}
    return (tunnels | unlisted).difference(not_tunnels)


def _is_default_order(kinds: Sequence[str]) -> bool:
    """Whether these are in the order of `KINDS`: a kind that is missing is no wish for an order."""
    return list(kinds) == [kind for kind in KINDS if kind in kinds]


def _local_addresses(
    interfaces: Iterable[Interface], tunnels: Collection[str]
) -> list[LocalAddress]:
    return [
        LocalAddress(
            address=entry.address,
            prefix_length=entry.prefix_length,
            interface=interface.name,
            index=interface.index,
            kind=interface.kind,
            metered=interface.metered,
            deprecated=entry.deprecated,
            temporary=entry.temporary,
            home=entry.home,
            encapsulated=interface.encapsulates or interface.name in tunnels,
            mtu=interface.mtu,
        )
        for interface in interfaces
        for entry in interface.addresses
        if interface.up and not entry.tentative
    ]
