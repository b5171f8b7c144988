"""Whether a connection is of use now: what a pool asks before it hands one out.

A connection outlives its networks, so that it is open says little about now. Its health says
whether the server is heard, and if not since when, and whether the connection may help itself.
"""

from dataclasses import dataclass
from enum import Enum


class HealthState(Enum):
    """How a connection is."""

    GOOD = "good"
    """Nothing speaks against it. Whether the server is still there is known only when it is asked,
    so an idle connection is good until then."""
    SILENT = "silent"
    """What was asked has had no answer on any path for three PTOs (RFC 9002 section 6.2), of the
    active path or of a validated one that is slower, nor has anything else been heard."""
    WAITING = "waiting"
    """There is no path; streams are kept until there is one, or the wait is over."""
    OVER = "over"
    """It has ended, or is being closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionHealth:
    """A connection's health at one moment."""

    state: HealthState
    silent_since: float | None
    """When that was sent, on trio's clock in seconds, which has had no answer since; in `WAITING`
    when the last path went. None in `GOOD` and in `OVER`."""
    can_move: bool
    """Whether there is another path to the server or may be one: False when it forbids migration
    (RFC 9000 section 9), never gave a connection ID to spare, or the policy is switched off. Where
    it is False and the connection is not good, a new connection is what helps."""
    reason: str
    """Why, for people."""
