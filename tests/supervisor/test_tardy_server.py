"""A server that cannot validate a new path at once, as nginx cannot while its congestion window is
full of what got lost on the old one: it tries again after a second and after three, and then goes
back. Until it has, it sends three times what came from there (RFC 9000 section 9.3)."""

from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests import sim_server

from .phone import phone

RETRIES = (1.0, 3.0)
CHALLENGE = 60


class Tardy(sim_server._Quic):
    """Challenges a path on which the client goes on at those times only, if it may send."""

    moved_at: float | None = None
    tries = 0
    challenged: Any = None

    def receive_datagram(self, data: bytes, addr: Any, now: float) -> None:
        path = next(iter(self._network_paths), None)
        due = None
        if self.moved_at is not None and self.challenged is None and self.tries < len(RETRIES):
            if now >= self.moved_at + RETRIES[self.tries]:
                self.tries += 1
                if path is not None and path.can_send(CHALLENGE):
                    due = self.challenged = path
        super().receive_datagram(data, addr, now)
        if path not in (None, self._network_paths[0]) and self.moved_at is None:
            self.moved_at = now
        for other in self._network_paths:
            # as if it were sent already, but once
            other.local_challenge_sent = other is not due


async def test_it_is_given_room_until_it_asks(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim_server, "_Quic", Tardy)
    async with phone(prepare=lambda world: world.cellular.link.change(rate=4e6)) as here:
        await here.until(trioquic.PathValidated)

        async def cut() -> None:
            await trio.sleep(0.3)
            here.world.wifi.down()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            with trio.fail_after(10):
                assert await here.download(1_500_000) < 0.5
        quic = here.world.server.connections[0].quic
        assert isinstance(quic, Tardy) and quic.challenged is not None and quic.tries == 1
        sent = here.conn.statistics().paths[-1]
        # a third of what came while the server had not asked, and of what it might have sent then
        assert sent.bytes_sent < sent.bytes_received / 3 + 100_000


async def test_where_nothing_got_lost_it_is_given_room_when_it_has_none(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A move of the application's own, from a path that answers: the server uses up what it may
    send, and has not asked yet."""
    monkeypatch.setattr(sim_server, "_Quic", Tardy)
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        path = await here.conn.migrate(interface="wwan0")
        before = path.statistics()
        await here.download(20_000)
        after = path.statistics()
        received = after.bytes_received - before.bytes_received
        # a third of a window that it may begin with, and of what came twice
        assert after.bytes_sent - before.bytes_sent < 12_000 + 2 * received / 3


async def test_where_the_handshake_was_made_it_needs_no_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """That has validated the address (section 8.1). The network was gone for a moment."""
    only = trioquic.MigrationPolicy(only_interfaces=["wlan0"])
    async with phone(policy=only) as here:
        path = here.conn.active_path
        assert path is not None
        await here.download(300_000)
        here.world.wifi.down()
        await trio.sleep(0.5)
        before = path.statistics()
        here.world.wifi.up()
        await here.download(100_000)
        after = path.statistics()
        sent = after.datagrams_sent - before.datagrams_sent
        assert path is here.conn.active_path
        assert after.bytes_sent - before.bytes_sent < 3 * 1500 + 60 * sent
