"""Random lives: the pure core against aioquic in memory, with accidents and commands at random.

A seed decides everything: the windows of both sides, loss, delay and cuts of every path, and what
the application and the server do at each moment. `Life.run` lets that go on for a few seconds,
heals the network and demands that everything asked for arrives, byte for byte. On the way the
core's books are compared with what they count, and a client that spins fails.
"""

import heapq
import math
import random
from dataclasses import dataclass, field

from aioquic.quic import events as aioquic_events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from tests.peer.certificates import WALL_TIME
from tests.sim_server import NAME, pattern
from tests.simulation.chance import credentials, fingerprint, seeded_randomness
from trioquic._protocol import events as ev
from trioquic._protocol.config import CoreConfig
from trioquic._protocol.connection import ClientConnection
from trioquic._protocol.errors import CommandError
from trioquic._protocol.path.refusal import PathRefusedError
from trioquic._protocol.recovery.sent import OUTSTANDING
from trioquic._protocol.streams.config import StreamConfig
from trioquic._protocol.tls.config import TlsClientConfig
from trioquic._protocol.tls.verify import FingerprintVerification

REMOTE = ("198.51.100.1", 4433)
SIZES = (0, 1, 500, 20_000, 100_000)
MOST_TURNS = 300  # timer and datagrams at one instant of simulated time
STALL = 25.0  # seconds of a healed network without any progress


@dataclass
class Transfer:
    """Bytes of one direction of a stream, and how far they got."""

    data: bytes
    done: int = 0
    over: bool = False


@dataclass
class Weather:
    """What the links do to datagrams."""

    loss: float = 0.0
    delay: float = 0.02
    jitter: float = 0.0
    duplicates: float = 0.0
    cut: set[int] = field(default_factory=set)


