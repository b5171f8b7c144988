"""How a connection's end, or a command that the core refuses, looks to the application.

Every call makes a new exception: one that several tasks raise would collect all their tracebacks.
"""

from dataclasses import dataclass

import trio

from .. import errors
from .._protocol.errors import CRYPTO_ERROR, VERSION_NEGOTIATION_ERROR, error_name
from .._protocol.events import Ending, Terminated
from .._protocol.path.refusal import PathRefusedError, Refusal

# TLS alerts (RFC 8446 section 6.2) that say something is wrong with a certificate:
# bad_certificate to unknown_ca without illegal_parameter, and certificate_required
_CERTIFICATE_ALERTS = frozenset({42, 43, 44, 45, 46, 48, 116})
_NO_APPLICATION_PROTOCOL = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """There is no path: since when, and what would be to blame if that stayed so."""

    since: float
    blame: errors.NoPathReason
    reason: str
    """Which path went, and why there is no other."""

    @property
    def confined(self) -> bool:
        """Whether there are other networks, and the server is to blame that they are of no use."""
        return self.blame in (
            errors.NoPathReason.MIGRATION_FORBIDDEN,
            errors.NoPathReason.NO_CONNECTION_ID,
        )


def loss_error(end: Terminated, wait: Wait | None) -> Exception:
    """What a call on a connection that has ended raises; `wait` if it had no path then."""
    match end.ending:
        case Ending.LOCAL_CLOSE:
            return trio.ClosedResourceError("the connection was closed by this side")
        case Ending.IDLE_TIMEOUT if wait is None:
            return errors.IdleTimeoutError(end.reason)
        case Ending.IDLE_TIMEOUT | Ending.GIVEN_UP if wait is not None:
            return errors.NoPathError(f"{end.reason}: {wait.reason}", reason=wait.blame)
        case Ending.STATELESS_RESET:
            return errors.StatelessResetError(end.reason)
        case Ending.PEER_CLOSE:
            return errors.PeerClosedError(
                f"the server closed the connection: {_describe(end)}",
                code=end.code,
                frame_type=end.frame_type,
                reason=end.reason,
            )
        case _:
            return errors.ProtocolError(
                f"the server broke the protocol: {_describe(end)}",
                code=end.code,
                frame_type=end.frame_type,
                reason=end.reason,
            )


def broken_error(error: BaseException) -> Exception:
    """What a call raises on a connection that an exception has stopped: code of the application's
    has raised it, or it is a bug."""
    again: Exception
    cause = error.__cause__
    if isinstance(error, errors.ApplicationCodeError):
        again = errors.ApplicationCodeError(str(error))
    elif isinstance(error, errors.InternalError):
        again = errors.InternalError(str(error))
    else:
        again, cause = errors.InternalError(f"a bug in trioquic: {error!r}"), error
    again.__cause__ = cause
    return again


def handshake_error(end: Terminated, timed_out: bool = False) -> errors.HandshakeError:
    """Why a connection attempt ended before the handshake was complete; `timed_out`: if it was
    given up, then because its time was over."""
    alert = end.code - CRYPTO_ERROR
    match end.ending:
        case Ending.VERSION:
            return errors.VersionError(end.reason)
        case Ending.PROTOCOL_ERROR if end.code == VERSION_NEGOTIATION_ERROR:
            return errors.VersionError(end.reason, code=end.code)
        case Ending.TLS_ERROR if alert in _CERTIFICATE_ALERTS:
            return errors.CertificateError(end.reason, code=end.code)
        case Ending.TLS_ERROR if alert == _NO_APPLICATION_PROTOCOL:
            return errors.AlpnError(end.reason, code=end.code)
        case Ending.PEER_CLOSE if alert == _NO_APPLICATION_PROTOCOL:
            return errors.AlpnError(
                "the server speaks none of the offered application protocols", code=end.code
            )
        case Ending.PEER_CLOSE:
            return errors.HandshakeError(f"the server refused: {_describe(end)}", code=end.code)
        case Ending.IDLE_TIMEOUT:
            return errors.HandshakeTimeoutError(end.reason)
        case Ending.GIVEN_UP if timed_out:
            return errors.HandshakeTimeoutError(end.reason)
        case Ending.STATELESS_RESET | Ending.GIVEN_UP:
            return errors.HandshakeError(end.reason)
        case _:
            return errors.HandshakeError(f"the handshake failed: {_describe(end)}", code=end.code)


def path_error(refused: PathRefusedError) -> errors.QuicError:
    """The typed form of a path command that the rules forbid."""
    match refused.refusal:
        case Refusal.NOT_VALIDATED:
            return errors.PathNotValidatedError(refused.refusal.value)
        case Refusal.ABANDONED:
            return errors.PathAbandonedError(refused.refusal.value)
        case Refusal.CLOSED:
            return errors.ConnectionLostError(refused.refusal.value)
        case _:
            return errors.MigrationNotAllowedError(refused.refusal)


def _describe(end: Terminated) -> str:
    name = f"application error {end.code:#x}" if end.application else error_name(end.code)
    if not end.reason or end.reason == name:
        return name
    return f"{name}, {end.reason!r}" if end.ending is Ending.PEER_CLOSE else f"{name}: {end.reason}"
