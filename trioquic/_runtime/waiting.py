"""Tasks that wait for something to happen to a numbered stream: one a direction, woken by events.

The core's state is the truth and a wake-up only says "look again", so waiting costs nothing while
nobody waits, and a stream that nobody waits for leaves nothing behind. Checking the state and going
to sleep happen without a checkpoint between them, so no wake-up is missed.
"""

import trio


class Waiters:
    """At most one sleeping task for each number; who may sleep is the caller's business."""

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
