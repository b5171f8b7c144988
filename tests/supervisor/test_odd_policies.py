"""Policies of the application's whose decisions are odd, or out of date when carried out."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests import sim_server
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import CELLULAR, PREFERRED, SERVER
from trioquic import HealthState, MigrationCause, MigrationPolicy, NoPathReason
from trioquic._runtime.paths import adding
from trioquic._runtime.sockets import binding
from trioquic.policy import (
    Action,
    Candidate,
    Challenge,
    ClosePath,
    Decision,
    Migrate,
    OpenAndMigrate,
    OpenPath,
    PolicyEvent,
    Suspend,
    Trigger,
    View,
    WaitForPath,
)

from .phone import phone
from .test_tunnel import phone_with_vpn

Decide = Callable[[View, PolicyEvent, float], Decision | None]


class Own(MigrationPolicy):
    """Decides by a function of the test's, and as always where that returns None."""

    own: Decide

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        own: Decide = type(self).own
        decision = own(view, event, now)
        return super().decide(view, event, now) if decision is None else decision


def policy(own: Decide, **knobs: Any) -> MigrationPolicy:
    return type("Own", (Own,), {"own": staticmethod(own)})(**knobs)  # type: ignore[no-any-return]


def cellular(view: View) -> Candidate | None:
    return next((way for way in view.candidates if way.interface == "wwan0"), None)


class Slow:
    """Sockets for cellular paths take their time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = trio.Event()
        self.may_go_on = trio.Event()
        self._bind = binding.bind_socket
        monkeypatch.setattr(adding, "bind_socket", self._slowly)

    async def _slowly(self, family: int, **more: Any) -> Any:
        if more["interface"] == "wwan0":
            self.asked.set()
            await self.may_go_on.wait()
        return await self._bind(family, **more)


# -- out of date -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", [(), (Migrate(0),), (Suspend(), WaitForPath()), (Challenge(0),)])
async def test_nothing_is_done_nor_told_after_the_end(
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    rest: tuple[Action, ...],
) -> None:
    """The server closes while a path is being opened."""
    slow = Slow(monkeypatch)

    def own(view: View, event: PolicyEvent, now: float) -> Decision:
        way = cellular(view)
        return Decision() if way is None else Decision((OpenPath(way), *rest))

    async with phone(policy=policy(own)) as here:
        await slow.asked.wait()
        server = here.world.server.connections[0]
        server.quic.close(error_code=0, reason_phrase="bye")
        server.flush()
        stream = await here.conn.open_stream()
        with pytest.raises(trioquic.PeerClosedError):
            await stream.receive_some()
        ended = trio.current_time()
        slow.may_go_on.set()
        await trio.sleep(0.1)
        assert [event for at, event in here.events if at >= ended] == []


@pytest.mark.parametrize("at_once", [True, False])
async def test_the_applications_move_is_not_undone_by_an_older_decision(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    """It moves the connection while the supervisor opens a path to move to."""
    slow = Slow(monkeypatch)

    def own(view: View, event: PolicyEvent, now: float) -> Decision:
        way = cellular(view)
        if way is None or (view.active is not None and view.active.usable):
            return Decision()
        return Decision((Suspend(), OpenAndMigrate(way)))

    async with phone(policy=policy(own)) as here:
        here.world.phone.add_interface("eth0", "192.0.2.200")
        path = await here.conn.add_path(interface="eth0")
        here.world.wifi.down()
        with trio.fail_after(1):
            await slow.asked.wait()
            await path.validate()
        if at_once:
            slow.may_go_on.set()
        path.migrate()
        slow.may_go_on.set()
        await here.download(1000)
        assert [event.cause for event in here.heard(trioquic.Migrated)] == [
            MigrationCause.APPLICATION
        ]
        assert here.conn.active_path is path


class Once(sim_server._Quic):
    """Replaces no connection ID that is given back."""

    given = False

    def _replenish_connection_ids(self) -> None:
        if not self.given:
            super()._replenish_connection_ids()
        self.given = True


async def test_a_path_that_goes_is_left_though_a_thousand_others_are_to_be_opened(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each of those the supervisor waits for a connection ID."""
    monkeypatch.setattr(sim_server, "_Quic", Once)

    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        if len(view.paths) != 2 or not all(path.usable for path in view.paths):
            return None
        ways = list(map(OpenPath, view.candidates))
        return Decision((ways[0], ClosePath(2), *ways * 500))

    async with phone(policy=policy(own, new_port=False)) as here:
        await here.until(trioquic.PathValidated)
        await trio.sleep(1.5)
        here.world.wifi.down()
        gone = trio.current_time()
        with trio.fail_after(5):
            await here.until(trioquic.Migrated)
        assert here.first(trioquic.Migrated) - gone < 0.01
        await here.download(1000)


