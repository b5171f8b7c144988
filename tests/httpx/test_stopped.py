"""A real client process that is stopped (SIGSTOP) goes on at once when it may (SIGCONT).

For longer than the connection lives, so the server has forgotten it; and while the server is
started again. The long form is `python -m tests.lab --servers caddy --only httpx-stop`.
"""

import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.http3.world import Exchange
from tests.lab.lines import Lines
from tests.lab.pool_client import Job
from tests.sim_server import ServerConnection, ServerOptions, SimServer, credentials, serve

from .site import SiteApplication

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no signals that stop a process")
ROOT = Path(__file__).parent.parent.parent
IDLE = 1.0
STOPPED = 2.0
LONGEST = 2.5
_LATE = 0.25


class Client:
    """The process, and what it tells of its requests."""

    def __init__(self, output: Lines) -> None:
        self._output = output
        self.requests: list[dict[str, Any]] = []

    async def make(self, number: int) -> None:
        """Wait for the end of so many requests that begin from now on."""
        began = time.monotonic()
        while sum(line["began"] >= began for line in self.requests) < number:
            line = await self._output.next()
            if line["what"] == "request":
                self.requests.append(line)

    def stop(self) -> None:
        os.kill(self._output.pid, signal.SIGSTOP)

    async def go_on(self) -> float:
        """How long the slowest of the requests took that were under way or came then."""
        awake = time.monotonic()
        os.kill(self._output.pid, signal.SIGCONT)
        await self.make(10)
        taken: list[float] = [
            line["at"] - max(line["began"], awake) for line in self.requests if line["at"] >= awake
        ]
        return max(taken)


class Late(SiteApplication):
    """Answers so late that a request is always under way."""

    def __init__(self, connection: ServerConnection, nursery: trio.Nursery) -> None:
        super().__init__(connection, is_first=False)
        self._nursery = nursery

    def _answer(self, stream_id: int, exchange: Exchange) -> None:
        self._nursery.start_soon(self._answer_later, stream_id, exchange)

    async def _answer_later(self, stream_id: int, exchange: Exchange) -> None:
        await trio.sleep(_LATE)
        super()._answer(stream_id, exchange)
        self.connection.flush()


@dataclass(frozen=True)
class Running:
    """A server at work."""

    port: int
    scope: trio.CancelScope
    ended: trio.Event


async def _serve(
    port: int,
    options: ServerOptions,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    ended = trio.Event()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            server: SimServer = await nursery.start(serve, ["127.0.0.1"], port, options)
            task_status.started(Running(server.port, scope, ended))
    ended.set()


async def test_requests_go_on_when_the_process_does(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(credentials().ca_pem)
    connections: list[Late] = []
    async with trio.open_nursery() as nursery:

        def make(connection: ServerConnection) -> Late:
            connections.append(Late(connection, nursery))
            return connections[-1]

        options = ServerOptions(alpn=("h3",), application=make, idle_timeout=IDLE)
        first: Running = await nursery.start(_serve, 0, options)
        url = f"https://127.0.0.1:{first.port}/bytes/1000"
        job = json.dumps(asdict(Job(url=url, ca_file=str(ca_file), idle_timeout=IDLE)))
        command = [sys.executable, "-m", "tests.lab.pool_client", job]
        async with Lines.of(command, cwd=ROOT) as output:
            client = Client(output)
            await client.make(5)
            client.stop()
            # nothing else is to be waited for than that time passes
            await trio.sleep(STOPPED)
            assert await client.go_on() < LONGEST
            client.stop()
            first.scope.cancel()
            await first.ended.wait()
            await nursery.start(_serve, first.port, options)
            await trio.sleep(STOPPED)
            assert await client.go_on() < LONGEST
        nursery.cancel_scope.cancel()
    assert [line["error"] for line in client.requests if line["error"]] == []
    assert {line["version"] for line in client.requests} == {"HTTP/3"}
    # each time that it went on, at least
    assert len(connections) >= 3
