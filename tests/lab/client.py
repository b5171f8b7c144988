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
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Final

import trio

import trioquic
from tests import http3_min as h3
from tests.lab.plan import NOT_TUNNELS
from trioquic.networks import routes_of

_REPORT_EVERY: Final = 64_000
_LONGEST_ANSWER: Final = 200
_LONGEST_SETTLING: Final = 3.0
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
    metered: list[str] = field(default_factory=list)
    """Interfaces that cost money; the system does not know of those of a lab."""
    settle: bool = False
    """At the end, wait until retired connection IDs are replaced, or should have been."""


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
    assert is_dataclass(event)
    for entry in fields(event):
        value = getattr(event, entry.name)
        if isinstance(value, trioquic.Path):
            value = f"{value.local[0]} > {value.remote[0]}"
        facts[entry.name] = value
    return facts


class Request:
    """The bytes of a request and of its response, for hq-interop and for HTTP/3."""

    def __init__(self, conn: trioquic.Connection) -> None:
        self._parser = h3.ResponseParser() if conn.alpn == h3.ALPN else None
        self.digest = hashlib.sha256()
        self.received = bytearray()

    def head(self, job: Job) -> bytes:
        """Everything of the request but an upload's body."""
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
                self.received += content[: _LONGEST_ANSWER - len(self.received)]
                count(len(content))
        if self._parser is not None:
            self._parser.finish()
            assert self._parser.status == 200


def body(size: int) -> bytes:
    """What an upload sends."""
    return random.Random(size).randbytes(size)


class SendWatch(trio.abc.Instrument):
    """Notices bytes that leave a stream's send buffer, whenever a task has run.

    The library wakes a writer only when much of its buffer is free, so a writer would notice late.
    """

    def __init__(self, conn: trioquic.Connection, stream: trioquic.Stream, capacity: int) -> None:
        self._streams = conn._driver.core.streams
        self._id = stream.stream_id
        self._capacity = capacity
        self.accepted = 0
        self.progress = Progress(conn)

    @property
    def room(self) -> int:
        """How much the buffer takes now."""
        return self._streams.send_room(self._id)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        acknowledged = self.accepted - (self._capacity - self.room)
        if acknowledged > self.progress.size:
            self.progress.add(acknowledged - self.progress.size)


async def upload(
    conn: trioquic.Connection, stream: trioquic.Stream, job: Job, before: int
) -> Progress:
    """Send the body. `before` bytes were written to the stream already."""
    content = body(job.size)
    watch = SendWatch(conn, stream, job.transport["send_buffer"])
    watch.accepted = before
    trio.lowlevel.add_instrument(watch)
    try:
        position = 0
        while position < job.size:
            await stream.wait_send_all_might_not_block()
            piece = content[position : position + watch.room]
            position += len(piece)
            watch.accepted += len(piece)
            await stream.send_all(piece)
    finally:
        trio.lowlevel.remove_instrument(watch)
    return watch.progress


async def exchange(conn: trioquic.Connection, job: Job) -> dict[str, object]:
    """Download, upload or wait; returns what came of it."""
    request = Request(conn)
    progress = Progress(conn)
    stream = await conn.open_stream()
    head = request.head(job)
    await stream.send_all(head)
    if job.task == "upload":
        progress = await upload(conn, stream, job, len(head))
    await stream.send_eof()
    asked = time.monotonic()
    tell("asked", **estimates(conn))
    if job.task == "upload":
        await request.response(stream, lambda _: None)
    else:
        await request.response(stream, progress.add)
    return {
        "sha256": request.digest.hexdigest(),
        "answer": bytes(request.received).decode("latin-1"),
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


async def listen(
    channel: trio.MemoryReceiveChannel[trioquic.PathEvent], paths: dict[int, trioquic.Path]
) -> None:
    """Tell the events, and keep the paths for their last statistics."""
    async for event in channel:
        tell("event", **describe(event))
        path = getattr(event, "path", None) or getattr(event, "new", None)
        if path is not None:
            paths[path.id] = path


async def settle(conn: trioquic.Connection, ids: int) -> None:
    """Until every connection ID is in use or spare, as at the beginning."""
    with trio.move_on_after(_LONGEST_SETTLING):
        while id_count(conn) < ids or conn.statistics().retiring_peer_ids:
            conn.ping()
            await trio.sleep(0.1)


def id_count(conn: trioquic.Connection) -> int:
    """The server's connection IDs that are in use or spare."""
    now = conn.statistics()
    return now.spare_peer_ids + len(now.paths)


class Priced:
    """The system's networks, with what is known of their price."""

    def __init__(self, system: trioquic.NetworkSource, metered: Sequence[str]) -> None:
        self._system = system
        self._metered = metered
        self.wait_changed = system.wait_changed

    def snapshot(self) -> tuple[trioquic.Interface, ...]:
        return tuple(
            replace(interface, metered=interface.name in self._metered)
            for interface in self._system.snapshot()
        )

    def routes_to(self, servers: Sequence[tuple[str, int]]) -> tuple[trioquic.Route, ...] | None:
        return routes_of(self._system, servers)


@asynccontextmanager
async def connected(job: Job) -> AsyncIterator[trioquic.Connection]:
    """The connection, with its control stream if it is HTTP/3's."""
    async with trioquic.open_connection(
        job.host,
        job.port,
        alpn=[job.alpn],
        server_name="localhost",
        tls=trioquic.TLSConfig(ca_file=job.ca_file),
        migration=trioquic.MigrationPolicy(not_tunnels=NOT_TUNNELS, **job.policy),
        transport=trioquic.TransportConfig(**job.transport),
        networks=Priced(trioquic.system_networks(), job.metered) if job.metered else None,
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
        paths = {path.id: path for path in conn.paths}
        nursery.start_soon(listen, channel, paths)
        await conn.wait_handshake_confirmed()
        ids = id_count(conn)
        tell("connected", ids=ids)
        nursery.start_soon(obey, conn, ended)
        outcome: dict[str, object] = {}
        if job.task == "hold":
            await ended.wait()
        else:
            outcome = await exchange(conn, job)
        if job.settle:
            await settle(conn, ids)
        tell(
            "done",
            ids=id_count(conn),
            statistics=asdict(conn.statistics()),
            paths=[asdict(path.statistics()) for path in paths.values()],
            **outcome,
        )
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
