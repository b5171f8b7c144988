"""Cancelling an operation at every moment at which it can be cancelled.

Trio's run loop takes one step of one task after the other, and what a task can be cancelled at is
the state of the world between two steps. So a `Cut` counts the steps of all tasks, not only those
of the task under test, and cancels its block after the n-th: that hits each checkpoint where the
task sleeps, each change that others make while it sleeps there, and the moment when it was woken
and has not yet run. `sweep` runs a case with n = 0, 1, 2, ... until it came through uncut. The
simulated network seeds trio's scheduler, so that the same n is the same moment each time.

A `Bench` is a simulated world that knows what was there before, and can say what was left behind.
"""

import itertools
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import trio
import trio.abc
from aioquic.quic.packet import QuicErrorCode

import trioquic
from tests import series, sim_server
from tests.runtime.world import phone_world
from tests.sim_server import ServerConnection, ServerOptions
from tests.sim_world import World
from tests.simulation.chance import seeded_randomness
from trioquic.testing import SimulatedSocket

RUNTIME = str(Path(trioquic.__file__).parent / "_runtime")


def in_runtime(folder: str) -> bool:
    """Whether a file of this folder is the runtime's."""
    return folder == RUNTIME or folder.startswith(f"{RUNTIME}/")


# Virtual seconds in which the server has forgotten a connection that it was told the end of
SETTLED = 5.0
# and one that it was told nothing about
FORGOTTEN = 100.0
MOST_STEPS = 5_000
MANY = 15
# An application's code 0; before the handshake is complete it must not say more than that it was
# the application (RFC 9000 section 10.2.3).
CLOSED = (0, QuicErrorCode.APPLICATION_ERROR)

BY_HAND = trioquic.MigrationPolicy(automatic=False)
"""Where the supervisor would only be in the way."""

Place = tuple[str, int]
"""A file of the runtime and a line in it where a task waits."""


class PlantedError(Exception):
    """What an application might raise."""


