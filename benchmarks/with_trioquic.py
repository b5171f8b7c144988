"""The works through trioquic's public API; whether compiled or not, the environment decides."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import repeat

import trio

import trioquic
from tests import http3_min as h3
from trioquic.sessions import Record, SessionKey

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

WARM_UP = 1_000_000
Connect = Callable[..., AbstractAsyncContextManager[trioquic.Connection]]


def connector(task: Task) -> Connect:
    tls = trioquic.TLSConfig(ca_file=task.ca_file)
    transport = trioquic.TransportConfig(
        max_data=MAX_DATA,
        max_stream_data=MAX_STREAM_DATA,
        max_datagram_size=task.largest,
        idle_timeout=IDLE_TIMEOUT,
        handshake_timeout=IDLE_TIMEOUT,
    )

    def connect(
        sessions: trioquic.MemorySessions | None = None,
    ) -> AbstractAsyncContextManager[trioquic.Connection]:
        return trioquic.open_connection(
            task.host,
            task.port,
            alpn=[h3.ALPN],
            server_name=SERVER_NAME,
            tls=tls,
            transport=transport,
            sessions=sessions,
            early_data=sessions is not None,
        )

    return connect


async def begin(conn: trioquic.Connection, *, early_data: bool = False) -> None:
    control = await conn.open_send_stream(early_data=early_data)
    await control.send_all(h3.control_stream())


async def exchange(
    conn: trioquic.Connection,
    take: Callable[[bytes], None],
    *request: bytes,
    early_data: bool = False,
) -> None:
    """Send the pieces of a request on a stream of their own; `take` gets those of the answer."""
    stream = await conn.open_stream(early_data=early_data)
    for piece in request:
        await stream.send_all(piece)
    await stream.send_eof()
    async for chunk in stream:
        take(bytes(chunk))


async def ask(conn: trioquic.Connection, request: bytes) -> bytes:
    answer: list[bytes] = []
    await exchange(conn, answer.append, request)
    return b"".join(answer)


async def download(task: Task, connect: Connect) -> Figures:
    async with connect() as conn:
        await begin(conn)
        answer = Answer(task.size)
        watch = Watch()
        await exchange(conn, answer.feed, task.get)
        figures = watch.figures()
        answer.check()
    return figures


async def volume(task: Task, connect: Connect) -> Figures:
    """`count` downloads one after the other, behind a small one that does not count."""
    async with connect() as conn:
        await begin(conn)
        await ask(conn, h3.request(SERVER_NAME, f"/{WARM_UP}"))
        answers = [Answer(task.size) for _ in range(task.count)]
        watch = Watch()
        for answer in answers:
            await exchange(conn, answer.feed, task.get)
        figures = watch.figures()
    for answer in answers:
        answer.check()
    return figures


async def upload(task: Task, connect: Connect) -> Figures:
    whole, rest = divmod(task.size, len(CHUNK))
    async with connect() as conn:
        await begin(conn)
        answer = Answer(2)
        watch = Watch()
        await exchange(conn, answer.feed, task.post, *repeat(CHUNK, whole), CHUNK[:rest])
        figures = watch.figures()
        answer.check()
    return figures


async def requests(task: Task, connect: Connect) -> Figures:
    request = task.get
    answers: list[bytes] = []
    left = iter(range(task.count))

    async def worker() -> None:
        for _ in left:
            answers.append(await ask(conn, request))

    async with connect() as conn:
        await begin(conn)
        watch = Watch()
        async with trio.open_nursery() as nursery:
            for _ in range(task.parallel):
                nursery.start_soon(worker)
        figures = watch.figures()
    check_answers(answers, task)
    return figures


async def handshakes(task: Task, connect: Connect) -> Figures:
    """One after the other; a connection is closed while the next ones are made."""
    wall = 0.0

    async def one(task_status: trio.TaskStatus[None]) -> None:
        async with connect():
            task_status.started()

    async with trio.open_nursery() as nursery:
        await nursery.start(one)  # what happens only once in a process
    watch = Watch()
    async with trio.open_nursery() as nursery:
        for _ in range(task.count):
            start = time.perf_counter()
            await nursery.start(one)
            wall += time.perf_counter() - start
    return {**watch.figures(), "seconds": wall}


class Tickets(trioquic.MemorySessions):
    """Tells when the server has given some."""

    def __init__(self) -> None:
        super().__init__()
        self._given = trio.Event()

    async def keep(self, key: SessionKey, records: Sequence[Record]) -> None:
        await super().keep(key, records)
        self._given.set()

    async def wait(self) -> None:
        """Until there are new ones, since the last time."""
        await self._given.wait()
        self._given = trio.Event()


async def first_byte(task: Task, connect: Connect) -> Figures:
    """From the wish to connect to the first byte of an answer, on one connection after another.
    With early data, each of them brings the tickets of the next one."""
    answers: list[TimedAnswer] = []
    tickets = Tickets() if task.early_data else None
    for number in range(1 + task.count):
        answer = TimedAnswer(task.size)
        async with connect(tickets) as conn:
            await begin(conn, early_data=task.early_data)
            await exchange(conn, answer.feed, task.get, early_data=task.early_data)
            if tickets is not None:
                await tickets.wait()
                if number and conn.early_data is not trioquic.EarlyData.ACCEPTED:
                    raise RuntimeError(f"early data: {conn.early_data}")
        answers.append(answer)
    return first_byte_figures(answers)


async def idle(task: Task, connect: Connect) -> Figures:
    """Memory that `count` more connections take."""

    async def hold(task_status: trio.TaskStatus[None]) -> None:
        async with connect() as conn:
            await conn.wait_handshake_confirmed()
            task_status.started()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for _ in range(FIRST_CONNECTIONS):
            await nursery.start(hold)
        before = resident()
        for _ in range(task.count):
            await nursery.start(hold)
        grown = resident() - before
        nursery.cancel_scope.cancel()
    return {"memory": grown / task.count}


async def many(task: Task, connect: Connect) -> Figures:
    """`count` connections, all open at the same time when each makes its request."""
    request = task.get
    answers: list[bytes] = []
    gate = trio.CapacityLimiter(AT_ONCE)
    everybody, done = trio.Event(), trio.Event()
    opened = 0
    watch = Watch()

    async def one() -> None:
        nonlocal opened
        async with gate:
            conn = await nursery_of_connections.start(hold)
        opened += 1
        if opened == task.count:
            everybody.set()
        await everybody.wait()
        await begin(conn)
        answers.append(await ask(conn, request))

    async def hold(task_status: trio.TaskStatus[trioquic.Connection]) -> None:
        async with connect() as conn:
            task_status.started(conn)
            await done.wait()

    async with trio.open_nursery() as nursery_of_connections:
        async with trio.open_nursery() as nursery:
            for _ in range(task.count):
                nursery.start_soon(one)
        figures = {**watch.figures(), "memory": resident()}
        done.set()
    check_answers(answers, task)
    return figures


WORKS: dict[str, Callable[[Task, Connect], Awaitable[Figures]]] = {
    "download": download,
    "volume": volume,
    "upload": upload,
    "requests": requests,
    "handshakes": handshakes,
    "first-byte": first_byte,
    "idle": idle,
    "many": many,
}


async def main(task: Task) -> None:
    tell(await WORKS[task.work](task, connector(task)))


if __name__ == "__main__":
    trio.run(main, read_task())
