"""Bytes of a stream with any number of gaps between them, at a price per byte of the stream.

Separate pieces cost a hundred bytes each, so a peer that sends every second byte alone would make
us keep fifty times what flow control admits (RFC 9000 section 21.7). Here the stream is cut into
chunks of one size. A chunk has a buffer that reaches up to the last byte of it that came, and a
second one of the same length which tells the bytes that are known: at most two bytes and a little
for each byte of the stream, in whatever order and segmentation they come, and no work that depends
on the number of gaps. Chunks in which nothing came are not there.
"""

from typing import Final

_BITS: Final = 12
CHUNK: Final = 1 << _BITS
_KNOWN: Final = 0xFF
_ALL_KNOWN: Final = bytes((_KNOWN,)) * CHUNK


class _Chunk:
    """The beginning of one chunk: what is in it, and 0xff for each byte that is known, else 0."""

    __slots__ = ("data", "known")

    def __init__(self) -> None:
        self.data = bytearray()
        self.known = bytearray()

    def grow(self, least: int) -> None:
        """Make room for so much, and for half as much again, as the next bytes may lie there."""
        more = bytes(min(CHUNK, least + (least >> 1)) - len(self.known))
        self.known.extend(more)
        self.data.extend(more)


class Mosaic:
    """What lies ahead of the first gap. `held`: how many bytes that are."""

    __slots__ = ("_chunks", "held")

    def __init__(self) -> None:
        self._chunks: dict[int, _Chunk] = {}
        self.held = 0

    def put(self, offset: int, data: bytes) -> None:
        """Take the bytes at `offset`, as far as they are new."""
        at = offset & (CHUNK - 1)
        size = len(data)
        end = at + size
        if end > CHUNK:
            room = CHUNK - at
            self.put(offset, data[:room])
            self.put(offset + room, data[room:])
            return
        index = offset >> _BITS
        chunk = self._chunks.get(index)
        if chunk is None:
            chunk = self._chunks[index] = _Chunk()
        known = chunk.known
        if end > len(known):
            chunk.grow(end)
        if size == 1:
            if not known[at]:
                known[at] = _KNOWN
                chunk.data[at] = data[0]
                self.held += 1
            return
        before = known[at:end]
        new = before.count(0)
        if not new:
            return
        if new < size:
            # What came first stays: known bytes of the old, the others of the new.
            keep = int.from_bytes(before, "big")
            old = int.from_bytes(chunk.data[at:end], "big")
            fresh = int.from_bytes(data, "big")
            data = (old & keep | fresh & ~keep).to_bytes(size, "big")
        chunk.data[at:end] = data
        known[at:end] = _ALL_KNOWN[:size]
        self.held += new

    def take(self, offset: int) -> bytes:
        """Remove and return known bytes from `offset` on, up to the next gap or the end of a chunk;
        b"" when that one is missing. Nothing below `offset` is asked for again."""
        index = offset >> _BITS
        chunk = self._chunks.get(index)
        if chunk is None:
            return b""
        at = offset & (CHUNK - 1)
        end = chunk.known.find(0, at)
        if end < 0:
            end = len(chunk.known)
        if end <= at:
            return b""
        self.held -= end - at
        if end == CHUNK:
            del self._chunks[index]
        return bytes(chunk.data[at:end])
