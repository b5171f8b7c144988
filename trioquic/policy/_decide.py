"""What to do when a connection has no path, one that is in doubt, or one that is silent.

Pure functions over a `View`: the same arguments give the same decision. What to do while all is
well is in `_settled.py`.
"""

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Final

from .._protocol.path.state import PathState
from ..causes import MigrationCause
from ..errors import NoPathReason
from . import _roles as roles
from ._choices import Choices
from ._ports import other_ports
from ._settled import Settled
from ._views import Decision, PathInfo, View

if TYPE_CHECKING:
    from ._knobs import MigrationPolicy

_NEVER: Final = inf
_BACK: Final = MigrationCause.NETWORK_BACK


def decide(policy: "MigrationPolicy", view: View, now: float) -> Decision:
    """The policy's decision; see `MigrationPolicy.decide`."""
    if not policy.enabled or not policy.automatic:
        return Decision()
    urgent = _Urgent(policy)
    active = view.active
    gone = tuple(
        path.id
        for path in view.paths
        if not path.usable or roles.is_stale(path) or roles.is_outside(path, view)
    )
    view = replace(view, paths=tuple(p for p in view.paths if not p.outside or p == active))
    if active is None or active.id in gone:
        return urgent.without_path(view, gone, now)
    if active.doubtful:
        return urgent.doubtful(view, active, now)
    if active.silent_since < _NEVER:
        # Nothing reaches the server, so what is given up brings no new connection ID: only what
        # can be used no more goes, and the others are asked again.
        gone = tuple(path.id for path in view.paths if not path.usable)
        decision = urgent.silent(view, active, now)
    else:
        decision = Settled(policy).decide(view, active, now)
    return _with_abandoned(decision, gone)


def _with_abandoned(decision: Decision, gone: tuple[int, ...]) -> Decision:
    if not gone:
        return decision
    return replace(
        decision,
        abandon=gone + decision.abandon,
        challenge=tuple(number for number in decision.challenge if number not in gone),
    )


