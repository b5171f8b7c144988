"""Where the tasks of a transport live: in a nursery that one task of the transport's own holds.

That task is started in a nursery of somebody else's. With `HTTP3Transport(nursery=...)` it is the
application's: then any task may begin, close and leave. Otherwise it is a hidden one in the task
that enters the transport, a `_Shelter`. httpx leaves the transports of a client in the order in
which it entered them, which nurseries cannot be; so transports that are entered one after the other
in one task share a shelter, which closes when the last of them has been left.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import trio

from .._groups import hidden_nursery

_CLOSED: Final = "this HTTP3Transport was closed"
_NO_PLACE: Final = (
    "HTTP3Transport needs a place for its tasks: use `async with` on the client or the transport, "
    "or make it as HTTP3Transport(nursery=...)"
)
_NO_TRIO: Final = "HTTP3Transport works on trio only: run the program by trio.run()"


class _Shelter:
    """A hidden nursery in the task that enters transports."""

    def __init__(self) -> None:
        self._block = hidden_nursery("trioquic.httpx")
        self._task = trio.lowlevel.current_task()
        self._users = 1
        self.nursery: trio.Nursery

    @classmethod
    async def enter(cls) -> "_Shelter":
        """A new one, or that which is the innermost nursery of this task."""
        mine = trio.lowlevel.current_task().child_nurseries
        for shelter in _shelters():
            if mine and shelter.nursery is mine[-1]:
                shelter._users += 1
                return shelter
        shelter = cls()
        shelter.nursery = await shelter._block.__aenter__()
        _shelters().append(shelter)
        return shelter

    @property
    def is_here(self) -> bool:
        """Whether it belongs to the current task."""
        return self._task is trio.lowlevel.current_task()

    def check_innermost(self) -> None:
        """Raises RuntimeError where its last user cannot leave: trio's nurseries are closed from
        the innermost outwards, and one closed out of turn takes the whole run with it."""
        nurseries = self._task.child_nurseries
        if self._users == 1 and self.is_here and nurseries[-1] is not self.nursery:
            raise RuntimeError(
                "this HTTP3Transport cannot be left inside a nursery that was opened after it: it "
                "is still open; leave it after that nursery, or use HTTP3Transport(nursery=...)"
            )

    async def leave(self, error: BaseException | None) -> None:
        """One user less; the last one closes it. `error` is what ends the block."""
        self._users -= 1
        if not self._users:
            _shelters().remove(self)
            traceback = None if error is None else error.__traceback__
            await self._block.__aexit__(type(error) if error else None, error, traceback)


_known: Final = trio.lowlevel.RunVar[list[_Shelter]]("trioquic.httpx shelters")


def _shelters() -> list[_Shelter]:
    try:
        return _known.get()
    except LookupError:
        _known.set([])
        return _known.get()


class Home:
    """The life of one transport. `live` is the block in which it works; its one task enters and
    leaves it."""

    def __init__(
        self, given: trio.Nursery | None, live: Callable[[], AbstractAsyncContextManager[None]]
    ) -> None:
        self._given = given
        self._live = live
        self._shelter: _Shelter | None = None
        self._depth = 0
        self._starting = trio.Lock()
        self._started = False
        self._closing = trio.Event()
        # of the start that is under way, or of the last one
        self._ended: trio.Event | None = None
        self._scope = trio.CancelScope()

    async def enter(self) -> None:
        """Begin, or come in once more. Raises RuntimeError where that cannot work."""
        self._check()
        shelter = self._shelter
        if shelter is not None and not shelter.is_here:
            raise RuntimeError(
                "this HTTP3Transport belongs to the task that entered it; "
                "HTTP3Transport(nursery=...) belongs to none"
            )
        await trio.lowlevel.checkpoint()
        if not self._depth:
            if self._given is not None:
                await self.ensure()
            else:
                self._shelter = await self._start_in_shelter()
        self._depth += 1

    async def _start_in_shelter(self) -> _Shelter:
        shelter = await _Shelter.enter()
        try:
            await self._start(shelter.nursery)
        except BaseException as error:
            await shelter.leave(error)
            raise
        return shelter

    async def ensure(self) -> None:
        """Begin if that has not been done and a nursery is given. Raises RuntimeError where a
        request cannot be made."""
        self._check()
        if self._started:
            return
        if self._given is None:
            raise RuntimeError(_NO_PLACE)
        async with self._starting:
            self._check()
            if not self._started:
                await self._start(self._given)

    def _check(self) -> None:
        if not trio.lowlevel.in_trio_task():
            raise RuntimeError(_NO_TRIO)
        if self._closing.is_set():
            raise RuntimeError(_CLOSED)

    async def _start(self, nursery: trio.Nursery) -> None:
        """Cancelled or failed, nothing has begun, and somebody else may begin."""
        self._check()
        self._scope, self._ended = trio.CancelScope(), trio.Event()
        try:
            await nursery.start(self._run, self._ended)
        except BaseException as error:
            # also where the nursery takes no more tasks
            self._ended.set()
            if isinstance(error, RuntimeError):
                # the task was ended by whoever has closed the transport meanwhile
                self._check()
            raise
        self._started = True
        if self._ended.is_set():
            # as soon as it had begun
            self._closing.set()
        if self._closing.is_set():
            await self._ended.wait()
            self._check()

    async def _run(self, ended: trio.Event, task_status: trio.TaskStatus[None]) -> None:
        try:
            with self._scope:
                async with self._live():
                    task_status.started()
                    await self._closing.wait()
        finally:
            if self._started:
                self._closing.set()
            ended.set()

    async def aclose(self) -> None:
        """End, and wait for it, also while another task begins; from any task. Idempotent;
        cancelled, it ends at once."""
        self._closing.set()
        if self._ended is None:
            return
        try:
            await self._ended.wait()
        except BaseException:
            self._scope.cancel()
            raise

    async def leave(self, error: BaseException | None) -> None:
        """The counterpart of `enter`. The last one ends the transport: at once if `error` does.
        Raises RuntimeError, with the transport as it was, where its nursery cannot be closed."""
        if self._depth == 1 and self._shelter is not None:
            self._shelter.check_innermost()
        self._depth -= 1
        if self._depth:
            await trio.lowlevel.checkpoint()
            return
        shelter, self._shelter = self._shelter, None
        try:
            await self._end(error)
        except BaseException as cancelled:
            if shelter is not None and shelter.is_here:
                await shelter.leave(cancelled)
            raise
        if shelter is None:
            return
        if not shelter.is_here:
            raise RuntimeError(
                "this HTTP3Transport was entered in another task than it is left in: it is closed, "
                "but its nursery is not. HTTP3Transport(nursery=...) can be left in any task"
            )
        await shelter.leave(error)

    async def _end(self, error: BaseException | None) -> None:
        if error is None:
            await self.aclose()
            return
        self._closing.set()
        self._scope.cancel()
        if self._ended is not None:
            with trio.CancelScope(shield=True):
                await self._ended.wait()
