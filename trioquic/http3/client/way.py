"""One request over HTTP/3: at the places of its origin, one after the other.

A place is left for the next one if no connection could be made there, or if it says that it does
not serve the origin.
"""

import math
import socket
from typing import Final

import trio

from ... import CertificateError, LocalAddressError
from ..errors import HTTP3Error
from ..failure import Phase, RequestFailedError
from .attempt import Answer, Attempt
from .call import Call
from .discovery import MISDIRECTED, Discovery, Endpoint
from .pool import Pool

# Another way to the same host would not help against these, or would hide them
_FINAL: Final = (CertificateError, LocalAddressError, socket.gaierror)


class Way:
    """`head_start` is how long a connection may take before it is late, where there is a way around
    HTTP/3; None: there is none."""

    def __init__(
        self,
        nursery: trio.Nursery,
        pool: Pool,
        discovery: Discovery,
        call: Call,
        head_start: float | None,
    ) -> None:
        self._nursery = nursery
        self._pool = pool
        self._discovery = discovery
        self._call = call
        self._head_start = head_start
        self._tried: set[Endpoint] = set()
        self._attempt: Attempt | None = None

    @property
    def in_doubt(self) -> bool:
        """Whether it was left because nobody is heard on its connection."""
        return self._attempt is not None and self._attempt.in_doubt

    @property
    def is_under_way(self) -> bool:
        """Whether there is something to be taken up again."""
        return self._attempt is not None and self._attempt.is_under_way

    def next_place(self) -> bool:
        """Go to the next place, if there is one."""
        now = trio.current_time()
        endpoint = self._discovery.find(self._call.origin, self._call.server_name, now)
        self._attempt = None
        if endpoint is None or endpoint in self._tried:
            return False
        self._tried.add(endpoint)
        patience = self._patience(endpoint)
        self._attempt = Attempt(self._nursery, self._pool, endpoint, self._call, patience)
        return True

    def _patience(self, endpoint: Endpoint) -> float:
        connect = self._call.timeouts.connect
        if self._head_start is None:
            return math.inf if endpoint.is_origin else connect / 2
        if self._discovery.is_doubtful(endpoint):
            # it is tried, but not waited for
            return 0.0
        return min(self._head_start, connect / 2)

    async def advance(self, *, calm: bool) -> Answer | None:
        """As `Attempt.advance`, over all places. To be called after `next_place`."""
        while True:
            assert self._attempt is not None
            place = self._attempt.endpoint
            try:
                answer = await self._attempt.advance(calm=calm)
            except RequestFailedError as failure:
                if not failure.attempt_failed:
                    raise
                failure.final = place.is_origin and isinstance(failure.error, _FINAL)
                if failure.final or not self.next_place():
                    raise
                continue
            if answer is None:
                return None
            if answer.head.status != MISDIRECTED or place.is_origin:
                origin, head = self._call.origin, answer.head
                self._discovery.heard(origin, head.status, head.headers, trio.current_time())
                return answer
            # not from this place, whatever the method
            self._discovery.misdirected(place)
            if not self._call.can_be_repeated:
                return answer
            await answer.aclose()
            if not self.next_place():
                host = self._call.origin.host
                text = f"{place.authority} does not serve {host}"
                raise RequestFailedError(Phase.CONNECT, HTTP3Error(text))

    async def drop(self) -> None:
        """Give up what is under way. A handshake that is late goes on by itself."""
        if self._attempt is not None:
            await self._attempt.drop()

    def remember_failure(self) -> None:
        """The place does not answer."""
        if self._attempt is not None:
            self._discovery.failed(self._attempt.endpoint, trio.current_time())
