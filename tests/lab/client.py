"""The program under test: one connection, one exchange, told as lines of JSON.

    python -m tests.lab.client JOB

JOB is JSON, see `Job`. What is written: `connected`; `progress` every 64 kB with the active path's
estimates at that moment; `event` for each path event; at the end `done` or `failed`. Every line has
the time of `time.monotonic()`, which all processes of a machine share. Standard input takes
commands: `migrate INTERFACE`, and `end` for a task that has no end of its own (`hold`).

Progress is what the application sees: bytes that were read, or bytes that have left the send buffer
because the server acknowledged them. The pauses between two pieces are told at the end.
"""

import hashlib
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import trio

import trioquic
from tests import http3_min as h3

_REPORT_EVERY: Final = 64_000
_PIECE: Final = 4096
_SHORTEST_PAUSE: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to do."""

    host: str
    port: int
    ca_file: str
    alpn: str
    task: str
    """`download`, `upload`, `wait` (a request that is answered after a while) or `hold`."""
    size: int = 0
    """Bytes to send or to get."""
    name: str = ""
    """The file to get."""
    seconds: float = 0.0
    """How long the server lets a `wait` wait."""
    policy: dict[str, Any] = field(default_factory=dict)
    transport: dict[str, Any] = field(default_factory=dict)


def tell(what: str, **facts: object) -> None:
    """One line of output."""
    line = json.dumps({"what": what, "at": time.monotonic(), **facts}, default=str)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Progress:
    """Counts bytes, remembers the longest pauses between them."""

    def __init__(self, conn: trioquic.Connection) -> None:
        self._conn = conn
        self._told = 0
        self._last = time.monotonic()
        self.first = 0.0
        self.size = 0
        # those that are worth to be told: how long, and when they ended
        self.pauses: list[tuple[float, float]] = []

    def add(self, size: int) -> None:
        """`size` more bytes, now."""
        now = time.monotonic()
        if self.size:
            if now - self._last >= _SHORTEST_PAUSE:
                self.pauses.append((now - self._last, now))
        else:
            self.first = now
        self._last = now
        self.size += size
        if self.size - self._told >= _REPORT_EVERY:
            self._told = self.size
            tell("progress", bytes=self.size, **estimates(self._conn))


def estimates(conn: trioquic.Connection) -> dict[str, object]:
    """What the active path thinks of itself."""
    active = conn.active_path
    if active is None:
        return {}
    now = active.statistics()
    return {"local": now.local[0], "rtt": now.rtt, "pto": now.pto}


def describe(event: trioquic.PathEvent) -> dict[str, object]:
    """A path event as JSON, with paths as `local address > server address`."""
    facts: dict[str, object] = {"kind": type(event).__name__}
    for name in event.__slots__:
        value = getattr(event, name)
        if isinstance(value, trioquic.Path):
            value = f"{value.local[0]} > {value.remote[0]}"
        facts[name] = value
    return facts


class Request:
    """The bytes of a request and of its response, for hq-interop and for HTTP/3."""

    def __init__(self, conn: trioquic.Connection) -> None:
        self._conn = conn
        self._parser = h3.ResponseParser() if conn.alpn == h3.ALPN else None
        self.digest = hashlib.sha256()
        self.received = bytearray()

    async def open(self, job: Job) -> trioquic.Stream:
        """A stream with everything of the request but an upload's body."""
        stream = await self._conn.open_stream()
        await stream.send_all(self._head(job))
        return stream

    def _head(self, job: Job) -> bytes:
        if self._parser is not None:
            if job.task == "upload":
                return h3.request("localhost", "/1", post=True) + h3.data_header(job.size)
            return h3.request("localhost", f"/{job.name}")
        if job.task == "upload":
            return b"SINK\r\n"
        if job.task == "wait":
            return f"WAIT {job.seconds} {job.size}\r\n".encode()
        return f"GET /{job.name}\r\n".encode()

    async def response(self, stream: trioquic.Stream, count: Callable[[int], None]) -> None:
        """Read to the end; `count` is called with the size of each piece of content."""
        async for chunk in stream:
            content = chunk if self._parser is None else self._parser.feed(bytes(chunk))
            if content:
                self.digest.update(content)
                if len(self.received) < _PIECE:
                    self.received += content
                count(len(content))
        if self._parser is not None:
            self._parser.finish()
            assert self._parser.status == 200


