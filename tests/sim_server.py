"""The far side of the simulator's tests: aioquic's sans-IO server, driven by trio tasks.

It speaks over `trio.socket`, so it runs on a `SimulatedNetwork` (start it with
`await host.start(serve, ...)`) and over real sockets alike. Packets find their connection by
connection ID. Each listening address has a number, and aioquic is told `(host, port, number)` as
the peer's address: so every pair of addresses is a path of its own to it, and an answer leaves from
the address that it belongs to.

The protocol on a client's bidirectional stream, each request ended by FIN:

- `GET <n>\\r\\n`: n bytes of `pattern(n)`;
- `WAIT <seconds> <n>\\r\\n`: the same after a time of silence;
- `PUT\\r\\n<body>`: the SHA-256 of the body in hexadecimal;
- anything else: the stream is reset with error 1.

What arrives on a unidirectional stream is kept in `ServerConnection.uploads` as its SHA-256.
"""

import functools
import hashlib
import math
import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio
import trustme
from aioquic._buffer import Buffer
from aioquic.quic import events
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE, QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionId
from aioquic.quic.packet import (
    QuicFrameType,
    QuicHeader,
    QuicPacketType,
    QuicPreferredAddress,
    QuicTransportParameters,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
    pull_quic_transport_parameters,
    push_quic_transport_parameters,
)
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.retry import QuicRetryTokenHandler
from aioquic.tls import Epoch, NewSessionTicket, SessionTicket, push_new_session_ticket
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.sim_workers import Workers

PORT = 4433
NAME = "server.example"
REFUSED = 1

# aioquic asks for a timer at `sent + delay` and then looks whether `sent <= now - delay`, which
# rounding can deny for ever on a clock that stands still.
TICK = 1e-6

PeerAddress = tuple[str, int, int]
"""The peer's host and port, and the number of our listening address."""


