"""Section 9.6.3: the client moves to a new local address before it reached the preferred address.

Point 20 of what must hold for a path (docs/paths.md), under the supervisor: Wi-Fi dies right after
the handshake, so that nothing of it reaches the preferred address, and cellular is what is left.
The two addresses of the server hang on links of their own, so that either can be the slower one.
"""

from collections.abc import Callable

import pytest
import trio
import trio.testing

import trioquic
from tests import sim_server
from tests.checklist.test_server_wishes import FAMILIES, NOWHERE, STAY, prefers
from tests.sim_world import PREFERRED, SERVER, World
from tests.supervisor.phone import Phone, phone

GIVEN_UP = 3 * 0.999
"""Section 8.2.4, with the PTO of a path of which nothing is known."""


def far(addresses: tuple[str, ...], delay: float) -> Callable[[World], None]:
    """The server is reached at these addresses over a longer way."""

    def prepare(world: World) -> None:
        theirs = [a for a in addresses if a in world.server_interface.addresses]
        for address in theirs:
            world.server_interface.remove_address(address)
        world.server_host.add_interface("eth1", *theirs, delay=delay)

    return prepare


def asked(here: Phone) -> dict[str, list[float]]:
    """When the phone sent to which address over cellular."""
    found: dict[str, list[float]] = {}
    for record in here.world.record.select(host="phone", interface="wwan0"):
        found.setdefault(record.destination[0], []).append(record.time)
    return found


def both_at_once(here: Phone, first: str, second: str) -> None:
    """Each address was asked, and before either could have answered."""
    times = asked(here)
    assert set(times) == {first, second}
    assert times[first][0] == pytest.approx(times[second][0], abs=0.001)


def moves(here: Phone) -> list[tuple[str | None, str]]:
    return [(e.new.interface, e.new.remote[0]) for e in here.heard(trioquic.Migrated)]


def results(here: Phone) -> list[bool]:
    return [event.used for event in here.heard(trioquic.PreferredAddressResult)]


