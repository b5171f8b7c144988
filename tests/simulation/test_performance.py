"""How long transfers take in virtual time, held against what theory allows.

The bounds are models of a sender as RFC 9002 describes it, not measurements with a margin: a stall,
a timer that waits for a backed-off one, or a window that does not grow breaks them.
"""

import itertools
import statistics
from math import ceil, log2, sqrt
from typing import Literal

import pytest

from tests.sim_world import CELLULAR
from tests.simulation.case import MEGABYTE, Case, Cut, Direction, Ending, Job, JobKind, Outcome
from tests.simulation.play import run
from tests.simulation.scenarios import DIRECTIONS, ENDINGS, SCENARIOS
from trioquic.testing import Fate

WIFI_RTT = 0.0515
CELLULAR_RTT = 0.081
"""Delay both ways, and the time that a datagram of full size needs at 20 Mbit/s."""
RATE = 20e6 / 8
PACKET = 1165
INITIAL_WINDOW = 12_000
CUT_SIZE, CUT_AT = 300_000, 60
PTO = 0.1
"""Of the Wi-Fi path: its RTT, some variation, and an acknowledgement delay of 25 ms."""


def transfer(kind: JobKind, seed: str, size: int = MEGABYTE, **more: object) -> Outcome:
    case = Case(jobs=(Job(kind=kind, size=size),), **more)  # type: ignore[arg-type]
    outcome = run(case, seed)
    assert not outcome.errors and not outcome.wrong and not outcome.exceeded
    return outcome


def rounds_of_slow_start(size: int) -> int:
    """Round trips until so much was sent, when each may carry twice as much as the one before."""
    return ceil(log2(size / INITIAL_WINDOW + 1))


def padhye(loss: float) -> float:
    """Seconds for a megabyte at this loss, by Padhye, Firoiu, Towsley and Kurose: "Modeling TCP
    Throughput" (1998), with an acknowledgement for every second packet."""
    b = 2
    per_window = WIFI_RTT * sqrt(2 * b * loss / 3)
    timeouts = PTO * min(1.0, 3 * sqrt(3 * b * loss / 8)) * loss * (1 + 32 * loss**2)
    return MEGABYTE / PACKET * (per_window + timeouts)


@pytest.mark.parametrize("kind", ["download", "upload"])
def test_a_good_path_is_filled(kind: JobKind) -> None:
    """The handshake, and slow start up to the path's capacity of about 100 packets, lose at most
    their round trips; the queue of 50 ms costs nothing."""
    ramp = 1 + rounds_of_slow_start(100 * PACKET)
    expected = MEGABYTE / RATE * 1.06 + ramp * WIFI_RTT
    assert transfer(kind, "clean").elapsed < expected


@pytest.mark.parametrize("kind", ["download", "upload"])
def test_a_long_way_costs_its_round_trips(kind: JobKind) -> None:
    """750 ms one way: the handshake, the rounds of slow start, and no stall."""
    outcome = transfer(kind, "far", wifi={"delay": 0.75})
    assert outcome.elapsed < (1 + rounds_of_slow_start(MEGABYTE) + 0.6) * 1.5


# ten seconds of computing
@pytest.mark.series
def test_an_upload_spares_the_queue_of_the_wifi() -> None:
    """Slow start hears of a full queue a round trip late. HyStart++ sees it fill; as 50 ms are but
    one round trip, it spares a quarter of the losses here (tests/recovery/test_link.py: deep ones).
    """
    losses, times = {}, {}
    controllers: tuple[Literal["cubic", "newreno"], ...] = ("cubic", "newreno")
    for congestion in controllers:
        outcome = transfer("upload", "spared", 4 * MEGABYTE, congestion=congestion)
        losses[congestion] = sum(record.fate is Fate.QUEUE_FULL for record in outcome.records)
        times[congestion] = outcome.elapsed
    assert losses["newreno"] > 50
    assert losses["cubic"] < 0.8 * losses["newreno"]
    assert times["cubic"] <= times["newreno"]


