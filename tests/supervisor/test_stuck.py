"""What must not leave a connection without a path, or without a standby, while nobody is told."""

from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing
from aioquic.quic.packet import QuicTransportParameters

import trioquic
from tests import series, sim_server
from tests.sim_server import ServerOptions
from tests.sim_world import WIFI
from trioquic import HealthState, PathState
from trioquic._runtime.paths import adding
from trioquic._runtime.sockets import binding
from trioquic.policy import Decision, Migrate, MigrationPolicy, PolicyEvent, Suspend, View

from .decisions import closed, goal, waits
from .phone import phone
from .test_policy import CELLULAR as STANDBY
from .test_policy import NOW, POLICY, SAME, TIME, VIEW, WAY
from .test_policy import WIFI as HOME

NEW_ADDRESS = "192.0.2.77"


class Sparing(sim_server._Quic):
    """Gives one connection ID beside that of the handshake, as nginx does, or a few more."""

    ids = 2

    def _replenish_connection_ids(self) -> None:
        self._remote_active_connection_id_limit = self.ids
        super()._replenish_connection_ids()


def hold_two_ids(parameters: QuicTransportParameters) -> None:
    """What a server holds that says nothing about it, and nginx (RFC 9000 section 18.2)."""
    parameters.active_connection_id_limit = 2


@pytest.mark.parametrize("pause", [0.0, 0.2])
async def test_both_networks_go_and_the_server_has_used_both_ids_of_ours(
    autojump_clock: trio.testing.MockClock, pause: float
) -> None:
    """One on the path in use, one on the standby: it gets others where a new network is."""
    options = ServerOptions(parameters=hold_two_ids)
    async with phone(options=options) as here:
        await here.until(trioquic.PathValidated)
        await here.download(10_000)
        assert here.conn._driver.core.unused_own_ids == 0
        here.world.cellular.down()
        here.world.wifi.remove_address(WIFI)
        await trio.sleep(pause)
        here.world.wifi.add_address(NEW_ADDRESS)
        back = trio.current_time()
        with trio.fail_after(5):
            await here.download(10_000)
        assert trio.current_time() - back < 0.3
        assert here.heard(trioquic.MigrationRefused) == []


def test_a_path_that_is_gone_is_given_up_only_for_a_move_that_needs_its_id() -> None:
    gone = (replace(HOME, usable=False), replace(STANDBY, usable=False))
    view = replace(VIEW, active=gone[0], paths=gone, candidates=(WAY,), answerable=0)
    decision = POLICY.decide(view, TIME, NOW)
    # its interface is there again with another address; the other network may yet be back
    assert (goal(decision), closed(decision)) == (WAY, (STANDBY.id,))
    assert closed(POLICY.decide(replace(view, candidates=(SAME,)), TIME, NOW)) == (HOME.id,)
    assert closed(POLICY.decide(replace(view, answerable=1), TIME, NOW)) == ()
    # the same port may be what works when the network is back
    for nothing in (replace(view, candidates=()), replace(view, spare_ids=0)):
        decision = POLICY.decide(nothing, TIME, NOW)
        assert (waits(decision), closed(decision)) == (True, ())


class Rash(MigrationPolicy):
    """Moves to a path also before it is validated, which the core refuses."""

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        if view.active is not None and view.active.usable:
            return Decision()
        there = next(path for path in view.paths if path.interface == "wwan0")
        suspend = () if view.active is None else (Suspend(),)
        return Decision((*suspend, Migrate(there.id)))


