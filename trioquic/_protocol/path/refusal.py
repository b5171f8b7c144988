"""Why a path cannot be probed or used (RFC 9000 sections 9, 9.5, 9.6 and 18.2).

A file of its own, as an exception cannot be a compiled class.
"""

from enum import Enum

from ..errors import CommandError


class Refusal(Enum):
    """Why a path cannot be probed or used."""

    NOT_CONFIRMED = "the handshake is not confirmed yet"
    DISABLED_BY_PEER = "the server sent disable_active_migration"
    ZERO_LENGTH_ID = "the server chose a zero-length connection ID"
    NO_SPARE_ID = "the server has given no spare connection ID"
    NO_SPARE_OWN_ID = "the server has no unused connection ID of ours"
    TOO_MANY_PATHS = "too many paths"
    NOT_VALIDATED = "the path is not validated"
    ABANDONED = "the path was abandoned"
    CLOSED = "the connection is closed"
    POLICY = "this side's policy forbids it"
    NO_SOCKET = "the system does not let us send from there"


class PathRefusedError(CommandError):
    """A path command that the rules forbid."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
