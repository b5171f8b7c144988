"""aioquic's client on the simulated network, so that the far side and the network are tested
without trioquic."""

import trio
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from tests.sim_server import NAME, PORT, TICK, ServerOptions
from tests.sim_world import SERVER, World


class Client:
    """One connection over one socket at a time."""

    def __init__(self, world: World, options: ServerOptions) -> None:
        self.world = world
        self.quic = QuicConnection(
            configuration=QuicConfiguration(
                alpn_protocols=list(options.alpn),
                cadata=options.credentials.ca_pem,
                server_name=NAME,
            )
        )
        self.received: dict[int, bytearray] = {}
        self.finished: set[int] = set()
        self.reset: set[int] = set()
        self.handshake_at: float | None = None
        self.terminated: events.ConnectionTerminated | None = None
        self.remote = (SERVER, PORT)
        self._sock: trio.socket.SocketType | None = None

    async def start(self, address: str) -> None:
        """Send the first flight from this local address."""
        await self.move(address)
        self.quic.connect(self.remote, now=trio.current_time())

    async def move(self, address: str) -> None:
        """Go on from another local address, whose route decides the interface."""
        if self._sock is not None:
            self._sock.close()
        with self.world.phone.as_current():
            self._sock = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        await self._sock.bind((address, 0))
        await self._sock.connect(self.remote)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()

    async def step(self) -> None:
        """Send what is to be sent, then take one datagram or timer."""
        assert self._sock is not None
        for data, _ in self.quic.datagrams_to_send(trio.current_time()):
            await self._sock.send(data)
        timer = self.quic.get_timer()
        assert timer is not None
        with trio.move_on_at(timer + TICK):
            data = await self._sock.recv(65_535)
            self.quic.receive_datagram(data, self.remote, trio.current_time())
        if trio.current_time() >= timer:
            self.quic.handle_timer(trio.current_time())
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, events.HandshakeCompleted):
                self.handshake_at = trio.current_time()
            elif isinstance(event, events.StreamDataReceived):
                self.received.setdefault(event.stream_id, bytearray()).extend(event.data)
                if event.end_stream:
                    self.finished.add(event.stream_id)
            elif isinstance(event, events.StreamReset):
                self.reset.add(event.stream_id)
            elif isinstance(event, events.ConnectionTerminated):
                self.terminated = event

    async def handshake(self) -> None:
        while self.handshake_at is None:
            assert self.terminated is None, self.terminated
            await self.step()

    async def ask(self, request: bytes) -> bytes:
        """The answer to one request on a stream of its own."""
        stream_id = self.send(request)
        while stream_id not in self.finished:
            assert self.terminated is None, self.terminated
            await self.step()
        return bytes(self.received.get(stream_id, b""))

    def send(self, request: bytes, *, unidirectional: bool = False) -> int:
        stream_id = self.quic.get_next_available_stream_id(is_unidirectional=unidirectional)
        self.quic.send_stream_data(stream_id, request, end_stream=True)
        return stream_id
