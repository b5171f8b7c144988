"""Tasks that wait for something to happen, to a numbered stream or to the connection.

The core's state is the truth and a wake-up only says "look again", so waiting costs nothing while
nobody waits, and what nobody waits for leaves nothing behind. Checking the state and going to sleep
happen without a checkpoint between them, so no wake-up is missed.
"""

from enum import Enum, auto

import trio


class Reason(Enum):
    """What any number of tasks may wait for."""

    INCOMING = auto()
    """The server opens a stream."""
    BIDIRECTIONAL = auto()
    """The server allows one more stream that goes both ways."""
    UNIDIRECTIONAL = auto()
    """The server allows one more stream that goes one way."""
    ARRIVED = auto()
    """Data of a stream is acknowledged."""
    DATAGRAM = auto()
    """A datagram of the server's has come."""
    SETTLED = auto()
    """It is known what became of a datagram."""
    SPARE_ID = auto()
    """The server gives a connection ID."""
    HEALTH = auto()
    """The connection's health has changed."""
    PATHS = auto()
    """Something has happened to a path."""


class EventWaiters:
    """The tasks that wait for a `Reason`, first come first served."""

    __slots__ = ("_lots",)

    def __init__(self) -> None:
        self._lots: dict[Reason, trio.lowlevel.ParkingLot] = {}

    async def wait(self, reason: Reason) -> None:
        """Sleep until woken. Cancelled, it leaves nothing behind."""
        lot = self._lots.get(reason)
        if lot is None:
            lot = self._lots[reason] = trio.lowlevel.ParkingLot()
        try:
            await lot.park()
        finally:
            if not lot and self._lots.get(reason) is lot:
                del self._lots[reason]

    def anybody(self, reason: Reason) -> bool:
        """Whether a task waits for this."""
        return reason in self._lots

    def wake_one(self, reason: Reason) -> None:
        """Wake the task that has waited longest, if there is one."""
        lot = self._lots.get(reason)
        if lot is not None:
            lot.unpark()

    def wake(self, reason: Reason) -> None:
        """Wake all that wait for this."""
        lot = self._lots.get(reason)
        if lot is not None:
            lot.unpark_all()

    def wake_all(self) -> None:
        """Wake every task."""
        for lot in self._lots.values():
            lot.unpark_all()


class StreamWaiters:
    """At most one sleeping task for each stream; who may sleep is the caller's business."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: dict[int, trio.lowlevel.Task] = {}

    async def wait(self, number: int) -> None:
        """Sleep until `wake(number)`. Cancelled, it leaves nothing behind."""
        assert number not in self._tasks
        self._tasks[number] = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._tasks[number]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def wake(self, number: int) -> None:
        """Wake the task that waits for this number, if there is one."""
        task = self._tasks.pop(number, None)
        if task is not None:
            trio.lowlevel.reschedule(task)

    def wake_all(self) -> None:
        """Wake every task."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            trio.lowlevel.reschedule(task)
