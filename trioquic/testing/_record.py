"""What can be known about a datagram: the view of a filter, and the memory of a recorder.

A filter sees a `Datagram` on its way and answers with the payload to go on with, or None to drop
it. A recorder keeps a `Record` of every datagram that a host put on the wire, and of what became
of it, so that a test can count, and can assert that nothing went where it must not go.
"""

import enum
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from .._construction import NoPublicConstructor
from ._addresses import Endpoint


class Fate(enum.Enum):
    """What became of a datagram."""

    IN_FLIGHT = "in flight"
    DELIVERED = "delivered to a socket"
    LOST = "lost at random"
    BLACKHOLED = "swallowed by a blackhole"
    FILTERED = "dropped by a filter"
    QUEUE_FULL = "dropped by the full queue before a link"
    TOO_BIG = "larger than the link's MTU"
    OVERFLOW = "one more than the network holds in flight"
    NO_ROUTE = "nobody has the address"
    NO_MAPPING = "not expected by the NAT"
    INTERFACE_DOWN = "arrived at an interface that is down"
    PORT_CLOSED = "arrived at a port that nobody listens on"
    BUFFER_FULL = "dropped by the full receive buffer of its socket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """A datagram as a filter sees it."""

    time: float
    """trio's clock, in seconds."""
    host: str
    """The host at whose access link the filter stands."""
    interface: str
    direction: Literal["outbound", "inbound"]
    """Outbound is from the host to the internet."""
    index: int
    """Counts the datagrams of this link in this direction, from 0."""
    source: Endpoint
    destination: Endpoint
    payload: bytes


Filter: TypeAlias = Callable[[Datagram], bytes | None]
"""Returns the payload to go on with (the same or another), or None to drop the datagram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One datagram that a host sent, as it left the host."""

    time: float
    """When it was sent, on trio's clock."""
    host: str
    interface: str
    """Where it left; "lo" for a datagram from a host to itself."""
    source: Endpoint
    destination: Endpoint
    size: int
    """Bytes of payload."""
    payload: bytes | None
    """None if the recorder does not keep payloads."""
    fate: Fate = Fate.IN_FLIGHT
    ended: float | None = None
    """When its fate was sealed; None while it is in flight."""
    corrupted: bool = False
    """Whether the link changed its bytes."""
    copy: bool = False
    """Whether the link made it, as a duplicate."""


class RecordEntry:
    """The record of a datagram that is on its way: replaced whenever there is more to say."""

    __slots__ = ("_recorders", "record")

    def __init__(self, record: Record, recorders: "tuple[Recorder, ...]") -> None:
        self.record: Record = record
        self._recorders = recorders
        for recorder in recorders:
            recorder._add(self)

    def twin(self) -> "RecordEntry":
        """The entry of a duplicate, in the same recorders."""
        return RecordEntry(replace(self.record, copy=True), self._recorders)


class Recorder(metaclass=NoPublicConstructor, made_by="SimulatedNetwork.record"):
    """Remembers the datagrams that hosts send, newest last; made by `SimulatedNetwork.record`.

    It holds at most `limit` datagrams and then forgets the oldest; `forgotten` counts those.
    """

    def __init__(self, *, limit: int, payloads: bool) -> None:
        self._entries: deque[RecordEntry] = deque(maxlen=limit)
        self._payloads = payloads
        self.forgotten: int = 0

    def __len__(self) -> int:
        return len(self._entries)

    def _add(self, entry: RecordEntry) -> None:
        if len(self._entries) == self._entries.maxlen:
            self.forgotten += 1
        self._entries.append(entry)

    @property
    def records(self) -> tuple[Record, ...]:
        """What is known now about every datagram, in the order of sending."""
        known = (entry.record for entry in self._entries)
        return tuple(known if self._payloads else (replace(r, payload=None) for r in known))

    def select(
        self,
        *,
        host: str | None = None,
        interface: str | None = None,
        source: str | None = None,
        destination: str | None = None,
        fate: Fate | None = None,
        since: float | None = None,
    ) -> tuple[Record, ...]:
        """The records that fit every argument given; addresses are without port, in any spelling
        that `ipaddress` prints; `since` is a time on trio's clock."""
        return tuple(
            record
            for record in self.records
            if (host is None or record.host == host)
            and (interface is None or record.interface == interface)
            and (source is None or record.source[0] == source)
            and (destination is None or record.destination[0] == destination)
            and (fate is None or record.fate is fate)
            and (since is None or record.time >= since)
        )

    def fates(self) -> Counter[Fate]:
        """How many datagrams met which fate."""
        return Counter(entry.record.fate for entry in self._entries)

    def clear(self) -> None:
        """Forget everything recorded so far."""
        self._entries.clear()
        self.forgotten = 0
