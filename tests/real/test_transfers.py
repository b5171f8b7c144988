"""Transfers with real servers: many sizes, many streams, key updates, ends."""

import hashlib
from pathlib import Path

import pytest
import trio

import trioquic
from tests.certificates import Certificates
from tests.servers import aioquic_server
from trioquic._protocol.path.mtu import LARGEST

from .exchange import HQ, SERVERS, Download, alpn_of, connect, make_file, serve, upload

MEGABYTE = 1_000_000
SMALL_WINDOWS = trioquic.TransportConfig(initial_max_data=32_768, initial_max_stream_data=16_384)


@pytest.mark.parametrize("kind", SERVERS)
async def test_2_3_and_5_megabytes_with_small_windows(
    certs: Certificates, kind: str, tmp_path: Path
) -> None:
    """Three downloads at once; windows of a few packets have to grow for them to end in time."""
    contents = {n: make_file(tmp_path, n * MEGABYTE, seed=n) for n in (2, 3, 5)}
    got: dict[int, bytes] = {}
    async with (
        serve(kind, certs.server, root=tmp_path) as server,
        connect(server, alpn_of(kind), transport=SMALL_WINDOWS) as conn,
    ):

        async def fetch(n: int) -> None:
            got[n] = await Download(conn, f"file-{n * MEGABYTE}").run()

        async with trio.open_nursery() as nursery:
            for n in contents:
                nursery.start_soon(fetch, n)
    assert got == contents


@pytest.mark.parametrize("kind", SERVERS)
async def test_an_upload_in_datagrams_as_large_as_they_get(
    certs: Certificates, kind: str, tmp_path: Path
) -> None:
    """Loopback carries 65,536 bytes; both servers take what we make of that. What comes down in
    between is as it ever was."""
    content = make_file(tmp_path, MEGABYTE)
    async with (
        serve(kind, certs.server, root=tmp_path) as server,
        connect(server, alpn_of(kind)) as conn,
    ):
        for _ in range(5):
            assert await upload(conn, content)
            assert await Download(conn, f"file-{MEGABYTE}").run() == content
        assert conn.active_path is not None
        statistics = conn.active_path.statistics()
        assert statistics.mtu == LARGEST
        assert statistics.socket_errors == 0


@pytest.mark.parametrize("kind", SERVERS)
async def test_2000_small_streams(certs: Certificates, kind: str, tmp_path: Path) -> None:
    """More than the server allows at once: each waits for the credit of those before it."""
    content = make_file(tmp_path, 32)
    done = 0
    async with (
        serve(kind, certs.server, root=tmp_path) as server,
        connect(server, alpn_of(kind)) as conn,
    ):
        limit = trio.CapacityLimiter(200)

        async def fetch() -> None:
            nonlocal done
            async with limit:
                assert await Download(conn, "file-32").run() == content
            done += 1

        async with trio.open_nursery() as nursery:
            for _ in range(2000):
                nursery.start_soon(fetch)
    assert done == 2000


async def test_upload(certs: Certificates) -> None:
    data = bytes(range(256)) * 20_000
    async with (
        aioquic_server(certs.server) as server,
        connect(server, HQ) as conn,
        await conn.open_stream() as stream,
    ):
        await stream.send_all(b"SINK\r\n")
        await stream.send_all(data)
        await stream.send_eof()
        answer = b"".join([bytes(chunk) async for chunk in stream]).decode()
    assert answer == f"{len(data)} {hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("kind", SERVERS)
async def test_key_updates_by_the_client(certs: Certificates, kind: str, tmp_path: Path) -> None:
    content = make_file(tmp_path, MEGABYTE)
    async with (
        serve(kind, certs.server, root=tmp_path) as server,
        connect(server, alpn_of(kind)) as conn,
    ):
        await conn.wait_handshake_confirmed()
        updates = 0
        while updates < 3:
            download = Download(conn, f"file-{MEGABYTE}")
            started = False
            async for _ in download.pieces():
                # refused while the keys before the last update are still kept, for 3 PTO
                if not started and conn.update_keys():
                    started = True
                    updates += 1
            assert download.content == content
        assert conn.statistics().key_updates == updates


async def test_key_updates_by_the_server(certs: Certificates) -> None:
    async with aioquic_server(certs.server) as server, connect(server, HQ) as conn:
        for number in (1, 2, 3):
            async with await conn.open_stream() as stream:
                await stream.send_all(b"UPDATE\r\n")
                await stream.send_eof()
                assert b"".join([bytes(chunk) async for chunk in stream]) == b"updated"
            assert conn.statistics().key_updates == number
            # The server may update again only when its last update was acknowledged.
            await Download(conn, "100000").run()


async def test_server_closes(certs: Certificates) -> None:
    async with aioquic_server(certs.server) as server, connect(server, HQ) as conn:
        waiting = await conn.open_stream()
        await waiting.send_all(b"ECHO\r\n")
        stream = await conn.open_stream()
        await stream.send_all(b"CLOSE 77 enough\r\n")
        with pytest.raises(trioquic.PeerClosedError) as caught:
            await waiting.receive_some()
        assert (caught.value.code, caught.value.reason) == (77, "enough")
        assert caught.value.frame_type is None
        with pytest.raises(trioquic.PeerClosedError):
            await conn.open_stream()


async def send_for_ever(stream: trioquic.Stream) -> None:
    while True:
        await stream.send_all(bytes(65_536))


async def test_server_resets_and_stops(certs: Certificates) -> None:
    async with aioquic_server(certs.server) as server, connect(server, HQ) as conn:
        stream = await conn.open_stream()
        await stream.send_all(b"RESET 5\r\n")
        with pytest.raises(trioquic.StreamResetError) as reset:
            await stream.receive_some()
        assert reset.value.error_code == 5
        stream = await conn.open_stream()
        await stream.send_all(b"STOP 6\r\n")
        with pytest.raises(trioquic.StopSendingError) as stopped:
            await send_for_ever(stream)
        assert stopped.value.error_code == 6


@pytest.mark.parametrize("kind", ["uni", "bidi"])
async def test_server_opens_streams(certs: Certificates, kind: str) -> None:
    async with aioquic_server(certs.server) as server, connect(server, HQ) as conn:
        stream = await conn.open_stream()
        await stream.send_all(f"OPEN {kind} 70000\r\n".encode())
        incoming = await conn.accept_stream()
        assert isinstance(incoming, trioquic.Stream) == (kind == "bidi")
        content = b"".join([bytes(chunk) async for chunk in incoming])
    assert content == bytes(n % 251 for n in range(70_000))
