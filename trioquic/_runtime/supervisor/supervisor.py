"""The task that keeps a connection on a working network: looks, asks the policy, acts.

Whatever happens to paths, networks or connection IDs is noted (`outlook.py`) and is a reason to
look again, once for all that has happened since the last look. A look makes a frozen view of what
is known, asks `MigrationPolicy.decide`, and has the decision carried out (`acting.py`). Nothing is
decided here, and nobody else acts by itself: the application's own `add_path` and `migrate` go
their way beside it.
"""

from collections.abc import Sequence
from math import inf
from typing import Final

import trio

from ... import _application_code
from ..._protocol.path.refusal import Refusal
from ...errors import NoPathReason
from ...policy import PolicyEvent, Trigger, View, WaitForPath
from ..driver import Driver
from ..endings import Wait
from ..paths.adding import PathAdder
from ..paths.path_set import PathSet
from .acting import Actor
from .memory import Memory
from .outlook import Outlook

# What puts a decision out of date, beside changed networks and another active path
_URGENT: Final = (Trigger.SILENT, Trigger.SOCKET_ERROR, Trigger.VALIDATED)
# A policy that wants to be asked again at once, or that moves to and fro, must not keep the program
# busy: after so many looks in a row there is a pause before each, seconds.
_MOST_IN_A_ROW: Final = 4
_SHORTEST_PAUSE: Final = 0.005


