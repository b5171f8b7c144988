"""The runner works, and the document has a cell for every server and case."""

from pathlib import Path

import pytest

from tests.programs import needs

from . import table
from .__main__ import _failure, run_cell
from .cases import CASES
from .findings import FINDINGS
from .outcome import Lacking, Outcome, Verdict, load, save
from .servers import COLUMNS

pytestmark = pytest.mark.plain


@pytest.mark.parametrize(
    ("server", "case"),
    [
        pytest.param("gtlsserver", "retry", marks=needs("gtlsserver")),
        pytest.param("gtlsserver", "0rtt-refused", marks=needs("gtlsserver")),
        ("aioquic", "key-update"),
    ],
)
def test_a_cell_passes_and_leaves_no_trace(server: str, case: str, tmp_path: Path) -> None:
    outcome = run_cell(COLUMNS[server], CASES[case], tmp_path)
    assert outcome.verdict is Verdict.PASSED, outcome
    assert outcome.version
    assert not list((tmp_path / server).iterdir())


def test_a_failure_says_what_happened_and_what_is_none_is_no_failure() -> None:
    group = BaseExceptionGroup("", [ValueError("planted")])
    assert _failure(group).verdict is Verdict.FAILED
    assert _failure(group).text == "`ValueError`: planted"
    assert _failure(Lacking("it has none")).verdict is Verdict.LACKING
    with pytest.raises(KeyboardInterrupt):
        _failure(KeyboardInterrupt())


def test_what_a_server_lacks_is_told_without_a_run(tmp_path: Path) -> None:
    outcome = run_cell(COLUMNS["aioquic"], CASES["preferred"], tmp_path)
    assert outcome.verdict is Verdict.LACKING
    assert not list(tmp_path.iterdir())


def test_results_are_remembered(tmp_path: Path) -> None:
    results = {"aioquic": {"retry": Outcome(verdict=Verdict.FAILED, text="why", trace="a/b")}}
    save(results, tmp_path / "results.json")
    assert load(tmp_path / "results.json") == results
    assert load(tmp_path / "other.json") == {}


def test_every_server_and_case_has_a_cell() -> None:
    rows = [line.split("|")[1:-1] for line in table.grid(load())][2:]
    assert [row[0].strip() for row in rows] == [case.title for case in CASES.values()]
    for row in rows:
        assert len(row) == len(COLUMNS) + 1
        assert all(cell.strip() for cell in row)


def test_a_failure_that_nobody_has_looked_into_counts_as_ours() -> None:
    failed = Outcome(verdict=Verdict.FAILED)
    assert table.mark(failed, "aioquic", "retry") == "**fails**: ours"
    assert table.mark(failed, "nginx4-sid", "moves") == "**fails**: the server"


def test_what_is_known_is_of_servers_and_cases_that_are_there() -> None:
    results = load()
    assert {known.case for known in FINDINGS} <= set(CASES)
    assert set(results) <= set(COLUMNS)
    assert {case for cases in results.values() for case in cases} <= set(CASES)
