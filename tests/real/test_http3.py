"""HTTP/3 with three servers on real sockets: gtlsserver, caddy, and aioquic's."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import trioquic
from tests.certificates import Certificates
from tests.http3.world import Application
from tests.programs import needs
from tests.servers import caddy, gtlsserver
from tests.sim_server import Credentials, ServerOptions, SimServer, pattern, serve
from trioquic import http3

from .exchange import make_file

SERVERS = (
    pytest.param("gtlsserver", marks=needs("gtlsserver")),
    pytest.param("caddy", marks=needs("caddy")),
)
MEGABYTE = 1_000_000


@asynccontextmanager
async def http_to(
    host: str, port: int, certs: Certificates
) -> AsyncIterator[http3.HTTP3Connection]:
    async with trioquic.open_connection(
        host,
        port,
        alpn=["h3"],
        server_name="localhost",
        tls=trioquic.TLSConfig(ca_file=certs.ca_file),
    ) as quic:
        async with http3.open_http3(quic) as http:
            yield http


@asynccontextmanager
async def connected(
    kind: str, certs: Certificates, root: Path
) -> AsyncIterator[tuple[http3.HTTP3Connection, str]]:
    """A connection to the server of that name, and the URL of its root."""
    make = gtlsserver if kind == "gtlsserver" else caddy
    async with make(certs.server, root=root) as server:
        async with http_to(server.host, server.port, certs) as http:
            yield http, f"https://localhost:{server.port}"


@pytest.mark.parametrize("kind", SERVERS)
async def test_files_arrive_as_they_are(kind: str, certs: Certificates, tmp_path: Path) -> None:
    files = {size: make_file(tmp_path, size) for size in (1, 65_537, 3_000_001)}
    async with connected(kind, certs, tmp_path) as (http, url):
        for size, content in files.items():
            async with http.request("GET", f"{url}/file-{size}") as response:
                assert response.status == 200
                assert await response.read() == content
        async with http.request("HEAD", f"{url}/file-3000001") as response:
            assert dict(response.headers)[b"content-length"] == b"3000001"
            assert await response.read() == b""
        async with http.request("GET", f"{url}/nothing") as response:
            assert response.status == 404


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_hundred_requests_at_once(kind: str, certs: Certificates, tmp_path: Path) -> None:
    content = make_file(tmp_path, 20_000)
    done = 0

    async with connected(kind, certs, tmp_path) as (http, url):

        async def get() -> None:
            nonlocal done
            async with http.request("GET", f"{url}/file-20000") as response:
                assert await response.read() == content
            done += 1

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(get)
    assert done == 100


def resident() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@needs("gtlsserver")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
async def test_memory_does_not_grow_with_the_content(certs: Certificates, tmp_path: Path) -> None:
    size = 100 * MEGABYTE
    most = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal most
        piece = bytes(100_000)
        for _ in range(size // len(piece)):
            yield piece
            most = max(most, resident())

    async with connected("gtlsserver", certs, tmp_path) as (http, url):
        # windows and buffers grow to their size in the first seconds
        async with http.request("GET", f"{url}/{size // 2}") as response:
            async for _ in response:
                continue
        start = resident()
        taken = 0
        async with http.request("GET", f"{url}/{size}") as response:
            async for piece in response:
                taken += len(piece)
                most = max(most, resident())
        assert taken == size
        request = await http.open_request("POST", "https", url.partition("://")[2], "/10")
        async for piece in pieces():
            await request.send_data(piece)
        await request.send_eof()
        assert (await request.receive_response()).status == 200
    assert most - start < size / 5


async def test_aioquic(certs: Certificates) -> None:
    identity = certs.server
    options = ServerOptions(
        alpn=("h3",),
        application=Application,
        credentials=Credentials(
            chain=tuple(identity.chain),
            key=load_pem_private_key(identity.key_file.read_bytes(), None),
            ca_pem=certs.ca_data,
        ),
    )
    async with trio.open_nursery() as nursery:
        server: SimServer = await nursery.start(partial(serve, ["127.0.0.1"], 0, options))
        async with http_to("127.0.0.1", server.port, certs) as http:
            url = f"https://localhost:{server.port}"
            async with http.request("GET", f"{url}/bytes/{MEGABYTE}") as response:
                assert await response.read() == pattern(MEGABYTE)
            content = pattern(MEGABYTE, seed=2)
            async with http.request("PUT", f"{url}/digest", content=content) as response:
                assert await response.read() == hashlib.sha256(content).hexdigest().encode()
        nursery.cancel_scope.cancel()
