"""What the supervisor does: a policy's decision carried out on the paths of one connection.

Each step is done when its call returns: a path that is closed is gone, a connection that moved has
sent its first packet on the other path. What cannot be done is told (`MigrationRefused`) and noted,
so that the next look finds it.
"""

import trio

from ... import events as public
from ..._protocol.path.refusal import PathRefusedError, Refusal
from ..._protocol.path.state import PathState
from ...causes import CloseCause
from ...errors import LocalAddressError, MigrationNotAllowedError, QuicError
from ...policy import Candidate, Decision, View
from ...policy._roles import answers, is_superseded, same_way
from ..driver import Driver
from ..paths.adding import PathAdder
from ..paths.broadcast import Broadcast
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
        broadcast: Broadcast,
    ) -> None:
        self._driver = driver
        self._paths = paths
        self._adder = adder
        self._outlook = outlook
        self._broadcast = broadcast
        # waits for a connection ID, perhaps
        self._opening: trio.CancelScope | None = None
        # paths that there was no connection ID for, the last time the policy was asked
        self._wanted: tuple[str, ...] = ()

    def interrupt(self) -> None:
        """Wait for no connection ID any more."""
        if self._opening is not None:
            self._opening.cancel()

    async def carry_out(self, decision: Decision, view: View) -> bool:
        """All of it, in the order of its fields. False: a path could not be opened, and nothing
        else may happen when that may be tried again."""
        for number in decision.abandon:
            self._paths.close(number, *_why_given_up(view, number))
        if decision.recall:
            self._outlook.recalled()
            self._driver.core.ping()
            self._driver.flush()
        if decision.suspend:
            self._paths.suspend(view.lost)
        done = True
        if decision.migrate is not None:
            self._move(decision.migrate, decision)
            if decision.unproven:
                self._challenge(decision.migrate)
        elif decision.leap is not None:
            done = await self._leap(decision.leap, decision)
        for number in decision.challenge:
            self._challenge(number)
        for candidate in decision.probe:
            opened = await self._open(candidate)
            if opened is not None:
                self._challenge(opened)
            else:
                done = False
        self._report_wanted(decision.wanted)
        return done

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
            if not self._driver.ended:
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

    def _move(self, number: int, decision: Decision, unvalidated: bool = False) -> None:
        old = self._driver.core.active_path
        silent = self._outlook.silent(old)
        try:
            unvalidated |= decision.unproven
            self._paths.move(number, decision.cause, decision.reason, unvalidated)
        except PathRefusedError as refused:
            self._refused(refused.refusal)
            return
        self._outlook.moved(silent, bool(old >= 0 and not silent), trio.current_time())

    async def _leap(self, candidate: Candidate, decision: Decision) -> bool:
        number = await self._open(candidate)
        if number is None:
            return False
        self._move(number, decision, unvalidated=True)
        self._challenge(number)
        return True

    def _report_wanted(self, wanted: tuple[Candidate, ...]) -> None:
        """Say once what cannot be probed for want of a connection ID (section 9.5)."""
        ways = {f"from {candidate.local} to {candidate.remote[0]}": None for candidate in wanted}
        for way in ways:
            if way not in self._wanted:
                refusal = Refusal.NO_SPARE_ID
                self._refused(refusal, f"{refusal.value} for a path {way}")
        self._wanted = tuple(ways)

    def _refused(self, refusal: Refusal, reason: str = "") -> None:
        reason = reason or refusal.value
        self._broadcast.send(public.MigrationRefused(refusal=refusal, reason=reason))


def _why_given_up(view: View, number: int) -> tuple[CloseCause, str]:
    """What speaks against a path that the policy gives up."""
    path = next((path for path in view.paths if path.id == number), None)
    if path is None:
        return CloseCause.POLICY, ""
    if not path.usable:
        return CloseCause.NETWORK_GONE, f"its network is gone: {path.trouble}"
    if path.outside:
        return CloseCause.OUTSIDE_TUNNEL, ""
    if path.misled:
        return CloseCause.STRANGER, ""
    if path.state is PathState.CANDIDATE and not path.probing:
        return (CloseCause.NO_ANSWER if path.asked else CloseCause.NOT_ASKED), ""
    if view.active is not None and view.active.preferred > path.preferred:
        return CloseCause.PREFERRED_ADDRESS, ""
    if any(answers(other) and same_way(other, path) for other in view.paths if other != path):
        return CloseCause.ANOTHER_PORT_WORKS, ""
    if view.answerable <= 1 and is_superseded(path, view.paths):
        return CloseCause.ANOTHER_PORT_ASKED, ""
    return (CloseCause.SERVER_WANDERS if view.recalls else CloseCause.POLICY), ""
