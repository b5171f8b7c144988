"""Frames of HTTP/3 (RFC 9114 section 7): making them, and reading them off a stream as it arrives.

`FrameReader` keeps no more than one chunk of what the stream gave it beside the frame that its user
asked for as a whole, so memory is bounded by what its user asks for. It can be cancelled anywhere
and goes on where it was.
"""

from typing import Final

import trio

from .errors import ErrorCode, PeerError

DATA: Final = 0x00
HEADERS: Final = 0x01
CANCEL_PUSH: Final = 0x03
SETTINGS: Final = 0x04
PUSH_PROMISE: Final = 0x05
GOAWAY: Final = 0x07
MAX_PUSH_ID: Final = 0x0D
PRIORITY_UPDATE_REQUEST: Final = 0xF0700
PRIORITY_UPDATE_PUSH: Final = 0xF0701
# HTTP/2's frame types without a meaning here (section 7.2.8)
RESERVED: Final = frozenset((0x02, 0x06, 0x08, 0x09))

CHUNK: Final = 1 << 18  # bytes; a stream is asked for no more at once
PATIENCE: Final = 64  # frames that one turn may pass over: they can be as small as two bytes


def encode_varint(value: int) -> bytes:
    """RFC 9000 section 16."""
    if value < 1 << 6:
        return value.to_bytes(1, "big")
    if value < 1 << 14:
        return (value | 1 << 14).to_bytes(2, "big")
    if value < 1 << 30:
        return (value | 2 << 30).to_bytes(4, "big")
    return (value | 3 << 62).to_bytes(8, "big")


def decode_varint(data: bytes, position: int) -> tuple[int, int] | None:
    """The value at `position` and what follows it; None if it is not whole."""
    if position >= len(data):
        return None
    end = position + (1 << (data[position] >> 6))
    if end > len(data):
        return None
    mask = (1 << (8 * (end - position) - 2)) - 1
    return int.from_bytes(data[position:end], "big") & mask, end


def encode_frame(kind: int, payload: bytes) -> bytes:
    """A frame with its header."""
    return encode_varint(kind) + encode_varint(len(payload)) + payload


def single_varint(payload: bytes, frame: str) -> int:
    """The one integer that a frame consists of (section 7.1: nothing more, nothing less)."""
    decoded = decode_varint(payload, 0)
    if decoded is None or decoded[1] != len(payload):
        raise PeerError(ErrorCode.H3_FRAME_ERROR, f"the {frame} frame is not one integer")
    return decoded[0]


class FrameReader:
    """Reads frames from `stream`, one after the other.

    What the stream raises comes out unchanged; a frame that the stream's end cuts off is the fault
    H3_FRAME_ERROR.
    """

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._chunk = b""
        self._position = 0
        self._ended = False
        # the frame that is being read; a type of -1 is none
        self._kind = -1
        self.remaining: int = 0
        """Bytes of the current frame that were not handed out yet."""
        self.fills: int = 0
        """How often the stream was read, each time a checkpoint."""
        self._unread = 0  # frames begun since then

    async def varint(self) -> int | None:
        """An integer that stands alone, such as a stream's type; None at the stream's end."""
        while (decoded := decode_varint(self._chunk, self._position)) is None:
            if not await self._fill():
                return None
        self._position = decoded[1]
        return decoded[0]

    async def frame(self) -> int | None:
        """The current frame's type, or the next one's once all of that was read; None at the
        stream's end."""
        if self._kind >= 0:
            return self._kind
        self._unread += 1
        if self._unread % PATIENCE == 0:
            await trio.lowlevel.checkpoint()
        while (header := self._header()) is None:
            if not await self._fill():
                if self._position < len(self._chunk):
                    raise PeerError(
                        ErrorCode.H3_FRAME_ERROR, "the stream ends within a frame's header"
                    )
                return None
        self._kind, self.remaining, self._position = header
        return self._kind

    async def whole(self) -> bytes:
        """The rest of the current frame; its user has looked at `remaining` before."""
        while len(self._chunk) - self._position < self.remaining:
            if not await self._fill():
                raise _cut_off()
        payload = self._take(self.remaining)
        self.remaining = 0
        self._kind = -1
        return payload

    async def some(self, most: int) -> bytes:
        """At least one byte of the current frame and at most `most`; b"" once it was all read."""
        if not self.remaining:
            self._kind = -1
            return b""
        if self._position == len(self._chunk) and not await self._fill():
            raise _cut_off()
        piece = self._take(min(self.remaining, most))
        self.remaining -= len(piece)
        return piece

    async def skip(self) -> None:
        """Pass over the rest of the current frame."""
        while await self.some(CHUNK):
            pass

    async def unframed(self) -> bytes:
        """The next bytes of a stream that has no frames; b"" at its end."""
        if self._position == len(self._chunk) and not await self._fill():
            return b""
        return self._take(CHUNK)

    def _take(self, most: int) -> bytes:
        start = self._position
        piece = self._chunk[start : start + most]
        if start + len(piece) == len(self._chunk):
            self._chunk = b""
            self._position = 0
        else:
            self._position = start + len(piece)
        return piece

    def _header(self) -> tuple[int, int, int] | None:
        kind = decode_varint(self._chunk, self._position)
        length = None if kind is None else decode_varint(self._chunk, kind[1])
        if kind is None or length is None:
            return None
        return kind[0], length[0], length[1]

    async def _fill(self) -> bool:
        """Read more; False at the stream's end."""
        if self._ended:
            return False
        data = bytes(await self._stream.receive_some(CHUNK))
        self.fills += 1
        self._unread = 0
        self._ended = not data
        self._chunk = self._chunk[self._position :] + data if self._chunk else data
        self._position = 0
        return bool(data)


def _cut_off() -> PeerError:
    return PeerError(ErrorCode.H3_FRAME_ERROR, "the stream ends within a frame")
