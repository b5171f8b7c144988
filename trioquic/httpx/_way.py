"""One request over HTTP/3: at the places of its origin, one after the other.

A place is left for the next one if no connection could be made there, or if it says that it does
not serve the origin.
"""

import math
import socket
from typing import Final

import httpx
import trio

from .. import CertificateError, LocalAddressError
from ._attempt import Attempt, can_be_repeated
from ._discovery import Discovery, Endpoint, Origin
from ._failures import NO_CONNECTION, FinalError, attempt_failed
from ._pool import Pool
from ._timeouts import Timeouts

_HTTPS_PORT: Final = 443
_MISDIRECTED: Final = 421
# Another way to the same host would not help against these, or would hide them
_FINAL: Final = (CertificateError, LocalAddressError, socket.gaierror)


def origin_of(request: httpx.Request) -> Origin:
    """The origin that a request is for."""
    return Origin(request.url.raw_host.decode("ascii"), request.url.port or _HTTPS_PORT)


def learn(discovery: Discovery, origin: Origin, response: httpx.Response) -> None:
    """What a response says of the origin's places."""
    values = response.headers.get_list("alt-svc")
    if values and response.status_code != _MISDIRECTED:
        age = response.headers.get("age", "")
        seconds = float(age) if age.isascii() and age.isdigit() else 0.0
        discovery.learn(origin, values, seconds, trio.current_time())


class Way:
    """`head_start` is how long a connection may take before it is late, where there is a way around
    HTTP/3; None: there is none. `early_data` is the transport's."""

    def __init__(
        self,
        nursery: trio.Nursery,
        pool: Pool,
        discovery: Discovery,
        request: httpx.Request,
        *,
        head_start: float | None,
        early_data: bool,
    ) -> None:
        self._nursery = nursery
        self._pool = pool
        self._discovery = discovery
        self._request = request
        self._head_start = head_start
        self._early_data = early_data
        self.origin = origin_of(request)
        self._server_name = request.extensions.get("sni_hostname") or self.origin.host
        self._connect = Timeouts.of(request.extensions).connect
        self._tried: set[Endpoint] = set()
        self._failure: httpx.TransportError | None = None
        self._attempt: Attempt | None = None

    @property
    def in_doubt(self) -> bool:
        """Whether it was left because nobody is heard on its connection."""
        return self._attempt is not None and self._attempt.in_doubt

    def next_place(self) -> bool:
        """Go to the next place, if there is one."""
        endpoint = self._discovery.find(self.origin, self._server_name, trio.current_time())
        self._attempt = None
        if endpoint is None or endpoint in self._tried:
            return False
        self._tried.add(endpoint)
        self._attempt = Attempt(
            self._nursery,
            self._pool,
            endpoint,
            self._request,
            patience=self._patience(endpoint),
            early_data=self._early_data,
        )
        return True

    def _patience(self, endpoint: Endpoint) -> float:
        if self._head_start is None:
            return math.inf if endpoint.is_origin else self._connect / 2
        if self._discovery.is_doubtful(endpoint):
            # it is tried, but not waited for
            return 0.0
        return min(self._head_start, self._connect / 2)

    async def advance(self, *, calm: bool) -> httpx.Response | None:
        """As `Attempt.advance`, over all places. To be called after `next_place`.

        Raises `FinalError` where no other way is to be tried.
        """
        while True:
            assert self._attempt is not None
            place = self._attempt.endpoint
            try:
                response = await self._attempt.advance(calm=calm)
            except NO_CONNECTION as error:
                if not attempt_failed(error):
                    raise
                if place.is_origin and isinstance(error.__cause__, _FINAL):
                    raise FinalError(error) from error
                self._failure = error
                if self.next_place():
                    continue
                raise self._failure from self._failure.__cause__
            if response is None:
                return None
            if response.status_code != _MISDIRECTED or place.is_origin:
                learn(self._discovery, self.origin, response)
                return response
            # RFC 7838 section 6: not from this place, whatever the method
            self._discovery.misdirected(place)
            if not can_be_repeated(self._request):
                return response
            await response.aclose()
            if not self.next_place():
                raise httpx.ConnectError(f"{place.authority} does not serve {self.origin.host}")

    @property
    def is_under_way(self) -> bool:
        """Whether there is something to be taken up again."""
        return self._attempt is not None and self._attempt.is_under_way

    async def drop(self) -> None:
        """Give up what is under way. A handshake that is late goes on by itself."""
        if self._attempt is not None:
            await self._attempt.drop()

    def remember_failure(self) -> None:
        """The place does not answer."""
        if self._attempt is not None:
            self._discovery.failed(self._attempt.endpoint, trio.current_time())
