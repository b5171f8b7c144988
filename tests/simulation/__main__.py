"""`python -m tests.simulation SCENARIO FIRST [LAST]`: play seeds again.

One seed is shown datagram by datagram, several with a line each. The exit status says whether all
went well.
"""

import argparse
import sys

from tests.simulation.case import Outcome
from tests.simulation.play import run
from tests.simulation.scenarios import SCENARIOS, problems

KINDS = {0: "Initial", 1: "0-RTT", 2: "Handshake", 3: "Retry"}


def show_datagrams(outcome: Outcome) -> None:
    """When, from which host over which interface, what, how large, and what became of it."""
    start = outcome.records[0].time
    for r in outcome.records:
        payload = r.payload or bytes(1)
        kind = KINDS[payload[0] >> 4 & 3] if payload[0] & 0x80 else "1-RTT"
        marks = "corrupted " * r.corrupted + "copy" * r.copy
        end = "" if r.ended is None else f"at {r.ended - start:.4f}"
        print(
            f"{r.time - start:12.4f} {r.host:6} {r.interface:5} {kind:9} {r.size:5}"
            f"  {r.fate.value} {end} {marks}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("scenario", choices=list(SCENARIOS))
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int, nargs="?")
    arguments = parser.parse_args()
    scenario = SCENARIOS[arguments.scenario]
    failures = 0
    for seed in range(arguments.first, (arguments.last or arguments.first) + 1):
        case = scenario.make(seed)
        outcome = run(case, f"{scenario.name}/{seed}")
        if arguments.last is None:
            show_datagrams(outcome)
            print(case)
        found = problems(scenario, case, outcome)
        failures += bool(found)
        print(
            f"{scenario.name} {seed}: {outcome.elapsed:.3f} s, {len(outcome.records)} datagrams,"
            f" handshake {outcome.handshake:.3f} s, moves {outcome.moves}, gap {outcome.gap:.3f} s,"
            f" errors {outcome.errors}, recording {outcome.recording[:16]}:"
            f" {'; '.join(found) or 'ok'}"
        )
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
