"""The life of a path, as three tables that do not know each other.

- *Validation* (RFC 9000 section 8.2): has the server shown that packets get there and back? What
  was shown counts until an attempt to show it again fails, or the connection leaves the path for
  its silence.
- *Role*: the active path carries the connection; every other one stands by, and gets nothing but
  probing frames (section 9.1). A path that is given up is abandoned for good, because its
  connection ID is never used again (section 5.1.2).
- *Health*: whether the active path answers. Of a path that carries nothing there is nothing to say.

`PathState` is what people are told: one word for all three.
"""

from math import inf
from typing import TYPE_CHECKING, Final

from ..machine import Label, advance

if TYPE_CHECKING:
    from ..observer import Observer


class PathState(Label):
    """Where a path is in its life, in one word."""

    CANDIDATE = "candidate"
    PROBING = "probing"
    VALIDATED = "validated"
    ACTIVE = "active"
    DEGRADED = "degraded"
    ABANDONED = "abandoned"


class PathValidation(Label):
    """What a path has shown."""

    NONE = "unvalidated"
    PROBING = "probing"
    VALIDATED = "validated"


class ValidationInput(Label):
    """What can happen to a path's validation."""

    PROBE = "a PATH_CHALLENGE is to be sent"
    ANSWER = "a PATH_RESPONSE matched"
    FAIL = "no answer was waited for any longer"
    WORKS = "the connection leaves, the path has answered until now"
    LAPSE = "the connection leaves, the path may not work"


VALIDATION: Final[dict[tuple[PathValidation, ValidationInput], PathValidation]] = {
    (PathValidation.NONE, ValidationInput.PROBE): PathValidation.PROBING,
    (PathValidation.NONE, ValidationInput.WORKS): PathValidation.VALIDATED,
    (PathValidation.NONE, ValidationInput.LAPSE): PathValidation.NONE,
    (PathValidation.PROBING, ValidationInput.PROBE): PathValidation.PROBING,
    (PathValidation.PROBING, ValidationInput.ANSWER): PathValidation.VALIDATED,
    (PathValidation.PROBING, ValidationInput.FAIL): PathValidation.NONE,
    (PathValidation.PROBING, ValidationInput.WORKS): PathValidation.VALIDATED,
    (PathValidation.PROBING, ValidationInput.LAPSE): PathValidation.PROBING,
    (PathValidation.VALIDATED, ValidationInput.PROBE): PathValidation.VALIDATED,
    (PathValidation.VALIDATED, ValidationInput.ANSWER): PathValidation.VALIDATED,
    (PathValidation.VALIDATED, ValidationInput.FAIL): PathValidation.NONE,
    (PathValidation.VALIDATED, ValidationInput.WORKS): PathValidation.VALIDATED,
    (PathValidation.VALIDATED, ValidationInput.LAPSE): PathValidation.NONE,
}


class PathRole(Label):
    """What a path is for."""

    STANDBY = "standby"
    ACTIVE = "active"
    ABANDONED = "abandoned"


class RoleInput(Label):
    """What can happen to a path's role."""

    ACTIVATE = "the connection moves here"
    LEAVE = "the connection moves away"
    ABANDON = "given up"


ROLE: Final[dict[tuple[PathRole, RoleInput], PathRole]] = {
    (PathRole.STANDBY, RoleInput.ACTIVATE): PathRole.ACTIVE,
    (PathRole.STANDBY, RoleInput.ABANDON): PathRole.ABANDONED,
    (PathRole.ACTIVE, RoleInput.LEAVE): PathRole.STANDBY,
    (PathRole.ACTIVE, RoleInput.ABANDON): PathRole.ABANDONED,
}


class PathHealth(Label):
    """Whether the active path answers."""

    GOOD = "good"
    SILENT = "silent"
    DEGRADED = "degraded"


class HealthInput(Label):
    """What can happen to a path's health."""

    MISS = "a PTO without an answer, and nothing else came"
    DEGRADE = "several PTOs without an answer, or none to a challenge"
    ANSWER = "an answer after silence"
    LEAVE = "the connection moves away"


HEALTH: Final[dict[tuple[PathHealth, HealthInput], PathHealth]] = {
    (PathHealth.GOOD, HealthInput.MISS): PathHealth.SILENT,
    (PathHealth.GOOD, HealthInput.LEAVE): PathHealth.GOOD,
    (PathHealth.SILENT, HealthInput.DEGRADE): PathHealth.DEGRADED,
    (PathHealth.SILENT, HealthInput.ANSWER): PathHealth.GOOD,
    (PathHealth.SILENT, HealthInput.LEAVE): PathHealth.GOOD,
    (PathHealth.DEGRADED, HealthInput.ANSWER): PathHealth.GOOD,
    (PathHealth.DEGRADED, HealthInput.LEAVE): PathHealth.GOOD,
}


class PathLife:
    """The three states of one path, and when each of them was last shown."""

    def __init__(self, path_id: int) -> None:
        self._path_id = path_id
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
        self._observer: Observer | None = None

    def observe(self, observer: "Observer") -> None:
        """Tell somebody of every step from now on."""
        self._observer = observer

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
    def was_active(self) -> bool:
        """Whether it carries the connection, or ever did."""
        return self.activated_at > -inf

    @property
    def was_validated(self) -> bool:
        """Whether the server has ever shown that it receives what is sent here."""
        return self.validated_at > -inf

    @property
    def doubtful(self) -> bool:
        """Whether there is no sign yet that packets get to the server and back."""
        return self.validated_at == -inf and self.heard_at == -inf

    def on_validation(self, event: ValidationInput) -> None:
        """A step of the validation; `on_shown` follows an answer."""
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
        """The connection moves here."""
        self.activated_at = now
        self.on_role(RoleInput.ACTIVATE)

    def on_role(self, event: RoleInput) -> None:
        """A step of the role."""
        old = self.state
        self.role = advance(ROLE, self.role, event)
        self._tell(old, event)

    def on_health(self, event: HealthInput) -> None:
        """A step of the health."""
        old = self.state
        self.health = advance(HEALTH, self.health, event)
        self._tell(old, event)

    def _tell(self, old: PathState, why: Label) -> None:
        if self._observer is not None:
            self._observer.path_stepped(self._path_id, old, self.state, why)
