"""The examples of migration run on loopback and really change their network.

Two addresses of loopback are the client's networks, examples/relay.py is what lies between them and
the server, and it can cut each of them off.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from examples.hq_server import pattern
from examples.world import Child, child
from tests.certificates import Certificates
from tests.servers import aioquic_server

PROJECT = Path(__file__).parent.parent
WIFI, CELLULAR = "127.0.0.1", "127.0.0.2"
NETWORKS = (f"--network=wifi={WIFI}", f"--network=cellular={CELLULAR}")
PATIENCE = 60.0

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems have no 127.0.0.2 by default"
)


class Program:
    """An example at work, and what it has said so far."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._rest = b""

    async def next_line(self) -> str | None:
        """The next line; None at the end of the output."""
        assert self.process.stdout is not None
        while b"\n" not in self._rest:
            chunk = await self.process.stdout.receive_some()
            if not chunk:
                return None
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        self.lines.append(line.decode())
        return self.lines[-1]

    async def until(self, found: Callable[[str], bool]) -> str:
        """Read up to a line that is like that."""
        while (line := await self.next_line()) is not None:
            if found(line):
                return line
        raise AssertionError("\n".join(["not found:", *self.lines]))

    async def until_text(self, text: str) -> str:
        """Read up to a line with this text."""
        return await self.until(lambda line: text in line)

    async def say(self, line: str) -> None:
        """A line for the standard input."""
        assert self.process.stdin is not None
        await self.process.stdin.send_all(f"{line}\n".encode())

    async def finish(self) -> int:
        """Read the rest and wait for the end."""
        while await self.next_line() is not None:
            pass
        return await self.process.wait()


@asynccontextmanager
async def example(
    certs: Certificates, name: str, *arguments: str, wifi: str = "16:20", cellular: str = "16:40"
) -> AsyncIterator[tuple[Program, Child]]:
    """An example that talks to a server through a relay with two links (`MBIT:RTT`)."""
    async with aioquic_server(certs.server) as server:
        links = [f"--link={WIFI}={wifi}", f"--link={CELLULAR}={cellular}"]
        target = f"--target={server.host}:{server.port}"
        async with child("examples.relay", [target, *links]) as relay:
            where = [relay.host, str(relay.port), f"--cafile={server.ca_file}"]
            command = [sys.executable, "-m", f"examples.{name}", *where, *arguments]
            process = await trio.lowlevel.open_process(
                command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                with trio.fail_after(PATIENCE):
                    yield Program(process), relay
            finally:
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()
                    await process.stdin.aclose()
                    await process.stdout.aclose()


async def test_failover_finishes_over_the_other_network(certs: Certificates) -> None:
    size = 5_000_000
    async with example(certs, "failover", *NETWORKS, f"/{size}") as (program, relay):
        await program.until_text(f"cellular ({CELLULAR}) works both ways")
        await relay.say(f"cut {WIFI}")
        moved = await program.until_text("moved from wifi (127.0.0.1) to cellular (127.0.0.2): ")
        assert "no answer for" in moved
        assert await program.finish() == 0
    output = "\n".join(program.lines)
    assert f"received {size} bytes" in output
    assert hashlib.sha256(pattern(size)).hexdigest() in output
    rows = [line.split("│") for line in program.lines if line.startswith("│ ")]
    assert [row[1].strip() for row in rows][:2] == ["wifi", "cellular"]
    assert [row[1].strip() for row in rows if row[4].strip() == "active"] == ["cellular"]


async def test_handover_log_writes_json_lines(certs: Certificates) -> None:
    arguments = (*NETWORKS, "--pause=0.05", "--patience=0.5")
    async with example(certs, "handover_log", *arguments) as (program, relay):

        def is_event(name: str) -> Callable[[str], bool]:
            return lambda line: bool(json.loads(line)["event"] == name)

        await program.until(is_event("PathValidated"))
        await relay.say(f"cut {WIFI}")
        await program.until(is_event("Migrated"))
        await relay.say(f"cut {CELLULAR}")
        await program.until(is_event("PathDegraded"))
        program.process.kill()
        await program.finish()
    log: list[dict[str, Any]] = [json.loads(line) for line in program.lines]
    assert log[0]["event"] == "Connected"
    assert log[0]["path"]["interface"] == "wifi"
    assert [entry["time"] for entry in log] == sorted(entry["time"] for entry in log)
    (validated, *_) = [entry for entry in log if entry["event"] == "PathValidated"]
    assert validated["path"]["local"].startswith(CELLULAR)
    assert 0.04 <= validated["rtt"] < 1.0
    (moved, *_) = [entry for entry in log if entry["event"] == "Migrated"]
    assert (moved["old"]["interface"], moved["new"]["interface"]) == ("wifi", "cellular")
    assert moved["cause"] == "silence"
    assert moved["reason"].startswith("no answer for")
    assert moved["new"]["state"] == "active"


async def test_handover_log_tells_the_end(certs: Certificates) -> None:
    async with example(certs, "handover_log", "--seconds=0.3") as (program, _):
        assert await program.finish() == 0
    assert [json.loads(line)["event"] for line in program.lines] == ["Connected", "Closed"]
    assert json.loads(program.lines[1])["error"] is None


async def test_the_custom_policy_prefers_the_shorter_round_trip(certs: Certificates) -> None:
    arguments = (*NETWORKS, "--pause=0.05", "--seconds=2")
    links = {"wifi": "16:80", "cellular": "16:10"}
    async with example(certs, "custom_policy", *arguments, **links) as (program, _):
        moved = await program.until_text("moved to cellular: ")
        before, after = moved.rpartition(": ")[2].removesuffix(" ms").split(" ms instead of ")
        assert 10 <= int(before) < int(after)
        assert int(after) >= 80
        await program.until_text("1000 bytes over cellular in ")
        assert await program.finish() == 0


async def test_a_phone_feeds_its_networks_in(certs: Certificates) -> None:
    async with example(certs, "phone_networks", "--pause=0.02") as (program, _):
        await program.say("nonsense")
        await program.until_text("not understood: nonsense")
        await program.say("available wifi=300.0.0.1")
        await program.until_text("not understood: '300.0.0.1'")
        await program.say("available carrier-pigeon=127.0.0.1")
        await program.until_text("not understood: KIND=ADDRESS")
        await program.say(f"available wifi={WIFI}")
        await program.until_text("connected over wifi")
        await program.until_text("1000 bytes over wifi")
        await program.say(f"available cellular={CELLULAR}")
        await program.say("lost wifi")
        await program.until_text("moved to cellular: the active path is gone")
        await program.until_text("1000 bytes over cellular")
        await program.say("lost cellular")
        await program.until_text("no network, waiting")
        await program.say(f"available wifi={WIFI}")
        await program.until_text("moved to wifi")
        await program.until_text("1000 bytes over wifi")
        assert program.process.stdin is not None
        await program.process.stdin.aclose()
        assert await program.finish() == 0


@pytest.mark.parametrize("name", ["failover", "handover_log", "custom_policy", "phone_networks"])
async def test_what_goes_wrong_is_a_line_and_no_traceback(name: str, tmp_path: Path) -> None:
    missing = f"--cafile={tmp_path / 'missing.pem'}"
    path = ["/file"] if name == "failover" else []
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", f"examples.{name}", "localhost", "1", missing, *path],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    async with process.stdin, process.stderr:
        await process.stdin.send_all(b"available wifi=127.0.0.1\n")
        said = b"".join([bytes(chunk) async for chunk in process.stderr])
        assert await process.wait() == 1
    assert said.decode().startswith("FileNotFoundError: ")
    assert len(said.splitlines()) == 1
