"""What real servers give for the next connection, and what it then spares."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import trioquic
from tests.certificates import Certificates
from tests.programs import needs
from tests.servers import Server, caddy, gtlsserver
from tests.sim_server import Credentials, ServerOptions, SimServer, serve
from trioquic.sessions import Record, SessionKey, SessionStore

from .exchange import Download, connect, make_file


async def fetch(server: Server, sessions: SessionStore, **more: Any) -> bool:
    """Get a file over a new connection, and tell whether the server wanted a Retry."""
    async with connect(server, "h3", sessions=sessions, **more) as conn:
        await conn.wait_handshake_confirmed()
        await Download(conn, "file-2000").run()
        return conn.peer.retry


@needs("gtlsserver")
async def test_a_token_spares_the_retry(certs: Certificates, tmp_path: Path) -> None:
    make_file(tmp_path, 2000)
    kept = tmp_path / "sessions.json"
    async with gtlsserver(certs.server, root=tmp_path, retry=True) as server:
        assert await fetch(server, trioquic.FileSessions(kept))
        # another program, so to speak: nothing but the file is left of the first one
        assert not await fetch(server, trioquic.FileSessions(kept))
        # the second connection has brought a token of its own
        assert not await fetch(server, trioquic.FileSessions(kept))
        assert await fetch(server, trioquic.MemorySessions())


@needs("gtlsserver")
async def test_a_token_serves_its_server_and_trust_only(
    certs: Certificates, tmp_path: Path
) -> None:
    make_file(tmp_path, 2000)
    sessions = trioquic.MemorySessions()
    async with (
        gtlsserver(certs.server, root=tmp_path, retry=True) as server,
        gtlsserver(certs.server, root=tmp_path, retry=True) as other,
    ):
        assert await fetch(server, sessions)
        assert await fetch(other, sessions)
        careless = trioquic.TLSConfig(verify=False)
        assert await fetch(server, sessions, tls=careless)
        assert await fetch(server, sessions, tls=careless, server_name="127.0.0.1")
        assert await fetch(server, sessions, local="127.0.0.2")
        assert not await fetch(server, sessions)
        assert not await fetch(other, sessions)


@asynccontextmanager
async def aioquic_with_tickets(certs: Certificates) -> AsyncIterator[SimServer]:
    """aioquic's server on a real socket; it remembers the tickets that it gives."""
    identity = certs.server
    key = load_pem_private_key(identity.key_file.read_bytes(), None)
    options = ServerOptions(
        alpn=("hq-interop",),
        credentials=Credentials(chain=tuple(identity.chain), key=key, ca_pem=certs.ca_data),
        session_tickets=True,
    )
    async with trio.open_nursery() as nursery:
        yield await nursery.start(partial(serve, ["127.0.0.1"], 0, options))
        nursery.cancel_scope.cancel()


class Attentive(trioquic.MemorySessions):
    """Tells when something was kept."""

    def __init__(self) -> None:
        super().__init__()
        self._news = trio.Event()

    async def keep(self, key: SessionKey, records: Sequence[Record]) -> None:
        await super().keep(key, records)
        self._news.set()

    async def has_kept(self) -> None:
        """Wait until something was, since the last call."""
        await self._news.wait()
        self._news = trio.Event()


async def dial(
    host: str, port: int, alpn: str, certs: Certificates, sessions: Attentive
) -> tuple[bool, tuple[bytes, ...]]:
    """Connect, wait for tickets; whether the session was resumed, and the certificates."""
    async with trioquic.open_connection(
        host,
        port,
        alpn=[alpn],
        server_name="localhost",
        tls=trioquic.TLSConfig(ca_file=certs.ca_file),
        sessions=sessions,
    ) as conn:
        await conn.wait_handshake_confirmed()
        with trio.fail_after(10):
            await sessions.has_kept()
        return conn.resumed, conn.peer_certificates


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(gtlsserver, marks=needs("gtlsserver")),
        pytest.param(caddy, marks=needs("caddy")),
    ],
)
async def test_a_session_is_resumed(make: Callable[..., Any], certs: Certificates) -> None:
    sessions = Attentive()
    async with make(certs.server) as server:
        first, chain = await dial(server.host, server.port, "h3", certs, sessions)
        assert not first
        for _ in range(2):
            assert await dial(server.host, server.port, "h3", certs, sessions) == (True, chain)


async def test_a_session_is_resumed_with_aioquic(certs: Certificates) -> None:
    sessions = Attentive()
    async with aioquic_with_tickets(certs) as server:
        outcomes = [
            (await dial("127.0.0.1", server.port, "hq-interop", certs, sessions))[0]
            for _ in range(3)
        ]
        assert outcomes == [False, True, True]
        # the server has forgotten everything: a full handshake, and new tickets
        server.tickets.clear()
        assert not (await dial("127.0.0.1", server.port, "hq-interop", certs, sessions))[0]
        assert (await dial("127.0.0.1", server.port, "hq-interop", certs, sessions))[0]
