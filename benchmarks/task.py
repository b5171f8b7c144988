"""What one client process is to do and what it answers, the same for every library.

A client in Python is `python -m benchmarks.with_trioquic TASK` or `with_asyncio TASK`, where TASK
is a line of JSON; it prints its figures as another. Imports, and the handshake where that is not
the work, do not count. The messages are prepared bytes (tests/http3_min.py), so that no library
pays for an HTTP layer, and what came is checked after the clock has stopped.
"""

import gc
import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests import http3_min as h3

MAX_DATA = 24 << 20
MAX_STREAM_DATA = 16 << 20
CHUNK = bytes(1 << 16)
SERVER_NAME = "localhost"
IDLE_TIMEOUT = 300.0
# An Ethernet frame's payload without the headers of IPv4 and UDP.
ETHERNET = 1472
# Connections that are opened at the same time, at most.
AT_ONCE = 50
# Before memory is looked at for the first time: what a library keeps only once is there then.
FIRST_CONNECTIONS = 20
Figures = dict[str, float]
"""What a run tells: `seconds`, `processor` seconds, `memory` in bytes."""


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement."""

    work: str
    library: str
    host: str
    port: int
    ca_file: str
    size: int
    """Bytes of each body."""
    count: int = 1
    """Requests, handshakes or connections."""
    parallel: int = 1
    """Requests under way at once, open streams, or ranges that are out of order."""
    largest: int | None = ETHERNET
    """The largest datagrams that trioquic may send; None: what the interface carries."""
    early_data: bool = False
    """Resume sessions, and ask before their handshakes are complete."""
    alone: bool = False
    """Only trioquic's core, without a network: benchmarks/core.py."""

    @property
    def get(self) -> bytes:
        """A request whose answer has `size` bytes."""
        return h3.request(SERVER_NAME, f"/{self.size}")

    @property
    def post(self) -> bytes:
        """What precedes the `size` bytes of an upload, whose answer has two."""
        return h3.request(SERVER_NAME, "/2", post=True) + h3.data_header(self.size)

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Answer:
    """Counts the body of an answer as it comes, and complains if it was not the right one."""

    def __init__(self, size: int) -> None:
        self.expected = size
        self.parser = h3.ResponseParser()

    def feed(self, data: bytes) -> None:
        self.parser.feed(data)

    def check(self) -> None:
        self.parser.finish()
        if self.parser.status != 200:
            raise RuntimeError(f"the server answered {self.parser.status}")
        if self.parser.body_size != self.expected:
            raise RuntimeError(f"{self.parser.body_size} bytes came, not {self.expected}")


class TimedAnswer(Answer):
    """An answer that knows how long its first byte took from the making of this."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.start = time.perf_counter()
        self.first_byte: float | None = None

    def feed(self, data: bytes) -> None:
        if data and self.first_byte is None:
            self.first_byte = time.perf_counter() - self.start
        super().feed(data)


def first_byte_figures(answers: list[TimedAnswer]) -> Figures:
    """Of requests on connections of their own; that of the first one, which has to do what happens
    only once in a process, does not count."""
    for answer in answers:
        answer.check()
    times = [answer.first_byte for answer in answers[1:] if answer.first_byte is not None]
    return {"seconds": statistics.median(times)}


def check_answers(answers: list[bytes], task: Task) -> None:
    """All of `task.count` small answers came, each whole."""
    if len(answers) != task.count:
        raise RuntimeError(f"{len(answers)} answers came, not {task.count}")
    for data in answers:
        answer = Answer(task.size)
        answer.feed(data)
        answer.check()


class Watch:
    """Wall and processor time from its making to `figures`."""

    def __init__(self) -> None:
        self.wall = time.perf_counter()
        self.processor = time.process_time()

    def figures(self) -> Figures:
        wall = time.perf_counter() - self.wall
        return {"seconds": wall, "processor": time.process_time() - self.processor}


def resident() -> int:
    """Bytes of memory that this process occupies now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def read_task() -> Task:
    return Task(**json.loads(sys.argv[1]))


def tell(figures: Figures) -> None:
    print(json.dumps(figures), flush=True)
