"""A request on several ways at once, when the first one keeps it waiting; the first response wins.

Only for requests that do no harm when they come twice. A way that has lost is given up. A
connection whose server is not heard any more gets company: another connection to the same place, as
a fresh one looks for a network that works, and if that takes too long the way around HTTP/3. Where
nobody answers, company is looked for again and again: a server that starts again is found. If the
silent connection is heard first after all, it wins.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol, TypeAlias, TypeGuard

import trio

from ..._groups import hidden_nursery
from ..failure import RequestFailedError, no_way
from .pauses import Pauses
from .route import HTTP3Route


class Begun(Protocol):
    """A response that has begun: an `Exchange`, or what came around HTTP/3."""

    async def aclose(self) -> None:
        """Cancel what is not complete."""


Around: TypeAlias = Callable[[], Awaitable[Begun]]
"""The way around HTTP/3."""

# Over HTTP/3, the first one included
_MOST_ROUTES: Final = 3


class RouteRace:
    """`make_route` makes another way over HTTP/3, or None; `around` is the one around it, or
    None."""

    def __init__(
        self,
        make_route: Callable[[], HTTP3Route | None],
        around: Around | None,
        pauses: Pauses,
    ) -> None:
        self._make_route = make_route
        self._around = around
        self._pauses = pauses
        # the first one's server is not heard any more
        self._silent = False
        self._routes = 1
        self._running = 0
        self._decided = trio.Event()
        self._winner: Begun | None = None
        self._errors: list[Exception] = []
        # what became of the way around, if it led nowhere
        self._nowhere: RequestFailedError | None = None
        self._nursery: trio.Nursery

    async def run(self, first: HTTP3Route) -> Begun:
        """The response; `first` was left where it waits. Raises what went wrong on the way that
        says most about it."""
        try:
            async with hidden_nursery("trioquic.http3") as nursery:
                self._nursery = nursery
                self._silent = first.in_doubt
                if not self._add_company(first) or first.is_under_way:
                    self._start(partial(first.advance, calm=False))
                await self._decided.wait()
            if self._winner is None:
                raise self._what_went_wrong()
            return self._winner
        except BaseException:
            # cancelled while a response came, or while the others were given up
            await _give_up(self._winner)
            raise
        finally:
            # their tracebacks refer to this object
            self._errors.clear()
            self._nowhere = None

    def _what_went_wrong(self) -> Exception:
        if not self._errors:
            assert self._nowhere is not None
            return self._nowhere
        first = self._errors[0]
        if self._nowhere is None or not _may_be_helped(first):
            return first
        return no_way(first, self._nowhere)

    def _add_company(self, route: HTTP3Route) -> bool:
        """`route` keeps its request waiting: start the next one, if there is one."""
        if route.in_doubt:
            return self._start_route() or self._start_around()
        return self._start_around() or self._start_route()

    def _start_route(self) -> bool:
        route = self._make_route() if self._routes < _MOST_ROUTES else None
        if route is None:
            return False
        self._routes += 1
        self._start(partial(self._keep_company, route))
        return True

    def _start_around(self) -> bool:
        around, self._around = self._around, None
        if around is None:
            return False
        self._start(partial(self._go_around, around))
        return True

    async def _go_around(self, around: Around) -> Begun | None:
        try:
            return await around()
        except RequestFailedError as failure:
            self._nowhere = failure
            return None

    async def _keep_company(self, route: HTTP3Route | None) -> Begun | None:
        """A way beside the first one; another one when nobody answers there, if that is silent."""
        while route is not None:
            try:
                return await self._follow(route)
            except RequestFailedError as failure:
                if not (self._silent and _may_be_helped(failure)) or self._pauses.over:
                    raise
            self._start_around()
            await self._pauses.wait()
            route = self._make_route()
        return None

    async def _follow(self, route: HTTP3Route) -> Begun | None:
        response = await route.advance(calm=True)
        if response is None:
            self._add_company(route)
            response = await route.advance(calm=False)
        return response

    def _start(self, way: Callable[[], Awaitable[Begun | None]]) -> None:
        self._running += 1
        self._nursery.start_soon(self._run, way)

    async def _run(self, way: Callable[[], Awaitable[Begun | None]]) -> None:
        response = None
        try:
            response = await way()
        except Exception as error:
            self._add_error(error)
        if response is not None:
            if self._winner is None:
                self._winner = response
                self._decided.set()
                return
            await _give_up(response)
        self._running -= 1
        if not self._running:
            self._decided.set()

    def _add_error(self, error: Exception) -> None:
        if _may_be_helped(error):
            self._errors.append(error)
            self._start_around()
            return
        self._errors.insert(0, error)
        if isinstance(error, RequestFailedError) and error.final:
            self._around = None


def _may_be_helped(error: Exception) -> TypeGuard[RequestFailedError]:
    """Whether it was no connection, so that another way may lead to one."""
    return isinstance(error, RequestFailedError) and error.unconnected and not error.final


async def _give_up(response: Begun | None) -> None:
    """Close a response that nobody gets, also when cancelled."""
    if response is not None:
        with trio.CancelScope(shield=True):
            await response.aclose()
