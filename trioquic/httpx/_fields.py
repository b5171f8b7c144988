"""Requests and header fields between httpx and HTTP/3 (RFC 9114 sections 4.2 and 4.3).

httpx speaks of requests as HTTP/1.1 has them: the host is a header field, and others are about the
TCP connection. HTTP/3 has the first as control data and has no place for the rest.
"""

import math
from collections.abc import AsyncIterable
from typing import Final

import httpx

from .. import _checks
from ..http3 import Headers
from ..http3.client.call import Call
from ..http3.failure import Phase, during
from ..http3.fields import CONNECTION_SPECIFIC, completed
from ..http3.timeouts import Timeouts
from ..http3.url import Origin, unescaped, without_zone

_HTTPS_PORT: Final = 443
_TARGET: Final = _checks.instance(bytes, wanted="bytes")


def call_of(request: httpx.Request) -> Call:
    """Raises `RequestFailedError` for a content-length that is not the content's."""
    target = request.extensions.get("target", request.url.raw_path)
    _checks.check(_TARGET, 'the extension "target"', target)
    content = _content_of(request)
    with during(Phase.WRITE):
        # before anything is sent, and before there is a connection
        fields = completed(request_fields(request), None, content)
    return Call(
        method=request.method,
        origin=origin_of(request),
        server_name=request.extensions.get("sni_hostname"),
        authority=authority_of(request),
        path=target.decode("ascii"),
        fields=fields,
        content=content,
        priority=request.extensions.get("priority"),
        any_origin=names_another_host(request),
        timeouts=timeouts_of(request),
    )


def names_another_host(request: httpx.Request) -> bool:
    """Whether the user has named one beside the URL's. The server is then the user's own choice,
    and need not be the URL's origin."""
    authority = without_zone(request.url.netloc.decode("ascii"))
    return "sni_hostname" in request.extensions or authority_of(request) != authority


def origin_of(request: httpx.Request) -> Origin:
    """The origin that an https request is for; for an http request, its host."""
    return Origin(unescaped(request.url.raw_host.decode("ascii")), request.url.port or _HTTPS_PORT)


def timeouts_of(request: httpx.Request) -> Timeouts:
    """httpx's four timeouts, as a request carries them."""
    given = request.extensions.get("timeout") or {}
    seconds = {name: given.get(name) for name in ("connect", "read", "write", "pool")}
    return Timeouts(
        **{name: math.inf if one is None else max(0.0, one) for name, one in seconds.items()}
    )


def _content_of(request: httpx.Request) -> AsyncIterable[bytes] | bytes | None:
    """None if there is none, which is said with the headers."""
    if isinstance(request.stream, httpx.ByteStream):
        return b"".join(request.stream) or None
    assert isinstance(request.stream, httpx.AsyncByteStream)
    return request.stream


def authority_of(request: httpx.Request) -> str:
    """What `:authority` says: the Host field, which httpx makes of the URL or takes from its user
    (section 4.3.1)."""
    return without_zone(request.headers.get("host", request.url.netloc.decode("ascii")))


def request_fields(request: httpx.Request) -> list[tuple[bytes, bytes]]:
    """The header fields that go into HTTP/3."""
    dropped = CONNECTION_SPECIFIC | _named_by_connection(request.headers)
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
    rest = [(name, value) for name, value in fields if name != b"cookie"]
    return [*rest, (b"cookie", b"; ".join(crumbs))]
