"""The task that keeps a connection on a working network: hears, asks the policy, acts.

It hears of path events, network changes, new connection IDs and the application's hints; puts what
is known into a frozen view (`outlook.py`); asks `MigrationPolicy.decide`; and carries the decision
out. It decides nothing itself, and it is the only one that acts by itself: the application's own
`add_path` and `migrate` go their way beside it.

Whatever it is told is only a reason to look again, so events may be dropped without harm; the
queue is short for that reason. A candidate that could not be opened, or whose validation failed, is
left alone for a while, twice as long each time.
"""

from math import inf
from typing import Final

import trio

from .. import _application_code
from .. import events as public
from .._path_roles import answers, is_superseded, same_way
from .._protocol.path.refusal import PathRefusedError, Refusal
from .._protocol.path.state import PathState
from ..errors import LocalAddressError, MigrationNotAllowedError, NoPathReason, QuicError
from ..networks import NetworkSource
from ..policy import Candidate, Decision, MigrationPolicy, PolicyEvent, View, What
from .broadcast import Broadcast
from .driver import Driver
from .endings import Wait
from .outlook import Outlook
from .path_set import PathSet

_MOST_EVENTS: Final = 64
# A policy that asks to be asked again at once must not keep the machine busy.
_SHORTEST_PAUSE: Final = 0.005


