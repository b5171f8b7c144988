"""What is kept beside a tunnel that has come up says nothing there, whoever asks.

A path stays for its connection ID, or because the application has opened it; a server that keeps to
RFC 9000 section 9.3.3 challenges the path that was active before; and who waits for a connection ID
has chosen a network before the tunnel was there.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests import sim_server
from tests.runtime.test_waiting_for_ids import Resting
from tests.sim_server import PORT, ServerOptions
from tests.sim_world import PREFERRED
from trioquic import MigrationPolicy, Refusal
from trioquic.testing import Interface

from .phone import Phone
from .test_stuck import Sparing
from .test_tunnel import phone_with_vpn

LIVE = trioquic.TransportConfig(keep_alive=0.2)
TO_ENTER = 1.0


class Careful(Sparing):
    """Validates the path that was active before (section 9.3.3)."""

    def receive_datagram(self, data: bytes, addr: Any, now: float) -> None:
        before = self._network_paths[0] if self._network_paths else None
        super().receive_datagram(data, addr, now)
        if before in self._network_paths[1:]:
            doubt(before)


def doubt(path: Any) -> None:
    path.is_validated = path.local_challenge_sent = False


def too_late(here: Phone, since: float) -> list[tuple[str, float]]:
    """What left the phone beside the tunnel after its second."""
    records = here.world.record.select(host="phone")
    late = [r for r in records if r.interface != "tun0" and r.time > since + TO_ENTER + 0.02]
    return [(record.interface, record.time - since) for record in late]


@pytest.mark.parametrize("ids", [2, 3, 8])
@pytest.mark.parametrize("dead", [0.0, 1.5, 10.0])
async def test_the_path_before_is_challenged_when_the_tunnel_is_entered(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, ids: int, dead: float
) -> None:
    """It was kept, as its connection ID was the last one but one."""
    monkeypatch.setattr(sim_server, "_Quic", Careful)
    monkeypatch.setattr(Careful, "ids", ids)
    async with phone_with_vpn(up=False, transport=LIVE) as (here, tunnel):
        await trio.sleep(5)
        if dead:
            tunnel.link.blackhole()
        up = trio.current_time()
        tunnel.up()
        await trio.sleep(dead)
        tunnel.link.restore()
        await trio.sleep(5)
        assert here.conn.in_tunnel
        assert too_late(here, up) == []


@pytest.mark.parametrize("gone", [False, True])
async def test_a_path_that_waits_outside_is_challenged(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    """The server forbids to move, and the connection waits for the tunnel to go again. When it has
    gone, the server is answered."""
    monkeypatch.setattr(sim_server, "_Quic", Careful)
    options = ServerOptions(disable_active_migration=True)
    policy = MigrationPolicy(return_grace=60.0)
    async with phone_with_vpn(up=False, options=options, migration=policy, transport=LIVE) as (
        here,
        tunnel,
    ):
        await trio.sleep(5)
        up = trio.current_time()
        tunnel.up()
        await trio.sleep(5)
        if gone:
            assert too_late(here, up) == []
            tunnel.down()
            await here.conn.wait_healthy()
        server = here.world.server.connections[-1]
        doubt(server.quic._network_paths[0])
        server.flush()
        await trio.sleep(5)
        (path,) = here.conn.paths
        now = path.statistics()
        if gone:
            assert (now.responses_sent, now.responses_dropped) == (1, 0)
            await here.download(10_000)
        else:
            assert too_late(here, up) == []
            assert now.responses_sent == 0 < now.responses_dropped


@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.parametrize("validated", [False, True])
async def test_an_unnamed_path_is_not_used_after_its_second(
    autojump_clock: trio.testing.MockClock, validated: bool, dead: bool
) -> None:
    async with phone_with_vpn(up=False, transport=LIVE) as (here, tunnel):
        await trio.sleep(5)
        path = await here.conn.add_path()
        if validated:
            await path.validate()
        if dead:
            tunnel.link.blackhole()
        up = trio.current_time()
        tunnel.up()
        await trio.sleep(5)
        with pytest.raises(trioquic.PathValidationError, match="beside a tunnel"):
            await path.validate()
        with pytest.raises(trioquic.MigrationNotAllowedError, match="beside a tunnel") as caught:
            path.migrate()
        assert caught.value.refusal is Refusal.POLICY
        await trio.sleep(5)
        assert too_late(here, up) == []
        tunnel.down()
        tunnel.up()
        named = await here.conn.add_path(interface="wlan0")
        await named.validate()


@pytest.mark.parametrize("how", ["migrate", "add_path"])
@pytest.mark.parametrize(("rest", "wait"), [(0.9, 0.05), (1.2, 0.5), (2.5, 2.0)])
async def test_who_waits_for_a_connection_id_goes_into_the_tunnel_with_it(
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    rest: float,
    wait: float,
    how: str,
) -> None:
    """No network was named, so it is the one that the system uses when there is an ID."""
    monkeypatch.setattr(sim_server, "_Quic", Resting)
    monkeypatch.setattr(Resting, "rest", rest)
    policy = MigrationPolicy(standby=0)
    async with phone_with_vpn(up=False, migration=policy, transport=LIVE) as (here, tunnel):
        await trio.sleep(5)
        while here.conn.statistics().spare_peer_ids:
            await (await here.conn.add_path(interface="wwan0")).aclose()
        made: list[trioquic.Path] = []

        async def by_hand() -> None:
            made.append(await getattr(here.conn, how)())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(by_hand)
            await trio.sleep(wait)
            up = trio.current_time()
            tunnel.up()
        assert made[0].local[0] == "10.8.0.2"
        await trio.sleep(5)
        assert here.conn.in_tunnel
        assert too_late(here, up) == []


async def test_the_second_passes_also_while_a_connection_id_is_waited_for(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application takes the one that the supervisor wanted, for a path into the tunnel too; and
    when that has answered the connection goes there."""
    monkeypatch.setattr(sim_server, "_Quic", Resting)
    monkeypatch.setattr(Resting, "rest", 1e6)
    policy = MigrationPolicy(standby=0)
    async with phone_with_vpn(up=False, migration=policy, transport=LIVE) as (here, tunnel):
        await trio.sleep(5)
        while here.conn.statistics().spare_peer_ids > 1:
            await (await here.conn.add_path(interface="wwan0")).aclose()
        up = trio.current_time()
        tunnel.up()
        path = await here.conn.add_path(interface="tun0")
        await path.validate()
        await trio.sleep(5)
        assert too_late(here, up) == []
        assert here.conn.active_path is path


