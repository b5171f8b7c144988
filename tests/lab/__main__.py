"""Measures handovers and prints a table: `python -m tests.lab [--runs 10] [--only NAME,...]`."""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from math import inf
from pathlib import Path

import trio

from tests.certificates import Certificates
from tests.programs import find_program
from tests.servers.kinds import KINDS

from .measure import FIGURES, Figure, Sample
from .measure_fetch import FETCH_FIGURES
from .measure_pool import POOL_FIGURES
from .measure_preferred import PREFERRED_FIGURES
from .measure_workers import WORKER_FIGURES, WORKERS

SERVERS = ("aioquic", "gtlsserver", "caddy")
_LONGEST_TRIAL = 120.0
ALL = FIGURES | PREFERRED_FIGURES | POOL_FIGURES | WORKER_FIGURES | FETCH_FIGURES


async def measure(figure: Figure, kind: str, certs: Certificates) -> Sample | None:
    """One run; None if it came to nothing."""
    with trio.move_on_after(_LONGEST_TRIAL):
        try:
            return await figure.measure(certs, kind)
        except AssertionError as error:
            print(f"  {figure.name}, {kind}: {error!r}"[:1000], file=sys.stderr)
            return None
    print(f"  {figure.name}, {kind}: no end after {_LONGEST_TRIAL} s", file=sys.stderr)
    return None


def milliseconds(value: float) -> str:
    return f"{value * 1000:.0f} ms"


def row(figure: Figure, kind: str, samples: list[Sample], runs: int) -> str:
    """One line of the table, with the bound of the worst run."""
    if not samples:
        return f"| {figure.what} | {kind} | - | - | {figure.bound} | 0 of {runs} | |"
    median = statistics.median(sample.value for sample in samples)
    worst = max(samples, key=lambda sample: sample.value)
    cells = [
        figure.what,
        kind,
        milliseconds(median),
        milliseconds(worst.value),
        figure.bound + ("" if worst.bound == inf else f" = {milliseconds(worst.bound)}"),
        f"{sum(sample.value <= sample.bound for sample in samples)} of {runs}",
        "; ".join(
            [several(name, [s.times[name] * 1000 for s in samples], " ms") for name in worst.times]
            + [several(name, [s.counts[name] for s in samples], "") for name in worst.counts]
        ),
    ]
    return f"| {' | '.join(cells)} |"


def several(name: str, values: Sequence[float], unit: str) -> str:
    """Median and maximum of what was measured beside the figure."""
    return f"{name}: {statistics.median(values):.0f}{unit}, at most {max(values):.0f}{unit}"


async def measure_all(
    kind: str, names: list[str], runs: int, found: dict[tuple[str, str], list[Sample]]
) -> None:
    """All figures with one server, one run after the other."""
    with tempfile.TemporaryDirectory() as directory:
        certs = Certificates(Path(directory))
        for figure in (ALL[name] for name in names):
            if kind in figure.servers:
                samples = [await measure(figure, kind, certs) for _ in range(runs)]
                found[figure.name, kind] = [sample for sample in samples if sample is not None]
                print(f"  {figure.name}, {kind}: done", file=sys.stderr)


async def run(names: list[str], kinds: list[str], runs: int) -> None:
    """Both servers side by side, each in labs of its own; then the table."""
    started = time.monotonic()
    found: dict[tuple[str, str], list[Sample]] = {}
    async with trio.open_nursery() as nursery:
        for kind in kinds:
            nursery.start_soon(measure_all, kind, names, runs, found)
    minutes = (time.monotonic() - started) / 60
    print("| event | server | median | worst | bound (of the worst run) | kept | beside it |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        for kind in kinds:
            if (name, kind) in found:
                print(row(ALL[name], kind, found[name, kind], runs))
    late = [sample.late for samples in found.values() for sample in samples]
    print(
        f"\n{runs} runs each, {minutes:.0f} minutes. In the median run the links delivered 99 % of"
    )
    print(f"the packets within {statistics.median(late) * 1000:.1f} ms of their time, ", end="")
    print(f"in the worst within {max(late) * 1000:.1f} ms.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--only", default=",".join(ALL), help="names, separated by commas")
    parser.add_argument("--servers", default=",".join(SERVERS))
    options = parser.parse_args()
    if os.geteuid() != 0 or find_program("nsenter") is None or find_program("ip") is None:
        parser.error("the lab makes network namespaces: it needs root, ip and nsenter")
    kinds = [kind for kind in options.servers.split(",") if kind in SERVERS + WORKERS]
    for kind in list(kinds):
        if KINDS[kind].missing is not None:
            print(KINDS[kind].missing, file=sys.stderr)
            kinds.remove(kind)
    trio.run(run, options.only.split(","), kinds, options.runs)


if __name__ == "__main__":
    main()
