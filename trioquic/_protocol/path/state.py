"""The life of a path, as a table.

A path begins as a candidate, is probed, stands by when it is validated, and becomes the active one
by migration. The active path degrades when nothing answers; a path that is given up is abandoned
for good, because its connection ID is never used again (RFC 9000 section 5.1.2).
"""

from typing import Final

from ..machine import Label


class PathState(Label):
    """Where a path is in its life."""

    CANDIDATE = "candidate"
    PROBING = "probing"
    VALIDATED = "validated"
    ACTIVE = "active"
    DEGRADED = "degraded"
    ABANDONED = "abandoned"


class PathInput(Label):
    """What can happen to a path."""

    PROBE = "a PATH_CHALLENGE is to be sent"
    RESPONSE = "a PATH_RESPONSE matched"
    FAIL = "validation was given up"
    ACTIVATE = "the connection moves here"
    STAND_BY = "the connection moves away, the path still works"
    DROP_BACK = "the connection moves away, the path may not work"
    DEGRADE = "several PTOs without an answer"
    RECOVER = "an answer after silence"
    ABANDON = "given up"


TRANSITIONS: Final[dict[tuple[PathState, PathInput], PathState]] = {
    (PathState.CANDIDATE, PathInput.PROBE): PathState.PROBING,
    (PathState.CANDIDATE, PathInput.ACTIVATE): PathState.ACTIVE,
    (PathState.CANDIDATE, PathInput.ABANDON): PathState.ABANDONED,
    (PathState.PROBING, PathInput.PROBE): PathState.PROBING,
    (PathState.PROBING, PathInput.RESPONSE): PathState.VALIDATED,
    (PathState.PROBING, PathInput.FAIL): PathState.CANDIDATE,
    (PathState.PROBING, PathInput.ACTIVATE): PathState.ACTIVE,
    (PathState.PROBING, PathInput.ABANDON): PathState.ABANDONED,
    (PathState.VALIDATED, PathInput.PROBE): PathState.VALIDATED,
    (PathState.VALIDATED, PathInput.RESPONSE): PathState.VALIDATED,
    (PathState.VALIDATED, PathInput.FAIL): PathState.CANDIDATE,
    (PathState.VALIDATED, PathInput.ACTIVATE): PathState.ACTIVE,
    (PathState.VALIDATED, PathInput.ABANDON): PathState.ABANDONED,
    (PathState.ACTIVE, PathInput.PROBE): PathState.ACTIVE,
    (PathState.ACTIVE, PathInput.RESPONSE): PathState.ACTIVE,
    (PathState.ACTIVE, PathInput.FAIL): PathState.DEGRADED,
    (PathState.ACTIVE, PathInput.STAND_BY): PathState.VALIDATED,
    (PathState.ACTIVE, PathInput.DROP_BACK): PathState.CANDIDATE,
    (PathState.ACTIVE, PathInput.DEGRADE): PathState.DEGRADED,
    (PathState.ACTIVE, PathInput.ABANDON): PathState.ABANDONED,
    (PathState.DEGRADED, PathInput.PROBE): PathState.DEGRADED,
    (PathState.DEGRADED, PathInput.RESPONSE): PathState.ACTIVE,
    (PathState.DEGRADED, PathInput.FAIL): PathState.DEGRADED,
    (PathState.DEGRADED, PathInput.RECOVER): PathState.ACTIVE,
    (PathState.DEGRADED, PathInput.DROP_BACK): PathState.CANDIDATE,
    (PathState.DEGRADED, PathInput.ABANDON): PathState.ABANDONED,
}