@pytest.mark.parametrize("outside", [0.0, 0.05, 0.9, 5.0])
async def test_a_path_without_a_name_does_not_stand_in_for_a_named_one(
    autojump_clock: trio.testing.MockClock, outside: float
) -> None:
    """The application has opened it without one, so it is left for the tunnel, and later may not
    even be asked; by its address the network may be used."""
    async with phone_with_vpn(up=False) as (here, tunnel):
        kept = await here.conn.add_path()
        await kept.validate()
        tunnel.up()
        await trio.sleep(outside)
        if outside > TO_ENTER:
            with pytest.raises(trioquic.PathValidationError):
                await kept.validate()
        path = await here.conn.migrate(local=kept.local[0])
        assert path is not kept
        await here.download(5000)
        await trio.sleep(5)
        assert here.conn.active_path is path


@asynccontextmanager
async def asked_by_the_supervisor() -> AsyncIterator[tuple[Phone, Interface, trioquic.Path]]:
    """The path in use is silent, and so the supervisor asks on one that the application opened
    and named no network for."""
    async with phone_with_vpn(up=False, transport=LIVE) as (here, tunnel):
        await trio.sleep(1)
        path = await here.conn.add_path()
        await path.validate()
        here.world.wifi.link.blackhole()
        await trio.sleep(0.7)
        yield here, tunnel, path


async def test_what_the_supervisor_asks_on_an_unnamed_path_ends_when_a_tunnel_comes_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The path is the application's and stays; it was asked as the one in use is silent."""
    async with asked_by_the_supervisor() as (here, tunnel, path):
        up = trio.current_time()
        tunnel.up()
        await trio.sleep(10)
        assert path in here.conn.paths
        assert too_late(here, up) == []


@pytest.mark.parametrize("patience", [0.02, 0.3, 0.9])
async def test_nobody_asks_there_for_one_who_was_cancelled(
    autojump_clock: trio.testing.MockClock, patience: float
) -> None:
    """The application joins what the supervisor asks on its path, and gives up after the tunnel
    has come up."""
    async with asked_by_the_supervisor() as (here, tunnel, path):
        up = trio.current_time()
        with trio.move_on_after(patience) as scope:
            tunnel.up()
            await path.validate()
        assert scope.cancelled_caught
        await trio.sleep(10)
        assert too_late(here, up) == []


@pytest.mark.parametrize("after", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("asked", ["by the supervisor, too", "by nobody else"])
async def test_who_asks_beside_a_tunnel_that_is_there_gets_no_second_of_its_own(
    autojump_clock: trio.testing.MockClock, after: float, asked: str
) -> None:
    async with phone_with_vpn(up=False, transport=LIVE) as (here, tunnel):
        await trio.sleep(1)
        path = await here.conn.add_path()
        if asked == "by the supervisor, too":
            await path.validate()
        here.world.wifi.link.blackhole()
        if asked == "by the supervisor, too":
            await trio.sleep(0.7)
        up = trio.current_time()
        tunnel.up()
        await trio.sleep(after)
        with pytest.raises(trioquic.PathValidationError, match="beside a tunnel"):
            await path.validate()
        assert trio.current_time() <= up + TO_ENTER + 0.02
        await trio.sleep(5)
        assert too_late(here, up) == []


async def test_a_path_to_the_address_that_the_server_has_left_is_beside_the_tunnel_as_well(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The connection is in the tunnel at the preferred address, which answered before, and hears
    nothing there; then the network of the first path is back."""
    options = ServerOptions(preferred_ipv4=(PREFERRED, PORT))
    async with phone_with_vpn(up=False, options=options, transport=LIVE) as (here, tunnel):
        path = await here.conn.add_path(server=(PREFERRED, PORT))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(path.validate)
            await trio.sleep(0.045)
            tunnel.link.blackhole()
            up = trio.current_time()
            tunnel.up()
        await path.aclose()
        await trio.sleep(0.1)
        here.world.wifi.down()
        await here.until(trioquic.Migrated)
        (moved,) = here.heard(trioquic.Migrated)
        assert moved.new.remote == (PREFERRED, PORT)
        here.world.wifi.up()
        await trio.sleep(5)
        assert too_late(here, up) == []
