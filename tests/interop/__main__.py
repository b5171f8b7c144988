"""`python -m tests.interop` runs cells of the table, and draws it: see the package's docstring."""

import argparse
import datetime
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import pytest
import trio

from tests import documents
from tests.certificates import Certificates

from .bench import Bench
from .cases import CASES, Case
from .cases_networks import why_no_lab
from .outcome import Lacking, Outcome, Results, Verdict, load, save
from .proof import proof
from .servers import COLUMNS, Column, version

TRACES: Final = documents.PROJECT / "interop-traces"
LONGEST: Final = 120.0
_LONGEST_TEXT: Final = 300
# From the one to keep to the one that only says that nothing is known
_WORST: Final = (Verdict.FAILED, Verdict.LACKING, Verdict.PASSED, Verdict.NOT_HERE)


async def _run(column: Column, case: Case, traces: Path) -> Outcome:
    """One cell, which leaves its traces in a folder."""
    with tempfile.TemporaryDirectory() as directory:
        certs = Certificates(Path(directory))
        folder = Path(directory) / "files"
        folder.mkdir()
        bench = Bench(name=column.name, certs=certs, folder=folder, traces=traces)
        begun = trio.current_time()
        try:
            with trio.move_on_after(LONGEST):
                return Outcome(verdict=Verdict.PASSED, text=await case.run(bench))
        except BaseException as error:
            return _failure(error, trio.current_time() - begun)
    return Outcome(verdict=Verdict.FAILED, text=f"no end within {LONGEST:.0f} s")


def _failure(error: BaseException, took: float) -> Outcome:
    """What an exception of a case means, after so many seconds. Those that end the program go
    on."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case Lacking():
            return Outcome(verdict=Verdict.LACKING, text=str(error))
        case pytest.skip.Exception():
            return Outcome(verdict=Verdict.NOT_HERE, text=str(error))
        case trio.TooSlowError():
            text = f"given up after {took:.0f} s, as one of its steps took longer than it may"
            return Outcome(verdict=Verdict.FAILED, text=text)
        case AssertionError():
            return Outcome(verdict=Verdict.FAILED, text=str(error)[:_LONGEST_TEXT])
        case Exception():
            text = f"`{type(error).__name__}`: {error}"
            return Outcome(verdict=Verdict.FAILED, text=text[:_LONGEST_TEXT])
    raise error


def run_cell(column: Column, case: Case, traces: Path) -> Outcome:
    """One cell, if it can be run here. Only a failure keeps its traces."""
    if case.name in column.lacks:
        return Outcome(verdict=Verdict.LACKING, text=column.lacks[case.name])
    missing = column.kind.missing or (why_no_lab() if case.needs_lab else None)
    if missing is not None:
        return Outcome(verdict=Verdict.NOT_HERE, text=missing)
    place = Path(column.name) / case.name
    shutil.rmtree(traces / place, ignore_errors=True)
    (traces / place).mkdir(parents=True)
    outcome = trio.run(_run, column, case, traces / place)
    failed = outcome.verdict is Verdict.FAILED
    if not failed:
        shutil.rmtree(traces / place)
    return Outcome(
        verdict=outcome.verdict,
        text=outcome.text,
        date=datetime.date.today().isoformat(),
        version=version(column.kind),
        trace=place.as_posix() if failed else "",
        proof=proof(traces / place) if failed else (),
    )


def _note(results: Results, column: Column, case: Case, rounds: int, traces: Path) -> None:
    """Run one cell, and remember the worst that came of it."""
    found = []
    for _ in range(rounds):
        found.append(run_cell(column, case, traces))
        if found[-1].verdict is Verdict.FAILED:
            break
    outcome = min(found, key=lambda one: _WORST.index(one.verdict))
    known = results.setdefault(column.name, {})
    # what was seen on another machine says more than that it cannot be seen here
    if outcome.verdict is not Verdict.NOT_HERE or case.name not in known:
        known[case.name] = outcome
    print(f"{column.title}, {case.title}: {outcome.verdict.value}. {outcome.text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=__doc__)
    parser.add_argument("--only", default=",".join(CASES), help="cases, separated by commas")
    parser.add_argument("--servers", default=",".join(COLUMNS), help="the same")
    parser.add_argument("--rounds", type=int, default=1, help="how often; the worst one counts")
    parser.add_argument("--traces", type=Path, default=TRACES, help="where failures leave them")
    options = parser.parse_args()
    cases, servers = options.only.split(","), options.servers.split(",")
    for names, known in ((cases, CASES), (servers, COLUMNS)):
        for name in names:
            if name not in known:
                parser.error(f"{name!r} is none of {', '.join(known)}")
    results = load()
    for server in servers:
        for case in cases:
            _note(results, COLUMNS[server], CASES[case], options.rounds, options.traces)
            save(results)
    (documents.PROJECT / "docs" / "interop.md").write_text(
        documents.updated("interop.md"), encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
