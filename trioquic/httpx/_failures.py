"""What goes wrong in QUIC and HTTP/3, in httpx's terms; the cause is chained.

A bug of this library (`trioquic.InternalError`) or of the application's own code in it
(`trioquic.ApplicationCodeError`), neither of which is a `QuicError`, is not dressed up as one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from .. import HandshakeTimeoutError, PeerClosedError, ProtocolError
from ..http3 import FieldSectionTooLargeError, HTTP3Error
from ..http3.failure import Phase, RequestFailedError

CLOSED: Final = "the transport was closed"
NO_CONNECTION: Final = (httpx.ConnectError, httpx.ConnectTimeout)

_TIMEOUTS: Final = {
    Phase.SLOT: httpx.PoolTimeout,
    Phase.CONNECT: httpx.ConnectTimeout,
    Phase.WRITE: httpx.WriteTimeout,
    Phase.READ: httpx.ReadTimeout,
}


def check_host(host: str) -> None:
    """Raises httpx.ConnectError for what no resolver takes, which each would refuse in its own way:
    an empty label, or one of more than 63 letters."""
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise httpx.ConnectError(f"{host[:80]!r} is no name of a host") from error


@contextmanager
def translated() -> Iterator[None]:
    """While a request is made or its response is read."""
    try:
        yield
    except RequestFailedError as failure:
        error = failure.error
        if isinstance(error, httpx.TransportError) and str(error) == str(failure):
            # the fallback's own
            raise error from error.__cause__
        raise _kind(failure)(str(failure)) from error


def _kind(failure: RequestFailedError) -> type[httpx.TransportError]:
    """The server's doing is a violation of the protocol, the network's an error of the network."""
    error = failure.error
    if error is None:
        return _TIMEOUTS[failure.phase]
    if failure.unconnected:
        late = isinstance(error, HandshakeTimeoutError | httpx.ConnectTimeout)
        return httpx.ConnectTimeout if late else httpx.ConnectError
    if isinstance(error, FieldSectionTooLargeError | ValueError) and failure.phase is Phase.WRITE:
        # what the server, or HTTP, does not allow
        return httpx.LocalProtocolError
    if isinstance(error, HTTP3Error | ProtocolError | PeerClosedError):
        return httpx.RemoteProtocolError
    return httpx.WriteError if failure.phase is Phase.WRITE else httpx.ReadError
