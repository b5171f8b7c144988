"""What both clients do, so that they differ in nothing but the library.

A client is `python -m benchmarks.with_LIBRARY`, a process of its own, and prints one line of JSON:
the seconds from the request to the last byte of the answer, without imports and handshake, and the
processor seconds of the same stretch. The messages are prepared bytes (tests/http3_min.py), so that
no library pays for an HTTP layer.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

from tests import http3_min as h3

MAX_DATA = 24 << 20
MAX_STREAM_DATA = 16 << 20
CHUNK = bytes(1 << 16)
SERVER_NAME = "localhost"
HQ_ALPN = "hq-interop"


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement."""

    direction: str
    host: str
    port: int
    ca_file: Path
    size: int
    alpn: str

    @property
    def opening(self) -> bytes | None:
        """What goes onto a unidirectional stream first, if anything."""
        return h3.control_stream() if self.alpn == h3.ALPN else None

    @property
    def request(self) -> bytes:
        """What goes onto the request stream; an upload is followed by `size` bytes."""
        if self.alpn == HQ_ALPN:
            return f"GET /{self.size}\r\n".encode() if self.direction == "download" else b"SINK\r\n"
        if self.direction == "download":
            return h3.request(SERVER_NAME, f"/{self.size}")
        return h3.request(SERVER_NAME, "/2", post=True) + h3.data_header(self.size)


class Answer:
    """Counts the body of the answer and checks at the end that the exchange was right."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.parser = h3.ResponseParser() if task.alpn == h3.ALPN else None
        self.body = bytearray()
        self.size = 0

    def feed(self, data: bytes) -> None:
        if self.parser is not None:
            data = self.parser.feed(data)
        self.size += len(data)
        if self.task.direction == "upload":
            self.body += data

    def check(self) -> None:
        if self.parser is not None:
            self.parser.finish()
            if self.parser.status != 200:
                raise RuntimeError(f"the server answered {self.parser.status}")
        if self.task.direction == "download" and self.size != self.task.size:
            raise RuntimeError(f"{self.size} bytes came, not {self.task.size}")
        if self.task.alpn == HQ_ALPN and self.task.direction == "upload":
            arrived = int(self.body.split()[0])
            if arrived != self.task.size:
                raise RuntimeError(f"{arrived} bytes arrived, not {self.task.size}")


class Watch:
    """Wall and processor time from its making to `stop`."""

    def __init__(self) -> None:
        self.wall = time.perf_counter()
        self.processor = time.process_time()

    def stop(self) -> None:
        wall = time.perf_counter() - self.wall
        processor = time.process_time() - self.processor
        print(json.dumps({"seconds": wall, "processor": processor}), flush=True)


def parse_task() -> Task:
    parser = argparse.ArgumentParser()
    parser.add_argument("direction", choices=["download", "upload"])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("ca_file", type=Path)
    parser.add_argument("size", type=int)
    parser.add_argument("alpn", choices=[h3.ALPN, HQ_ALPN])
    options = parser.parse_args()
    return Task(**vars(options))
