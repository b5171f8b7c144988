"""Lets the challenges of a new path arrive before what is sent after them on the active one.

Some servers (nginx 1.30) take a new path only from a packet with the highest number so far. What
goes out on a faster path behind a challenge, be it an ACK, makes them drop it. Nobody knows how
much longer the new way is before it has answered. So the active path waits twice for each new way:
first behind a second challenge, as long as an ACK may be held back, then behind a later one for a
PTO. The second time ACKs are later than we have promised (section 13.2.1); they are what overtakes
the challenges of a download.

That costs the connection's time, and a new way may as well be dead. So the connection has one
account for it, whatever is probed. Nobody waits for a way that was waited for in vain a moment ago,
on a path that does not answer, or while the connection settles on a path that it has just moved to.
What the server knows already, and has not forgotten since, needs nothing.
"""

from math import inf
from typing import Final

from ..cid.own import OwnIds
from ..facts import ConnectionFacts
from .attempt import INITIAL_PTO
from .path import Address, NetworkPath
from .state import PathHealth

# behind which challenge of an attempt the active path waits at the earliest
_FIRST: Final = 2
# what the account holds, in PTOs, and which part of the time is paid into it
_ACCOUNT: Final = 2.0
_SHARE: Final = 0.05
# Seconds after a move: an attempt that was under way then is over
_SETTLING: Final = 3 * INITIAL_PTO
# Seconds after which a way that was waited for in vain is worth another wait: the server may have
# been there, with no room for an answer
_IN_VAIN: Final = 10.0
_REMEMBERED: Final = 16

Way = tuple[str, Address]
"""From an address of ours, whatever the port, to one of the server's."""


class Precedence:
    """`paths`: all that are live; `ack_delay`: how long our ACKs may be held back, seconds."""

    def __init__(
        self,
        facts: ConnectionFacts,
        paths: dict[int, NetworkPath],
        own_ids: OwnIds,
        ack_delay: float,
    ) -> None:
        self._facts = facts
        self._paths = paths
        self._own_ids = own_ids
        self._ack_delay = ack_delay
        # behind whose challenge the active path waits, since when and until when
        self._ahead: NetworkPath | None = None
        self._since = -inf
        self._until = -inf
        # when the account is full again
        self._full_at = -inf
        self._settled_at = -inf
        # how often was waited for a way, since the connection is on this path, and when last
        self._waited: dict[Way, tuple[int, float]] = {}

    def held_until(self, path: NetworkPath) -> float:
        """Before this time nothing goes out on the path; minus infinity if nobody is in its way.
        A response (section 8.2.2) and a first challenge never wait."""
        if path.path_id != self._facts.active_path or path.responses.due:
            return -inf
        if path.attempt.running and not path.attempt.outstanding:
            return -inf
        if self._ahead is None or not self._ahead.attempt.outstanding:
            # answered, or given up
            return -inf
        return self._until

    def on_probe_sent(self, path: NetworkPath, ack_promised: float, now: float) -> None:
        """Probing frames went out on a path that is not active; the next ACK is promised for that
        time. If it was a challenge, the active path may have to wait now."""
        attempt = path.attempt
        if attempt.outstanding < _FIRST or attempt.last_sent < now or self._known(path):
            return
        active = self._paths.get(self._facts.active_path)
        if active is None or active.life.health is not PathHealth.GOOD or now < self._settled_at:
            return
        way = _way(path)
        waited, last = self._waited.get(way, (0, -inf))
        if now >= last + _IN_VAIN:
            waited = 0
        pto = active.pto()
        if waited == 0:
            until = min(now + self._ack_delay, ack_promised)
        elif waited == 1:
            until = now + pto
        else:
            return
        if now >= self._until:
            self._since = now
        # with two ways at a time it is one wait, and still no longer than a PTO
        if self._pay(min(until, self._since + pto), pto, now):
            self._ahead = path
            # behind those that were waited for before, the first of which may be forgotten
            self._waited.pop(way, None)
            self._waited[way] = waited + 1, now
            if len(self._waited) > _REMEMBERED:
                del self._waited[next(iter(self._waited))]

    def _pay(self, until: float, pto: float, now: float) -> bool:
        """Wait until then, if the account has as much; what is waited for already is free."""
        cost = until - max(now, self._until)
        if cost > 0.0:
            full_at = max(now, self._full_at) + cost / _SHARE
            if full_at - now > _ACCOUNT * pto / _SHARE:
                return False
            self._full_at = full_at
            self._until = until
        return True

    def _known(self, path: NetworkPath) -> bool:
        """Whether the server has the path, as far as we can tell: nginx forgets one that it has
        answered on for another that it is asked on."""
        return not (path.life.doubtful or self._own_ids.retired_on(path.path_id))

    def on_answered(self, path: NetworkPath) -> None:
        """The way is none that is dead, for another port or when the server forgets this path."""
        self._waited.pop(_way(path), None)

    def on_stranger(self, path: NetworkPath) -> None:
        """Somebody answered there who does not know the connection, such as another worker of the
        server: so the way is none that is dead, and from another port it is worth a wait again."""
        self._waited.pop(_way(path), None)

    def on_moved(self, now: float) -> None:
        """The connection moved: from there other ways take longer, or less long."""
        self._ahead = None
        self._settled_at = now + _SETTLING
        self._waited.clear()


def _way(path: NetworkPath) -> Way:
    return "" if path.local is None else path.local[0], path.remote
