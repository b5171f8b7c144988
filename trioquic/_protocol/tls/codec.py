"""TLS's presentation language (RFC 8446 section 3): big-endian integers and vectors whose length
stands before them in one, two or three bytes.

`Cursor` reads it, and whatever does not fit is a decode_error. The `vector*` functions write it;
they get lengths of our own making, so a value that is too long is a bug and raises OverflowError.
"""

from .alerts import DECODE_ERROR, tls_error


class Cursor:
    """Reads one message or one vector from its first byte to its last."""

    __slots__ = ("data", "end", "pos", "what")

    def __init__(self, data: bytes, what: str) -> None:
        self.data = data
        self.pos = 0
        self.end = len(data)
        self.what = what

    def number_untrusted(self, size: int) -> int:
        """An integer of `size` bytes."""
        return int.from_bytes(self.take_untrusted(size), "big")

    def take_untrusted(self, size: int) -> bytes:
        """The next `size` bytes."""
        start = self.pos
        if size > self.end - start:
            raise tls_error(DECODE_ERROR, f"{self.what} is truncated")
        self.pos = start + size
        return self.data[start : start + size]

    def vector_untrusted(self, length_size: int, minimum: int = 0) -> bytes:
        """A vector whose length takes `length_size` bytes; shorter than `minimum` is an error."""
        content = self.take_untrusted(self.number_untrusted(length_size))
        if len(content) < minimum:
            raise tls_error(DECODE_ERROR, f"{self.what} has a vector that is too short")
        return content

    def at_end(self) -> bool:
        return self.pos == self.end

    def finish_untrusted(self) -> None:
        """Nothing may be left over (RFC 8446 section 6.2, decode_error)."""
        if self.pos != self.end:
            raise tls_error(DECODE_ERROR, f"{self.what} has {self.end - self.pos} bytes too many")


def vector8(content: bytes) -> bytes:
    return len(content).to_bytes(1, "big") + content


def vector16(content: bytes) -> bytes:
    return len(content).to_bytes(2, "big") + content


def vector24(content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + content


def numbers16(values: tuple[int, ...]) -> bytes:
    """A vector of 16-bit numbers with a 16-bit length, as most extensions carry it."""
    return vector16(b"".join([value.to_bytes(2, "big") for value in values]))
