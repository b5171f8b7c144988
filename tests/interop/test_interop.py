"""The runner works, and the document has a cell for every server and case."""

import os
from pathlib import Path

import pytest
import trio

from tests.programs import needs
from tests.servers import chroots, kinds
from tests.servers.chroots import needs_chroot

from . import __main__ as runner
from . import table
from .__main__ import _failure, run_cell
from .bench import Bench
from .cases import CASES, Case
from .findings import FINDINGS
from .outcome import Lacking, Outcome, Verdict, load, save
from .proof import proof
from .servers import COLUMNS

pytestmark = pytest.mark.plain


@pytest.mark.parametrize(
    ("server", "case"),
    [
        pytest.param("gtlsserver", "retry", marks=needs("gtlsserver")),
        pytest.param("gtlsserver", "0rtt-refused", marks=needs("gtlsserver")),
        pytest.param("caddy", "requests", marks=needs("caddy")),
        pytest.param("nginx1", "restart", marks=needs_chroot()),
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
    assert _failure(group, 1).verdict is Verdict.FAILED
    assert _failure(group, 1).text == "`ValueError`: planted"
    assert _failure(trio.TooSlowError(), 31).text.startswith("given up after 31 s")
    assert _failure(Lacking("it has none"), 1).verdict is Verdict.LACKING
    with pytest.raises(KeyboardInterrupt):
        _failure(KeyboardInterrupt(), 1)


async def _planted(bench: Bench) -> str:
    """Fails with a connection's trace, after the server has closed it."""
    async with bench.serving() as site, site.connect() as conn:
        await conn.wait_handshake_confirmed()
    raise AssertionError("planted")


def test_a_failure_keeps_the_lines_that_show_it(tmp_path: Path) -> None:
    case = Case(name="planted", title="planted", run=_planted)
    outcome = run_cell(COLUMNS["aioquic"], case, tmp_path)
    assert (outcome.verdict, outcome.text) == (Verdict.FAILED, "planted")
    received, closed = outcome.proof
    assert "the last packet that came" in received
    assert "quic:connection_closed" in closed
    assert all(len(line) <= 200 for line in outcome.proof)
    assert [file.suffix for file in (tmp_path / outcome.trace).glob("*.sqlog")] == [".sqlog"]
    # a program that was killed leaves the last line cut off
    (trace,) = (tmp_path / outcome.trace).glob("*.sqlog")
    trace.write_text(trace.read_text()[:-5])
    assert proof(tmp_path / outcome.trace) == outcome.proof


def test_what_is_not_here_is_told_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose release is not there, a program that is not, and a lab that cannot be."""
    monkeypatch.setattr(chroots, "CACHE", tmp_path / "nothing")
    monkeypatch.setattr(kinds, "find_program", lambda name: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for server, case in (("nginx1", "down"), ("gtlsserver", "retry"), ("aioquic", "silent")):
        outcome = run_cell(COLUMNS[server], CASES[case], tmp_path)
        assert outcome.verdict is Verdict.NOT_HERE, (server, outcome)
        assert outcome.text
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_here_does_not_replace_what_was_seen_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    absent = Outcome(verdict=Verdict.NOT_HERE, text="not on this machine")
    monkeypatch.setattr(runner, "run_cell", lambda *_: absent)
    seen = Outcome(verdict=Verdict.PASSED)
    results = {"nginx1": {"down": seen}}
    for case in ("down", "up"):
        runner._note(results, COLUMNS["nginx1"], CASES[case], 1, tmp_path)
    assert results == {"nginx1": {"down": seen, "up": absent}}


def test_what_a_server_lacks_is_told_without_a_run(tmp_path: Path) -> None:
    outcome = run_cell(COLUMNS["aioquic"], CASES["preferred"], tmp_path)
    assert outcome.verdict is Verdict.LACKING
    assert not list(tmp_path.iterdir())


def test_results_are_remembered(tmp_path: Path) -> None:
    results = {
        "aioquic": {
            "retry": Outcome(verdict=Verdict.FAILED, text="why", trace="a/b", proof=("1", "2"))
        }
    }
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