@pytest.mark.parametrize(
    "loss", [0.01, *(pytest.param(loss, marks=pytest.mark.series) for loss in (0.1, 0.3))]
)
def test_loss_costs_what_the_model_of_reno_says(loss: float) -> None:
    """Uploads: our congestion control, our timers."""
    times = [
        transfer("upload", f"loss/{seed}", wifi={"loss": loss}, idle_timeout=3600.0).elapsed
        for seed in range(3)
    ]
    assert statistics.mean(times) < padhye(loss), times


def test_handshakes_under_loss_are_seldom_slow() -> None:
    """Half of all single attempts fail at 30 % loss both ways. A packet of the client's that is
    lost first costs 1 s, the PTO before there is an RTT; the server's own timer is shorter."""
    scenario = SCENARIOS["handshake"]
    times = sorted(
        run(scenario.make(seed), f"handshake/{seed}").handshake for seed in range(scenario.seeds)
    )
    assert statistics.median(times) < 1.0 + 3 * WIFI_RTT
    assert times[int(0.9 * len(times))] < 1 + 2 + 4 + 8 * WIFI_RTT


def cut(kind: JobKind, ending: Ending, direction: Direction, reaction: float) -> Outcome:
    outcome = transfer(
        kind,
        f"{kind}/{ending}/{direction}/{reaction}",
        CUT_SIZE,
        cut=Cut(at=CUT_AT, direction=direction, ending=ending, reaction=reaction),
    )
    assert outcome.moves == ["moved"]
    assert outcome.moved == pytest.approx(reaction + CELLULAR_RTT, abs=0.002)
    return outcome


def resumed(outcome: Outcome) -> float:
    """From the cut to the first full packet that the phone got on the new path after its move."""
    assert outcome.cut_at is not None and outcome.moved is not None
    cut_at = outcome.records[0].time + outcome.cut_at
    arrivals = [
        record.ended
        for record in outcome.records
        if record.destination[0] == CELLULAR and record.size > PACKET and record.ended is not None
    ]
    return min(at for at in arrivals if at > cut_at + outcome.moved + 0.001) - cut_at


@pytest.mark.parametrize("reaction", [0.0, 0.5, 2.0])
def test_a_download_goes_on_two_round_trips_after_migrate(reaction: float) -> None:
    """One for the validation, one for the first packet on the new path and its answer. That answer
    must not wait for the server's own timeout, which has backed off by then."""
    endings: list[tuple[Ending, Direction]] = [
        (ending, direction)
        for ending, direction in itertools.product(ENDINGS, DIRECTIONS)
        # where only the phone's datagrams are lost, those of the server still come in
        if (ending, direction) != ("one way", "outbound")
    ]
    outcomes = [cut("download", *ending, reaction) for ending in endings]
    times = [resumed(outcome) - reaction for outcome in outcomes]
    assert statistics.median(times) < 2 * CELLULAR_RTT + 0.005, times
    # What the application waits for may come later: a timer of the server's that fires just before
    # it hears of the move sends that on the old path once more.
    gaps = [outcome.gap - reaction for outcome in outcomes]
    assert max(gaps) < 4 * CELLULAR_RTT, gaps


@pytest.mark.parametrize("reaction", [0.0, 0.5])
def test_an_upload_goes_on_after_migrate(reaction: float) -> None:
    """What was in flight is sent again after a PTO of the old path at the latest, and the new path
    begins with slow start."""
    clean = transfer("upload", "clean", CUT_SIZE).elapsed
    ramp = rounds_of_slow_start(CUT_SIZE) * CELLULAR_RTT
    for ending in ENDINGS:
        elapsed = cut("upload", ending, "outbound", reaction).elapsed
        assert elapsed - clean < reaction + CELLULAR_RTT + 2 * PTO + ramp, ending
