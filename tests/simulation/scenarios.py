"""What the simulator's seeds play: for each scenario a function from a generator to a `Case`.

Timeouts are generous, and virtual time and datagrams are bounded instead: so a typed error is no
way out. Two scenarios are made for it: in `early-cut` the only path may end before the handshake is
confirmed, and RFC 9000 section 9 allows no other one before that; in `doomed` both paths end.

Under 30 % loss in both directions half of all probes get no answer, each failure doubles the
timeout, and a run has hundreds of them: quiet times of minutes belong to it, and the idle timeout
is a matter of days.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import trioquic
from tests.simulation.case import (
    MEGABYTE,
    Case,
    Change,
    Cut,
    Direction,
    Ending,
    Job,
    JobKind,
    Outcome,
)
from tests.simulation.told import contradictions
from tests.simulation.travel import JOURNEYS, travel
from tests.simulation.wire import violations
from trioquic import IdleTimeoutError, InternalError
from trioquic.testing import LinkOptions

DAY: Final = 24 * 3600.0
# More certificates than a server may send before it knows that the client's address is real
# (RFC 9000 section 8.1), about as many, and none.
CHAINS: Final = (0, 2_000, 9_000)
DIRECTIONS: Final[tuple[Direction, ...]] = ("outbound", "inbound")
ENDINGS: Final[tuple[Ending, ...]] = ("blackhole", "one way", "down")
DOOMED_IDLE_TIMEOUT: Final = 10.0
# A journey has a dozen events, and each may be followed by a few looks at what came of it.
MOST_TURNS: Final = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A kind of run, and how many seeds of it `make series` plays; `make test` plays half."""

    name: str
    seeds: int
    case: Callable[[int, random.Random], Case]
    expected_errors: Callable[[Outcome], bool] = lambda outcome: False
    """Whether the run had to end in typed errors; otherwise it must have none."""

    def make(self, seed: int) -> Case:
        """The case of a seed; always the same."""
        return self.case(seed, random.Random(f"{self.name}/{seed}"))


def size_of(seed: int) -> int:
    """A quarter of the runs move a megabyte, the others less."""
    return MEGABYTE if seed % 4 == 0 else 200_000


def one_job(seed: int) -> tuple[Job, ...]:
    """A download, or in two of seven runs an upload."""
    return (Job(kind="upload" if seed % 7 > 4 else "download", size=size_of(seed)),)


def handshake(seed: int, rng: random.Random) -> Case:
    """30 % loss both ways, nothing but the handshake and the close."""
    return Case(
        wifi={"loss": 0.3},
        chain=CHAINS[seed % 3],
        retry=seed % 4 == 3,
        handshake_timeout=DAY,
        idle_timeout=DAY,
        seconds=2 * DAY,
        datagrams=400,
    )


def loss(seed: int, rng: random.Random) -> Case:
    """30 % loss both ways, a megabyte in a third of the runs."""
    kind: JobKind = "upload" if seed % 5 > 2 else "download"
    return Case(
        jobs=(Job(kind=kind, size=200_000 if seed % 3 else MEGABYTE),),
        wifi={"loss": 0.3},
        handshake_timeout=DAY,
        idle_timeout=1000 * DAY,
        seconds=1000 * DAY,
        datagrams=5_000,
    )


def reorder(seed: int, rng: random.Random) -> Case:
    return Case(
        jobs=one_job(seed),
        wifi={
            "reorder": rng.choice((0.02, 0.1, 0.3, 0.6)),
            "reorder_delay": rng.choice((0.002, 0.01, 0.03, 0.1)),
        },
        seconds=200.0,
        datagrams=4_000,
    )


def duplicate(seed: int, rng: random.Random) -> Case:
    return Case(
        jobs=one_job(seed),
        wifi={"duplicate": rng.choice((0.05, 0.3, 0.9))},
        seconds=5.0,
        datagrams=4_000,
    )


def corrupt(seed: int, rng: random.Random) -> Case:
    return Case(
        jobs=one_job(seed),
        wifi={"corrupt": rng.choice((0.01, 0.05, 0.15))},
        chain=rng.choice(CHAINS),
        seconds=300.0,
        datagrams=4_000,
    )