@functools.cache
def pattern(size: int, seed: int = 0) -> bytes:
    """`size` bytes that look random and are the same each time."""
    block = b"".join(
        hashlib.sha256(f"{seed}/{number}".encode()).digest() for number in range(4096 // 32 + 1)
    )
    # 4128 bytes: a period that no power-of-two window or chunk divides hides no misplaced block.
    return (block * (size // len(block) + 1))[:size]


@dataclass(frozen=True)
class Credentials:
    """A certificate chain and key for a server, and the CA that vouches for it."""

    chain: tuple[x509.Certificate, ...]
    key: object
    ca_pem: bytes


@functools.cache
def credentials(*names: str) -> Credentials:
    """Credentials for these names and addresses; made once a process, as keys are slow."""
    authority = trustme.CA()
    leaf = authority.issue_cert(*(names or (NAME, "198.51.100.1", "2001:db8:1::1", "127.0.0.1")))
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return Credentials(
        chain=tuple(x509.load_pem_x509_certificates(chain)),
        key=serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None),
        ca_pem=authority.cert_pem.bytes(),
    )


@dataclass(kw_only=True)
class ServerOptions:
    """What a test may choose about the server."""

    alpn: tuple[str, ...] = ("hq-interop",)
    credentials: Credentials = field(default_factory=credentials)
    retry: bool = False
    preferred_ipv4: tuple[str, int] | None = None
    preferred_ipv6: tuple[str, int] | None = None
    disable_active_migration: bool = False
    idle_timeout: float = 60.0
    session_tickets: bool = False
    new_tokens: bool = False
    """Give a token for later connections with HANDSHAKE_DONE, and with `give_token`; with such a
    one there is no Retry."""
    workers: Workers | None = None
    """Who know only the connections that began with them; None: one knows all, and says nothing to
    strangers."""
    configure: Callable[[QuicConfiguration], None] = lambda _: None
    """May change anything in aioquic's configuration."""
    parameters: Callable[[QuicTransportParameters], None] = lambda _: None
    """May change any transport parameter before it is sent."""
    application: "Callable[[ServerConnection], Callable[[events.QuicEvent], None]] | None" = None
    """Makes what is told all events of a connection and answers in place of the protocol above."""

    def configuration(self) -> QuicConfiguration:
        configuration = QuicConfiguration(
            is_client=False,
            alpn_protocols=list(self.alpn),
            certificate=self.credentials.chain[0],
            certificate_chain=list(self.credentials.chain[1:]),
            private_key=self.credentials.key,
            idle_timeout=self.idle_timeout,
            verify_mode=ssl.CERT_NONE,
        )
        self.configure(configuration)
        return configuration


class _Quic(QuicConnection):
    """aioquic's connection with transport parameters that it cannot be configured to send."""

    def __init__(
        self,
        options: ServerOptions,
        configuration: QuicConfiguration,
        original: bytes,
        retry_source: bytes | None,
        tickets: dict[bytes, SessionTicket],
    ) -> None:
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=original,
            retry_source_connection_id=retry_source,
            session_ticket_handler=(
                (lambda ticket: tickets.__setitem__(ticket.ticket, ticket))
                if options.session_tickets
                else None
            ),
            session_ticket_fetcher=tickets.get if options.session_tickets else None,
        )
        self._options = options
        self.preferred_id: bytes | None = None
        self.tokens: list[bytes] = []
        if options.preferred_ipv4 is not None or options.preferred_ipv6 is not None:
            spare = QuicConnectionId(
                cid=os.urandom(configuration.connection_id_length),
                sequence_number=1,
                stateless_reset_token=os.urandom(16),
                was_sent=True,
            )
            self._host_cids.append(spare)
            self._host_cid_seq = 2
            self.preferred_id = spare.cid

    def _consume_peer_cid(self) -> None:
        """aioquic takes one for granted that is not held for another path. There may be none, when
        the client asks for old ones back."""
        if not self._peer_cid_available:
            held = next(path for path in self._network_paths if path.peer_cid is not None)
            assert held.peer_cid is not None
            self._peer_cid_available.append(held.peer_cid)
            held.peer_cid = None
        super()._consume_peer_cid()

    def _write_handshake_done_frame(self, builder: QuicPacketBuilder) -> None:
        super()._write_handshake_done_frame(builder)
        if self._options.new_tokens:
            self.tokens.append(os.urandom(16))
            frame = builder.start_frame(QuicFrameType.NEW_TOKEN, capacity=18)
            frame.push_uint_var(len(self.tokens[-1]))
            frame.push_bytes(self.tokens[-1])

    def _serialize_transport_parameters(self) -> bytes:
        plain = super()._serialize_transport_parameters()
        parameters = pull_quic_transport_parameters(Buffer(data=plain))
        if self.preferred_id is not None:
            spare = next(c for c in self._host_cids if c.cid == self.preferred_id)
            parameters.preferred_address = QuicPreferredAddress(
                ipv4_address=self._options.preferred_ipv4,
                ipv6_address=self._options.preferred_ipv6,
                connection_id=spare.cid,
                stateless_reset_token=spare.stateless_reset_token,
            )
        parameters.disable_active_migration = self._options.disable_active_migration
        self._options.parameters(parameters)
        buffer = Buffer(capacity=4096)
        push_quic_transport_parameters(buffer, parameters)
        return bytes(buffer.data)


class ServerConnection:
    """One connection: `quic` is aioquic's; after touching it call `flush`."""

    def __init__(self, server: "SimServer", quic: _Quic) -> None:
        self.server = server
        self.quic = quic
        self.first_packet: QuicHeader | None = None
        self.worker = 0
        self.lost = False
        """Whether the server was started anew meanwhile."""
        self.uploads: dict[int, str] = {}
        self.log: list[events.QuicEvent] = []
        self.terminated: events.ConnectionTerminated | None = None
        self.closed = trio.Event()
        make = server.options.application
        self._application = None if make is None else make(self)
        self._requests: dict[int, bytearray] = {}
        self._digests: dict[int, hashlib._Hash] = {}
        self._delayed: list[tuple[float, int, int]] = []
        self._sleep: trio.CancelScope | None = None
        self._dirty = False

    @property
    def peer(self) -> PeerAddress:
        """Where the connection sends to now."""
        address = self.quic.get_peer_address()
        assert address is not None
        host, port, number = address
        return host, port, number

    @property
    def tokens(self) -> list[bytes]:
        """The tokens for later connections that it gave."""
        return self.quic.tokens

    def give_token(self) -> None:
        """Give another token, from where the connection is now."""
        self.quic._handshake_done_pending = True
        self.flush()

    def give_ticket(self) -> None:
        """Give another ticket, from where the connection is now."""
        tls = self.quic.tls
        told = NewSessionTicket(
            ticket_lifetime=86400,
            ticket_age_add=int.from_bytes(os.urandom(4)),
            ticket_nonce=os.urandom(4),
            ticket=os.urandom(64),
        )
        push_new_session_ticket(self.quic._crypto_buffers[Epoch.ONE_RTT], told)
        self.quic._push_crypto_data()
        kept = tls._build_session_ticket(told, tls.handshake_extensions)
        self.server.tickets[kept.ticket] = kept
        self.flush()

    @property
    def closing(self) -> bool:
        """Whether aioquic has reported the end."""
        return self.terminated is not None

    def takes(self, stream_id: int) -> bool:
        """Whether the stream still takes data.

        What the peer has stopped takes none, and aioquic raises; it knows of it before it tells.
        """
        stream = self.quic._streams.get(stream_id)
        return stream is not None and stream.sender._reset_error_code is None

    def flush(self) -> None:
        """Let what was done to `quic` take effect."""
        self._dirty = True
        if self._sleep is not None:
            self._sleep.cancel()

    async def run(self) -> None:
        """Timers, events and sending, until the connection is over."""
        while not (self.closing or self.lost):
            self._dirty = False
            now = trio.current_time()
            timer = self.quic.get_timer()
            if timer is not None and timer <= now:
                self.quic.handle_timer(now)
            self._answer_delayed(now)
            self._take_events()
            for data, address in self.quic.datagrams_to_send(now):
                await self.server.send(data, address)
            if not (self._dirty or self.closing or self.lost):
                with trio.CancelScope(deadline=self._next_deadline()) as self._sleep:
                    await trio.sleep_forever()
                self._sleep = None
        self.closed.set()

    def _next_deadline(self) -> float:
        timer = self.quic.get_timer()
        if timer is not None:
            # Its pacer may ask for this very instant again and again; a clock that jumps would
            # then never move.
            timer = max(timer, trio.current_time() + 0.0005)
        return min(math.inf if timer is None else timer, *(d[0] for d in self._delayed), math.inf)

    def _answer_delayed(self, now: float) -> None:
        for entry in [d for d in self._delayed if d[0] <= now]:
            self._delayed.remove(entry)
            self._finish(entry[1], pattern(entry[2]))

    def _take_events(self) -> None:
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, events.ConnectionIdIssued):
                self.server.connections_by_id[event.connection_id] = self
            elif isinstance(event, events.ConnectionIdRetired):
                self.server.connections_by_id.pop(event.connection_id, None)
            elif isinstance(event, events.ConnectionTerminated):
                self.terminated = event
                self.server.forget(self)
            elif isinstance(event, events.StreamDataReceived) and self._application is None:
                self._on_data(event.stream_id, event.data, event.end_stream)
            if not isinstance(event, events.StreamDataReceived):
                self.log.append(event)
            if self._application is not None:
                self._application(event)

    def _on_data(self, stream_id: int, data: bytes, end: bool) -> None:
        if stream_id % 4 == 2:
            digest = self._digests.setdefault(stream_id, hashlib.sha256())
            digest.update(data)
            if end:
                self.uploads[stream_id] = digest.hexdigest()
            return
        if stream_id not in self._digests:
            request = self._requests.setdefault(stream_id, bytearray())
            request += data
            if request.startswith(b"PUT\r\n"):
                digest = self._digests[stream_id] = hashlib.sha256()
                data = bytes(self._requests.pop(stream_id)[5:])
            elif end:
                self._answer(stream_id, bytes(self._requests.pop(stream_id)))
        if stream_id in self._digests:
            self._digests[stream_id].update(data)
            if end:
                answer = self._digests.pop(stream_id).hexdigest().encode()
                self._finish(stream_id, answer)

    def _answer(self, stream_id: int, request: bytes) -> None:
        match request.split():
            case [b"GET", size]:
                self._finish(stream_id, pattern(int(size)))
            case [b"WAIT", seconds, size]:
                due = trio.current_time() + float(seconds)
                self._delayed.append((due, stream_id, int(size)))
            case _ if self.takes(stream_id):
                self.quic.reset_stream(stream_id, REFUSED)

    def _finish(self, stream_id: int, content: bytes) -> None:
        if self.takes(stream_id):
            self.quic.send_stream_data(stream_id, content, end_stream=True)


