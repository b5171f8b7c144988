"""What an idle connection costs in an hour: the keep-alives that were configured, and no more.

Every datagram of the phone is counted, by network. A challenge of the standby path costs one there,
and one on the active path that acknowledges the answer (PATH_RESPONSE elicits an acknowledgement,
and an ACK on the standby path would move the connection). Now and then aioquic adds a PING to an
acknowledgement, which costs an acknowledgement of its own; those are counted at the server.
"""

import math
from typing import Any

import pytest
import trio
import trio.testing

import trioquic
from tests import sim_server
from tests.sim_server import ServerOptions
from tests.sim_world import World

from .phone import phone

HOUR = 3600.0
PATIENT = ServerOptions(idle_timeout=10 * HOUR)


@pytest.fixture
def pings(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the server sent a PING."""
    sent: list[float] = []
    write = sim_server._Quic._write_ping_frame

    def counting(*arguments: Any, **more: Any) -> None:
        sent.append(trio.current_time())
        write(*arguments, **more)

    monkeypatch.setattr(sim_server._Quic, "_write_ping_frame", counting)
    return sent


async def an_hour(
    policy: trioquic.MigrationPolicy,
    pings: list[float],
    *,
    keep_alive: float = 0.0,
    metered: bool = True,
) -> tuple[int, int]:
    """Datagrams that the phone sent over Wi-Fi and cellular, in an hour without any use; without
    those that only acknowledge a PING."""
    transport = trioquic.TransportConfig(idle_timeout=0.0, keep_alive=keep_alive)

    def prepare(world: World) -> None:
        world.cellular.down()
        world.cellular.metered = metered
        world.cellular.up()

    async with phone(options=PATIENT, policy=policy, transport=transport, prepare=prepare) as here:
        await here.download(10_000)
        await trio.sleep(30)
        assert len(here.conn.paths) == 1 + policy.standby
        before = trio.current_time()
        await trio.sleep(HOUR)
        counts = [
            len(here.world.record.select(host="phone", interface=name, since=before))
            for name in ("wlan0", "wwan0")
        ]
        asked = sum(1 for at in pings if at >= before)
        # it is alive, also the standby
        assert await here.download(10_000) < 1.0
        here.world.wifi.down()
        assert await here.download(10_000) < 1.0
        return counts[0] - asked, counts[1]


@pytest.mark.parametrize("standby", [0, 1])
async def test_nothing_is_sent_where_nothing_was_configured(
    autojump_clock: trio.testing.MockClock, pings: list[float], standby: int
) -> None:
    """Neither for the connection, nor for a standby on a metered network."""
    assert await an_hour(trioquic.MigrationPolicy(standby=standby), pings) == (0, 0)


@pytest.mark.parametrize("standby", [0, 1])
@pytest.mark.parametrize("keep_alive", [15.0, 30.0])
async def test_keep_alives_only(
    autojump_clock: trio.testing.MockClock, pings: list[float], keep_alive: float, standby: int
) -> None:
    """One PING after each silence of that length; its answer begins the next one."""
    policy = trioquic.MigrationPolicy(standby=standby)
    period = keep_alive + 0.05
    (wifi, cellular) = await an_hour(policy, pings, keep_alive=keep_alive)
    assert wifi in (math.floor(HOUR / period), math.ceil(HOUR / period))
    assert cellular == 0


@pytest.mark.parametrize("metered", [False, True])
@pytest.mark.parametrize("interval", [25.0, 600.0])
async def test_a_standby_costs_its_challenges(
    autojump_clock: trio.testing.MockClock, pings: list[float], interval: float, metered: bool
) -> None:
    policy = trioquic.MigrationPolicy(
        standby_interval=math.inf if metered else interval,
        metered_standby_interval=interval if metered else math.inf,
    )
    period = interval + 0.08
    challenges = math.floor(HOUR / period), math.ceil(HOUR / period)
    (wifi, cellular) = await an_hour(policy, pings, metered=metered)
    assert cellular in challenges
    assert wifi == cellular


async def test_a_standby_and_keep_alives_do_not_add_up(
    autojump_clock: trio.testing.MockClock,
    pings: list[float],
) -> None:
    """The standby's challenges come more often than the keep-alive, so that there is no silence."""
    policy = trioquic.MigrationPolicy(standby_interval=25.0)
    (wifi, cellular) = await an_hour(policy, pings, keep_alive=30.0, metered=False)
    assert cellular in (143, 144)
    assert wifi == cellular
