"""Why nobody won a race of handshakes: one error for all attempts."""

from collections.abc import Sequence
from typing import Final

from ..._protocol.errors import CRYPTO_ERROR
from ...errors import (
    AlpnError,
    CertificateError,
    HandshakeError,
    HandshakeTimeoutError,
    VersionError,
)
from .arguments import Plan

# The server has answered, and another of its addresses would not answer otherwise.
_ANSWERS: Final = (CertificateError, AlpnError, VersionError)
# RFC 9001 section 4.8
_TLS_ALERTS: Final = range(CRYPTO_ERROR, CRYPTO_ERROR + 256)


def is_final(failure: HandshakeError, hearsay: bool) -> bool:
    """Whether nothing else needs to be tried. What anybody on the way may have said, a Version
    Negotiation packet or a close in an Initial packet, says nothing of other addresses and
    networks: the next attempt may get past who said it."""
    return isinstance(failure, _ANSWERS) and not hearsay


def may_be_the_tickets(failure: HandshakeError) -> bool:
    """Whether TLS has failed, and not for what is the same with a ticket and without one."""
    is_alert = failure.code is not None and failure.code in _TLS_ALERTS
    return is_alert and not isinstance(failure, _ANSWERS)


def summary(plan: Plan, failures: Sequence[Exception]) -> HandshakeError:
    """One error for all attempts: the server's own answer if there was one."""
    last = failures[-1]
    alike = len({str(failure) for failure in failures}) == 1
    if isinstance(last, HandshakeError) and (alike or isinstance(last, _ANSWERS)):
        return last._of_all(tuple(failures))
    # the same over several networks need not be said several times
    reasons = "; ".join(dict.fromkeys(str(failure) for failure in failures))
    # where there is no way to an address, nobody was asked
    asked = [failure for failure in failures if isinstance(failure, HandshakeError)]
    timed_out = asked and all(isinstance(failure, HandshakeTimeoutError) for failure in asked)
    kind = HandshakeTimeoutError if timed_out else HandshakeError
    error = kind(
        f"no connection to {plan.host} port {plan.port}: {reasons}", attempts=tuple(failures)
    )
    error.__cause__ = last if len(failures) == 1 else ExceptionGroup("attempts", failures)
    return error
