"""Why a download failed, as an exit code. The numbers are curl's, for scripts that know them."""

import socket
from typing import Final
from urllib.parse import urlsplit

import trio

from .. import (
    CertificateError,
    ConnectionLostError,
    IdleTimeoutError,
    LocalAddressError,
    NoPathError,
    NoPathReason,
    QuicError,
    StatelessResetError,
    TLSConfig,
)
from ..http3 import HTTP3Error, RequestRejectedError
from ..http3.url import Target, joined, parse_url

BAD_URL: Final = 3
UNKNOWN_HOST: Final = 6
NO_CONNECTION: Final = 7
HTTP_STATUS: Final = 22
WRITING: Final = 23
TOO_LONG: Final = 28
INTERFACE: Final = 45
REDIRECTS: Final = 47
LOST: Final = 56
CERTIFICATE: Final = 60
BAD_FILE: Final = 77
HTTP3: Final = 95

# what a network that is away for a while looks like
PASSING: Final = frozenset({UNKNOWN_HOST, NO_CONNECTION, INTERFACE})
_CONNECTING: Final = (
    (CertificateError, CERTIFICATE),
    (socket.gaierror, UNKNOWN_HOST),
    (LocalAddressError, INTERFACE),
    (QuicError, NO_CONNECTION),
)


class FetchError(Exception):
    """One download failed, for good, with an `exit_code`."""

    def __init__(self, exit_code: int, text: str) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class RetryError(Exception):
    """What may work on another connection; the cause says what happened."""

    @property
    def is_over_elsewhere(self) -> bool:
        """Whether a connection was lost without the network or the server being at fault now: there
        is nothing to wait for."""
        error = self.__cause__
        if isinstance(error, NoPathError):
            return error.reason in (NoPathReason.MIGRATION_FORBIDDEN, NoPathReason.NO_CONNECTION_ID)
        # one that was waited for long enough; one that the server knows nothing of any more
        return isinstance(error, IdleTimeoutError | StatelessResetError)


def target_of(url: str) -> Target:
    """Where the user wants to go. Raises `FetchError`."""
    try:
        return parse_url(url)
    except ValueError as error:
        raise FetchError(BAD_URL, str(error)) from None


def redirected(url: str, location: bytes) -> Target:
    """Where a Location field leads from a URL. Raises `FetchError`."""
    code = BAD_URL
    try:
        where = joined(url, location)
        if urlsplit(where).scheme != "https":
            code = REDIRECTS
        return parse_url(where)
    except ValueError as error:
        raise FetchError(code, f"redirected to what cannot be fetched: {error}") from None


def connecting_failed(error: Exception, tls: TLSConfig) -> FetchError:
    """No connection came to be, with these files."""
    code = next((code for kind, code in _CONNECTING if isinstance(error, kind)), None)
    if code is None:
        # a host that no certificate can name; what is left is the files
        about_host = isinstance(error, ValueError) and not str(error).startswith(f"{tls.ca_file}: ")
        code = BAD_URL if about_host else BAD_FILE
    return FetchError(code, str(error))


def request_failed(error: Exception) -> FetchError | RetryError:
    """A request that was sent has failed: by something that passes, or not."""
    if isinstance(error, ConnectionLostError | RequestRejectedError | trio.ClosedResourceError):
        return RetryError(str(error))
    return FetchError(HTTP3 if isinstance(error, HTTP3Error) else BAD_URL, str(error))
