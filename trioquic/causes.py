"""Why a connection moved, why a path was closed, why one could not be had.

Events name one of these, so that a program can branch, and beside it a `reason` for people: the
value here, or a text that says more.
"""

from enum import Enum

from ._protocol.path.refusal import Refusal as Refusal


class MigrationCause(Enum):
    """Why the connection moved to another path (RFC 9000 section 9)."""

    APPLICATION = "requested by the application"
    NETWORK_GONE = "the active path is gone"
    NETWORK_BACK = "the network is back"
    BETTER_NETWORK = "a better network is there"
    TUNNEL = "a tunnel has come up that packets to the server take"
    SILENCE = "no answer"
    NO_PROBE_ANSWERED = "no probe is answered either"
    ANOTHER_ANSWERS = "the new path has not answered, another has"
    PREFERRED_ADDRESS = "the server's preferred address"
    SERVER_MOVED = "the server sends to another path by itself"
    CALLED_BACK = "the server comes back to a new path only"
    POLICY = "decided by the policy"


class CloseCause(Enum):
    """Why a path was closed, while the connection goes on."""

    APPLICATION = "closed by the application"
    LEFT = "the connection was moved away by the application"
    NETWORK_GONE = "its network is gone"
    OUTSIDE_TUNNEL = "it is outside the tunnel"
    STRANGER = "somebody who does not know the connection answers there"
    RESET = "a stateless reset: who answers does not know the connection"
    NO_ANSWER = "it did not answer"
    NOT_ASKED = "it could not be asked"
    PREFERRED_ADDRESS = "the server's preferred address is used instead"
    ANOTHER_PORT_WORKS = "another port works there"
    ANOTHER_PORT_ASKED = "another port is asked there, and the server can answer on one"
    SERVER_WANDERS = "the server goes there by itself"
    NEEDED_ELSEWHERE = "its connection ID is needed for another path"
    CONNECTION_CLOSED = "the connection was closed"
    POLICY = "given up by the policy"
