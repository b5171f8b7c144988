"""What an application's own source of networks or policy does wrong is told to be its own."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import httpx
import pytest
import trio
import trio.testing

import trioquic
from tests.sim_server import ServerOptions
from trioquic import MigrationCause
from trioquic.httpx import HTTP3Transport
from trioquic.policy import (
    Candidate,
    Challenge,
    ClosePath,
    Decision,
    Migrate,
    MissConnectionID,
    OpenAndMigrate,
    OpenPath,
    PolicyEvent,
    View,
    WaitForPath,
)
from trioquic.sessions import MemorySessions, Record, SessionKey, TakenSession
from trioquic.testing import SimulatedNetwork

from .world import dial, phone_world


class Networks:
    """Of the application's own; does as it should, but for what the test replaces."""

    def __init__(self, inner: trioquic.RoutingSource) -> None:
        self._inner = inner
        self.broken = False

    def snapshot(self) -> Any:
        return self._inner.snapshot()

    def routes(self, remotes: Sequence[str]) -> Any:
        return self._inner.routes(remotes)

    async def wait_changed(self) -> None:
        await self._inner.wait_changed()


class Texts(Networks):
    def snapshot(self) -> Any:
        return ["wlan0"] if self.broken else super().snapshot()


class RaisesNews(Networks):
    async def wait_changed(self) -> None:
        await trio.sleep(0.2)
        raise KeyError("mine")


class NoRoutes(Networks):
    def routes(self, remotes: Sequence[str]) -> Any:
        return [3] if self.broken else super().routes(remotes)


class NoRoutesTo(Networks):
    def routes_to(self, servers: Sequence[tuple[str, int]]) -> Any:
        return [3]


class Raises(trioquic.MigrationPolicy):
    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        raise KeyError("mine")


class Forgets(trioquic.MigrationPolicy):
    def decide(self, view: View, event: PolicyEvent, now: float) -> Any:
        return None


# of a candidate that is none of the view's
WAY: dict[str, Any] = {
    "local": "192.0.2.10",
    "interface": "wlan0",
    "kind": "wifi",
    "metered": False,
    "remote": ("198.51.100.1", 4433),
    "preferred": False,
    "rank": 0,
    "new_port": False,
    "reason": "a test",
}


def way(**odd: Any) -> dict[str, Candidate]:
    """The fields of an action that opens this."""
    return {"candidate": Candidate(**WAY | odd)}


class Answers(trioquic.MigrationPolicy):
    """Answers what the test has set, of no matter which type."""

    kind: ClassVar[type[Any]] = Decision
    fields: ClassVar[dict[str, Any]] = {}

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        made = self.kind(**self.fields)
        return made if isinstance(made, Decision) else Decision((made,))


class TakeRaises(MemorySessions):
    async def take(self, key: SessionKey) -> TakenSession:
        raise KeyError("mine")


class TakeForgets(MemorySessions):
    async def take(self, key: SessionKey) -> Any:
        return None


class TakeOdd(MemorySessions):
    async def take(self, key: SessionKey) -> Any:
        return TakenSession(ticket=b"ticket")  # type: ignore[arg-type]


class KeepRaises(MemorySessions):
    async def keep(self, key: SessionKey, records: Sequence[Record]) -> None:
        raise KeyError("mine")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Texts, r"Texts\.snapshot failed: TypeError: each of what it returns must be an Interface"),
        (NoRoutes, r"NoRoutes\.routes failed: TypeError: each of what it returns must be a Route"),
        (NoRoutesTo, r"NoRoutesTo\.routes_to failed: TypeError: each of what it returns must be a"),
    ],
)
async def test_a_source_that_is_wrong_from_the_beginning(
    autojump_clock: trio.testing.MockClock, kind: type[Networks], said: str
) -> None:
    async with phone_world() as world:
        networks = kind(world.phone)
        networks.broken = True
        with pytest.raises(trioquic.ApplicationCodeError, match=said) as caught:
            async with dial(world, networks=networks):
                pass
        assert isinstance(caught.value.__cause__, TypeError)


