"""Draws docs/interop.md from what is known of the cells."""

from collections.abc import Iterable, Iterator
from typing import Final

from .cases import CASES, Case
from .findings import finding
from .outcome import NOT_RUN, Outcome, Results, Verdict, load
from .servers import COLUMNS, Column

MARKS: Final = {
    Verdict.PASSED: "yes",
    Verdict.LACKING: "none",
    Verdict.NOT_HERE: "not here",
    Verdict.NOT_RUN: "not run yet",
}


def _outcome(results: Results, server: str, case: str) -> Outcome:
    return results.get(server, {}).get(case, NOT_RUN)


def mark(outcome: Outcome, server: str, case: str) -> str:
    """The word in a cell. A failure that nobody has looked into counts as ours."""
    if outcome.verdict is not Verdict.FAILED:
        return MARKS[outcome.verdict]
    known = finding(server, case)
    return "**fails**: ours" if known is None else f"**fails**: {known.whose}"


def grid(results: Results) -> Iterator[str]:
    """One row for each case, one column for each server."""
    yield f"| | {' | '.join(column.title for column in COLUMNS.values())} |"
    yield f"| --- |{' --- |' * len(COLUMNS)}"
    for case in CASES.values():
        cells = (mark(_outcome(results, name, case.name), name, case.name) for name in COLUMNS)
        yield f"| {case.title} | {' | '.join(cells)} |"


def _note(outcome: Outcome, column: Column, case: Case) -> str:
    """What is to be said of one cell; nothing of most."""
    text = outcome.text.replace("\n", " ").replace("|", "/")
    if outcome.verdict is not Verdict.FAILED:
        return text
    known = finding(column.name, case.name)
    judged = "nobody has looked into it" if known is None else f"{known.whose}: {known.why}"
    return f"{text}. {judged} (trace: `{outcome.trace}`)"


def _proof(outcome: Outcome) -> Iterator[str]:
    yield from (f"  - `{line}`" for line in outcome.proof)


def notes(results: Results) -> Iterator[str]:
    """A section for each case of which there is something to say. Servers of which the same is to
    be said stand together."""
    for case in CASES.values():
        said: dict[str, list[str]] = {}
        for column in COLUMNS.values():
            outcome = _outcome(results, column.name, case.name)
            text = _note(outcome, column, case)
            if text:
                said.setdefault("\n".join((text, *_proof(outcome))), []).append(column.title)
        if said:
            doc = " ".join((case.run.__doc__ or "").split())
            yield from ("", f"### {case.title}", "", doc, "")
            yield from (f"- {'; '.join(titles)}: {text}" for text, titles in said.items())


def versions(results: Results) -> Iterator[str]:
    """Which server it was, and when."""
    yield "| server | version | cells of |"
    yield "| --- | --- | --- |"
    for column in COLUMNS.values():
        outcomes = list(results.get(column.name, {}).values())
        known = _several(outcome.version for outcome in outcomes)
        dates = sorted({outcome.date for outcome in outcomes if outcome.date})
        when = " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "-"
        yield f"| {column.title} | {known} | {when} |"


def _several(words: Iterable[str]) -> str:
    return ", ".join(sorted({word for word in words if word})) or "-"


def document() -> str:
    """The part of docs/interop.md that is drawn."""
    results = load()
    return "\n".join((*grid(results), "", *versions(results), "", "## Beside it", *notes(results)))
