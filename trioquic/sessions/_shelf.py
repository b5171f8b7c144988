"""Tickets and tokens in order of age: each is given out once, and there are never too many.

Pure: time is an argument. All is one short list, the oldest first, which is also the order in which
they go when there is no room.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from .. import _checks
from .._protocol.tls.resumption import Resumption, age_at
from ._records import AddressToken, Record, SessionKey, TakenSession

# Both bound what a store can grow to, in memory and in a file.
MOST_RECORDS: Final = 512
LARGEST_RECORD: Final = 32 << 10

R = TypeVar("R", Resumption, AddressToken)


class Entry(NamedTuple):
    """A record and where it may be used."""

    key: SessionKey
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the user of a store has chosen. ValueError and TypeError for what cannot be."""

    across_networks: bool = field(metadata=_checks.by(_checks.flag))
    per_server: int = field(metadata=_checks.by(_checks.whole(1, MOST_RECORDS)))
    most: int = field(metadata=_checks.by(_checks.whole(1, MOST_RECORDS)))
    token_lifetime: float = field(metadata=_checks.by(_checks.number(above=True)))

    def __post_init__(self) -> None:
        _checks.check_fields(self)


class Shelf:
    """The records of one store."""

    def __init__(self, limits: Limits, entries: Iterable[Entry] = ()) -> None:
        self._limits = limits
        self.entries = sorted(entries, key=_age_order)

    def take(self, key: SessionKey, now: float) -> TakenSession:
        """The newest of each kind, which is not there any more after that."""
        self._drop_expired(now)
        ticket = self._take(Resumption, key, now, self._limits.across_networks)
        # On another network it would be of no use: it stands for an address of this one.
        token = self._take(AddressToken, key, now, False)
        return TakenSession(ticket, token)

    def keep(self, key: SessionKey, records: Sequence[Record], now: float) -> None:
        """Add records; expired ones and the oldest of too many go, but first those that nobody can
        use because the clock was set back: they must not keep out what comes now."""
        for record in records:
            entry = Entry(key, record)
            if _size(record) <= LARGEST_RECORD and entry not in self.entries:
                insort(self.entries, entry, key=_age_order)
        self._drop_expired(now)
        for kind in (Resumption, AddressToken):
            same = [e for e in self.entries if isinstance(e.record, kind) and _server(e.key, key)]
            self._drop_all_but(self._limits.per_server, same, now)
        self._drop_all_but(self._limits.most, self.entries, now)

    def _take(self, kind: type[R], key: SessionKey, now: float, any_network: bool) -> R | None:
        for index in range(len(self.entries) - 1, -1, -1):
            place, record = self.entries[index]
            if (
                isinstance(record, kind)
                and _server(place, key)
                and place.version == key.version
                and place.trust == key.trust
                and (any_network or place.network == key.network)
                # the clock was set back since: it may be usable again later
                and age_at(_made_at(record), now) is not None
            ):
                del self.entries[index]
                return record
        return None

    def _drop_all_but(self, most: int, entries: list[Entry], now: float) -> None:
        if len(entries) > most:
            for entry in sorted(entries, key=lambda entry: _worth(entry, now))[:-most]:
                self.entries.remove(entry)

    def _drop_expired(self, now: float) -> None:
        self.entries = [e for e in self.entries if now < self._expires_at(e.record)]

    def _expires_at(self, record: Record) -> float:
        if isinstance(record, AddressToken):
            return record.received_at + self._limits.token_lifetime
        return record.expires_at


def _made_at(record: Record) -> float:
    return record.received_at if isinstance(record, AddressToken) else record.issued_at


def _age_order(entry: Entry) -> float:
    return _made_at(entry.record)


def _worth(entry: Entry, now: float) -> tuple[bool, float]:
    made_at = _made_at(entry.record)
    return age_at(made_at, now) is not None, made_at


def _server(one: SessionKey, other: SessionKey) -> bool:
    return one.server_name == other.server_name and one.port == other.port


def _size(record: Record) -> int:
    if isinstance(record, AddressToken):
        return len(record.token)
    parts = (record.ticket, record.secret, record.transport_parameters, *record.peer_certificates)
    return sum(map(len, parts))
