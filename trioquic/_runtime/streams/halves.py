"""The two directions of a stream, to the letter of trio's stream contract.

A half keeps no data: the core does. It adds what the core cannot know: that one task at a time may
use a direction, that this side has closed it, and how to wait. Every method is a checkpoint. One
that has to wait looks at the core's state again whenever it is woken.

These are bases of the public classes in `streams.py`. They are begun by a method of theirs, as the
public classes have no constructor.
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
NO_CODE: Final = 0


def check_code(error_code: int) -> int:
    """An application error code (RFC 9000 section 20.2)."""
    _checks.check(_CODE, "error_code", error_code)
    return error_code


class _OneTask:
    """Admits one task at a time; the next one gets BusyResourceError."""

    __slots__ = ("_busy", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._busy = False

    def __enter__(self) -> None:
        if self._busy:
            raise trio.BusyResourceError(f"another task is already {self._what} this stream")
        self._busy = True

    def __exit__(self, *_: object) -> None:
        self._busy = False


class NumberedStream:
    """Which stream of which connection it is."""

    def _begin(self, driver: Driver, stream_id: int) -> None:
        self._driver = driver
        self._stream_id = stream_id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._stream_id}>"

    @property
    def stream_id(self) -> int:
        """The stream's number on the wire (RFC 9000 section 2.1)."""
        return self._stream_id


