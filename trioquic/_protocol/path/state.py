"""What a path can be, as three tables that do not know each other.

- *Validation* (RFC 9000 section 8.2): has the server shown that packets get there and back? What
  was shown counts until an attempt to show it again fails, or the connection leaves the path for
  its silence.
- *Role*: the active path carries the connection; every other one stands by, and gets nothing but
  probing frames (section 9.1). A path that is given up is abandoned for good, because its
  connection ID is never used again (section 5.1.2).
- *Health*: whether the active path answers. Of a path that carries nothing there is nothing to say.

`PathState` is what people are told: one word for all three.
"""

from typing import Final

from ..machine import Label


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
