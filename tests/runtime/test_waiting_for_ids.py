"""Paths for which there is no connection ID yet, but soon (RFC 9000 sections 5.1.1 and 5.1.2)."""

import pytest
import trio
import trio.testing

import trioquic
from tests import sim_server
from tests.sim_server import pattern
from tests.sim_world import SERVER

from .world import dial, get, phone_world

# the handshake's, and three more
IDS = 4


class Resting(sim_server._Quic):
    """Replaces a connection ID that came back when it has rested, one at a time."""

    rest = 0.0  # in seconds

    def _replenish_connection_ids(self) -> None:
        self._remote_active_connection_id_limit = IDS
        if not self._handshake_confirmed:
            return
        now = trio.current_time()
        if not hasattr(self, "_due"):
            self._due: list[float] = []
            super()._replenish_connection_ids()
            return
        self._due.append(now + self.rest * (1 + len(self._due)))

    def get_timer(self) -> float | None:
        timer = super().get_timer()
        return min([*([] if timer is None else [timer]), *getattr(self, "_due", [])], default=None)

    def handle_timer(self, now: float) -> None:
        due = getattr(self, "_due", [])
        if due and due[0] <= now:
            del due[0]
            self._remote_active_connection_id_limit = len(self._host_cids) + 1
            super()._replenish_connection_ids()
        timer = super().get_timer()
        if timer is not None and timer <= now:
            super().handle_timer(now)


@pytest.fixture(autouse=True)
def resting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim_server, "_Quic", Resting)


async def use_up(conn: trioquic.Connection) -> None:
    """Paths that come and go, until there is no spare ID."""
    await conn.wait_handshake_confirmed()
    await trio.sleep(0.5)
    spare = conn.statistics().spare_peer_ids
    assert spare == IDS - 1
    for _ in range(spare):
        await (await conn.add_path(interface="wwan0")).aclose()
    assert conn.statistics().spare_peer_ids == 0


async def test_a_server_that_lets_ids_rest_for_long(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ngtcp2 does, for a probe timeout of its own: that is a second and more where it knows
    nothing of the path."""
    monkeypatch.setattr(Resting, "rest", 1.5)
    async with phone_world() as world, dial(world, SERVER) as conn:
        await use_up(conn)
        began = trio.current_time()
        await conn.migrate(interface="wwan0")
        assert 1.0 < trio.current_time() - began < 2.0
        assert await get(conn, 1000) == pattern(1000)


async def test_an_id_that_another_task_took(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two wait for one each, and both are woken by the first."""
    monkeypatch.setattr(Resting, "rest", 0.3)
    async with phone_world() as world, dial(world, SERVER) as conn:
        await use_up(conn)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(conn.add_path)
            nursery.start_soon(conn.add_path)
        assert len(conn.paths) == 3


async def test_a_server_that_never_replaces_them(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait has an end, and the error says what is missing."""
    monkeypatch.setattr(Resting, "rest", 1e6)
    async with phone_world() as world, dial(world, SERVER) as conn:
        await use_up(conn)
        with trio.fail_after(5), pytest.raises(trioquic.MigrationNotAllowedError, match="spare"):
            await conn.migrate(interface="wwan0")
        assert await get(conn, 1000) == pattern(1000)
