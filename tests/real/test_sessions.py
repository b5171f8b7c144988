"""What real servers give for the next connection, and what it then spares."""

from pathlib import Path
from typing import Any

import trioquic
from tests.certificates import Certificates
from tests.programs import needs
from tests.servers import Server, gtlsserver
from trioquic.sessions import SessionStore

from .exchange import Download, connect, make_file


async def fetch(server: Server, sessions: SessionStore, **more: Any) -> bool:
    """Get a file over a new connection, and tell whether the server wanted a Retry."""
    async with connect(server, "h3", sessions=sessions, **more) as conn:
        await conn.wait_confirmed()
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
        assert await fetch(server, sessions, local_address="127.0.0.2")
        assert not await fetch(server, sessions)
        assert not await fetch(other, sessions)
