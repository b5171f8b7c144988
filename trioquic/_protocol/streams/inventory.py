"""Which streams exist, which may be opened, which are gone (RFC 9000 sections 2.1, 3, 4.6).

The two low bits of a stream's number tell who opened it and whether it goes one way; the rest
counts from zero. Streams of a kind are opened in order, and one that is named by the peer opens
all lower ones of its kind (section 2.1). So a counter per kind separates what was never opened
from what existed: a number below the counter without an entry is a stream that was reclaimed.

The peer's credit for new streams (MAX_STREAMS) grows only as its old ones are reclaimed, which
needs the application to have seen their ends: what the peer can make us keep is bounded.

This is a client: our numbers are even, the server's odd.
"""

from typing import Final

from ..errors import STREAM_LIMIT_ERROR, STREAM_STATE_ERROR, BadPacketError, CommandError
from ..wire.frames import MAX_STREAMS_BIDI, STREAMS_BLOCKED_BIDI
from ..wire.transport_parameters import TransportParameters
from .config import StreamConfig
from .control import ControlQueue
from .notices import Notices
from .receiving_part import ReceivingPart
from .scheduler import DEFAULT_URGENCY
from .sending_part import SendingPart

PEER_BIT: Final = 0x01
ONE_WAY_BIT: Final = 0x02
KIND_BITS: Final = PEER_BIT | ONE_WAY_BIT
# How many reclaimed streams' error codes are remembered, for a reader or writer that asks late
REMEMBERED_CODES: Final = 1024


class StreamParts:
    """One stream: its parts, as far as it has them, and its place in the order of sending."""

    __slots__ = ("incremental", "number", "receive", "send", "urgency")

    def __init__(
        self, number: int, send: SendingPart | None, receive: ReceivingPart | None
    ) -> None:
        self.number = number
        self.send = send
        self.receive = receive
        self.urgency = DEFAULT_URGENCY
        self.incremental = True

    @property
    def done(self) -> bool:
        """Both parts are at their ends and whoever reads knows it."""
        return (self.send is None or self.send.terminal) and (
            self.receive is None or self.receive.done
        )


