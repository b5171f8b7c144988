"""A server that moves by itself to whatever path last sent it a PATH_CHALLENGE, like picoquic."""

from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests import sim_server
from trioquic.policy import Decision, MigrationPolicy, PolicyEvent, View

from .decisions import calls_back
from .phone import Phone, phone

SIZE = 1_000_000


class Wayward(sim_server._Quic):
    """Sends to the path of the last challenge, though nothing but probes came from there, and stays
    there until it is challenged elsewhere, or gets a PING there."""

    tempted: Any = None
    obedient = True
    """Whether a PING will do, one of a probe timeout too: that one may come before the client has
    noticed anything, or not."""

    def _handle_path_challenge_frame(self, context: Any, frame_type: int, buf: Any) -> None:
        super()._handle_path_challenge_frame(context, frame_type, buf)
        self.tempted = context.network_path

    def _handle_ping_frame(self, context: Any, frame_type: int, buf: Any) -> None:
        super()._handle_ping_frame(context, frame_type, buf)
        if self.obedient:
            self.tempted = None

    def receive_datagram(self, *arguments: Any, **more: Any) -> None:
        super().receive_datagram(*arguments, **more)
        if self.tempted in self._network_paths:
            self.tempted.is_validated = True
            self._network_paths.remove(self.tempted)
            self._network_paths.insert(0, self.tempted)


def received(here: Phone, interface: str) -> int:
    """Bytes that reached the phone over an interface, whatever paths there are still."""
    address = "192.0.2.10" if interface == "wlan0" else "203.0.113.10"
    records = here.world.record.select(host="server")
    return sum(r.size for r in records if r.destination[0] == address)


async def tempt(conn: trioquic.Connection) -> None:
    """Challenge the standby in the middle of a download."""
    await trio.sleep(0.2)
    for path in conn.paths:
        if path is not conn.active_path:
            await path.validate()


async def test_54_it_is_called_back_and_then_kept_without_temptation(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cellular is the worse network: the download stays on Wi-Fi but for a moment."""
    monkeypatch.setattr(sim_server, "_Quic", Wayward)
    monkeypatch.setattr(Wayward, "obedient", False)
    async with phone() as here:
        await here.until(trioquic.PathValidated)
        for round_ in range(1, 5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(tempt, here.conn)
                await here.download(SIZE)
            # longer than the datagrams are padded for a server that validates nothing
            await trio.sleep(10)
            assert received(here, "wwan0") < 0.4 * round_ * SIZE
        assert len(here.heard(trioquic.ServerMoved)) == 2
        assert here.conn.statistics().server_moves == 2
        assert {e.new.interface for e in here.heard(trioquic.Migrated)} == {"wlan0"}
        assert len(here.conn.paths) == 1, "no standby with this server any more"


async def test_54_a_ping_is_enough_for_one_that_obeys_it(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes once, when the standby is validated, and no other port is there to bring it back."""
    monkeypatch.setattr(sim_server, "_Quic", Wayward)
    async with phone(policy=MigrationPolicy(new_port=False)) as here:
        await here.until(trioquic.PathValidated)
        await here.download(SIZE)
        assert len(here.heard(trioquic.ServerMoved)) == 1
        assert received(here, "wwan0") < 0.25 * SIZE
        assert not here.heard(trioquic.Migrated)
        assert {path.interface for path in here.conn.paths} == {"wlan0", "wwan0"}


class Picky(sim_server._Quic):
    """Goes to each path once, when that is new and validated, like picoquic 1.1: no packet on an
    old one brings it back."""

    chosen: Any = None

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.known: set[Any] = set()

    def receive_datagram(self, *arguments: Any, **more: Any) -> None:
        super().receive_datagram(*arguments, **more)
        for path in self._network_paths:
            if path.is_validated and path.addr not in self.known:
                self.known.add(path.addr)
                self.chosen = path
        if self.chosen in self._network_paths:
            self._network_paths.remove(self.chosen)
            self._network_paths.insert(0, self.chosen)


async def test_54_one_that_follows_new_paths_only_is_called_to_another_port(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It carries on there, and the standby stays, as it is not new any more."""
    monkeypatch.setattr(sim_server, "_Quic", Picky)
    async with phone() as here:
        await here.download(3 * SIZE)
        assert len(here.heard(trioquic.ServerMoved)) == 1
        assert [e.new.interface for e in here.heard(trioquic.Migrated)] == ["wlan0"]
        assert received(here, "wwan0") < 0.25 * 3 * SIZE
        assert {path.interface for path in here.conn.paths} == {"wlan0", "wwan0"}
        await tempt(here.conn)
        before = received(here, "wwan0")
        await here.download(SIZE)
        assert received(here, "wwan0") < before + 10_000


async def test_54_to_a_better_network_it_is_followed(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim_server, "_Quic", Wayward)
    monkeypatch.setattr(Wayward, "obedient", False)
    policy = trioquic.MigrationPolicy(move_back_after=60.0)

    async with phone(policy=policy) as here:
        here.world.wifi.down()
        await here.until(trioquic.Migrated)
        await here.download(10_000)
        here.world.wifi.up()
        await here.download(SIZE)
        assert here.heard(trioquic.ServerMoved)
        assert here.heard(trioquic.Migrated)[-1].new.interface == "wlan0"
        assert here.heard(trioquic.Migrated)[-1].cause is trioquic.MigrationCause.SERVER_MOVED


class Counting(MigrationPolicy):
    """Counts what is done about the server."""

    recalls = 0
    decisions = 0

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        decision = super().decide(view, event, now)
        Counting.recalls += calls_back(decision)
        Counting.decisions += 1
        return decision


async def tempt_for_ever(path: trioquic.Path) -> None:
    while True:
        await path.validate()
        await trio.sleep(0.3)


async def test_54_one_that_goes_for_ever_is_called_back_twice(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a path of the application's, which the policy does not give up."""
    monkeypatch.setattr(sim_server, "_Quic", Wayward)
    monkeypatch.setattr(Counting, "recalls", 0)
    monkeypatch.setattr(Counting, "decisions", 0)
    async with phone(policy=Counting(metered=False)) as here, trio.open_nursery() as nursery:
        path = await here.conn.add_path(interface="wwan0")
        nursery.start_soon(tempt_for_ever, path)
        while (moves := here.conn.statistics().server_moves) < 6:
            await here.download(SIZE // 4)
        nursery.cancel_scope.cancel()
        assert Counting.recalls == 2
        assert Counting.decisions < 20 * moves
        assert len(here.conn.paths) == 2
