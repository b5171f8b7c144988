"""A connection's health and its counters, put together from the facts of those who own them.

The core knows since when the server is silent, the driver whether there is a path or an end, and
the supervisor whether the connection could move. Nothing is kept here; whoever changes one of these
facts wakes those who wait (`Reason.HEALTH`).
"""

from dataclasses import asdict

import trio

from ..health import ConnectionHealth, HealthState
from ..statistics import ConnectionStatistics
from .driver import Driver
from .paths.path_set import PathSet
from .supervisor.supervisor import Supervisor
from .waiting import Reason


def health_of(driver: Driver, supervisor: Supervisor) -> ConnectionHealth:
    """The health now."""
    if driver.notice_sleep():
        driver.flush()
    life = driver.life
    if life.over:
        return ConnectionHealth(
            state=HealthState.OVER, silent_since=None, can_move=False, reason=str(life.refusal)
        )
    obstacle = supervisor.obstacle
    can_move = obstacle is None
    hint = "" if obstacle is None else f"; it cannot move: {obstacle}"
    since: float | None = driver.core.silent_since
    if life.wait is not None:
        state, since = HealthState.WAITING, life.wait.since
        reason = f"there is no path: {life.wait.reason}"
        if life.wait.confined:
            can_move, hint = False, ""
    elif driver.core.silent_since <= trio.current_time():
        state = HealthState.SILENT
        reason = "the server has not answered for three PTOs, on any path"
    else:
        state, since = HealthState.GOOD, None
        reason = "nothing speaks against it"
    return ConnectionHealth(
        state=state, silent_since=since, can_move=can_move, reason=f"{reason}{hint}"
    )


async def wait_unhealthy(driver: Driver, supervisor: Supervisor) -> ConnectionHealth:
    """Wait until the health is not good. Cancelled, nothing is left behind."""
    await trio.lowlevel.checkpoint()
    while (health := health_of(driver, supervisor)).state is HealthState.GOOD:
        await driver.waiters.wait(Reason.HEALTH)
    return health


async def wait_healthy(driver: Driver, supervisor: Supervisor) -> None:
    """Wait until the health is good; raises what ended the connection."""
    await trio.lowlevel.checkpoint()
    driver.life.check_open()
    while health_of(driver, supervisor).state is not HealthState.GOOD:
        await driver.waiters.wait(Reason.HEALTH)
        driver.life.check_open()


def statistics_of(driver: Driver, paths: PathSet) -> ConnectionStatistics:
    """A snapshot of all counters."""
    datagrams = driver.core.datagrams
    return ConnectionStatistics(
        **asdict(driver.core.statistics()),
        datagrams_sent=datagrams.sent,
        datagrams_received=datagrams.received,
        datagrams_lost=datagrams.lost,
        datagrams_dropped_sending=datagrams.dropped_sending,
        datagrams_dropped_receiving=datagrams.dropped_receiving,
        path_events_dropped=paths.news.broadcast.dropped,
        paths=tuple(path.statistics() for path in paths.handles),
    )
