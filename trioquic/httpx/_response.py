"""A response's body as httpx reads it, and what else a response has to tell."""

from collections.abc import AsyncIterator

import httpx
import trio

from ..http3.exchange import Exchange
from ._failures import translated
from ._fields import received_fields


class ResponseStream(httpx.AsyncByteStream):
    """The body, once; closing it cancels what is not complete."""

    def __init__(self, exchange: Exchange, trailers: httpx.Headers, write_timeout: float) -> None:
        self._exchange = exchange
        self._trailers = trailers
        self._write_timeout = write_timeout

    def __aiter__(self) -> AsyncIterator[bytes]:
        # An object, no generator: those complain when they are left before their end.
        return self

    async def __anext__(self) -> bytes:
        try:
            with translated():
                data = await self._exchange.receive_data()
                if not data:
                    await self._exchange.wait_uploaded(self._write_timeout)
        except httpx.TransportError:
            await self._exchange.aclose()
            # as in HTTP3Transport.handle_async_request
            await trio.lowlevel.checkpoint_if_cancelled()
            raise
        if data:
            return data
        self._trailers.update(httpx.Headers(received_fields(self._exchange.request.trailers)))
        await self._exchange.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        await self._exchange.aclose()


def make_response(exchange: Exchange, write_timeout: float) -> httpx.Response:
    """The response to a request, its body not read yet."""
    head, trailers = exchange.head, httpx.Headers()
    return httpx.Response(
        head.status,
        headers=received_fields(head.headers),
        stream=ResponseStream(exchange, trailers, write_timeout),
        extensions={
            "http_version": b"HTTP/3",
            "stream_id": exchange.request.stream_id,
            "trailers": trailers,
            "informational": tuple(
                (one.status, httpx.Headers(received_fields(one.headers)))
                for one in head.informational
            ),
            "trioquic_connection": exchange.quic,
        },
    )
