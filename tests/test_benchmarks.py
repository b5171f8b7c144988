"""The benchmark suite runs: every work with every client, at sizes too small to say anything."""

import json
import subprocess
import sys
from pathlib import Path

import trio

from benchmarks import report
from benchmarks.clients import find_clients
from benchmarks.works import Metric, Work, works
from tests.programs import needs

PROJECT = Path(__file__).parent.parent


@needs("gtlsserver")
async def test_every_work_is_done_by_every_client(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1"]
    command += ["--megabytes", "0.1", "--save", str(file)]
    result = await trio.run_process(
        command, cwd=PROJECT, capture_stdout=True, stderr=subprocess.STDOUT, check=False
    )
    assert result.returncode == 0, result.stdout.decode()
    saved = json.loads(file.read_text())
    here = {client.name for client in find_clients()}
    for work in works(100_000, quick=True):
        runs = saved["results"][work.name]
        assert set(runs) == here & set(work.clients), work.name
        for figures in runs.values():
            assert [metric.of(work, figures[0]) for metric in work.metrics]


def of_seconds(_: Work, figures: dict[str, float]) -> float:
    return figures["seconds"]


def test_a_ratio_tells_how_many_times_as_good_we_are() -> None:
    time = Metric("time", "s", of_seconds, False, (("plain", "aioquic", 2.0),))
    work = Work("some", "some work", "some", ("plain", "aioquic"), (time,), 1)
    results = {
        "some": {
            "plain": [{"seconds": 1.0}, {"seconds": 3.0}, {"seconds": 2.0}],
            "aioquic": [{"seconds": 4.0}, {"seconds": 9.0}, {"seconds": 3.0}],
        }
    }
    table = report.ratio_table([work], ["plain", "qh3", "aioquic"], results)
    assert table.splitlines()[-1].split("|")[3:5] == ["     - ", " 2.00 (reaches 2) "]
    assert "2 (1-3)" in report.figures_table([work], ["plain", "aioquic"], results)
