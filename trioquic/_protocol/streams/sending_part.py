"""The sending part of a stream (RFC 9000 section 3.1).

It knows what may be sent, what must be sent again and what was acknowledged; when and in which
packet is for `outbound.py` to decide. Two kinds of sending differ in what they need:

    fresh   bytes that never went out; they need credit of the stream and of the connection
    free    bytes that were lost, or a FIN without new bytes; flow control counts offsets, so
            these need no credit (section 4.1)
"""

from typing import Final

from ..errors import CommandError
from ..machine import Label, advance
from .send_buffer import SendBuffer

# The writer is woken when this part of its buffer has become free
WAKE_PART: Final = 4


class SendState(Label):
    """Section 3.1, figure 2."""

    READY = "ready"
    SEND = "send"
    DATA_SENT = "data sent"
    DATA_RECVD = "data received"
    RESET_SENT = "reset sent"
    RESET_RECVD = "reset received"


class SendInput(Label):
    FRAME = "a STREAM frame is sent"
    FIN = "the FIN is sent"
    ALL_ACKED = "all data and the FIN are acknowledged"
    RESET = "the stream is reset, by this side or in answer to STOP_SENDING"
    RESET_ACKED = "the RESET_STREAM frame is acknowledged"
    REFUSED = "the peer refused early data, which was all there is"


SEND_TABLE: Final[dict[tuple[SendState, SendInput], SendState]] = {
    (SendState.READY, SendInput.FRAME): SendState.SEND,
    (SendState.READY, SendInput.RESET): SendState.RESET_SENT,
    (SendState.SEND, SendInput.FIN): SendState.DATA_SENT,
    (SendState.SEND, SendInput.RESET): SendState.RESET_SENT,
    (SendState.DATA_SENT, SendInput.ALL_ACKED): SendState.DATA_RECVD,
    (SendState.DATA_SENT, SendInput.RESET): SendState.RESET_SENT,
    (SendState.RESET_SENT, SendInput.RESET_ACKED): SendState.RESET_RECVD,
    (SendState.READY, SendInput.REFUSED): SendState.READY,
    (SendState.SEND, SendInput.REFUSED): SendState.READY,
    (SendState.DATA_SENT, SendInput.REFUSED): SendState.READY,
    (SendState.RESET_SENT, SendInput.REFUSED): SendState.RESET_SENT,
}


class SendingPart:
    __slots__ = (
        "blocked_at",
        "buffer",
        "capacity",
        "fin_acked",
        "fin_lost",
        "finished",
        "limit",
        "reset_code",
        "state",
        "stop_code",
        "wake_room",
    )

    def __init__(self, limit: int, capacity: int) -> None:
        self.state = SendState.READY
        self.buffer = SendBuffer()
        self.limit = limit  # MAX_STREAM_DATA
        self.capacity = capacity
        self.wake_room = max(1, capacity // WAKE_PART)
        self.finished = False  # the application wrote its last byte
        self.fin_lost = False
        self.fin_acked = False
        self.reset_code: int | None = None
        self.stop_code: int | None = None  # the peer's STOP_SENDING
        self.blocked_at = -1  # the limit that STREAM_DATA_BLOCKED was sent for

    @property
    def terminal(self) -> bool:
        """Nothing more can happen."""
        return self.state is SendState.DATA_RECVD or self.state is SendState.RESET_RECVD

    @property
    def was_reset(self) -> bool:
        """It was reset, so that its data need not arrive."""
        return self.reset_code is not None

    @property
    def buffered(self) -> int:
        """Bytes written and not acknowledged (without those acknowledged out of order)."""
        return self.buffer.end - self.buffer.base

    @property
    def room(self) -> int:
        """How many bytes the application may write now."""
        if self.finished or self.was_reset:
            return 0
        return max(0, self.capacity - self.buffered)

    @property
    def all_acked(self) -> bool:
        """Everything that was written, and the FIN after `finish`, has arrived."""
        if self.was_reset:
            return self.terminal
        return self.buffer.base == self.buffer.end and (self.fin_acked or not self.finished)

    @property
    def has_fresh(self) -> bool:
        """There are new bytes that the stream's own limit admits."""
        buffer = self.buffer
        return buffer.sent < buffer.end and buffer.sent < self.limit

    @property
    def has_free(self) -> bool:
        """There is something to send that needs no credit."""
        if self.buffer.lost.ends or self.fin_lost:
            return True
        # `finished` and still in these states means that the FIN never went out
        return (
            self.finished
            and self.buffer.sent == self.buffer.end
            and (self.state is SendState.READY or self.state is SendState.SEND)
        )

    @property
    def blocked(self) -> bool:
        """New bytes wait for the peer to raise the stream's limit."""
        return self.limit <= self.buffer.sent < self.buffer.end

    def write(self, data: bytes, start: int) -> int:
        """Take as much of `data[start:]` as there is room for."""
        if self.finished:
            raise CommandError("the stream was finished; no more data can be written to it")
        self._check_not_reset()
        room = self.room
        if start or len(data) > room:
            data = data[start : start + room]
        self.buffer.write(data)
        return len(data)

    def finish(self) -> bool:
        """No more data will be written. False when that was said before."""
        self._check_not_reset()
        changed = not self.finished
        self.finished = True
        return changed

    def reset(self, code: int) -> bool:
        """Give the data up. False when it is too late for that."""
        if self.state is SendState.DATA_RECVD or self.was_reset:
            return False
        self.state = advance(SEND_TABLE, self.state, SendInput.RESET)
        self.reset_code = code
        self.fin_lost = False
        self.buffer.discard()
        return True

    def on_sent(self, high: int, fin: bool) -> None:
        """A frame that ends at `high` went out, new or again."""
        if self.state is SendState.READY:
            self.state = advance(SEND_TABLE, self.state, SendInput.FRAME)
        if high > self.buffer.sent:
            self.buffer.sent = high
        if fin:
            self.fin_lost = False
            if self.state is SendState.SEND:
                self.state = advance(SEND_TABLE, self.state, SendInput.FIN)

    def on_acked(self, low: int, high: int, fin: bool) -> None:
        """A frame with these bytes has arrived."""
        if self.was_reset:
            return
        self.buffer.on_acked(low, high)
        if fin:
            self.fin_acked = True
            self.fin_lost = False
        if (
            self.fin_acked
            and self.buffer.base == self.buffer.end
            and self.state is SendState.DATA_SENT
        ):
            self.state = advance(SEND_TABLE, self.state, SendInput.ALL_ACKED)

    def on_lost(self, low: int, high: int, fin: bool) -> None:
        """A frame with these bytes must be sent again (section 13.3)."""
        if self.was_reset:
            return
        self.buffer.on_lost(low, high)
        if fin and not self.fin_acked:
            self.fin_lost = True

    def restart(self) -> None:
        """The peer has read nothing, and its limit is not known any more."""
        self.state = advance(SEND_TABLE, self.state, SendInput.REFUSED)
        self.buffer.restart()
        self.limit = 0
        self.blocked_at = -1
        self.fin_lost = False

    def on_reset_acked(self) -> None:
        """The peer has our RESET_STREAM."""
        if self.state is SendState.RESET_SENT:
            self.state = advance(SEND_TABLE, self.state, SendInput.RESET_ACKED)

    def _check_not_reset(self) -> None:
        if self.stop_code is not None:
            raise CommandError(f"the peer stopped the stream with error code {self.stop_code}")
        if self.was_reset:
            raise CommandError(f"the stream was reset with error code {self.reset_code}")
