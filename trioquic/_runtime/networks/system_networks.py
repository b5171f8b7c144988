"""The operating system as a source of networks: ifaddr's snapshot, a trigger to look again, and
the routes that the system would take.

All connections of a run share one source. Of the tasks that wait for a change, one opens the
trigger and looks; the others wait for it to find something, and one of them takes over when it
leaves. So a hundred connections cost one netlink socket, and one look when a cable is pulled.

Waiting for a change subscribes first and looks afterwards, and compares with what there was when
the task's last wait ended. So a change is found whenever it comes, between two waits as well.
The first change after a quiet time is reported at once, because a connection may hang on it; then
looks are spaced, so that a burst of messages (one cable makes dozens) costs a few looks only.

A look is cut short when the kernel's fingerprint of the interfaces is that of the last full look.

What cannot be found out at the moment (no descriptors are left) is as it was, and is looked at
again soon (another_look.py): a VPN must not count as gone, or be overlooked, for that.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final
from weakref import WeakKeyDictionary

import ifaddr
import trio

from ...networks import Interface, Route, RoutingSource, context_networks
from ...paths import Address
from ..system.system_routes import AskRoutes, route_asker_for
from .adapter_reader import AdapterReader
from .adapters import reader_for
from .another_look import AnotherLook
from .change_triggers import ChangeTrigger, open_trigger
from .fingerprint import Fingerprint, read_fingerprint

# A handover has 50 ms for everything that is not a round trip; a look takes about 1 ms.
_BETWEEN_LOOKS: Final = 0.02
_POLLING_INTERVAL: Final = 2.0

Snapshot = tuple[Interface, ...]
State = tuple[Snapshot, int]
"""What a task can have seen: the interfaces, and how often a route or rule came or went."""

Question = tuple[Address, ...]

# Connections to the same servers ask the same questions.
_MOST_ANSWERS: Final = 256
_ANY_PORT: Final = 0


class SystemNetworks:
    """The interfaces of the operating system. The arguments are seams; `fingerprint` is None, or
    returns None, where every look is to be a full one."""

    def __init__(
        self,
        list_adapters: Callable[[], Iterable[ifaddr.Adapter]] | None = None,
        reader: AdapterReader | None = None,
        trigger: Callable[[], ChangeTrigger] | None = None,
        fingerprint: Callable[[], Fingerprint | None] | None = None,
        ask_routes: AskRoutes | None = None,
    ) -> None:
        all_adapters = partial(ifaddr.get_adapters, include_unconfigured=True)
        self._list_adapters = list_adapters or all_adapters
        self._reader = reader or reader_for(sys.platform)
        self._open_trigger = trigger or partial(open_trigger, sys.platform, _POLLING_INTERVAL)
        self._read_fingerprint = fingerprint
        self._ask_routes = ask_routes or route_asker_for(sys.platform)
        # the last answers, those of the last questions at the end
        self._answers: dict[Question, tuple[Route, ...]] = {}
        # those of them since something changed the last time, while somebody listens
        self._fresh: set[Question] = set()
        # what was not answered the last time
        self._open: dict[Question, None] = {}
        self._again = AnotherLook()
        self._fingerprint: Fingerprint | None = None
        self._last: Snapshot = ()
        # there was a reason to look that has not been followed yet
        self._stale = True
        # routes that came or went, which no snapshot shows
        self._routes = 0
        # open while a task waits; whoever opened it closes it
        self._trigger: ChangeTrigger | None = None
        self._news = trio.Event()
        # Each task has its own place, so that none takes away another's change.
        self._seen: WeakKeyDictionary[trio.lowlevel.Task, State] = WeakKeyDictionary()

    def snapshot(self) -> Snapshot:
        """The interfaces as they are now."""
        if self._stale or self._trigger is None or not self._trigger.heard_nothing():
            self._look()
        if trio.lowlevel.in_trio_task():
            self._known_to(trio.lowlevel.current_task())
        return self._last

    def routes(self, remotes: Sequence[str]) -> tuple[Route, ...] | None:
        """The system's routes to these addresses, whatever the port."""
        return self.routes_to(tuple((remote, _ANY_PORT) for remote in remotes))

    def routes_to(self, servers: Sequence[Address]) -> tuple[Route, ...] | None:
        """The system's routes to these servers as they are now; what they were the last time if it
        does not tell. They are asked for again only after news, if somebody waits for those."""
        question = tuple(servers)
        quiet = not self._stale and self._trigger is not None and self._trigger.heard_nothing()
        if not quiet:
            self._fresh.clear()
        elif question in self._fresh:
            return self._answers[question]
        self.snapshot()
        if self._ask(question) and quiet:
            self._fresh.add(question)
        return self._answers.get(question)

    def _ask(self, question: Question) -> bool:
        """Whether the system answers."""
        answer = self._ask_routes(self._last, question)
        if answer is None:
            if len(self._open) < _MOST_ANSWERS:
                self._open[question] = None
            self._again.on_failure()
            return False
        self._answers.pop(question, None)
        self._answers[question] = answer
        if len(self._answers) > _MOST_ANSWERS:
            oldest = next(iter(self._answers))
            del self._answers[oldest]
            self._fresh.discard(oldest)
        return True

    def _ask_again(self) -> None:
        """Ask what is open, up to the first question that is not answered now either: that comes
        last the next time. An answer is news."""
        for question in list(self._open):
            del self._open[question]
            if not self._ask(question):
                break
            self._routes += 1

    async def wait_changed(self) -> None:
        """Wait until the interfaces differ from what they were when this task's last wait ended
        (before the first: at its first snapshot, or now), or a route or rule comes or goes.

        Cancelled, nothing is lost: the next call finds the change.
        """
        task = trio.lowlevel.current_task()
        while True:
            if self._trigger is None:
                await self._watch(task)
                break
            known = self._known_to(task)
            if known == self._state:
                # Either there is a change then, or nobody watches any more.
                await self._news.wait()
            else:
                await trio.lowlevel.checkpoint()
            if known != self._state:
                break
        self._seen[task] = self._state

    async def _watch(self, task: trio.lowlevel.Task) -> None:
        """Look whenever there is reason to, until there is something new to this task."""
        self._trigger = self._open_trigger()
        try:
            # Not before the trigger is open: what changes from now on is heard or seen.
            self._look()
            known = self._known_to(task)
            if known != self._state:
                await trio.lowlevel.checkpoint()
            while known == self._state:
                next_look = trio.current_time() + _BETWEEN_LOOKS
                route = await self._again.wait(self._trigger)
                self._stale = True
                self._fresh.clear()
                self._routes += route
                await trio.sleep_until(next_look)
                self._renew_trigger()
                self._again.begin()
                self._look()
                self._ask_again()
                self._again.end()
        finally:
            self._trigger.close()
            self._trigger = None
            self._wake()

    def _renew_trigger(self) -> None:
        """A better one than the clock that stood in for it, if there is one now."""
        if self._trigger is not None and self._trigger.stands_in:
            self._trigger.close()
            self._trigger = self._open_trigger()
            # routes may have changed, which a clock does not tell
            self._routes += not self._trigger.stands_in

    @property
    def _state(self) -> State:
        return self._last, self._routes

    def _known_to(self, task: trio.lowlevel.Task) -> State:
        return self._seen.setdefault(task, self._state)

    def _wake(self) -> None:
        """Wake those who wait without looking themselves."""
        self._news.set()
        self._news = trio.Event()

    def _look(self) -> None:
        # Before the full look: what changes in between is found by the next one.
        fingerprint = None if self._read_fingerprint is None else self._read_fingerprint()
        if fingerprint is not None and fingerprint == self._fingerprint:
            self._stale = False
            return
        try:
            current = self._reader.read(self._list_adapters())
        except (OSError, ValueError, AssertionError):
            # Out of descriptors or memory, an interface that vanished under the hand, an address
            # without a netmask, which ifaddr asserts: the last answer stands.
            self._again.on_failure()
            return
        self._stale = False
        self._fingerprint = fingerprint
        if current != self._last:
            self._last = current
            self._wake()


_of_this_run: trio.lowlevel.RunVar[SystemNetworks] = trio.lowlevel.RunVar("system networks")


def system_networks() -> RoutingSource:
    """The interfaces of this machine, as they are at each `snapshot()`, and its routes; on a
    simulated host (`trioquic.testing`) those of that host.

    Within a run of trio it is the same source for everybody, so that many connections watch the
    system as cheaply as one.
    """
    simulated = context_networks.get()
    if simulated is not None:
        return simulated
    if not trio.lowlevel.in_trio_run():
        return SystemNetworks(fingerprint=read_fingerprint)
    try:
        return _of_this_run.get()
    except LookupError:
        source = SystemNetworks(fingerprint=read_fingerprint)
        _of_this_run.set(source)
        return source
