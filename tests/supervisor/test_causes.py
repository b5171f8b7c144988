"""Where each cause of `CloseCause` and `MigrationCause` is told."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing
from aioquic.quic.packet import QuicTransportParameters

import trioquic
from tests import sim_server
from tests.runtime.world import dial, phone_world
from tests.sim_server import PORT, ServerOptions
from tests.sim_workers import Strangers, Workers
from tests.sim_world import PREFERRED
from trioquic import CloseCause, MigrationCause, MigrationPolicy
from trioquic._protocol.path.path import NetworkPath
from trioquic._runtime.paths import adding
from trioquic._runtime.sockets import binding
from trioquic.policy import ClosePath, Decision, Migrate, PolicyEvent, View

from .phone import Phone, phone
from .test_tunnel import phone_with_vpn
from .test_wayward_server import Picky, Wayward, tempt

Events = list[trioquic.PathEvent]
Scenario = Callable[[pytest.MonkeyPatch], Awaitable[Events]]
BY_HAND = MigrationPolicy(automatic=False)


def heard(here: Phone) -> Events:
    return [event for _, event in here.events]


async def until(here: Phone, *causes: CloseCause | MigrationCause) -> Events:
    """Wait for events with all of these causes, or for a minute."""
    with trio.move_on_after(60):
        while not set(causes) <= causes_of(heard(here)):
            await here.news.wait()
    return heard(here)


def causes_of(events: Sequence[trioquic.PathEvent]) -> set[CloseCause | MigrationCause]:
    """What is told of why."""
    told = (trioquic.PathClosed, trioquic.Migrated)
    return {event.cause for event in events if isinstance(event, told)}


# -- the application -------------------------------------------------------------------------------


async def own_close(_: pytest.MonkeyPatch) -> Events:
    async with phone(policy=BY_HAND) as here:
        await (await here.conn.add_path(interface="wwan0")).aclose()
        return await until(here, CloseCause.APPLICATION)


async def own_move(_: pytest.MonkeyPatch) -> Events:
    async with phone(policy=BY_HAND) as here:
        await here.conn.migrate(interface="wwan0")
        return await until(here, CloseCause.LEFT, MigrationCause.APPLICATION)


async def cancelled_move(_: pytest.MonkeyPatch) -> Events:
    async with phone(policy=BY_HAND) as here:
        here.world.cellular.link.blackhole()
        with trio.move_on_after(0.1):
            await here.conn.migrate(interface="wwan0")
        return await until(here, CloseCause.APPLICATION)


async def many_moves(_: pytest.MonkeyPatch) -> Events:
    """Each leaves a path that is still listened to, until their IDs or places are all used."""
    async with phone(policy=MigrationPolicy(automatic=False, linger=1000.0)) as here:
        for number in range(10):
            await here.conn.migrate(interface=("wwan0", "wlan0")[number % 2])
        return await until(here, CloseCause.NEEDED_ELSEWHERE)


async def close_while_adding(monkeypatch: pytest.MonkeyPatch) -> Events:
    """One task adds a path while another closes the connection, which has still data to send."""
    bind, closing = binding.bind_socket, trio.Event()

    async def slow(*args: Any, **kwargs: Any) -> Any:
        await closing.wait()
        return await bind(*args, **kwargs)

    monkeypatch.setattr(adding, "bind_socket", slow)
    found: Events = []
    async with phone_world() as world, trio.open_nursery() as nursery:
        async with dial(world) as conn, conn.path_events() as events:
            await conn.wait_handshake_confirmed()

            async def add() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await conn.add_path(interface="wwan0")

            nursery.start_soon(add)
            stream = await conn.open_send_stream()
            world.wifi.link.blackhole()
            await stream.send_all(b"GET 10\r\n")
            await stream.aclose()
            nursery.start_soon(conn.aclose)
            await trio.testing.wait_all_tasks_blocked()
            closing.set()
            await trio.testing.wait_all_tasks_blocked()
            world.wifi.link.restore()
            found = [event async for event in events]
    return found


# -- networks --------------------------------------------------------------------------------------


async def network_gone(_: pytest.MonkeyPatch) -> Events:
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        here.world.wifi.down()
        return await until(here, CloseCause.NETWORK_GONE, MigrationCause.NETWORK_GONE)


async def network_back(_: pytest.MonkeyPatch) -> Events:
    async with phone(policy=MigrationPolicy(only_interfaces=["wlan0"])) as here:
        here.world.wifi.down()
        await here.until(trioquic.WaitingForPath)
        here.world.wifi.up()
        return await until(here, MigrationCause.NETWORK_BACK)


async def better_network(_: pytest.MonkeyPatch) -> Events:
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        here.world.wifi.down()
        await here.until(trioquic.Migrated)
        here.world.wifi.up()
        return await until(here, MigrationCause.BETTER_NETWORK)


async def tunnel_comes(_: pytest.MonkeyPatch) -> Events:
    async with phone_with_vpn(up=False) as (here, tunnel):
        await here.until(trioquic.PathValidated)
        tunnel.up()
        return await until(here, CloseCause.OUTSIDE_TUNNEL)


async def tunnel_moved_into(_: pytest.MonkeyPatch) -> Events:
    async with phone_with_vpn(up=False) as (here, tunnel):
        await here.until(trioquic.PathValidated)
        tunnel.up()
        return await until(here, MigrationCause.TUNNEL)


# -- silence ---------------------------------------------------------------------------------------


async def standby_does_not_answer(_: pytest.MonkeyPatch) -> Events:
    async with phone(prepare=lambda world: world.cellular.link.blackhole()) as here:
        return await until(here, CloseCause.NO_ANSWER)


async def no_room_to_ask(monkeypatch: pytest.MonkeyPatch) -> Events:
    admits = NetworkPath.admits_probe
    monkeypatch.setattr(NetworkPath, "admits_probe", lambda path: not path.path_id and admits(path))
    async with phone() as here:
        return await until(here, CloseCause.NOT_ASKED)


async def silence(_: pytest.MonkeyPatch) -> Events:
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        here.world.wifi.link.blackhole()
        await (await here.conn.open_stream()).send_all(b"GET 10\r\n")
        return await until(here, MigrationCause.SILENCE)


async def silence_everywhere(_: pytest.MonkeyPatch) -> Events:
    def prepare(world: Any) -> None:
        world.cellular.link.blackhole()

    async with phone(prepare=prepare) as here:
        here.world.wifi.link.blackhole()
        await (await here.conn.open_stream()).send_all(b"GET 10\r\n")
        return await until(here, MigrationCause.NO_PROBE_ANSWERED)


async def move_into_silence(_: pytest.MonkeyPatch) -> Events:
    """The network that it moves to unvalidated does not answer, and another that comes up does."""
    policy = MigrationPolicy(standby=0)
    async with phone(policy=policy, prepare=lambda w: w.cellular.link.blackhole()) as here:
        here.world.phone.add_interface("wwan1", "203.0.113.99", kind="cellular", metric=9000)
        here.world.wifi.down()
        return await until(here, MigrationCause.ANOTHER_ANSWERS)


async def old_port_works_again(_: pytest.MonkeyPatch) -> Events:
    """On a network that the application has not chosen, when another port was tried there."""
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        here.world.wifi.down()
        await here.until(trioquic.Migrated)
        await here.download(1000)
        here.world.cellular.link.blackhole()
        await (await here.conn.open_stream()).send_all(b"GET 10\r\n")
        await here.until(trioquic.PathOpened, 2)
        here.world.cellular.link.restore()
        return await until(here, CloseCause.ANOTHER_PORT_WORKS)


def hold_two_ids(parameters: QuicTransportParameters) -> None:
    parameters.active_connection_id_limit = 2


async def one_port_at_a_time(_: pytest.MonkeyPatch) -> Events:
    options = ServerOptions(parameters=hold_two_ids)
    async with phone(options=options, prepare=lambda w: w.cellular.link.blackhole()) as here:
        await here.until(trioquic.PathOpened, 2)
        # a reason to look, before the first port has failed for good
        here.conn.network_changed()
        return await until(here, CloseCause.ANOTHER_PORT_ASKED)


# -- the server ------------------------------------------------------------------------------------


async def preferred_address(_: pytest.MonkeyPatch) -> Events:
    async with phone(options=ServerOptions(preferred_ipv4=(PREFERRED, PORT))) as here:
        return await until(here, CloseCause.PREFERRED_ADDRESS, MigrationCause.PREFERRED_ADDRESS)


async def workers(strangers: Strangers, cause: CloseCause) -> Events:
    events: Events = []
    for seed in range(8):
        async with phone(seed, options=ServerOptions(workers=Workers(4, strangers, seed))) as here:
            await here.until(trioquic.PathValidated)
            events += heard(here)
        if cause in causes_of(events):
            break
    return events


async def stranger(_: pytest.MonkeyPatch) -> Events:
    return await workers("alien", CloseCause.STRANGER)


async def reset(_: pytest.MonkeyPatch) -> Events:
    return await workers("reset", CloseCause.RESET)


async def server_wanders(monkeypatch: pytest.MonkeyPatch) -> Events:
    monkeypatch.setattr(sim_server, "_Quic", Wayward)
    monkeypatch.setattr(Wayward, "obedient", False)
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(tempt, here.conn)
                await here.download(500_000)
            await trio.sleep(10)
        return heard(here)


async def server_moved(monkeypatch: pytest.MonkeyPatch) -> Events:
    monkeypatch.setattr(sim_server, "_Quic", Wayward)
    monkeypatch.setattr(Wayward, "obedient", False)
    async with phone(policy=MigrationPolicy(move_back_after=60.0)) as here:
        here.world.wifi.down()
        await here.until(trioquic.Migrated)
        await here.download(10_000)
        here.world.wifi.up()
        await here.download(500_000)
        return heard(here)


async def called_back(monkeypatch: pytest.MonkeyPatch) -> Events:
    monkeypatch.setattr(sim_server, "_Quic", Picky)
    async with phone() as here:
        await here.download(3_000_000)
        return heard(here)


# -- a policy of one's own -------------------------------------------------------------------------


class Silent(MigrationPolicy):
    """Moves to the first standby and gives up what it left, without a word."""

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        ready = [path.id for path in view.paths if path.state is trioquic.PathState.VALIDATED]
        if view.active is None or view.active.id:
            return Decision(tuple(map(ClosePath, ready)))
        inherited = super().decide(view, event, now).without(Migrate)
        return replace(inherited, actions=(*inherited.actions, *map(Migrate, ready[:1])))


async def own_policy(_: pytest.MonkeyPatch) -> Events:
    async with phone(policy=Silent()) as here:
        return await until(here, CloseCause.POLICY, MigrationCause.POLICY)


CLOSED: dict[CloseCause, Scenario] = {
    CloseCause.APPLICATION: own_close,
    CloseCause.LEFT: own_move,
    CloseCause.NETWORK_GONE: network_gone,
    CloseCause.OUTSIDE_TUNNEL: tunnel_comes,
    CloseCause.STRANGER: stranger,
    CloseCause.RESET: reset,
    CloseCause.NO_ANSWER: standby_does_not_answer,
    CloseCause.NOT_ASKED: no_room_to_ask,
    CloseCause.PREFERRED_ADDRESS: preferred_address,
    CloseCause.ANOTHER_PORT_WORKS: old_port_works_again,
    CloseCause.ANOTHER_PORT_ASKED: one_port_at_a_time,
    CloseCause.SERVER_WANDERS: server_wanders,
    CloseCause.NEEDED_ELSEWHERE: many_moves,
    CloseCause.CONNECTION_CLOSED: close_while_adding,
    CloseCause.POLICY: own_policy,
}
MOVED: dict[MigrationCause, Scenario] = {
    MigrationCause.APPLICATION: own_move,
    MigrationCause.NETWORK_GONE: network_gone,
    MigrationCause.NETWORK_BACK: network_back,
    MigrationCause.BETTER_NETWORK: better_network,
    MigrationCause.TUNNEL: tunnel_moved_into,
    MigrationCause.SILENCE: silence,
    MigrationCause.NO_PROBE_ANSWERED: silence_everywhere,
    MigrationCause.ANOTHER_ANSWERS: move_into_silence,
    MigrationCause.PREFERRED_ADDRESS: preferred_address,
    MigrationCause.SERVER_MOVED: server_moved,
    MigrationCause.CALLED_BACK: called_back,
    MigrationCause.POLICY: own_policy,
}


def test_there_is_a_way_to_each_cause() -> None:
    assert set(CLOSED) == set(CloseCause)
    assert set(MOVED) == set(MigrationCause)


@pytest.mark.parametrize("cause", [*CLOSED, *MOVED], ids=str)
async def test_it_is_told(
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    cause: CloseCause | MigrationCause,
) -> None:
    scenario = CLOSED[cause] if isinstance(cause, CloseCause) else MOVED[cause]
    events = await scenario(monkeypatch)
    assert cause in causes_of(events)
    opened = {event.path for event in events if isinstance(event, trioquic.PathOpened)}
    closed = [event.path for event in events if isinstance(event, trioquic.PathClosed)]
    assert len(closed) == len(set(closed)), "a path is closed once"
    assert {path for path in closed if path.id} <= opened
    assert all(path.state is trioquic.PathState.ABANDONED for path in closed)


async def test_a_move_that_is_cancelled_is_the_applications_end_of_its_path(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert causes_of(await cancelled_move(monkeypatch)) == {CloseCause.APPLICATION}


async def test_a_path_that_the_system_gives_no_socket_for(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise trioquic.LocalAddressError(24, "too many open files")

    monkeypatch.setattr(adding, "bind_socket", refuse)
    async with phone() as here:
        await here.until(trioquic.MigrationRefused)
        (refused, *_) = here.heard(trioquic.MigrationRefused)
        assert refused.refusal is trioquic.Refusal.NO_SOCKET
        assert "too many open files" in refused.reason
