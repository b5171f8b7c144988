"""The policy, and what it does about no path, one that is in doubt, or one that is silent.

Pure functions over a `View`: the same arguments give the same decision. What to do while all is
well is in `_settled.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from ..causes import MigrationCause
from ..errors import NoPathReason
from . import _roles as roles
from ._actions import (
    Challenge,
    ClosePath,
    Decision,
    Migrate,
    OpenAndMigrate,
    OpenPath,
    Suspend,
    WaitForPath,
)
from ._choices import Choices
from ._knobs import Knobs
from ._ports import other_ports
from ._settled import Settled
from ._views import Candidate, PathInfo, PolicyEvent, View

_BACK: Final = MigrationCause.NETWORK_BACK
_MOST_DOUBLINGS: Final = 10


@dataclass(frozen=True, kw_only=True)
class MigrationPolicy(Knobs):
    """The knobs of migration (RFC 9000 section 9), and the decisions that follow from them.

    Times are seconds, or PTOs where it says so. A PTO is the probe timeout of RFC 9002 section 6.2:
    about the round trip and four times its variation, 1 s before one was measured, and each in a
    row twice the one before.
    """

    def decide(self, view: View, event: PolicyEvent, now: float) -> Decision:
        """What to do. Pure: the same arguments give the same decision. Called once for all that has
        happened since the last call, and at the time that the last decision asked for; it must not
        block. `now` is trio's clock, in seconds."""
        if not self.enabled or not self.automatic:
            return Decision()
        urgent = _Urgent(self)
        active = view.active
        gone = [close for path in view.paths if (close := roles.why_gone(path, view)) is not None]
        view = replace(view, paths=tuple(p for p in view.paths if not p.outside or p == active))
        if active is None or any(close.path == active.id for close in gone):
            return urgent.without_path(view, gone, now)
        if active.doubtful:
            return urgent.doubtful(view, active, now)
        if active.silent_since < inf:
            # Nothing reaches the server, so what is given up brings no new connection ID: only what
            # can be used no more goes, and the others are asked again.
            gone = [roles.without_network(path) for path in view.paths if not path.usable]
            decision = urgent.silent(view, active, now)
        else:
            decision = Settled(self).decide(view, active, now)
        closed = {close.path for close in gone}
        rest = [
            action
            for action in decision.actions
            if not isinstance(action, ClosePath | Challenge) or action.path not in closed
        ]
        return replace(decision, actions=(*gone, *rest))


