"""The receiving part of a stream (RFC 9000 section 3.2).

A reset that comes when all data is here changes nothing: the data is delivered, as section 3.2
allows. A reset that comes earlier drops what was not read.

Once the application has asked the peer to stop (STOP_SENDING), data is counted and thrown away. The
part lasts until the final size is known, since both sides must agree on what the stream took of the
connection's flow control (sections 3.5 and 4.5).
"""

from typing import Final

from ..errors import FINAL_SIZE_ERROR, FLOW_CONTROL_ERROR, BadPacketError
from ..machine import Label, advance
from ..wire.frames import RESET_STREAM, STREAM
from .flow import ReceiveWindow
from .reassembly import Reassembly


class ReceiveState(Label):
    """Section 3.2, figure 3."""

    RECV = "receive"
    SIZE_KNOWN = "size known"
    DATA_RECVD = "data received"
    DATA_READ = "data read"
    RESET_RECVD = "reset received"
    RESET_READ = "reset read"


class ReceiveInput(Label):
    FIN = "a STREAM frame with FIN arrives"
    ALL_DATA = "every byte up to the final size has arrived"
    READ_ALL = "the application has read everything"
    RESET = "RESET_STREAM arrives"
    RESET_SEEN = "the application was told of the reset"


RECEIVE_TABLE: Final[dict[tuple[ReceiveState, ReceiveInput], ReceiveState]] = {
    (ReceiveState.RECV, ReceiveInput.FIN): ReceiveState.SIZE_KNOWN,
    (ReceiveState.RECV, ReceiveInput.RESET): ReceiveState.RESET_RECVD,
    (ReceiveState.SIZE_KNOWN, ReceiveInput.ALL_DATA): ReceiveState.DATA_RECVD,
    (ReceiveState.SIZE_KNOWN, ReceiveInput.RESET): ReceiveState.RESET_RECVD,
    (ReceiveState.DATA_RECVD, ReceiveInput.READ_ALL): ReceiveState.DATA_READ,
    (ReceiveState.RESET_RECVD, ReceiveInput.RESET_SEEN): ReceiveState.RESET_READ,
}


class ReceivingPart:
    __slots__ = ("data", "final_size", "reset_code", "state", "stop_code", "window")

    def __init__(self, window: int, maximum: int) -> None:
        self.state = ReceiveState.RECV
        self.window = ReceiveWindow(window, maximum)
        self.data = Reassembly()
        self.final_size = -1
        self.reset_code: int | None = None
        self.stop_code: int | None = None  # of our STOP_SENDING

    @property
    def done(self) -> bool:
        """Nothing more can happen that anybody wants to know."""
        state = self.state
        if state is ReceiveState.DATA_READ or state is ReceiveState.RESET_READ:
            return True
        return self.stop_code is not None and self.final_size >= 0

    @property
    def accepts_data(self) -> bool:
        """More bytes are expected, and somebody will read them."""
        return self.final_size < 0 and self.stop_code is None

    @property
    def readable(self) -> bool:
        """The reader has something to see: bytes, the end or a reset."""
        if self.stop_code is not None:
            return False
        if self.data.ready > self.data.read:
            return True
        return self.state is not ReceiveState.RECV and self.state is not ReceiveState.SIZE_KNOWN

    @property
    def begun(self) -> bool:
        """The peer has sent something here, though it may wait for bytes before it, or be dropped
        by a reset: a byte, or that there are none."""
        return self.window.received > 0 or (self.final_size >= 0 and self.reset_code is None)

    @property
    def at_end(self) -> bool:
        """Every byte up to the FIN was read."""
        if self.state is ReceiveState.DATA_RECVD:
            return self.data.read == self.final_size
        return self.state is ReceiveState.DATA_READ

    def on_data_untrusted(self, offset: int, data: bytes, fin: bool) -> int:
        """A STREAM frame. Returns by how much the highest offset grew."""
        end = offset + len(data)
        if fin or self.final_size >= 0:
            self._check_final_size_untrusted(end, fin, STREAM)
        window = self.window
        growth = end - window.received
        if growth <= 0:
            growth = 0
        elif end <= window.limit:
            window.received = end
        else:
            self._grow_untrusted(end, STREAM)
        state = self.state
        if state is ReceiveState.RECV or state is ReceiveState.SIZE_KNOWN:
            if self.stop_code is None:
                self.data.add(offset, data)
            if fin and state is ReceiveState.RECV:
                self.state = advance(RECEIVE_TABLE, state, ReceiveInput.FIN)
                self.final_size = end
            if self.data.ready == self.final_size and self.state is ReceiveState.SIZE_KNOWN:
                self.state = advance(RECEIVE_TABLE, self.state, ReceiveInput.ALL_DATA)
        return growth

    def on_reset_untrusted(self, code: int, final_size: int) -> int:
        """A RESET_STREAM frame. Returns by how much the highest offset grew."""
        self._check_final_size_untrusted(final_size, True, RESET_STREAM)
        growth = final_size - self.window.received
        self._grow_untrusted(final_size, RESET_STREAM)
        self.final_size = final_size
        if self.state is ReceiveState.RECV or self.state is ReceiveState.SIZE_KNOWN:
            self.state = advance(RECEIVE_TABLE, self.state, ReceiveInput.RESET)
            self.reset_code = code
        return growth

    def stop(self, code: int) -> None:
        """The application wants no more of it."""
        self.stop_code = code

    def abandon(self) -> int:
        """Drop the data that was not read. Returns how much credit of the connection it held."""
        self.data.discard()
        held = self.window.received - self.window.consumed
        self.window.consumed = self.window.received
        return held

    def note_end_seen(self) -> None:
        """The reader was told of the end or the reset."""
        if self.state is ReceiveState.DATA_RECVD and self.data.read == self.final_size:
            self.state = advance(RECEIVE_TABLE, self.state, ReceiveInput.READ_ALL)
        elif self.state is ReceiveState.RESET_RECVD:
            self.state = advance(RECEIVE_TABLE, self.state, ReceiveInput.RESET_SEEN)

    def _grow_untrusted(self, end: int, frame_type: int) -> None:
        """Section 4.1: the peer may not send beyond the limit we announced."""
        window = self.window
        if end > window.limit:
            raise BadPacketError(
                FLOW_CONTROL_ERROR,
                f"stream data up to {end}, beyond the stream's limit of {window.limit}",
                frame_type,
            )
        window.received = end

    def _check_final_size_untrusted(self, end: int, final: bool, frame_type: int) -> None:
        """Section 4.5: a final size never changes and nothing lies beyond it.

        Once it is known, everything up to it counts as received: a smaller one is caught below.
        """
        known = self.final_size
        if 0 <= known < end:
            raise BadPacketError(
                FINAL_SIZE_ERROR, f"stream data up to {end}, final size {known}", frame_type
            )
        if final and end < self.window.received:
            raise BadPacketError(
                FINAL_SIZE_ERROR,
                f"final size {end} below the {self.window.received} bytes received",
                frame_type,
            )