class Inventory:
    """The streams by number, and the counters. A kind is 0 (bidirectional) or 1 (one way)."""

    def __init__(self, config: StreamConfig, control: ControlQueue, notices: Notices) -> None:
        self._config = config
        self._control = control
        self._notices = notices
        self.streams: dict[int, StreamParts] = {}
        self._opened = [0, 0]  # how many we opened
        self._may_open = [0, 0]  # how many the peer lets us open in all
        self._blocked_at = [-1, -1]  # the limit that STREAMS_BLOCKED was sent for
        self._peer_opened = [0, 0]
        self._peer_may_open = [config.initial_max_streams_bidi, config.initial_max_streams_uni]
        self._peer_gone = [0, 0]
        # what we may send at first on a stream, by the two low bits of its number
        self._send_limits = [0, 0, 0, 0]
        self._codes: dict[int, tuple[int | None, int | None]] = {}
        # opened for early data that was refused, and not within the peer's limits yet
        self.held: set[int] = set()

    def apply_peer_limits(self, parameters: TransportParameters) -> list[StreamParts]:
        """The peer's transport parameters are here. Returns the streams whose limit was raised."""
        self._send_limits = [
            # section 18.2: "remote" streams of the peer's parameters are those that we open
            parameters.initial_max_stream_data_bidi_remote,
            parameters.initial_max_stream_data_bidi_local,
            parameters.initial_max_stream_data_uni,
            0,
        ]
        self.raise_stream_limit(True, parameters.initial_max_streams_bidi)
        self.raise_stream_limit(False, parameters.initial_max_streams_uni)
        raised: list[StreamParts] = []
        for stream in self.streams.values():
            part = stream.send
            limit = self._send_limits[stream.number & KIND_BITS]
            if part is not None and part.limit < limit:
                part.limit = limit
                raised.append(stream)
        return raised

    def open(self, bidirectional: bool) -> StreamParts | None:
        """Open a stream, or ask the peer for credit (section 4.6) and return None."""
        kind = 0 if bidirectional else 1
        if self._opened[kind] >= self._may_open[kind]:
            self._note_blocked(kind)
            return None
        number = self._opened[kind] << 2 | kind << 1
        self._opened[kind] += 1
        return self._create(number)

    def openable(self, bidirectional: bool) -> int:
        """How many streams the peer's credit allows now."""
        kind = 0 if bidirectional else 1
        return max(0, self._may_open[kind] - self._opened[kind])

    def withdraw_limits(self) -> None:
        """The limits were those of an earlier connection and do not count."""
        self._send_limits = [0, 0, 0, 0]
        self._may_open = [0, 0]
        self._blocked_at = [-1, -1]
        self.held.update(self.streams)

    def release(self) -> list[StreamParts]:
        """The streams that were held and that the peer's limits allow now."""
        free = [
            number for number in sorted(self.held) if number >> 2 < self._may_open[number >> 1 & 1]
        ]
        self.held.difference_update(free)
        for number in self.held:
            self._note_blocked(number >> 1 & 1)
        return [self.streams[number] for number in free if number in self.streams]

    def raise_stream_limit(self, bidirectional: bool, count: int) -> None:
        """The peer allows `count` streams in all; a smaller value than before means nothing."""
        kind = 0 if bidirectional else 1
        if count > self._may_open[kind]:
            self._may_open[kind] = count
            self._notices.available(bidirectional)

    def blocked_limit(self, kind: int) -> int:
        """What STREAMS_BLOCKED is to say; -1 when we are not blocked any more."""
        limit = self._may_open[kind]
        return limit if self._blocked_at[kind] == limit else -1

    @property
    def blocked(self) -> bool:
        """Whether streams wait until the peer allows more."""
        return self.blocked_limit(0) >= 0 or self.blocked_limit(1) >= 0

    def stop_opening(self, bidirectional: bool) -> None:
        """Nobody waits for another stream any more, but perhaps those that are held."""
        kind = 0 if bidirectional else 1
        if not any(number >> 1 & 1 == kind for number in self.held):
            self._blocked_at[kind] = -1

    def repeat_blocked(self) -> None:
        """Say again that we wait (section 4.6)."""
        for kind in (0, 1):
            if self.blocked_limit(kind) >= 0:
                self._control.add(STREAMS_BLOCKED_BIDI + kind)

    def peer_limit(self, kind: int) -> int:
        """What MAX_STREAMS is to say."""
        return self._peer_may_open[kind]

    def find_untrusted(self, number: int, for_sender: bool, frame_type: int) -> StreamParts | None:
        """The stream that a frame from the peer names; None when it is gone.

        `for_sender`: the frame speaks to our sending part. The returned stream has the part.
        """
        stream = self.streams.get(number)
        if number & ONE_WAY_BIT and bool(number & PEER_BIT) == for_sender:
            direction = "receive" if for_sender else "send"
            raise BadPacketError(
                STREAM_STATE_ERROR, f"stream {number} is {direction}-only for us", frame_type
            )
        if stream is not None:
            return stream
        kind = number >> 1 & 1
        index = number >> 2
        if not number & PEER_BIT:
            if index >= self._opened[kind]:
                raise BadPacketError(
                    STREAM_STATE_ERROR, f"stream {number} was never opened by us", frame_type
                )
            return None
        if index < self._peer_opened[kind]:
            return None
        if index >= self._peer_may_open[kind]:
            raise BadPacketError(
                STREAM_LIMIT_ERROR,
                f"stream {number}, beyond the {self._peer_may_open[kind]} that are allowed",
                frame_type,
            )
        self._open_by_peer(kind, index)
        return self.streams[number]

    def check_existed(self, number: int) -> None:
        """CommandError for a number that no stream has ever had, of either side."""
        opened = self._peer_opened if number & PEER_BIT else self._opened
        if not 0 <= number >> 2 < opened[number >> 1 & 1]:
            raise CommandError(f"there is no stream {number}")

    def reclaim(self, stream: StreamParts) -> None:
        """Forget the stream if nothing more can happen to it."""
        number = stream.number
        if not stream.done or number not in self.streams:
            return
        del self.streams[number]
        self._remember_codes(stream)
        if number & PEER_BIT:
            kind = number >> 1 & 1
            self._peer_gone[kind] += 1
            self._offer_streams(kind)

    def codes(self, number: int) -> tuple[int | None, int | None]:
        """The reset and the stop code that a reclaimed stream had, if they are remembered."""
        return self._codes.get(number, (None, None))

    def _note_blocked(self, kind: int) -> None:
        """Section 4.6: tell the peer once per limit that it holds us up."""
        limit = self._may_open[kind]
        if self._blocked_at[kind] != limit:
            self._blocked_at[kind] = limit
            self._control.add(STREAMS_BLOCKED_BIDI + kind)

    def _create(self, number: int) -> StreamParts:
        config = self._config
        kind = number & KIND_BITS
        send: SendingPart | None = None
        receive: ReceivingPart | None = None
        if kind != KIND_BITS:
            send = SendingPart(self._send_limits[kind], config.send_buffer)
        if kind != ONE_WAY_BIT:
            receive = ReceivingPart(config.initial_max_stream_data, config.max_stream_window)
        stream = StreamParts(number, send, receive)
        self.streams[number] = stream
        return stream

    def _open_by_peer(self, kind: int, index: int) -> None:
        """Open a stream of the peer's and all lower ones of its kind that are not open yet."""
        for position in range(self._peer_opened[kind], index + 1):
            number = position << 2 | kind << 1 | PEER_BIT
            self._create(number)
            self._notices.opened(number)
        self._peer_opened[kind] = index + 1
        self._offer_streams(kind)

    def _offer_streams(self, kind: int) -> None:
        """Raise the peer's limit by the streams that are gone, once it has used half its credit."""
        config = self._config
        initial = config.initial_max_streams_uni if kind else config.initial_max_streams_bidi
        limit = initial + self._peer_gone[kind]
        left = self._peer_may_open[kind] - self._peer_opened[kind]
        if limit > self._peer_may_open[kind] and left * 2 <= initial:
            self._peer_may_open[kind] = limit
            self._control.add(MAX_STREAMS_BIDI + kind)

    def _remember_codes(self, stream: StreamParts) -> None:
        reset = stream.receive.reset_code if stream.receive is not None else None
        stop = stream.send.stop_code if stream.send is not None else None
        if reset is None and stop is None:
            return
        if len(self._codes) >= REMEMBERED_CODES:
            del self._codes[next(iter(self._codes))]
        self._codes[stream.number] = (reset, stop)
