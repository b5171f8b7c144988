"""Moving the connection from path to path (RFC 9000 sections 9.2 and 9.4).

The old path stands by, with what it has shown; the new one begins with what was measured there
since the connection was last on it. What was under way where nothing answers is sent again at once.
"""

from math import inf

from ..events import Event, Migrated
from ..facts import NO_PATH, ConnectionFacts
from ..recovery.loss import LossDetector
from .path import NetworkPath
from .prober import Prober
from .state import HealthInput, PathHealth, PathValidation, RoleInput, ValidationInput
from .table import PathTable
from .watch import Watch


class Mover:
    def __init__(
        self,
        facts: ConnectionFacts,
        paths: PathTable,
        prober: Prober,
        watch: Watch,
        loss: LossDetector,
        events: list[Event],
    ) -> None:
        self._facts = facts
        self._paths = paths
        self._prober = prober
        self._watch = watch
        self._loss = loss
        self._events = events
        # the path that the connection moved to last, None while it never has
        self._last: NetworkPath | None = None

    def migrate(self, path_id: int, now: float, unvalidated: bool = False) -> None:
        """The connection moves to this path (section 9.2), also before it is validated if that is
        wanted; PathRefusedError if the rules forbid it."""
        path = self._paths.require(path_id)
        if path_id == self._facts.active_path:
            return
        self._paths.rules.check_move(path, unvalidated)
        old_id = self._facts.active_path
        old = self._paths.active_path()
        # nothing got lost on a path that answers
        left_well = old is not None and old.recovery.pto_count == 0
        if old is not None:
            self._leave(old, now)
        self._arrive(path, now)
        self._last = path
        self._paths.precedence.on_moved(now)
        path.amplification.on_moved(left_well, now)
        self._watch.on_moved(old_id == NO_PATH, now)
        self._events.append(Migrated(old=old_id, new=path_id))
        # what became of the preferred address is told after the move there
        self._paths.preferred.on_moved(path.remote)

    def _arrive(self, path: NetworkPath, now: float) -> None:
        returns = path.life.activated_at > -inf
        path.life.on_activated(now)
        self._facts.on_active_path(path.path_id)
        if returns:
            # What was learnt then says nothing about now (section 9.4); what was probed since does.
            path.restart_size()
            path.recovery.reset(self._guess_rtt(path))
        # probes that got lost before are no reason to be slow now
        path.recovery.on_answer()

    def _guess_rtt(self, path: NetworkPath) -> float:
        """The initial RTT of a path that the connection returns to, 0 if nothing is known: what a
        probe took since (RFC 9002 section 6.2.2), or what the RTT was if the network is the same as
        before the move, which section 9.4 takes for granted where only a port has changed."""
        rtt = path.recovery.rtt
        if path.probed_rtt > 0.0:
            return path.probed_rtt
        if rtt.known and (self._last is None or path.differs_by_port(self._last)):
            return rtt.smoothed
        return 0.0

    def _leave(self, old: NetworkPath, now: float) -> None:
        old.forget_probes()
        life = old.life
        silent = life.health is PathHealth.DEGRADED or old.recovery.pto_count > 0
        if silent:
            # Nothing answers there: do not wait for its backed-off PTO to send the data again.
            self._loss.requeue_path(old.path_id, now)
        works = life.validated_at > -inf and not silent
        life.on_validation(ValidationInput.WORKS if works else ValidationInput.LAPSE)
        if old.attempt.running and life.validation is PathValidation.NONE:
            # it was being validated while it was active, and still is
            life.on_validation(ValidationInput.PROBE)
        life.on_role(RoleInput.LEAVE)
        life.on_health(HealthInput.LEAVE)

    def resume(self, now: float) -> None:
        """The active path's network is back after it was gone: send at once what got lost, and have
        the server see that; neither side's PTO has backed off for a reason that still holds."""
        path = self._paths.active_path()
        if path is not None:
            self._loss.requeue_path(path.path_id, now)
            path.recovery.on_answer()
            self._watch.on_path_there(True, now)

    def suspend(self, now: float) -> None:
        """Leave the active path for none: its network is gone, and it may be back one day. What was
        in flight is sent elsewhere."""
        old = self._paths.active_path()
        if old is not None:
            self._loss.requeue_path(old.path_id, now)
            self._leave(old, now)
            self._prober.interrupt(old)
            self._facts.on_active_path(NO_PATH)