def far(seed: int, rng: random.Random) -> Case:
    """750 ms one way, more than over a geostationary satellite; with a move over as bad a link."""
    move = Cut(at=100 + seed * 5, direction="inbound", ending="blackhole", reaction=0.5)
    return Case(
        jobs=one_job(seed),
        wifi={"delay": 0.75, "loss": rng.choice((0.0, 0.0, 0.01))},
        cellular={"delay": 0.75},
        cut=move if seed % 12 == 0 else None,
        chain=rng.choice(CHAINS),
        retry=seed % 5 == 4,
        seconds=400.0,
        datagrams=4_000,
    )


def cut(seed: int, rng: random.Random) -> Case:
    """The path ends in mid-transfer, on an otherwise good network."""
    jobs = one_job(seed)
    direction = rng.choice(DIRECTIONS)
    # The way of the data has about one datagram a kilobyte, the way of the ACKs a quarter of that.
    carries_data = (direction == "outbound") == (jobs[0].kind == "upload")
    last = jobs[0].size // (2_000 if carries_data else 6_000)
    return Case(
        jobs=jobs,
        cut=Cut(
            at=rng.randint(15, last),
            direction=direction,
            ending=rng.choice(ENDINGS),
            reaction=rng.choice((0.0, 0.02, 0.1, 0.5, 2.0)),
        ),
        seconds=20.0,
        datagrams=3_000,
    )


def early_cut(seed: int, rng: random.Random) -> Case:
    """The path ends with one of the first datagrams."""
    return Case(
        jobs=(Job(kind="upload" if seed % 2 else "download", size=50_000),),
        cut=Cut(
            at=seed // 2 % 12,
            direction=DIRECTIONS[seed % 2],
            ending=rng.choice(ENDINGS),
            reaction=rng.choice((0.0, 0.1)),
        ),
        chain=rng.choice(CHAINS),
        handshake_timeout=5.0,
        idle_timeout=10.0,
        seconds=40.0,
        datagrams=1_000,
    )


def doomed(seed: int, rng: random.Random) -> Case:
    """The path ends, and the other one is dead already."""
    return replace(
        cut(seed, rng),
        cellular={"loss": 1.0},
        idle_timeout=DOOMED_IDLE_TIMEOUT,
        seconds=4 * DOOMED_IDLE_TIMEOUT,
    )


def roam(seed: int, rng: random.Random) -> Case:
    """Up to ten moves between two interfaces that lose nothing, a little, or much.

    A PATH_RESPONSE is never repeated. When one is lost the server may go back to the old path
    (RFC 9000 section 9.3.2), whose socket is closed by then: the client must notice the silence.
    """
    bad: LinkOptions = {"loss": rng.choice((0.0, 0.03, 0.2)), "reorder": rng.choice((0.0, 0.1))}
    return Case(
        jobs=(*one_job(seed), Job(kind="upload", size=30_000)),
        wifi=bad,
        cellular=bad,
        roam=tuple(rng.choice((0.0, 0.05, 0.3)) for _ in range(10)),
        seconds=600.0,
        datagrams=5_000,
    )


