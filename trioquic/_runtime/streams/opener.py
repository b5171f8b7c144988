"""How streams come to be: opened as the server's credit allows, or accepted from the server."""

import trio

from ..driver import Driver
from ..waiting import Reason
from .streams import ReceiveStream, Stream, make_stream


class StreamOpener:
    """The streams of one connection that are still to come."""

    __slots__ = ("_driver",)

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def available(self, bidirectional: bool) -> int:
        """How many streams can be opened now; 0 when the connection is over."""
        return 0 if self._driver.life.over else self._driver.core.streams.openable(bidirectional)

    async def open(self, bidirectional: bool, early_data: bool) -> int:
        """The number of a new stream; see `Connection.open_stream`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        driver = self._driver
        driver.life.check_open()
        if not early_data and not driver.core.handshake_complete:
            await driver.life.wait_complete()
        stream_id = driver.core.streams.open(bidirectional)
        if stream_id >= 0:
            await trio.lowlevel.cancel_shielded_checkpoint()
        while stream_id < 0:
            await self._wait_for_credit(bidirectional)
            stream_id = driver.core.streams.open(bidirectional)
        return stream_id

    async def _wait_for_credit(self, bidirectional: bool) -> None:
        reason = Reason.BIDIRECTIONAL if bidirectional else Reason.UNIDIRECTIONAL
        # After a refusal the core has a STREAMS_BLOCKED frame to send.
        self._driver.flush()
        waiters = self._driver.waiters
        try:
            await waiters.wait(reason)
        except trio.Cancelled:
            if not waiters.anybody(reason):
                # or the core would go on reminding the server, and keep the connection alive
                self._driver.core.streams.stop_opening(bidirectional)
            raise
        self._driver.life.check_open()

    async def wait_might_not_block(self, bidirectional: bool) -> None:
        """Wait until a stream can be opened at once."""
        await trio.lowlevel.checkpoint()
        self._driver.life.check_open()
        while not self.available(bidirectional):
            # is refused, which tells the server
            self._driver.core.streams.open(bidirectional)
            await self._wait_for_credit(bidirectional)

    async def accept(self) -> Stream | ReceiveStream:
        """The next stream of the server's; see `Connection.accept_stream`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        driver = self._driver
        driver.life.check_readable()
        if driver.incoming:
            await trio.lowlevel.cancel_shielded_checkpoint()
        while not driver.incoming:
            driver.life.check_open()
            await driver.waiters.wait(Reason.INCOMING)
        stream_id = driver.incoming.pop(0)
        # RFC 9000 section 2.1: the second bit says "one way"
        if stream_id & 2:
            return make_stream(ReceiveStream, driver, stream_id)
        return make_stream(Stream, driver, stream_id)
