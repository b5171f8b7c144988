"""Floods of HTTP/3: what a server may write on its control and QPACK streams, on streams of its
own, and as responses. Each kind is a series of (stream, bytes, whether the stream ends there).
"""

from collections.abc import Callable, Iterator
from itertools import chain, count, cycle, repeat

from trioquic.http3.frames import encode_frame, encode_varint
from trioquic.http3.settings import HTTP3Config

CONTROL, ENCODER, DECODER = 3, 7, 11
FIRST_OTHER = 15
REQUESTS = 50
STREAMS = 100
CONFIG = HTTP3Config()

Piece = tuple[int, bytes, bool]
Series = Callable[[], Iterator[Piece]]
PAUSE: Piece = (-1, b"", False)
"""A batch ends here."""
SETTINGS = encode_frame(0x04, b"\x01\x50\x00\x07\x10")
OK = encode_frame(0x01, b"\x00\x00\xd9")


def greeting() -> Iterator[Piece]:
    """What every server says first."""
    yield CONTROL, b"\x00" + SETTINGS, False
    yield ENCODER, b"\x02", False
    yield DECODER, b"\x03", False


def on(stream_id: int, pieces: Callable[[], Iterator[bytes]]) -> Series:
    return lambda: ((stream_id, piece, False) for piece in pieces())


def control(*frames: bytes) -> Series:
    """The same frames over and over."""
    return on(CONTROL, lambda: cycle(frames))


def encoder(first: bytes, *instructions: bytes) -> Series:
    def pieces() -> Iterator[bytes]:
        yield b"\x3f\xe1\x1f" + first  # a table of 4096 bytes
        yield from cycle(instructions)

    return on(ENCODER, pieces)


def unknown_settings() -> Iterator[Piece]:
    """One frame, as large as is taken, of settings that nobody knows."""
    names = (encode_varint(0x4000 + number) + b"\x00" for number in range(10_000))
    payload = b""
    while len(payload) < 4090:
        payload += next(names)
    yield CONTROL, b"\x00" + encode_frame(0x04, payload), False
    yield from control(b"\x21\x00")()


def falling() -> Iterator[bytes]:
    """Each GOAWAY names a lower stream, and all of them more than there are."""
    return (encode_frame(0x07, encode_varint(number)) for number in range(1 << 40, 0, -4))


def under_way() -> Iterator[bytes]:
    """As many GOAWAYs as there may be, each of which names requests that are under way."""
    goaway = encode_frame(0x07, encode_varint(4))
    return chain(repeat(goaway, 64), cycle([b"\x21\x00"]))


def other_streams(first: bytes) -> Iterator[Piece]:
    """Streams that begin so and end, a few less at once than there may be."""
    for number in count():
        yield FIRST_OTHER + 4 * number, first, True
        if number % 80 == 79:
            yield PAUSE


def left_open(first: bytes) -> Iterator[Piece]:
    """As many as there may be."""
    return ((FIRST_OTHER + 4 * number, first, False) for number in range(STREAMS - 3))


def response(*pieces: bytes) -> Series:
    """One response, after its head these pieces over and over."""

    def series() -> Iterator[Piece]:
        yield 0, OK, False
        yield from ((0, piece, False) for piece in cycle(pieces))

    return series


def download() -> Iterator[Piece]:
    """Honest content, in one frame."""
    yield from response(encode_varint(0) + encode_varint(1 << 60) + bytes(1000))()


def replies() -> Iterator[Piece]:
    """Honest responses of 20 fields, half of them in full, without content."""
    literal = b"".join(
        b"\x27\x05x-name-%02d\x14a value of 20 bytes." % number for number in range(10)
    )
    yield from heads(b"\x00\x00\xd9" + b"\xc6\xf5\xf1\xe7\xdd\xd7\xee\xf3\xcb" + literal)()


def heads(section: bytes) -> Series:
    """Every request is answered with this field section, and then nothing follows."""
    frame = encode_frame(0x01, section)
    return lambda: ((4 * number, frame, True) for number in range(REQUESTS))