class Life:
    """One connection from its first datagram to the last byte."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        choose = self.random.choice
        self.now = 1000.0
        self.weather = Weather(
            loss=choose((0.0, 0.02, 0.1, 0.3)),
            delay=choose((0.005, 0.05, 0.2)),
            jitter=choose((0.0, 0.01, 0.1)),
            duplicates=choose((0.0, 0.05)),
        )
        self.uploads: dict[int, Transfer] = {}
        self.downloads: dict[int, Transfer] = {}
        self.arrived: dict[int, bytearray] = {}
        self.terminated: ev.Terminated | None = None
        self.users_of_id: dict[bytes, int] = {}
        self.paths = 1
        self._heap: list[tuple[float, int, bool, int, bytes]] = []
        self._sequence = 0
        self._turns = 0
        streams = StreamConfig(
            initial_max_data=choose((3000, 20_000, 1 << 21)),
            initial_max_stream_data=choose((2000, 1 << 20)),
            send_buffer=choose((3000, 1 << 20)),
        )
        tls = TlsClientConfig(
            server_name=NAME, alpn=("life",), verification=FingerprintVerification(fingerprint())
        )
        self.client = ClientConnection(
            CoreConfig(tls=tls, streams=streams, idle_timeout=60.0),
            rng=random.Random(-seed).randbytes,
            wall_time=WALL_TIME.timestamp(),
            now=self.now,
        )
        self.client.start(("192.0.2.1", 5000), REMOTE)
        identity = credentials(0)
        self.configuration = QuicConfiguration(
            is_client=False,
            alpn_protocols=["life"],
            certificate=identity.chain[0],
            private_key=identity.key,
            max_data=choose((4000, 1 << 20)),
            max_stream_data=choose((4000, 1 << 20)),
        )
        self.server: QuicConnection | None = None

    # -- the network -------------------------------------------------------------------------------

    def _put(self, to_client: bool, path: int, data: bytes) -> None:
        weather = self.weather
        if path in weather.cut or self.random.random() < weather.loss:
            return
        for _ in range(1 + (self.random.random() < weather.duplicates)):
            self._sequence += 1
            at = self.now + weather.delay + self.random.random() * weather.jitter
            heapq.heappush(self._heap, (at, self._sequence, to_client, path, data))

    def _flush(self) -> None:
        for path in self.client.live_paths():
            while (batch := self.client.transmit(path, self.now)) is not None:
                size = batch.segment_size
                for start in range(0, len(batch.data), size):
                    datagram = batch.data[start : start + size]
                    self._check_datagram(path, datagram)
                    self._put(False, path, datagram)
        while (event := self.client.next_event()) is not None:
            if isinstance(event, ev.Terminated):
                self.terminated = event
        if self.server is not None:
            for datagram, address in self.server.datagrams_to_send(self.now):
                self._put(True, address[1], datagram)
            self._take_server_events(self.server)

    def _check_datagram(self, path: int, datagram: bytes) -> None:
        # what an interface of 1500 bytes can send over IPv4
        assert len(datagram) <= 1472
        if datagram[0] & 0x80:
            # RFC 9000 section 14.1
            assert datagram[0] >> 4 & 3 or len(datagram) == 1200
        else:
            # section 9.5: an ID of the server's (they have 8 bytes) is used on one path only
            assert self.users_of_id.setdefault(datagram[1:9], path) == path

    def _take_server_events(self, server: QuicConnection) -> None:
        while (event := server.next_event()) is not None:
            if isinstance(event, aioquic_events.StreamDataReceived):
                self.arrived.setdefault(event.stream_id, bytearray()).extend(event.data)
                answer = self.downloads.get(event.stream_id)
                if event.end_stream and answer is not None:
                    server.send_stream_data(event.stream_id, answer.data, end_stream=True)

    def step(self, until: float) -> None:
        """Everything due goes out; then time goes on to whatever comes next."""
        self._flush()
        deadline = self.client.next_deadline(self.now)
        timer = self.server.get_timer() if self.server is not None else None
        # aioquic's pacer may ask for this very instant again and again
        alarm = math.inf if timer is None else max(timer, self.now + 1e-4)
        arrival = self._heap[0][0] if self._heap else math.inf
        at = min(deadline, arrival, alarm, until)
        self._turns = 0 if at > self.now else self._turns + 1
        assert self._turns < MOST_TURNS, f"the client turns idly, deadline {deadline - self.now}"
        self.now = max(self.now, at)
        if arrival <= self.now:
            self._deliver(*heapq.heappop(self._heap)[2:])
        elif deadline <= self.now:
            self.client.handle_deadline(self.now)
        elif alarm <= self.now and self.server is not None:
            self.server.handle_timer(self.now + 1e-6)
        self._check_books()

    def _deliver(self, to_client: bool, path: int, data: bytes) -> None:
        if to_client:
            self.client.receive(path, data, len(data), 0, self.now)
            return
        if self.server is None:
            self.server = QuicConnection(
                configuration=self.configuration,
                original_destination_connection_id=data[6 : 6 + data[5]],
            )
        self.server.receive_datagram(data, ("192.0.2.1", path), self.now)

    def _check_books(self) -> None:
        for path in self.client._parts.loss._paths.values():
            waiting = [p for f in path.in_flight for p in f.queue if p.state == OUTSTANDING]
            assert path.bytes_in_flight == sum(p.size for p in waiting if p.in_flight)
            eliciting = sum(f.eliciting for f in path.in_flight)
            assert eliciting == sum(p.ack_eliciting for p in waiting)
        window = self.client.streams._window
        assert window.consumed <= window.received <= window.limit

    # -- the application and the server ------------------------------------------------------------

    def _open(self) -> None:
        number = self.client.streams.open(self.random.random() < 0.7)
        if number < 0:
            return
        self.uploads[number] = Transfer(pattern(self.random.choice(SIZES), number))
        if not number & 2:
            self.downloads[number] = Transfer(pattern(self.random.choice(SIZES), -number))
        self.client.streams.set_priority(
            number, self.random.randrange(8), self.random.random() < 0.5
        )

    def work(self) -> None:
        """Write and read whatever is possible."""
        streams = self.client.streams
        for number, upload in self.uploads.items():
            if not upload.over:
                rest = upload.data[upload.done :]
                upload.done += streams.write(number, rest)
                if upload.done == len(upload.data):
                    streams.finish(number)
                    upload.over = True
        for number, download in self.downloads.items():
            if download.over:
                continue
            while data := streams.read(number, 50_000, self.now, self.client.rtt):
                assert download.data.startswith(data, download.done)
                download.done += len(data)
            download.over = streams.at_end(number)

    def command(self) -> None:
        """Something that an application, a policy or the network may do at any time."""
        client, choose = self.client, self.random.choice
        path = choose(client.live_paths() or [0])
        match choose("open open add validate migrate leap stop abandon keys ping calm cut".split()):
            case "open":
                self._open()
            case "add":
                self._add_path()
            case "validate":
                client.validate(path, self.now)
            case "migrate":
                client.migrate(path, self.now)
            case "leap":
                client.migrate(path, self.now, unvalidated=True)
            case "stop":
                client.stop_validation(path)
            case "abandon" if len(client.live_paths()) > 1:
                client.abandon(path, self.now)
            case "keys":
                client.update_keys()
            case "ping":
                client.ping()
            case "calm":
                self.weather.cut.clear()
            case "cut":
                self.weather.cut.add(path)

    def _add_path(self) -> int:
        self.paths += 1
        path = self.client.add_path((f"192.0.2.{self.paths}", 5000), REMOTE)
        self.client.validate(path, self.now)
        return path

    # -- a life ------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        end = at = self.now
        end += seconds
        while self.now < end and self.terminated is None:
            self.step(at)
            if self.now >= at:
                try:
                    self.command()
                except CommandError:
                    pass  # refused, as it may be
                if self.random.random() < 0.7:
                    self.work()
                at = self.now + self.random.expovariate(20.0)
        self.weather = Weather(delay=self.weather.delay)
        progress, since = self._progress(), self.now
        while not self.finished:
            assert self.terminated is None, self.terminated
            if self.client.active_path < 0 and not self._find_path():
                return
            self.step(self.now + 0.5)
            self.work()
            if progress != (progress := self._progress()):
                since = self.now
            assert self.now < since + STALL, f"nothing goes on any more: {progress}"

    def _find_path(self) -> bool:
        """The only path was abandoned: take another, if the server has left us an ID for it."""
        try:
            path = (self.client.live_paths() or [-1])[0]
            path = self._add_path() if path < 0 else path
            self.client.migrate(path, self.now, unvalidated=True)
        except PathRefusedError:
            return False
        return True

    def _progress(self) -> tuple[int, ...]:
        return (
            self.client.handshake_confirmed,
            sum(t.done for t in self.uploads.values()),
            sum(t.done for t in self.downloads.values()),
            sum(len(data) for data in self.arrived.values()),
        )

    @property
    def finished(self) -> bool:
        """Everything has arrived, and is known to have arrived."""
        streams = self.client.streams
        return (
            self.client.handshake_confirmed
            and all(t.over and streams.all_acked(n) for n, t in self.uploads.items())
            and all(t.over for t in self.downloads.values())
        )


def live(seed: int, seconds: float = 4.0) -> Life:
    """Play a seed to its end."""
    with seeded_randomness(f"life {seed}"):
        life = Life(seed)
        life.run(seconds)
    for number, upload in life.uploads.items():
        if life.finished:
            assert life.arrived.get(number, b"") == upload.data
    return life
