"""The application moves the connection while the supervisor asks, with few connection IDs: its move
takes part in what is asked already, or comes before it."""

from typing import Any, Final

import pytest
import trio
import trio.testing

import trioquic
from tests import series, sim_server
from tests.checklist.test_server_wishes import NOWHERE
from tests.checklist.test_two_server_addresses import GIVEN_UP, far
from tests.preferred.test_two_families import asked, prefers
from tests.preferred.world import giving
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import PREFERRED, SERVER
from tests.supervisor.phone import Phone, phone
from trioquic import CloseCause, PathState

CELLULAR: Final[dict[str, Any]] = {"interface": "wwan0"}
NEW_PORT: Final[dict[str, Any]] = {}
CHOSEN_PORT: Final[dict[str, Any]] = {"local_port": 50_000}
# more than a round trip, and the time that the original address is preferred to nothing
LONG_ENOUGH: Final = 0.6


def standby_has_the_last(here: Phone) -> bool:
    """Whether a path that has proven itself has the last connection ID."""
    proven = any(path.state is PathState.VALIDATED for path in here.conn.paths)
    return proven and not here.conn.statistics().spare_peer_ids


@pytest.mark.parametrize("way", [CELLULAR, NEW_PORT, CHOSEN_PORT], ids=["network", "new", "port"])
@pytest.mark.parametrize("ids", [1, 2, 7])
@pytest.mark.parametrize(
    ("preferred", "away"), [(None, 0.0), (PREFERRED, 0.0), (PREFERRED, 0.06), (NOWHERE, 0.0)]
)
async def test_a_move_at_any_moment(
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    way: dict[str, Any],
    ids: int,
    preferred: str | None,
    away: float,
) -> None:
    """It never fails for what the supervisor asks, or gives up as the server has moved."""
    monkeypatch.setattr(sim_server, "_Quic", giving(ids))
    options = ServerOptions() if preferred is None else prefers(preferred, None)
    for milliseconds in range(0, 200, 19 if series.all_of_them else 38):
        async with phone(options=options, prepare=far((PREFERRED,), away)) as here:
            await trio.sleep(milliseconds / 1000)
            if way is not CELLULAR and standby_has_the_last(here):
                break
            began = trio.current_time()
            path = await here.conn.migrate(**way)
            took = trio.current_time() - began
            assert took < (GIVEN_UP + 0.5 if preferred == NOWHERE else LONG_ENOUGH)
            assert here.conn.active_path is path
            assert path.interface == way.get("interface", path.interface)
            assert path.local[1] == way.get("local_port", path.local[1])
            await here.download(5000)


async def test_both_are_asked_whoever_opened_the_paths(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Over cellular the supervisor asks them already, and no second port is needed."""
    options = prefers(PREFERRED, None)
    async with phone(options=options, prepare=far((PREFERRED,), 0.03)) as here:
        await trio.sleep(0.02)
        there = [path for path in here.conn.paths if path.interface == "wwan0"]
        assert {path.remote[0] for path in there} == {SERVER, PREFERRED} == asked(here, "wwan0")
        assert {path.state for path in there} == {PathState.PROBING}
        path = await here.conn.migrate(interface="wwan0")
        assert path in there
        assert path.remote == (PREFERRED, PORT)
        assert (
            len({r.source for r in here.world.record.select(interface="wwan0", host="phone")}) == 2
        )


async def test_the_path_to_the_preferred_address_is_kept_when_the_supervisor_moves_there(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The server may have no connection ID of ours left for another one."""
    options = prefers(PREFERRED, None)
    async with phone(options=options, prepare=far((PREFERRED,), 0.06)) as here:
        await trio.sleep(0.09)
        before = len(here.heard(trioquic.PathOpened))
        path = await here.conn.migrate()
        assert path.remote == (PREFERRED, PORT)
        # it went there in the middle of the move, and the one to the original address is gone
        await here.until(trioquic.Migrated, 2)
        assert [move.cause for move in here.heard(trioquic.Migrated)] == [
            trioquic.MigrationCause.PREFERRED_ADDRESS,
            trioquic.MigrationCause.APPLICATION,
        ]
        assert len(here.heard(trioquic.PathOpened)) == before + 2


async def test_what_the_supervisor_asks_goes_on_when_the_move_is_cancelled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone() as here:
        await trio.sleep(0.02)
        (there,) = (path for path in here.conn.paths if path.interface == "wwan0")
        with trio.move_on_after(0.02) as scope:
            await here.conn.migrate(interface="wwan0")
        assert scope.cancelled_caught
        assert there in here.conn.paths
        await trio.sleep(0.06)
        assert there.state is PathState.VALIDATED


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_path_that_has_not_answered_gives_way(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    """The ID that the server gives instead is not for the supervisor, but when nobody waits any
    more."""
    monkeypatch.setattr(sim_server, "_Quic", giving(1))
    async with phone() as here:
        await trio.sleep(0.02)
        (there,) = (path for path in here.conn.paths if path.interface == "wwan0")
        with trio.move_on_after(0.01 if cancelled else 10) as scope:
            path = await here.conn.add_path()
        assert scope.cancelled_caught is cancelled
        (closed,) = here.heard(trioquic.PathClosed)
        assert (closed.path, closed.cause) == (there, CloseCause.NEEDED_ELSEWHERE)
        await trio.sleep(1)
        (other,) = here.conn.paths[1:]
        assert other.interface == "wwan0" if cancelled else other is path
        assert len(here.heard(trioquic.PathOpened)) == 2


async def test_the_supervisor_gets_the_id_that_the_application_cannot_use(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its port is somebody else's by then. Who of the two hears of the ID first is chance."""
    monkeypatch.setattr(sim_server, "_Quic", giving(1))
    for _ in range(6):
        async with phone() as here, trio.open_nursery() as nursery:
            await trio.sleep(0.02)

            async def ask(here: Phone = here) -> None:
                with pytest.raises(trioquic.LocalAddressError):
                    await here.conn.add_path(local_port=50_000)

            nursery.start_soon(ask)
            await trio.sleep(0.01)
            with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as other:
                await other.bind(("0.0.0.0", 50_000))
                await trio.sleep(0.3)
                assert [path.interface for path in here.conn.paths] == ["wlan0", "wwan0"]


@pytest.mark.parametrize("dies", [False, True])
async def test_what_the_supervisor_opens_at_the_same_moment_takes_part(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    """Both begin when the handshake is confirmed. If its path gave way, the move would need an ID
    instead, which no server can give when the network in use is dead."""
    monkeypatch.setattr(sim_server, "_Quic", giving(2))
    for checkpoints in range(8):
        async with phone(options=prefers(PREFERRED, None)) as here:
            for _ in range(checkpoints):
                await trio.lowlevel.checkpoint()
            if dies:
                here.world.wifi.link.blackhole()
            with trio.fail_after(LONG_ENOUGH):
                path = await here.conn.migrate(interface="wwan0")
            closed = {event.cause for event in here.heard(trioquic.PathClosed)}
            assert CloseCause.NEEDED_ELSEWHERE not in closed
            assert (path.interface, here.conn.active_path) == ("wwan0", path)
            await here.download(5000)
