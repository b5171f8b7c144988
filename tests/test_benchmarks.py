"""The benchmark suite runs: every work with every client, at sizes too small to say anything."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import trio

from benchmarks import plot, report
from benchmarks.clients import ClientFailedError, PythonClient, find_clients
from benchmarks.task import Figures, Task
from benchmarks.works import Growth, Metric, Work, growths, works
from tests.certificates import Certificates
from tests.programs import needs
from tests.servers import gtlsserver

pytestmark = pytest.mark.plain
SVG = "{http://www.w3.org/2000/svg}"


# Every program once: the same one drives qh3 and aioquic, and a lossy link is as good as another.
LIBRARIES = [client for client in find_clients() if isinstance(client, PythonClient)]
CLIENTS = (LIBRARIES[0].name, "qh3", "gtlsclient")
WORKS = "download upload requests handshakes first-byte-early idle many upload-1 volume".split()
CORE_WORKS = "receive-streams send-streams receive-ranges read-upload".split()


@needs("gtlsserver")
async def test_every_work_is_done(tmp_path: Path) -> None:
    results = await figures_of(tmp_path, *WORKS, *CORE_WORKS, clients=CLIENTS[:1])
    known = known_works()
    assert {work.program for work in known.values()} == {known[name].program for name in results}
    for name, runs in results.items():
        assert list(runs) == [CLIENTS[0]]
        assert_measured(known[name], runs)


@needs("gtlsserver")
async def test_the_other_clients_work(tmp_path: Path) -> None:
    here = {client.name for client in find_clients()} & set(CLIENTS)
    results = await figures_of(tmp_path, "download", "handshakes", clients=CLIENTS)
    for name, runs in results.items():
        assert set(runs) == here & set(known_works()[name].clients)
        assert_measured(known_works()[name], runs)


async def figures_of(folder: Path, *names: str, clients: Sequence[str]) -> dict[str, Any]:
    """What the command saves of each work: its clients, and what they did."""
    file = folder / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1"]
    command += ["--save", str(file), "--clients", *clients]
    result = await trio.run_process(
        [*command, "--only", *names],
        capture_stdout=True,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert result.returncode == 0, result.stdout.decode()
    results: dict[str, Any] = json.loads(file.read_text())["results"]
    return results


def known_works() -> dict[str, Work]:
    steps = [step for growth in growths(quick=True) for step in growth.works]
    return {work.name: work for work in [*works(100_000, quick=True), *steps]}


def assert_measured(work: Work, runs: dict[str, Any]) -> None:
    for figures in runs.values():
        assert all(metric.of(figures[0]) for metric in work.metrics)


@needs("gtlsserver")
@pytest.mark.parametrize("client", LIBRARIES, ids=[client.name for client in LIBRARIES])
async def test_no_library_trusts_a_stranger(certs: Certificates, client: PythonClient) -> None:
    async with gtlsserver(certs.untrusted) as server:
        ca_file = str(certs.ca_file)
        task = Task("handshakes", "", server.host, server.port, ca_file, size=0, count=1)
        with pytest.raises(ClientFailedError):
            await client.run(task, server.port, 0.0)


def children(pid: int) -> list[int]:
    """Of all threads of a process."""
    found = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for text in found for child in text.split()]


async def wait_for_children(pid: int, number: int) -> list[int]:
    """Nobody tells when a process has started others."""
    found: list[int] = []
    while len(found) < number:
        await trio.sleep(0.02)
        found = children(pid)
    return found


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@needs("gtlsserver")
async def test_nothing_outlives_the_suite_when_it_is_told_to_end() -> None:
    command = [sys.executable, "-m", "benchmarks", "--clients", LIBRARIES[0].name]
    command += ["--only", "download", "--megabytes", "1000"]
    async with trio.open_nursery() as nursery:
        suite = await nursery.start(
            partial(trio.run_process, command, check=False, stdout=subprocess.DEVNULL)
        )
        with trio.fail_after(30):
            server_and_client = await wait_for_children(suite.pid, 2)
        suite.terminate()
        assert await suite.wait() == 128 + signal.SIGTERM
    assert not any(map(runs, server_and_client))


def of_seconds(figures: Figures) -> float:
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


def test_growth_is_told_by_the_dearest_size() -> None:
    cost = Metric("time", "s", of_seconds, False)
    steps = tuple(Work(f"some-{n}", "", "some", ("plain",), (cost,), 1) for n in range(3))
    growth = Growth("some", "some size", steps, ("1", "10", "100"))
    costs = {"some-0": 2.0, "some-1": 3.0, "some-2": 1.0}
    results = {name: {"plain": [{"seconds": value}]} for name, value in costs.items()}
    last = report.growth_table([growth], results).splitlines()[-1]
    assert "1: 2, 10: 3, 100: 1" in last and "1.50 (not within 1.2)" in last
    # nothing to tell before every size was measured
    assert len(report.growth_table([growth], {"some-0": results["some-0"]}).splitlines()) == 2


def test_the_plot_is_xml_with_a_bar_for_every_median() -> None:
    time = Metric("time", "s", of_seconds, False)
    work = Work("some", "time & space", "some", ("plain", "aioquic"), (time,), 1)
    results = {"some": {"plain": [{"seconds": 1.0}], "aioquic": [{"seconds": 4.0}]}}
    picture = ElementTree.fromstring(plot.draw([work], ["plain", "qh3", "aioquic"], results))
    widths = [float(bar.get("width", "")) for bar in picture.iter(f"{SVG}rect")]
    assert len(widths) == 2 and widths[1] == 4 * widths[0]
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert "time & space" in texts and "aioquic" in texts and "qh3" not in texts
