"""Many connections in one process: all of them work, and nothing is left of them."""

from pathlib import Path

import pytest
import trio

from tests.cancellation.harness import all_tasks
from tests.certificates import Certificates

from .exchange import SERVERS, alpn_of, connect, serve

COUNT = 100
AT_ONCE = 20


@pytest.mark.parametrize("kind", SERVERS)
async def test_many_connections_at_once(certs: Certificates, tmp_path: Path, kind: str) -> None:
    gate = trio.CapacityLimiter(AT_ONCE)
    opened = 0
    everybody = trio.Event()
    async with serve(kind, certs.server, root=tmp_path) as server:
        before = all_tasks()

        async def one() -> None:
            nonlocal opened
            await gate.acquire()
            async with connect(server, alpn_of(kind)) as conn:
                gate.release()
                opened += 1
                if opened == COUNT:
                    everybody.set()
                await everybody.wait()
                # each is alive while all others are
                path = conn.active_path
                assert path is not None
                assert await path.validate() > 0

        async with trio.open_nursery() as nursery:
            for _ in range(COUNT):
                nursery.start_soon(one)
        assert opened == COUNT
        assert all_tasks() == before