class SimServer:
    """Listens on one or more addresses and keeps the connections."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.configuration = options.configuration()
        self.connections: list[ServerConnection] = []
        """Every connection there ever was, oldest first."""
        self.connections_by_id: dict[bytes, ServerConnection] = {}
        self.tickets: dict[bytes, SessionTicket] = {}
        """What resumes a session, with `ServerOptions.session_tickets`."""
        self.sockets: list[trio.socket.SocketType] = []
        self.retries_sent = 0
        self._tokens = QuicRetryTokenHandler() if options.retry else None

    @property
    def port(self) -> int:
        """The port of the first listening address."""
        port: int = self.sockets[0].getsockname()[1]
        return port

    async def send(self, data: bytes, address: PeerAddress) -> None:
        """Send from the listening address that the peer's address names; errors are dropped."""
        host, port, number = address
        sock = self.sockets[number]
        target = (host, port, 0, 0) if ":" in host else (host, port)
        try:
            await sock.sendto(data, target)
        except OSError:
            await trio.lowlevel.checkpoint()

    def forget(self, connection: ServerConnection) -> None:
        for key in [k for k, c in self.connections_by_id.items() if c is connection]:
            del self.connections_by_id[key]

    def restart(self) -> None:
        """Forget every connection, as a server does that is killed and started again."""
        for connection in self.connections:
            connection.lost = True
            self.forget(connection)
            connection.flush()

    def _known(self, connection_id: bytes, peer: PeerAddress) -> ServerConnection | None:
        """The connection of an ID, if who gets the packet knows it."""
        connection = self.connections_by_id.get(connection_id)
        if connection is None or connection.worker == self._worker_of(peer):
            return connection
        return None

    def _worker_of(self, peer: PeerAddress) -> int:
        workers = self.options.workers
        return 0 if workers is None else workers.of(peer[0], peer[1])

    async def _answer_stranger(self, data: bytes, peer: PeerAddress) -> None:
        workers = self.options.workers
        if workers is None:
            return
        given = [i for connection in self.connections for i in connection.quic._host_cids]
        answer = workers.answer(data, given)
        if answer is not None:
            await self.send(answer, peer)

    async def listen(self, nursery: trio.Nursery, number: int) -> None:
        """Receive on one address."""
        sock = self.sockets[number]
        while True:
            try:
                data, source = await sock.recvfrom(65_535)
            except OSError:
                continue
            await self._receive(nursery, data, (source[0], source[1], number))

    async def _receive(self, nursery: trio.Nursery, data: bytes, peer: PeerAddress) -> None:
        buffer = Buffer(data=data)
        try:
            header = pull_quic_header(
                buffer, host_cid_length=self.configuration.connection_id_length
            )
        except ValueError:
            return
        supported = self.configuration.supported_versions
        if header.packet_type == QuicPacketType.VERSION_NEGOTIATION:
            return
        if header.version is not None and header.version not in supported:
            answer = encode_quic_version_negotiation(
                source_cid=header.destination_cid,
                destination_cid=header.source_cid,
                supported_versions=supported,
            )
            await self.send(answer, peer)
            return
        connection = self._known(header.destination_cid, peer)
        if connection is None:
            if header.packet_type == QuicPacketType.ONE_RTT:
                await self._answer_stranger(data, peer)
            if header.packet_type != QuicPacketType.INITIAL:
                return
            if len(data) < SMALLEST_MAX_DATAGRAM_SIZE:
                return
            connection = await self._accept(nursery, header, peer)
            if connection is None:
                return
        workers = self.options.workers
        if workers is not None and workers.ignores(connection.quic, data, peer):
            return
        connection.quic.receive_datagram(data, peer, trio.current_time())
        connection.flush()

    async def _accept(
        self, nursery: trio.Nursery, header: QuicHeader, peer: PeerAddress
    ) -> ServerConnection | None:
        """A new connection, or None when the client was sent a Retry, or comes with a bad token."""
        destination = original = header.destination_cid
        retry_source = None
        if self._tokens is not None and not self._has_given(header.token):
            if not header.token:
                await self._send_retry(self._tokens, header, peer)
                return None
            try:
                original = self._tokens.validate_token(
                    address=peer,
                    destination_cid=destination,
                    token=header.token,
                    now=trio.current_time(),
                )
            except ValueError:
                return None
            retry_source = destination
        quic = _Quic(self.options, self.configuration, original, retry_source, self.tickets)
        connection = ServerConnection(self, quic)
        connection.first_packet = header
        connection.worker = self._worker_of(peer)
        self.connections.append(connection)
        self.connections_by_id[destination] = connection
        self.connections_by_id[quic.host_cid] = connection
        if quic.preferred_id is not None:
            self.connections_by_id[quic.preferred_id] = connection
        nursery.start_soon(connection.run)
        return connection

    def _has_given(self, token: bytes) -> bool:
        """Whether this is a token of NEW_TOKEN, which proves an address as well as a Retry's."""
        return any(token in connection.tokens for connection in self.connections)

    async def _send_retry(
        self, tokens: QuicRetryTokenHandler, header: QuicHeader, peer: PeerAddress
    ) -> None:
        assert header.version is not None
        retry_source = os.urandom(8)
        token = tokens.create_token(
            address=peer,
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=retry_source,
            now=trio.current_time(),
        )
        answer = encode_quic_retry(
            version=header.version,
            source_cid=retry_source,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=token,
        )
        self.retries_sent += 1
        await self.send(answer, peer)


async def serve(
    addresses: Sequence[str],
    port: int = PORT,
    options: ServerOptions | None = None,
    task_status: trio.TaskStatus[SimServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a server on these addresses until cancelled; port 0 takes a free one for each."""
    server = SimServer(options or ServerOptions())
    try:
        for address in addresses:
            family = trio.socket.AF_INET6 if ":" in address else trio.socket.AF_INET
            sock = trio.socket.socket(family, trio.socket.SOCK_DGRAM)
            server.sockets.append(sock)
            await sock.bind((address, port))
        async with trio.open_nursery() as nursery:
            for number in range(len(server.sockets)):
                nursery.start_soon(server.listen, nursery, number)
            task_status.started(server)
    finally:
        for sock in server.sockets:
            sock.close()
