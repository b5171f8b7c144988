"""A request on several ways at once, when the first one keeps it waiting; the first response wins.

Only for requests that do no harm when they come twice. A way that has lost is given up. A
connection whose server is not heard any more gets company: another connection to the same place, as
a fresh one looks for a network that works, and if that takes too long the way around HTTP/3. If the
silent connection is heard first after all, it wins.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple

import httpx
import trio

from ..http3.background import background
from ._failures import NO_CONNECTION, FinalError, no_way
from ._way import Way

# Over HTTP/3, the first one included
_MOST_WAYS: Final = 3


class Around(NamedTuple):
    """The way around HTTP/3, and what to call it."""

    name: str
    go: Callable[[], Awaitable[httpx.Response]]


class Race:
    """`make_way` makes another way over HTTP/3, or None; `around` is the one around it, or None."""

    def __init__(
        self,
        make_way: Callable[[], Way | None],
        around: Around | None,
    ) -> None:
        self._make_way = make_way
        self._around = around
        self._ways = 1
        self._running = 0
        self._decided = trio.Event()
        self._winner: httpx.Response | None = None
        self._errors: list[BaseException] = []
        # whether the first error hides all others
        self._final = False
        # what became of the way around, if it led nowhere
        self._nowhere: httpx.TransportError | None = None
        self._name = "" if around is None else around.name
        self._nursery: trio.Nursery

    async def run(self, first: Way) -> httpx.Response:
        """The response; `first` was left where it waits. Raises what went wrong on the way that
        says most about it."""
        try:
            async with background("trioquic.httpx") as nursery:
                self._nursery = nursery
                if not self._company(first) or first.is_under_way:
                    self._start(partial(first.advance, calm=False))
                await self._decided.wait()
        except BaseException:
            # cancelled while a response came, or while the others were given up
            await _give_up(self._winner)
            raise
        if self._winner is not None:
            return self._winner
        raise self._what_went_wrong()

    def _what_went_wrong(self) -> BaseException:
        if not self._errors:
            assert self._nowhere is not None
            return self._nowhere
        first = self._errors[0]
        if self._nowhere is None or self._final or not isinstance(first, NO_CONNECTION):
            return first
        return no_way(first, self._nowhere, self._name)

    def _company(self, way: Way) -> bool:
        """`way` keeps its request waiting: start the next one, if there is one."""
        if way.in_doubt:
            return self._start_way() or self._start_around()
        return self._start_around() or self._start_way()

    def _start_way(self) -> bool:
        way = self._make_way() if self._ways < _MOST_WAYS else None
        if way is None:
            return False
        self._ways += 1
        self._start(partial(self._follow, way))
        return True

    def _start_around(self) -> bool:
        around, self._around = self._around, None
        if around is None:
            return False
        self._start(partial(self._go_around, around))
        return True

    async def _go_around(self, around: Around) -> httpx.Response | None:
        try:
            return await around.go()
        except NO_CONNECTION as error:
            self._nowhere = error
            return None

    async def _follow(self, way: Way) -> httpx.Response | None:
        response = await way.advance(calm=True)
        if response is None:
            self._company(way)
            response = await way.advance(calm=False)
        return response

    def _start(self, way: Callable[[], Awaitable[httpx.Response | None]]) -> None:
        self._running += 1
        self._nursery.start_soon(self._run, way)

    async def _run(self, way: Callable[[], Awaitable[httpx.Response | None]]) -> None:
        response = None
        try:
            response = await way()
        except FinalError as final:
            self._errors.insert(0, final.error)
            self._final = True
            self._around = None
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
        """Another way may help against what was no connection."""
        if isinstance(error, NO_CONNECTION):
            self._errors.append(error)
            self._start_around()
        else:
            self._errors.insert(0, error)


async def _give_up(response: httpx.Response | None) -> None:
    """Close a response that nobody gets, also when cancelled."""
    if response is not None:
        with trio.CancelScope(shield=True):
            await response.aclose()
