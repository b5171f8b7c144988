"""One request over HTTP/3 at one place, until its response has begun.

An attempt can be left where it waits, and taken up again: for the handshake, or for the response.
So `advance` says when it is time to try another way beside it: when the handshake takes longer than
it should, and when nobody is heard any more on a connection that has got the request.
"""

import httpx
import trio

from ..http3 import Request
from ._discovery import Endpoint
from ._exchange import Exchange
from ._failures import (
    NO_CONNECTION,
    attempt_failed,
    is_idempotent,
    is_the_networks,
    may_be_sent_again,
    sending,
)
from ._fields import authority_of, request_fields
from ._pool import Place, Pool
from ._response import make_response
from ._timeouts import Timeouts

_TOO_EARLY = 425
# How often a request is sent again: after what the server did to the connection, and after what the
# network did
_MOST_REPETITIONS = 1
_MOST_OVER_NETWORKS = 3
# RFC 9110 section 9.2.1, without TRACE, which nobody needs fast
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


def can_be_repeated(request: httpx.Request) -> bool:
    """Whether the body is there to be sent once more."""
    return isinstance(request.stream, httpx.ByteStream)


def can_be_doubled(request: httpx.Request) -> bool:
    """Whether the request may be under way on two connections at once."""
    return can_be_repeated(request) and is_idempotent(request.method)


class Attempt:
    """`patience`: how old the connection's handshake may become, in seconds, before another way is
    tried. `nursery` is for the request's body."""

    def __init__(
        self,
        nursery: trio.Nursery,
        pool: Pool,
        endpoint: Endpoint,
        request: httpx.Request,
        *,
        patience: float,
        early_data: bool,
    ) -> None:
        self._nursery = nursery
        self._pool = pool
        self.endpoint = endpoint
        self._request = request
        self._timeouts = Timeouts.of(request.extensions)
        self._patience = patience
        self._early_data = early_data and request.method in _SAFE
        self._can_be_doubled = can_be_doubled(request)
        self._repetitions = 0
        self._place: Place | None = None
        self._exchange: Exchange | None = None
        self.in_doubt = False
        """Whether it was left because nobody is heard on its connection."""

    @property
    def is_under_way(self) -> bool:
        """Whether there is something to be taken up again."""
        return self._place is not None

    async def advance(self, *, calm: bool) -> httpx.Response | None:
        """The response. If `calm`, None when it is time to try another way, too: then call it
        again, or `drop` it.

        Raises httpx's exceptions; cancelled or failed, nothing is left.
        """
        while True:
            try:
                response = await self._advance(calm)
            except httpx.TransportError as error:
                most = self._most_repetitions(error)
                await self.drop()
                if self._repetitions >= most:
                    raise
                self._repetitions += 1
                continue
            except BaseException:
                await self.drop()
                raise
            if response is None or not self._is_too_early(response):
                return response
            # RFC 8470 section 5.2: once more, and not early
            self._early_data = False
            self._place = None
            await response.aclose()

    def _is_too_early(self, response: httpx.Response) -> bool:
        early = self._place is not None and self._place.early
        return early and response.status_code == _TOO_EARLY

    async def drop(self) -> None:
        """Give up what is under way."""
        place, self._place = self._place, None
        exchange, self._exchange = self._exchange, None
        if place is not None:
            place.abandon()
        if exchange is not None:
            await exchange.aclose()

    async def _advance(self, calm: bool) -> httpx.Response | None:
        if self._place is None:
            self._place = await self._pool.acquire(self.endpoint, self._timeouts, self._patience)
        place = self._place
        if self._exchange is None:
            body = await _body_of(self._request)
            early = self._early_data and body is None
            if not (early and await place.wait_early()):
                if not await place.wait_connected(patiently=not calm):
                    return None
            if not await self._send_head(place, body, calm):
                return None
        if place.early and not await place.wait_connected(patiently=not calm):
            return None
        return await self._receive_head(place, calm)

    async def _send_head(
        self, place: Place, body: httpx.AsyncByteStream | None, calm: bool
    ) -> bool:
        """False: the connection came into doubt before all was sent; there is nothing to go on."""
        if calm and self._can_be_doubled and not place.early:
            stream = None
            with place.connection.while_good():
                stream = await _open_request(place, self._request, self._timeouts, end=body is None)
            if stream is None:
                place.release()
                self._place = None
                self.in_doubt = True
                return False
        else:
            stream = await _open_request(place, self._request, self._timeouts, end=body is None)
        self._exchange = Exchange(stream, self._timeouts, place)
        if body is not None:
            self._exchange.send_body(self._nursery, body)
        return True

    async def _receive_head(self, place: Place, calm: bool) -> httpx.Response | None:
        exchange = self._exchange
        assert exchange is not None
        assert place.connection.http3 is not None
        head = None
        if calm and self._can_be_doubled:
            with place.connection.while_good():
                head = await exchange.receive_head()
        else:
            head = await exchange.receive_head()
        if head is None:
            self.in_doubt = True
            return None
        self._exchange = None
        return make_response(exchange, head, place.connection.http3.quic)

    def _most_repetitions(self, error: httpx.TransportError) -> int:
        """How often a request may go to another connection that failed so without a response."""
        if self._place is None:
            return 0
        if self._place.connection.failed_early:
            # nothing was sent, or what does no harm; the next connection sends no early data
            return _MOST_REPETITIONS if attempt_failed(error) else 0
        if not can_be_repeated(self._request) or not may_be_sent_again(error, self._request.method):
            return 0
        return _MOST_OVER_NETWORKS if is_the_networks(error) else _MOST_REPETITIONS


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
    except (*NO_CONNECTION, httpx.WriteError):
        if place.early:
            # If the handshake has failed under it, the connection's own task knows why.
            await place.wait_connected()
        raise
    connection.suspect()
    raise httpx.WriteTimeout("the server does not take the request's headers in time")


async def _body_of(request: httpx.Request) -> httpx.AsyncByteStream | None:
    """None if there is none, which is said with the headers."""
    body = request.stream
    assert isinstance(body, httpx.AsyncByteStream)
    if isinstance(body, httpx.ByteStream) and not any([chunk async for chunk in body]):
        return None
    return body
