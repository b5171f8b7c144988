"""One network path at work: a task, its socket, and the control behind a public `Path`.

The task reads: one datagram batch after the other until nothing is left, then it sleeps. Sending is
done by whoever flushes the connection; only what the socket does not take at once waits here, one
batch at most, for a second task that lives as long as there is such. So the core keeps the rest,
and a full socket holds back data rather than packets.
"""

import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import fields
from math import inf
from typing import Any, Final, Protocol

import trio

from ..._construction import create
from ..._protocol.lifetime import CoreState
from ..._protocol.path.refusal import PathRefusedError
from ..._protocol.path.state import PathState
from ..._protocol.path.view import PathFigures
from ..._protocol.sending.outgoing import Batch
from ...causes import CloseCause
from ...errors import PathAbandonedError, PathError, PathValidationError
from ...paths import Path, PathStatistics
from ..driver import Driver
from ..endings import path_error
from ..sockets.sockets import DatagramSocket, Received, TooNarrowError

_FIGURES: Final = tuple(field.name for field in fields(PathFigures))
# Bytes read before the connection may answer (acknowledge), and before other tasks get their turn.
_FLUSH_AFTER = 128 << 10
_YIELD_AFTER = 512 << 10
# With several paths they take turns more often, so that none overtakes another by far.
_YIELD_TO_PATHS_AFTER = 64 << 10
# What a datagram costs beside its bytes, so that floods of empty ones count as well
_DATAGRAM_COST = 256
OUTSIDE: Final = "it leads beside a tunnel that has come up"
# Seconds for the last datagram to get into a socket that would block
_LAST_WORDS = 0.5


class Owner(Protocol):
    """Who has the paths of a connection, and the nursery of their tasks: `PathSet`."""

    @property
    def links(self) -> Mapping[int, "PathLink"]: ...
    def spawn(self, task: Callable[..., Awaitable[None]], *args: object) -> None: ...
    def on_socket_error(self, path_id: int, error: OSError) -> None: ...
    def close(self, path_id: int, cause: CloseCause, reason: str = "") -> None: ...
    def migrate_to(self, path: Path) -> None: ...
    def asking(self, link: "PathLink") -> AbstractContextManager[None]: ...