@pytest.mark.parametrize(("server", "preferred", "nowhere"), FAMILIES, ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("cut", ["silent", "down"])
async def test_20_the_preferred_address_answers_first(
    autojump_clock: trio.testing.MockClock, cut: str, server: str, preferred: str, nowhere: str
) -> None:
    """Validation of the original is abandoned. When Wi-Fi is known to be gone the connection moves
    to the original address at once, which section 9.2 allows, and goes on from there."""
    prepare = far((server,), 0.1)
    async with phone(
        options=prefers(preferred), policy=STAY, server=server, prepare=prepare
    ) as here:
        if cut == "silent":
            here.world.wifi.link.blackhole()
        else:
            here.world.wifi.down()
        await here.download(100_000)
        both_at_once(here, server, preferred)
        assert moves(here)[-1] == ("wwan0", preferred)
        assert len(moves(here)) == (1 if cut == "silent" else 2)
        moved = here.first(trioquic.Migrated) if cut == "silent" else here.events[-1][0]
        await trio.sleep(5)
        assert max(asked(here)[server]) <= moved + 0.001, "the original is not asked any more"
        assert {path.remote[0] for path in here.conn.paths} == {preferred}
        failed = [e.reason for e in here.heard(trioquic.PathClosed) if e.path.remote[0] == server]
        assert failed and all(failed)
        assert results(here) == [True]


@pytest.mark.parametrize(("server", "preferred", "nowhere"), FAMILIES, ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("late", [0.05, 0.5, 1.2])
async def test_20_the_original_answers_first_and_the_preferred_late(
    autojump_clock: trio.testing.MockClock, late: float, server: str, preferred: str, nowhere: str
) -> None:
    """The connection goes on with the original meanwhile. When the other's PATH_RESPONSE comes,
    the connection must move there, however long after, and the original is given up."""
    prepare = far((preferred,), late)
    async with phone(
        options=prefers(preferred), policy=STAY, server=server, prepare=prepare
    ) as here:
        here.world.wifi.link.blackhole()
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.download, 100_000)
            await here.until(trioquic.Migrated, 2)
            changed = trio.current_time()
        both_at_once(here, server, preferred)
        assert moves(here) == [("wwan0", server), ("wwan0", preferred)]
        asked_at = asked(here)[preferred][0]
        assert changed - asked_at == pytest.approx(0.08 + 2 * late, abs=0.01)
        assert asked_at - begun < 1.0
        await trio.sleep(5)
        assert max(asked(here)[server]) <= changed + 0.001
        assert {path.remote[0] for path in here.conn.paths} == {preferred}
        assert results(here) == [True]


async def test_20_an_answer_of_the_preferred_that_is_too_late_moves_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It comes after its validation was given up."""
    late = GIVEN_UP / 2
    prepare = far((PREFERRED,), late)
    async with phone(options=prefers(PREFERRED), policy=STAY, prepare=prepare) as here:
        here.world.wifi.link.blackhole()
        await here.download(100_000)
        await here.until(trioquic.PreferredAddressResult)
        assert not here.heard(trioquic.PreferredAddressResult)[0].used
        await trio.sleep(2 * late)
        answers = here.world.record.select(host="server", source=PREFERRED)
        assert answers, "it did answer"
        await here.download(100_000)
        assert moves(here) == [("wwan0", SERVER)]


@pytest.mark.parametrize(("server", "preferred", "nowhere"), FAMILIES, ids=["ipv4", "ipv6"])
async def test_20_the_preferred_address_fails(
    autojump_clock: trio.testing.MockClock, server: str, preferred: str, nowhere: str
) -> None:
    """Only the original succeeds: the connection moves and goes on with that."""
    async with phone(options=prefers(nowhere), policy=STAY, server=server) as here:
        here.world.wifi.link.blackhole()
        await here.download(100_000)
        both_at_once(here, server, nowhere)
        await here.until(trioquic.PreferredAddressResult)
        told = trio.current_time()
        assert results(here) == [False]
        await trio.sleep(20)
        await here.download(100_000)
        assert moves(here) == [("wwan0", server)]
        assert max(asked(here)[nowhere]) < told, "it is not asked for ever"


@pytest.mark.parametrize(("server", "preferred", "nowhere"), FAMILIES, ids=["ipv4", "ipv6"])
async def test_20_both_fail(
    autojump_clock: trio.testing.MockClock, server: str, preferred: str, nowhere: str
) -> None:
    """The connection is there when Wi-Fi works again, though it tried the silent new network in the
    end; and as that answered for neither address, the preferred one is still worth asking."""
    async with phone(options=prefers(preferred), policy=STAY, server=server) as here:
        here.world.wifi.link.blackhole()
        here.world.cellular.link.blackhole()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.download, 100_000)
            await here.until(trioquic.ValidationFailed, 3)
            both_at_once(here, server, preferred)
            here.world.wifi.link.restore()
        await here.until(trioquic.PreferredAddressResult)
        assert ("wwan0", preferred) not in moves(here), "section 9.6.2: not before it answers"
        assert moves(here)[-1] == ("wlan0", preferred)


class ThreeIds(sim_server._Quic):
    """Gives three connection IDs: the handshake's, that of the preferred address, and one."""

    def _replenish_connection_ids(self) -> None:
        self._remote_active_connection_id_limit = 3
        super()._replenish_connection_ids()


async def test_20_with_one_spare_id_the_preferred_address_is_asked_first(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wi-Fi has used up two, for the original and for the preferred address. An event says what
    there is no ID for (section 9.5), and none is used twice."""
    monkeypatch.setattr(sim_server, "_Quic", ThreeIds)
    async with phone(options=prefers(PREFERRED), policy=STAY) as here:
        here.world.wifi.link.blackhole()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.download, 100_000)
            await here.until(trioquic.PathValidated)
            assert here.conn.statistics().spare_peer_ids == 0
        assert set(asked(here)) == {PREFERRED}
        assert moves(here) == [("wwan0", PREFERRED)]
        refusals = [event.reason for event in here.heard(trioquic.MigrationRefused)]
        assert len(refusals) == 1
        assert "no spare connection ID" in refusals[0] and SERVER in refusals[0]


async def test_20_a_preferred_address_without_a_way_is_no_reason_to_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Wi-Fi is gone and known to be gone: the original is moved to at once, unvalidated."""
    async with phone(options=prefers(NOWHERE), policy=STAY) as here:
        here.world.wifi.down()
        gone = trio.current_time()
        await here.until(trioquic.Migrated)
        assert trio.current_time() == gone
        await here.download(100_000)
        assert moves(here) == [("wwan0", SERVER)]
        both_at_once(here, SERVER, NOWHERE)
