"""What the application's own code does wrong is told as its own wherever it comes out, and also to
who waits for something else on the connection."""

import sys
from typing import Any

import httpx
import pytest
import trio
import trio.testing

import trioquic
from tests.httpx.site import simulated_site
from tests.sim_server import NAME, PORT, ServerOptions
from tests.sim_world import SERVER6
from trioquic import HealthState
from trioquic.policy import Candidate, Decision, OpenPath, PolicyEvent, View
from trioquic.sessions import MemorySessions

from .test_application_code import WAY, KeepRaises, Networks, Raises, TakeRaises
from .world import dial, get, open_sockets, phone_world


def is_inside(function: str) -> bool:
    """Whether such a function has called, at whatever distance."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == function:
            return True
    return False


class NotWhileOpening(Networks):
    def snapshot(self) -> Any:
        if is_inside("add_candidate"):
            raise KeyError("mine")
        return super().snapshot()


class NotWhileKeeping(Networks):
    def snapshot(self) -> Any:
        if is_inside("keep"):
            raise KeyError("mine")
        return super().snapshot()


class OwnNursery(Networks):
    """Goes wrong when it is cancelled, which makes a group with a Cancelled in it."""

    async def wait_changed(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._wait)
            await trio.sleep_forever()

    async def _wait(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("mine")


class Restless(Networks):
    async def wait_changed(self) -> None:
        return


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (NotWhileOpening, r"NotWhileOpening\.snapshot failed: KeyError: 'mine'"),
        (NotWhileKeeping, r"NotWhileKeeping\.snapshot failed: KeyError: 'mine'"),
        (OwnNursery, r"OwnNursery\.wait_changed failed: KeyError: 'mine'"),
    ],
)
async def test_a_source(
    autojump_clock: trio.testing.MockClock, kind: type[Networks], said: str
) -> None:
    options: dict[str, Any] = {
        "migration": trioquic.MigrationPolicy(),
        "sessions": MemorySessions(),
    }
    async with phone_world(ServerOptions(session_tickets=True)) as world:
        with pytest.raises(trioquic.ApplicationCodeError, match=said) as caught:
            async with dial(world, networks=kind(world.phone), **options):
                await trio.sleep(5)
        assert isinstance(caught.value.__cause__, KeyError | ExceptionGroup)
        assert open_sockets(world) == 0


async def test_a_source_that_does_not_wait(autojump_clock: trio.testing.MockClock) -> None:
    """It does not hold up the program."""
    async with phone_world() as world:
        policy = trioquic.MigrationPolicy()
        async with dial(world, networks=Restless(world.phone), migration=policy) as conn:
            await trio.sleep(1)
            assert len(await get(conn, 1000)) == 1000


class Insists(trioquic.MigrationPolicy):
    """Wants what there is not, again and again."""

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        asked.append(now)
        return Decision((OpenPath(Candidate(**WAY | wanted)),))


asked: list[float] = []
wanted: dict[str, object] = {}


async def test_a_policy_that_wants_what_cannot_be_had(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asked.clear()
    wanted.update(remote=(SERVER6, PORT), local="2001:db8:2::99")
    async with phone_world() as world, dial(world, migration=Insists()):
        await trio.sleep(1)
    # the first time it is asked once more at once
    assert 10 < len(asked) < 250


async def test_a_policy_that_wants_another_server(autojump_clock: trio.testing.MockClock) -> None:
    """It is refused, which is no reason to ask again."""
    asked.clear()
    wanted.update(remote=("198.51.100.77", PORT))
    async with phone_world() as world, dial(world, migration=Insists()):
        await trio.sleep(1)
    assert len(asked) < 10


class Control:
    """A congestion controller that does what it must, but for what the test replaces."""

    in_slow_start = False

    def __init__(self, max_datagram_size: int) -> None:
        self.window: Any = 100_000

    def on_acked(self, size: int, time_sent: float, now: float) -> None: ...

    def on_round(self) -> None: ...

    def on_rtt_sample(self, latest: float, smoothed: float) -> None: ...

    def on_congestion(self, time_sent: float, now: float) -> None: ...

    def on_persistent_congestion(self) -> None: ...


class ControlRaises(Control):
    def on_rtt_sample(self, latest: float, smoothed: float) -> None:
        raise KeyError("mine")


class NoWindow(Control):
    def on_rtt_sample(self, latest: float, smoothed: float) -> None:
        self.window = None


class Once(Control):
    made = 0

    def __init__(self, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size)
        Once.made += 1
        if Once.made > 1:
            raise KeyError("mine")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (ControlRaises, r"ControlRaises\.on_rtt_sample failed: KeyError: 'mine'"),
        (NoWindow, r"NoWindow\.window failed: TypeError: what it returns must be an integer"),
        (Once, r"Once\.__call__ failed: KeyError: 'mine'"),
    ],
)
async def test_a_congestion_controller(
    autojump_clock: trio.testing.MockClock, kind: type[Control], said: str
) -> None:
    Once.made = 0
    transport = trioquic.TransportConfig(congestion=kind)
    async with phone_world() as world:
        with pytest.raises(trioquic.ApplicationCodeError, match=said):
            async with dial(world, transport=transport) as conn:
                await get(conn, 1000)
        assert open_sockets(world) == 0


async def test_who_waits_is_told(autojump_clock: trio.testing.MockClock) -> None:
    """And not that this side has closed the connection."""
    options = ServerOptions(session_tickets=True)
    tls = trioquic.TLSConfig(ca_data=options.credentials.ca_pem)

    async def wait() -> None:
        async with trio.open_nursery() as nursery:
            conn = await trioquic.connect(
                nursery, NAME, PORT, alpn=["hq-interop"], tls=tls, sessions=KeepRaises()
            )
            stream = await conn.open_stream()
            with trio.CancelScope(shield=True):
                with pytest.raises(trioquic.ApplicationCodeError, match="KeepRaises") as told:
                    await stream.receive_some()
            assert isinstance(told.value.__cause__, KeyError)
            assert conn.health.state is HealthState.OVER
            assert "KeepRaises.keep failed" in conn.health.reason

    async with phone_world(options):
        with pytest.raises(ExceptionGroup) as caught:
            await wait()
        assert caught.group_contains(trioquic.ApplicationCodeError, depth=1)
        assert len(caught.value.exceptions) == 1


class Elsewhere(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(299)


@pytest.mark.parametrize(
    "options",
    [
        {"sessions": TakeRaises()},
        {"sessions": TakeRaises(), "fallback": Elsewhere()},
        {"migration": Raises()},
    ],
)
async def test_httpx(autojump_clock: trio.testing.MockClock, options: dict[str, Any]) -> None:
    """It is no failure of the network, and no reason to go around it."""
    async with simulated_site() as site, site.client(**options) as client:
        for _ in range(2):
            with pytest.raises(trioquic.ApplicationCodeError, match="KeyError: 'mine'"):
                await client.get("/bytes/3000000")