class PathLink:
    """Connects one path of the core with one socket."""

    def __init__(
        self, driver: Driver, owner: Owner, socket: DatagramSocket, path_id: int, anywhere: bool
    ) -> None:
        """`anywhere`: the application opened it, and named no network."""
        self._driver = driver
        self._owner = owner
        self.socket = socket
        # what the socket has still to take, and whether a task waits for that
        self._writing = False
        self._outbox: Batch | None = None
        self._last: PathStatistics | None = None
        # there while somebody waits for the outcome of a validation
        self._settled: trio.Event | None = None
        self._outcome: float | PathError = 0.0
        self._validating = 0
        # somebody else had begun that, who still wants to know
        self._joined = False
        # how long the path has carried the connection, without and with the time since
        self._active_time = 0.0
        self._active_since: float | None = None
        self.path_id = path_id
        self.anywhere = anywhere
        # when it leads beside the tunnel for too long, if nobody has named its network
        self.leave_at = inf
        # what the system has said since the path last answered: no datagram of QUIC's fits
        self.too_narrow = ""
        # Weak, as a handle holds its link: a cycle would wait for a garbage collection.
        self._handle: weakref.ref[Path] | None = None
        socket.tell(self._on_socket_error)

    # -- the tasks -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read until the path is shut: a closed socket ends the task that waits for it. When the
        task is cancelled the socket stays open, for the last words."""
        try:
            while not self.closed:
                # not by a name, which would keep the last datagram for as long as none comes
                self._take(await self.socket.receive())
                self._driver.flush()
        except trio.ClosedResourceError:
            if not self.closed:
                raise

    def _take(self, received: Received | None) -> None:
        """Hand datagrams to the core until none is left, or it is the turn of others."""
        alone = len(self._owner.links) == 1
        budget = _YIELD_AFTER if alone else _YIELD_TO_PATHS_AFTER
        unflushed = 0
        while received is not None and not self.closed:
            self._driver.receive(self.path_id, received)
            cost = len(received.data) + _DATAGRAM_COST
            unflushed += cost
            budget -= cost
            if unflushed >= _FLUSH_AFTER:
                unflushed = 0
                self._driver.flush()
            if budget <= 0:
                break
            received = self.socket.receive_nowait()

    def read_waiting(self) -> None:
        """Take in what waits in the socket; `flush` must follow."""
        if not self.closed:
            self._take(self.socket.receive_nowait())

    async def _write(self) -> None:
        try:
            while self._outbox is not None and not self.closed:
                await self.socket.send(self._outbox)
                self._outbox = None
                self._driver.flush()
        except trio.ClosedResourceError:
            if not self.closed:
                raise
        self._writing = False

    @property
    def handle(self) -> Path:
        """The path as the application sees it: the same object for as long as somebody has it."""
        handle = None if self._handle is None else self._handle()
        if handle is None:
            handle = create(Path, self, self.path_id)
            self._handle = weakref.ref(handle)
        return handle

    # -- for the driver --------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the path is given up and its socket closed."""
        return self._last is not None

    @property
    def awaited(self) -> bool:
        """Whether the application waits for an answer here."""
        return self._validating > 0

    @property
    def blocked(self) -> bool:
        """Whether the socket has still to take a batch."""
        return self._outbox is not None

    def pump(self, now: float) -> None:
        """Send what the core has for this path, as far as the socket takes it."""
        if self.closed:
            return
        core = self._driver.core
        while self._outbox is None:
            batch = core.transmit(self.path_id, now)
            if batch is None:
                return
            if not self.socket.send_nowait(batch):
                self._outbox = batch
                if not self._writing:
                    self._writing = True
                    self._owner.spawn(self._write)

    async def send_last(self, now: float) -> None:
        """Send the closing datagram when the task is gone, and nothing else.

        It may have left the core already and wait for the socket; before that, what waits there is
        data that nobody needs any more."""
        if self.closed:
            return
        core = self._driver.core
        batch = core.transmit(self.path_id, now)
        if batch is None and core.state is CoreState.CLOSING:
            batch = self._outbox
        self._outbox = None
        if batch is not None and not self.socket.send_nowait(batch):
            with trio.CancelScope(shield=True, deadline=now + _LAST_WORDS):
                await self.socket.send(batch)

    def _on_socket_error(self, error: OSError) -> None:
        if self.closed:
            return
        if isinstance(error, TooNarrowError):
            self.too_narrow = str(error.strerror)
        self._owner.on_socket_error(self.path_id, error)

    def shut(self, why: str) -> None:
        """The path is over: remember what was known of it, end the task, close the socket."""
        if self._last is None:
            self._last = self._snapshot(PathState.ABANDONED)
            self.socket.close()
            self.settle(PathAbandonedError(f"the path was closed: {why}"))

    def set_active(self, active: bool) -> None:
        """The connection is on this path from now on, or is not."""
        self._active_time = self._time_active()
        self._active_since = trio.current_time() if active else None

    @property
    def active(self) -> bool:
        """Whether it carries the connection, or did until it was given up."""
        return self._active_since is not None

    def _time_active(self) -> float:
        if self._active_since is None or not trio.lowlevel.in_trio_run():
            return self._active_time
        return self._active_time + trio.current_time() - self._active_since

    def on_failed(self, reason: str) -> None:
        """Validation was given up."""
        way = f"path from {self.socket.local[0]} to {self.socket.remote[0]}"
        self.settle(PathValidationError(f"{way}: {reason}"))

    def wake(self) -> None:
        """Wake who waits for the validation: there will be no outcome."""
        if self._settled is not None:
            self._settled.set()

    def settle(self, outcome: float | PathError) -> None:
        """A challenge was answered after so many seconds, or will not be."""
        self._outcome = outcome
        self.wake()
        self._settled = None

    def on_outside(self, leave_at: float, *, muted: bool) -> None:
        """When the path leads beside the tunnel for too long: it is not asked or moved to after
        that. `muted`: the server is not answered there any more, nor asked, unless the application
        waits for that."""
        self.leave_at = leave_at
        self._driver.core.mute(self.path_id, muted)
        if muted:
            # nor does it go on for the supervisor when the application waits no longer
            self._joined = False
        if muted and not self.awaited:
            self._driver.core.stop_validation(self.path_id)

    def leave_outside(self) -> None:
        """It leads beside a tunnel that has had its time: nobody is asked here any more."""
        self._driver.core.stop_validation(self.path_id)
        self.on_failed(OUTSIDE)

    @property
    def outside_for_long(self) -> bool:
        """Whether nothing may go out here any more, as it is beside a tunnel that has come up."""
        return trio.current_time() >= self.leave_at

    # -- for the public handle -------------------------------------------------------------------

    async def validate(self) -> float:
        """Challenge and wait; see `Path.validate`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._driver.life.check_open()
        if self.closed:
            raise PathAbandonedError("the path was closed")
        if self.outside_for_long:
            raise PathValidationError(OUTSIDE)
        core = self._driver.core
        if not self._validating:
            self._joined = core.path_view(self.path_id).validating
        try:
            core.validate(self.path_id, trio.current_time())
        except PathRefusedError as refused:
            raise path_error(refused) from None
        self._validating += 1
        try:
            if self._settled is None:
                self._settled = trio.Event()
            settled = self._settled
            self._driver.flush()
            with self._owner.asking(self):
                await settled.wait()
        finally:
            self._validating -= 1
            wanted = self._validating or self._joined
            if not wanted and not self.closed and not self._driver.life.over:
                # Without effect when it has come to its end.
                core.stop_validation(self.path_id)
        self._driver.life.check_open()
        if isinstance(self._outcome, PathError):
            raise type(self._outcome)(*self._outcome.args)
        return self._outcome

    def migrate(self) -> None:
        """Move the connection here; see `Path.migrate`."""
        self._owner.migrate_to(self.handle)

    def close(self) -> None:
        """Give the path up; see `Path.aclose`."""
        self._owner.close(self.path_id, CloseCause.APPLICATION)

    def statistics(self) -> PathStatistics:
        """A snapshot; of a closed path the last one."""
        return self._snapshot() if self._last is None else self._last

    def _snapshot(self, state: PathState | None = None) -> PathStatistics:
        """What is known now; `state` where that is other than the core's."""
        view = self._driver.core.path_view(self.path_id)
        socket = self.socket
        figures: dict[str, Any] = {name: getattr(view, name) for name in _FIGURES}
        figures["state"] = state or view.state
        return PathStatistics(
            **figures,
            local=socket.local,
            remote=socket.remote,
            interface=socket.interface,
            time_active=self._time_active(),
            datagrams_dropped=socket.datagrams_dropped,
            socket_errors=socket.errors,
            last_socket_error=None if socket.last_error is None else str(socket.last_error),
        )
