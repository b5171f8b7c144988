"""What to do while all is well: the preferred address, a standby, better networks.

Also what to do about a server that sends elsewhere by its own choice (RFC 9000 section 9.3).
"""

from dataclasses import replace
from math import inf
from typing import Final

from .._protocol.path.state import PathState
from ..causes import CloseCause, MigrationCause
from . import _roles as roles
from ._actions import CallServerBack, Challenge, ClosePath, Decision, Migrate, OpenPath
from ._choices import Choices
from ._ports import other_ports, unanswered
from ._roles import network_of
from ._views import Candidate, PathInfo, View

_MINUTE: Final = 60.0
# A server that goes elsewhere once more is not called back again: it has its own mind.
_MOST_CALLS: Final = 2
# Seconds before the return to a better network, however often the connection has returned
_LONGEST_PATIENCE: Final = 128.0
# of another network, while none has answered
_PORTS_OF_A_STANDBY: Final = 3


class Settled(Choices):
    """The active path answers."""

    def decide(self, view: View, active: PathInfo, now: float) -> Decision:
        first = self._preferred(view, active) or self._wayward(view, active, now)
        if first is not None:
            return first
        better = [
            path
            for path in roles.validated(view)
            if path.rank < active.rank and path.preferred == active.preferred and not active.pinned
        ]
        look_again = view.next_candidate_at
        for path in sorted(better, key=lambda path: path.rank):
            if active.outside:
                return Decision((Migrate(path.id, cause=MigrationCause.TUNNEL),))
            ready_at = path.works_since + self._patience(view)
            if now >= ready_at:
                reason = f"a better network is {'back' if path.visited else 'there'}"
                cause = MigrationCause.BETTER_NETWORK
                return Decision((Migrate(path.id, cause=cause, reason=reason),))
            look_again = min(look_again, ready_at)
        standbys = roles.standbys_of(view, active)
        home = network_of(active)
        elsewhere = [p for p in standbys if network_of(p) != home]
        wanted = 0 if view.called_back >= _MOST_CALLS else self._policy.standby
        # What has failed once keeps no other network out.
        there = {network_of(p) for p in elsewhere if p.state is not PathState.CANDIDATE}
        missing = max(0, wanted - len(there))
        ways = self.some(self.others(view, active), missing)
        if not ways:
            ways = self.some(self._improvements(view, active), 1)
        useless, again = self._useless(view, active, elsewhere, now)
        look_again = min(look_again, again)
        if self._policy.new_port:
            kept = replace(view, paths=tuple(p for p in view.paths if p.id not in useless))
            again_there = unanswered(view, self.usable(view), elsewhere, ways, wanted)
            more, again = other_ports(kept, again_there, now, _PORTS_OF_A_STANDBY)
            ways, look_again = more or ways, min(look_again, again)
        if not view.spare_ids:
            ways = self.ways_to_preferred(view, active) + ways
        # another port beside one that is there is no loss to tell of
        ways = tuple(c for n, c in enumerate(ways) if n < view.spare_ids or not c.new_port)
        # Of those that are being probed we shall hear.
        settled = [path for path in standbys if not path.probing]
        if view.answerable <= 1 and any(path.probing for path in standbys):
            # The server may forget the one for the other, and the end of that is a reason to look.
            settled = [path for path in settled if path.state is PathState.VALIDATED]
        due = [path for path in settled if now >= self._reprobe_at(path)]
        look_again = min([look_again, *(self._reprobe_at(p) for p in settled if p not in due)])
        closed = [ClosePath(number, cause=cause) for number, cause in useless.items()]
        challenges = [Challenge(path.id) for path in due if path.id not in useless]
        return Decision((*closed, *challenges, *self.open(view, ways)), look_again=look_again)

    def _useless(
        self, view: View, active: PathInfo, elsewhere: list[PathInfo], now: float
    ) -> tuple[dict[int, CloseCause], float]:
        """Standbys that are no use, or harm, and why; and when there may be more of them."""
        standbys = roles.standbys_of(view, active)
        useless = {
            path.id: cause
            for path in standbys
            if (cause := roles.why_useless(path, active, standbys, view.answerable, now))
        }
        waiting = [
            p for p in standbys if p.misled and p.opened_by_supervisor and p.id not in useless
        ]
        again = min([roles.answer_due(path, active) for path in waiting], default=inf)
        if view.answerable <= 1:
            later = [at for path in standbys if (at := roles.answer_due(path, active)) > now]
            again = min([again, *later])
        if view.called_back:
            for path in roles.twins_of(view, active):
                useless.pop(path.id, None)
            left = roles.left_ports(view, active)
            useless |= dict.fromkeys(left, CloseCause.ANOTHER_PORT_WORKS)
        if view.called_back >= _MOST_CALLS:
            tempting, due = roles.tempting(view, active, elsewhere, now)
            useless |= dict.fromkeys(tempting, CloseCause.SERVER_WANDERS)
            again = min(again, due)
        return useless, again

    def _wayward(self, view: View, active: PathInfo, now: float) -> Decision | None:
        """The server goes where it likes, or did, and can be had back now."""
        there = [path for path in view.paths if path.server_moves and path != active]
        answer = self._server_moved(view, active, there[0], now) if there else None
        if answer is None and view.called_back:
            followed = [p for p in roles.twins_of(view, active) if p.state is PathState.VALIDATED]
            if followed:
                return Decision((Migrate(followed[0].id, cause=MigrationCause.CALLED_BACK),))
        return answer

    def _server_moved(
        self, view: View, active: PathInfo, there: PathInfo, now: float
    ) -> Decision | None:
        """The server has chosen a path itself: go there, or have it come back; None where it does
        so for ever, and neither would help."""
        worse = there.rank > active.rank or bool(there.metered and not active.metered)
        proven = there.usable and there.state is PathState.VALIDATED
        if proven and not worse and not active.pinned:
            followed = sum(1 for at in view.returns if now - at < _MINUTE)
            if followed >= self._policy.switches_per_minute:
                return None
            return Decision((Migrate(there.id, cause=MigrationCause.SERVER_MOVED),))
        if view.called_back >= _MOST_CALLS:
            return None
        # A packet that is no probe brings it back (section 9.3), or another port does, where it
        # goes to each path once, when that is new, and stays (picoquic).
        home = network_of(active)
        may_open = self._policy.new_port and view.spare_ids
        there_too = [c for c in self.usable(view) if network_of(c) == home]
        ways = [c for c in there_too if may_open and c.remote == active.remote][:1]
        # It goes wherever a challenge was answered, so none is sent elsewhere any more.
        left = view.paths if view.called_back and not ways else ()
        closed = [
            ClosePath(path.id, cause=CloseCause.SERVER_WANDERS)
            for path in left
            if path.opened_by_supervisor and path != active
        ]
        # If no path can be opened now, it was not called back either, and is the next time.
        return Decision((*closed, *map(OpenPath, ways), CallServerBack()), look_again=now)

    def _preferred(self, view: View, active: PathInfo) -> Decision | None:
        """Section 9.6: validate the preferred address, move there, drop what leads to the old."""
        if not self._policy.use_preferred_address:
            return None
        if active.preferred:
            cause = CloseCause.PREFERRED_ADDRESS
            old = [ClosePath(p.id, cause=cause) for p in view.paths if not p.preferred]
            return Decision(tuple(old)) if old else None
        home = network_of(active)
        reached = [path for path in roles.validated(view) if path.preferred]
        # The server's other address is no reason to leave the application's network; and that of
        # the other family, on another network, stands by.
        reached = [
            path
            for path in reached
            if network_of(path) == home or (not active.pinned and roles.same_family(path, active))
        ]
        if reached:
            best = min(reached, key=lambda p: network_of(p) != home)
            return Decision((Migrate(best.id, cause=MigrationCause.PREFERRED_ADDRESS),))
        ways = self.ways_to_preferred(view, active)
        return Decision(tuple(map(OpenPath, ways))) if ways and view.spare_ids else None

    def _improvements(self, view: View, active: PathInfo) -> list[Candidate]:
        if active.pinned or (self._policy.move_back_after == inf and not active.outside):
            return []
        return [c for c in self.others(view, active) if c.rank < active.rank]

    def _reprobe_at(self, path: PathInfo) -> float:
        if path.state is PathState.CANDIDATE:
            # it was in vain, and may be again
            return path.retry_at
        interval = (
            self._policy.metered_standby_interval if path.metered else self._policy.standby_interval
        )
        return path.proven_at + interval

    def _patience(self, view: View) -> float:
        first = self._policy.move_back_after
        return min(first * 2.0 ** len(view.returns), max(_LONGEST_PATIENCE, first))
