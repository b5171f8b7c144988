"""What a simulated run is made of, and what can come of it: plain data."""

import hashlib
import math
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import trioquic
from tests.sim_world import SERVER
from trioquic.testing import LinkOptions, Record

MEGABYTE: Final = 1_000_000
BY_HAND: Final = trioquic.MigrationPolicy(automatic=False)

JobKind: TypeAlias = Literal["download", "upload"]
Direction: TypeAlias = Literal["outbound", "inbound"]
Ending: TypeAlias = Literal["blackhole", "one way", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is asked of the server over one stream."""

    kind: JobKind
    size: int
    wait: float = 0.0
    """A download for which the server takes its time, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The Wi-Fi path ends with its n-th datagram, and the phone moves to the other interface."""

    at: int
    """Index of the datagram."""
    direction: Direction
    """Whose datagrams are counted."""
    ending: Ending
    """Everything is swallowed, only this direction is, or the interface goes down."""
    reaction: float
    """Seconds until the phone calls `migrate`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something happens to one of the phone's networks. Nobody but the simulated host tells."""

    at: float
    """Seconds after the connection was opened."""
    interface: str
    what: Literal[
        "down", "up", "silent", "heard", "address lost", "address new", "rebound", "narrow"
    ]
    """Up to "heard": the interface's carrier, or its link that swallows everything. "rebound": the
    NAT forgets its mappings. "narrow": the link swallows what is larger than `mtu`."""
    address: str = ""
    mtu: int = 1500
    direction: Literal["outbound", "inbound", "both"] = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that a run is made of."""

    jobs: tuple[Job, ...] = ()
    wifi: LinkOptions = field(default_factory=lambda: LinkOptions())
    cellular: LinkOptions = field(default_factory=lambda: LinkOptions())
    cut: Cut | None = None
    roam: tuple[float, ...] = ()
    """The phone moves between its two interfaces, so many seconds after the last move each."""
    changes: tuple[Change, ...] = ()
    """What happens to the networks, in the order of time."""
    policy: trioquic.MigrationPolicy = BY_HAND
    """An automatic one means that nobody calls `migrate`: the connection has to help itself."""
    nat: bool = False
    """Wi-Fi's IPv4 is behind a NAT."""
    server: str = SERVER
    """The address to connect to."""
    preferred: str | None = None
    """The server's preferred address."""
    disable_active_migration: bool = False
    ends_in: type[trioquic.QuicError] | None = None
    """In the end there is no way left that the client may take: what jobs that are not done by
    then have to end in."""
    retry: bool = False
    chain: int = 0
    """Bytes of certificates beyond the server's own."""
    handshake_timeout: float = 600.0
    idle_timeout: float = 300.0
    seconds: float = 600.0
    """The most virtual time that the run may take."""
    congestion: Literal["cubic", "newreno"] = "cubic"
    """The client's congestion controller."""
    datagrams: int = 12_000
    """The most datagrams that both sides together may send."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a run. Times are virtual seconds."""

    errors: list[trioquic.QuicError | trioquic.InternalError] = field(default_factory=list)
    """One for each job, or for the handshake, that ended in a typed error."""
    wrong: list[str] = field(default_factory=list)
    """What was delivered and is not what was sent."""
    exceeded: str = ""
    """Which bound of the case stopped the run."""
    handshake: float = 0.0
    confirmed: bool = False
    """Whether the handshake was confirmed at last."""
    elapsed: float = 0.0
    """From the first datagram to the end of the last job."""
    cut_at: float | None = None
    moves: list[str] = field(default_factory=list)
    """The outcome of each call of `migrate`: "moved", or the name of its error."""
    moved: float | None = None
    """From the cut to the return of `migrate`."""
    gap: float = 0.0
    """From the cut to the next bytes that the application got after it."""
    statistics: trioquic.ConnectionStatistics | None = None
    records: tuple[Record, ...] = ()
    events: list[tuple[float, trioquic.PathEvent]] = field(default_factory=list)
    """What was heard of the paths, and when."""
    confirmed_at: float = math.inf
    secrets: str = ""
    """The connection's keys, in the format of SSLKEYLOGFILE."""
    turns: int = 0
    """How often the supervisor woke up."""
    ids_settled: bool | None = None
    """Whether the server's connection IDs were all there again at the end; None: not looked at."""
    sockets_left: int = 0
    """Sockets of the phone that are open after the connection was closed."""

    @property
    def recording(self) -> str:
        """A digest of every datagram: when, where, what, and what became of it."""
        digest = hashlib.sha256()
        for r in self.records:
            line = (r.time, r.host, r.interface, r.source, r.destination, r.fate, r.ended, r.copy)
            digest.update(f"{line}".encode())
            digest.update(r.payload or b"")
        return digest.hexdigest()
