"""What the supervisor does: a policy's decision carried out on the paths of one connection.

Each step is done when its call returns: a path that is closed is gone, a connection that moved has
sent its first packet on the other path. Only a path that is opened is waited for: what happens
meanwhile may put the rest of the decision out of date, and then the next look decides. What cannot
be done is told (`MigrationRefused`) and noted, so that the next look finds it.
"""

from math import inf
from typing import Final

import trio

from ... import policy
from ..._protocol.path.refusal import PathRefusedError, Refusal
from ...causes import CloseCause, MigrationCause
from ...errors import LocalAddressError, MigrationNotAllowedError, QuicError
from ..driver import Driver
from ..paths.adding import PathAdder
from ..paths.path_set import PathSet
from .memory import Memory

# Moves from a path that works, but for those to the preferred address and to another port: they
# are bounded, as they could go to and fro for ever.
_BY_CHOICE: Final = (
    MigrationCause.BETTER_NETWORK,
    MigrationCause.SERVER_MOVED,
    MigrationCause.POLICY,
)


class Actor:
    """Carries decisions out."""

    def __init__(self, driver: Driver, paths: PathSet, adder: PathAdder, memory: Memory) -> None:
        self._driver = driver
        self._paths = paths
        self._adder = adder
        self._memory = memory
        # while a path is being opened, which may wait for a connection ID
        self._opening: trio.CancelScope | None = None
        # the active path when that began
        self._active = -1
        self.interrupted = False
        """Whether something happened that put the last decision out of date."""
        # paths that there was no connection ID for, the last time the policy was asked
        self._missed: tuple[str, ...] = ()

    def hear(self, urgent: bool) -> None:
        """Something happened, which may be `urgent`, or concern the active path: then the path that
        is being opened is not waited for, and the rest of the decision is not carried out."""
        if self._opening is not None and (urgent or self._driver.core.active_path != self._active):
            self.interrupted = True
            self._opening.cancel()

    async def carry_out(self, decision: policy.Decision, view: policy.View) -> bool:
        """One action after the other. False: a path could not be opened, and nothing else may
        happen when that may be tried again; or the rest is out of date."""
        self.interrupted, done = False, True
        for action in decision.actions:
            done &= await self._take(action, view)
            if self.interrupted or self._driver.life.ended:
                return False
        self._report_missed(decision.of(policy.MissConnectionID))
        return done

    async def _take(self, action: policy.Action, view: policy.View) -> bool:
        match action:
            case policy.ClosePath():
                self._paths.close(action.path, action.cause, action.reason)
            case policy.CallServerBack():
                self._memory.on_called_back()
                self._driver.core.ping()
                self._driver.flush()
            case policy.Suspend():
                self._paths.suspend(view.lost or CloseCause.POLICY.value)
            case policy.Migrate():
                self._move(action.path, action, action.unvalidated)
                if action.unvalidated:
                    self._challenge(action.path)
            case policy.Challenge():
                if not self._is_challenged(action.path):
                    self._challenge(action.path)
            case policy.OpenPath() | policy.OpenAndMigrate():
                if not self._leads_to_server(action.candidate):
                    return True
                opened = await self._open(action.candidate, view)
                if opened is None:
                    return False
                if isinstance(action, policy.OpenAndMigrate) and not self.interrupted:
                    self._move(opened, action, unvalidated=True)
                self._challenge(opened)
        return True

    def ask_everywhere(self, view: policy.View) -> None:
        """Challenge every path: whatever was known may be so no more."""
        live = self._driver.core.live_paths()
        for path in view.paths:
            # Nothing goes out beside the tunnel by itself; what is active is in use.
            allowed = not path.outside or path.id == self._driver.core.active_path
            if path.usable and path.id in live and not path.probing and allowed:
                self._challenge(path.id)
        self._driver.flush()

    async def _open(self, candidate: policy.Candidate, view: policy.View) -> int | None:
        """A path of a candidate; None, and a note of why, when it cannot be had."""
        if self._driver.held:
            return None
        path = None
        way = candidate.local, candidate.interface, candidate.remote
        self._active = self._driver.core.active_path
        try:
            with trio.CancelScope(deadline=_leave_at(view)) as self._opening:
                path = await self._adder.add_candidate(candidate)
            self.interrupted |= self._opening.cancelled_caught
        except (LocalAddressError, QuicError, trio.ClosedResourceError) as error:
            if not self._driver.life.ended and not self.interrupted:
                self._memory.rest(way, trio.current_time())
                if not isinstance(error, MigrationNotAllowedError):
                    # What section 9 forbids has been told where it was refused.
                    self._refused(Refusal.NO_SOCKET, str(error))
            return None
        finally:
            self._opening = None
        if path is None or self._driver.life.ended:
            return None
        self._memory.of(path.id).on_opened(way, trio.current_time())
        return path.id

    def _leads_to_server(self, candidate: policy.Candidate) -> bool:
        """Whether it does: the server has no other addresses (section 9). One of an application's
        policy that does not is refused, and the policy is not asked again for that reason."""
        if candidate.remote in self._paths.servers.addresses:
            return True
        self._refused(Refusal.POLICY, f"{candidate.remote[0]} is no address of the server")
        return False

    def _is_challenged(self, number: int) -> bool:
        """Whether an answer is waited for: to begin again would mean to challenge at the pace of
        the decisions (RFC 9000 section 8.2.1)."""
        core = self._driver.core
        return number in core.live_paths() and core.path_view(number).validating

    def _challenge(self, number: int) -> None:
        try:
            self._driver.core.validate(number, trio.current_time())
        except PathRefusedError as refused:
            self._refused(refused.refusal)
            return
        self._driver.flush()

    def _move(
        self, number: int, move: policy.Migrate | policy.OpenAndMigrate, unvalidated: bool
    ) -> None:
        old = self._driver.core.active_path
        if number == old:
            return
        silent = self._memory.is_silent(old)
        try:
            self._paths.move(number, move.cause, move.reason, unvalidated)
        except PathRefusedError as refused:
            self._refused(refused.refusal)
            return
        if silent:
            self._memory.on_switched(trio.current_time())
        elif old >= 0 and move.cause in _BY_CHOICE:
            self._memory.on_returned(trio.current_time())

    def _report_missed(self, missed: tuple[policy.MissConnectionID, ...]) -> None:
        """Say once what cannot be probed for want of a connection ID (section 9.5)."""
        candidates = [action.candidate for action in missed]
        ways = {f"from {way.local} to {way.remote[0]}": None for way in candidates}
        for way in ways:
            if way not in self._missed:
                refusal = Refusal.NO_SPARE_ID
                self._refused(refusal, f"{refusal.value} for a path {way}")
        self._missed = tuple(ways)

    def _refused(self, refusal: Refusal, reason: str = "") -> None:
        self._paths.news.on_refused(refusal, reason or refusal.value)


def _leave_at(view: policy.View) -> float:
    """When the active path leads beside a tunnel for too long, whatever is being waited for."""
    leave_at = inf if view.active is None else view.active.leave_at
    return leave_at if leave_at > trio.current_time() else inf
