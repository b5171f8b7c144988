"""Has the client and `openssl verify` judge chains: `python -m tests.chains [HOW MANY AT RANDOM]`.

All named chains, and so many at random. Prints where the two differ without a known reason, and
how often they agree.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.chains import openssl
from tests.chains.case import Case, verdict
from tests.chains.cases import all_cases
from tests.chains.random_chains import random_chains


def judge(case: Case, folder: Path) -> str:
    """What is to be said of a chain in one word; what is wrong is printed."""
    own, other = verdict(case), openssl.verdict(case, folder)
    if (own == "") == (other == ""):
        return "good" if own == "" else "bad"
    if case.difference:
        return f"different, as documented: {case.difference}"
    print(f"{case.name}\n  here: {own or 'good'}\n  openssl: {other or 'good'}")
    return "DIFFERENT"


def main(count: int) -> int:
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for case in [*all_cases(), *random_chains(0, count)]:
            found[judge(case, Path(folder))] += 1
    print(f"{sum(found.values())} chains, {openssl.version()}")
    for outcome, times in sorted(found.items()):
        print(f"{times:6} {outcome}")
    return 1 if found["DIFFERENT"] else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
