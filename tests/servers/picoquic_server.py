"""A file server on picoquic, run by the Python that has it (picoquic.py).

    python tests/servers/picoquic_server.py --certificate C --key K --root FOLDER --port 4433

ALPN is hq-interop: `GET /name` is answered with the file, and with a reset if there is none;
`SINK` and a line's end, with the number of bytes that follow and their SHA-256. It listens on all
addresses. Without multipath, as here, picoquic sends to whatever path was validated last, also if
the client has only probed it.
"""

# The project's own environment lacks the package.
# mypy: ignore-errors

import argparse
import asyncio
import hashlib
from pathlib import Path

from aiopquic.asyncio import serve
from aiopquic.asyncio.protocol import QuicConnectionProtocol
from aiopquic.quic.configuration import QuicConfiguration
from aiopquic.quic.events import StreamDataReceived

NOT_FOUND = 0x404
PIECE = 64 * 1024


class FileServer(QuicConnectionProtocol):
    """One connection. A task for each request: it waits while picoquic has enough to send."""

    root = Path()

    def __init__(self, *arguments, **more) -> None:
        super().__init__(*arguments, **more)
        self.requests: dict[int, bytearray] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def quic_event_received(self, event) -> None:
        if isinstance(event, StreamDataReceived) and event.stream_id % 4 == 0:
            request = self.requests.setdefault(event.stream_id, bytearray())
            request += event.data
            if event.end_stream:
                del self.requests[event.stream_id]
                task = asyncio.get_running_loop().create_task(self.answer(event.stream_id, request))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def answer(self, stream_id: int, request: bytearray) -> None:
        command, _, content = request.partition(b"\r\n")
        if command == b"SINK":
            found = f"{len(content)} {hashlib.sha256(content).hexdigest()}"
            await self._quic.send_stream_data_drained(stream_id, found.encode(), True)
            return
        verb, _, name = request.decode("latin-1").strip().partition(" ")
        path = self.root / name.strip("/")
        if verb != "GET" or path.parent != self.root or not path.is_file():
            self._quic.reset_stream(stream_id, NOT_FOUND)
            return
        content = path.read_bytes()
        for at in range(0, len(content), PIECE):
            piece, last = content[at : at + PIECE], at + PIECE >= len(content)
            await self._quic.send_stream_data_drained(stream_id, piece, last)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--retry", action="store_true")
    options = parser.parse_args()
    FileServer.root = options.root
    configuration = QuicConfiguration(
        is_client=False,
        alpn_protocols=["hq-interop"],
        certificate_file=options.certificate,
        private_key_file=options.key,
        congestion_control_algorithm="cubic",
    )
    await serve(
        "",
        options.port,
        configuration=configuration,
        create_protocol=FileServer,
        retry=options.retry,
    )
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
