"""Fills packets with what the streams have to send, and hears what became of it.

The frames that carry no data go first: they are small and often unblock somebody. Then stream data
by the scheduler's order. Two schedulers hold the streams that have something to send: `free` those
that need no credit and `fresh` those with new bytes within their own limit. On equal urgency, what
was lost goes before what is new (RFC 9000 section 13.3, which also says what each kind of frame
does when its packet is lost). With the connection's credit used up, `fresh` waits as a whole.
"""

from ..builder import PacketBuilder
from ..token import Token
from ..wire import frames
from ..wire.varint import varint_size
from .control import ControlQueue
from .flow import ReceiveWindow, SendCredit
from .inventory import Inventory, StreamParts
from .notices import Notices
from .scheduler import NOTHING, Scheduler
from .send_buffer import MIN_PIECE
from .sending_part import SendState


class DataToken(Token):
    """A STREAM frame: the bytes from `low` to `high` of a stream, and perhaps its FIN."""

    __slots__ = ("fin", "high", "low", "outbound", "stream")

    def __init__(
        self, outbound: "Outbound", stream: StreamParts, low: int, high: int, fin: bool
    ) -> None:
        self.outbound = outbound
        self.stream = stream
        self.low = low
        self.high = high
        self.fin = fin

    def acked(self) -> None:
        self.outbound.on_data_acked(self.stream, self.low, self.high, self.fin)

    def lost(self) -> None:
        self.outbound.on_data_lost(self.stream, self.low, self.high, self.fin)


class ControlToken(Token):
    """Any other frame: its kind, whom it was about, and what it said."""

    __slots__ = ("kind", "number", "outbound", "value")

    def __init__(self, outbound: "Outbound", kind: int, number: int, value: int) -> None:
        self.outbound = outbound
        self.kind = kind
        self.number = number
        self.value = value

    def acked(self) -> None:
        if self.kind == frames.RESET_STREAM:
            self.outbound.on_reset_acked(self.number)

    def lost(self) -> None:
        self.outbound.on_control_lost(self.kind, self.number, self.value)