async def test_a_wait_is_out_of_date_with_the_rest_of_its_decision(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The networks change while a path is opened: the end that was decided before is none."""
    slow = Slow(monkeypatch)

    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        way = cellular(view)
        if slow.asked.is_set() or way is None or view.active is None or view.active.usable:
            return None
        end = WaitForPath(give_up=NoPathReason.MIGRATION_FORBIDDEN)
        return Decision((OpenAndMigrate(way), end))

    async with phone(policy=policy(own, standby=0)) as here:
        here.world.wifi.down()
        await slow.asked.wait()
        here.world.phone.add_interface("eth0", "192.0.2.200")
        slow.may_go_on.set()
        await here.download(1000)
        assert here.heard(trioquic.WaitingForPath) == []


@pytest.mark.parametrize("at_once", [True, False])
async def test_nothing_is_asked_beside_a_tunnel_that_came_while_a_path_was_opened(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    """After a sleep every path is asked: by what the networks are then, and not before."""
    slow = Slow(monkeypatch)
    woken = False

    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        nonlocal woken
        if woken or event.trigger is not Trigger.WOKEN:
            return None
        woken = True
        ways = [way for way in view.candidates if way.interface == "wwan0"]
        return Decision(tuple(map(OpenPath, ways[:1])))

    slow.may_go_on.set()
    async with phone_with_vpn(up=False, migration=policy(own)) as (here, tunnel):
        await here.until(trioquic.PathValidated)
        slow.asked, slow.may_go_on = trio.Event(), trio.Event()
        autojump_clock.jump(5)
        await slow.asked.wait()
        if at_once:
            slow.may_go_on.set()
        tunnel.up()
        came = trio.current_time()
        slow.may_go_on.set()
        await trio.sleep(0.5)
        records = here.world.record.select(host="phone", interface="wwan0")
        assert [record.time for record in records if record.time >= came] == []


# -- waits -----------------------------------------------------------------------------------------


async def test_the_connection_is_given_up_when_the_policy_has_said(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Without being told when to look again."""

    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        if not view.lost:
            return Decision()
        at = view.lost_at + 2.0
        return Decision((WaitForPath(give_up=NoPathReason.NO_NETWORK, give_up_at=at),))

    async with phone(policy=policy(own)) as here:
        here.world.wifi.down()
        gone = trio.current_time()
        await here.until(trioquic.WaitingForPath)
        (waiting,) = here.heard(trioquic.WaitingForPath)
        assert waiting.deadline == pytest.approx(gone + 2.0)
        with trio.fail_after(3), pytest.raises(trioquic.NoPathError) as caught:
            await here.conn.wait_healthy()
        assert trio.current_time() == pytest.approx(gone + 2.0, abs=0.01)
        assert caught.value.reason is NoPathReason.NO_NETWORK
        # what the server gives and forbids has nothing to do with it
        assert "those that it gave" not in str(caught.value)


@pytest.mark.parametrize("give_up", [None, NoPathReason.NO_NETWORK])
async def test_there_is_no_wait_where_the_same_decision_has_found_a_path(
    autojump_clock: trio.testing.MockClock, give_up: NoPathReason | None
) -> None:
    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        way = cellular(view)
        if not view.lost or way is None:
            return Decision()
        wait = WaitForPath(give_up=give_up, give_up_at=now)
        return Decision((Suspend(), OpenAndMigrate(way), wait))

    async with phone(policy=policy(own)) as here:
        here.world.wifi.down()
        with trio.fail_after(1):
            await here.until(trioquic.Migrated)
        assert here.conn.health.state is HealthState.GOOD
        await here.download(1000)
        assert here.heard(trioquic.WaitingForPath) == []


# -- odd -------------------------------------------------------------------------------------------


async def test_moves_are_made_in_their_order(autojump_clock: trio.testing.MockClock) -> None:
    """And what is closed is moved to no more."""

    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        ready = [path.id for path in view.paths if path.state is trioquic.PathState.VALIDATED]
        if not ready or view.active is None or view.active.id:
            return Decision() if view.active and view.active.id else None
        return Decision(
            (Migrate(ready[0]), Migrate(0), Migrate(ready[0]), ClosePath(0), Migrate(0))
        )

    async with phone(policy=policy(own)) as here:
        await here.until(trioquic.MigrationRefused)
        assert [event.new.interface for event in here.heard(trioquic.Migrated)] == [
            "wwan0",
            "wlan0",
            "wwan0",
        ]
        (refused,) = here.heard(trioquic.MigrationRefused)
        assert refused.refusal is trioquic.Refusal.ABANDONED
        await here.download(1000)


async def test_a_path_that_answers_can_be_suspended(autojump_clock: trio.testing.MockClock) -> None:
    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        ready = [path.id for path in view.paths if path.state is trioquic.PathState.VALIDATED]
        if view.active is None:
            return None
        if view.active.id == 0 and ready:
            return Decision((Suspend(), ClosePath(ready[0])))
        return None

    async with phone(policy=policy(own)) as here:
        await here.until(trioquic.Migrated)
        (moved,) = here.heard(trioquic.Migrated)
        assert moved.reason == "the active path is gone: given up by the policy"


async def test_a_candidate_that_cannot_be_is_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        if event.trigger is not Trigger.CONFIRMED:
            return Decision()
        way = view.candidates[0]
        odd = [
            replace(way, local=local, interface=interface)
            for local in ("2001:db8::1", "127.0.0.1", "192.0.2.99")
            for interface in (None, "wlan0", "nope0", "x" * 300)
        ]
        return Decision(tuple(map(OpenPath, odd)))

    async with phone(policy=policy(own)) as here:
        await trio.sleep(5)
        await here.download(1000)
        refused = here.heard(trioquic.MigrationRefused)
        assert {event.refusal for event in refused} == {trioquic.Refusal.NO_SOCKET}
        assert len(refused) + len(here.conn.paths) == 12 + 1


async def test_a_policy_that_moves_to_and_fro_leaves_time_for_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asked: Counter[float] = Counter()

    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        asked[now] += 1
        assert asked[now] < 1000
        ready = [path.id for path in view.paths if path.state is trioquic.PathState.VALIDATED]
        return Decision((Migrate(ready[0]),)) if ready else None

    async with phone(policy=policy(own)) as here:
        await here.until(trioquic.Migrated)
        await trio.sleep(0.1)
        assert max(asked.values()) < 10
        await here.download(1000)


async def test_a_move_to_where_the_connection_is_counts_for_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A path may be left for its silence a few times a minute only."""
    moves: list[tuple[float, ...]] = []

    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        moves.append((*view.switches, *view.returns))
        return None if view.active is None else Decision((Migrate(view.active.id),))

    async with phone(policy=policy(own)) as here:
        here.world.wifi.link.blackhole()
        await (await here.conn.open_stream()).send_all(b"GET 10\r\n")
        await here.until(trioquic.PathDegraded)
        assert moves[-1] == ()
        assert here.heard(trioquic.Migrated) == []


async def test_a_policy_cannot_choose_another_server(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """RFC 9000 section 9: there is the server's address, and its preferred one."""

    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        ways = [replace(way, remote=(PREFERRED, PORT)) for way in view.candidates[:1]]
        return Decision(tuple(map(OpenPath, ways)))

    async with phone(policy=policy(own)) as here:
        await here.until(trioquic.MigrationRefused)
        await here.download(1000)
        (refused, *_) = here.heard(trioquic.MigrationRefused)
        assert refused.refusal is trioquic.Refusal.POLICY
        assert refused.reason == f"{PREFERRED} is no address of the server"
        sent = here.world.record.select(host="phone")
        assert {record.destination for record in sent} == {(SERVER, PORT)}


async def test_challenges_are_not_sent_faster_than_the_rfc_allows(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """RFC 9000 section 8.2.1: not more often than an Initial packet would be."""

    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        others = tuple(Challenge(path.id) for path in view.paths if path.id)
        return Decision(others, look_again=now) if others else None

    async with phone(policy=policy(own)) as here:
        await here.until(trioquic.PathValidated)
        here.world.cellular.link.blackhole()
        (path,) = [path for path in here.conn.paths if path.id]
        before = path.statistics().challenges_sent
        await trio.sleep(3)
        assert path.statistics().challenges_sent - before <= 8
        assert path.local[0] == CELLULAR


# -- the view --------------------------------------------------------------------------------------


async def test_a_preferred_address_that_is_another_port_of_the_same_host(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """RFC 9000 section 9.6: an IP address and a port."""
    async with phone(options=ServerOptions(preferred_ipv4=(SERVER, PORT + 1))) as here:
        with trio.fail_after(10):
            await here.until(trioquic.PreferredAddressResult)
        sent = here.world.record.select(host="phone")
        assert (SERVER, PORT + 1) in {record.destination for record in sent}
        await here.download(1000)


async def test_a_move_to_the_preferred_address_is_no_return_to_a_better_network(
    autojump_clock: trio.testing.MockClock,
) -> None:
    returns: list[tuple[float, ...]] = []

    def own(view: View, event: PolicyEvent, now: float) -> Decision | None:
        returns.append(view.returns)
        return None

    async with phone(
        policy=policy(own), options=ServerOptions(preferred_ipv4=(PREFERRED, PORT))
    ) as here:
        await here.until(trioquic.Migrated)
        here.conn.network_changed()
        await trio.sleep(1)
        assert returns[-1] == ()
