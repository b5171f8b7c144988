"""A small hq-interop server on aioquic, for the demo, the tests and the benchmark.

    python examples/hq_server.py --certificate cert.pem --key key.pem --root DIR --port 4433

It prints `listening on HOST PORT` when it does. Every client-initiated bidirectional stream starts
with one command line that ends in CRLF or with the end of the stream:

    GET /12345        12345 bytes of a pattern: byte n is n mod 251
    GET /NAME         the file NAME of --root; the stream is reset with code 404 without one
    WAIT SECONDS N    as GET /N, after that time
    ECHO              everything that follows, sent back
    SINK              reads to the end, then answers with the number of bytes and their SHA-256
    JOIN NAME         two streams that give the same name become the two ends of one pipe
    OPEN uni|bidi N   the server opens a stream and sends N bytes of the pattern on it
    RESET CODE        answers with RESET_STREAM
    STOP CODE         answers with STOP_SENDING
    CLOSE CODE TEXT   the server closes the connection (CONNECTION_CLOSE, type 0x1d)
    UPDATE            the server starts a key update and then answers `updated`
    ADDRESS           answers with the client's address and port, as the server sees it now

trioquic has no server; this one is aioquic's, with commands.
"""

import argparse
import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import (
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)
from aioquic.tls import CipherSuite, SessionTicket

PERIOD = 251
PATTERN = bytes(range(PERIOD)) * 1000
NOT_FOUND = 404
BAD_COMMAND = 400
# A command may come in pieces, but not without end.
MAX_COMMAND = 4096


def pattern(size: int) -> bytes:
    """The first `size` bytes of 0, 1, ... 250, 0, 1, ..."""
    repetitions, rest = divmod(size, len(PATTERN))
    return PATTERN * repetitions + PATTERN[:rest]


class Handler:
    """What becomes of a stream after its command line."""

    def __init__(self, server: "HqServer", stream_id: int) -> None:
        self.server = server
        self.stream_id = stream_id

    def feed(self, data: bytes, end: bool) -> None:
        """More of the client's bytes; the default ignores them."""


class Echo(Handler):
    def feed(self, data: bytes, end: bool) -> None:
        self.server.send(self.stream_id, data, end)


class Sink(Handler):
    def __init__(self, server: "HqServer", stream_id: int) -> None:
        super().__init__(server, stream_id)
        self.size = 0
        self.digest = hashlib.sha256()

    def feed(self, data: bytes, end: bool) -> None:
        self.size += len(data)
        self.digest.update(data)
        if end:
            self.server.send(
                self.stream_id, f"{self.size} {self.digest.hexdigest()}".encode(), True
            )


class Joint(Handler):
    """One end of a pipe between two streams. What comes before the other end is there is kept."""

    waiting: "dict[str, Joint]" = {}  # noqa: RUF012 - shared by all connections on purpose

    def __init__(self, server: "HqServer", stream_id: int, name: str) -> None:
        super().__init__(server, stream_id)
        self.kept: list[tuple[bytes, bool]] = []
        self.other: Joint | None = Joint.waiting.pop(name, None)
        if self.other is None:
            Joint.waiting[name] = self
        else:
            self.other.other = self
            for data, end in self.other.kept:
                self.server.send(self.stream_id, data, end)

    def feed(self, data: bytes, end: bool) -> None:
        if self.other is None:
            self.kept.append((data, end))
        else:
            self.other.server.send(self.other.stream_id, data, end)


