"""Which way a request goes, and what is done when that way is closed.

For an https URL: places where its origin may speak HTTP/3, one after the other, then the fallback.
A request leaves a way only if nothing was sent on it, or if it is known to do no harm twice; then
ways may also be tried side by side (`_race.py`).

While there is an outage (a connection worked a moment ago, and nobody answers now) a request goes
on looking for a way for as long as it may take to connect: a server that starts again, or a network
that comes back, is found then.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import httpx
import trio

from .. import CertificateError
from ._attempt import can_be_doubled
from ._discovery import Discovery, Origin
from ._failures import (
    CLOSED,
    NO_CONNECTION,
    FinalError,
    attempt_failed,
    check_host,
    is_the_networks,
    no_way,
)
from ._fallback import DefaultFallback
from ._pool import Pool
from ._race import Around, Race
from ._timeouts import Timeouts
from ._tunnels import Tunnels
from ._way import Way, learn, origin_of

# While there is an outage: seconds until the next look, doubling, and how long at most
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 0.8
_LONGEST_OUTAGE: Final = 10.0


class Router:
    """Sends requests over HTTP/3, or around it; without `find_fallback` there is no way around."""

    def __init__(
        self,
        nursery: trio.Nursery,
        pool: Pool,
        discovery: Discovery,
        find_fallback: Callable[[], httpx.AsyncBaseTransport] | None,
        head_start: float,
        tunnels: Tunnels,
        *,
        early_data: bool,
    ) -> None:
        self._nursery = nursery
        self._pool = pool
        self._discovery = discovery
        self._find_fallback = find_fallback
        self._head_start = None if find_fallback is None else head_start
        self._tunnels = tunnels
        self._early_data = early_data

    async def send(self, request: httpx.Request) -> httpx.Response:
        """The response, its body unread."""
        url = request.url
        origin = origin_of(request)
        check_host(origin.host)
        if url.scheme != "https":
            if self._find_fallback is None:
                raise httpx.UnsupportedProtocol(f"HTTP/3 is for https URLs, not for {url.scheme}")
            return await (await self._fallback_for(request)).handle_async_request(request)
        connect = Timeouts.of(request.extensions).connect
        deadline = trio.current_time() + min(connect, _LONGEST_OUTAGE)
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._send(request)
            except httpx.TransportError as error:
                in_time = trio.current_time() + pause < deadline
                if not (in_time and self._may_wait(request, origin, error)):
                    raise
            await self._pool.wait_ready(origin, pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _may_wait(
        self, request: httpx.Request, origin: Origin, error: httpx.TransportError
    ) -> bool:
        """Whether the request may be made again, and that may help."""
        if self._pool.closed or isinstance(error.__cause__, CertificateError):
            return False
        if not self._pool.has_outage(origin):
            return False
        if isinstance(error, NO_CONNECTION):
            return True
        return can_be_doubled(request) and is_the_networks(error)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._send_somehow(request)
        except FinalError as final:
            error = final.error
        # outside of the handler, which would chain it to what only this package knows
        raise error

    async def _send_somehow(self, request: httpx.Request) -> httpx.Response:
        """Raises `FinalError`, too."""
        began = trio.current_time()
        around = self._around(request, began)
        way = self._make_way(request)
        if way is None:
            assert around is not None
            return await around.go()
        try:
            response = await way.advance(calm=True)
        except NO_CONNECTION as error:
            if around is None or not attempt_failed(error):
                raise
            return await _after(error, around)
        if response is not None:
            return response
        if can_be_doubled(request):
            return await self._race(request, way, around)
        if around is None:
            return await self._elsewhere(way)
        await way.drop()
        try:
            return await _after(httpx.ConnectTimeout("no answer so far"), around)
        except NO_CONNECTION:
            if self._pool.is_ready(way.origin) and (late := self._make_way(request)) is not None:
                # nothing was sent yet, and meanwhile there is a connection
                if (response := await late.advance(calm=False)) is not None:
                    return response
            raise

    def _around(self, request: httpx.Request, began: float) -> Around | None:
        if self._find_fallback is None:
            return None
        is_ours = isinstance(self._find_fallback(), DefaultFallback)
        name = "over TCP" if is_ours else "through the fallback"
        return Around(name, partial(self._go_around, request, began))

    def _make_way(self, request: httpx.Request) -> Way | None:
        way = Way(
            self._nursery,
            self._pool,
            self._discovery,
            request,
            head_start=self._head_start,
            early_data=self._early_data,
        )
        return way if way.next_place() else None

    async def _elsewhere(self, way: Way) -> httpx.Response:
        """The place does not answer soon, and there are only other places."""
        await way.drop()
        way.remember_failure()
        if not way.next_place():
            raise httpx.ConnectTimeout(f"no connection to {way.origin.host} in time")
        response = await way.advance(calm=False)
        assert response is not None
        return response

    async def _race(
        self, request: httpx.Request, way: Way, around: Around | None
    ) -> httpx.Response:
        if around is None and not way.in_doubt:
            way.remember_failure()
        try:
            return await Race(partial(self._make_way, request), around).run(way)
        except NO_CONNECTION:
            # nothing else of the origin's can be reached either
            self._discovery.forgive(way.origin)
            raise

    async def _go_around(self, request: httpx.Request, began: float) -> httpx.Response:
        origin = origin_of(request)
        fallback = await self._fallback_for(request)
        spent = trio.current_time() - began
        try:
            response = await fallback.handle_async_request(_with_less_time(request, spent))
        except NO_CONNECTION:
            self._discovery.forgive(origin)
            raise
        learn(self._discovery, origin, response)
        return response

    async def _fallback_for(self, request: httpx.Request) -> httpx.AsyncBaseTransport:
        """Raises httpx.ConnectError where it would leave the tunnel, or the transport was closed,
        ConnectTimeout when the first was not found out in time."""
        assert self._find_fallback is not None
        if self._pool.closed:
            # as nobody would close what is opened now
            raise httpx.ConnectError(CLOSED)
        fallback = self._find_fallback()
        origin = origin_of(request)
        if isinstance(fallback, DefaultFallback):
            self._tunnels.check(origin.host)
            return fallback
        # it takes an answer of the resolver
        with trio.move_on_after(Timeouts.of(request.extensions).connect):
            await self._tunnels.check_system(*origin)
            return fallback
        raise httpx.ConnectTimeout(f"no addresses of {origin.host} in time")


async def _after(failure: httpx.TransportError, around: Around) -> httpx.Response:
    """The response that comes around HTTP/3, where that has failed."""
    try:
        return await around.go()
    except NO_CONNECTION as error:
        nowhere = error
    raise no_way(failure, nowhere, around.name)


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
