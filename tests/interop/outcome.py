"""What can come of a cell, and the file that remembers it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Final

RESULTS: Final = Path(__file__).parent / "results.json"


class Lacking(Exception):  # noqa: N818 - it is no error
    """The server has nothing of the kind; the text says why, and what the user sees."""


class Verdict(Enum):
    """In the words of the table."""

    PASSED = "passed"
    LACKING = "none"
    FAILED = "failed"
    NOT_HERE = "not here"
    NOT_RUN = "not run yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one cell, and when."""

    verdict: Verdict
    text: str = ""
    date: str = ""
    version: str = ""
    """Of the server."""
    trace: str = ""
    """The folder with the traces of a failure, relative to that of all traces."""
    proof: tuple[str, ...] = ()
    """The lines of these traces that show what happened."""


NOT_RUN: Final = Outcome(verdict=Verdict.NOT_RUN)
Results = dict[str, dict[str, Outcome]]
"""By server and case."""


def load(file: Path = RESULTS) -> Results:
    """All that is known."""
    if not file.exists():
        return {}
    content = json.loads(file.read_text(encoding="utf-8"))
    return {
        server: {
            case: Outcome(
                **{
                    **facts,
                    "verdict": Verdict(facts["verdict"]),
                    "proof": tuple(facts.get("proof", ())),
                }
            )
            for case, facts in cases.items()
        }
        for server, cases in content.items()
    }


def save(results: Mapping[str, Mapping[str, Outcome]], file: Path = RESULTS) -> None:
    """Remember it, without what is empty."""
    content = {
        server: {
            case: {
                key: value.value if isinstance(value, Verdict) else value
                for key, value in asdict(outcome).items()
                if value
            }
            for case, outcome in sorted(cases.items())
        }
        for server, cases in sorted(results.items())
    }
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
