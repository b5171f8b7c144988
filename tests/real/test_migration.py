"""Changing the path under real downloads: ten times, with the old path cut, and where forbidden."""

from pathlib import Path

import pytest

import trioquic
from tests.certificates import Certificates
from tests.http3_min import ALPN
from tests.programs import needs
from tests.servers import caddy

from .exchange import HQ, SERVERS, Download, alpn_of, connect, make_file, serve

MEGABYTE = 1_000_000


@pytest.mark.parametrize("kind", SERVERS)
async def test_ten_migrations_in_one_download(
    certs: Certificates, kind: str, tmp_path: Path
) -> None:
    """A new socket and a new connection ID each time; at the end nothing is left of the old."""
    content = make_file(tmp_path, 22 * MEGABYTE)
    moves = 0
    async with (
        serve(kind, certs.server, root=tmp_path) as server,
        connect(server, alpn_of(kind), local="127.0.0.1") as conn,
        conn.path_events() as events,
    ):
        await conn.wait_handshake_confirmed()
        spare = conn.statistics().spare_peer_ids
        download = Download(conn, f"file-{len(content)}")
        async for size in download.pieces():
            if moves < 10 and size > (moves + 1) * 2 * MEGABYTE:
                path = await conn.migrate(local=f"127.0.0.{2 + moves % 3}")
                assert conn.active_path is path
                moves += 1
        assert download.content == content
        assert moves == 10

        migrated: list[trioquic.Migrated] = []
        closed = 0
        while len(migrated) < 10 or closed < 10:
            event = await events.receive()
            if isinstance(event, trioquic.Migrated):
                migrated.append(event)
            elif isinstance(event, trioquic.PathClosed):
                closed += 1
        assert all(event.cause for event in migrated)
        assert len(conn.paths) == 1
        # Every retired ID was replaced, which takes a round trip after the last path was closed.
        while conn.statistics().retiring_peer_ids or conn.statistics().spare_peer_ids < spare:
            conn.ping()
            await Download(conn, f"file-{make_small(tmp_path)}").run()
        assert conn.statistics().dropped_unauthentic == 0


@pytest.mark.parametrize("kind", SERVERS)
async def test_paths_that_come_and_go_unused(
    certs: Certificates, kind: str, tmp_path: Path
) -> None:
    """Such as a standby network that flaps. aioquic keeps our connection ID of each such path,
    gtlsserver retires it; either has one left to answer the next path with."""
    content = make_file(tmp_path, MEGABYTE)
    async with (
        serve(kind, certs.server, root=tmp_path) as server,
        connect(server, alpn_of(kind), local="127.0.0.1") as conn,
    ):
        await conn.wait_handshake_confirmed()
        for number in range(20):
            path = await conn.add_path(local=f"127.0.0.{2 + number % 3}")
            assert await path.validate() > 0
            await path.aclose()
            if number % 7 == 6:
                await conn.migrate(local=f"127.0.0.{5 + number % 3}")
        assert await Download(conn, f"file-{len(content)}").run() == content
        assert conn.statistics().dropped_unauthentic == 0


def make_small(root: Path) -> int:
    make_file(root, 1000)
    return 1000


@needs("caddy")
async def test_migration_is_refused_where_the_server_forbids_it(
    certs: Certificates, tmp_path: Path
) -> None:
    """Caddy sends disable_active_migration; the connection goes on where it is."""
    content = make_file(tmp_path, MEGABYTE)
    async with (
        caddy(certs.server, root=tmp_path) as server,
        connect(server, ALPN, local="127.0.0.1") as conn,
        conn.path_events() as events,
    ):
        with pytest.raises(trioquic.MigrationNotAllowedError, match="disable_active_migration"):
            await conn.migrate(local="127.0.0.2")
        assert isinstance(await events.receive(), trioquic.MigrationRefused)
        assert len(conn.paths) == 1
        assert await Download(conn, f"file-{len(content)}").run() == content


async def test_paths_step_by_step(certs: Certificates, tmp_path: Path) -> None:
    content = make_file(tmp_path, MEGABYTE)
    async with (
        serve("aioquic", certs.server, root=tmp_path) as server,
        connect(server, HQ, local="127.0.0.1") as conn,
    ):
        old = conn.active_path
        assert old is not None
        path = await conn.add_path(local="127.0.0.2")
        with pytest.raises(trioquic.PathNotValidatedError):
            conn.migrate_to(path)
        assert await path.validate() > 0
        assert path.state is trioquic.PathState.VALIDATED
        assert conn.active_path is old
        conn.migrate_to(path)
        assert conn.active_path is path
        assert await Download(conn, f"file-{len(content)}").run() == content
        # both still there: back to the first, then give up the second
        conn.migrate_to(old)
        await path.aclose()
        with pytest.raises(trioquic.PathAbandonedError):
            conn.migrate_to(path)
        assert await Download(conn, f"file-{len(content)}").run() == content
        last = path.statistics()
        assert last.local[0] == "127.0.0.2"
        assert last.state is trioquic.PathState.ABANDONED
