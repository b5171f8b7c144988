"""Unreliable datagrams (RFC 9221): DATAGRAM frames, both ways.

Sent ones go out in order, before data of streams, under congestion control, and are never sent
again. Received ones wait for a reader. Both queues are bounded, as no flow control does that: who
falls behind loses the oldest, for in what is sent this way news matter more than completeness. A
datagram that does not fit the path that the connection has moved to is dropped when its turn comes.
All that is dropped is counted.
"""

from collections import deque
from enum import Enum
from typing import Final

from .builder import PacketBuilder
from .errors import PROTOCOL_VIOLATION, BadPacketError
from .events import DatagramReadable, DatagramSettled, Event
from .token import Token
from .wire.frames import encode_datagram_header

# RFC 9221 section 3: any size that fits into a packet
ACCEPTED_SIZE: Final = 65535
# the frame's type and its length, as a varint of two bytes or, from 2^14 on, of four
_SHORT_OVERHEAD: Final = 3
_LONG_OVERHEAD: Final = 5
_LONG: Final = 1 << 14
# What is received may take so many bytes, or as many as datagrams of the usual size do.
_LEAST_BYTES: Final = 1 << 20
_USUAL_SIZE: Final = 1500
_READABLE: Final = DatagramReadable()


class DatagramOutcome(Enum):
    """What became of a datagram that was sent."""

    QUEUED = "queued"
    """It waits for the congestion window."""
    SENT = "sent"
    """It is on its way."""
    ACKNOWLEDGED = "acknowledged"
    """The peer has received it (RFC 9221 section 5.2: not necessarily its application)."""
    LOST = "lost"
    """It was given up for lost. Now and then such a one turns out to have arrived."""
    DROPPED = "dropped"
    """It was not sent: newer ones pushed it out, or it did not fit the path any more."""


class Receipt:
    """Where the outcome of one datagram is written down."""

    __slots__ = ("awaited", "outcome")

    def __init__(self) -> None:
        self.outcome = DatagramOutcome.QUEUED
        self.awaited = False

    def on_awaited(self) -> None:
        """Somebody wants to be told of the outcome."""
        self.awaited = True


class DatagramToken(Token):
    """A datagram on its way."""

    __slots__ = ("_owner", "_receipt")

    def __init__(self, owner: "Datagrams", receipt: Receipt) -> None:
        self._owner = owner
        self._receipt = receipt

    def acked(self) -> None:
        self._owner.settle(self._receipt, DatagramOutcome.ACKNOWLEDGED)

    def lost(self) -> None:
        self._owner.lost += 1
        self._owner.settle(self._receipt, DatagramOutcome.LOST)


class Datagrams:
    """The datagrams of one connection. `accept`: the peer was told that it may send some."""

    def __init__(self, accept: bool, buffer: int, events: list[Event]) -> None:
        self._accept = accept
        self._buffer = buffer
        self._events = events
        self._peer_limit = 0  # the largest frame that the peer takes, 0: none
        # made when they are needed: an empty deque takes 760 bytes
        self._outgoing: deque[tuple[bytes, Receipt]] | None = None
        self._incoming: deque[bytes] | None = None
        self._incoming_bytes = 0
        self._most_bytes = max(_LEAST_BYTES, buffer * _USUAL_SIZE)
        self.sent = 0
        self.received = 0
        self.lost = 0
        self.dropped_sending = 0
        self.dropped_receiving = 0

    # -- sending -----------------------------------------------------------------------------------

    def apply_peer_limit(self, limit: int | None) -> None:
        """The peer's max_datagram_frame_size (RFC 9221 section 3); None: it takes no datagrams."""
        self._peer_limit = 0 if limit is None else limit

    @property
    def supported(self) -> bool:
        """Whether the peer takes datagrams."""
        return self._peer_limit > 0

    def largest(self, room: int) -> int:
        """The largest datagram for packets with this room for frames."""
        most = min(self._peer_limit, room)
        if most >= _LONG + _LONG_OVERHEAD:
            return most - _LONG_OVERHEAD
        return max(0, min(most - _SHORT_OVERHEAD, _LONG - 1))

    def send(self, data: bytes) -> Receipt:
        """Queue a datagram; the oldest goes when there are too many."""
        receipt = Receipt()
        queue = self._outgoing
        if queue is None:
            queue = self._outgoing = deque()
        queue.append((data, receipt))
        if len(queue) > self._buffer:
            self._drop(queue.popleft()[1])
        return receipt

    def has_pending(self) -> bool:
        """Whether a datagram waits to be sent."""
        return bool(self._outgoing)

    def write_frames(self, builder: PacketBuilder, full_room: int) -> None:
        """Add the datagrams that fit. `full_room` is what an empty packet of this path takes."""
        queue = self._outgoing
        largest = self.largest(full_room)
        while queue:
            data, receipt = queue[0]
            size = len(data)
            # The peer may take none at all, not even empty ones.
            if size > largest or size + _SHORT_OVERHEAD > self._peer_limit:
                self._drop(queue.popleft()[1])
                continue
            header = encode_datagram_header(size)
            if len(header) + size > builder.room:
                return
            queue.popleft()
            builder.add_data(header, data, DatagramToken(self, receipt))
            self.sent += 1
            receipt.outcome = DatagramOutcome.SENT

    def settle(self, receipt: Receipt, outcome: DatagramOutcome) -> None:
        """Note what became of a datagram, and tell it if anybody waits for that."""
        receipt.outcome = outcome
        if receipt.awaited:
            self._events.append(DatagramSettled())

    def _drop(self, receipt: Receipt) -> None:
        self.dropped_sending += 1
        self.settle(receipt, DatagramOutcome.DROPPED)

    # -- receiving ---------------------------------------------------------------------------------

    def on_datagram_untrusted(self, data: bytes) -> None:
        """A DATAGRAM frame came in."""
        if not self._accept:
            # RFC 9221 section 3: we did not offer max_datagram_frame_size
            raise BadPacketError(PROTOCOL_VIOLATION, "DATAGRAM was not negotiated")
        self.received += 1
        queue = self._incoming
        if queue is None:
            queue = self._incoming = deque()
        queue.append(data)
        held = self._incoming_bytes + len(data)
        if len(queue) <= self._buffer and held <= self._most_bytes:
            self._incoming_bytes = held
            self._events.append(_READABLE)
            return
        # no more than before can be read, and their readers were told
        while len(queue) > self._buffer or held > self._most_bytes:
            held -= len(queue.popleft())
            self.dropped_receiving += 1
        self._incoming_bytes = held

    def take(self) -> bytes | None:
        """The oldest datagram that was received; None when there is none."""
        if not self._incoming:
            return None
        data = self._incoming.popleft()
        self._incoming_bytes -= len(data)
        return data
