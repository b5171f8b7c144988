"""HTTP/3 for trio (RFC 9114), on an open QUIC connection; the extra `http3` brings what it needs.

    async with trioquic.open_connection("example.org", 443, alpn=["h3"]) as connection:
        async with trioquic.http3.open_http3(connection) as http:
            async with http.request("GET", "https://example.org/") as response:
                async for chunk in response:
                    ...

Requests go on when the connection moves to another network path.
"""

from .. import _checks

try:
    from .connection import HTTP3Connection, open_http3
except ModuleNotFoundError as _error:
    _checks.tell_extra(_error, "http3", ("pylsqpack",))
    raise
from .errors import (
    ErrorCode,
    FieldSectionTooLargeError,
    HTTP3ConnectionError,
    HTTP3Error,
    HTTP3StreamError,
    MalformedResponseError,
    NotAuthoritativeError,
    RequestRejectedError,
)
from .fields import Headers, HeaderTypes, ResponseHead
from .priority import Priority
from .request import Request
from .response import Response
from .settings import HTTP3Config, PeerSettings

__all__ = [
    "ErrorCode",
    "FieldSectionTooLargeError",
    "HTTP3Config",
    "HTTP3Connection",
    "HTTP3ConnectionError",
    "HTTP3Error",
    "HTTP3StreamError",
    "HeaderTypes",
    "Headers",
    "MalformedResponseError",
    "NotAuthoritativeError",
    "PeerSettings",
    "Priority",
    "Request",
    "RequestRejectedError",
    "Response",
    "ResponseHead",
    "open_http3",
]