async def test_a_connection_whose_move_is_refused_is_not_well(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with phone(policy=Rash()) as here:
        path = await here.conn.add_path(interface="wwan0")
        here.world.wifi.down()
        with trio.fail_after(1):
            health = await here.conn.wait_unhealthy()
        assert health.state is HealthState.WAITING
        assert here.conn.active_path is None
        await path.validate()
        with trio.fail_after(1):
            await here.conn.wait_healthy()
        assert here.conn.active_path is path


async def test_a_standby_that_could_not_be_opened_is_tried_again(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though nothing else happens meanwhile that would be a reason to look again."""
    real = binding.bind_socket
    refusals = 2

    async def refuse(family: int, *, interface: str | None, **more: object) -> object:
        nonlocal refusals
        if interface == "wwan0" and refusals:
            refusals -= 1
            raise trioquic.LocalAddressError(24, "too many open files")
        return await real(family, interface=interface, **more)  # type: ignore[arg-type]

    async with phone(prepare=lambda world: world.cellular.down()) as here:
        await trio.sleep(5)
        monkeypatch.setattr(adding, "bind_socket", refuse)
        here.world.cellular.up()
        with trio.fail_after(3.5):
            await here.until(trioquic.PathValidated)


async def test_nothing_is_told_of_paths_after_the_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The server has closed; for three PTOs there is still a socket (section 10.2)."""
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        server = here.world.server.connections[0]
        server.quic.close(error_code=0, reason_phrase="bye")
        server.flush()
        with pytest.raises(trioquic.PeerClosedError):
            await (await here.conn.open_stream()).receive_some()
        ended = trio.current_time()
        here.world.wifi.down()
        await trio.sleep(0.2)
        assert [event for at, event in here.events if at >= ended] == []


async def test_networks_that_cannot_be_used_do_not_prolong_the_wait(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that no socket can be bound to is tried again and again; the time runs on, and the wait
    is told once."""
    policy = MigrationPolicy(no_path_timeout=5.0)
    async with phone(policy=policy, prepare=lambda world: world.cellular.down()) as here:
        here.world.wifi.down()
        gone = trio.current_time()
        await here.until(trioquic.WaitingForPath)

        async def refuse(*_: object, **__: object) -> None:
            raise trioquic.LocalAddressError(24, "too many open files")

        monkeypatch.setattr(adding, "bind_socket", refuse)
        here.world.cellular.up()
        with trio.fail_after(6), pytest.raises(trioquic.NoPathError):
            await here.conn.wait_healthy()
        assert trio.current_time() == pytest.approx(gone + 5.0, abs=0.01)
        assert len(here.heard(trioquic.WaitingForPath)) == 1


@pytest.mark.parametrize("asked", [False, True])
async def test_a_path_of_the_applications_that_was_not_proven_is_better_than_none(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    """It holds the only other connection ID, and its network works by now."""
    monkeypatch.setattr(sim_server, "_Quic", Sparing)
    async with phone(policy=MigrationPolicy(standby=0)) as here:
        here.world.cellular.link.blackhole()
        path = await here.conn.add_path(interface="wwan0")
        if asked:
            with pytest.raises(trioquic.PathValidationError):
                await path.validate()
        here.world.cellular.link.restore()
        assert here.conn.statistics().spare_peer_ids == 0
        here.world.wifi.down()
        assert await here.download(10_000) < 0.5
        assert here.conn.active_path is path
        assert here.heard(trioquic.WaitingForPath) == []


@pytest.mark.parametrize("silence", [1.0, 2.0, 4.0, 8.0, 12.0, 25.0])
async def test_a_network_that_comes_late_finds_a_connection_id(
    autojump_clock: trio.testing.MockClock, silence: float
) -> None:
    """However many ports were tried on the one that is silent, and whether they may yet answer."""
    transport = trioquic.TransportConfig(keep_alive=1.0)
    async with phone(prepare=lambda w: w.cellular.down(), transport=transport) as here:
        await here.download(1000)
        here.world.wifi.link.blackhole()
        await trio.sleep(silence)
        here.world.cellular.up()
        # what was sent into the silence is sent again after a PTO
        with trio.fail_after(1.5):
            await here.download(1000)


class Deaf(sim_server._Quic):
    """Answers no probe."""

    def _send_probing_frames(self, network_path: Any, now: float) -> list[Any]:
        return []


@pytest.mark.parametrize("silence", [6.0, 7.0, 10.5, 11.0])
async def test_a_server_that_answers_no_probe_is_moved_to_in_time(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, silence: float
) -> None:
    """Nothing tells that a probe has waited long enough: the policy asks to be asked then."""
    monkeypatch.setattr(sim_server, "_Quic", Deaf)
    policy, transport = MigrationPolicy(new_port=False), trioquic.TransportConfig(keep_alive=1.0)
    async with phone(
        policy=policy, prepare=lambda w: w.cellular.down(), transport=transport
    ) as here:
        await here.download(1000)
        here.world.wifi.link.blackhole()
        await trio.sleep(silence)
        here.world.cellular.up()
        with trio.fail_after(1.5):
            await here.download(1000)


async def test_a_day_of_silence_is_no_bug(autojump_clock: trio.testing.MockClock) -> None:
    policy = MigrationPolicy(only_interfaces=["wlan0"], new_port=False)
    options = ServerOptions(idle_timeout=1e6)
    transport = trioquic.TransportConfig(idle_timeout=0, keep_alive=60.0)
    async with phone(options=options, policy=policy, transport=transport) as here:
        here.world.wifi.link.blackhole()
        await trio.sleep(86_400 if series.all_of_them else 4_500)
        here.world.wifi.link.restore()
        await here.conn.wait_healthy()


@pytest.mark.parametrize(
    "change", [{"opened_by_supervisor": True}, {"misled": True}, {"metered": True}]
)
def test_not_every_path_is_better_than_none(change: dict[str, Any]) -> None:
    gone = replace(HOME, usable=False, trouble="wlan0 is down")
    own = replace(STANDBY, state=PathState.CANDIDATE, opened_by_supervisor=False, metered=None)
    view = replace(VIEW, active=gone, paths=(gone, own), candidates=(), spare_ids=0)
    policy = MigrationPolicy(metered=False)
    assert goal(policy.decide(view, TIME, NOW)) == own.id
    view = replace(view, paths=(gone, replace(own, **change)))
    decision = policy.decide(view, TIME, NOW)
    assert goal(decision) is None
    assert waits(decision)
