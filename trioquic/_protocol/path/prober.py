"""Path validation of all paths (RFC 9000 section 8.2): begun, answered, given up.

A response validates the path that its challenge was sent on, whichever way it came, and a path that
does not answer fails alone.
"""

from math import inf

from ..cid.peer import PeerIds
from ..events import Event, PathValidated, ValidationFailed
from ..facts import ConnectionFacts
from ..recovery.loss import LossDetector
from .attempt import INITIAL_PTO
from .path import NetworkPath
from .refusal import PathRefusedError, Refusal
from .state import PathRole, PathValidation, ValidationInput
from .table import PathTable
from .watch import Watch


class Prober:
    def __init__(
        self,
        facts: ConnectionFacts,
        paths: PathTable,
        peer_ids: PeerIds,
        watch: Watch,
        loss: LossDetector,
        events: list[Event],
    ) -> None:
        self._facts = facts
        self._paths = paths
        self._peer_ids = peer_ids
        self._watch = watch
        self._loss = loss
        self._events = events
        self.unmatched_responses = 0

    def validate(self, path_id: int, now: float) -> None:
        """Start sending challenges; PathValidated or ValidationFailed follows (section 8.2)."""
        path = self._paths.require(path_id)
        if not self._facts.complete:
            # PATH_CHALLENGE needs 1-RTT keys
            raise PathRefusedError(Refusal.NOT_CONFIRMED)
        if path_id != self._facts.active_path:
            # The path of the handshake may have been left for none before.
            self._paths.rules.check_confirmed()
        self._paths.rules.check_id(path)
        path.life.on_validation(ValidationInput.PROBE)
        self._paths.preferred.on_probe(path.remote)
        active = self._paths.active_path()
        own = path.pto() if path.recovery.rtt.known else 0.0
        path.attempt.start(now, INITIAL_PTO if active is None else active.pto(), own)
        if path is active:
            self._loss.make_room(path_id, now)

    def stop(self, path_id: int) -> None:
        """The caller lost interest: no further challenge, and no event."""
        path = self._paths.get(path_id)
        if path is not None and path.attempt.running:
            self.interrupt(path)

    def interrupt(self, path: NetworkPath) -> None:
        """An attempt, if there is one, comes to nothing."""
        path.attempt.stop()
        if path.life.validation is PathValidation.PROBING:
            path.life.on_validation(ValidationInput.FAIL)
        self._paths.on_probe_over(path)

    def on_response_untrusted(self, data: bytes, now: float) -> None:
        """PATH_RESPONSE: any outstanding challenge of any path may match (section 8.2.3)."""
        for path in self._paths.live():
            sent_at = path.attempt.match(data)
            if sent_at >= 0:
                self._on_validated(path, now - sent_at, now)
                return
        self.unmatched_responses += 1

    def _on_validated(self, path: NetworkPath, rtt: float, now: float) -> None:
        path.on_answered(rtt, now)
        self._paths.precedence.on_answered(path)
        self._paths.rules.on_answer_from(path.remote)
        recovery = path.recovery
        if path.life.role is not PathRole.ACTIVE or not recovery.rtt.has_sample:
            recovery.guess_rtt(rtt)
        # It carries packets both ways: the silence before that is over.
        recovery.on_answer()
        path.life.on_validation(ValidationInput.ANSWER)
        self._events.append(PathValidated(path_id=path.path_id, rtt=rtt))

    def next_deadline(self) -> float:
        """When a challenge is to be repeated, or a validation given up."""
        deadline = inf
        for path in self._paths.live():
            if self._peer_ids.for_path(path.path_id) is None:
                # it cannot send a challenge, only give up
                deadline = min(deadline, path.attempt.give_up_at)
            else:
                free = self._paths.precedence.held_until(path)
                deadline = min(deadline, path.attempt.give_up_at, max(path.probe_deadline(), free))
        return deadline

    def on_deadline(self, now: float) -> None:
        """Give up what has waited too long; challenges are sent by `transmit`."""
        for path in self._paths.live():
            if path.attempt.running and now >= path.attempt.give_up_at:
                self._give_up(path)

    def _give_up(self, path: NetworkPath) -> None:
        reason = self._why_unanswered(path)
        active = path.life.role is PathRole.ACTIVE
        # One that carries the connection may well work: then what else it carries is acknowledged.
        if not active or path.recovery.pto_count:
            path.life.on_validation(ValidationInput.FAIL)
            if active:
                self._watch.degrade(path)
        self.interrupt(path)
        self._events.append(ValidationFailed(path_id=path.path_id, reason=reason))

    def _why_unanswered(self, path: NetworkPath) -> str:
        """Why a validation that takes no longer came to nothing. Who was not asked did not fail to
        answer. A challenge goes out as soon as it can, so what is in its way now always was."""
        if path.attempt.outstanding:
            return "no answer to PATH_CHALLENGE"
        if self._peer_ids.for_path(path.path_id) is None:
            return "no connection ID to send PATH_CHALLENGE with"
        if not path.admits_probe():
            return "no room in the congestion window for PATH_CHALLENGE"
        return "PATH_CHALLENGE could not be sent"