def all_tasks() -> set[trio.lowlevel.Task]:
    """Every task of this run."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    found = {root}
    waiting = [root]
    while waiting:
        for nursery in waiting.pop().child_nurseries:
            found |= nursery.child_tasks
            waiting.extend(nursery.child_tasks)
    return found


class Cut(trio.abc.Instrument):
    """A block that is cancelled after `at` task steps, whoever takes them; 0: before it begins.

    An `action` that is set in time is called instead, between two steps as well: it is what a task
    might do that happens to be scheduled just there. `with cut.later():` counts from `arm()` on.
    """

    def __init__(self, at: int) -> None:
        self.at = at
        self.fired = False
        self.time = math.inf
        self.places: set[Place] = set()
        # also before the cut
        self.watches = False
        self._scope = trio.CancelScope()
        self.action: Callable[[], object] = self._scope.cancel
        self._left = at
        self._armed = False
        self._later = False

    @property
    def caught(self) -> bool:
        """Whether the block was ended by the cut."""
        return self._scope.cancelled_caught

    def later(self) -> Self:
        """Do not begin to count with the block."""
        self._later = True
        return self

    def arm(self) -> None:
        """Begin to count."""
        self._armed = True
        trio.lowlevel.add_instrument(self)
        if self.at == 0:
            self._fire()

    def __enter__(self) -> Self:
        self._scope.__enter__()
        if not self._later:
            self.arm()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self._armed:
            trio.lowlevel.remove_instrument(self)
        return self._scope.__exit__(kind, value, traceback)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left == 0:
            for other in all_tasks():
                self._note_places(other)
            self._fire()
        elif self._left < 0 or self.watches:
            self._note_places(task)

    def _fire(self) -> None:
        self.fired = True
        self.time = trio.current_time()
        self.action()

    def _note_places(self, task: trio.lowlevel.Task) -> None:
        if task.coro.cr_frame is None:
            return
        for frame, line in task.iter_await_frames():
            folder, _, name = frame.f_code.co_filename.rpartition("/")
            if in_runtime(folder):
                self.places.add((name, line))


async def sweep(
    case: Callable[[Cut], Awaitable[None]], *, least: int, every: int | None = None
) -> set[Place]:
    """Run the case with a cut after 0, 1, 2, ... steps until the cut came too late; or after every
    so many steps. Where there are `MANY`, `make test` takes every third and `make series` each.

    Fewer than `least` moments mean that the case does not do what it is meant to. Returns where the
    tasks of the runtime were waiting when they were cancelled, and after that.
    """
    places: set[Place] = set()
    if every is None:
        every = 3 if least >= MANY and not series.all_of_them else 1
    for at in itertools.count(0, every):
        assert at < MOST_STEPS
        cut = Cut(at)
        try:
            await case(cut)
        except BaseException as error:
            error.add_note(f"with a cut after {at} steps")
            raise
        places |= cut.places
        if not cut.fired:
            assert not cut.caught
            assert at >= least, f"only {at} moments to cut at"
            return places
    raise AssertionError


class Sockets(trio.abc.SocketFactory):
    """Remembers every socket that is made from now on, bound or not."""

    def __init__(self) -> None:
        self._made: list[SimulatedSocket] = []
        inner = trio.socket.set_custom_socket_factory(self)
        assert inner is not None
        self._inner = inner

    def socket(self, *arguments: Any, **more: Any) -> trio.socket.SocketType:
        sock = self._inner.socket(*arguments, **more)
        assert isinstance(sock, SimulatedSocket)
        self._made.append(sock)
        return sock

    @property
    def open(self) -> list[SimulatedSocket]:
        """Those that are not closed."""
        found = []
        for sock in self._made:
            try:
                sock.getsockname()
            except OSError:
                continue
            found.append(sock)
        return found


class AttentiveQuic(sim_server._Quic):
    """Remembers the datagram that told it the end."""

    last_words: bytes | None = None

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.sources: set[tuple[str, int]] = set()

    def receive_datagram(self, data: bytes, addr: Any, now: float) -> None:
        was_open = self._close_event is None
        super().receive_datagram(data, addr, now)
        self.sources.add(addr[:2])
        if was_open and self._close_event is not None:
            self.last_words = data


class OneSpareId(AttentiveQuic):
    """Hands out one spare connection ID at a time."""

    def _replenish_connection_ids(self) -> None:
        self._remote_active_connection_id_limit = 2
        super()._replenish_connection_ids()


class Bench:
    """A world before anything was opened, and what it is compared with later."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sockets = Sockets()
        self._before = all_tasks()

    @property
    def server(self) -> ServerConnection:
        """The server's end of the newest connection."""
        return self.world.server.connections[-1]

    def nothing_open(self) -> None:
        """Our side has closed every socket and ended every task."""
        assert self.sockets.open == []
        ours = [t.name for t in all_tasks() - self._before if t.name.startswith("trioquic.")]
        assert ours == []

    async def nothing_left(self, code: int = 0) -> None:
        """The same, and the server has nothing left either: it was told, with one datagram for
        each attempt, of which a race makes at most one over each network.

        `code` is what the application may have closed with, instead of 0."""
        self.nothing_open()
        await trio.sleep(SETTLED)
        assert [t.name for t in all_tasks() ^ self._before] == []
        connections = self.world.server.connections
        assert len(connections) <= len(self.world.phone.interfaces)
        for connection in connections:
            quic = connection.quic
            assert isinstance(quic, AttentiveQuic)
            assert connection.terminated is not None
            sent = self._sent_beside([other for other in connections if other is not connection])
            # Nothing follows the closing datagram, on no path; so there is no second one.
            assert sent[-1] == quic.last_words
            # When the first datagram was still in the queue, the last one is all the server gets,
            # and aioquic calls a beginning without CRYPTO a violation.
            violation = () if len(sent) > 1 else (QuicErrorCode.PROTOCOL_VIOLATION,)
            codes = (code, *CLOSED, *violation)
            assert connection.terminated.error_code in codes, connection.terminated

    def _sent_beside(self, others: list[ServerConnection]) -> list[bytes | None]:
        """What went to the server, but from where these connections came."""
        theirs: set[tuple[str, int]] = set()
        for other in others:
            assert isinstance(other.quic, AttentiveQuic)
            theirs |= other.quic.sources
        addresses = self.world.server_interface.addresses
        return [
            record.payload
            for record in self.world.record.records
            if record.host == "phone"
            and record.destination[0] in addresses
            and record.source not in theirs
        ]

    async def nothing_left_in_the_end(self) -> None:
        """The same, where there may have been no path on which to tell the server."""
        self.nothing_open()
        await trio.sleep(FORGOTTEN)
        assert all_tasks() == self._before


@asynccontextmanager
async def bench(
    options: ServerOptions | None = None, *, quic: type[AttentiveQuic] = AttentiveQuic
) -> AsyncIterator[Bench]:
    """A fresh world, with the phone as the current host; both sides' chance is the same each time,
    so that the same n is the same moment."""
    with pytest.MonkeyPatch.context() as patch, seeded_randomness("bench"):
        patch.setattr(sim_server, "_Quic", quic)
        async with phone_world(options) as world:
            yield Bench(world)
