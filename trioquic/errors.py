"""Everything that trioquic raises, in one tree, and outside of it what bugs raise.

What a stream's user must handle as "the other side is gone" is also a `trio.BrokenResourceError`;
what follows one's own close is `trio.ClosedResourceError` and not in this tree. Plain misuse is
`ValueError` or `TypeError`, an unknown host `socket.gaierror`, an unreadable file `OSError`, as
everywhere in trio. docs/errors.md has the tree. Each raise makes a new instance, so that tracebacks
do not grow together.
"""

from enum import Enum

import trio

from .causes import Refusal


class QuicError(Exception):
    """Base of all errors of this library."""


# -- before the connection is there ----------------------------------------------------------------


class HandshakeError(QuicError):
    """No connection came to be.

    `code` is the QUIC error code where one was sent or received (RFC 9000 section 20.1), else None.
    `attempts` has one error for each server address that was tried, in order; an error of a single
    attempt has none.
    """

    def __init__(
        self, reason: str, *, code: int | None = None, attempts: tuple[Exception, ...] = ()
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        # None stands for this one, which must not hold itself
        self._attempts: tuple[Exception | None, ...] = attempts

    @property
    def attempts(self) -> tuple[Exception, ...]:
        """One error for each server address that was tried, in order."""
        return tuple([self if each is None else each for each in self._attempts])

    def _of_all(self, attempts: tuple[Exception, ...]) -> "HandshakeError":
        """The same as the outcome of all attempts."""
        self._attempts = tuple([None if each is self else each for each in attempts])
        return self


class CertificateError(HandshakeError):
    """The server's certificate does not prove that it is the server (RFC 9001 section 4.4)."""


class AlpnError(HandshakeError):
    """The server speaks none of the offered application protocols (RFC 9001 section 8.1)."""


class VersionError(HandshakeError):
    """The server speaks none of `TransportConfig.versions` (RFC 9000 section 6.2)."""


class HandshakeTimeoutError(HandshakeError, TimeoutError):
    """The server did not complete the handshake in time: within
    `TransportConfig.handshake_timeout`, at each of its addresses that could be asked.

    Also Python's TimeoutError, an OSError, as a TCP connection that is not made in time. No
    `trio.TooSlowError`: that is for the time limits that the application has set with trio's means.
    """


# -- the end of a connection -----------------------------------------------------------------------


class ConnectionLostError(QuicError, trio.BrokenResourceError):
    """The connection ended without this side having closed it."""


class IdleTimeoutError(ConnectionLostError):
    """Nothing was heard from the server for the idle timeout (RFC 9000 section 10.1)."""


class _CodedLossError(ConnectionLostError):
    """A loss that CONNECTION_CLOSE explains (RFC 9000 section 19.19).

    `code` is an application error code where `frame_type` is None, else a transport error code
    (section 20.1) and `frame_type` the frame that caused it, 0 when unknown. `reason` is text for
    people, chosen by whoever closed; it may be empty and is not to be trusted.
    """

    def __init__(self, message: str, *, code: int, frame_type: int | None, reason: str) -> None:
        super().__init__(message)
        self.code = code
        self.frame_type = frame_type
        self.reason = reason


class PeerClosedError(_CodedLossError):
    """The server sent CONNECTION_CLOSE."""


class ProtocolError(_CodedLossError):
    """The server broke the protocol, and this side closed the connection for it."""


class StatelessResetError(ConnectionLostError):
    """The server has forgotten the connection (RFC 9000 section 10.3)."""


class NoPathReason(Enum):
    """Why there was no path."""

    NO_NETWORK = "no network was there in time"
    """None was up, or none that routes and policy allow."""
    MIGRATION_FORBIDDEN = "the server lets us use none of the other networks"
    """The network in use is gone and others are there, but the server forbids migration (RFC 9000
    sections 9, 9.5 and 18.2). A new connection over one of these is what helps, and at once. This
    one ends when it has waited `MigrationPolicy.return_grace` for its network to come back."""
    NO_CONNECTION_ID = "there is no connection ID of the server for another network"
    """The same, but the server does not forbid it: all of its IDs are in use, or none had come yet
    (section 9.5), and none can come without a path."""
    TIMEOUT = "no path to the server was found in time"
    """There were networks, but from none of them did it answer."""


class NoPathError(ConnectionLostError):
    """The connection ended because no network path was left for it.

    `reason` says which of its kinds that was; the text says more, for people.
    """

    def __init__(self, text: str, *, reason: NoPathReason) -> None:
        super().__init__(text)
        self.reason = reason


# -- streams ---------------------------------------------------------------------------------------


class _StreamError(QuicError, trio.BrokenResourceError):
    """One direction of a stream was ended by the peer with an application `error_code`."""

    def __init__(self, message: str, *, error_code: int) -> None:
        super().__init__(message)
        self.error_code = error_code


class StreamResetError(_StreamError):
    """The peer gave up sending: RESET_STREAM (RFC 9000 section 19.4)."""


class StopSendingError(_StreamError):
    """The peer does not want what is being sent: STOP_SENDING (RFC 9000 section 19.5)."""


class DatagramError(QuicError):
    """A datagram cannot be sent (RFC 9221), as it is too large or the server takes none; or none
    can be received, as the server was not told that it may send some."""


# -- paths -----------------------------------------------------------------------------------------


class PathError(QuicError):
    """A network path cannot be had or used. The connection itself goes on."""


class PathValidationError(PathError):
    """The server did not answer on the path in time (RFC 9000 section 8.2.4)."""


class PathNotValidatedError(PathError):
    """The path must be validated before the connection can move to it."""


class PathAbandonedError(PathError):
    """The path was given up; its socket is closed."""


class MigrationNotAllowedError(PathError):
    """RFC 9000 section 9 or this side's policy forbids the path: `refusal` names the rule, and
    `reason` says it for people."""

    def __init__(self, refusal: Refusal, reason: str = "") -> None:
        super().__init__(reason or refusal.value)
        self.refusal = refusal
        self.reason: str = reason or refusal.value


class LocalAddressError(PathError, OSError):
    """A local address or interface cannot be used: it does not exist, or the system refuses it."""


class ApplicationCodeError(Exception):
    """Code that the application gave to a connection has raised, or returned what it must not: a
    `NetworkSource`, a `SessionStore`, a congestion controller or the `decide` of a policy of its
    own. The exception is the cause. It ends the connection, and every later call raises it, too.
    Also raised in a `trioquic.testing.SimulatedNetwork` outside any host's block.

    No `QuicError`, as `InternalError` is none.
    """


class InternalError(Exception):
    """A bug in trioquic. Its cause is chained; please report it.

    No `QuicError`: who handles what networks and servers do must not swallow it.
    """
