"""One request over HTTP/3, until its response has begun: at the places of its origin, one by one.

A place is left for the next one if no connection could be made there, or if it says that it does
not serve the origin. A route can be left where it waits, for the handshake or for the response, and
taken up again. So `advance` says when it is time to try another one beside it: when the handshake
takes longer than it should, and when nobody is heard any more on the connection.
"""

import math
import socket
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import trio

from ... import CertificateError, LocalAddressError
from ..errors import HTTP3Error
from ..exchange import Exchange
from ..failure import Phase, RequestFailedError, during
from .call import TOO_EARLY, Call, is_rejected, pause_before
from .discovery import MISDIRECTED, Discovery, Endpoint
from .pool import Pool
from .slot import PoolSlot

# Another way to the same host would not help against these, or would hide them
_FINAL: Final = (CertificateError, LocalAddressError, socket.gaierror)


class HTTP3Route:
    """`head_start` is how long a connection may take, in seconds, before it is late, where there is
    a way around HTTP/3; None: there is none. The request's content is sent in the `nursery`."""

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
        self._place: Endpoint | None = None
        # at this place
        self._patience = math.inf
        self._early_data = False
        self._repetitions = 0
        self._slot: PoolSlot | None = None
        self._exchange: Exchange | None = None
        self.in_doubt: bool = False
        """Whether it was left because nobody is heard on its connection."""

    @property
    def is_under_way(self) -> bool:
        """Whether there is something to be taken up again."""
        return self._slot is not None

    def next_place(self) -> bool:
        """Go to the next place, if there is one."""
        call = self._call
        name = call.server_name or call.origin.host
        place = self._discovery.find(call.origin, name, trio.current_time(), self._tried)
        self._slot = self._exchange = None
        self.in_doubt = False
        self._place = place
        if place is None:
            return False
        self._tried.add(place)
        self._patience = self._patience_for(place)
        self._early_data = self._pool.early_data and call.may_be_early
        self._repetitions = 0
        return True

    def _patience_for(self, place: Endpoint) -> float:
        """How old the connection's handshake may become before another way is tried."""
        connect = self._call.timeouts.connect
        if self._head_start is None:
            return math.inf if place.is_origin else connect / 2
        if self._discovery.is_doubtful(place):
            # it is tried, but not waited for
            return 0.0
        return min(self._head_start, connect / 2)

    async def advance(self, *, calm: bool) -> Exchange | None:
        """The request, with the head of its response. If `calm`, None when it is time to try
        another way, too: then call it again, or `drop` it. To be called after `next_place`.

        Raises `RequestFailedError`, and what the content raises; cancelled or failed, nothing is
        left.
        """
        while True:
            place = self._place
            assert place is not None
            try:
                exchange = await self._advance_here(place, calm)
            except RequestFailedError as failure:
                if not failure.attempt_failed:
                    raise
                if place.is_origin and isinstance(failure.error, _FINAL):
                    failure.make_final()
                    raise
                if not self.next_place():
                    raise
                continue
            if exchange is None:
                return None
            if exchange.head.status != MISDIRECTED or place.is_origin:
                if not self._call.any_origin:
                    self._discovery.heard(self._call.origin, exchange.head, trio.current_time())
                return exchange
            # not from this place, whatever the method
            if not self._call.any_origin:
                self._discovery.misdirected(place)
            if not self._call.can_be_repeated:
                return exchange
            await exchange.aclose()
            if not self.next_place():
                text = f"{place.authority} does not serve {self._call.origin.host}"
                raise RequestFailedError(Phase.CONNECT, HTTP3Error(text))

    async def drop(self) -> None:
        """Give up what is under way. A handshake that is late goes on by itself."""
        slot, self._slot = self._slot, None
        exchange, self._exchange = self._exchange, None
        if slot is not None:
            slot.abandon()
        if exchange is not None:
            await exchange.aclose()

    def remember_failure(self) -> None:
        """The place does not answer."""
        if self._place is not None:
            self._discovery.failed(self._place, trio.current_time())

    async def _advance_here(self, place: Endpoint, calm: bool) -> Exchange | None:
        """The same at one place, where the request may be made again (`call.py`)."""
        while True:
            try:
                exchange = await self._ask(place, calm)
            except RequestFailedError as failure:
                most = 0
                if self._slot is not None:
                    failed_early = self._slot.connection.failed_early
                    most = self._call.most_repetitions(failure, failed_early=failed_early)
                slot = self._slot
                await self.drop()
                if self._repetitions >= most:
                    raise
                if slot is not None and is_rejected(failure) and slot.connection.usable:
                    await trio.sleep(pause_before(self._repetitions))
                self._repetitions += 1
                continue
            except BaseException:
                await self.drop()
                raise
            early = self._slot is not None and self._slot.early
            if exchange is None or not early or exchange.head.status != TOO_EARLY:
                return exchange
            # once more, and not early
            self._early_data = False
            self._slot = None
            await exchange.aclose()

    async def _ask(self, place: Endpoint, calm: bool) -> Exchange | None:
        if self._slot is None:
            self._slot = await self._pool.acquire(place, self._call.timeouts, self._patience)
        slot = self._slot
        if self._exchange is None:
            if not (self._early_data and await slot.wait_early()):
                if not await slot.wait_connected(patiently=not calm):
                    return None
            exchange = None
            with self._while_heard(slot, calm and not slot.early):
                exchange = await self._open_exchange(place, slot)
            if exchange is None:
                # the connection came into doubt before all was sent: there is nothing to go on
                slot.release()
                self._slot = None
                self.in_doubt = True
                return None
            self._exchange = exchange
            if self._call.content is not None:
                exchange.send_content(self._nursery, self._call.content)
        if slot.early and not await slot.wait_connected(patiently=not calm):
            return None
        with self._while_heard(slot, calm):
            await self._exchange.receive_head()
            exchange, self._exchange = self._exchange, None
            return exchange
        self.in_doubt = True
        return None

    def _while_heard(self, slot: PoolSlot, calm: bool) -> AbstractContextManager[object]:
        """Leave the block when nobody is heard on the connection, if there may be another one."""
        if calm and self._call.can_be_doubled:
            return slot.connection.while_good()
        return nullcontext()

    async def _open_exchange(self, place: Endpoint, slot: PoolSlot) -> Exchange:
        call, connection = self._call, slot.connection
        http3 = connection.http3
        assert http3 is not None

        def is_closed() -> bool:
            # it ends none that has requests, unless it is closed itself
            return connection.ended_here

        fields = list(call.fields)
        if not place.is_origin:
            fields.append((b"alt-used", place.authority.encode("ascii")))
        try:
            with trio.move_on_after(call.timeouts.write), during(Phase.WRITE, is_closed):
                request = await http3.open_request(
                    call.method,
                    "https",
                    call.authority,
                    call.path,
                    fields,
                    priority=call.priority,
                    end=call.content is None,
                    early_data=slot.early,
                    any_origin=call.any_origin,
                )
                return Exchange(
                    request,
                    http3.quic,
                    timeouts=call.timeouts,
                    on_late=connection.suspect,
                    on_close=slot.release,
                    is_closed=is_closed,
                )
        except RequestFailedError as failure:
            if slot.early and not isinstance(failure.error, HTTP3Error | ValueError):
                # If the handshake has failed under it, the connection's own task knows why.
                await slot.wait_connected()
            raise
        connection.suspect()
        text = "the server does not take the request's headers in time"
        raise RequestFailedError(Phase.WRITE, text=text)