def storm(seed: int, rng: random.Random) -> Case:
    """Everything at once, streams both ways, and a cut; the other path is no better."""
    bad: LinkOptions = {
        "loss": rng.uniform(0.0, 0.1),
        "corrupt": rng.uniform(0.0, 0.05),
        "duplicate": rng.uniform(0.0, 0.2),
        "reorder": rng.uniform(0.0, 0.2),
        "reorder_delay": rng.uniform(0.001, 0.03),
        "jitter": rng.uniform(0.0, 0.01),
    }
    small = [Job(kind="download", size=rng.randint(0, 30_000)) for _ in range(5)]
    return Case(
        jobs=(
            Job(kind="download", size=size_of(seed) // 2),
            Job(kind="upload", size=size_of(seed) // 4),
            *small,
        ),
        wifi=bad,
        cellular=bad,
        cut=Cut(
            # Late enough for HANDSHAKE_DONE, which may be lost a few times.
            at=rng.randint(60, 100),
            direction=rng.choice(DIRECTIONS),
            ending=rng.choice(ENDINGS),
            reaction=rng.choice((0.0, 0.1, 0.5, 2.0)),
        ),
        seconds=300.0,
        datagrams=4_000,
    )


def narrow(seed: int, rng: random.Random) -> Case:
    """What the links carry changes again and again under uploads, and is never told. Half of the
    connections help themselves, and may take a black hole for silence."""
    changes = [
        Change(
            at=0.2 + number * rng.uniform(0.1, 0.3),
            interface=rng.choice(("wlan0", "wlan0", "wwan0")),
            what="narrow",
            mtu=rng.choice((1500, rng.randint(1228, 1300))),
        )
        for number in range(6)
    ]
    return Case(
        jobs=(Job(kind="upload", size=500_000), Job(kind="upload", size=50_000)),
        wifi={"loss": rng.choice((0.0, 0.0, 0.01, 0.05)), "mtu": rng.choice((1420, 1500))},
        cellular={"mtu": rng.choice((1280, 1500))},
        changes=tuple(sorted(changes, key=lambda change: change.at)),
        policy=trioquic.MigrationPolicy(automatic=seed % 2 == 0),
        seconds=60.0,
        datagrams=3_000,
    )


def _never_confirmed(outcome: Outcome) -> bool:
    return not outcome.confirmed


def _always_idle(outcome: Outcome) -> bool:
    return all(isinstance(error, IdleTimeoutError) for error in outcome.errors)


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="handshake", seeds=60, case=handshake),
        Scenario(name="loss", seeds=40, case=loss),
        Scenario(name="reorder", seeds=40, case=reorder),
        Scenario(name="duplicate", seeds=40, case=duplicate),
        Scenario(name="corrupt", seeds=40, case=corrupt),
        Scenario(name="far", seeds=40, case=far),
        Scenario(name="cut", seeds=60, case=cut),
        *(
            Scenario(name=f"travel-{name}", seeds=seeds, case=travel(what))
            for name, (seeds, what) in JOURNEYS.items()
        ),
        Scenario(name="early-cut", seeds=48, case=early_cut, expected_errors=_never_confirmed),
        Scenario(name="doomed", seeds=40, case=doomed, expected_errors=_always_idle),
        Scenario(name="roam", seeds=40, case=roam),
        Scenario(name="storm", seeds=40, case=storm),
        Scenario(name="narrow", seeds=40, case=narrow),
    )
}


def problems(scenario: Scenario, case: Case, outcome: Outcome) -> list[str]:
    """What is wrong with an outcome; nothing, if the run went as it has to."""
    found = []
    if outcome.exceeded:
        found.append(f"stopped after too many {outcome.exceeded}")
    if outcome.wrong:
        found.append(f"wrong bytes: {outcome.wrong}")
    if any(isinstance(error, InternalError) for error in outcome.errors):
        found.append(f"a bug: {outcome.errors}")
    if case.policy.automatic:
        found += _strange_errors(case, outcome)
    elif scenario.expected_errors(outcome) != bool(outcome.errors):
        expected = "typed errors" if scenario.expected_errors(outcome) else "no typed error"
        found.append(f"expected {expected}, got {outcome.errors}")
    if case.cut is not None and outcome.cut_at is None:
        found.append("ended before the cut")
    if outcome.ids_settled is False:
        found.append(f"connection IDs are missing: {outcome.statistics}")
    if outcome.turns > MOST_TURNS:
        found.append(f"the supervisor woke {outcome.turns} times")
    if outcome.sockets_left:
        found.append(f"{outcome.sockets_left} sockets left open")
    return [*found, *violations(case, outcome), *contradictions(case, outcome)]


def _strange_errors(case: Case, outcome: Outcome) -> list[str]:
    """A connection that helps itself ends in an error only where there is no way left, or where it
    was lost before RFC 9000 section 9 allowed another path."""
    if outcome.confirmed_at == math.inf:
        expected: type[Exception] | None = IdleTimeoutError
    else:
        expected = case.ends_in
    strange = [e for e in outcome.errors if expected is None or type(e) is not expected]
    name = "no error" if expected is None else expected.__name__
    return [f"expected {name}, got {strange!r}"] if strange else []
