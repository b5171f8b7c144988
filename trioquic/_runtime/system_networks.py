"""The operating system as a source of networks: ifaddr's snapshot, a trigger to look again.

Waiting for a change subscribes first and looks afterwards, and compares with what there was when
the task's last wait ended. So a change is found whenever it comes, between two waits as well.
The first change after a quiet time is reported at once, because a connection may hang on it; then
looks are spaced, so that a burst of messages (one cable makes dozens) costs a few looks only.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Final
from weakref import WeakKeyDictionary

import ifaddr
import trio

from ..networks import Interface, NetworkSource
from .adapters import Adapter, AdapterReader, reader_for
from .change_triggers import Trigger, open_trigger

# A handover has 50 ms for everything that is not a round trip; a look takes about 1 ms.
_BETWEEN_LOOKS: Final = 0.02
_POLLING_INTERVAL: Final = 2.0

Snapshot = tuple[Interface, ...]


def _list_adapters() -> Iterable[Adapter]:
    return ifaddr.get_adapters(include_unconfigured=True)


class SystemNetworks:
    """The interfaces of the operating system. The arguments are seams."""

    def __init__(
        self,
        list_adapters: Callable[[], Iterable[Adapter]] = _list_adapters,
        reader: AdapterReader | None = None,
        trigger: Callable[[], Trigger] | None = None,
    ) -> None:
        self._list_adapters = list_adapters
        self._reader = reader or reader_for(sys.platform)
        self._open_trigger = trigger or _system_trigger
        self._last: Snapshot = ()
        # Each task has its own place, so that none takes away another's change.
        self._seen: WeakKeyDictionary[trio.lowlevel.Task, Snapshot] = WeakKeyDictionary()

    def snapshot(self) -> Snapshot:
        """The interfaces as they are now."""
        current = self._look()
        if trio.lowlevel.in_trio_task():
            self._seen.setdefault(trio.lowlevel.current_task(), current)
        return current

    async def wait_changed(self) -> None:
        """Wait until the interfaces differ from what they were when this task's last wait ended
        (before the first: at its first snapshot, or now), or a default route comes or goes.

        Cancelled, nothing is lost: the next call finds the change.
        """
        task = trio.lowlevel.current_task()
        trigger = self._open_trigger()
        try:
            # Not before the trigger is open: what changes from now on is heard or seen.
            current = self._look()
            known = self._seen.setdefault(task, current)
            if current != known:
                await trio.lowlevel.checkpoint()
            else:
                await self._wait_for_other(known, trigger)
        finally:
            trigger.close()
        self._seen[task] = self._last

    async def _wait_for_other(self, known: Snapshot, trigger: Trigger) -> None:
        while True:
            next_look = trio.current_time() + _BETWEEN_LOOKS
            news = await trigger.wait()
            await trio.sleep_until(next_look)
            if self._look() != known or news:
                return

    def _look(self) -> Snapshot:
        try:
            self._last = self._reader.read(self._list_adapters())
        except (OSError, ValueError, AssertionError):
            # Out of descriptors or memory, an interface that vanished under the hand, an address
            # without a netmask, which ifaddr asserts: the last answer stands.
            pass
        return self._last


def _system_trigger() -> Trigger:
    return open_trigger(sys.platform, _POLLING_INTERVAL)


def system_networks() -> NetworkSource:
    """The interfaces of this machine, read anew with each `snapshot()`."""
    return SystemNetworks()
