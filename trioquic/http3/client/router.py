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
from typing import Final, NamedTuple

import trio

from ... import CertificateError
from ..failure import Phase, RequestFailedError, no_way
from .attempt import Answer
from .call import Call, is_the_networks
from .discovery import Discovery
from .pool import Pool
from .race import Around, Race, Response
from .settings import Settings
from .way import Way

# While there is an outage: seconds until the next look, doubling
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 0.8


class Detour(NamedTuple):
    """The way around HTTP/3, and what to call it."""

    name: str
    go: Callable[[float], Awaitable[Response]]
    """For a request that has begun at this time. Raises `RequestFailedError` if there is no
    connection."""


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

    async def send(self, call: Call, detour: Detour | None = None) -> Response:
        """The response, its content unread: an `Answer`, or what `detour` returns.

        Raises `RequestFailedError`, and what the request's content and `detour` raise.
        """
        connect = call.timeouts.connect
        deadline = trio.current_time() + min(connect, self._longest_outage)
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._send(call, detour)
            except RequestFailedError as failure:
                in_time = trio.current_time() + pause < deadline
                if not (in_time and self._may_wait(call, failure)):
                    raise
            await self._pool.wait_ready(call.origin, pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _may_wait(self, call: Call, failure: RequestFailedError) -> bool:
        """Whether the request may be made again, and that may help."""
        if self._pool.closed or isinstance(failure.error, CertificateError):
            return False
        if not self._pool.has_outage(call.origin):
            return False
        return failure.unconnected or (call.can_be_doubled and is_the_networks(failure))

    async def _send(self, call: Call, detour: Detour | None) -> Response:
        around = None
        if detour is not None:
            go = partial(self._go_around, call, detour, trio.current_time())
            around = Around(detour.name, go)
        way = self._make_way(call)
        if way is None:
            assert around is not None
            return await around.go()
        try:
            answer = await way.advance(calm=True)
        except RequestFailedError as failure:
            if around is None or failure.final or not failure.attempt_failed:
                raise
            return await _after(failure, around)
        if answer is not None:
            return answer
        if call.can_be_doubled:
            return await self._race(call, way, around)
        if around is None:
            return await self._elsewhere(call, way)
        await way.drop()
        try:
            late = RequestFailedError(Phase.CONNECT, text="no answer so far")
            return await _after(late, around)
        except RequestFailedError as failure:
            if failure.unconnected and self._pool.is_ready(call.origin):
                # nothing was sent yet, and meanwhile there is a connection
                if (late_way := self._make_way(call)) is not None:
                    if (answer := await late_way.advance(calm=False)) is not None:
                        return answer
            raise

    def _make_way(self, call: Call) -> Way | None:
        way = Way(self._nursery, self._pool, self._discovery, call, self._head_start)
        return way if way.next_place() else None

    async def _elsewhere(self, call: Call, way: Way) -> Answer:
        """The place does not answer soon, and there are only other places."""
        await way.drop()
        way.remember_failure()
        if not way.next_place():
            text = f"no connection to {call.origin.host} in time"
            raise RequestFailedError(Phase.CONNECT, text=text)
        answer = await way.advance(calm=False)
        assert answer is not None
        return answer

    async def _race(self, call: Call, way: Way, around: Around | None) -> Response:
        if around is None and not way.in_doubt:
            way.remember_failure()
        try:
            return await Race(partial(self._make_way, call), around).run(way)
        except RequestFailedError as failure:
            if failure.unconnected:
                # nothing else of the origin's can be reached either
                self._discovery.forgive(call.origin)
            raise

    async def _go_around(self, call: Call, detour: Detour, began: float) -> Response:
        try:
            return await detour.go(began)
        except RequestFailedError as failure:
            if failure.unconnected:
                self._discovery.forgive(call.origin)
            raise


async def _after(failure: RequestFailedError, around: Around) -> Response:
    """The response that comes around HTTP/3, where that has failed."""
    try:
        return await around.go()
    except RequestFailedError as error:
        raise no_way(failure, error, around.name) from error.error
