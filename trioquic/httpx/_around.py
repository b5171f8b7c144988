"""The way around HTTP/3: the transport for all that does not go over it.

What a response that came this way says of its origin's places is heeded as well (RFC 7838), if it
is the https origin that says it: responses in the clear may be written by anybody on their path.
"""

import httpx
import trio

from ..http3 import ResponseHead
from ..http3.client.origins import Origins
from ..http3.client.settings import Settings
from ..http3.failure import Phase, RequestFailedError
from ._failures import CLOSED, NO_CONNECTION
from ._fallback import DefaultFallback
from ._fields import authority_of, names_another_host, origin_of, timeouts_of
from ._tunnels import Tunnels


class AroundHTTP3:
    """Sends requests through `given`, or through the default fallback with these settings and
    limits."""

    def __init__(
        self,
        origins: Origins,
        settings: Settings,
        given: httpx.AsyncBaseTransport | None,
        limits: httpx.Limits,
    ) -> None:
        self._origins = origins
        self._tunnels = Tunnels(origins.networks, settings.migration, origins.inside)
        self._given = given
        self._default = DefaultFallback(settings.tls, limits, self._tunnels)
        self._over = "over TCP" if given is None else "through the fallback"

    async def aclose(self) -> None:
        """Close the default fallback."""
        await self._default.aclose()

    async def send(self, request: httpx.Request, began: float) -> httpx.Response:
        """The response to a request that is under way since then, its body unread. Raises
        `RequestFailedError` where there was no connection, and httpx's exceptions."""
        try:
            fallback = await self._find(request)
            spent = trio.current_time() - began
            response = await fallback.handle_async_request(_over_tcp(request, spent))
        except NO_CONNECTION as error:
            raise RequestFailedError(Phase.CONNECT, error, over=self._over) from error
        if request.url.scheme == "https" and not names_another_host(request):
            fields = tuple((name.lower(), value) for name, value in response.headers.raw)
            head = ResponseHead(status=response.status_code, headers=fields)
            self._origins.discovery.heard(origin_of(request), head, trio.current_time())
        return response

    async def _find(self, request: httpx.Request) -> httpx.AsyncBaseTransport:
        """Raises httpx.ConnectError where it would leave the tunnel, or the transport was closed,
        ConnectTimeout when the first was not found out in time."""
        if self._origins.pool.closed:
            # as nobody would close what is opened now
            raise httpx.ConnectError(CLOSED)
        origin = origin_of(request)
        if self._given is None:
            self._tunnels.check(origin.host)
            return self._default
        # it takes an answer of the resolver
        with trio.move_on_after(timeouts_of(request).connect):
            await self._tunnels.check_system(*origin)
            return self._given
        raise httpx.ConnectTimeout(f"no addresses of {origin.host} in time")


def _over_tcp(request: httpx.Request, spent: float) -> httpx.Request:
    """The request, its connect timeout shortened by what HTTP/3 has taken, at most by half, and
    without the zone of an address in what the server is told."""
    timeout = request.extensions.get("timeout") or {}
    connect = timeout.get("connect")
    authority = authority_of(request)
    if connect is None and request.headers.get("host", authority) == authority:
        return request
    if connect is not None:
        timeout = {**timeout, "connect": max(connect / 2, connect - spent)}
    headers = request.headers.copy()
    if "host" in headers:
        headers["host"] = authority
    return httpx.Request(
        request.method,
        request.url,
        headers=headers,
        stream=request.stream,
        extensions={**request.extensions, "timeout": timeout},
    )
