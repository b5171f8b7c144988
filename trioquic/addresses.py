"""Every way from this machine to a server's addresses, the best first, and why (RFC 6724).

A connection orders its candidates for new paths with this function, so what it says is what a
connection would do. The caller's preferences sort first; what they leave tied is for RFC 6724.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ._address.local import LocalAddress
from ._address.pairs import PairPreferences
from ._address.pairs import candidate_pairs as _candidate_pairs
from .networks import Interface, InterfaceKind
from .policy import KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPair:
    """One of our addresses and one of the server's, between which a network path is possible."""

    interface: str
    """The name of the interface."""
    kind: InterfaceKind
    """What the interface is."""
    metered: bool | None
    """Whether its traffic costs; None if unknown."""
    local: str
    """Our address, without a zone."""
    remote: str
    """The server's address as it was given; an IPv4-mapped one as the IPv4 address it is."""
    source_rank: int
    """0: the source that RFC 6724 section 5 selects on this interface for this remote address.
    Others follow it; a connection does not use them by itself."""
    reason: str
    """For people: what put it before the next pair (the last one: behind the previous)."""


def candidate_pairs(
    interfaces: Iterable[Interface],
    remotes: Sequence[str],
    *,
    prefer_interfaces: Sequence[str] = (),
    prefer_kinds: Sequence[str] = KINDS,
) -> tuple[AddressPair, ...]:
    """All pairs that can work, the best first.

    `interfaces` is a `NetworkSource.snapshot()`; those that are down and tentative addresses are
    left out. `remotes` are IP addresses in the order of the resolver, which breaks the last ties.
    The preferences are those of `MigrationPolicy`: interfaces by name, then kinds, then metered
    interfaces last. Raises ValueError for a remote that is no IP address.
    """
    preferences = PairPreferences(interfaces=tuple(prefer_interfaces), kinds=tuple(prefer_kinds))
    known = tuple(interfaces)
    kinds = {interface.name: interface.kind for interface in known}
    return tuple(
        AddressPair(
            interface=pair.interface,
            kind=kinds[pair.interface],
            metered=pair.local.metered,
            local=pair.local.address,
            remote=pair.remote,
            source_rank=pair.source_rank,
            reason=pair.reason,
        )
        for pair in _candidate_pairs(_local_addresses(known), remotes, preferences)
    )


def _local_addresses(interfaces: Iterable[Interface]) -> list[LocalAddress]:
    return [
        LocalAddress(
            address=entry.address,
            prefix_length=entry.prefix_length,
            interface=interface.name,
            index=interface.index,
            kind=interface.kind,
            metered=interface.metered,
            up=interface.up,
            deprecated=entry.deprecated,
            temporary=entry.temporary,
            home=entry.home,
        )
        for interface in interfaces
        for entry in interface.addresses
        if interface.up and not entry.tentative
    ]
