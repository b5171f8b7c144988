"""0-RTT with real servers: taken, and sent again to one that cannot read it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

import trioquic
from tests import http3_min as h3
from tests.certificates import Certificates
from tests.programs import needs
from tests.servers import caddy, gtlsserver
from tests.sim_server import pattern
from trioquic import EarlyData
from trioquic.sessions import Record, SessionKey, TakenSession

from .exchange import Download, make_file
from .test_sessions import Attentive, aioquic_with_tickets

KINDS = [
    "aioquic",
    pytest.param("gtlsserver", marks=needs("gtlsserver")),
    pytest.param("caddy", marks=needs("caddy")),
]
SIZE = 2000


class AnyPort(Attentive):
    """A server that was started again would have its old port; these have ports of their own."""

    async def take(self, key: SessionKey) -> TakenSession:
        return await super().take(replace(key, port=0))

    async def keep(self, key: SessionKey, records: Sequence[Record]) -> None:
        await super().keep(replace(key, port=0), records)


class Site:
    """A server with ticket keys of its own, and how to ask it for something."""

    def __init__(self, kind: str, port: int, content: bytes) -> None:
        self.port = port
        self.alpn = "hq-interop" if kind == "aioquic" else "h3"
        self._content = content

    async def ask(self, conn: trioquic.Connection) -> bool:
        """One early request; whether the answer is right."""
        if self.alpn == "h3":
            answer = await Download(conn, f"file-{SIZE}", early_data=True).run()
            return answer == self._content
        stream = await conn.open_stream(early_data=True)
        await stream.send_all(f"GET {SIZE}\r\n".encode())
        await stream.send_eof()
        return b"".join([bytes(chunk) async for chunk in stream]) == pattern(SIZE)


@asynccontextmanager
async def site(kind: str, certs: Certificates, root: Path) -> AsyncIterator[Site]:
    content = make_file(root, SIZE)
    if kind == "aioquic":
        async with aioquic_with_tickets(certs) as server:
            yield Site(kind, server.port, content)
    else:
        make = gtlsserver if kind == "gtlsserver" else caddy
        async with make(certs.server, root=root) as program:
            yield Site(kind, program.port, content)


async def visit(there: Site, certs: Certificates, sessions: AnyPort) -> tuple[bool, EarlyData]:
    """40 requests at once, early if that is possible. Whether it resumed, and what came of it."""
    async with trioquic.open_connection(
        "127.0.0.1",
        there.port,
        alpn=[there.alpn],
        server_name="localhost",
        tls=trioquic.TLSConfig(ca_file=certs.ca_file),
        sessions=sessions,
        early_data=True,
    ) as conn:
        offered = conn.early_data is EarlyData.OFFERED
        assert conn.handshake_complete is not offered
        if there.alpn == "h3":
            control = await conn.open_send_stream(early_data=True)
            await control.send_all(h3.control_stream())
        right: list[bool] = []

        async def one() -> None:
            right.append(await there.ask(conn))

        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(one)
        assert right == [True] * 40
        with trio.fail_after(10):
            await sessions.has_kept()
        return conn.resumed, conn.early_data


@pytest.mark.parametrize("kind", KINDS)
async def test_forty_requests(kind: str, certs: Certificates, tmp_path: Path) -> None:
    """At first with nothing to resume, then early, then of a server that has other keys."""
    sessions = AnyPort()
    async with site(kind, certs, tmp_path) as there:
        assert await visit(there, certs, sessions) == (False, EarlyData.NONE)
        assert await visit(there, certs, sessions) == (True, EarlyData.ACCEPTED)
    async with site(kind, certs, tmp_path) as again:
        assert await visit(again, certs, sessions) == (False, EarlyData.REJECTED)
        assert await visit(again, certs, sessions) == (True, EarlyData.ACCEPTED)