class _Urgent(Choices):
    """The connection has no path that answers."""

    # -- no path: break before make ----------------------------------------------------------------

    def without_path(self, view: View, gone: list[ClosePath], now: float) -> Decision:
        cause, reason = roles.why_lost(view)
        ready = roles.validated(view)
        if ready:
            # Of several ports the one that was in use: to there the server's packets go.
            best = max(ready, key=lambda p: (p.preferred, -p.rank, p.suspended, p.proven_at))
            if best.returned:
                cause, reason = _BACK, ""
            return Decision((*gone, Migrate(best.id, cause=cause, reason=reason)))
        # What has worked may do so again when its network is back, from the same port only, and
        # while nothing else is proven nothing is gained by giving it up.
        # So has one beside a tunnel, if the move into that takes the last connection ID.
        last = view.spare_ids <= 1
        kept = [p for p in view.paths if not p.usable and not p.doubtful]
        kept = [p for p in kept if not p.outside or (last and p == view.active)]
        gone = [close for close in gone if all(close.path != path.id for path in kept)]
        back = roles.best_returned(view)
        if back is not None:
            return Decision((*gone, Migrate(back.id, cause=_BACK, unvalidated=True)))
        # Section 9.2 allows to move first; 9.6.2 does not for a new server address.
        ways = [c for c in self.usable(view) if c.known]
        asked = roles.may_answer(self.asked(view))
        may_open = view.migration_allowed and view.spare_ids > 0
        if not view.answerable and ((may_open and ways) or asked is not None):
            # Section 5.1.1: the server needs an unused ID of ours there, and gets a new one for
            # that of a path which is given up.
            gone += roles.least_hopeful(kept, ways)
        suspend = [Suspend()] if view.active is not None else []
        if asked is not None and not (ways and view.spare_ids and ways[0].rank < asked.rank):
            move = Migrate(asked.id, cause=cause, reason=reason, unvalidated=True)
            return Decision((*gone, *suspend, move))
        if ways and may_open:
            return Decision((*gone, *suspend, OpenAndMigrate(ways[0], cause=cause, reason=reason)))
        idle = self.idle(view)
        if idle is not None:
            move = Migrate(idle.id, cause=cause, reason=reason, unvalidated=True)
            return Decision((*gone, *suspend, move))
        if not may_open:
            return self._confined(view, gone, now)
        # A new network may lead to a server address that has never answered, and no other.
        new = self.some([c for c in self.usable(view) if not (c.known or c.new_port)], 1)
        actions = (*gone, *suspend, *self.open(view, new), WaitForPath())
        return Decision(actions, look_again=view.next_candidate_at)

    # -- moved before anything was proven: whatever works is better --------------------------------

    def doubtful(self, view: View, active: PathInfo, now: float) -> Decision:
        """The connection has moved to a path that was not proven, and there is no answer yet."""
        proven = roles.validated(view)
        if proven:
            best = max(proven, key=lambda path: (path.preferred, -path.rank, path.proven_at))
            return Decision((Migrate(best.id, cause=MigrationCause.ANOTHER_ANSWERS),))
        back = roles.best_returned(view)
        if back is not None:
            return Decision((Migrate(back.id, cause=_BACK, unvalidated=True),))
        return self._ask_around(view, active, now)

    def _ask_around(self, view: View, active: PathInfo, now: float) -> Decision:
        idle = [path for path in view.paths if path.usable and not path.probing]
        due = [p for p in idle if p.proven_at < active.silent_since or p.doubtful]
        ripe = [path for path in due if now >= path.retry_at]
        # how long the next PTO takes at the most
        patience = active.pto * 2.0 ** min(active.unanswered_ptos, _MOST_DOUBLINGS)
        times = [now + patience, view.next_candidate_at, *self._answers_due(view, active, now)]
        look_again = min([*times, *(path.retry_at for path in due if path not in ripe)])
        ways = self.some(self.others(view, active), 2)
        if not ways and self._policy.new_port and not roles.validated(view):
            # only networks in use are left: another port there, or another address
            ways, again = other_ports(view, self.usable(view), now)
            # A network that comes up needs a connection ID, too.
            asked = any(p.opened_by_supervisor and p.usable for p in view.paths if p != active)
            ways = ways[: view.spare_ids - 1] if asked and view.spare_ids else ways
            look_again = min(look_again, again)
        if ways:
            look_again = min(look_again, now + roles.LONG_ENOUGH)
        if active.doubtful:
            # Section 9.6.3: such a move leads to the original address, and both are asked.
            ways = self.ways_to_preferred(view, active) + ways
        challenges = [Challenge(path.id) for path in ripe]
        return Decision((*challenges, *self.open(view, ways)), look_again=look_again)

    def _answers_due(self, view: View, active: PathInfo, now: float) -> list[float]:
        """When `_deaf` may say something else, though nothing happens."""
        asked = self.asked(view)
        times = [path.opened_at + roles.LONG_ENOUGH for path in asked]
        times += [roles.answer_due(path, active) for path in asked if roles.may_be_heard(path)]
        return [at for at in times if at > now]

    def _confined(self, view: View, gone: Sequence[ClosePath], now: float) -> Decision:
        """From the address that is gone alone the server may be reached (section 18.2), or there is
        no connection ID for another one (section 9.5), and from where should one come?"""
        # The active path is kept also if it was moved to unvalidated: its ID was the last one.
        gone = [c for c in gone if view.active is None or c.path != view.active.id]
        left = {close.path for close in gone}
        probing = any(path.usable and path.id not in left for path in view.paths)
        # the socket of one beside a tunnel would carry packets still
        suspend = [Suspend()] if view.active is not None and view.active.outside else []
        ways: tuple[Candidate, ...] = ()
        if not probing and view.spare_ids:
            ways = self.some(self.usable(view), 1)
        look_again, wait = view.next_candidate_at, WaitForPath()
        if not probing and not ways and self.allowed(view):
            # A new connection could go on at once, and this one perhaps never.
            # where a preferred address may be asked, it is the ID that is missing
            forbidden = not (view.migration_allowed or self.usable(view))
            end = NoPathReason.MIGRATION_FORBIDDEN if forbidden else NoPathReason.NO_CONNECTION_ID
            at = view.lost_at + self._policy.return_grace
            look_again, wait = min(look_again, at), WaitForPath(give_up=end, give_up_at=at)
        return Decision((*gone, *suspend, *map(OpenPath, ways), wait), look_again=look_again)

    # -- a silent path: ask everywhere, go where an answer comes from ------------------------------

    def silent(self, view: View, active: PathInfo, now: float) -> Decision:
        may_switch = len(view.switches) < self._policy.switches_per_minute
        target = roles.refuge(view, active, self._policy.move_after)
        if target is not None and may_switch:
            move = Migrate(target.id, cause=MigrationCause.SILENCE, reason=roles.why_left(active))
            # Both are asked whether they work: if it is the old one alone, that is the way back.
            unheard = [p for p in (active, target) if p.proven_at < active.silent_since]
            return Decision((move, *(Challenge(p.id) for p in unheard if not p.probing)))
        if target is None and may_switch and view.answerable:
            deaf = self._deaf(view, active, now)
            if deaf is not None:
                cause = MigrationCause.NO_PROBE_ANSWERED
                return Decision((Migrate(deaf.id, cause=cause, unvalidated=True),))
        return self._ask_around(view, active, now)

    def _deaf(self, view: View, active: PathInfo, now: float) -> PathInfo | None:
        """Where to go when no probe is answered: at once where the server may hear more than that,
        and after a while to what was asked in vain."""
        ptos, asked = active.unanswered_ptos, self.asked(view)
        if ptos >= self._policy.degraded_after:
            # they would have answered by now, whatever their round trips
            late = [path for path in asked if now >= path.opened_at + roles.LONG_ENOUGH]
            return roles.may_hear(late, active)
        if ptos < self._policy.move_after:
            return None
        silent = [path for path in asked if roles.may_be_heard(path)]
        return roles.may_hear([p for p in silent if now >= roles.answer_due(p, active)], active)
