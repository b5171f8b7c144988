"""Cancelling at any await leaks no socket and no task.

A scenario is run again and again and cancelled at its first scheduling step, at its second, and so
on until it gets through. A step is one turn of the scenario's own task, so every checkpoint that it
waits at is hit.
"""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.abc
import trio.testing

import trioquic
from tests.sim_server import NAME, PORT, pattern
from tests.sim_world import World

from .world import dial, get, open_sockets, phone_world

Scenario = Callable[[World], Awaitable[None]]
MOST_STEPS = 2000


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope when its task gets its n-th turn."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.scope = trio.CancelScope()
        self.task: trio.lowlevel.Task | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()


def count_tasks() -> int:
    """All tasks of the program."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    waiting = [root]
    count = 0
    while waiting:
        count += 1
        for nursery in waiting.pop().child_nurseries:
            waiting.extend(nursery.child_tasks)
    return count


async def transfer(world: World) -> None:
    """Everything that a connection does, in one task."""
    async with dial(world) as conn:
        assert await get(conn, 20_000) == pattern(20_000)
        up = await conn.open_send_stream()
        await up.send_all(bytes(20_000))
        await up.aclose()


async def migrate(world: World) -> None:
    async with dial(world, "198.51.100.1") as conn, conn.path_events() as events:
        path = await conn.add_path(interface="wwan0")
        await path.validate()
        await events.receive()
        conn.migrate_to(path)
        await conn.migrate(interface="wlan0")
        await path.aclose()
        assert await get(conn, 3000) == pattern(3000)


async def in_ones_own_nursery(world: World) -> None:
    ca = world.server.options.credentials.ca_pem
    async with trio.open_nursery() as nursery:
        conn = await trioquic.connect(
            nursery, NAME, PORT, alpn=["hq-interop"], tls=trioquic.TLSConfig(ca_data=ca)
        )
        async with conn:
            assert await get(conn, 3000) == pattern(3000)


async def fall_through(world: World) -> None:
    world.net.name("three.example", "2001:db8:9::1", "198.51.100.99", "198.51.100.1")
    transport = trioquic.TransportConfig(handshake_timeout=1.0)
    async with dial(world, "three.example", server_name=NAME, transport=transport) as conn:
        assert await get(conn, 1000) == pattern(1000)


async def drain_in_vain(world: World) -> None:
    async with dial(world) as conn:
        stream = await conn.open_send_stream()
        world.wifi.link.blackhole()
        await stream.send_all(b"unheard")
        await stream.aclose()
        await conn.aclose(3, "done")


async def run_cancelled(scenario: Scenario, instrument: CancelAtStep) -> bool:
    """Whether the scenario was cancelled; nothing of it may be left."""
    async with phone_world() as world:
        before = count_tasks()
        instrument.task = trio.lowlevel.current_task()
        with instrument.scope as scope:
            await scenario(world)
        instrument.task = None
        assert open_sockets(world) == 0
        # the server's tasks of one connection may still be there, ours may not
        ours = [task for task in all_task_names() if "trioquic._runtime" in task]
        assert not ours
        assert count_tasks() <= before + 1
    return scope.cancelled_caught


def all_task_names() -> list[str]:
    root = trio.lowlevel.current_root_task()
    assert root is not None
    waiting = [root]
    names = []
    while waiting:
        task = waiting.pop()
        names.append(task.name)
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)
    return names


@pytest.mark.parametrize(
    "scenario", [transfer, migrate, in_ones_own_nursery, fall_through, drain_in_vain]
)
def test_cancelled_at_every_step(scenario: Scenario) -> None:
    for step in range(1, MOST_STEPS):
        instrument = CancelAtStep(step)
        cancelled = trio.run(
            run_cancelled,
            scenario,
            instrument,
            clock=trio.testing.MockClock(autojump_threshold=0),
            instruments=[instrument],
        )
        if instrument.left > 0:
            assert not cancelled
            assert step > 10
            return
    raise AssertionError("the scenario never got through")
