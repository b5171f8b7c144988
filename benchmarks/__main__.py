"""Measure trioquic beside other clients: python -m benchmarks [--only NAME ...] [--quick]

Every run is a process of its own against a server of its own, ngtcp2's gtlsserver. Each round has
one run of every client on every work, in an order that moves on from round to round. With --plot
nothing is measured: the tables and docs/benchmarks.svg are made of figures that were saved.
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio

from tests.certificates import Certificates
from tests.programs import find_program
from tests.servers import gtlsserver

from . import plot, report
from .clients import Client, ClientFailedError, find_clients
from .link import ROUND_TRIP, lossy_link
from .task import IDLE_TIMEOUT, MAX_DATA, MAX_STREAM_DATA, Figures, Task
from .works import EVERYBODY as CLIENTS
from .works import Growth, Work, growths, works

# Path MTU discovery stays on: whoever takes larger datagrams, or sends them, may profit. More
# streams than are used at once: qh3 refuses to open one before the server has given credit again.
SERVER_OPTIONS = (
    f"--max-data={MAX_DATA}",
    f"--max-stream-data-bidi-remote={MAX_STREAM_DATA}",
    f"--max-window={MAX_DATA}",
    f"--max-stream-window={MAX_STREAM_DATA}",
    f"--timeout={IDLE_TIMEOUT:.0f}s",
    "--handshake-timeout=60s",
    "--max-streams-bidi=1000",
)
PLOT = Path(__file__).parent.parent / "docs" / "benchmarks.svg"
Results = dict[str, dict[str, list[Figures]]]


async def measure(work: Work, client: Client, certs: Certificates, seed: int) -> Figures:
    """One client process and its server, with a link between them or not."""
    task = Task(
        work=work.program,
        library="",
        host="",
        port=0,
        ca_file=str(certs.ca_file),
        size=work.size,
        count=work.count,
        parallel=work.parallel,
        largest=work.largest,
        early_data=work.early_data,
        alone=work.alone,
    )
    if work.alone:
        return await client.run(task, 0, 0.0)
    async with gtlsserver(certs.server, options=SERVER_OPTIONS) as server:
        if work.loss is None:
            task = replace(task, host=server.host, port=server.port)
            return await client.run(task, server.port, 0.0)
        async with lossy_link((server.host, server.port), work.loss, seed) as (host, port):
            task = replace(task, host=host, port=port)
            return await client.run(task, server.port, ROUND_TRIP)


def able(work: Work, clients: Sequence[Client]) -> list[Client]:
    """Who can do this work. Where the link is what takes time, one variant of ours is enough."""
    found = [client for client in clients if client.name in work.clients]
    if work.loss is not None and {"compiled", "plain"} <= {client.name for client in found}:
        found = [client for client in found if client.name != "plain"]
    return found


async def run(
    chosen: Sequence[Work], clients: Sequence[Client], rounds: int, save: Callable[[Results], None]
) -> Results:
    results: Results = {work.name: {} for work in chosen}
    with tempfile.TemporaryDirectory() as folder:
        certs = Certificates(Path(folder))
        for number in range(rounds):
            for work in chosen:
                turn = deque(able(work, clients))
                turn.rotate(-number)
                for client in turn:
                    try:
                        figures = await measure(work, client, certs, number)
                    except ClientFailedError as error:
                        print(f"FAILED: {error}", flush=True)
                        continue
                    # a saved figure is to be read even when the work has changed since
                    figures |= {"size": work.size, "count": work.count}
                    results[work.name].setdefault(client.name, []).append(figures)
                    told = ", ".join(
                        f"{metric.of(figures):.4g} {metric.unit}" for metric in work.metrics
                    )
                    print(f"round {number + 1}: {work.name:20} {client.name:10} {told}", flush=True)
            save(results)
    return results


async def run_until_terminated(
    chosen: Sequence[Work], clients: Sequence[Client], rounds: int, save: Callable[[Results], None]
) -> Results:
    """`run`; a signal ends it in order, so that neither client nor server outlives it."""
    number = 0
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:

            async def obey() -> None:
                nonlocal number
                number = await anext(signals)
                nursery.cancel_scope.cancel()

            nursery.start_soon(obey)
            results = await run(chosen, clients, rounds, save)
            nursery.cancel_scope.cancel()
            return results
    sys.exit(128 + number)


def circumstances(clients: Sequence[Client]) -> dict[str, Any]:
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": os.cpu_count(),
        "clients": {client.name: client.version for client in clients},
    }


def print_tables(
    every: Sequence[Work], growing: Sequence[Growth], clients: Sequence[str], results: Results
) -> None:
    """Of what was measured."""
    done = [work for work in every if results.get(work.name)]
    if done:
        print(f"\n{report.figures_table(done, clients, results)}")
        print(f"\n{report.ratio_table(done, clients, results)}")
    grown = [growth for growth in growing if results.get(growth.works[0].name)]
    if grown:
        print(f"\n{report.growth_table(grown, results)}")


def show_saved(files: Sequence[Path]) -> None:
    """Tables and the plot of saved figures, perhaps of several files with works of their own."""
    results: Results = {}
    for file in files:
        saved = json.loads(file.read_text(encoding="utf-8"))
        results |= saved["results"]
    every = works(saved["size"], saved["quick"])
    print_tables(every, growths(saved["quick"]), CLIENTS, results)
    PLOT.write_text(plot.draw(every, CLIENTS, results), encoding="utf-8")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="works to do")
    parser.add_argument("--clients", nargs="+", metavar="NAME", help="clients to measure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=float, help="size of a large transfer (100)")
    parser.add_argument("--quick", action="store_true", help="tiny works, to see that all runs")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write all figures as JSON")
    parser.add_argument("--plot", type=Path, nargs="+", metavar="FILE", help="show saved figures")
    return parser


def main() -> None:
    parser = arguments()
    options = parser.parse_args()
    if options.plot is not None:
        show_saved(options.plot)
        return
    size = int((options.megabytes or (0.1 if options.quick else 100)) * 1e6)
    every, growing = works(size, options.quick), growths(options.quick)
    if find_program("gtlsserver") is None:
        parser.error("gtlsserver is missing (Debian: ngtcp2-server)")
    names = [work.name for work in every] + [growth.name for growth in growing]
    only = names if options.only is None else options.only
    clients = [
        client
        for client in find_clients()
        if options.clients is None or client.name in options.clients
    ]
    if set(only) - set(names) or not clients:
        parser.error(f"works: {', '.join(names)}; clients: {', '.join(CLIENTS)}")

    def save(results: Results) -> None:
        if options.save is not None:
            saved = {
                "size": size,
                "quick": options.quick,
                "circumstances": circumstances(clients),
                "results": results,
            }
            options.save.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")

    steps = [work for growth in growing if growth.name in only for work in growth.works]
    chosen = [work for work in every if work.name in only] + steps
    results = trio.run(run_until_terminated, chosen, clients, options.rounds, save)
    print_tables(every, growing, [client.name for client in clients], results)
    done = sum(len(runs) for by_client in results.values() for runs in by_client.values())
    expected = options.rounds * sum(len(able(work, clients)) for work in chosen)
    if done < expected:
        sys.exit(f"{expected - done} of {expected} runs failed; the tables are without them")


if __name__ == "__main__":
    main()
