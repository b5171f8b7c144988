"""Measures handovers and prints a table: `python -m tests.lab [--runs 10] [--only NAME,...]`."""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import trio

from tests.certificates import Certificates
from tests.programs import find_program

from .measure import FIGURES, Figure, Sample

SERVERS = ("aioquic", "gtlsserver")
_LONGEST_TRIAL = 60.0


async def measure(figure: Figure, kind: str, certs: Certificates) -> Sample | None:
    """One run; None if it came to nothing."""
    with trio.move_on_after(_LONGEST_TRIAL):
        try:
            return await figure.measure(certs, kind)
        except (AssertionError, BaseExceptionGroup) as error:
            print(f"  {figure.name}, {kind}: {error!r}"[:1000], file=sys.stderr)
            return None
    print(f"  {figure.name}, {kind}: no end after {_LONGEST_TRIAL} s", file=sys.stderr)
    return None


def milliseconds(value: float) -> str:
    return f"{value * 1000:.0f} ms"


def row(figure: Figure, kind: str, samples: list[Sample], runs: int) -> str:
    """One line of the table. The worst is the one that exceeds its bound by most."""
    if not samples:
        return f"| {figure.what} | {kind} | - | - | {figure.bound} | 0 of {runs} | |"
    median = statistics.median(sample.value for sample in samples)
    worst = max(samples, key=lambda sample: sample.value - sample.bound)
    cells = [
        figure.what,
        kind,
        milliseconds(median),
        milliseconds(worst.value),
        f"{figure.bound} = {milliseconds(worst.bound)}",
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


async def run(names: list[str], kinds: list[str], runs: int) -> None:
    started = time.monotonic()
    late: list[float] = []
    print("| event | server | median | worst | bound (of the worst run) | kept | beside it |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as directory:
        certs = Certificates(Path(directory))
        for name in names:
            figure = FIGURES[name]
            for kind in (kind for kind in kinds if kind in figure.servers):
                found = [await measure(figure, kind, certs) for _ in range(runs)]
                samples = [sample for sample in found if sample is not None]
                late += [sample.late for sample in samples]
                print(row(figure, kind, samples, runs), flush=True)
    minutes = (time.monotonic() - started) / 60
    print(f"\n{runs} runs each, {minutes:.0f} minutes. ", end="")
    if late:
        print(f"The relay delivered 99 % of the packets within {max(late) * 1000:.1f} ms.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--only", default=",".join(FIGURES), help="names, separated by commas")
    parser.add_argument("--servers", default=",".join(SERVERS))
    options = parser.parse_args()
    if os.geteuid() != 0 or find_program("nsenter") is None or find_program("ip") is None:
        parser.error("the lab makes network namespaces: it needs root, ip and nsenter")
    kinds = [kind for kind in options.servers.split(",") if kind in SERVERS]
    if find_program("gtlsserver") is None and "gtlsserver" in kinds:
        print("gtlsserver is missing", file=sys.stderr)
        kinds.remove("gtlsserver")
    trio.run(run, options.only.split(","), kinds, options.runs)


if __name__ == "__main__":
    main()
