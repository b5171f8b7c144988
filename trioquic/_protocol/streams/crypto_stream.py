"""The CRYPTO frames of one packet-number space (RFC 9000 sections 7.5 and 19.6).

A stream of bytes both ways without flow control, end or reset. What stands in for flow control is a
fixed bound on how far ahead of the reader data may lie; the RFC wants at least 4,096 bytes.
"""

from typing import Final

from ..builder import PacketBuilder
from ..errors import CRYPTO_BUFFER_EXCEEDED, PROTOCOL_VIOLATION, BadPacketError
from ..token import Token
from ..wire.frames import CRYPTO, encode_crypto
from ..wire.varint import varint_size
from .reassembly import Reassembly
from .send_buffer import MIN_PIECE, SendBuffer

LIMIT: Final = 65536


class CryptoToken(Token):
    """A CRYPTO frame with the bytes from `low` to `high`."""

    __slots__ = ("buffer", "high", "low")

    def __init__(self, buffer: SendBuffer, low: int, high: int) -> None:
        self.buffer = buffer
        self.low = low
        self.high = high

    def acked(self) -> None:
        self.buffer.on_acked(self.low, self.high)

    def lost(self) -> None:
        self.buffer.on_lost(self.low, self.high)


class CryptoStream:
    def __init__(self) -> None:
        self._received = Reassembly()
        self._sending = SendBuffer()
        self._discarded = False

    def on_crypto_untrusted(self, offset: int, data: bytes) -> None:
        """A CRYPTO frame."""
        received = self._received
        end = offset + len(data)
        if self._discarded or end <= received.read:
            return
        if end > received.read + LIMIT:
            raise BadPacketError(
                CRYPTO_BUFFER_EXCEEDED, f"handshake data {end - received.read} bytes ahead", CRYPTO
            )
        received.add(offset, data)

    def check_consumed_untrusted(self) -> None:
        """The keys of a higher level are here: of this one, nothing may be left (RFC 9001 section
        4.1.3)."""
        received = self._received
        if received.has_gap or received.read < received.ready:
            raise BadPacketError(
                PROTOCOL_VIOLATION, "handshake data was left when the keys changed", CRYPTO
            )

    def check_repeated_untrusted(self, offset: int, data: bytes) -> None:
        """A CRYPTO frame of a level that is over may only repeat what came before (section 4.1.3
        as well)."""
        if data and not self._discarded and offset + len(data) > self._received.read:
            raise BadPacketError(
                PROTOCOL_VIOLATION, "new handshake data at a level that is over", CRYPTO
            )

    @property
    def readable(self) -> bool:
        """Whether there are bytes in order that were not read yet."""
        return self._received.ready > self._received.read

    def read(self) -> bytes:
        """The bytes that are in order and were not read yet."""
        return self._received.take(LIMIT)

    def write(self, data: bytes) -> None:
        self._sending.write(data)

    def has_pending(self) -> bool:
        """Whether there are bytes to send, new or again."""
        sending = self._sending
        return sending.sent < sending.end or len(sending.lost) > 0

    def write_frames(self, builder: PacketBuilder) -> None:
        """Fill the packet's room: what was lost first, then what is new."""
        sending = self._sending
        while self.has_pending():
            low, high = sending.lost.first() if sending.lost.ends else (sending.sent, sending.end)
            size = high - low
            room = builder.room - 1 - varint_size(low) - varint_size(min(size, builder.room))
            if room <= 0 or (room < size and room < MIN_PIECE and builder.size):
                return
            high = low + min(size, room)
            builder.add(
                encode_crypto(low, sending.slice(low, high)), CryptoToken(sending, low, high)
            )
            sending.lost.remove(low, high)
            sending.sent = max(sending.sent, high)

    def discard(self) -> None:
        """The keys of this level are gone: nothing is sent or received any more."""
        self._discarded = True
        self._received.discard()
        self._sending.discard()
