"""The task that keeps a connection on a working network: looks, asks the policy, acts.

Whatever happens to paths, networks or connection IDs is noted (`outlook.py`) and is a reason to
look again, once for all that has happened since the last look. A look makes a frozen view of what
is known, asks `MigrationPolicy.decide`, and has the decision carried out (`acting.py`). Nothing is
decided here, and nobody else acts by itself: the application's own `add_path` and `migrate` go
their way beside it.
"""

from math import inf
from typing import Final

import trio

from ... import _application_code
from ...errors import NoPathReason
from ...networks import NetworkSource
from ...policy import Decision, MigrationPolicy, PolicyEvent, Trigger, View, WaitForPath
from ..driver import Driver
from ..endings import Wait
from ..paths.adding import PathAdder
from ..paths.path_set import PathSet
from .acting import Actor
from .outlook import Outlook

# A policy that asks to be asked again at once must not keep the machine busy.
_SHORTEST_PAUSE: Final = 0.005


class Supervisor:
    """One per connection, in its nursery."""

    def __init__(
        self,
        driver: Driver,
        paths: PathSet,
        adder: PathAdder,
        policy: MigrationPolicy,
        networks: NetworkSource,
    ) -> None:
        self._driver = driver
        self._paths = paths
        self._policy = policy
        self._networks = networks
        self._outlook = Outlook(driver, paths, networks, policy)
        self._actor = Actor(driver, paths, adder, self._outlook)
        # why to look again: what happened first since the last look
        self._due: PolicyEvent | None = None
        self._news = trio.Event()
        self._woken = False
        self._waiting_since = inf
        self.listening = False
        paths.news.attach(self)

    def hear(self, event: PolicyEvent) -> None:
        """Something happened: the policy will be asked. Not at once, as each look costs what dozens
        of packets do, and a server can fill one with connection IDs."""
        self._outlook.note(event, trio.current_time())
        if event.trigger is Trigger.WOKEN:
            self._woken = True
            # nothing is sent before the networks were looked at, so nothing would come of the wait
            self._actor.interrupt()
        if self._due is None:
            self._due = event
            self._news.set()

    async def run(self, nursery: trio.Nursery) -> None:
        """Supervise until `nursery`, the connection's, is cancelled. Does nothing before the
        handshake is confirmed (section 9)."""
        self._outlook.look()
        await self._driver.life.confirmed.wait()
        if not self._policy.automatic or self._driver.life.over:
            return
        # the path of the handshake, nobody has asked for it by name
        self._outlook.opened(self._driver.core.active_path, -inf)
        nursery.start_soon(self._watch_networks)
        self.listening = True
        await self._look_for_ever()

    async def _watch_networks(self) -> None:
        while True:
            self.hear(PolicyEvent(trigger=Trigger.NETWORKS))
            await self._networks.wait_changed()

    async def _look_for_ever(self) -> None:
        event = PolicyEvent(trigger=Trigger.CONFIRMED)
        while not self._driver.life.ended:
            deadline = await self._look(event)
            if self._driver.life.ended:
                return
            if trio.current_time() >= self._give_up_at():
                # after a look, as it may be late: the program may have stood still
                seconds = self._policy.no_path_timeout
                self._driver.give_up(f"no path for {seconds:g} s, MigrationPolicy.no_path_timeout")
                return
            if self._due is None:
                self._news = trio.Event()
                with trio.move_on_at(deadline):
                    await self._news.wait()
            elif event.trigger is Trigger.TIME and self._due.trigger is Trigger.TIME:
                # It wants again what could not be had.
                await trio.sleep(_SHORTEST_PAUSE)
            event = PolicyEvent(trigger=Trigger.TIME) if self._due is None else self._due

    async def _look(self, event: PolicyEvent) -> float:
        """Ask the policy and do what it wants; returns when to ask again at the latest."""
        self._due = None
        now = trio.current_time()
        view = self._outlook.view(now)
        decision = _application_code.decide(self._policy, view, event, now)
        for wait in decision.of(WaitForPath):
            if wait.give_up is not None and now >= wait.give_up_at:
                self._give_up(wait.give_up, view, now)
                return inf
        woken, self._woken = self._woken, False
        self._driver.release()
        done = await self._actor.carry_out(decision, view)
        if not done:
            # Some candidate rests now; nothing else may happen when that is over.
            self.hear(PolicyEvent(trigger=Trigger.TIME))
        self._wait_or_not(decision, view)
        if woken:
            self._actor.ask_everywhere(view)
        return max(min(decision.look_again, self._give_up_at()), now + _SHORTEST_PAUSE)

    # -- without a path ----------------------------------------------------------------------------

    def _wait_or_not(self, decision: Decision, view: View) -> None:
        # A move that the core refused, and nothing else that has happened meanwhile
        stuck = self._driver.core.active_path < 0 and self._due is None
        waits = decision.of(WaitForPath)
        if not waits and not stuck:
            waited = self._waiting_since < inf
            self._waiting_since = inf
            self._driver.set_wait(None)
            if waited and view.active is not None and view.active.usable:
                # it was kept, and its network is back
                self._driver.core.resume(trio.current_time())
                self._driver.flush()
            return
        begins = self._waiting_since == inf
        if begins:
            self._waiting_since = trio.current_time()
        deadline = min(self._give_up_at(), self._driver.core.idle_deadline)
        wait = self._wait(view)
        for confined in waits:
            if confined.give_up is not None:
                wait = self._confinement(confined.give_up, view)
                deadline = min(deadline, confined.give_up_at)
        self._driver.set_wait(wait)
        if begins:
            self._paths.news.on_waiting(deadline, wait.reason)

    def _wait(self, view: View) -> Wait:
        """What there is to say about the wait, as things are now."""
        wants = self._policy.wants
        there = any(wants(c.interface, c.kind, c.metered) for c in view.candidates)
        blame, others = NoPathReason.NO_NETWORK, self._outlook.why_waiting()
        if there or view.next_candidate_at < inf:
            blame, others = NoPathReason.TIMEOUT, "other networks did not lead to the server"
        reason = f"{view.lost or 'there is no path'}, and {others}"
        return Wait(since=self._waiting_since, blame=blame, reason=reason)

    def _confinement(self, blame: NoPathReason, view: View) -> Wait:
        """There are networks, and the server is to blame that they cannot be used."""
        reason = f"{_confined(blame, view)}: {self._why_confined()}"
        return Wait(since=self._waiting_since, blame=blame, reason=reason)

    def _give_up(self, blame: NoPathReason, view: View, now: float) -> None:
        since = min(self._waiting_since, now)
        self._driver.set_wait(Wait(since=since, blame=blame, reason=self._why_confined()))
        self._driver.give_up(_confined(blame, view))

    def _why_confined(self) -> str:
        return self.obstacle or "those that it gave are used"

    def _give_up_at(self) -> float:
        # the idle timeout is the core's own matter
        return self._waiting_since + self._policy.no_path_timeout

    @property
    def obstacle(self) -> str | None:
        """Why the connection can move nowhere, whatever networks there are; None if it may."""
        return self._outlook.obstacle()


def _confined(blame: NoPathReason, view: View) -> str:
    return f"{view.lost or 'there is no path'}, and {blame.value}"
