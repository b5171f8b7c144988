"""The life of one path: where it is in each of the three tables, and when that was last shown."""

from math import inf

from ..facts import ConnectionFacts
from ..machine import Label, advance
from .state import (
    HEALTH,
    ROLE,
    VALIDATION,
    HealthInput,
    PathHealth,
    PathRole,
    PathState,
    PathValidation,
    RoleInput,
    ValidationInput,
)


class PathLife:
    def __init__(self, path_id: int, facts: ConnectionFacts) -> None:
        self.path_id = path_id
        self.facts = facts
        self.validation = PathValidation.NONE
        self.role = PathRole.STANDBY
        self.health = PathHealth.GOOD
        # when the server last showed that it receives what is sent here: by a PATH_RESPONSE, or
        # by confirming the handshake
        self.validated_at = -inf
        # when an authentic packet last came in here
        self.heard_at = -inf
        # when the connection last moved here
        self.activated_at = -inf

    @property
    def state(self) -> PathState:
        """All three in one word."""
        if self.role is PathRole.ABANDONED:
            return PathState.ABANDONED
        if self.role is PathRole.ACTIVE:
            degraded = self.health is PathHealth.DEGRADED
            return PathState.DEGRADED if degraded else PathState.ACTIVE
        if self.validation is PathValidation.VALIDATED:
            return PathState.VALIDATED
        probing = self.validation is PathValidation.PROBING
        return PathState.PROBING if probing else PathState.CANDIDATE

    @property
    def doubtful(self) -> bool:
        """Whether there is no sign yet that packets get to the server and back."""
        return self.validated_at == -inf and self.heard_at == -inf

    def on_validation(self, event: ValidationInput) -> None:
        old = self.state
        self.validation = advance(VALIDATION, self.validation, event)
        self._tell(old, event)

    def on_shown(self, now: float) -> None:
        """The server has shown that it receives what is sent here."""
        self.validated_at = now

    def on_heard(self, now: float) -> None:
        """An authentic packet came in here."""
        self.heard_at = now

    def on_activated(self, now: float) -> None:
        self.activated_at = now
        self.on_role(RoleInput.ACTIVATE)

    def on_role(self, event: RoleInput) -> None:
        old = self.state
        self.role = advance(ROLE, self.role, event)
        self._tell(old, event)

    def on_health(self, event: HealthInput) -> None:
        old = self.state
        self.health = advance(HEALTH, self.health, event)
        self._tell(old, event)

    def _tell(self, old: PathState, why: Label) -> None:
        if self.facts.observer is not None:
            self.facts.observer.path_stepped(self.path_id, old, self.state, why)

    def on_datagram_size(self, old: int, new: int) -> None:
        """Full datagrams have another size."""
        if self.facts.observer is not None:
            self.facts.observer.datagram_size_changed(self.path_id, old, new)
