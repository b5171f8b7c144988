"""Who takes part, and how one process of each does a task and is measured.

Python clients measure themselves, from the request to the last byte of the answer. `gtlsclient`
cannot, so its process is measured as a whole, and what a process needs that asks the server for
2 bytes only is taken off: starting, the handshake, ending. That one is always run over loopback,
so over a longer link the round trip of the handshake comes off, too.
"""

import importlib.metadata
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import trio

import trioquic
from tests.programs import find_program

from .task import MAX_DATA, MAX_STREAM_DATA, SERVER_NAME, Figures, Task

PROJECT = Path(__file__).parent.parent
LIMIT = 900.0
TINY = 2
PURE = {"TRIOQUIC_PURE_PYTHON": "1"}
GTLSCLIENT_OPTIONS = (
    "--quiet",
    "--exit-on-all-streams-close",
    "--no-quic-dump",
    "--no-http-dump",
    f"--max-data={MAX_DATA}",
    f"--max-stream-data-bidi-local={MAX_STREAM_DATA}",
    f"--max-window={MAX_DATA}",
    f"--max-stream-window={MAX_STREAM_DATA}",
)


class ClientFailedError(Exception):
    """A client did not do its work."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that has ended."""

    status: int
    output: bytes
    seconds: float
    processor: float


class ClientProcess:
    """One process, whose output is read from `pipe`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        reading, writing = os.pipe()
        self._start = time.perf_counter()
        try:
            self._process = subprocess.Popen(
                command, cwd=PROJECT, env={**os.environ, **environment}, stdout=writing
            )
        finally:
            os.close(writing)
        self.pipe = trio.lowlevel.FdStream(reading)
        self._ended = os.pidfd_open(self._process.pid)

    async def wait(self) -> None:
        """Wait until it has ended."""
        await trio.lowlevel.wait_readable(self._ended)

    def finish(self, output: bytes) -> Finished:
        """What it took; if it has not ended, it is killed."""
        os.close(self._ended)
        # Popen's kill and wait would not leave to us what the process has used
        os.kill(self._process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self._process.pid, 0)
        wall = time.perf_counter() - self._start
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return Finished(self._process.returncode, output, wall, usage.ru_utime + usage.ru_stime)


async def run_process(command: Sequence[str], environment: Mapping[str, str]) -> Finished:
    """Run a client to its end and measure the process as a whole. Cancelled, it kills it."""
    process = ClientProcess(command, environment)
    output = b""
    try:
        with trio.move_on_after(LIMIT):
            output = b"".join([bytes(chunk) async for chunk in process.pipe])
            await process.wait()
    finally:
        finished = process.finish(output)
        await trio.aclose_forcefully(process.pipe)
    if finished.status != 0:
        raise ClientFailedError(f"{' '.join(command)} ended with {finished.status}")
    return finished


@dataclass(frozen=True, slots=True)
class PythonClient:
    """A library with a program of ours."""

    name: str
    library: str
    module: str
    environment: Mapping[str, str]

    @property
    def version(self) -> str:
        return f"{self.library} {importlib.metadata.version(self.library)}"

    async def run(self, task: Task, server_port: int, round_trip: float) -> Figures:
        text = replace(task, library=self.library).to_json()
        module = "benchmarks.core" if task.alone else self.module
        command = [sys.executable, "-m", module, text]
        figures: Figures = json.loads((await run_process(command, self.environment)).output)
        return figures


@dataclass(frozen=True, slots=True)
class Gtlsclient:
    """ngtcp2's example client. It does not verify certificates."""

    name: str
    path: str

    @property
    def version(self) -> str:
        return "ngtcp2's gtlsclient"

    async def run(self, task: Task, server_port: int, round_trip: float) -> Figures:
        folder = Path(task.ca_file).parent / "gtlsclient"
        folder.mkdir(exist_ok=True)
        base = await self._process(replace(task, port=server_port), TINY, [])
        options: list[str] = []
        body = task.size
        if task.work == "upload":
            source = folder / f"zeros-{task.size}"
            if not source.exists():
                with source.open("wb") as file:
                    file.truncate(task.size)
            options = [f"--data={source}"]
            body = TINY
        whole = await self._process(task, body, options)
        return {
            "seconds": whole.seconds - base.seconds - round_trip,
            "processor": whole.processor - base.processor,
        }

    async def _process(self, task: Task, body: int, options: Sequence[str]) -> Finished:
        address = [task.host, str(task.port), f"https://{SERVER_NAME}/{body}"]
        return await run_process([self.path, *GTLSCLIENT_OPTIONS, *options, *address], {})


Client = PythonClient | Gtlsclient


def find_clients() -> list[Client]:
    """Everybody who is installed here, trioquic first."""
    ours, theirs = "benchmarks.with_trioquic", "benchmarks.with_asyncio"
    found: list[Client] = []
    if trioquic.compiled:
        found.append(PythonClient("compiled", "trioquic", ours, {}))
    found.append(PythonClient("plain", "trioquic", ours, PURE))
    if importlib.util.find_spec("qh3") is not None:
        found.append(PythonClient("qh3", "qh3", theirs, {}))
    path = find_program("gtlsclient")
    if path is not None:
        found.append(Gtlsclient("gtlsclient", path))
    if importlib.util.find_spec("aioquic") is not None:
        found.append(PythonClient("aioquic", "aioquic", theirs, {}))
    return found
