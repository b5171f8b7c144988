"""Download and upload over loopback with each library in turn, and the ratio of the medians.

    python -m benchmarks [--megabytes 100] [--rounds 3]

The server is ngtcp2's gtlsserver, which is much faster than either client; without it, aioquic's
(examples/hq_server.py), which then is the limit and makes the ratio say little.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from tests import http3_min as h3
from tests.certificates import Certificates
from tests.programs import find_program
from tests.servers import Server, aioquic_server, gtlsserver

from .exchange import HQ_ALPN, MAX_DATA, MAX_STREAM_DATA

LIBRARIES = ("trioquic", "aioquic")
DIRECTIONS = ("download", "upload")
# For both clients the same size of datagrams: aioquic does not raise it.
GTLSSERVER_OPTIONS = (
    "--no-pmtud",
    f"--max-data={MAX_DATA}",
    f"--max-stream-data-bidi-remote={MAX_STREAM_DATA}",
    f"--max-window={MAX_DATA}",
    f"--max-stream-window={MAX_STREAM_DATA}",
)


@asynccontextmanager
async def any_server(certs: Certificates) -> AsyncIterator[tuple[Server, str]]:
    if find_program("gtlsserver") is not None:
        async with gtlsserver(certs.server, options=GTLSSERVER_OPTIONS) as server:
            yield server, h3.ALPN
    else:
        print("gtlsserver is missing: aioquic's server will be the limit of both clients")
        windows = ["--max-data", str(MAX_DATA), "--max-stream-data", str(MAX_STREAM_DATA)]
        async with aioquic_server(certs.server, options=windows) as server:
            yield server, HQ_ALPN


async def measure(
    library: str, direction: str, server: Server, alpn: str, size: int
) -> dict[str, float]:
    """One client process, one exchange."""
    command = [sys.executable, "-m", f"benchmarks.with_{library}", direction]
    command += [server.host, str(server.port), str(server.ca_file), str(size), alpn]
    result = await trio.run_process(command, capture_stdout=True)
    answer: dict[str, float] = json.loads(result.stdout)
    return answer


async def run(size: int, rounds: int) -> None:
    speeds: dict[tuple[str, str], list[float]] = {}
    costs: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with any_server(Certificates(Path(folder))) as (server, alpn):
            for number in range(1, rounds + 1):
                for direction in DIRECTIONS:
                    for library in LIBRARIES:
                        found = await measure(library, direction, server, alpn, size)
                        speed = size / found["seconds"] / 1e6
                        print(f"round {number}: {direction:8} {library:8} {speed:8.1f} MB/s")
                        key = (direction, library)
                        speeds.setdefault(key, []).append(speed)
                        costs.setdefault(key, []).append(found["processor"] / size * 1e9)
    report(size, rounds, alpn, speeds, costs)


def report(
    size: int,
    rounds: int,
    alpn: str,
    speeds: dict[tuple[str, str], list[float]],
    costs: dict[tuple[str, str], list[float]],
) -> None:
    server = "gtlsserver" if alpn == h3.ALPN else "aioquic's server"
    print(
        f"\n{size / 1e6:.0f} MB over loopback from and to {server}, median of {rounds}; "
        f"{platform.python_implementation()} {platform.python_version()}\n"
    )
    print("| direction | client   | MB/s (all runs)              | median | client's CPU | ratio |")
    print("|-----------|----------|------------------------------|-------:|-------------:|------:|")
    for direction in DIRECTIONS:
        reference = statistics.median(speeds[direction, "aioquic"])
        for library in LIBRARIES:
            runs = speeds[direction, library]
            median = statistics.median(runs)
            cost = statistics.median(costs[direction, library])
            each = " ".join(f"{speed:.1f}" for speed in runs)
            print(
                f"| {direction:9} | {library:8} | {each:28} | {median:6.1f} "
                f"| {cost:7.1f} s/GB | {median / reference:5.1f} |"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    trio.run(run, int(options.megabytes * 1e6), options.rounds)
