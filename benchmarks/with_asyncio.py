"""The works through aioquic or qh3, whose interfaces are alike, so that one code drives both.

It stays below their stream readers and writers, which would only add to their time, and sends
as those do: everything that was written in one turn of the event loop goes out together.
"""

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from tests import http3_min as h3

from .task import (
    AT_ONCE,
    CHUNK,
    FIRST_CONNECTIONS,
    IDLE_TIMEOUT,
    MAX_DATA,
    MAX_STREAM_DATA,
    SERVER_NAME,
    Answer,
    Figures,
    Task,
    TimedAnswer,
    Watch,
    check_answers,
    first_byte_figures,
    read_task,
    resident,
    tell,
)

# qh3 2.1 makes a ClientHello with a ticket in 2048 bytes. With all that it offers, an ML-KEM share
# among it, and a ticket of gtlsserver's it would need six more, and fails. These are enough here:
# ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256 and ecdsa_secp384r1_sha384 (RFC 8446 section 4.2.3).
FEW_SIGNATURES = [0x0403, 0x0804, 0x0503]


class Library:
    """aioquic or qh3."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.client = importlib.import_module(f"{task.library}.asyncio.client")
        self.events = importlib.import_module(f"{task.library}.quic.events")
        self.configuration = importlib.import_module(f"{task.library}.quic.configuration")

    def connect(
        self, ticket: object = None, keep: Callable[[Any], None] | None = None
    ) -> AbstractAsyncContextManager[Any]:
        """With a ticket the connection is there before its handshake is complete, so that what is
        written at once is early data; `keep` gets the tickets for the next ones."""
        configuration = self.configuration.QuicConfiguration(
            alpn_protocols=[h3.ALPN],
            server_name=SERVER_NAME,
            max_data=MAX_DATA,
            max_stream_data=MAX_STREAM_DATA,
            idle_timeout=IDLE_TIMEOUT,
            session_ticket=ticket,
        )
        configuration.load_verify_locations(self.task.ca_file)
        if keep is not None and self.task.library == "qh3":
            configuration.signature_algorithms = FEW_SIGNATURES
        found: AbstractAsyncContextManager[Any] = self.client.connect(
            self.task.host,
            self.task.port,
            configuration=configuration,
            session_ticket_handler=keep,
            wait_connected=ticket is None,
        )
        return found


class Client:
    """Requests on one connection, and what comes for them."""

    def __init__(self, library: Library, protocol: Any) -> None:
        self.protocol = protocol
        self.quic = protocol._quic
        self.events = library.events
        self.waiting: dict[int, tuple[Callable[[bytes], object], asyncio.Future[None]]] = {}
        self.early_data_accepted = False
        protocol.quic_event_received = self.on_event
        control = self.quic.get_next_available_stream_id(is_unidirectional=True)
        self.quic.send_stream_data(control, h3.control_stream())

    def on_event(self, event: Any) -> None:
        if isinstance(event, self.events.StreamDataReceived):
            entry = self.waiting.get(event.stream_id)
            if entry is not None:  # the server's own streams are of no interest
                entry[0](event.data)
                if event.end_stream:
                    del self.waiting[event.stream_id]
                    entry[1].set_result(None)
        elif isinstance(event, self.events.HandshakeCompleted):
            self.early_data_accepted = event.early_data_accepted
        elif isinstance(event, self.events.ConnectionTerminated):
            for _, future in self.waiting.values():
                future.set_exception(ConnectionError(event.reason_phrase))
            self.waiting.clear()

    async def ask(self, request: bytes, feed: Callable[[bytes], object], body: int = 0) -> None:
        """Send a request with `body` bytes after it; returns when the answer is complete."""
        stream_id = self.quic.get_next_available_stream_id()
        future = asyncio.get_running_loop().create_future()
        self.waiting[stream_id] = feed, future
        self.quic.send_stream_data(stream_id, request, end_stream=not body)
        if body:
            whole, rest = divmod(body, len(CHUNK))
            for _ in range(whole):
                self.quic.send_stream_data(stream_id, CHUNK)
            self.quic.send_stream_data(stream_id, CHUNK[:rest], end_stream=True)
        self.protocol._transmit_soon()
        await future


async def download(task: Task, library: Library) -> Figures:
    async with library.connect() as protocol:
        client = Client(library, protocol)
        answer = Answer(task.size)
        watch = Watch()
        await client.ask(task.get, answer.feed)
        figures = watch.figures()
        answer.check()
    return figures


async def upload(task: Task, library: Library) -> Figures:
    async with library.connect() as protocol:
        client = Client(library, protocol)
        answer = Answer(2)
        watch = Watch()
        await client.ask(task.post, answer.feed, body=task.size)
        figures = watch.figures()
        answer.check()
    return figures


async def requests(task: Task, library: Library) -> Figures:
    request = task.get
    answers: list[bytes] = []
    left = iter(range(task.count))

    async def worker() -> None:
        for _ in left:
            chunks: list[bytes] = []
            await client.ask(request, chunks.append)
            answers.append(b"".join(chunks))

    async with library.connect() as protocol:
        client = Client(library, protocol)
        watch = Watch()
        await asyncio.gather(*(worker() for _ in range(task.parallel)))
        figures = watch.figures()
    check_answers(answers, task)
    return figures


async def handshakes(task: Task, library: Library) -> Figures:
    """One after the other; a connection is closed while the next ones are made."""
    wall = 0.0

    async def one(connected: asyncio.Event) -> None:
        async with library.connect():
            connected.set()

    await one(asyncio.Event())  # what happens only once in a process
    watch = Watch()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(task.count):
            start = time.perf_counter()
            connected = asyncio.Event()
            tasks.create_task(one(connected))
            await connected.wait()
            wall += time.perf_counter() - start
    return {**watch.figures(), "seconds": wall}


async def first_byte(task: Task, library: Library) -> Figures:
    """From the wish to connect to the first byte of an answer, on one connection after another.
    With early data, each of them brings the ticket of the next one."""
    answers: list[TimedAnswer] = []
    ticket = None
    for number in range(1 + task.count):
        tickets: asyncio.Queue[Any] = asyncio.Queue()
        answer = TimedAnswer(task.size)
        keep = tickets.put_nowait if task.early_data else None
        async with library.connect(ticket, keep) as protocol:
            client = Client(library, protocol)
            await client.ask(task.get, answer.feed)
            if task.early_data:
                ticket = await tickets.get()
                if number and not client.early_data_accepted:
                    raise RuntimeError("the server did not take early data")
        answers.append(answer)
    return first_byte_figures(answers)


async def idle(task: Task, library: Library) -> Figures:
    """Memory that `count` more connections take."""

    async def hold(confirmed: asyncio.Event) -> None:
        async with library.connect() as protocol:
            await protocol.ping()
            confirmed.set()
            await done.wait()

    async def add(number: int) -> None:
        for _ in range(number):
            confirmed = asyncio.Event()
            tasks.create_task(hold(confirmed))
            await confirmed.wait()

    done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        await add(FIRST_CONNECTIONS)
        before = resident()
        await add(task.count)
        grown = resident() - before
        done.set()
    return {"memory": grown / task.count}


async def many(task: Task, library: Library) -> Figures:
    """`count` connections, all open at the same time when each makes its request."""
    request = task.get
    answers: list[bytes] = []
    gate = asyncio.Semaphore(AT_ONCE)
    everybody, answered, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    opened = 0
    watch = Watch()

    async def one() -> None:
        nonlocal opened
        async with AsyncExitStack() as stack:
            async with gate:
                protocol = await stack.enter_async_context(library.connect())
            opened += 1
            if opened == task.count:
                everybody.set()
            await everybody.wait()
            chunks: list[bytes] = []
            await Client(library, protocol).ask(request, chunks.append)
            answers.append(b"".join(chunks))
            if len(answers) == task.count:
                answered.set()
            await done.wait()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(task.count):
            tasks.create_task(one())
        await answered.wait()
        figures = {**watch.figures(), "memory": resident()}
        done.set()
    check_answers(answers, task)
    return figures


WORKS: dict[str, Callable[[Task, Library], Awaitable[Figures]]] = {
    "download": download,
    "upload": upload,
    "requests": requests,
    "handshakes": handshakes,
    "first-byte": first_byte,
    "idle": idle,
    "many": many,
}


async def main(task: Task) -> None:
    tell(await WORKS[task.work](task, Library(task)))


if __name__ == "__main__":
    task = read_task()
    asyncio.run(main(task))
