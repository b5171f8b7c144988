"""Which way a request goes, and what is done when that way is closed.

Places where its origin may speak HTTP/3, one after the other, then the way around HTTP/3, where
there is one (httpx's fallback). A request leaves a way only if nothing was sent on it, or if it is
known to do no harm twice (`call.py`); then ways may also be tried side by side (`race.py`).

While there is an outage (a connection worked a moment ago, and nobody answers now) a request goes
on looking for a way for as long as it may take to connect: a server that starts again, or a network
that comes back, is found then.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import trio

from ... import CertificateError
from ..exchange import Exchange
from ..failure import Phase, RequestFailedError, no_way
from .call import Call, is_the_networks
from .discovery import Discovery
from .pauses import Pauses
from .pool import Pool
from .race import Around, Begun, RouteRace
from .route import HTTP3Route
from .settings import Settings

Detour: TypeAlias = Callable[[float], Awaitable[Begun]]
"""The way around HTTP/3 for a request that has begun at this time (trio's clock). Raises
`RequestFailedError`, which says `over` what, if there is no connection."""


class Router:
    """Sends requests; their content in the `nursery`."""

    def __init__(
        self, nursery: trio.Nursery, pool: Pool, discovery: Discovery, settings: Settings
    ) -> None:
        self._nursery = nursery
        self._pool = pool
        self._discovery = discovery
        self._head_start = None if settings.mode == "only" else settings.head_start
        self._longest_outage = settings.outage

    async def send(self, call: Call, detour: Detour | None = None) -> Begun:
        """The response, its content unread: an `Exchange`, or what `detour` returns.

        Raises `RequestFailedError`, and what the request's content and `detour` raise.
        """
        seconds = min(call.timeouts.connect, self._longest_outage)
        pauses = Pauses(self._pool, call.origin, seconds)
        while True:
            try:
                return await self._send(call, detour, pauses)
            except RequestFailedError as failure:
                if pauses.over or not self._may_wait(call, failure):
                    raise
            await pauses.wait()

    def _may_wait(self, call: Call, failure: RequestFailedError) -> bool:
        """Whether the request may be made again, and that may help."""
        if self._pool.closed or isinstance(failure.error, CertificateError):
            return False
        if not self._pool.has_outage(call.origin):
            return False
        return failure.unconnected or (call.can_be_doubled and is_the_networks(failure))

    async def _send(self, call: Call, detour: Detour | None, pauses: Pauses) -> Begun:
        around: Around | None = None
        if detour is not None:
            around = partial(self._go_around, call, detour, trio.current_time())
        route = self._make_route(call)
        if route is None:
            assert around is not None
            return await around()
        try:
            exchange = await route.advance(calm=True)
        except RequestFailedError as failure:
            if around is None or failure.final or not failure.attempt_failed:
                raise
            return await _after(failure, around)
        if exchange is not None:
            return exchange
        if call.can_be_doubled:
            return await self._race(call, route, around, pauses)
        if around is None:
            return await self._elsewhere(call, route)
        await route.drop()
        try:
            no_answer = RequestFailedError(Phase.CONNECT, text="no answer so far")
            return await _after(no_answer, around)
        except RequestFailedError as failure:
            if failure.unconnected and self._pool.is_ready(call.origin):
                # nothing was sent yet, and meanwhile there is a connection
                if (late := self._make_route(call)) is not None:
                    if (exchange := await late.advance(calm=False)) is not None:
                        return exchange
            raise

    def _make_route(self, call: Call) -> HTTP3Route | None:
        route = HTTP3Route(self._nursery, self._pool, self._discovery, call, self._head_start)
        return route if route.next_place() else None

    async def _elsewhere(self, call: Call, route: HTTP3Route) -> Exchange:
        """The place does not answer soon, and there are only other places."""
        await route.drop()
        route.remember_failure()
        if not route.next_place():
            text = f"no connection to {call.origin.host} in time"
            raise RequestFailedError(Phase.CONNECT, text=text)
        exchange = await route.advance(calm=False)
        assert exchange is not None
        return exchange

    async def _race(
        self, call: Call, route: HTTP3Route, around: Around | None, pauses: Pauses
    ) -> Begun:
        if around is None and not route.in_doubt:
            route.remember_failure()
        try:
            return await RouteRace(partial(self._make_route, call), around, pauses).run(route)
        except RequestFailedError as failure:
            if failure.unconnected:
                # nothing else of the origin's can be reached either
                self._discovery.forgive(call.origin)
            raise

    async def _go_around(self, call: Call, detour: Detour, began: float) -> Begun:
        try:
            return await detour(began)
        except RequestFailedError as failure:
            if failure.unconnected:
                self._discovery.forgive(call.origin)
            raise


async def _after(failure: RequestFailedError, around: Around) -> Begun:
    """The response that comes around HTTP/3, where that has failed."""
    try:
        return await around()
    except RequestFailedError as error:
        raise no_way(failure, error) from error.error
