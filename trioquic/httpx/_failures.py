"""What goes wrong in QUIC and HTTP/3, in httpx's terms; the cause is chained.

A bug of this library (`trioquic.InternalError`) or of the application's own code in it
(`trioquic.ApplicationCodeError`), neither of which is a `QuicError`, is not dressed up as one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx
import trio

from .. import (
    ConnectionLostError,
    HandshakeError,
    HandshakeTimeoutError,
    PeerClosedError,
    ProtocolError,
    QuicError,
)
from ..http3 import FieldSectionTooLargeError, HTTP3Error, RequestRejectedError

CLOSED: Final = "the transport was closed"
NO_CONNECTION: Final = (httpx.ConnectError, httpx.ConnectTimeout)

# RFC 9110 section 9.2.2: to do it twice is the same as to do it once
_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))


class FinalError(Exception):
    """Inside this package: no other way is to be tried."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


def check_host(host: str) -> None:
    """Raises httpx.ConnectError for what no resolver takes, which each would refuse in its own way:
    an empty label, or one of more than 63 letters."""
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise httpx.ConnectError(f"{host[:80]!r} is no name of a host") from error


@contextmanager
def connecting() -> Iterator[None]:
    """While a connection is made.

    ValueError: a host or port that no connection can be made to, such as a label of 64 letters,
    which only the resolver finds out.
    """
    try:
        yield
    except (QuicError, OSError, trio.ClosedResourceError, ValueError) as error:
        raise _unconnected(error) from error


@contextmanager
def sending() -> Iterator[None]:
    """While a request's headers are sent."""
    try:
        yield
    except (FieldSectionTooLargeError, ValueError) as error:
        # what the server, or HTTP, does not allow
        raise httpx.LocalProtocolError(_text(error)) from error
    except (QuicError, trio.ClosedResourceError) as error:
        raise _lost(error, httpx.WriteError) from error


@contextmanager
def receiving() -> Iterator[None]:
    """While a response is awaited or read."""
    try:
        yield
    except (QuicError, trio.ClosedResourceError) as error:
        raise _lost(error, httpx.ReadError) from error


def is_idempotent(method: str) -> bool:
    """Whether a request with this method does no harm when it comes twice."""
    return method in _IDEMPOTENT


def may_be_sent_again(error: httpx.TransportError, method: str) -> bool:
    """Whether a request that failed before its response came is known to do no harm when it is
    sent once more, on another connection."""
    cause = error.__cause__
    if isinstance(cause, RequestRejectedError):
        return True
    return isinstance(cause, ConnectionLostError) and is_idempotent(method)


def is_the_networks(error: httpx.TransportError) -> bool:
    """Whether the connection was lost without a word of the server's about it."""
    cause = error.__cause__
    return isinstance(cause, ConnectionLostError) and not isinstance(
        cause, PeerClosedError | ProtocolError
    )


def no_way(
    over_http3: httpx.TransportError, around: httpx.TransportError, name: str
) -> httpx.TransportError:
    """Neither led to a connection. Every host has TCP, so what became of the way around says which
    kind of error it is, and is its cause; what else was tried is told, too."""
    kind = httpx.ConnectTimeout if isinstance(around, httpx.ConnectTimeout) else httpx.ConnectError
    error = kind(f"over QUIC: {_text(over_http3)}; {name}: {_text(around)}")
    error.__cause__, error.__context__ = around, over_http3
    return error


def attempt_failed(error: httpx.TransportError) -> bool:
    """Whether no connection came to be, so that another way may help. Not when it only took longer
    than the request was willing to wait: then there is no time left for another way."""
    if isinstance(error, httpx.ConnectTimeout):
        return isinstance(error.__cause__, HandshakeTimeoutError)
    return isinstance(error, httpx.ConnectError)


def _unconnected(error: Exception) -> httpx.ConnectError | httpx.ConnectTimeout:
    if isinstance(error, HandshakeTimeoutError):
        return httpx.ConnectTimeout(_text(error))
    return httpx.ConnectError(_text(error))


def _lost(
    error: Exception, otherwise: type[httpx.ReadError | httpx.WriteError]
) -> httpx.TransportError:
    """The server's doing is a violation of the protocol, the network's an error of the network."""
    if isinstance(error, HandshakeError):
        # of a request that was early data
        return _unconnected(error)
    if isinstance(error, HTTP3Error | ProtocolError | PeerClosedError):
        return httpx.RemoteProtocolError(_text(error))
    return otherwise(_text(error))


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
