"""The least of HTTP/3 that gets a file from a server: prepared bytes out, DATA frames in.

Nothing here is a client. The request uses QPACK's static table and literals only and announces a
dynamic table of zero (RFC 9204 section 3.2.3), so that neither side needs QPACK's own streams. A
response's header block is read just far enough to find `:status`.
"""

from dataclasses import dataclass, field

ALPN = "h3"

# RFC 9114 sections 6.2 and 7.2
CONTROL_STREAM = 0x00
DATA, HEADERS, SETTINGS = 0x00, 0x01, 0x04

# RFC 9204 appendix A
STATIC_STATUS = {24: 103, 25: 200, 26: 304, 27: 404, 28: 503}
STATIC_STATUS |= {63: 100, 64: 204, 65: 206, 66: 302, 67: 400, 68: 403, 69: 421, 70: 425, 71: 500}
AUTHORITY, PATH, METHOD_GET, METHOD_POST, SCHEME_HTTPS = 0, 1, 17, 20, 23


class BadResponseError(Exception):
    """The server's answer is not what this little code can read."""


def varint(value: int) -> bytes:
    """RFC 9000 section 16. The tests' own, so that a fault in the library's is seen."""
    for prefix, size in ((0, 1), (1, 2), (2, 4), (3, 8)):
        if value < 1 << (8 * size - 2):
            return (value | prefix << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(value)


def read_varint(data: bytes | bytearray, pos: int) -> tuple[int, int] | None:
    """The value and the position behind it; None if there are not enough bytes yet."""
    if pos >= len(data):
        return None
    end = pos + (1 << (data[pos] >> 6))
    if end > len(data):
        return None
    size = end - pos
    return int.from_bytes(data[pos:end], "big") & ((1 << (8 * size - 2)) - 1), end


def frame(kind: int, payload: bytes) -> bytes:
    return varint(kind) + varint(len(payload)) + payload


def prefixed(value: int, bits: int, flags: int) -> bytes:
    """An integer with a prefix of `bits` bits below `flags` (RFC 7541 section 5.1)."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([flags | value])
    out = bytearray([flags | limit])
    value -= limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _indexed(index: int) -> bytes:
    """A field line of the static table (RFC 9204 section 4.5.2)."""
    return prefixed(index, 6, 0b1100_0000)


def _literal(name_index: int, value: str) -> bytes:
    """A literal with a name of the static table (RFC 9204 section 4.5.4), not Huffman-coded."""
    data = value.encode("ascii")
    return prefixed(name_index, 4, 0b0101_0000) + prefixed(len(data), 7, 0) + data


def control_stream() -> bytes:
    """What goes first on a new unidirectional stream, which then stays open: empty SETTINGS."""
    return varint(CONTROL_STREAM) + frame(SETTINGS, b"")


def request(authority: str, path: str, *, post: bool = False) -> bytes:
    """The HEADERS frame of a request. A GET ends the stream here; a POST goes on with `data()`."""
    fields = [
        b"\0\0",  # neither Required Insert Count nor Base (section 4.5.1)
        _indexed(METHOD_POST if post else METHOD_GET),
        _indexed(SCHEME_HTTPS),
        _literal(AUTHORITY, authority),
        _literal(PATH, path),
    ]
    return frame(HEADERS, b"".join(fields))


def data_header(size: int) -> bytes:
    """What stands before `size` bytes of a body."""
    return varint(DATA) + varint(size)


def read_prefixed(data: bytes, pos: int, bits: int) -> tuple[int, int]:
    limit = (1 << bits) - 1
    value = data[pos] & limit
    pos += 1
    if value < limit:
        return value, pos
    shift = 0
    while True:
        octet = data[pos]
        pos += 1
        value += (octet & 127) << shift
        shift += 7
        if octet < 128:
            return value, pos


def _digits(data: bytes, huffman: bool) -> int:
    """A status that came as a literal. RFC 7541 appendix B: 0-2 take five bits, 3-9 take six."""
    if not huffman:
        return int(data)
    bits = "".join(f"{octet:08b}" for octet in data)
    text, pos = "", 0
    while len(text) < 3:
        if int(bits[pos : pos + 5], 2) < 3:
            text += str(int(bits[pos : pos + 5], 2))
            pos += 5
        else:
            text += str(int(bits[pos : pos + 6], 2) - 0b011001 + 3)
            pos += 6
    return int(text)


def read_status(block: bytes) -> int:
    """`:status`, which comes first: pseudo-header fields precede all others (RFC 9114, 4.3)."""
    try:
        _, pos = read_prefixed(block, 0, 8)
        _, pos = read_prefixed(block, pos, 7)
        if block[pos] & 0b1100_0000 == 0b1100_0000:
            return STATIC_STATUS[read_prefixed(block, pos, 6)[0]]
        if block[pos] & 0b1101_0000 != 0b0101_0000:
            raise BadResponseError(f"unexpected field line {block[pos]:#x}")
        index, pos = read_prefixed(block, pos, 4)
        if index not in STATIC_STATUS:
            raise BadResponseError(f"static entry {index} comes before :status")
        huffman = bool(block[pos] & 128)
        size, pos = read_prefixed(block, pos, 7)
        return _digits(block[pos : pos + size], huffman)
    except (IndexError, KeyError, ValueError) as error:
        raise BadResponseError(f"header block {block.hex()}") from error


@dataclass
class ResponseParser:
    """Takes the bytes of a request stream as they come, returns those of the body."""

    status: int | None = None
    body_size: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _body_left: int = 0

    def feed(self, data: bytes) -> bytes:
        # most calls are in the middle of a large DATA frame
        if not self._buffer and len(data) <= self._body_left:
            self._body_left -= len(data)
            self.body_size += len(data)
            return data
        self._buffer += data
        body = bytearray()
        while self._step(body):
            pass
        self.body_size += len(body)
        return bytes(body)

    def finish(self) -> None:
        """To be called at the end of the stream: complains if that is no end of a response."""
        if self.status is None or self._buffer or self._body_left:
            raise BadResponseError("the response is cut off")

    def _step(self, body: bytearray) -> bool:
        """Move on by one frame, or by a part of a DATA frame; False when bytes are missing."""
        buffer = self._buffer
        if self._body_left:
            part = buffer[: self._body_left]
            del buffer[: len(part)]
            body += part
            self._body_left -= len(part)
            return bool(part)
        kind = read_varint(buffer, 0)
        size = read_varint(buffer, kind[1]) if kind else None
        if kind is None or size is None:
            return False
        if kind[0] == DATA:
            if self.status is None:
                raise BadResponseError("DATA before HEADERS")
            del buffer[: size[1]]
            self._body_left = size[0]
            return True
        end = size[1] + size[0]
        if end > len(buffer):
            return False
        payload = bytes(buffer[size[1] : end])
        del buffer[:end]
        # a second HEADERS frame is a trailer; unknown frames are skipped (RFC 9114 section 9)
        if kind[0] == HEADERS and (self.status is None or self.status < 200):
            self.status = read_status(payload)
        return True
