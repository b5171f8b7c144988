"""Header fields between httpx and HTTP/3 (RFC 9114 sections 4.2 and 4.3).

httpx speaks of requests as HTTP/1.1 has them: the host is a header field, and others are about the
TCP connection. HTTP/3 has the first as control data and has no place for the rest.
"""

from collections.abc import Iterable
from typing import Final

import httpx

from ..http3 import Headers

# section 4.2; "http2-settings" goes with "upgrade" (RFC 9113 section 3.1 of old)
_OF_CONNECTION: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)


def authority_of(request: httpx.Request) -> str:
    """What `:authority` says: the Host field, which httpx makes of the URL or takes from its user
    (section 4.3.1)."""
    host = request.headers.get("host")
    return request.url.netloc.decode("ascii") if host is None else host


def request_fields(request: httpx.Request) -> list[tuple[bytes, bytes]]:
    """The header fields that go into HTTP/3."""
    dropped = _OF_CONNECTION | _named_by_connection(request.headers)
    fields = []
    for given, value in request.headers.raw:
        name = given.lower()
        if name == b"host" or name in dropped:
            continue
        if name == b"te" and value.strip().lower() != b"trailers":
            continue
        fields.append((name, value))
    return fields


def _named_by_connection(headers: httpx.Headers) -> frozenset[bytes]:
    """Fields that Connection says are about this connection only (RFC 9110 section 7.6.1)."""
    names = headers.get("connection", "").split(",")
    return frozenset(name.strip().lower().encode("latin-1") for name in names)


def received_fields(fields: Headers) -> list[tuple[bytes, bytes]]:
    """A response's fields, with the crumbs of a Cookie field joined (section 4.2.1)."""
    crumbs = [value for name, value in fields if name == b"cookie"]
    if len(crumbs) < 2:
        return list(fields)
    return [*_without(fields, b"cookie"), (b"cookie", b"; ".join(crumbs))]


def _without(fields: Headers, unwanted: bytes) -> Iterable[tuple[bytes, bytes]]:
    return ((name, value) for name, value in fields if name != unwanted)
