"""Streams as trio knows them (RFC 9000 section 2), made of the two halves.

A `Stream` goes both ways; a `SendStream` was opened by this side and a `ReceiveStream` by the
server. All follow the contract of `trio.abc`.
"""

from typing import TypeVar

import trio

from ..._construction import NoPublicConstructor, create
from ..driver import Driver
from .halves import NO_CODE, ReceivingHalf, SendingHalf


class SendStream(
    SendingHalf,
    trio.abc.SendStream,
    metaclass=NoPublicConstructor,
    made_by="Connection.open_send_stream",
):
    """A stream that this side opened to send only."""


class ReceiveStream(
    ReceivingHalf,
    trio.abc.ReceiveStream,
    metaclass=NoPublicConstructor,
    made_by="Connection.accept_stream",
):
    """A stream that the server opened to send only."""


class Stream(
    SendingHalf,
    ReceivingHalf,
    trio.abc.HalfCloseableStream,
    metaclass=NoPublicConstructor,
    made_by="Connection.open_stream and accept_stream",
):
    """A stream that goes both ways, opened by either side."""

    async def send_eof(self) -> None:
        """End the data with a FIN and go on receiving. Idempotent; cancelled, nothing was done."""
        if self._closed_for_sending:
            raise trio.ClosedResourceError("the stream is closed")
        with self._one_sender:
            await trio.lowlevel.checkpoint_if_cancelled()
            if not self._finished:
                self._check_sending()
                self._finish()
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def aclose(self) -> None:
        """Close both directions, as `SendStream.aclose` and `ReceiveStream.aclose`."""
        abort = True
        try:
            await trio.lowlevel.checkpoint()
            abort = False
        finally:
            self.stop(NO_CODE)
            self._close_sending(abort=abort)


S = TypeVar("S", SendStream, ReceiveStream, Stream)


def make_stream(kind: type[S], driver: Driver, stream_id: int) -> S:
    """The public face of a stream."""
    stream = create(kind)
    stream._begin(driver, stream_id)
    return stream
