"""Datagrams of an outsider, joined by the kernel (UDP_GRO), from the address of a real server.

Who is on the way may send from any address. Here the server is behind a relay of the test, which
sends what it likes beside what it passes on.
"""

import dataclasses
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

import trioquic
from tests.certificates import Certificates
from tests.servers import Server, aioquic_server
from trioquic._runtime.sockets import native_socket
from trioquic._runtime.sockets.native_socket import NativeSocket
from trioquic._runtime.sockets.sockets import Received

from .exchange import HQ, Download, connect

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's socket options")
# around a reset, a whole sample and a full packet; below 8 bytes there is not even an ID
SIZES = (1, 2, 6, 7, 8, 9, 13, 20, 21, 22, 27, 28, 29, 30, 64, 1200)
CIPHERS = ("TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256")


class Relay:
    """Between a client and a server."""

    def __init__(self, front: trio.socket.SocketType, back: trio.socket.SocketType) -> None:
        self._front = front
        self._back = back
        self._client: tuple[str, int] | None = None

    async def outward(self) -> None:
        while True:
            data, self._client = await self._front.recvfrom(65536)
            await self._back.send(data)

    async def inward(self) -> None:
        while True:
            data = await self._back.recv(65536)
            assert self._client is not None
            await self._front.sendto(data, self._client)

    async def inject(self, data: bytes, size: int) -> None:
        """Send datagrams of a size and the rest as what the kernel need not even join."""
        option = (17, native_socket._UDP_SEGMENT, struct.pack("=H", size))
        await self._front.sendmsg([data], [option], 0, self._client)


@asynccontextmanager
async def relayed(server: Server) -> AsyncIterator[tuple[Server, Relay]]:
    """The server as it is seen through a relay."""
    with (
        trio.socket.socket(type=trio.socket.SOCK_DGRAM) as front,
        trio.socket.socket(type=trio.socket.SOCK_DGRAM) as back,
    ):
        await front.bind((server.host, 0))
        await back.connect((server.host, server.port))
        relay = Relay(front, back)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay.outward)
            nursery.start_soon(relay.inward)
            yield dataclasses.replace(server, port=front.getsockname()[1]), relay
            nursery.cancel_scope.cancel()


def dropped(conn: trioquic.Connection) -> int:
    now = conn.statistics()
    return now.dropped_malformed + now.dropped_unknown_id + now.dropped_unauthentic


@pytest.mark.parametrize("sees", [False, True], ids=["blind", "sees our ID"])
@pytest.mark.parametrize("cipher", CIPHERS)
async def test_43_the_connection_answers_after_joined_datagrams(
    certs: Certificates, cipher: str, sees: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[tuple[int, int]] = []
    genuine = NativeSocket.receive_nowait

    def receive_nowait(sock: NativeSocket) -> Received | None:
        received = genuine(sock)
        if received is not None:
            joined.append((len(received.data), received.segment_size))
        return received

    monkeypatch.setattr(NativeSocket, "receive_nowait", receive_nowait)
    tls = trioquic.TLSConfig(ca_file=certs.ca_file, cipher_suites=[cipher])
    async with (
        aioquic_server(certs.server) as server,
        relayed(server) as (front, relay),
        connect(front, HQ, tls=tls) as conn,
    ):
        assert len(await Download(conn, "100000").run()) == 100_000
        expected = dropped(conn)
        header = b"\x41" + (conn._driver.core.source_id if sees else b"")
        for size in SIZES:
            for last in sorted({1, 7, 8, 20, 21, 28, 29, size} & set(range(1, size + 1))):
                junk = (header + bytes(size))[:size]
                data = junk * 8 + junk[:last]
                await relay.inject(data, size)
                expected += 9
                with trio.fail_after(5):
                    while dropped(conn) < expected:
                        await trio.testing.wait_all_tasks_blocked(0.001)
                assert dropped(conn) == expected
        assert (8 * 20 + 20, 20) in joined, "they came as one batch"
        assert len(await Download(conn, "100000").run()) == 100_000
