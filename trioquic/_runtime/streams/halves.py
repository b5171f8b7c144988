"""The two directions of a stream, to the letter of trio's stream contract.

A half keeps no data: the core does. It adds what the core cannot know: that one task at a time may
use a direction, that this side has closed it, and how to wait. Every method is a checkpoint. One
that has to wait looks at the core's state again whenever it is woken.
"""

from typing import Final

import trio

from ... import _checks
from ...errors import StopSendingError, StreamResetError
from ..driver import Driver

_CODE: Final = _checks.whole(0)
_URGENCY: Final = _checks.whole(0, 7)
_SIZE: Final = _checks.whole(1)
# `receive_some()` without a size: what is there, but not so much that one call delays all others.
_DEFAULT_READ: Final = 1 << 20
# What the peer is told when a stream is closed without a code of the application's own
_NO_CODE: Final = 0


def check_code(error_code: int) -> int:
    """An application error code (RFC 9000 section 20.2)."""
    _checks.check(_CODE, "error_code", error_code)
    return error_code


class _OneTask:
    """Admits one task at a time; the next one gets BusyResourceError."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._busy = False

    def __enter__(self) -> None:
        if self._busy:
            raise trio.BusyResourceError(f"another task is already {self._what} this stream")
        self._busy = True

    def __exit__(self, *_: object) -> None:
        self._busy = False


class SendHalf:
    """Sending on one stream."""

    def __init__(self, driver: Driver, stream_id: int) -> None:
        self._driver = driver
        self._id = stream_id
        self._one_task = _OneTask("sending on")
        # no more data: by send_eof, reset or close
        self._finished = False
        self._closed = False

    def _check(self) -> None:
        """Raise if nothing can be sent any more."""
        if self._closed or self._finished:
            raise trio.ClosedResourceError("the stream is closed for sending")
        self._driver.life.check_open()
        code = self._driver.core.streams.stop_code(self._id)
        if code is not None:
            raise StopSendingError(f"the peer stopped reading, code {code:#x}", error_code=code)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Hand all of `data` to the connection, waiting for room in the send buffer."""
        _checks.check(_checks.octets, "data", data)
        with self._one_task:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._check()
            streams = self._driver.core.streams
            content = data if isinstance(data, bytes) else bytes(data)
            position = streams.write(self._id, content)
            self._driver.timer.soon()
            if position == len(content):
                await trio.lowlevel.cancel_shielded_checkpoint()
                return
            while position < len(content):
                await self._wait_for_room()
                position += streams.write(self._id, content, position)
                self._driver.timer.soon()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the send buffer has room."""
        with self._one_task:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._check()
            if self._driver.core.streams.send_room(self._id):
                await trio.lowlevel.cancel_shielded_checkpoint()
            else:
                await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        while not self._driver.core.streams.send_room(self._id):
            await self._driver.writers.wait(self._id)
            self._check()

    async def send_eof(self) -> None:
        """End the data with a FIN."""
        if self._closed:
            raise trio.ClosedResourceError("the stream is closed")
        with self._one_task:
            await trio.lowlevel.checkpoint_if_cancelled()
            if not self._finished:
                self._check()
                self._finish()
            await trio.lowlevel.cancel_shielded_checkpoint()

    def reset(self, error_code: int) -> None:
        """Give up sending: what was not delivered never will be."""
        code = check_code(error_code)
        if self._driver.life.over:
            return
        self._finished = True
        self._driver.core.streams.reset(self._id, code)
        self._driver.timer.soon()
        self._driver.writers.wake(self._id)

    def set_priority(self, urgency: int, incremental: bool) -> None:
        """Which stream's data goes first."""
        _checks.check(_URGENCY, "urgency", urgency)
        _checks.check(_checks.flag, "incremental", incremental)
        if not self._driver.life.over:
            self._driver.core.streams.set_priority(self._id, urgency, incremental)

    def close(self, *, abort: bool) -> None:
        """No more data: a FIN after what was accepted, or a reset if this is an abort."""
        if self._closed:
            return
        self._closed = True
        if not self._finished and not self._driver.life.over:
            if abort:
                self.reset(_NO_CODE)
            else:
                self._finish()
        self._driver.writers.wake(self._id)

    def _finish(self) -> None:
        self._finished = True
        streams = self._driver.core.streams
        # After STOP_SENDING the core has reset the stream already (RFC 9000 section 3.5).
        if streams.stop_code(self._id) is None:
            streams.finish(self._id)
            self._driver.timer.soon()


class ReceiveHalf:
    """Receiving on one stream."""

    def __init__(self, driver: Driver, stream_id: int) -> None:
        self._driver = driver
        self._id = stream_id
        self._one_task = _OneTask("receiving from")
        self._closed = False
        self._at_end = False
        self._reset_code: int | None = None

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Bytes that have arrived, waiting for them; b"" at the end."""
        if max_bytes is None:
            most = _DEFAULT_READ
        else:
            _checks.check(_SIZE, "max_bytes", max_bytes)
            most = max_bytes
        with self._one_task:
            await trio.lowlevel.checkpoint_if_cancelled()
            data = self._take(most)
            if data is not None:
                await trio.lowlevel.cancel_shielded_checkpoint()
                return data
            while data is None:
                await self._driver.readers.wait(self._id)
                data = self._take(most)
            return data

    def _take(self, most: int) -> bytes | None:
        """Data, b"" at the end, None when there is nothing yet, or an exception.

        What arrived before the connection ended is still delivered."""
        if self._closed:
            raise trio.ClosedResourceError("the stream is closed for receiving")
        if self._at_end:
            return b""
        if self._reset_code is not None:
            raise self._reset_error(self._reset_code)
        driver = self._driver
        if driver.life.unusable:
            driver.life.check_open()
        streams = driver.core.streams
        data = streams.read(self._id, most, trio.current_time(), driver.core.rtt)
        if data:
            driver.flush_if_pending()
            return data
        # The order matters: the core forgets a stream whose end was seen.
        self._reset_code = streams.reset_code(self._id)
        if self._reset_code is not None:
            driver.flush_if_pending()
            raise self._reset_error(self._reset_code)
        if streams.at_end(self._id):
            self._at_end = True
            driver.flush_if_pending()
            return b""
        driver.life.check_open()
        return None

    def _reset_error(self, code: int) -> StreamResetError:
        return StreamResetError(f"the peer reset the stream, code {code:#x}", error_code=code)

    def stop(self, error_code: int) -> None:
        """Want no more: whoever waits here is woken, and the peer told."""
        code = check_code(error_code)
        if self._closed:
            return
        self._closed = True
        finished = self._at_end or self._reset_code is not None
        if not finished and not self._driver.life.over:
            self._driver.core.streams.stop_sending(self._id, code)
            self._driver.timer.soon()
        self._driver.readers.wake(self._id)

    def close(self) -> None:
        """The same, without a code of the application's own."""
        self.stop(_NO_CODE)
