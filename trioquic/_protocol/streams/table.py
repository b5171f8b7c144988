"""All streams of a connection: the façade of this package.

Commands come from the application; misuse is a CommandError. Views answer questions about one
stream, and go on answering after its state was reclaimed: when its sending part is at its end and
the reader has learned of the end of the other, by a `read` that reaches it, or by `at_end` or
`reset_code` saying so. Frames come from the peer; what RFC 9000 does not allow is a BadPacketError
with the code that section 4 or 19 names.
"""

from ..builder import PacketBuilder
from ..errors import FLOW_CONTROL_ERROR, BadPacketError, CommandError
from ..events import Event
from ..wire import frames
from ..wire.transport_parameters import TransportParameters
from .config import StreamConfig
from .control import ControlQueue
from .flow import ReceiveWindow, SendCredit
from .inventory import Inventory, StreamParts
from .notices import Notices
from .outbound import Outbound
from .receiving_part import ReceiveState, ReceivingPart
from .scheduler import URGENCIES
from .sending_part import SendingPart


class StreamTable:
    def __init__(self, config: StreamConfig) -> None:
        self._notices = Notices()
        self._control = ControlQueue()
        self._window = ReceiveWindow(config.initial_max_data, config.max_data_window)
        self._credit = SendCredit()
        self._inventory = Inventory(config, self._control, self._notices)
        self._streams = self._inventory.streams
        self._outbound = Outbound(
            self._inventory, self._control, self._notices, self._window, self._credit
        )

    def apply_peer_limits(self, parameters: TransportParameters) -> None:
        """The peer's transport parameters, once they are authenticated (section 7.4)."""
        self._credit.raise_to(parameters.initial_max_data)
        for stream in self._inventory.apply_peer_limits(parameters):
            self._outbound.refresh(stream)
        self._release_held()

    def restart(self) -> None:
        """Early data was refused (RFC 9001 section 4.6.2): all of it is to be sent again, when
        `apply_peer_limits` has told what is allowed."""
        self._credit.restart()
        self._outbound.restart()
        self._inventory.withdraw_limits()

    # Commands

    def open(self, bidirectional: bool) -> int:
        """Open a stream and return its number; -1 when the peer allows no more for now."""
        stream = self._inventory.open(bidirectional)
        return -1 if stream is None else stream.number

    def openable(self, bidirectional: bool) -> int:
        """How many streams `open` opens now."""
        return self._inventory.openable(bidirectional)

    def stop_opening(self, bidirectional: bool) -> None:
        """Who was refused a stream by `open` does not wait for one any more."""
        self._inventory.stop_opening(bidirectional)

    def repeat_blocked(self) -> None:
        """Tell the peer again which of its limits hold us up (section 4.1)."""
        self._outbound.repeat_blocked()
        self._inventory.repeat_blocked()

    def write(self, stream_id: int, data: bytes, start: int = 0) -> int:
        """Buffer what there is room for of `data[start:]` and return how many bytes that was."""
        stream, part = self._sender(stream_id)
        if part is None:
            raise CommandError(f"stream {stream_id} is closed for sending")
        accepted = part.write(data, start)
        if accepted and stream is not None:
            self._outbound.refresh(stream)
        return accepted

    def finish(self, stream_id: int) -> None:
        """No more will be written: the FIN follows the data. Saying it again changes nothing."""
        stream, part = self._sender(stream_id)
        if stream is not None and part is not None and part.finish():
            self._outbound.finish(stream)

    def reset(self, stream_id: int, code: int) -> None:
        """Give up sending, with RESET_STREAM. Too late or repeated, it changes nothing."""
        stream, part = self._sender(stream_id)
        if stream is not None and part is not None:
            self._outbound.reset(stream, code)

    def stop_sending(self, stream_id: int, code: int) -> None:
        """Read no more, and ask the peer to send no more (section 3.5). Idempotent."""
        stream, part = self._receiver(stream_id)
        if stream is None or part is None or part.stop_code is not None:
            return
        part.stop(code)
        part.note_end_seen()
        self._release(part.abandon())
        self._control.add(frames.STOP_SENDING, stream_id)
        self._inventory.reclaim(stream)

    def read(self, stream_id: int, max_bytes: int, now: float, rtt: float) -> bytes:
        """Take at most `max_bytes`; b"" when there is nothing now, at the end, or after a reset."""
        stream = self._streams.get(stream_id)
        part = stream.receive if stream is not None else None
        if stream is None or part is None:
            self._receiver(stream_id)
            return b""
        if part.stop_code is not None:
            raise CommandError(f"stream {stream_id} was stopped; it cannot be read")
        data = part.data.take(max_bytes)
        if data:
            size = len(data)
            window = part.window
            if window.consume(size, now, rtt) and part.final_size < 0:
                self._control.add(frames.MAX_STREAM_DATA, stream_id)
                # one stream that needs more must not be held up by the connection's window
                self._window.grow(window.window + window.window // 2)
            if self._window.consume(size, now, rtt):
                self._control.add(frames.MAX_DATA)
        if part.at_end:
            self._note_end_seen(stream, part)
        return data

    def set_priority(self, stream_id: int, urgency: int, incremental: bool) -> None:
        """Urgency 0 (first) to 7, and whether the stream shares its turns with its equals."""
        if not 0 <= urgency < URGENCIES:
            raise CommandError(f"urgency {urgency} is not between 0 and {URGENCIES - 1}")
        stream, _part = self._sender(stream_id)
        if stream is not None:
            self._outbound.reorder(stream, urgency, incremental)

    # Views

    @property
    def drained(self) -> bool:
        """All data of finished streams was acknowledged."""
        return self._outbound.drained

    @property
    def blocked(self) -> bool:
        """The peer's limits hold data up, or the opening of streams."""
        return self._outbound.blocked or self._inventory.blocked

    def at_end(self, stream_id: int) -> bool:
        """All data was read, and there is no more to come."""
        stream, part = self._receiver(stream_id)
        if stream is None or part is None:
            return True
        if not part.at_end:
            return False
        self._note_end_seen(stream, part)
        return True

    def reset_code(self, stream_id: int) -> int | None:
        """The error code of the peer's RESET_STREAM, if it sent one."""
        stream, part = self._receiver(stream_id)
        if stream is None or part is None:
            return self._inventory.codes(stream_id)[0]
        code = part.reset_code
        if code is not None:
            self._note_end_seen(stream, part)
        return code

    def stop_code(self, stream_id: int) -> int | None:
        """The error code of the peer's STOP_SENDING, if it came before all data had arrived."""
        _stream, part = self._sender(stream_id)
        return part.stop_code if part is not None else self._inventory.codes(stream_id)[1]

    def readable(self, stream_id: int) -> bool:
        """A reader would learn something: bytes, the end, a reset."""
        _stream, part = self._receiver(stream_id)
        return part is None or part.readable

    def begun(self, stream_id: int) -> bool:
        """The peer has sent something, in order or not; False when the stream is forgotten."""
        _stream, part = self._receiver(stream_id)
        return part is not None and part.begun

    def send_room(self, stream_id: int) -> int:
        """How many bytes `write` would take."""
        _stream, part = self._sender(stream_id)
        return part.room if part is not None else 0

    def all_acked(self, stream_id: int) -> bool:
        """Everything written (and the FIN, or the reset) was acknowledged."""
        _stream, part = self._sender(stream_id)
        return part is None or part.all_acked

    def poll_events(self) -> list[Event]:
        """What happened since the last call, once per stream and kind."""
        return self._notices.poll()

    def expects_data(self) -> bool:
        """Whether the peer owes us something: the answer on a stream of ours, or what is missing
        in the middle of any. Its own streams may be quiet for ever. Looks at all streams."""
        for stream in self._streams.values():
            part = stream.receive
            if part is not None and part.accepts_data:
                if not stream.number & 1 or part.data.has_gap:
                    return True
        return False

    # Frames in

    def on_stream_untrusted(self, stream_id: int, offset: int, data: bytes, fin: bool) -> None:
        """STREAM (section 19.8)."""
        stream = self._streams.get(stream_id)
        part = stream.receive if stream is not None else None
        if stream is None or part is None:
            stream = self._inventory.find_untrusted(stream_id, False, frames.STREAM)
            if stream is None:
                return
            part = stream.receive
            assert part is not None
        end = offset + len(data)
        known = end <= part.data.ready or (not data and end <= part.window.received)
        if known and (not fin or end == part.final_size):
            # all of it was here, and so was its FIN
            return
        growth = part.on_data_untrusted(offset, data, fin)
        if growth:
            window = self._window
            window.received += growth
            if window.received > window.limit:
                self._refuse_untrusted(frames.STREAM)
        if part.stop_code is not None:
            self._release(part.abandon())
            self._inventory.reclaim(stream)
        elif part.data.ready > part.data.read or (part.final_size >= 0 and part.readable):
            self._notices.readable[stream_id] = None

    def on_reset_stream_untrusted(self, stream_id: int, code: int, final_size: int) -> None:
        """RESET_STREAM (section 19.4)."""
        stream = self._inventory.find_untrusted(stream_id, False, frames.RESET_STREAM)
        part = None if stream is None else stream.receive
        if stream is None or part is None:
            return
        if part.state is ReceiveState.RESET_RECVD and final_size == part.final_size:
            return
        growth = part.on_reset_untrusted(code, final_size)
        self._window.received += growth
        if self._window.received > self._window.limit:
            self._refuse_untrusted(frames.RESET_STREAM)
        if part.reset_code is not None or part.stop_code is not None:
            self._release(part.abandon())
        if part.stop_code is None:
            self._notices.readable[stream_id] = None
        self._inventory.reclaim(stream)

    def on_stop_sending_untrusted(self, stream_id: int, code: int) -> None:
        """STOP_SENDING (section 19.5): answered with RESET_STREAM and the same code (3.5)."""
        stream = self._inventory.find_untrusted(stream_id, True, frames.STOP_SENDING)
        part = None if stream is None else stream.send
        if stream is None or part is None:
            return
        if part.stop_code is not None or part.terminal or part.was_reset:
            return
        part.stop_code = code
        self._outbound.reset(stream, code)
        self._notices.writable[stream_id] = None

    def on_max_data_untrusted(self, limit: int) -> None:
        """MAX_DATA (section 19.9)."""
        self._credit.raise_to(limit)

    def on_max_stream_data_untrusted(self, stream_id: int, limit: int) -> None:
        """MAX_STREAM_DATA (section 19.10)."""
        stream = self._inventory.find_untrusted(stream_id, True, frames.MAX_STREAM_DATA)
        part = None if stream is None else stream.send
        if stream is None or part is None:
            return
        if limit > part.limit:
            part.limit = limit
            self._outbound.refresh(stream)

    def on_max_streams_untrusted(self, bidirectional: bool, count: int) -> None:
        """MAX_STREAMS (section 19.11)."""
        self._inventory.raise_stream_limit(bidirectional, count)
        if self._inventory.held:
            self._release_held()

    def on_stream_data_blocked_untrusted(self, stream_id: int, limit: int) -> None:
        """STREAM_DATA_BLOCKED (section 19.13): may open the stream, is only news otherwise."""
        self._inventory.find_untrusted(stream_id, False, frames.STREAM_DATA_BLOCKED)

    # Frames out

    def has_pending(self) -> bool:
        """Whether there is anything to send that flow control admits."""
        return self._outbound.has_pending()

    def write_frames(self, builder: PacketBuilder) -> None:
        self._outbound.write_frames(builder)

    def _sender(self, stream_id: int) -> tuple[StreamParts | None, SendingPart | None]:
        """The stream and its sending part; (None, None) when it is gone."""
        stream = self._streams.get(stream_id)
        if stream is not None and stream.send is not None:
            return stream, stream.send
        self._inventory.check_existed(stream_id)
        if stream_id & 3 == 3:
            raise CommandError(f"stream {stream_id} is receive-only")
        return None, None

    def _receiver(self, stream_id: int) -> tuple[StreamParts | None, ReceivingPart | None]:
        """The stream and its receiving part; (None, None) when it is gone."""
        stream = self._streams.get(stream_id)
        if stream is not None and stream.receive is not None:
            return stream, stream.receive
        self._inventory.check_existed(stream_id)
        if stream_id & 3 == 2:
            raise CommandError(f"stream {stream_id} is send-only")
        return None, None

    def _note_end_seen(self, stream: StreamParts, part: ReceivingPart) -> None:
        part.note_end_seen()
        self._inventory.reclaim(stream)

    def _release_held(self) -> None:
        for stream in self._inventory.release():
            self._outbound.resume(stream)

    def _release(self, count: int) -> None:
        """Give back the connection's credit for bytes that nobody will read."""
        if count and self._window.release(count):
            self._control.add(frames.MAX_DATA)

    def _refuse_untrusted(self, frame_type: int) -> None:
        """Section 4.1: the sum over all streams may not exceed the connection's limit."""
        raise BadPacketError(
            FLOW_CONTROL_ERROR,
            f"stream data of {self._window.received} bytes in all, "
            f"beyond the connection's limit of {self._window.limit}",
            frame_type,
        )
