"""What the supervisor does: a policy's decision carried out on the paths of one connection.

Each step is done when its call returns: a path that is closed is gone, a connection that moved has
sent its first packet on the other path. What cannot be done is told (`MigrationRefused`) and noted,
so that the next look finds it.
"""

import trio

from ..._protocol.path.refusal import PathRefusedError, Refusal
from ...errors import LocalAddressError, MigrationNotAllowedError, QuicError
from ...policy import (
    Action,
    CallServerBack,
    Candidate,
    Challenge,
    ClosePath,
    Decision,
    Migrate,
    MissConnectionID,
    OpenAndMigrate,
    OpenPath,
    Suspend,
    View,
)
from ..driver import Driver
from ..paths.adding import PathAdder
from ..paths.path_set import PathSet
from .outlook import Outlook


class Actor:
    """Carries decisions out."""

    def __init__(
        self,
        driver: Driver,
        paths: PathSet,
        adder: PathAdder,
        outlook: Outlook,
    ) -> None:
        self._driver = driver
        self._paths = paths
        self._adder = adder
        self._outlook = outlook
        # waits for a connection ID, perhaps
        self._opening: trio.CancelScope | None = None
        # paths that there was no connection ID for, the last time the policy was asked
        self._missed: tuple[str, ...] = ()

    def interrupt(self) -> None:
        """Wait for no connection ID any more."""
        if self._opening is not None:
            self._opening.cancel()

    async def carry_out(self, decision: Decision, view: View) -> bool:
        """One action after the other. False: a path could not be opened, and nothing else may
        happen when that may be tried again."""
        done = True
        for action in decision.actions:
            done &= await self._take(action, view)
        self._report_missed(decision.of(MissConnectionID))
        return done

    async def _take(self, action: Action, view: View) -> bool:
        match action:
            case ClosePath():
                self._paths.close(action.path, action.cause, action.reason)
            case CallServerBack():
                self._outlook.called_back()
                self._driver.core.ping()
                self._driver.flush()
            case Suspend():
                self._paths.suspend(view.lost)
            case Migrate():
                self._move(action.path, action, action.unvalidated)
                if action.unvalidated:
                    self._challenge(action.path)
            case Challenge():
                self._challenge(action.path)
            case OpenPath() | OpenAndMigrate():
                opened = await self._open(action.candidate)
                if opened is None:
                    return False
                if isinstance(action, OpenAndMigrate):
                    self._move(opened, action, unvalidated=True)
                self._challenge(opened)
        return True

    def ask_everywhere(self, view: View) -> None:
        """Challenge every path: whatever was known may be so no more."""
        live = self._driver.core.live_paths()
        for path in view.paths:
            # Nothing goes out beside the tunnel by itself; what is active is in use.
            allowed = not path.outside or path.id == self._driver.core.active_path
            if path.usable and path.id in live and not path.probing and allowed:
                self._challenge(path.id)
        self._driver.flush()

    async def _open(self, candidate: Candidate) -> int | None:
        """A path of a candidate; None, and a note of why, when it cannot be had."""
        if self._driver.held:
            return None
        path = None
        try:
            with trio.CancelScope() as self._opening:
                path = await self._adder.add_candidate(candidate)
        except (LocalAddressError, QuicError, trio.ClosedResourceError) as error:
            if not self._driver.life.ended:
                self._outlook.failed(candidate, trio.current_time())
                if not isinstance(error, MigrationNotAllowedError):
                    # What section 9 forbids has been told where it was refused.
                    self._refused(Refusal.NO_SOCKET, str(error))
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
            self._refused(refused.refusal)
            return
        self._driver.flush()

    def _move(self, number: int, move: Migrate | OpenAndMigrate, unvalidated: bool) -> None:
        old = self._driver.core.active_path
        silent = self._outlook.silent(old)
        try:
            self._paths.move(number, move.cause, move.reason, unvalidated)
        except PathRefusedError as refused:
            self._refused(refused.refusal)
            return
        self._outlook.moved(silent, bool(old >= 0 and not silent), trio.current_time())

    def _report_missed(self, missed: tuple[MissConnectionID, ...]) -> None:
        """Say once what cannot be probed for want of a connection ID (section 9.5)."""
        candidates = [action.candidate for action in missed]
        ways = {f"from {way.local} to {way.remote[0]}": None for way in candidates}
        for way in ways:
            if way not in self._missed:
                refusal = Refusal.NO_SPARE_ID
                self._refused(refusal, f"{refusal.value} for a path {way}")
        self._missed = tuple(ways)

    def _refused(self, refusal: Refusal, reason: str = "") -> None:
        reason = reason or refusal.value
        self._paths.news.on_refused(refusal, reason)