class Supervisor:
    """One per connection, in its nursery."""

    def __init__(self, driver: Driver, paths: PathSet, adder: PathAdder) -> None:
        self._driver = driver
        self._paths = paths
        self._policy = paths.reach.policy
        memory = Memory()
        self._outlook = Outlook(driver, paths, adder, memory)
        self._actor = Actor(driver, paths, adder, memory)
        # why to look again: what happened first since the last look
        self._due: PolicyEvent | None = None
        self._news = trio.Event()
        self._woken = False
        # whether it acts on what it hears
        self.listening = False
        paths.news.attach(self)

    def hear(self, event: PolicyEvent) -> None:
        """Something happened: the policy will be asked. Not at once, as each look costs what dozens
        of packets do, and a server can fill one with connection IDs."""
        changed = self._outlook.note(event, trio.current_time())
        self._woken |= event.trigger is Trigger.WOKEN
        self._actor.hear(urgent=changed or event.trigger in _URGENT)
        if not self._policy.automatic:
            self._tell_whether_there_is_a_path()
        elif self._due is None:
            self._due = event
            self._news.set()

    def look_at(self, path_id: int) -> None:
        """A path was opened: see where, which is no reason to ask the policy."""
        self._outlook.look_at(path_id)

    async def run(self, nursery: trio.Nursery) -> None:
        """Supervise until `nursery`, the connection's, is cancelled. Does nothing before the
        handshake is confirmed (section 9)."""
        self._outlook.look()
        await self._driver.life.confirmed.wait()
        if self._driver.life.over:
            return
        if not self._policy.automatic:
            await self._stand_by()
            return
        self._outlook.on_begun()
        nursery.start_soon(self._watch_networks)
        self.listening = True
        await self._look_for_ever()

    async def _watch_networks(self) -> None:
        while True:
            self.hear(PolicyEvent(trigger=Trigger.NETWORKS))
            await self._paths.reach.source.wait_changed()

    async def _look_for_ever(self) -> None:
        event = PolicyEvent(trigger=Trigger.CONFIRMED)
        in_a_row = 0
        while not self._driver.life.ended:
            deadline = await self._look(event)
            if self._driver.life.ended:
                return
            # after a look, as it may be late: the program may have stood still
            if self._gives_up():
                return
            in_a_row += 1
            if self._due is None:
                self._news = trio.Event()
                with trio.move_on_at(deadline):
                    await self._news.wait()
                in_a_row = 0
            elif in_a_row >= _MOST_IN_A_ROW:
                await trio.sleep(_SHORTEST_PAUSE)
            event = PolicyEvent(trigger=Trigger.TIME) if self._due is None else self._due

    async def _look(self, event: PolicyEvent) -> float:
        """Ask the policy and do what it wants; returns when to ask again at the latest."""
        self._due = None
        now = trio.current_time()
        view = self._outlook.view(now)
        decision = _application_code.decide(self._policy, view, event, now)
        woken, self._woken = self._woken, False
        self._driver.release()
        done = await self._actor.carry_out(decision, view)
        if self._actor.interrupted:
            # the rest of it is out of date, with what it says of a wait; the next look is due
            self._woken |= woken
            return now + _SHORTEST_PAUSE
        if not done:
            # Some candidate rests now; nothing else may happen when that is over.
            self.hear(PolicyEvent(trigger=Trigger.TIME))
        waits = decision.of(WaitForPath)
        if not self._driver.life.ended:
            self._wait_or_not(waits, view, now)
        if self._driver.life.ended:
            return inf
        if woken:
            self._actor.ask_everywhere(view)
        again = min(decision.look_again, _end_of(waits), self._give_up_at())
        if view.active is not None and view.active.leave_at > now:
            # beside a tunnel: then it is not usable any more, whatever the policy does until then
            again = min(again, view.active.leave_at)
        return max(again, now + _SHORTEST_PAUSE)

    # -- without a path ----------------------------------------------------------------------------

    def _tell_whether_there_is_a_path(self) -> None:
        """The application looks after the paths, and has closed the one that was in use, or has
        moved the connection to another."""
        core, life = self._driver.core, self._driver.life
        if (core.active_path >= 0 or life.over) is (life.wait is None):
            return
        self._news.set()
        if life.wait is not None:
            self._driver.set_wait(None)
        else:
            reason = f"{self._paths.lost}, and the application moves the connection (automatic)"
            since = trio.current_time()
            self._driver.set_wait(Wait(since=since, blame=NoPathReason.TIMEOUT, reason=reason))
            self._paths.news.on_waiting(min(core.idle_deadline, self._give_up_at()), reason)

    async def _stand_by(self) -> None:
        """While the application looks after the paths: the wait without one has its bound."""
        while not self._driver.life.ended and not self._gives_up():
            self._news = trio.Event()
            with trio.move_on_at(self._give_up_at()):
                await self._news.wait()

    def _gives_up(self) -> bool:
        """Whether there was no path for too long; then the connection ends."""
        if trio.current_time() < self._give_up_at():
            return False
        seconds = self._policy.no_path_timeout
        self._driver.give_up(f"no path for {seconds:g} s, MigrationPolicy.no_path_timeout")
        return True

    def _wait_or_not(self, waits: Sequence[WaitForPath], view: View, now: float) -> None:
        core = self._driver.core
        before = -1 if view.active is None else view.active.id
        if core.active_path not in (-1, before):
            # The connection moved: to wait was meant for the case that it could not.
            waits = ()
        waited = self._driver.life.wait
        if not waits and core.active_path < 0 and self._due is not None:
            # Nothing is decided yet: a path could not be opened, and the next look is due.
            return
        if not waits and core.active_path >= 0:
            self._driver.set_wait(None)
            if waited and view.active and view.active.usable and core.active_path == before:
                # it was kept, and its network is back
                core.resume(trio.current_time())
                self._driver.flush()
            return
        # nothing can be done now, or the core has refused the move
        since = trio.current_time() if waited is None else waited.since
        wait = self._wait(waits, view, since)
        self._driver.set_wait(wait)
        if now >= _end_of(waits):
            self._driver.give_up("no path")
        elif waited is None:
            deadline = min(_end_of(waits), self._give_up_at(), core.idle_deadline)
            self._paths.news.on_waiting(deadline, wait.reason)

    def _wait(self, waits: Sequence[WaitForPath], view: View, since: float) -> Wait:
        """What there is to say about the wait, as things are now."""
        blame = next((each.give_up for each in waits if each.give_up is not None), None)
        if blame is None:
            wants = self._policy.wants
            there = any(wants(c.interface, c.kind, c.metered) for c in view.candidates)
            tried = there or view.next_candidate_at < inf
            blame = NoPathReason.TIMEOUT if tried else NoPathReason.NO_NETWORK
        match blame:
            case NoPathReason.NO_NETWORK:
                others = self._outlook.why_waiting()
            case NoPathReason.TIMEOUT:
                others = "other networks did not lead to the server"
            case _:
                # There are networks, and the server is to blame that they cannot be used.
                others = f"{blame.value}: {self.obstacle or 'those that it gave are used'}"
        reason = f"{view.lost or 'there is no path'}, and {others}"
        return Wait(since=since, blame=blame, reason=reason)

    def _give_up_at(self) -> float:
        # the idle timeout is the core's own matter
        wait = self._driver.life.wait
        return inf if wait is None else wait.since + self._policy.no_path_timeout

    @property
    def obstacle(self) -> str | None:
        """Why the connection cannot be moved, None if it may: whether that is possible now, the
        networks and the peer's connection IDs tell."""
        if not self._policy.enabled:
            return "MigrationPolicy.enabled is False"
        refusal = self._driver.core.migration_obstacle
        pending = self._outlook.preferred_pending
        if refusal is None or (refusal is Refusal.DISABLED_BY_PEER and pending):
            return None
        return refusal.value


def _end_of(waits: Sequence[WaitForPath]) -> float:
    """When the policy gives the connection up; infinity if it does not."""
    return min([each.give_up_at for each in waits if each.give_up is not None], default=inf)
