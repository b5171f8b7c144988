"""One request over HTTP/3 at one place, until its response has begun.

An attempt can be left where it waits, and taken up again: for the handshake, or for the response.
So `advance` says when it is time to try another way beside it: when the handshake takes longer than
it should, and when nobody is heard any more on a connection that has got the request.
"""

import trio

from ..errors import HTTP3Error
from ..exchange import Exchange
from ..failure import Phase, RequestFailedError, during
from ..fields import ResponseHead
from .call import TOO_EARLY, Call
from .connection import PooledConnection
from .discovery import Endpoint
from .pool import Pool
from .slot import PoolSlot


class Answer:
    """A response that has begun."""

    def __init__(
        self, exchange: Exchange, head: ResponseHead, connection: PooledConnection
    ) -> None:
        self.exchange = exchange
        self.head = head
        self.connection = connection

    async def aclose(self) -> None:
        """Cancel what is not complete."""
        await self.exchange.aclose()


class Attempt:
    """`patience`: how old the connection's handshake may become, in seconds, before another way is
    tried. `nursery` is for the request's content."""

    def __init__(
        self, nursery: trio.Nursery, pool: Pool, endpoint: Endpoint, call: Call, patience: float
    ) -> None:
        self._nursery = nursery
        self._pool = pool
        self.endpoint = endpoint
        self._call = call
        self._patience = patience
        self._early_data = pool.early_data and call.may_be_early
        self._repetitions = 0
        self._slot: PoolSlot | None = None
        self._exchange: Exchange | None = None
        self.in_doubt: bool = False
        """Whether it was left because nobody is heard on its connection."""

    @property
    def is_under_way(self) -> bool:
        """Whether there is something to be taken up again."""
        return self._slot is not None

    async def advance(self, *, calm: bool) -> Answer | None:
        """The response. If `calm`, None when it is time to try another way, too: then call it
        again, or `drop` it.

        Raises `RequestFailedError`, and what the content raises; cancelled or failed, nothing is
        left.
        """
        while True:
            try:
                answer = await self._advance(calm)
            except RequestFailedError as failure:
                most = self._most_repetitions(failure)
                await self.drop()
                if self._repetitions >= most:
                    raise
                self._repetitions += 1
                continue
            except BaseException:
                await self.drop()
                raise
            early = self._slot is not None and self._slot.early
            if answer is None or not early or answer.head.status != TOO_EARLY:
                return answer
            # once more, and not early
            self._early_data = False
            self._slot = None
            await answer.aclose()

    def _most_repetitions(self, failure: RequestFailedError) -> int:
        if self._slot is None:
            return 0
        failed_early = self._slot.connection.failed_early
        return self._call.most_repetitions(failure, failed_early=failed_early)

    async def drop(self) -> None:
        """Give up what is under way."""
        slot, self._slot = self._slot, None
        exchange, self._exchange = self._exchange, None
        if slot is not None:
            slot.abandon()
        if exchange is not None:
            await exchange.aclose()

    async def _advance(self, calm: bool) -> Answer | None:
        if self._slot is None:
            self._slot = await self._pool.acquire(
                self.endpoint, self._call.timeouts, self._patience
            )
        slot = self._slot
        if self._exchange is None:
            if not (self._early_data and await slot.wait_early()):
                if not await slot.wait_connected(patiently=not calm):
                    return None
            if not await self._send_head(slot, calm):
                return None
        if slot.early and not await slot.wait_connected(patiently=not calm):
            return None
        return await self._receive_head(slot, calm)

    async def _send_head(self, slot: PoolSlot, calm: bool) -> bool:
        """False: the connection came into doubt before all was sent; there is nothing to go on."""
        if calm and self._call.can_be_doubled and not slot.early:
            exchange = None
            with slot.connection.while_good():
                exchange = await self._open_exchange(slot)
            if exchange is None:
                slot.release()
                self._slot = None
                self.in_doubt = True
                return False
        else:
            exchange = await self._open_exchange(slot)
        self._exchange = exchange
        if self._call.content is not None:
            exchange.send_content(self._nursery, self._call.content)
        return True

    async def _receive_head(self, slot: PoolSlot, calm: bool) -> Answer | None:
        exchange = self._exchange
        assert exchange is not None
        head = None
        if calm and self._call.can_be_doubled:
            with slot.connection.while_good():
                head = await exchange.receive_head()
        else:
            head = await exchange.receive_head()
        if head is None:
            self.in_doubt = True
            return None
        self._exchange = None
        return Answer(exchange, head, slot.connection)

    async def _open_exchange(self, slot: PoolSlot) -> Exchange:
        """Send the request's headers."""
        call, connection = self._call, slot.connection
        http3 = connection.http3
        assert http3 is not None
        fields = list(call.fields)
        if not self.endpoint.is_origin:
            fields.append((b"alt-used", self.endpoint.authority.encode("ascii")))
        try:
            with trio.move_on_after(call.timeouts.write), during(Phase.WRITE):
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
                )
        except RequestFailedError as failure:
            if slot.early and not isinstance(failure.error, HTTP3Error | ValueError):
                # If the handshake has failed under it, the connection's own task knows why.
                await slot.wait_connected()
            raise
        connection.suspect()
        text = "the server does not take the request's headers in time"
        raise RequestFailedError(Phase.WRITE, text=text)