class _Urgent(Choices):
    """The connection has no path that answers."""

    # -- no path: break before make ----------------------------------------------------------------

    def without_path(self, view: View, gone: tuple[int, ...], now: float) -> Decision:
        cause, reason = MigrationCause.NETWORK_GONE, f"the active path is gone: {view.lost}"
        ready = [p for p in view.paths if p.id not in gone and p.state is PathState.VALIDATED]
        if ready:
            # Of several ports the one that was in use: to there the server's packets go.
            best = max(ready, key=lambda p: (p.preferred, -p.rank, p.suspended, p.proven_at))
            if best.returned:
                cause, reason = _BACK, ""
            return Decision(abandon=gone, migrate=best.id, cause=cause, reason=reason)
        # What has worked may do so again when its network is back, from the same port only, and
        # while nothing else is proven nothing is gained by giving it up.
        kept = [path.id for path in view.paths if not path.usable and not path.doubtful]
        gone = tuple(number for number in gone if number not in kept)
        suspend = view.active is not None
        returned = [path for path in view.paths if path.returned]
        if returned:
            best = roles.best_returned(returned)
            return Decision(abandon=gone, migrate=best.id, unproven=True, cause=_BACK)
        # Section 9.2 allows to move first; 9.6.2 does not for a new server address.
        ways = [c for c in self.usable(view) if not (c.preferred and view.preferred_pending)]
        asked = roles.may_answer(view, gone, {(c.local, c.remote) for c in self.usable(view)})
        leap = view.migration_allowed and view.spare_ids > 0 and len(ways) > 0
        if not view.answerable and (leap or asked is not None):
            # Section 5.1.1: the server needs an unused ID of ours there, and gets a new one for
            # that of a path which is given up.
            gone += roles.least_hopeful([p for p in view.paths if p.id in kept], ways)
        if asked is not None and not (ways and view.spare_ids and ways[0].rank < asked.rank):
            return Decision(
                abandon=gone,
                suspend=suspend,
                migrate=asked.id,
                unproven=True,
                cause=cause,
                reason=reason,
            )
        if not view.migration_allowed or not view.spare_ids:
            return self._confined(view, gone, now)
        if ways:
            return Decision(abandon=gone, suspend=suspend, leap=ways[0], cause=cause, reason=reason)
        return Decision(abandon=gone, suspend=suspend, wait=True, look_again=view.next_candidate_at)

    # -- a leap into the dark: whatever works is better --------------------------------------------

    def doubtful(self, view: View, active: PathInfo, now: float) -> Decision:
        """The connection has moved to a path that was not proven, and there is no answer yet."""
        proven = [p for p in view.paths if p.usable and p.state is PathState.VALIDATED]
        if proven:
            best = max(proven, key=lambda path: (path.preferred, -path.rank, path.proven_at))
            return Decision(migrate=best.id, cause=MigrationCause.ANOTHER_ANSWERS)
        returned = [path for path in view.paths if path.returned]
        if returned:
            best = roles.best_returned(returned)
            return Decision(migrate=best.id, unproven=True, cause=_BACK)
        return self._ask_around(view, active, now)

    def _ask_around(self, view: View, active: PathInfo, now: float) -> Decision:
        """Challenge what there is, and open what there may be."""
        idle = [path for path in view.paths if path.usable and not path.probing]
        due = [p for p in idle if p.proven_at < active.silent_since or p.doubtful]
        ripe = [path for path in due if path == active or now >= path.retry_at]
        look_again = min(
            [now + active.pto, view.next_candidate_at, *(p.retry_at for p in due if p not in ripe)]
        )
        chosen = self.some(self.others(view, active), 2)
        proven = any(path.state is PathState.VALIDATED for path in view.paths if path.usable)
        if not chosen and self._policy.new_port and not proven:
            # only networks in use are left: another port there, or another address
            chosen, again = other_ports(view, self.usable(view), now)
            look_again = min(look_again, again)
        if active.doubtful:
            # Section 9.6.3: a leap leads to the original address, and both are asked.
            chosen = self.ways_to_preferred(view, active) + chosen
        return Decision(
            challenge=tuple(path.id for path in ripe),
            probe=chosen[: view.spare_ids],
            wanted=chosen[view.spare_ids :],
            look_again=look_again,
        )

    def _confined(self, view: View, gone: tuple[int, ...], now: float) -> Decision:
        """From the address that is gone alone the server may be reached (section 18.2), or there is
        no connection ID for another one (section 9.5), and from where should one come?"""
        # A path that was leapt to is kept as well: its ID was the last one.
        gone = tuple(n for n in gone if view.active is None or n != view.active.id)
        probing = any(path.usable and path.id not in gone for path in view.paths)
        ways = () if probing or not view.spare_ids else self.some(self.usable(view), 1)
        end, at = None, view.lost_at + self._policy.return_grace
        if not probing and not ways and self.allowed(view):
            # A new connection could go on at once, and this one perhaps never.
            forbidden = not view.migration_allowed
            end = NoPathReason.MIGRATION_FORBIDDEN if forbidden else NoPathReason.NO_CONNECTION_ID
        return Decision(
            abandon=gone,
            probe=ways,
            wait=True,
            give_up=end,
            give_up_at=at,
            look_again=view.next_candidate_at if end is None else min(view.next_candidate_at, at),
        )

    # -- a silent path: ask everywhere, go where an answer comes from ------------------------------

    def silent(self, view: View, active: PathInfo, now: float) -> Decision:
        target = roles.refuge(view, active, self._policy.move_after)
        if target is not None and len(view.switches) < self._policy.switches_per_minute:
            # Both are asked whether they work: if it is the old one alone, that is the way back.
            doubtful = [path for path in (active, target) if not path.probing]
            return Decision(
                migrate=target.id,
                challenge=tuple(p.id for p in doubtful if p.proven_at < active.silent_since),
                cause=MigrationCause.SILENCE,
                reason=roles.why_left(active),
            )
        if (
            target is None
            and active.unanswered_ptos >= self._policy.degraded_after
            and view.answerable
        ):
            ways = {(c.local, c.remote) for c in self.usable(view)}
            deaf = roles.may_hear(view, active, now, ways)
            if deaf is not None and len(view.switches) < self._policy.switches_per_minute:
                return Decision(
                    migrate=deaf.id, unproven=True, cause=MigrationCause.NO_PROBE_ANSWERED
                )
        return self._ask_around(view, active, now)