class HqServer(QuicConnectionProtocol):
    """The server's side of one connection."""

    def __init__(self, *args: object, root: Path | None, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.root = root
        self.commands: dict[int, bytes] = {}
        self.handlers: dict[int, Handler] = {}

    def send(self, stream_id: int, data: bytes, end: bool) -> None:
        self._quic.send_stream_data(stream_id, data, end)
        self.transmit()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamDataReceived):
            self.on_data(event.stream_id, event.data, event.end_stream)
        elif isinstance(event, StreamReset | StopSendingReceived):
            handler = self.handlers.pop(event.stream_id, None)
            if isinstance(handler, Joint) and handler.other is not None:
                other = handler.other
                if isinstance(event, StreamReset):
                    other.server._quic.reset_stream(other.stream_id, event.error_code)
                else:
                    other.server._quic.stop_stream(other.stream_id, event.error_code)
                other.server.transmit()

    def on_data(self, stream_id: int, data: bytes, end: bool) -> None:
        handler = self.handlers.get(stream_id)
        if handler is None:
            data = self.commands.pop(stream_id, b"") + data
            line, separator, data = data.partition(b"\r\n")
            if not separator and not end and len(line) <= MAX_COMMAND:
                self.commands[stream_id] = line
                return
            handler = self.handlers[stream_id] = self.execute(stream_id, line.decode().split(" "))
        handler.feed(data, end)
        if end:
            self.handlers.pop(stream_id, None)

    def execute(self, stream_id: int, words: list[str]) -> Handler:
        """Carry out one command line; what it returns gets the bytes that follow."""
        if words[0] == "ECHO":
            return Echo(self, stream_id)
        if words[0] == "SINK":
            return Sink(self, stream_id)
        if words[0] == "JOIN":
            return Joint(self, stream_id, words[1])
        simple: dict[str, Callable[[int, list[str]], None]] = {
            "GET": self.get,
            "WAIT": self.wait,
            "OPEN": self.open,
            "RESET": lambda stream, args: self._quic.reset_stream(stream, int(args[0])),
            "STOP": lambda stream, args: self._quic.stop_stream(stream, int(args[0])),
            "CLOSE": lambda _, args: self.close(int(args[0]), " ".join(args[1:])),
            "UPDATE": self.update,
            "ADDRESS": self.address,
        }
        command = simple.get(words[0])
        if command is None:
            self._quic.reset_stream(stream_id, BAD_COMMAND)
        else:
            command(stream_id, words[1:])
        self.transmit()
        return Handler(self, stream_id)

    def get(self, stream_id: int, args: list[str]) -> None:
        name = args[0].lstrip("/")
        path = self.root / name if self.root and ".." not in name else None
        if path is not None and path.is_file():
            self.send(stream_id, path.read_bytes(), True)
        elif name.isdecimal():
            self.send(stream_id, pattern(int(name)), True)
        else:
            self._quic.reset_stream(stream_id, NOT_FOUND)

    def wait(self, stream_id: int, args: list[str]) -> None:
        delay, size = float(args[0]), int(args[1])
        loop = asyncio.get_running_loop()
        loop.call_later(delay, self.send, stream_id, pattern(size), True)

    def open(self, _: int, args: list[str]) -> None:
        ours = self._quic.get_next_available_stream_id(is_unidirectional=args[0] == "uni")
        if args[0] != "uni":
            self.handlers[ours] = Handler(self, ours)
        self.send(ours, pattern(int(args[1])), True)

    def update(self, stream_id: int, _: list[str]) -> None:
        self._quic.request_key_update()
        self.send(stream_id, b"updated", True)

    def address(self, stream_id: int, _: list[str]) -> None:
        host, port = self._quic._network_paths[0].addr[:2]
        self.send(stream_id, f"{host} {port}".encode(), True)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--root", type=Path, help="the folder that GET reads")
    parser.add_argument("--alpn", action="append", help="may be given several times")
    parser.add_argument("--retry", action="store_true", help="validate addresses with Retry")
    parser.add_argument("--tickets", action="store_true", help="give session tickets, take 0-RTT")
    parser.add_argument("--cipher", action="append", choices=[s.name for s in CipherSuite])
    parser.add_argument("--max-data", type=int, default=4 << 20)
    parser.add_argument("--max-stream-data", type=int, default=4 << 20)
    parser.add_argument("--datagram-size", type=int, default=1200)
    parser.add_argument("--idle-timeout", type=float, default=60.0)
    return parser.parse_args(arguments)


async def main(options: argparse.Namespace) -> None:
    configuration = QuicConfiguration(
        alpn_protocols=options.alpn or ["hq-interop"],
        is_client=False,
        max_data=options.max_data,
        max_stream_data=options.max_stream_data,
        max_datagram_size=options.datagram_size,
        idle_timeout=options.idle_timeout,
    )
    if options.cipher:
        configuration.cipher_suites = [CipherSuite[name] for name in options.cipher]
    configuration.load_cert_chain(options.certificate, options.key)

    def create(*args: object, **kwargs: object) -> HqServer:
        return HqServer(*args, root=options.root, **kwargs)

    tickets: dict[bytes, SessionTicket] = {}

    def keep(ticket: SessionTicket) -> None:
        tickets[ticket.ticket] = ticket

    server = await serve(
        options.host,
        options.port,
        configuration=configuration,
        create_protocol=create,
        retry=options.retry,
        session_ticket_handler=keep if options.tickets else None,
        # each only once: whoever records early data cannot send it again
        session_ticket_fetcher=lambda label: tickets.pop(label, None),
    )
    assert server._transport is not None
    host, port = server._transport.get_extra_info("sockname")[:2]
    print(f"listening on {host} {port}", flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    try:
        asyncio.run(main(parse()))
    except KeyboardInterrupt:
        pass
