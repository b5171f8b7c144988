"""One way to ask either server for a file, so that a test can run against both.

aioquic's server speaks hq-interop, a line per stream; gtlsserver and caddy speak HTTP/3, of which
tests/http3_min.py has as much as a GET needs.
"""

import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import trioquic
from tests import http3_min as h3
from tests.certificates import Certificates, Identity
from tests.programs import needs
from tests.servers import Server, aioquic_server, gtlsserver

HQ = "hq-interop"
SERVERS = ("aioquic", pytest.param("gtlsserver", marks=needs("gtlsserver")))


def make_file(root: Path, size: int, seed: int = 1) -> bytes:
    """A file of that many bytes, named by the number, that no server can make up."""
    content = random.Random(seed).randbytes(size)
    (root / f"file-{size}").write_bytes(content)
    return content


def serve(kind: str, identity: Identity, **options: Any) -> AbstractAsyncContextManager[Server]:
    """The server of that name."""
    if kind == "aioquic":
        return aioquic_server(identity, **options)
    return gtlsserver(identity, **options)


@asynccontextmanager
async def connect(
    server: Server, alpn: str, *, tls: trioquic.TLSConfig | None = None, **options: Any
) -> AsyncIterator[trioquic.Connection]:
    """A connection to a test server, whose certificate names localhost."""
    async with trioquic.open_connection(
        server.host,
        server.port,
        alpn=[alpn],
        server_name=options.pop("server_name", "localhost"),
        tls=tls or trioquic.TLSConfig(ca_file=server.ca_file),
        **options,
    ) as conn:
        if alpn == h3.ALPN:
            control = await conn.open_send_stream()
            await control.send_all(h3.control_stream())
        yield conn


def alpn_of(kind: str) -> str:
    """What a server of that name speaks."""
    return HQ if kind == "aioquic" else h3.ALPN


class Download:
    """One GET, read piece by piece."""

    def __init__(self, conn: trioquic.Connection, name: str, *, early_data: bool = False) -> None:
        self._conn = conn
        self._name = name
        self._early_data = early_data
        self._parser = h3.ResponseParser() if conn.alpn == h3.ALPN else None
        self.content = bytearray()

    async def run(self) -> bytes:
        """All of it."""
        async for _ in self.pieces():
            continue
        return bytes(self.content)

    async def pieces(self) -> AsyncIterator[int]:
        """Yields how much has come so far, after each piece."""
        stream = await self._conn.open_stream(early_data=self._early_data)
        if self._parser is None:
            await stream.send_all(f"GET /{self._name}\r\n".encode())
        else:
            await stream.send_all(h3.request("localhost", f"/{self._name}"))
        with suppress(trioquic.StopSendingError):
            # RFC 9114 section 4.1: the answer may be there before the end of the question
            await stream.send_eof()
        async for chunk in stream:
            self.content += chunk if self._parser is None else self._parser.feed(bytes(chunk))
            yield len(self.content)
        if self._parser is not None:
            self._parser.finish()
            assert self._parser.status == 200


async def upload(conn: trioquic.Connection, content: bytes) -> bool:
    """Send it; whether the server has it. Of gtlsserver nothing but the status can be known."""
    stream = await conn.open_stream()
    if conn.alpn == HQ:
        await stream.send_all(b"SINK\r\n" + content)
        await stream.send_eof()
        answer = b"".join([bytes(chunk) async for chunk in stream]).decode()
        return answer == f"{len(content)} {hashlib.sha256(content).hexdigest()}"
    await stream.send_all(h3.request("localhost", "/2", post=True) + h3.data_header(len(content)))
    await stream.send_all(content)
    await stream.send_eof()
    parser = h3.ResponseParser()
    async for chunk in stream:
        parser.feed(bytes(chunk))
    parser.finish()
    return parser.status == 200


async def check_handshake(certs: Certificates, kind: str, **tls: Any) -> tuple[str, str | None]:
    """Connect with these TLS settings, get a small file, return (cipher suite, group)."""
    root = certs.directory
    content = make_file(root, 10_000)
    async with (
        serve(kind, certs.server, root=root) as server,
        connect(
            server, alpn_of(kind), tls=trioquic.TLSConfig(ca_file=certs.ca_file, **tls)
        ) as conn,
    ):
        assert await Download(conn, "file-10000").run() == content
        return conn.cipher_suite, conn.group
