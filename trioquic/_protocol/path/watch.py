"""Whether the active path answers, whether the server does, and where it sends to.

The active path falls silent when a PTO passes without an answer and nothing else comes in; it is
degraded when several have (RFC 9002 section 6.2). `silence.py` asks the same of all paths together,
`drift.py` whether the server has gone elsewhere by itself.
"""

from math import inf
from typing import Final

from ..events import Event, PathDegraded, PathRecovered, PathSilent, ServerMoved
from ..facts import ConnectionFacts
from .announcements import Announcements
from .drift import Drift
from .path import NetworkPath
from .silence import Silence
from .state import HealthInput, PathHealth, PathValidation
from .table import PathTable

# On a fast path a server that was busy for a moment is no reason to leave, seconds.
_SHORTEST_SILENCE: Final = 0.05


class Watch:
    """`degraded_after`: PTOs in a row without an answer."""

    def __init__(
        self, facts: ConnectionFacts, paths: PathTable, degraded_after: int, events: list[Event]
    ) -> None:
        self._facts = facts
        self._paths = paths
        self._degraded_after = degraded_after
        self._events = events
        self.announcements = Announcements()
        self.drift = Drift()
        self.silence = Silence(events)

    def on_heard(self, path: NetworkPath, now: float) -> None:
        """Authentic packets came in on a path."""
        path.life.on_heard(now)
        active = self._paths.active_path()
        self.silence.on_heard(now, active is not None and active.recovery.awaits_acks)
        if path is active:
            self.drift.on_active(path.largest_received)
            self.announcements.on_heard()

    def on_stray(self, path: NetworkPath, number: int, now: float) -> None:
        """A packet that is more than a probe came in on a path that is not active."""
        active = self._paths.active_path()
        if active is None or not self._facts.confirmed:
            return
        pto = max(active.pto(), _SHORTEST_SILENCE)
        arrived = not self.announcements.arriving
        if self.drift.on_stray(path.path_id, number, active.largest_received, arrived, now, pto):
            self._events.append(ServerMoved(path_id=path.path_id))

    def on_moved(self, from_nowhere: bool, now: float) -> None:
        """The connection moved; `from_nowhere`: it was without a path."""
        self.drift.on_moved(now)
        self.on_path_there(from_nowhere, now)

    def on_path_there(self, from_nowhere: bool, now: float) -> None:
        """There is a path again where nobody could be asked."""
        if from_nowhere:
            self.silence.on_first_path(now)
        self.announcements.on_moved()

    def judge_active(self, now: float) -> None:
        """Notice that the active path fell silent, or all of them, or that they answer again."""
        path = self._paths.active_path()
        if path is None:
            return
        if self.silence.lasts(now):
            self.silence.judge(now, self._longest_pto(path))
        path.judge_size(now)
        if not self._facts.confirmed:
            return
        count = path.recovery.pto_count
        health = path.life.health
        if count >= self._degraded_after:
            if health is not PathHealth.DEGRADED:
                self.degrade(path)
        elif health is PathHealth.GOOD:
            if count > 0 and now >= self._unheard_from(path):
                self._fall_silent(path)
        elif count == 0 or (health is PathHealth.SILENT and now < self._unheard_from(path)):
            self._recover(path)

    def _fall_silent(self, path: NetworkPath) -> None:
        path.life.on_health(HealthInput.MISS)
        self._events.append(PathSilent(path_id=path.path_id))

    def degrade(self, path: NetworkPath) -> None:
        """The active path answers neither probes nor challenges: it counts as degraded."""
        if path.life.health is PathHealth.GOOD:
            self._fall_silent(path)
        if path.life.health is PathHealth.SILENT:
            path.life.on_health(HealthInput.DEGRADE)
            count = path.recovery.pto_count
            self._events.append(PathDegraded(path_id=path.path_id, pto_count=count))

    def _recover(self, path: NetworkPath) -> None:
        degraded = path.life.health is PathHealth.DEGRADED
        path.life.on_health(HealthInput.ANSWER)
        self._events.append(PathRecovered(path_id=path.path_id, degraded=degraded))

    def _unheard_from(self, path: NetworkPath) -> float:
        # A lost PING is no silence as long as other packets come in.
        return path.life.heard_at + max(path.pto(), _SHORTEST_SILENCE)

    def _longest_pto(self, active: NetworkPath) -> float:
        """Of the active path, and of others that may be asked when that is silent."""
        longest = _SHORTEST_SILENCE
        for path in self._paths.live():
            if path is active or path.life.validation is PathValidation.VALIDATED:
                longest = max(longest, path.pto())
        return longest

    def next_deadline(self) -> float:
        """When silence is to be noticed."""
        active = self._paths.active_path()
        if active is None:
            return inf
        deadline = inf
        if self.silence.lasts(inf):
            deadline = self.silence.deadline(self._longest_pto(active))
        unsure = active.recovery.pto_count > 0 and active.life.health is PathHealth.GOOD
        if unsure and self._facts.confirmed:
            deadline = min(deadline, self._unheard_from(active))
        return deadline