def body(size: int) -> bytes:
    """What an upload sends."""
    return random.Random(size).randbytes(size)


async def exchange(conn: trioquic.Connection, job: Job) -> dict[str, object]:
    """Download, upload or wait; returns what came of it."""
    request = Request(conn)
    progress = Progress(conn)
    stream = await request.open(job)
    if job.task == "upload":
        content = body(job.size)
        for start in range(0, job.size, _PIECE):
            piece = content[start : start + _PIECE]
            await stream.send_all(piece)
            progress.add(len(piece))
    await stream.send_eof()
    asked = time.monotonic()
    tell("asked")
    if job.task == "upload":
        await request.response(stream, lambda _: None)
    else:
        await request.response(stream, progress.add)
    return {
        "sha256": request.digest.hexdigest(),
        "answer": bytes(request.received[:200]).decode("latin-1") if job.task == "upload" else "",
        "bytes": progress.size,
        "asked": asked,
        "first": progress.first,
        "pauses": progress.pauses,
    }


async def obey(conn: trioquic.Connection, ended: trio.Event) -> None:
    """Carry out the commands of standard input."""
    text = b""
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stream:
        async for chunk in stream:
            text += chunk
            while b"\n" in text:
                line, _, text = text.partition(b"\n")
                words = line.decode().split()
                if words[0] == "end":
                    ended.set()
                else:
                    await move(conn, words[1])


async def move(conn: trioquic.Connection, interface: str) -> None:
    """A planned move."""
    try:
        await conn.migrate(interface=interface)
    except trioquic.QuicError as error:
        tell("not moved", reason=repr(error))
    else:
        tell("moved", interface=interface)


async def listen(channel: trio.MemoryReceiveChannel[trioquic.PathEvent]) -> None:
    async for event in channel:
        tell("event", **describe(event))


@asynccontextmanager
async def connected(job: Job) -> AsyncIterator[trioquic.Connection]:
    """The connection, with its control stream if it is HTTP/3's."""
    async with trioquic.open_connection(
        job.host,
        job.port,
        alpn=[job.alpn],
        server_name="localhost",
        tls=trioquic.TLSConfig(ca_file=job.ca_file),
        migration=trioquic.MigrationPolicy(**job.policy),
        transport=trioquic.TransportConfig(**job.transport),
    ) as conn:
        if job.alpn == h3.ALPN:
            control = await conn.open_send_stream()
            await control.send_all(h3.control_stream())
        yield conn


async def work(job: Job) -> None:
    ended = trio.Event()
    async with (
        connected(job) as conn,
        conn.path_events() as channel,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(listen, channel)
        await conn.wait_confirmed()
        tell("connected", spare_ids=conn.statistics().spare_peer_ids)
        nursery.start_soon(obey, conn, ended)
        if job.task == "hold":
            await ended.wait()
            outcome: dict[str, object] = {}
        else:
            outcome = await exchange(conn, job)
        tell("done", statistics=asdict(conn.statistics()), **outcome)
        nursery.cancel_scope.cancel()


def root_cause(error: BaseException) -> BaseException:
    """What a task failed with, without the groups of its nurseries."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def main() -> None:
    try:
        trio.run(work, Job(**json.loads(sys.argv[1])))
    except (trioquic.QuicError, BaseExceptionGroup) as error:
        cause = root_cause(error)
        if not isinstance(cause, trioquic.QuicError):
            raise
        tell("failed", error=type(cause).__name__, text=str(cause))


if __name__ == "__main__":
    main()