class Supervisor:
    """One per connection, in its nursery."""

    def __init__(
        self,
        driver: Driver,
        paths: PathSet,
        policy: MigrationPolicy,
        networks: NetworkSource,
        broadcast: Broadcast,
    ) -> None:
        self._driver = driver
        self._paths = paths
        self._policy = policy
        self._networks = networks
        self._broadcast = broadcast
        self._outlook = Outlook(driver, paths, networks, policy)
        self._events: list[PolicyEvent] = []
        self._news = trio.Event()
        self._waiting_since = inf
        # waits for a connection ID, perhaps
        self._opening: trio.CancelScope | None = None
        self.listening = False
        # paths that there was no connection ID for, the last time the policy was asked
        self._wanted: tuple[str, ...] = ()
        paths.supervisor = self

    def hear(self, event: PolicyEvent) -> None:
        """Something happened; the policy will be asked, once for all that is alike: each look costs
        what dozens of packets do, and a server can fill one with connection IDs."""
        self._outlook.note(event, trio.current_time())
        if event not in self._events:
            self._events.append(event)
            del self._events[:-_MOST_EVENTS]
        self._news.set()
        if event.what is What.WOKEN and self._opening is not None:
            # nothing is sent before the networks were looked at, so nothing would come of the wait
            self._opening.cancel()

    async def run(self, nursery: trio.Nursery) -> None:
        """Supervise until `nursery`, the connection's, is cancelled. Does nothing before the
        handshake is confirmed (section 9)."""
        self._outlook.look()
        await self._driver.confirmed.wait()
        if not self._policy.automatic or self._driver.over:
            return
        # the path of the handshake, nobody has asked for it by name
        self._outlook.opened(self._driver.core.active_path, -inf)
        nursery.start_soon(self._watch_networks)
        self.listening = True
        await self._decide_for_ever()

    async def _watch_networks(self) -> None:
        while True:
            self.hear(PolicyEvent(what=What.NETWORKS))
            await self._networks.wait_changed()

    async def _decide_for_ever(self) -> None:
        event = PolicyEvent(what=What.CONFIRMED)
        while not self._driver.ended:
            deadline = await self._decide(event)
            if self._driver.ended:
                return
            if trio.current_time() >= self._give_up_at():
                # after a look, as it may be late: the program may have stood still
                seconds = self._policy.no_path_timeout
                self._driver.give_up(f"no path for {seconds:g} s, MigrationPolicy.no_path_timeout")
                return
            if not self._events:
                self._news = trio.Event()
                with trio.move_on_at(deadline):
                    await self._news.wait()
            elif event.what is What.TIME and self._events[0].what is What.TIME:
                # It wants again what could not be had.
                await trio.sleep(_SHORTEST_PAUSE)
            event = self._events.pop(0) if self._events else PolicyEvent(what=What.TIME)

    async def _decide(self, event: PolicyEvent) -> float:
        """Ask the policy and do what it wants; returns when to ask again at the latest."""
        now = trio.current_time()
        view = self._outlook.view(now)
        decision = _application_code.decide(self._policy, view, event, now)
        if decision.give_up is not None and now >= decision.give_up_at:
            self._give_up(decision.give_up, view, now)
            return inf
        woken = event.what is What.WOKEN
        # on whatever occasion: that one may have been dropped
        self._driver.release()
        await self._carry_out(decision, view)
        if woken:
            self._ask_everywhere(view)
        return max(min(decision.look_again, self._give_up_at()), now + _SHORTEST_PAUSE)

    def _ask_everywhere(self, view: View) -> None:
        """Whatever was known may be so no more."""
        live = self._driver.core.live_paths()
        for path in view.paths:
            # Nothing goes out beside the tunnel by itself; what is active is in use.
            allowed = not path.outside or path.id == self._driver.core.active_path
            if path.usable and path.id in live and not path.probing and allowed:
                self._challenge(path.id)
        self._driver.flush()

    # -- carrying out ------------------------------------------------------------------------------

    async def _carry_out(self, decision: Decision, view: View) -> None:
        for number in decision.abandon:
            self._paths.close(number, _why_given_up(view, number))
        if decision.recall:
            self._outlook.recalled()
            self._driver.core.ping()
            self._driver.flush()
        if decision.suspend:
            self._paths.suspend(view.lost)
        if decision.migrate is not None:
            self._move(decision.migrate, decision.cause, decision.unproven)
            if decision.unproven:
                self._challenge(decision.migrate)
        elif decision.leap is not None:
            await self._leap(decision.leap, decision.cause)
        for number in decision.challenge:
            self._challenge(number)
        for candidate in decision.probe:
            opened = await self._open(candidate)
            if opened is not None:
                self._challenge(opened)
            else:
                # It rests now, perhaps; nothing else may happen when that is over.
                self.hear(PolicyEvent(what=What.TIME))
        self._report_wanted(decision.wanted)
        self._wait_or_not(decision, view)

    async def _open(self, candidate: Candidate) -> int | None:
        """A path of a candidate; None, and a note of why, when it cannot be had."""
        if self._driver.held:
            return None
        path = None
        try:
            with trio.CancelScope() as self._opening:
                path = await self._paths.add_candidate(candidate)
        except (LocalAddressError, QuicError, trio.ClosedResourceError) as error:
            if not self._driver.ended:
                self._outlook.failed(candidate, trio.current_time())
                if not isinstance(error, MigrationNotAllowedError):
                    # What section 9 forbids has been told where it was refused.
                    self._broadcast.send(public.MigrationRefused(reason=str(error)))
            return None
        finally:
            self._opening = None
        if path is None:
            return None
        self._outlook.opened(path.id, trio.current_time())
        return path.id

    def _challenge(self, number: int) -> None:
        try:
            self._driver.core.validate(number, trio.current_time())
        except PathRefusedError as refused:
            self._broadcast.send(public.MigrationRefused(reason=refused.refusal.value))
            return
        self._driver.flush()

    def _move(self, number: int, cause: str, unvalidated: bool = False) -> None:
        old = self._driver.core.active_path
        silent = self._outlook.silent(old)
        try:
            self._paths.move(number, cause, unvalidated)
        except PathRefusedError as refused:
            self._broadcast.send(public.MigrationRefused(reason=refused.refusal.value))
            return
        self._outlook.moved(silent, bool(old >= 0 and not silent), trio.current_time())

    async def _leap(self, candidate: Candidate, cause: str) -> None:
        number = await self._open(candidate)
        if number is None:
            # It rests now, and there may be another; nothing else would happen, without a path.
            self.hear(PolicyEvent(what=What.TIME))
            return
        self._move(number, cause, unvalidated=True)
        self._challenge(number)

    def _report_wanted(self, wanted: tuple[Candidate, ...]) -> None:
        """Say once what cannot be probed for want of a connection ID (section 9.5)."""
        ways = {f"from {candidate.local} to {candidate.remote[0]}": None for candidate in wanted}
        for way in ways:
            if way not in self._wanted:
                reason = f"{Refusal.NO_SPARE_ID.value} for a path {way}"
                self._broadcast.send(public.MigrationRefused(reason=reason))
        self._wanted = tuple(ways)

    # -- without a path ----------------------------------------------------------------------------

    def _wait_or_not(self, decision: Decision, view: View) -> None:
        # A move that the core refused, and nothing else that has happened meanwhile
        stuck = self._driver.core.active_path < 0 and not self._events
        if not (decision.wait or stuck) and decision.give_up is None:
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
        if decision.give_up is None:
            wait = self._wait(view)
        else:
            wait = self._confinement(decision.give_up, view)
            deadline = min(deadline, decision.give_up_at)
        self._driver.set_wait(wait)
        if begins:
            self._broadcast.send(public.WaitingForPath(deadline=deadline, reason=wait.reason))
            self._paths.without_path()

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


def _why_given_up(view: View, number: int) -> str:
    """What speaks against a path that the policy gives up."""
    path = next((path for path in view.paths if path.id == number), None)
    if path is None:
        return "given up by the policy"
    if not path.usable:
        return f"its network is gone: {path.trouble}"
    if path.outside:
        return "it is outside the tunnel"
    if path.misled:
        return "somebody who does not know the connection answers there"
    if path.state is PathState.CANDIDATE and not path.probing:
        return "it did not answer" if path.asked else "it could not be asked"
    if view.active is not None and view.active.preferred > path.preferred:
        return "the server's preferred address is used instead"
    if any(answers(other) and same_way(other, path) for other in view.paths if other != path):
        return "another port works there"
    if view.answerable <= 1 and is_superseded(path, view.paths):
        return "another port is asked there, and the server can answer on one"
    if view.recalls:
        return "the server goes there by itself"
    return "given up by the policy"
