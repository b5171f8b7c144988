"""Journeys: the phone's networks come, go, fall silent and are rebound, and nobody calls `migrate`.

The transfers are small and everything happens within seconds. However a journey goes, in the end
every network is as good as in the beginning, so that the jobs have to be done; but for two ways to
come to a bad end, and each has its own error:

- no network is left that the client may use: `NoPathError`. The policy may exclude one, or the
  server all but the first address (`disable_active_migration`);
- the networks are there, and none lets anything through: `IdleTimeoutError`.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from tests.sim_world import CELLULAR, CELLULAR6, PREFERRED, PREFERRED6, SERVER, SERVER6, WIFI, WIFI6
from tests.simulation.case import Case, Change, Job, JobKind
from trioquic import IdleTimeoutError, MigrationPolicy, NoPathError
from trioquic.testing import LinkOptions

Trouble: TypeAlias = Literal["down", "silent", "address", "rebound"]
Wish: TypeAlias = Literal["preferred", "forbidden"]

NOWHERE: Final = "198.51.100.77"
NOWHERE6: Final = "2001:db8:1::77"
ADDRESSES: Final = {"wlan0": (WIFI, WIFI6), "wwan0": (CELLULAR, CELLULAR6)}
OTHERS: Final = {
    "wlan0": ("192.0.2.11", "2001:db8:2::11"),
    "wwan0": ("203.0.113.11", "2001:db8:3::11"),
}
DIRECTIONS: Final[tuple[Literal["outbound", "inbound", "both"], ...]] = (
    "outbound",
    "inbound",
    "both",
    "both",
)
NETWORKS: Final = ("wlan0", "wwan0")
IDLE: Final = 30.0
DOOMED_IDLE: Final = 6.0
LAST: Final = 3.0
"""Nothing changes later than so many seconds after the beginning."""

POLICIES: Final = (
    MigrationPolicy(),
    MigrationPolicy(),
    MigrationPolicy(standby=0),
    MigrationPolicy(standby=0, new_port=False),
    MigrationPolicy(interfaces=["wwan0", "wlan0"]),
    MigrationPolicy(kinds=["cellular", "wifi"], move_back_after=0.1),
    MigrationPolicy(standby_interval=0.5, metered_standby_interval=0.5, move_back_after=0.2),
    MigrationPolicy(metered=False),
    MigrationPolicy(use_preferred_address=False),
)
WIFI_ONLY: Final = MigrationPolicy(metered=False)


def jobs(rng: random.Random) -> tuple[Job, ...]:
    """A transfer one way or both, and a request that has to wait for its answer: most of what
    happens to the networks happens to it."""
    kinds: tuple[JobKind, ...] = rng.choice((("download",), ("upload",), ("download", "upload")))
    size = 60_000 // len(kinds)
    transfers = [Job(kind=kind, size=rng.randint(20_000, size)) for kind in kinds]
    waiting = Job(kind="download", size=rng.randint(1_000, 5_000), wait=rng.uniform(1.0, 3.5))
    return (*transfers, waiting)


def access(rng: random.Random, *, rough: bool) -> LinkOptions:
    """A link that is slow enough for something to happen during a transfer."""
    link: LinkOptions = {"rate": rng.choice((0.2e6, 0.4e6, 1e6)), "queue": 0.3}
    if rough:
        link["loss"] = rng.choice((0.0, 0.01, 0.05))
        link["reorder"] = rng.choice((0.0, 0.1))
        link["duplicate"] = rng.choice((0.0, 0.1))
    return link


def trouble(rng: random.Random, kind: Trouble, interface: str, version: int) -> list[Change]:
    """Something goes, and comes back."""
    begin = rng.uniform(0.0, LAST)
    end = begin + rng.choice((0.02, 0.2, 1.0, 2.0)) * rng.uniform(0.5, 1.0)
    first = Change(at=begin, interface=interface, what="down")
    if kind == "down":
        return [first, replace(first, at=end, what="up")]
    if kind == "silent":
        direction = rng.choice(DIRECTIONS)
        silent = replace(first, what="silent", direction=direction)
        return [silent, replace(silent, at=end, what="heard")]
    if kind == "rebound":
        return [replace(first, what="rebound")]
    old = ADDRESSES[interface][version == 6]
    new = rng.choice((old, OTHERS[interface][version == 6]))
    lost = replace(first, what="address lost", address=old)
    return [lost, replace(lost, at=end, what="address new", address=new)]


def journey(rng: random.Random, kinds: tuple[Trouble, ...], version: int) -> tuple[Change, ...]:
    """One to four troubles of either network, in the order of time."""
    found: list[Change] = []
    for _ in range(rng.randint(1, 4)):
        kind = rng.choice(kinds)
        interface = "wlan0" if kind == "rebound" else rng.choice(("wlan0", "wlan0", "wwan0"))
        found += trouble(rng, kind, interface, version)
    return tuple(sorted(found, key=lambda change: change.at))


def ordinary(rng: random.Random, kinds: tuple[Trouble, ...], *, rough: bool = False) -> Case:
    """A journey that ends well."""
    version = 4 if "rebound" in kinds or rng.random() < 0.6 else 6
    return Case(
        jobs=jobs(rng),
        wifi=access(rng, rough=rough),
        cellular=access(rng, rough=rough),
        changes=journey(rng, kinds, version),
        policy=rng.choice(POLICIES),
        nat="rebound" in kinds,
        server=SERVER if version == 4 else SERVER6,
        idle_timeout=IDLE,
        seconds=60.0,
        datagrams=2_000,
    )


def outages(rng: random.Random) -> Case:
    """Interfaces go down and up, addresses are lost and replaced."""
    return ordinary(rng, ("down", "address"))


def silences(rng: random.Random) -> Case:
    """Links swallow everything, or one direction, and come back."""
    return ordinary(rng, ("silent",))


def rebinding(rng: random.Random) -> Case:
    """A forgetful NAT, on links that lose, reorder and duplicate."""
    return ordinary(rng, ("rebound", "rebound", "silent", "down"), rough=True)


def everything(rng: random.Random) -> Case:
    """All troubles on bad links."""
    return ordinary(rng, ("down", "address", "silent"), rough=True)


def wishes(rng: random.Random) -> Case:
    """A server with a preferred address, which may be unreachable, and may be the only one that it
    lets the client go to from elsewhere."""
    case = ordinary(rng, ("down", "address", "silent"), rough=rng.random() < 0.5)
    six = ":" in case.server
    reachable = rng.random() < 0.6
    there = (PREFERRED6 if six else PREFERRED) if reachable else (NOWHERE6 if six else NOWHERE)
    return replace(case, preferred=there)


def forbidden(rng: random.Random) -> Case:
    """The server has forbidden active migration: the first path has to last, or the connection
    ends when its network goes."""
    case = ordinary(rng, ("down", "silent"))
    goes = any(change.what == "down" and change.interface == "wlan0" for change in case.changes)
    ends_in = NoPathError if goes else None
    return replace(case, disable_active_migration=True, ends_in=ends_in)


def doomed(rng: random.Random) -> Case:
    """After the journey nothing works any more, in one way or the other."""
    case = ordinary(rng, ("down", "address", "silent"))
    silent = rng.random() < 0.5
    what: Literal["silent", "down"] = "silent" if silent else "down"
    end = max(change.at for change in case.changes) + rng.uniform(0.0, 1.0)
    last = [Change(at=end, interface=interface, what=what) for interface in NETWORKS]
    waiting = Job(kind="download", size=1_000, wait=end + 1.0)
    return replace(
        case,
        jobs=(*case.jobs, waiting),
        changes=(*case.changes, *last),
        idle_timeout=DOOMED_IDLE,
        ends_in=IdleTimeoutError if silent else NoPathError,
    )


JOURNEYS: Final[dict[str, tuple[int, Callable[[random.Random], Case]]]] = {
    "outages": (200, outages),
    "silences": (200, silences),
    "rebinding": (150, rebinding),
    "everything": (100, everything),
    "wishes": (200, wishes),
    "forbidden": (50, forbidden),
    "doomed": (100, doomed),
}
"""By name: how many seeds, and what they are."""


def travel(make: Callable[[random.Random], Case]) -> Callable[[int, random.Random], Case]:
    """A scenario's function of seed and generator; the generator is all that it takes."""
    return lambda seed, rng: make(rng)
