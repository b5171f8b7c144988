"""The only network goes and comes back again and again, within seconds.

The same address means the same socket: each time it is back, the connection goes on at once from
the port that it had, however many others there are, and no connection ID is spent for it.
"""

import errno
import os
import random

import pytest
import trio
import trio.testing

import trioquic
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import PREFERRED
from trioquic._protocol.sending.outgoing import Batch

from .phone import Phone, phone

RTT = 0.05
ONLY = trioquic.MigrationPolicy(only_interfaces=["wlan0"])


async def _keep_loading(here: Phone, pieces: list[float]) -> None:
    """Requests all the time, and when pieces of an answer came."""
    while True:
        stream = await here.conn.open_stream()
        await stream.send_all(b"GET 8000\r\n")
        await stream.send_eof()
        async for _ in stream:
            pieces.append(trio.current_time())
        await trio.sleep(0.02)


def _spare_ids(here: Phone) -> int:
    return here.conn.statistics().spare_peer_ids


async def _beside(here: Phone, kind: str) -> None:
    """Other paths on the same network."""
    if kind == "spare":
        # the application's, which nothing gives up
        path = await here.conn.add_path()
        await path.validate()
    elif kind == "behind":
        # the one it came from is older, and works as well
        path = await here.conn.add_path()
        await path.validate()
        here.conn.migrate_to(path)
    elif kind == "moved":
        await here.conn.migrate()


@pytest.mark.parametrize("kind", ["alone", "spare", "behind", "moved", "preferred"])
async def test_each_return_goes_on_at_once_with_the_same_port(
    autojump_clock: trio.testing.MockClock, kind: str
) -> None:
    for seed in range(5):
        chance = random.Random(f"{kind} {seed}")
        preferred = (PREFERRED, PORT) if kind == "preferred" else None
        options = ServerOptions(preferred_ipv4=preferred, idle_timeout=30.0)
        async with phone(seed, options=options, policy=ONLY) as here:
            if preferred:
                await here.until(trioquic.PreferredAddressResult)
            await _beside(here, kind)
            pieces: list[float] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_keep_loading, here, pieces)
                await trio.sleep(1)
                active = here.conn.active_path
                assert active is not None
                spare = _spare_ids(here)
                for _ in range(chance.randint(3, 8)):
                    here.world.wifi.down()
                    await trio.sleep(chance.uniform(0.01, 2))
                    received = active.statistics().bytes_received
                    here.world.wifi.up()
                    back = trio.current_time()
                    await trio.sleep(RTT + 0.05)
                    assert here.conn.active_path is active, (kind, seed)
                    assert active.statistics().bytes_received > received, (kind, seed)
                    if chance.random() < 0.5:
                        # What was under way in the meantime is known to be lost a round trip later.
                        await trio.sleep(RTT + chance.uniform(0, 1))
                        first = next(at for at in pieces if at > back)
                        assert first - back <= 2 * RTT + 0.05, (kind, seed)
                nursery.cancel_scope.cancel()
            assert here.conn.active_path is active, (kind, seed)
            assert _spare_ids(here) >= spare, (kind, seed)


async def test_an_error_of_what_a_move_sends_is_not_forgotten_by_the_move(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The socket refuses at once: other paths are asked before any timer has run."""
    async with phone(policy=ONLY) as here:
        old = here.conn.active_path
        path = await here.conn.add_path()
        await path.validate()
        assert old is not None
        await old.validate()
        socket = here.conn._paths._links[path.id].socket

        def refuse(batch: Batch) -> bool:
            socket.note_error(OSError(errno.ENODEV, os.strerror(errno.ENODEV)))
            return True

        socket.send_nowait = refuse  # type: ignore[method-assign]
        began = trio.current_time()
        here.conn.migrate_to(path)
        await here.until(trioquic.Migrated, 2)
        assert trio.current_time() - began <= RTT + 0.005
        await here.download(1000)
