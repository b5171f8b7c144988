"""Handshakes and transfers over bad networks: the right bytes or a typed error, in bounded steps,
and no connection ID on two paths."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import trioquic
from tests.simulation.play import run
from tests.simulation.scenarios import SCENARIOS, problems
from trioquic.testing import Fate

ROOT = Path(__file__).parents[2]
SEEDS = [(name, seed) for name, scenario in SCENARIOS.items() for seed in range(scenario.seeds)]


def variant(seed: int) -> pytest.MarkDecorator:
    """Which variant plays a seed when `make test` has both: the first three are for the plain one,
    as scenarios choose by a seed's remainders, and a twelfth is for the compiled one, which is
    faster. `make series` plays all."""
    if seed < 3:
        return pytest.mark.plain
    return pytest.mark.compiled if seed // 3 % 12 == 1 else pytest.mark.series


def replay_command(name: str, seed: int) -> str:
    return f"python -m tests.simulation {name} {seed}"


@pytest.mark.parametrize(
    ("name", "seed"),
    [pytest.param(*case, marks=variant(case[1]), id=f"{case[0]}-{case[1]}") for case in SEEDS],
)
def test_seed(name: str, seed: int) -> None:
    scenario = SCENARIOS[name]
    case = scenario.make(seed)
    outcome = run(case, f"{name}/{seed}")
    found = problems(scenario, case, outcome)
    if found:
        pytest.fail(f"{'; '.join(found)}\nreplay: {replay_command(name, seed)}", pytrace=False)


def test_there_are_enough_seeds() -> None:
    counted = Counter(name for name, _ in SEEDS)
    by_themselves = sum(n for name, n in counted.items() if name.startswith("travel-"))
    assert by_themselves >= 1000
    assert counted.total() - by_themselves >= 300
    assert min(counted.values()) >= 40
    played = Counter(name for name, seed in SEEDS if variant(seed).name != "series")
    played_by_themselves = sum(n for name, n in played.items() if name.startswith("travel-"))
    assert played_by_themselves >= 110
    assert played.total() - played_by_themselves >= 70


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_variants_see_every_scenario(name: str) -> None:
    shares = Counter(variant(seed).name for seed in range(SCENARIOS[name].seeds))
    assert shares["plain"] + shares["compiled"] + shares["series"] == SCENARIOS[name].seeds
    assert shares["compiled"] >= shares["plain"] == 3


@pytest.mark.compiled
def test_a_path_that_ends_early_leaves_some_connections_and_ends_others() -> None:
    """Both branches of RFC 9000 section 9 are played: moved after confirmation, lost before."""
    scenario = SCENARIOS["early-cut"]
    outcomes = [run(scenario.make(seed), f"early-cut/{seed}") for seed in range(scenario.seeds)]
    lost = sum(1 for outcome in outcomes if outcome.errors)
    assert 0.3 * scenario.seeds < lost < 0.9 * scenario.seeds
    assert all(outcome.moves == ["moved"] for outcome in outcomes if not outcome.errors)
    names = {type(error).__name__ for outcome in outcomes for error in outcome.errors}
    assert names == {"HandshakeTimeoutError", "IdleTimeoutError"}


@pytest.mark.compiled
def test_journeys_have_everything() -> None:
    """Nobody calls `migrate`, and yet all of this happens; each journey has its own."""
    names = [name for name in SCENARIOS if name.startswith("travel-")]
    outcomes = {
        name: [run(SCENARIOS[name].make(seed), f"{name}/{seed}") for seed in range(5)]
        for name in names
    }
    told = {
        name: {type(event) for outcome in runs for _, event in outcome.events}
        for name, runs in outcomes.items()
    }
    for name in names:
        moves = {trioquic.Migrated} if name != "travel-forbidden" else set()
        assert told[name] >= moves | {trioquic.PathValidated}, name
    assert trioquic.Migrated not in told["travel-forbidden"]
    assert trioquic.WaitingForPath in told["travel-forbidden"]
    assert trioquic.PreferredAddressResult in told["travel-wishes"]
    assert any(len(outcome.errors) > 1 for outcome in outcomes["travel-doomed"])
    errors = {type(e) for outcome in outcomes["travel-doomed"] for e in outcome.errors}
    assert errors == {trioquic.IdleTimeoutError, trioquic.NoPathError}
    rebound = [
        change for seed in range(5) for change in SCENARIOS["travel-rebinding"].make(seed).changes
    ]
    assert {change.what for change in rebound} >= {"rebound", "silent", "down"}


@pytest.mark.compiled
def test_a_storm_has_everything() -> None:
    """The accidents are no dead letters: they happen, and in both directions."""
    outcomes = [run(SCENARIOS["storm"].make(seed), f"storm/{seed}") for seed in range(4)]
    runs = [outcome.records for outcome in outcomes]
    fates = {record.fate for records in runs for record in records}
    assert fates & {Fate.BLACKHOLED, Fate.INTERFACE_DOWN}
    statistics = [outcome.statistics for outcome in outcomes if outcome.statistics is not None]
    assert any(counted.dropped_duplicate for counted in statistics)
    assert any(counted.dropped_unauthentic for counted in statistics)
    for host in ("phone", "server"):
        sent = [[record for record in records if record.host == host] for records in runs]
        everything = [record for records in sent for record in records]
        assert any(record.corrupted for record in everything)
        assert any(record.copy for record in everything)
        assert any(record.fate is Fate.LOST for record in everything)
        arrivals = [
            [r.ended for r in records if r.fate is Fate.DELIVERED and r.ended is not None]
            for records in sent
        ]
        assert any(times != sorted(times) for times in arrivals), "nothing was reordered"


@pytest.mark.parametrize("name", ["handshake", "far", "storm", "travel-everything"])
def test_the_same_seed_gives_the_same_recording(name: str) -> None:
    case = SCENARIOS[name].make(3)
    first, second = run(case, f"{name}/3"), run(case, f"{name}/3")
    assert first.records and first.recording == second.recording
    assert run(case, f"{name}/4").recording != first.recording


def test_a_seed_can_be_replayed_by_its_command() -> None:
    """In another process, whose hash seed is another one."""
    expected = run(SCENARIOS["storm"].make(5), "storm/5").recording[:16]
    command = replay_command("storm", 5).split()
    done = subprocess.run(
        [sys.executable, *command[1:]],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"recording {expected}: ok" in done.stdout
