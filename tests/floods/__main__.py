"""Measures every kind of flood: `python -m tests.floods`.

It writes the table into docs/testing.md, and exits with 1 if a bound is broken. `--only WORD ...`
measures the kinds whose names have one of the words in them, and writes nothing.
"""

import argparse
import sys
from pathlib import Path

from . import http3
from .http3_kinds import CONTENT
from .kinds import DATAGRAMS, FRAMES
from .measure import MOST_HELD, MOST_TASKS, MOST_WORK, hold, work

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "testing.md"
BEGIN, END = "<!-- measured: floods -->", "<!-- end of floods -->"
WINDOW = 1 << 17
VOLUME = 1 << 21
"""Bytes that are received at the most while memory is looked at."""
BATCHES = 12
ROUNDS = 2


def measure(name: str) -> tuple[str, bool]:
    """One line of the table, and whether all bounds were kept."""
    if name in CONTENT:
        window = http3.WINDOW
        cost = http3.hold(name, window, http3.VOLUME)
        most = min(http3.work(name, BATCHES) for _ in range(ROUNDS))
    else:
        window = WINDOW
        cost = hold(name, window, VOLUME)
        most = min(work(name, BATCHES) for _ in range(ROUNDS))
    kept = cost.held <= MOST_HELD * window and cost.beyond <= 0 and most <= MOST_WORK
    kept &= cost.tasks <= MOST_TASKS
    cells = (
        name,
        f"{cost.held / window:.2f}",
        f"{max(0, cost.beyond)}",
        f"{most:.1f}",
        cost.end or "goes on",
    )
    return f"| {' | '.join(cells)} |", kept


def table(lines: list[str]) -> str:
    head = (
        "| flood | memory / window | bytes beyond the window | work / honest | the connection |",
        "| --- | ---: | ---: | ---: | --- |",
    )
    return "\n".join([*head, *lines])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.floods", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD")
    only = parser.parse_args().only
    lines, broken = [], []
    for name in [*FRAMES, *DATAGRAMS, *CONTENT]:
        if not only or any(word in name for word in only):
            line, kept = measure(name)
            print(line, flush=True)
            lines.append(line)
            if not kept:
                broken.append(name)
    if not only:
        text = DOCUMENT.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table(lines)}\n\n{END}{after}", encoding="utf-8")
    for name in broken:
        print(f"a bound is broken: {name}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