def interim() -> Iterator[Piece]:
    frame = encode_frame(0x01, b"\x00\x00\xd8")  # 103
    return ((4 * (number % REQUESTS), frame, False) for number in range(REQUESTS * 17))


def blocked() -> Iterator[Piece]:
    """Large sections which need an entry that never comes."""
    section = b"\x02\x00\x80\x21a\x7f\xe1\xd3\x03" + b"x" * 60_000
    return ((4 * number, encode_frame(0x01, section), False) for number in range(REQUESTS))


def cut_heads() -> Iterator[Piece]:
    """Large sections of which the last byte never comes, in turn."""
    begin = encode_varint(0x01) + encode_varint(60_000)
    for number in range(REQUESTS):
        yield 4 * number, begin, False
    for _ in range(59):
        for number in range(REQUESTS):
            yield 4 * number, bytes(1000), False


CONTENT: dict[str, Series] = {
    "HTTP/3 control, 2,000 unknown settings": unknown_settings,
    "HTTP/3 control, unknown frames without content": control(b"\x21\x00", b"\x0f\x00"),
    "HTTP/3 control, unknown frames of 1 byte": control(b"\x21\x01x"),
    "HTTP/3 control, unknown types of 2 bytes": control(b"\x5f\x00\x00", b"\x61\x21\x01x"),
    "HTTP/3 control, unknown types of 8 bytes": control(b"\xff" * 8 + b"\x00"),
    "HTTP/3 control, one frame without end": on(
        CONTROL, lambda: iter([b"\x21" + encode_varint(1 << 60), *[bytes(1000)] * 10_000])
    ),
    "HTTP/3 GOAWAY, the same": control(encode_frame(0x07, b"\x43\xe8")),
    "HTTP/3 GOAWAY, falling": on(CONTROL, falling),
    "HTTP/3 GOAWAY, of requests under way": on(CONTROL, under_way),
    "HTTP/3 SETTINGS again": control(SETTINGS),
    "HTTP/3 MAX_PUSH_ID": control(encode_frame(0x0D, b"\x01")),
    "HTTP/3 CANCEL_PUSH": control(encode_frame(0x03, b"\x01")),
    "HTTP/3 PRIORITY_UPDATE": control(encode_frame(0xF0700, b"\x00u=1")),
    "HTTP/3 streams of unknown types": lambda: other_streams(b"\x21"),
    "HTTP/3 streams of unknown types, left open": lambda: left_open(b"\x21"),
    "HTTP/3 streams with half a type": lambda: left_open(b"\x40"),
    "QPACK table sizes": encoder(b"", b"\x20", b"\x3f\xe1\x1f"),
    "QPACK insertions": encoder(b"", b"\xc1\x00", b"\x41a\x01x"),
    "QPACK duplicates of a small entry": encoder(b"\x41a\x01x", b"\x00"),
    "QPACK duplicates of a large entry": encoder(b"\x41a\x7f\xd1\x0e" + bytes(2000), b"\x00"),
    "QPACK one insertion without end": encoder(b"\x41a\x7f\xff\xff\xff\x0f", bytes(1000)),
    "QPACK stream cancellations": on(DECODER, lambda: cycle([b"\x40", b"\x41"])),
    "QPACK insert counts": on(DECODER, lambda: cycle([b"\x01"])),
    "HTTP/3 responses that wait for the table": blocked,
    "HTTP/3 headers without their last byte": cut_heads,
    "HTTP/3 headers of 65,000 static fields": heads(b"\x00\x00\xd9" + b"\xc1" * 65_000),
    "HTTP/3 headers of 1,000 static fields": heads(b"\x00\x00\xd9" + b"\xc2" * 1_000),
    "HTTP/3 interim responses": interim,
    "HTTP/3 DATA of 1 byte": response(b"\x00\x01x"),
    "HTTP/3 DATA without content": response(b"\x00\x00"),
    "HTTP/3 unknown frames in a response": response(b"\x21\x00", b"\x22\x01x"),
}
# those whose work is compared with that of honest responses without content
RESPONSES = (
    "HTTP/3 headers of 65,000 static fields",
    "HTTP/3 headers of 1,000 static fields",
    "HTTP/3 interim responses",
)
