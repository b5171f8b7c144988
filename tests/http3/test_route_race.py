"""A request on several ways at once, without connections below them."""

import weakref
from typing import Any

import pytest
import trio
import trio.testing

from tests.uncollected import uncollected
from trioquic import QuicError
from trioquic.http3.client.race import RouteRace
from trioquic.http3.failure import Phase, RequestFailedError


class Route:
    """One on which there is no connection, or a response."""

    in_doubt = True
    is_under_way = False

    def __init__(self, response: Any = None) -> None:
        self._response = response

    async def advance(self, *, calm: bool) -> Any:
        await trio.lowlevel.checkpoint()
        if self._response is None:
            raise RequestFailedError(Phase.CONNECT, QuicError("no connection"))
        return self._response


class Pauses:
    over = True


class Response:
    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("around", [False, True])
async def test_what_came_to_nothing_is_freed_at_once(around: bool) -> None:
    """Without the garbage collector: neither a failure nor a winner leaves a cycle."""

    async def fails() -> Any:
        raise RequestFailedError(Phase.CONNECT, QuicError("nor around"))

    async def leads_there() -> Any:
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        return Response()

    for way in (leads_there, fails) if around else (None,):
        race = RouteRace(lambda: None, way, Pauses())  # type: ignore[arg-type]
        seen = weakref.ref(race)
        with uncollected():
            try:
                response = await race.run(Route())  # type: ignore[arg-type]
                assert way is leads_there
                assert isinstance(response, Response)
            except RequestFailedError:
                assert way is not leads_there
            del race
            assert seen() is None
