"""HTTP/3 for trio (RFC 9114); the extra `http3` brings what it needs.

    async with trioquic.http3.Client() as client:
        response = await client.get("https://example.org/")

Or on an open QUIC connection of one's own:

    async with trioquic.open_connection("example.org", 443, alpn=["h3"]) as connection:
        async with trioquic.http3.open_http3(connection) as http:
            async with http.request("GET", "https://example.org/") as response:
                async for chunk in response:
                    ...

Requests go on when the connection moves to another network path.
"""

from .. import _checks

try:
    from .client.client import Client
    from .client.settings import PoolLimits
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
    RedirectError,
    RequestRejectedError,
    StatusError,
)
from .fields import Headers, HeaderTypes, ResponseHead
from .priority import Priority
from .request import Request
from .response import CompleteResponse, Response
from .settings import HTTP3Config, PeerSettings

__all__ = [
    "Client",
    "CompleteResponse",
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
    "PoolLimits",
    "Priority",
    "RedirectError",
    "Request",
    "RequestRejectedError",
    "Response",
    "ResponseHead",
    "StatusError",
    "open_http3",
]