class Outbound:
    """Frames out. `refresh` is to be called for a stream whose sending part has changed."""

    def __init__(
        self,
        inventory: Inventory,
        control: ControlQueue,
        notices: Notices,
        window: ReceiveWindow,
        credit: SendCredit,
    ) -> None:
        self._inventory = inventory
        self._control = control
        self._notices = notices
        self._window = window
        self._credit = credit
        self._free = Scheduler()
        self._fresh = Scheduler()
        self._blocked_at = -1  # the limit that DATA_BLOCKED was queued for
        self._finishing: set[int] = set()  # finished streams whose data has not all arrived
        self._blocked: set[int] = set()  # streams whose own limit holds them up

    @property
    def drained(self) -> bool:
        """All data of finished streams has arrived."""
        return not self._finishing

    @property
    def blocked(self) -> bool:
        """Whether the peer's limits hold data up."""
        return bool(self._blocked) or (self._credit.available <= 0 and len(self._fresh) > 0)

    def repeat_blocked(self) -> None:
        """Say again which limits hold data up (section 4.1)."""
        for number in sorted(self._blocked):
            self._control.add(frames.STREAM_DATA_BLOCKED, number)
        self._control.add(frames.DATA_BLOCKED)

    def has_pending(self) -> bool:
        """Whether `write_frames` would write anything, given room."""
        control = self._control
        while len(control):
            kind, number = control.first()
            if self._value(kind, number) >= 0:
                return True
            control.pop()
        if self._free.urgency < NOTHING:
            return True
        return self._fresh.urgency < NOTHING and self._credit.available > 0

    def refresh(self, stream: StreamParts) -> None:
        """Put the stream among those that have something to send, or take it out."""
        part = stream.send
        assert part is not None
        number = stream.number
        if self._inventory.held and number in self._inventory.held:
            return
        if self._blocked and not part.blocked:
            self._blocked.discard(number)
        if part.has_free:
            self._free.add(number, stream.urgency, stream.incremental)
        else:
            self._free.remove(number)
        if part.has_fresh:
            self._fresh.add(number, stream.urgency, stream.incremental)
            if self._credit.available <= 0:
                self._note_blocked()
            return
        self._fresh.remove(number)
        if part.blocked:
            self._blocked.add(number)
            if part.blocked_at != part.limit:
                part.blocked_at = part.limit
                self._control.add(frames.STREAM_DATA_BLOCKED, number)

    def reorder(self, stream: StreamParts, urgency: int, incremental: bool) -> None:
        """Change the stream's place in the order of sending."""
        self._free.remove(stream.number)
        self._fresh.remove(stream.number)
        stream.urgency = urgency
        stream.incremental = incremental
        self.refresh(stream)

    def finish(self, stream: StreamParts) -> None:
        """The application has written the stream's last byte."""
        self._finishing.add(stream.number)
        self.refresh(stream)

    def reset(self, stream: StreamParts, code: int) -> None:
        """Give up the data of the stream; RESET_STREAM tells the peer (section 3.1)."""
        part = stream.send
        assert part is not None
        if part.reset(code):
            self._finishing.discard(stream.number)
            self._control.add(frames.RESET_STREAM, stream.number)
            self.refresh(stream)

    def restart(self) -> None:
        """The peer has read nothing, and its limits are not known any more."""
        self._blocked_at = -1
        self._blocked.clear()
        for stream in self._inventory.streams.values():
            self._free.remove(stream.number)
            self._fresh.remove(stream.number)
            if stream.send is not None:
                stream.send.restart()

    def resume(self, stream: StreamParts) -> None:
        """The peer allows a stream that was held."""
        send, receive = stream.send, stream.receive
        if send is not None and send.was_reset:
            self._control.add(frames.RESET_STREAM, stream.number)
        if receive is not None and receive.stop_code is not None:
            self._control.add(frames.STOP_SENDING, stream.number)
        self.refresh(stream)

    def write_frames(self, builder: PacketBuilder) -> None:
        """Fill the packet's room."""
        control = self._control
        if len(control):
            self._write_control(builder)
        credit = self._credit
        streams = self._inventory.streams
        free = self._free
        fresh = self._fresh
        while builder.room > 0:
            if fresh.urgency < free.urgency and credit.limit > credit.used:
                stream = streams[fresh.next()]
                if not self._write_fresh(builder, stream):
                    break
                self._after_turn(fresh, stream)
            elif free.urgency < NOTHING:
                stream = streams[free.next()]
                if not self._write_again(builder, stream):
                    break
                self._after_turn(free, stream)
            else:
                break
        if credit.available <= 0 and len(self._fresh):
            self._note_blocked()
        if len(control):
            self._write_control(builder)

    def on_data_acked(self, stream: StreamParts, low: int, high: int, fin: bool) -> None:
        """A STREAM frame has arrived."""
        part = stream.send
        assert part is not None
        buffer = part.buffer
        base = buffer.base
        part.on_acked(low, high, fin)
        freed = buffer.base - base
        if freed or fin:
            room = part.room
            if room >= part.wake_room > room - freed or part.all_acked:
                self._notices.writable[stream.number] = None
        if stream.number in self._free:
            self.refresh(stream)
        if part.state is SendState.DATA_RECVD:
            self._finishing.discard(stream.number)
            self._inventory.reclaim(stream)

    def on_data_lost(self, stream: StreamParts, low: int, high: int, fin: bool) -> None:
        """A STREAM frame must go out again, as far as it still matters."""
        part = stream.send
        assert part is not None
        if not part.terminal:
            part.on_lost(low, high, fin)
            self.refresh(stream)

    def on_reset_acked(self, number: int) -> None:
        """The peer knows that we reset the stream."""
        stream = self._inventory.streams.get(number)
        if stream is not None and stream.send is not None:
            stream.send.on_reset_acked()
            self._notices.writable[number] = None
            self._inventory.reclaim(stream)

    def on_control_lost(self, kind: int, number: int, value: int) -> None:
        """Send the frame again, unless a newer one was sent or it has become pointless."""
        if value == self._value(kind, number):
            self._control.add(kind, number)

    def _after_turn(self, scheduler: Scheduler, stream: StreamParts) -> None:
        """The stream sent a frame. In most cases it has more, and only the turn passes on."""
        part = stream.send
        assert part is not None
        if scheduler is self._free or not part.has_fresh:
            self.refresh(stream)
            if stream.number not in scheduler:
                return
        scheduler.served()

    def _write_fresh(self, builder: PacketBuilder, stream: StreamParts) -> bool:
        """One frame of new bytes, with the FIN if they are the last. False: no room for it."""
        part = stream.send
        assert part is not None
        buffer = part.buffer
        low = buffer.sent
        high = min(buffer.end, part.limit, low + self._credit.available)
        high = self._write_data(builder, stream, low, high)
        if high < 0:
            return False
        self._credit.used += high - low
        return True

    def _write_again(self, builder: PacketBuilder, stream: StreamParts) -> bool:
        """One frame of lost bytes, or a lone FIN. False: no room for it."""
        part = stream.send
        assert part is not None
        buffer = part.buffer
        lost = buffer.lost
        if lost.ends:
            low, high = lost.first()
        else:
            low = high = buffer.end
        high = self._write_data(builder, stream, low, high)
        if high < 0:
            return False
        lost.remove(low, high)
        return True

    def _write_data(self, builder: PacketBuilder, stream: StreamParts, low: int, high: int) -> int:
        """One STREAM frame from `low`, as far towards `high` as fits. Returns where it ends, or -1.

        Only a frame that fills the packet exactly goes without its length (section 19.8).
        """
        part = stream.send
        assert part is not None
        number = stream.number
        size = high - low
        room = builder.room - 1 - varint_size(number)
        if low:
            room -= varint_size(low)
        if room < 0 or (room < size and room < MIN_PIECE and (builder.size or not room)):
            return -1
        has_length = size < room
        if has_length:
            size = min(size, room - varint_size(size))
        else:
            size = room
        high = low + size
        buffer = part.buffer
        fin = part.finished and high == buffer.end
        header = frames.encode_stream_header(number, low, size, fin, has_length)
        data = buffer.slice(low, high) if size else b""
        builder.add_data(header, data, DataToken(self, stream, low, high, fin))
        part.on_sent(high, fin)
        return high

    def _write_control(self, builder: PacketBuilder) -> None:
        control = self._control
        while len(control):
            kind, number = control.first()
            value = self._value(kind, number)
            if value >= 0:
                frame = self._encode(kind, number, value)
                if len(frame) > builder.room:
                    return
                builder.add(frame, ControlToken(self, kind, number, value))
            control.pop()

    def _note_blocked(self) -> None:
        """Section 4.1: tell the peer once per limit that it holds us up."""
        if self._blocked_at != self._credit.limit:
            self._blocked_at = self._credit.limit
            self._control.add(frames.DATA_BLOCKED)

    def _value(self, kind: int, number: int) -> int:
        """What a frame of this kind has to say now; -1 when there is no use for it any more."""
        if number >= 0:
            stream = self._inventory.streams.get(number)
            if stream is None or number in self._inventory.held:
                return -1
            return self._stream_value(kind, stream)
        if kind == frames.MAX_DATA:
            return self._window.limit
        if kind == frames.MAX_STREAMS_BIDI or kind == frames.MAX_STREAMS_UNI:
            return self._inventory.peer_limit(kind - frames.MAX_STREAMS_BIDI)
        if kind == frames.DATA_BLOCKED:
            blocked = self._credit.available <= 0 and len(self._fresh) > 0
            return self._credit.limit if blocked else -1
        return self._inventory.blocked_limit(kind - frames.STREAMS_BLOCKED_BIDI)

    def _stream_value(self, kind: int, stream: StreamParts) -> int:
        send = stream.send
        receive = stream.receive
        if kind == frames.RESET_STREAM:
            if send is not None and send.state is SendState.RESET_SENT:
                return send.buffer.sent
        elif kind == frames.STREAM_DATA_BLOCKED:
            if send is not None and send.blocked:
                return send.limit
        elif receive is not None and receive.final_size < 0:
            if kind == frames.MAX_STREAM_DATA and receive.stop_code is None:
                return receive.window.limit
            if kind == frames.STOP_SENDING and receive.stop_code is not None:
                return receive.stop_code
        return -1

    def _encode(self, kind: int, number: int, value: int) -> bytes:
        if kind == frames.RESET_STREAM:
            send = self._inventory.streams[number].send
            assert send is not None
            assert send.reset_code is not None
            return frames.encode_integers(kind, number, send.reset_code, value)
        if number >= 0:
            return frames.encode_integers(kind, number, value)
        return frames.encode_integers(kind, value)
