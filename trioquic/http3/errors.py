"""HTTP/3's error codes (RFC 9114 section 8.1, RFC 9204 section 6) and this client's exceptions.

A QUIC connection that is lost raises trioquic's own `ConnectionLostError`s, and what follows one's
own close `trio.ClosedResourceError`; neither is wrapped.
"""

from enum import IntEnum

from ..errors import QuicError


class ErrorCode(IntEnum):
    """The codes that close a connection or a stream; others, and 0x1f * N + 0x21, count as
    H3_NO_ERROR where they mean anything (RFC 9114 section 8.1)."""

    H3_NO_ERROR = 0x0100
    H3_GENERAL_PROTOCOL_ERROR = 0x0101
    H3_INTERNAL_ERROR = 0x0102
    H3_STREAM_CREATION_ERROR = 0x0103
    H3_CLOSED_CRITICAL_STREAM = 0x0104
    H3_FRAME_UNEXPECTED = 0x0105
    H3_FRAME_ERROR = 0x0106
    H3_EXCESSIVE_LOAD = 0x0107
    H3_ID_ERROR = 0x0108
    H3_SETTINGS_ERROR = 0x0109
    H3_MISSING_SETTINGS = 0x010A
    H3_REQUEST_REJECTED = 0x010B
    H3_REQUEST_CANCELLED = 0x010C
    H3_REQUEST_INCOMPLETE = 0x010D
    H3_MESSAGE_ERROR = 0x010E
    H3_CONNECT_ERROR = 0x010F
    H3_VERSION_FALLBACK = 0x0110
    QPACK_DECOMPRESSION_FAILED = 0x0200
    QPACK_ENCODER_STREAM_ERROR = 0x0201
    QPACK_DECODER_STREAM_ERROR = 0x0202


class HTTP3Error(QuicError):
    """Base of what goes wrong in HTTP/3 above an intact QUIC connection."""


class NotAuthoritativeError(HTTP3Error):
    """The request is for an origin that the server has not shown to answer for: its certificate
    does not name the host (RFC 9114 section 3.3). Nothing was sent."""


class RedirectError(HTTP3Error):
    """A server redirects to where this client does not go, or too often."""


class StatusError(HTTP3Error):
    """A response whose status is no success (RFC 9110 section 15), where one was asked for."""

    def __init__(self, status: int, url: str) -> None:
        super().__init__(f"status {status} of {url}")
        self.status = status
        self.url = url


class HTTP3ConnectionError(HTTP3Error):
    """The server broke HTTP/3, and this side closed the connection with `code` for it."""

    def __init__(self, reason: str, *, code: int) -> None:
        super().__init__(f"{code_name(code)}: {reason}")
        self.code = code
        self.reason = reason


class HTTP3StreamError(HTTP3Error):
    """One request failed with `code`; the connection goes on."""

    def __init__(self, reason: str, *, code: int) -> None:
        super().__init__(f"{code_name(code)}: {reason}")
        self.code = code
        self.reason = reason


class RequestRejectedError(HTTP3StreamError):
    """The server did no work on this request: whatever its method, it can be sent again on another
    connection (RFC 9114 sections 4.1.1 and 5.2)."""


class MalformedResponseError(HTTP3StreamError):
    """The response breaks the rules (RFC 9114 section 4.1.2); what came of it is not to be used."""


class FieldSectionTooLargeError(HTTP3StreamError):
    """Headers or trailers exceed the limit of whoever has to read them (RFC 9114 section 4.2.2)."""


class PeerError(Exception):
    """Inside this package: the peer's fault that ends the connection."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def code_name(code: int) -> str:
    """An error code for people."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code:#x}"


def rejection(reason: str) -> RequestRejectedError:
    return RequestRejectedError(reason, code=ErrorCode.H3_REQUEST_REJECTED)


def stream_error(code: int, *, has_begun: bool = False) -> HTTP3StreamError:
    """What a RESET_STREAM of the server's means to the request. Who has begun to answer cannot say
    that it has done nothing (RFC 9114 section 4.1.1)."""
    if code == ErrorCode.H3_REQUEST_REJECTED and not has_begun:
        return rejection("the server did not process the request")
    return HTTP3StreamError("the server gave up on the response", code=code)