class SendingHalf(NumberedStream):
    """What a stream has that this side sends on."""

    def _begin(self, driver: Driver, stream_id: int) -> None:
        super()._begin(driver, stream_id)
        self._one_sender = _OneTask("sending on")
        # no more data: by send_eof, reset or close
        self._finished = False
        self._closed_for_sending = False

    def _check_sending(self) -> None:
        """Raise if nothing can be sent any more."""
        if self._closed_for_sending or self._finished:
            raise trio.ClosedResourceError("the stream is closed for sending")
        self._driver.life.check_open()
        code = self._driver.core.streams.stop_code(self._stream_id)
        if code is not None:
            raise StopSendingError(f"the peer stopped reading, code {code:#x}", error_code=code)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`, in order and reliably.

        Returns when the connection has taken it (see `TransportConfig.send_buffer`), not when it
        has arrived. Raises `StopSendingError` when the peer wants no more, `ConnectionLostError`
        when the connection ended, `trio.ClosedResourceError` after one's own close, and
        `trio.BusyResourceError` if another task is sending. Cancelled, any part from the front of
        `data` may have been taken.
        """
        _checks.check(_checks.octets, "data", data)
        with self._one_sender:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._check_sending()
            streams = self._driver.core.streams
            content = data if isinstance(data, bytes) else bytes(data)
            position = streams.write(self._stream_id, content)
            self._driver.timer.soon()
            if position == len(content):
                await trio.lowlevel.cancel_shielded_checkpoint()
            while position < len(content):
                await self._wait_for_room()
                position += streams.write(self._stream_id, content, position)
                self._driver.timer.soon()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until `send_all` can take something at once; errors as there."""
        with self._one_sender:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._check_sending()
            if self._driver.core.streams.send_room(self._stream_id):
                await trio.lowlevel.cancel_shielded_checkpoint()
            else:
                await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        while not self._driver.core.streams.send_room(self._stream_id):
            await self._driver.writers.wait(self._stream_id)
            self._check_sending()

    def reset(self, error_code: int) -> None:
        """Give up sending: RESET_STREAM (RFC 9000 section 19.4) with an application error code.

        What has not arrived yet never will; the peer's reader gets an error. Changes nothing once
        everything was acknowledged.
        """
        code = check_code(error_code)
        if self._driver.life.over:
            return
        self._finished = True
        self._driver.core.streams.reset(self._stream_id, code)
        self._driver.timer.soon()
        self._driver.writers.wake(self._stream_id)

    def set_priority(self, urgency: int, *, incremental: bool = False) -> None:
        """Which stream's data leaves first: `urgency` 0 (first) to 7, 3 when it was never set.

        Streams of equal urgency take turns if they are `incremental`, else the older one goes first
        (RFC 9218 has the idea).
        """
        _checks.check(_URGENCY, "urgency", urgency)
        _checks.check(_checks.flag, "incremental", incremental)
        if not self._driver.life.over:
            self._driver.core.streams.set_priority(self._stream_id, urgency, incremental)

    async def aclose(self) -> None:
        """End the data with a FIN; what was sent is delivered as long as the connection lives.

        Cancelled, it resets the stream with code 0 instead, unless that was ended before: a peer
        never takes half of the data for all of it.
        """
        abort = True
        try:
            await trio.lowlevel.checkpoint()
            abort = False
        finally:
            self._close_sending(abort=abort)

    def _close_sending(self, *, abort: bool) -> None:
        """No more data: a FIN after what was accepted, or a reset if this is an abort."""
        if self._closed_for_sending:
            return
        self._closed_for_sending = True
        if not self._finished and not self._driver.life.over:
            if abort:
                self.reset(NO_CODE)
            else:
                self._finish()
        self._driver.writers.wake(self._stream_id)

    def _finish(self) -> None:
        self._finished = True
        streams = self._driver.core.streams
        # After STOP_SENDING the core has reset the stream already (RFC 9000 section 3.5).
        if streams.stop_code(self._stream_id) is None:
            streams.finish(self._stream_id)
            self._driver.timer.soon()


class ReceivingHalf(NumberedStream):
    """What a stream has that the peer sends on."""

    def _begin(self, driver: Driver, stream_id: int) -> None:
        super()._begin(driver, stream_id)
        self._one_receiver = _OneTask("receiving from")
        self._closed_for_receiving = False
        self._at_end = False
        self._reset_code: int | None = None
        self._begun = False

    @property
    def begun(self) -> bool:
        """Whether the peer has sent anything here: a byte, or that there are none. It stays so, be
        it taken or not, wait for bytes before it that were lost, or be dropped by a reset."""
        if not self._begun:
            self._begun = self._driver.core.streams.begun(self._stream_id)
        return self._begun

    @property
    def readable(self) -> bool:
        """Whether anything of the peer's is there that was not taken yet: bytes, the end, or the
        error code with which it gave up. `receive_some` does not wait for it then."""
        return not self._closed_for_receiving and self._driver.core.streams.readable(
            self._stream_id
        )

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes, at most `max_bytes`; b"" once the peer has sent its last.

        Raises `StreamResetError` when the peer gave up, `ConnectionLostError` when the connection
        ended (what arrived before is delivered first), `trio.ClosedResourceError` after one's own
        close, and `trio.BusyResourceError` if another task is receiving. Cancelled, nothing is
        lost. Reading is what gives the peer credit to send more (RFC 9000 section 4).
        """
        if max_bytes is not None:
            _checks.check(_SIZE, "max_bytes", max_bytes)
        most = max_bytes or _DEFAULT_READ
        with self._one_receiver:
            await trio.lowlevel.checkpoint_if_cancelled()
            data = self._take(most)
            if data is not None:
                await trio.lowlevel.cancel_shielded_checkpoint()
            while data is None:
                await self._driver.readers.wait(self._stream_id)
                data = self._take(most)
            return data

    def _take(self, most: int) -> bytes | None:
        """Data, b"" at the end, None when there is nothing yet, or an exception.

        What arrived before the connection ended is still delivered."""
        if self._closed_for_receiving:
            raise trio.ClosedResourceError("the stream is closed for receiving")
        if self._at_end:
            return b""
        if self._reset_code is not None:
            raise self._reset_error(self._reset_code)
        driver = self._driver
        driver.life.check_readable()
        streams = driver.core.streams
        data = streams.read(self._stream_id, most, trio.current_time(), driver.core.rtt)
        if data:
            self._begun = True
            driver.flush_if_pending()
            return data
        # The order matters: the core forgets a stream whose end was seen.
        self._begun = self.begun
        self._reset_code = streams.reset_code(self._stream_id)
        if self._reset_code is not None:
            driver.flush_if_pending()
            raise self._reset_error(self._reset_code)
        if streams.at_end(self._stream_id):
            self._at_end = True
            driver.flush_if_pending()
            return b""
        driver.life.check_open()
        return None

    def _reset_error(self, code: int) -> StreamResetError:
        return StreamResetError(f"the peer reset the stream, code {code:#x}", error_code=code)

    def stop(self, error_code: int) -> None:
        """Want no more: STOP_SENDING (RFC 9000 section 19.5) with an application error code.
        Whoever waits here is woken."""
        code = check_code(error_code)
        if self._closed_for_receiving:
            return
        self._begun = self.begun
        self._closed_for_receiving = True
        finished = self._at_end or self._reset_code is not None
        if not finished and not self._driver.life.over:
            self._driver.core.streams.stop_sending(self._stream_id, code)
            self._driver.timer.soon()
        self._driver.readers.wake(self._stream_id)

    async def aclose(self) -> None:
        """Stop with code 0 unless the end was reached. Closes also when it is cancelled."""
        try:
            await trio.lowlevel.checkpoint()
        finally:
            self.stop(NO_CODE)
