"""Variable-length integers (RFC 9000 section 16) and a bounds-checked cursor over received bytes.

All reading of hostile bytes goes through this file: `decode_varint_untrusted` in hot loops that
keep their position in a local variable, `Reader` everywhere else. A Reader is told which error code
a truncation means: a cut frame and a cut transport parameter close the connection with different
codes.
"""

from typing import Final

from ..errors import FRAME_ENCODING_ERROR, PROTOCOL_VIOLATION, BadPacketError

MAX_VARINT: Final = 0x3FFFFFFFFFFFFFFF

ONE_BYTE: Final[list[bytes]] = [bytes((value,)) for value in range(0x100)]


def encode_varint(v: int) -> bytes:
    """The shortest encoding of `v`; ValueError when it does not fit 62 bits."""
    if v < 0x40:
        if v < 0:
            raise ValueError(f"a varint cannot be negative: {v}")
        return ONE_BYTE[v]
    if v < 0x4000:
        return (v | 0x4000).to_bytes(2, "big")
    if v < 0x40000000:
        return (v | 0x80000000).to_bytes(4, "big")
    if v > MAX_VARINT:
        raise ValueError(f"too large for a varint: {v}")
    return (v | 0xC000000000000000).to_bytes(8, "big")


def varint_size(v: int) -> int:
    """How many bytes `encode_varint(v)` takes."""
    if v < 0x40:
        return 1
    if v < 0x4000:
        return 2
    if v < 0x40000000:
        return 4
    return 8


def decode_varint_untrusted(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """The varint at `pos` and the position after it. `end` is at most `len(data)`."""
    if pos < end:
        first = data[pos]
        if first < 0x40:
            return first, pos + 1
        if first < 0x80:
            stop = pos + 2
            if stop <= end:
                return (first & 0x3F) << 8 | data[pos + 1], stop
        elif first < 0xC0:
            stop = pos + 4
            if stop <= end:
                # spelled out: compiled, this is several times as fast as int.from_bytes of a slice
                high = (first & 0x3F) << 24 | data[pos + 1] << 16
                return high | data[pos + 2] << 8 | data[pos + 3], stop
        else:
            stop = pos + 8
            if stop <= end:
                high = (
                    (first & 0x3F) << 24 | data[pos + 1] << 16 | data[pos + 2] << 8 | data[pos + 3]
                )
                low = data[pos + 4] << 24 | data[pos + 5] << 16 | data[pos + 6] << 8 | data[pos + 7]
                return high << 32 | low, stop
    raise BadPacketError(FRAME_ENCODING_ERROR, "truncated integer")


class Reader:
    """A cursor over `data[start:end]`. Reading past `end` raises BadPacketError(error_code)."""

    __slots__ = ("data", "end", "error_code", "pos")

    def __init__(
        self,
        data: bytes,
        error_code: int = FRAME_ENCODING_ERROR,
        start: int = 0,
        end: int | None = None,
    ) -> None:
        self.data = data
        self.error_code = error_code
        self.pos = start
        self.end: int = len(data) if end is None else end

    @property
    def remaining(self) -> int:
        return self.end - self.pos

    def bad(self, reason: str) -> BadPacketError:
        """The exception to raise for malformed content, with this reader's error code."""
        return BadPacketError(self.error_code, reason)

    def varint_untrusted(self) -> int:
        try:
            value, self.pos = decode_varint_untrusted(self.data, self.pos, self.end)
        except BadPacketError:
            raise self.bad("truncated integer") from None
        return value

    def frame_type_untrusted(self) -> int:
        """A frame type, which must have the shortest encoding (RFC 9000 section 12.4)."""
        start = self.pos
        frame_type = self.varint_untrusted()
        if self.pos - start != varint_size(frame_type):
            raise BadPacketError(
                PROTOCOL_VIOLATION, "frame type not in its shortest encoding", frame_type
            )
        return frame_type

    def u8_untrusted(self) -> int:
        pos = self.pos
        if pos >= self.end:
            raise self.bad("truncated byte")
        self.pos = pos + 1
        return self.data[pos]

    def u32_untrusted(self) -> int:
        return int.from_bytes(self.take_untrusted(4), "big")

    def take_untrusted(self, n: int) -> bytes:
        """The next `n` bytes; `n` itself may come from the peer."""
        pos = self.pos
        stop = pos + n
        if n < 0 or stop > self.end:
            raise self.bad(f"{n} bytes announced, {self.end - pos} left")
        self.pos = stop
        return self.data[pos:stop]

    def versions_untrusted(self) -> tuple[int, ...]:
        """All that is left, as versions of QUIC, of which there must be one."""
        if not self.remaining or self.remaining % 4:
            raise self.bad(f"{self.remaining} bytes are no list of versions")
        return tuple([self.u32_untrusted() for _ in range(self.remaining // 4)])

    def rest(self) -> bytes:
        """Everything up to the end, possibly nothing."""
        pos = self.pos
        self.pos = self.end
        return self.data[pos : self.end]
