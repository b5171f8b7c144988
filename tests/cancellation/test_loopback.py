"""The same over real sockets: file descriptors instead of simulated sockets, and real time."""

import gc
import hashlib
import os
import socket
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

import trioquic
from tests.runtime.world import ALPN, get
from tests.sim_server import NAME, SimServer, credentials, pattern, serve
from trioquic._protocol.sending.outgoing import Batch
from trioquic._runtime.sockets.binding import bind_socket, connect_socket
from trioquic._runtime.sockets.native_socket import NativeSocket
from trioquic._runtime.sockets.sockets import Remote

from .harness import BY_HAND, CLOSED, Cut, PlantedError, all_tasks, sweep
from .test_life import missed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc/self/fd")

TLS = trioquic.TLSConfig(ca_data=credentials().ca_pem)
TRANSPORT = trioquic.TransportConfig(send_buffer=1500)
UPLOAD = pattern(4000)


def descriptors() -> set[str]:
    """The open files of this process."""
    return set(os.listdir("/proc/self/fd"))


@asynccontextmanager
async def loopback_server() -> AsyncIterator[SimServer]:
    async with trio.open_nursery() as nursery:
        yield await nursery.start(serve, ["127.0.0.1"], 0)
        nursery.cancel_scope.cancel()


async def life(port: int) -> None:
    """A connect, a transfer, a migration and a close."""
    async with trioquic.open_connection(
        "localhost",
        port,
        alpn=[ALPN],
        server_name=NAME,
        tls=TLS,
        transport=TRANSPORT,
        migration=BY_HAND,
    ) as conn:
        assert await get(conn, 3000) == pattern(3000)
        stream = await conn.open_stream()
        await stream.send_all(b"PUT\r\n" + UPLOAD)
        await conn.migrate(local="127.0.0.2")
        await stream.send_eof()
        assert await stream.receive_some() == hashlib.sha256(UPLOAD).hexdigest().encode()
        out = await conn.open_send_stream()
        await out.send_all(UPLOAD[:1000])
        await out.aclose()


async def test_cancelled_at_every_moment() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with loopback_server() as server:
            files = descriptors()

            async def case(cut: Cut) -> None:
                tasks = {t for t in all_tasks() if t.name.startswith("trioquic.")}
                with cut:
                    await life(server.port)
                # A name resolver that was left alone may have a file of its own open for a while,
                # and not at once: one look that finds none is enough, a second one may meet it.
                for _ in range(1000):
                    if descriptors() == files:
                        break
                    await trio.sleep(0.005)
                else:
                    pytest.fail(f"open files {descriptors()}, before {files}")
                assert {t for t in all_tasks() if t.name.startswith("trioquic.")} == tasks

            places = await sweep(case, least=50, every=1)
            for connection in server.connections:
                with trio.fail_after(10):
                    await connection.closed.wait()
                assert connection.terminated is not None
                assert connection.terminated.error_code in CLOSED
            assert len(server.connections) > 40
        del connection
        gc.collect()
    assert [w for w in caught if issubclass(w.category, ResourceWarning)] == []
    left_out = [where for where in missed(places) if where.startswith("native_socket.py")]
    assert [where.partition("await ")[2] for where in left_out] == [
        # closed between two waits
        "self.check_open()",
        "self.check_open()",
        # many errors in a row
        "trio.sleep(PAUSE)",
        # a full socket: below
        "trio.lowlevel.wait_writable(self._sock)",
        # another device has the name of the one before (tests/lab/test_device_again.py)
        "self.check_open()",
        "self.check_open()",
    ]


async def test_an_exception_in_the_block() -> None:
    async with loopback_server() as server:
        files = descriptors()
        for kind in (PlantedError, KeyboardInterrupt):
            planted = kind("planted")
            with pytest.raises(kind) as caught:
                async with trioquic.open_connection(
                    "127.0.0.1", server.port, alpn=[ALPN], server_name=NAME, tls=TLS
                ):
                    raise planted
            assert caught.value is planted
            assert descriptors() == files


async def test_the_last_datagram_of_a_full_socket() -> None:
    """A batch that was sent in part and then given up must not swallow the next one's bytes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        bound = await bind_socket(
            socket.AF_INET,
            interface=None,
            local=None,
            local_port=0,
            networks=trioquic.system_networks(),
        )
        remote = Remote(socket.AF_INET, peer.getsockname())
        sock = await connect_socket(bound, remote, None, networks=trioquic.system_networks())
        assert isinstance(sock, NativeSocket)
        sent: list[bytes] = []

        class Small:
            """Takes one datagram, and then no more for a while."""

            free = 1

            def fileno(self) -> int:
                return plain.fileno()

            def send(self, data: bytes) -> int:
                if not self.free:
                    raise BlockingIOError
                self.free -= 1
                sent.append(data)
                return len(data)

        plain = sock._sock
        small = Small()
        sock._segmentation = False
        sock._sock = small  # type: ignore[assignment]
        try:
            with trio.CancelScope() as scope:
                scope.cancel()
                await sock.send(Batch(b"aabbcc", 2, 0))
            assert scope.cancelled_caught
            small.free = 9
            assert sock.send_nowait(Batch(b"end", 3, 0))
            assert sent == [b"aa", b"end"]
        finally:
            sock._sock = plain
            sock.close()