async def test_a_source_that_raises_later(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        policy = trioquic.MigrationPolicy()
        with pytest.raises(trioquic.ApplicationCodeError, match=r"wait_changed failed: KeyError"):
            async with dial(world, networks=RaisesNews(world.phone), migration=policy):
                await trio.sleep(5)


@pytest.mark.parametrize("kind", [Raises, Forgets])
async def test_a_policy(
    autojump_clock: trio.testing.MockClock, kind: type[trioquic.MigrationPolicy]
) -> None:
    async with phone_world() as world:
        with pytest.raises(trioquic.ApplicationCodeError, match=rf"{kind.__name__}\.decide failed"):
            async with dial(world, migration=kind()):
                await trio.sleep(5)


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (Decision, {"actions": (OpenPath,)}, "each of actions must be an Action, not type"),
        (Decision, {"actions": Migrate(1)}, "actions must be a sequence of Action, not Migrate"),
        (Decision, {"look_again": "soon"}, "look_again must be a time"),
        (Decision, {"look_again": math.nan}, "look_again must be a time"),
        (Migrate, {"path": "1"}, "path must be an integer, not str"),
        (Migrate, {"path": 1, "cause": "it is slow"}, "cause must be a MigrationCause, not str"),
        (
            Migrate,
            {"path": 1, "cause": MigrationCause.APPLICATION},
            "cause of a policy's move cannot",
        ),
        (ClosePath, {"path": "1"}, "path must be an integer, not str"),
        (ClosePath, {"path": 1, "cause": MigrationCause.POLICY}, "cause must be a CloseCause"),
        (Challenge, {"path": None}, "path must be an integer, not NoneType"),
        (WaitForPath, {"give_up": "no more"}, "give_up must be a NoPathReason, not str"),
        (OpenPath, {"candidate": "wlan0"}, "candidate must be a Candidate, not str"),
        (OpenAndMigrate, {"candidate": "wlan0"}, "candidate must be a Candidate, not str"),
        (OpenPath, way(local="wlan0"), "'wlan0' does not appear to be an IPv4 or IPv6"),
        (OpenPath, way(interface=3), "interface of candidate must be a str, not int"),
        (OpenAndMigrate, way(local=None), "local of candidate must be a str"),
        (OpenPath, way(remote=("192.0.2.1", 0)), "the port of remote of candidate"),
        (MissConnectionID, way(remote=()), "remote of candidate must be an address"),
    ],
)
async def test_a_decision_of_odd_parts(
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Any],
    fields: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.setattr(Answers, "kind", kind)
    monkeypatch.setattr(Answers, "fields", fields)
    async with phone_world() as world:
        with pytest.raises(
            trioquic.ApplicationCodeError, match=rf"Answers\.decide failed: .*: {said}"
        ):
            async with dial(world, migration=Answers()):
                await trio.sleep(5)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (TakeRaises, r"TakeRaises\.take failed: KeyError: 'mine'"),
        (
            TakeForgets,
            r"TakeForgets\.take failed: TypeError: what it returns must be a TakenSession",
        ),
        (TakeOdd, r"TakeOdd\.take failed: TypeError: the ticket must be a Resumption, not bytes"),
        (KeepRaises, r"KeepRaises\.keep failed: KeyError: 'mine'"),
    ],
)
async def test_a_store(
    autojump_clock: trio.testing.MockClock, kind: type[MemorySessions], said: str
) -> None:
    async with phone_world(ServerOptions(session_tickets=True)) as world:
        with pytest.raises(trioquic.ApplicationCodeError, match=said) as caught:
            async with dial(world, sessions=kind()):
                await trio.sleep(5)
        assert isinstance(caught.value.__cause__, (KeyError, TypeError))


async def test_a_simulated_network_without_a_current_host(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with SimulatedNetwork(seed=1) as net:
        phone = net.host("phone")
        phone.add_interface("wlan0", "192.0.2.10")
        with pytest.raises(trioquic.ApplicationCodeError, match=r"host\.as_current\(\)") as caught:
            async with trioquic.open_connection("198.51.100.1", 443, alpn=["x"], networks=phone):
                pass
        # what it was before, for who makes a socket without the library
        assert isinstance(caught.value, RuntimeError)


async def test_the_transport_of_httpx(autojump_clock: trio.testing.MockClock) -> None:
    async with phone_world() as world:
        transport = HTTP3Transport(networks=RaisesNews(world.phone))
        with pytest.raises(trioquic.ApplicationCodeError, match=r"RaisesNews\.wait_changed"):
            async with httpx.AsyncClient(transport=transport):
                await trio.sleep(5)


@pytest.mark.parametrize(
    ("metrics", "error"),
    [
        ({"wlan0": "1"}, TypeError),
        ({"wlan0": -1}, ValueError),
        ({"wlan0": True}, TypeError),
        ({3: 1}, TypeError),
        (["wlan0"], TypeError),
    ],
)
def test_metrics_that_are_none(metrics: Any, error: type[Exception]) -> None:
    networks = trioquic.ManualNetworks([trioquic.Interface(name="wlan0")])
    with pytest.raises(error, match="metric"):
        networks.update([], metrics=metrics)
    assert [interface.name for interface in networks.snapshot()] == ["wlan0"]
