"""What a simulated run is made of, and what can come of it: plain data."""

import hashlib
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import trioquic
from trioquic.testing import LinkOptions, Record

MEGABYTE: Final = 1_000_000

JobKind: TypeAlias = Literal["download", "upload"]
Direction: TypeAlias = Literal["outbound", "inbound"]
Ending: TypeAlias = Literal["blackhole", "one way", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is asked of the server over one stream."""

    kind: JobKind
    size: int


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
class Case:
    """Everything that a run is made of."""

    jobs: tuple[Job, ...] = ()
    wifi: LinkOptions = field(default_factory=lambda: LinkOptions())
    cellular: LinkOptions = field(default_factory=lambda: LinkOptions())
    cut: Cut | None = None
    roam: tuple[float, ...] = ()
    """The phone moves between its two interfaces, so many seconds after the last move each."""
    retry: bool = False
    chain: int = 0
    """Bytes of certificates beyond the server's own."""
    handshake_timeout: float = 600.0
    idle_timeout: float = 300.0
    keep_alive: float = 0.0
    seconds: float = 600.0
    """The most virtual time that the run may take."""
    datagrams: int = 12_000
    """The most datagrams that both sides together may send."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a run. Times are virtual seconds."""

    errors: list[trioquic.QuicError] = field(default_factory=list)
    """One for each job, or for the handshake, that ended in a typed error."""
    wrong: list[str] = field(default_factory=list)
    """What was delivered and is not what was sent."""
    exceeded: str = ""
    """Which bound of the case stopped the run."""
    shared_ids: dict[bytes, set[str]] = field(default_factory=dict)
    """Destination connection IDs that were seen from several local addresses, with those."""
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

    @property
    def recording(self) -> str:
        """A digest of every datagram: when, where, what, and what became of it."""
        digest = hashlib.sha256()
        for r in self.records:
            line = (r.time, r.host, r.interface, r.source, r.destination, r.fate, r.ended, r.copy)
            digest.update(f"{line}".encode())
            digest.update(r.payload or b"")
        return digest.hexdigest()
