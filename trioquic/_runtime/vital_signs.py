"""A connection's health, put together from the facts of those who own them.

The core knows since when the server is silent, the driver whether there is a path or an end, and
the supervisor whether the connection could move. Nothing is kept here; whoever changes one of these
facts wakes those who wait (`Reason.HEALTH`).
"""

from typing import Final

import trio

from ..health import ConnectionHealth, HealthState
from .driver import Driver
from .endings import loss_error
from .supervisor.supervisor import Supervisor
from .waiting import Reason

_CLOSING: Final = "the connection is being closed by this side"


def health_of(driver: Driver, supervisor: Supervisor) -> ConnectionHealth:
    """The health now."""
    if driver.notice_sleep():
        driver.flush()
    if driver.over:
        return ConnectionHealth(
            state=HealthState.OVER,
            silent_since=None,
            can_move=False,
            reason=_why_over(driver),
        )
    obstacle = supervisor.obstacle
    can_move = obstacle is None
    hint = "" if obstacle is None else f"; it cannot move: {obstacle}"
    wait = driver.wait
    if wait is not None:
        return ConnectionHealth(
            state=HealthState.WAITING,
            silent_since=wait.since,
            can_move=can_move and not wait.confined,
            reason=f"there is no path: {wait.reason}{'' if wait.confined else hint}",
        )
    since = driver.core.silent_since
    if since <= trio.current_time():
        return ConnectionHealth(
            state=HealthState.SILENT,
            silent_since=since,
            can_move=can_move,
            reason=f"the server has not answered for three PTOs, on any path{hint}",
        )
    return ConnectionHealth(
        state=HealthState.GOOD,
        silent_since=None,
        can_move=can_move,
        reason=f"nothing speaks against it{hint}",
    )


def _why_over(driver: Driver) -> str:
    if driver.broken is not None:
        return str(driver.broken)
    return _CLOSING if driver.end is None else str(loss_error(driver.end, driver.wait))


async def wait_unhealthy(driver: Driver, supervisor: Supervisor) -> ConnectionHealth:
    """Wait until the health is not good. Cancelled, nothing is left behind."""
    await trio.lowlevel.checkpoint()
    while True:
        health = health_of(driver, supervisor)
        if health.state is not HealthState.GOOD:
            return health
        await driver.crowds.wait(Reason.HEALTH)


async def wait_healthy(driver: Driver, supervisor: Supervisor) -> None:
    """Wait until the health is good; raises what ended the connection."""
    await trio.lowlevel.checkpoint()
    while True:
        driver.check_open()
        if health_of(driver, supervisor).state is HealthState.GOOD:
            return
        await driver.crowds.wait(Reason.HEALTH)
