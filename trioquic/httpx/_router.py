"""Which way a request goes, and what is done when that way is closed.

For an https URL: places where its origin may speak HTTP/3, one after the other, then the fallback.
A request leaves a way only if nothing was sent on it, or if it is known to do no harm twice.
"""

import math
import socket
from collections.abc import Callable
from typing import Final

import httpx
import trio

from .. import CertificateError, LocalAddressError
from ..http3 import Request
from ._discovery import Discovery, Endpoint, Origin
from ._exchange import Exchange
from ._failures import may_be_sent_again, sending
from ._fields import authority_of, request_fields
from ._pool import Place, Pool
from ._response import make_response
from ._timeouts import Timeouts

_HTTPS_PORT: Final = 443
_MISDIRECTED: Final = 421
_TOO_EARLY: Final = 425
# RFC 9110 section 9.2.1, without TRACE, which nobody needs fast
_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
# Another way to the same host would not help against these, or would hide them
_FINAL: Final = (CertificateError, LocalAddressError, socket.gaierror)


class Router:
    """Sends requests over HTTP/3, or around it; without `find_fallback` there is no way around."""

    def __init__(
        self,
        nursery: trio.Nursery,
        pool: Pool,
        discovery: Discovery,
        find_fallback: Callable[[], httpx.AsyncBaseTransport] | None,
        head_start: float,
        *,
        early_data: bool,
    ) -> None:
        self._nursery = nursery
        self._pool = pool
        self._discovery = discovery
        self._find_fallback = find_fallback
        self._head_start = head_start
        self._early_data = early_data

    async def send(self, request: httpx.Request) -> httpx.Response:
        """The response, its body unread."""
        url = request.url
        if url.scheme != "https":
            if self._find_fallback is None:
                raise httpx.UnsupportedProtocol(f"HTTP/3 is for https URLs, not for {url}")
            return await self._find_fallback().handle_async_request(request)
        origin = Origin(url.raw_host.decode("ascii"), url.port or _HTTPS_PORT)
        began = trio.current_time()
        response = await self._over_http3(request, origin)
        if response is None:
            response = await self._around(request, origin, trio.current_time() - began)
        return response

    async def _over_http3(self, request: httpx.Request, origin: Origin) -> httpx.Response | None:
        """None: it is to go around HTTP/3."""
        timeouts = Timeouts.of(request.extensions)
        server_name = request.extensions.get("sni_hostname") or origin.host
        tried: set[Endpoint] = set()
        failure: httpx.ConnectError | None = None
        while True:
            endpoint = self._discovery.find(origin, server_name, trio.current_time())
            if endpoint is None or endpoint in tried:
                if failure is not None and self._find_fallback is None:
                    raise failure
                return None
            tried.add(endpoint)
            try:
                response = await self._to(endpoint, request, timeouts)
            except httpx.ConnectError as error:
                if endpoint.is_origin and isinstance(error.__cause__, _FINAL):
                    raise
                failure = error
                continue
            if response is None:
                if self._find_fallback is not None:
                    return None
                self._discovery.failed(endpoint, trio.current_time())
                continue
            if response.status_code != _MISDIRECTED:
                self._learn(origin, response)
                return response
            if endpoint.is_origin:
                return response
            # RFC 7838 section 6: not from this place, whatever the method
            self._discovery.misdirected(endpoint)
            if not _can_be_repeated(request):
                return response
            await response.aclose()

    def _patience(self, endpoint: Endpoint, timeouts: Timeouts) -> float:
        """How long a connection may take before another way is tried, where there is one."""
        if self._find_fallback is not None:
            return min(self._head_start, timeouts.connect / 2)
        return math.inf if endpoint.is_origin else timeouts.connect / 2

    async def _to(
        self, endpoint: Endpoint, request: httpx.Request, timeouts: Timeouts
    ) -> httpx.Response | None:
        """The response from one place; None if that does not answer soon enough."""
        patience = self._patience(endpoint, timeouts)
        early_data = self._early_data and request.method in _SAFE
        sent_before = False
        while True:
            place = await self._pool.acquire(endpoint, timeouts, patience)
            try:
                response = await self._exchange(place, request, timeouts, early_data)
            except httpx.TransportError as error:
                if sent_before or not _may_be_sent_again(place, request, error):
                    raise
                sent_before = True
                continue
            if response is None or response.status_code != _TOO_EARLY or not place.early:
                return response
            # RFC 8470 section 5.2: once more, and not early
            early_data = False
            await response.aclose()

    async def _exchange(
        self, place: Place, request: httpx.Request, timeouts: Timeouts, early_data: bool
    ) -> httpx.Response | None:
        """The response; None if there is no connection soon enough."""
        try:
            body = await _body_of(request)
            if not (early_data and body is None and await place.wait_early()):
                if not await place.wait_connected():
                    place.release()
                    return None
            stream = await _open_request(place, request, timeouts, end=body is None)
        except BaseException:
            place.abandon()
            raise
        exchange = Exchange(stream, timeouts, place.release)
        try:
            if body is not None:
                exchange.send_body(self._nursery, body)
            if place.early and not await place.wait_connected():
                await exchange.aclose()
                return None
            head = await exchange.receive_head()
        except BaseException:
            place.abandon()
            await exchange.aclose()
            raise
        assert place.connection.http3 is not None
        return make_response(exchange, head, place.connection.http3.quic)

    async def _around(self, request: httpx.Request, origin: Origin, spent: float) -> httpx.Response:
        assert self._find_fallback is not None
        fallback = self._find_fallback()
        try:
            response = await fallback.handle_async_request(_with_less_time(request, spent))
        except (httpx.ConnectError, httpx.ConnectTimeout):
            self._discovery.forgive(origin)
            raise
        if response.status_code != _MISDIRECTED:
            self._learn(origin, response)
        return response

    def _learn(self, origin: Origin, response: httpx.Response) -> None:
        values = response.headers.get_list("alt-svc")
        if values:
            age = response.headers.get("age", "")
            seconds = float(age) if age.isascii() and age.isdigit() else 0.0
            self._discovery.learn(origin, values, seconds, trio.current_time())


