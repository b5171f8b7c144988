"""Frames of HTTP/3 (RFC 9114 section 7): making them, and reading them off a stream as it arrives.

`FrameReader` keeps no more than one chunk of what the stream gave it beside the frame that its user
asked for as a whole, so memory is bounded by what its user asks for. It can be cancelled anywhere
and goes on where it was.

A peer may send frames of two or three bytes. So that these cost us little more than other bytes do,
those that follow each other are passed over, or their content is put together, in one go.
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
PRIORITY_UPDATE_REQUEST: Final = 0xF0700
# All types with a meaning, also those of clients (MAX_PUSH_ID, PRIORITY_UPDATE) and of HTTP/2
# (section 7.2.8). Others are passed over, wherever they come (section 9).
DEFINED: Final = frozenset((*range(0x0A), 0x0D, PRIORITY_UPDATE_REQUEST, 0xF0701))

CHUNK: Final = 1 << 16  # bytes; a stream is asked for no more at once
# bytes that a stream is asked for at least: what is left of them when the user pauses is kept here,
# beyond flow control, and there may be many streams
_LEAST_CHUNK: Final = 1 << 12
# Frames can be as small as two bytes. One turn may pass over so many in a run, or a part of them
# one by one, which takes that much longer for each.
_RUN: Final = 1024
_ALONE: Final = 16
# By a frame's first byte, how many bytes its type has if that is at most two and means nothing in
# HTTP/3, and else 0. Types from 0x100 to 0x3fff mean nothing.
_MEANINGLESS: Final = bytes(
    [kind not in DEFINED for kind in range(0x40)] + [0] + [2] * 0x3F + [0] * 0x80
)


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
        self._unread = 0  # frames since then, see `_RUN`

    async def varint(self) -> int | None:
        """An integer that stands alone, such as a stream's type; None at the stream's end."""
        while (decoded := decode_varint(self._chunk, self._position)) is None:
            if not await self._fill():
                return None
        self._position = decoded[1]
        return decoded[0]

    async def frame(self, most: int = 0) -> int | None:
        """The current frame's type, or the next one's once all of that was read; None at the
        stream's end. `most` is how much of its content will be asked for."""
        if self._kind >= 0:
            return self._kind
        self._unread += _ALONE
        if self._unread >= _RUN:
            self._unread = 0
            await trio.lowlevel.checkpoint()
        while (header := self._header()) is None:
            if not await self._fill(most):
                if self._position < len(self._chunk):
                    raise _cut_off()
                return None
        self._kind, self.remaining, self._position = header
        return self._kind

    async def whole(self) -> bytes:
        """The rest of the current frame; its user has looked at `remaining` before."""
        while len(self._chunk) - self._position < self.remaining:
            if not await self._fill(self.remaining):
                raise _cut_off()
        payload = self._take(self.remaining)
        self.remaining = 0
        self._kind = -1
        return payload

    async def content(self, most: int) -> bytes:
        """As `some`, for the current frame of type DATA and those that follow it."""
        piece = await self.some(most)
        data, position = self._chunk, self._position
        if self.remaining or position >= len(data) or data[position] != DATA:
            return piece
        pieces = [piece]
        room = most - len(piece)
        while room and len(pieces) < _RUN and position < len(data) and data[position] == DATA:
            if position + 1 < len(data) and data[position + 1] < 0x40:
                size, start = data[position + 1], position + 2
            elif (length := decode_varint(data, position + 1)) is not None:
                size, start = length
            else:
                break
            pieces.append(data[start : start + min(size, room)])
            taken = len(pieces[-1])
            room -= taken
            position = start + taken
            self.remaining = size - taken
            if self.remaining:
                break
        self._unread += len(pieces)
        self._kind = DATA if self.remaining else -1
        self._move_to(position)
        return b"".join(pieces)

    async def some(self, most: int) -> bytes:
        """At least one byte of the current frame and at most `most`; b"" once it was all read."""
        if not self.remaining:
            self._kind = -1
            return b""
        if self._position == len(self._chunk) and not await self._fill(min(self.remaining, most)):
            raise _cut_off()
        piece = self._take(min(self.remaining, most))
        self.remaining -= len(piece)
        return piece

    async def skip(self) -> None:
        """Pass over the rest of the current frame, and over small ones behind it that mean nothing
        anywhere in HTTP/3 (section 9)."""
        while await self.some(CHUNK):
            pass
        data, position = self._chunk, self._position
        most = len(data)
        passed = 0
        while passed < _RUN:
            at = position + _MEANINGLESS[data[position]] if position < most else position
            if at == position or at >= most or data[at] >= 0x40:
                break
            end = at + 1 + data[at]
            if end > most:
                break
            position = end
            passed += 1
        self._unread += passed
        self._move_to(position)

    async def unframed(self) -> bytes:
        """The next bytes of a stream that has no frames; b"" at its end."""
        if self._position == len(self._chunk) and not await self._fill(CHUNK):
            return b""
        return self._take(CHUNK)

    def _take(self, most: int) -> bytes:
        start = self._position
        piece = self._chunk[start : start + most]
        self._move_to(start + len(piece))
        return piece

    def _move_to(self, position: int) -> None:
        if position == len(self._chunk):
            self._chunk = b""
            position = 0
        self._position = position

    def _header(self) -> tuple[int, int, int] | None:
        kind = decode_varint(self._chunk, self._position)
        length = None if kind is None else decode_varint(self._chunk, kind[1])
        if kind is None or length is None:
            return None
        return kind[0], length[0], length[1]

    async def _fill(self, wanted: int = 0) -> bool:
        """Read more; False at the stream's end."""
        if self._ended:
            return False
        data = bytes(await self._stream.receive_some(min(CHUNK, max(wanted, _LEAST_CHUNK))))
        self.fills += 1
        self._unread = 0
        self._ended = not data
        self._chunk = self._chunk[self._position :] + data if self._chunk else data
        self._position = 0
        return bool(data)


def _cut_off() -> PeerError:
    return PeerError(ErrorCode.H3_FRAME_ERROR, "the stream ends within a frame")