async def _open_request(
    place: Place, request: httpx.Request, timeouts: Timeouts, *, end: bool
) -> Request:
    """Send the request's headers."""
    connection = place.connection
    http3 = connection.http3
    assert http3 is not None
    fields = request_fields(request)
    if not connection.endpoint.is_origin:
        fields.append((b"alt-used", connection.endpoint.authority.encode("ascii")))
    target: bytes = request.extensions.get("target", request.url.raw_path)
    authority = authority_of(request)
    try:
        with trio.move_on_after(timeouts.write), sending():
            return await http3.open_request(
                request.method,
                "https",
                authority,
                target.decode("ascii"),
                fields,
                priority=request.extensions.get("priority"),
                end=end,
                early_data=place.early,
                # a host that the user has named beside the URL's is the user's own choice
                any_origin=authority != request.url.netloc.decode("ascii")
                or "sni_hostname" in request.extensions,
            )
    except (httpx.ConnectError, httpx.WriteError):
        if place.early:
            # If the handshake has failed under it, the connection's own task knows why.
            await place.wait_connected()
        raise
    raise httpx.WriteTimeout("the server does not take the request's headers in time")


async def _body_of(request: httpx.Request) -> httpx.AsyncByteStream | None:
    """None if there is none, which is said with the headers."""
    body = request.stream
    assert isinstance(body, httpx.AsyncByteStream)
    if isinstance(body, httpx.ByteStream) and not any([chunk async for chunk in body]):
        return None
    return body


def _may_be_sent_again(place: Place, request: httpx.Request, error: httpx.TransportError) -> bool:
    """Whether a request that got no response may go to another connection."""
    if place.connection.failed_early:
        # nothing was sent, or what does no harm; the next connection sends no early data
        return isinstance(error, httpx.ConnectError)
    return _can_be_repeated(request) and may_be_sent_again(error, request.method)


def _can_be_repeated(request: httpx.Request) -> bool:
    """Whether the body is there to be sent once more."""
    return isinstance(request.stream, httpx.ByteStream)


def _with_less_time(request: httpx.Request, spent: float) -> httpx.Request:
    """The request, its connect timeout shortened by what HTTP/3 has taken, at most by half."""
    timeout = request.extensions.get("timeout") or {}
    connect = timeout.get("connect")
    if connect is None:
        return request
    shortened = {**timeout, "connect": max(connect / 2, connect - spent)}
    return httpx.Request(
        request.method,
        request.url,
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "timeout": shortened},
    )
