"""The kinds of floods: each an endless or long series of frames, or of datagrams, as cheap for the
peer as it can be and as dear for the client.

All values change from frame to frame where the frame has any, so that no two are alike.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, cycle

from tests.peer.packets import APPLICATION
from tests.peer.tls_server import new_session_ticket
from tests.peer.wire import encode_new_token
from tests.peer.world import World
from trioquic._protocol.wire import frames as fr
from trioquic._protocol.wire.frames import encode_stream_header
from trioquic._protocol.wire.varint import encode_varint

# Streams 0, 4, 8 ... are the client's own; 1, 5, 9 ... are opened by the server, both ways, and
# 3, 7, 11 ... one way.
OURS, THEIRS = 0, 1
STREAMS = 100

Series = Callable[[World], Iterator[bytes]]


def piece(stream_id: int, offset: int, size: int = 1, fin: bool = False) -> bytes:
    return encode_stream_header(stream_id, offset, size, fin) + bytes(size)


# -- streams ---------------------------------------------------------------------------------------


def window_of(world: World, stream_id: int = OURS) -> int:
    half = world.client.streams._streams[stream_id].receive
    assert half is not None
    return half.window.limit


def sparse(world: World) -> Iterator[bytes]:
    """Every second byte of one stream, alone."""
    return (piece(OURS, at) for at in range(1, window_of(world), 2))


def sparse_backwards(world: World) -> Iterator[bytes]:
    return (piece(OURS, at) for at in range(window_of(world) - 1, 0, -2))


def sparse_everywhere(world: World) -> Iterator[bytes]:
    """Every second byte of fifty streams in turn."""
    streams = [n for number in range(25) for n in (number << 2, number << 2 | THEIRS)]
    for at in range(1, window_of(world) // len(streams), 2):
        for stream_id in streams:
            yield piece(stream_id, at)


def in_order(world: World) -> Iterator[bytes]:
    """Single bytes in order, which nobody reads."""
    return (piece(OURS, at) for at in range(window_of(world)))


def overlapping(world: World) -> Iterator[bytes]:
    """Single bytes with gaps, and then frames of 300 bytes over them that leave the first gap."""
    for start in range(1, window_of(world) - 301, 300):
        yield from (piece(OURS, at) for at in range(start, start + 300, 4))
        yield piece(OURS, start, 299)


def repeated(world: World) -> Iterator[bytes]:
    """The same single bytes over and over."""
    yield piece(OURS, 1000)
    yield from cycle([piece(OURS, at) for at in range(1, 900, 2)])


def empty(_world: World) -> Iterator[bytes]:
    return (piece(OURS, at & 0x3F, 0) for at in count())


def large(world: World) -> Iterator[bytes]:
    """Honest data, to the last byte of the window, which nobody reads."""
    return (piece(OURS, at, 1000) for at in range(0, window_of(world) - 1000, 1000))


def opened(_world: World) -> Iterator[bytes]:
    """Streams with one byte each, as many as there may be, opened and ended."""
    streams = [number << 2 | kind for number in range(STREAMS) for kind in (1, 3)]
    return cycle([piece(stream_id, 0, 1, True) for stream_id in streams])


def resets(_world: World) -> Iterator[bytes]:
    """Streams that are reset, over and over."""
    streams = [number << 2 | kind for number in range(STREAMS) for kind in (1, 3)]
    return (
        fr.encode_integers(fr.RESET_STREAM, n, value & 0x3F, 0)
        for n, value in zip(cycle(streams), count())
    )


def stops(_world: World) -> Iterator[bytes]:
    streams = [number << 2 for number in range(STREAMS)]
    return (
        fr.encode_integers(fr.STOP_SENDING, n, value & 0x3F)
        for n, value in zip(cycle(streams), count())
    )


# -- credit ----------------------------------------------------------------------------------------


def changing(encode: Callable[[int], bytes], below: int = 1 << 6, start: int = 0) -> Series:
    return lambda _world: (encode(start + value % below) for value in count())


CREDIT: dict[str, Series] = {
    "MAX_DATA": changing(lambda value: fr.encode_integers(fr.MAX_DATA, value)),
    "MAX_DATA, rising": changing(
        lambda value: fr.encode_integers(fr.MAX_DATA, value), 1 << 40, 1 << 21
    ),
    "MAX_STREAM_DATA": changing(lambda value: fr.encode_integers(fr.MAX_STREAM_DATA, OURS, value)),
    "MAX_STREAM_DATA, rising": changing(
        lambda value: fr.encode_integers(fr.MAX_STREAM_DATA, value % STREAMS << 2, value),
        1 << 40,
        1 << 20,
    ),
    "MAX_STREAMS": changing(
        lambda value: fr.encode_integers(fr.MAX_STREAMS_BIDI + (value & 1), value)
    ),
    "MAX_STREAMS, rising": changing(
        lambda value: fr.encode_integers(fr.MAX_STREAMS_BIDI + (value & 1), value), 1 << 40, 1 << 10
    ),
    "DATA_BLOCKED": changing(lambda value: fr.encode_integers(fr.DATA_BLOCKED, value)),
    "STREAM_DATA_BLOCKED": changing(
        lambda value: fr.encode_integers(fr.STREAM_DATA_BLOCKED, OURS, value)
    ),
    "STREAMS_BLOCKED": changing(
        lambda value: fr.encode_integers(fr.STREAMS_BLOCKED_BIDI + (value & 1), value)
    ),
}

# -- handshake, tokens, IDs, paths -----------------------------------------------------------------


def crypto_gaps(world: World) -> Iterator[bytes]:
    """Every second byte of the handshake's stream, as far as it is buffered."""
    base = world.peer._crypto_sent[APPLICATION]
    return (fr.encode_crypto(base + at, b"t") for at in range(1, 60_000, 2))


def crypto_in_order(world: World) -> Iterator[bytes]:
    """Long tickets, each byte alone."""
    offset = world.peer._crypto_sent[APPLICATION]
    message = new_session_ticket(ticket=bytes(60_000))
    return (
        fr.encode_crypto(offset + at, message[at % len(message)].to_bytes(1, "big"))
        for at in count()
    )


def small_tickets(world: World) -> Iterator[bytes]:
    offset = world.peer._crypto_sent[APPLICATION]
    messages = new_session_ticket(ticket=b"t") * 30
    return (fr.encode_crypto(at, messages) for at in count(offset, len(messages)))


def tickets(world: World) -> Iterator[bytes]:
    offset = world.peer._crypto_sent[APPLICATION]
    for number in count():
        message = new_session_ticket(ticket=number.to_bytes(8, "big") * 4)
        yield fr.encode_crypto(offset, message)
        offset += len(message)


def tokens(_world: World) -> Iterator[bytes]:
    return (encode_new_token(bytes([value & 0xFF])) for value in count())


def new_ids(world: World) -> Iterator[bytes]:
    """The same IDs over and over."""
    known = [(n, *world.peer.issued[n]) for n in world.peer.issued if n not in world.peer.retired]
    frames = [fr.encode_new_connection_id(n, 0, cid, token) for n, cid, token in known[1:]]
    return cycle(frames)


def withdrawn_ids(world: World) -> Iterator[bytes]:
    """Each new ID withdraws all the others, and no retirement is acknowledged in time."""
    for number in count(max(world.peer.issued) + 1):
        cid = b"\xc0" + number.to_bytes(4, "big") + b"cid"
        world.peer.issued[number] = (cid, cid + cid)
        yield fr.encode_new_connection_id(number, number, cid, cid + cid)


def retirements(_world: World) -> Iterator[bytes]:
    """The client's IDs but the one in use, over and over."""
    return (fr.encode_integers(fr.RETIRE_CONNECTION_ID, 1 + value % 3) for value in count())


def questions(_world: World) -> Iterator[bytes]:
    return (fr.encode_path_data(fr.PATH_CHALLENGE, value.to_bytes(8, "big")) for value in count())


def answers(_world: World) -> Iterator[bytes]:
    return (fr.encode_path_data(fr.PATH_RESPONSE, value.to_bytes(8, "big")) for value in count())


# -- the rest --------------------------------------------------------------------------------------


def acks(world: World) -> Iterator[bytes]:
    """Short ACK frames that say nothing new."""
    largest = max(world.peer._received[APPLICATION])
    return (fr.encode_ack([(largest, largest)], value & 0x3F, None) for value in count())


def ack_ranges(world: World) -> Iterator[bytes]:
    """ACK frames of many ranges."""
    largest = max(world.peer._received[APPLICATION])
    low = [(number, number) for number in range(largest, max(0, largest - 128), -2)]
    return (fr.encode_ack(low, value & 0x3F, None) for value in count())


def datagrams(size: int) -> Series:
    body = bytes(size)
    return lambda _world: (b"\x31" + encode_varint(size) + body for _ in count())


def in_turn(*series: Series) -> Series:
    """One frame of each in turn, so that no two of one kind follow each other."""
    return lambda world: (
        frame for frames in zip(*(each(world) for each in series), strict=False) for frame in frames
    )


RISING: Series = CREDIT["MAX_STREAM_DATA, rising"]

FRAMES: dict[str, Series] = {
    "STREAM, every second byte": sparse,
    "STREAM, every second byte, the last first": sparse_backwards,
    "STREAM, every second byte of 50 streams": sparse_everywhere,
    "STREAM, single bytes in order": in_order,
    "STREAM, gaps and what covers them": overlapping,
    "STREAM, the same bytes again": repeated,
    "STREAM without data": empty,
    "STREAM, the same FIN again": lambda _world: cycle(
        [piece(number << 2, 0, 0, True) for number in range(16)]
    ),
    "STREAM, a whole window": large,
    "STREAM, 200 streams opened and ended": opened,
    "RESET_STREAM": resets,
    "STOP_SENDING": stops,
    **CREDIT,
    "CRYPTO, every second byte": crypto_gaps,
    "CRYPTO, single bytes in order": crypto_in_order,
    "CRYPTO without data": lambda world: cycle(
        [fr.encode_crypto(world.peer._crypto_sent[APPLICATION], b"")]
    ),
    "CRYPTO, session tickets": tickets,
    "CRYPTO, small session tickets": small_tickets,
    "NEW_TOKEN": tokens,
    "NEW_CONNECTION_ID, the same again": new_ids,
    "NEW_CONNECTION_ID, all others withdrawn": withdrawn_ids,
    "RETIRE_CONNECTION_ID": retirements,
    "PATH_CHALLENGE": questions,
    "PATH_RESPONSE": answers,
    "PING": lambda _world: cycle([b"\x01"]),
    "PADDING": lambda _world: cycle([bytes(1000)]),
    "ACK": acks,
    "ACK, 64 ranges": ack_ranges,
    "HANDSHAKE_DONE": lambda _world: cycle([b"\x1e"]),
    "DATAGRAM without data": datagrams(0),
    "DATAGRAM of 1,000 bytes": datagrams(1000),
    "three kinds in turn": in_turn(acks, crypto_gaps, RISING),
    "three kinds in turn, 130 bytes": in_turn(acks, crypto_gaps, RISING),
    "six kinds in turn, 400 bytes": in_turn(acks, crypto_gaps, acks, RISING, acks, sparse),
}
SMALL: dict[str, int] = {
    "three kinds in turn, 130 bytes": 130,
    "six kinds in turn, 400 bytes": 400,
}
"""What comes in packets of so many bytes, and not in full ones."""

# -- datagrams as they come ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shape:
    """Datagrams of one size, which nobody has authenticated, or whose frames cost nothing."""

    size: int
    make: Callable[[World, random.Random], bytes]


def garbage(size: int) -> Shape:
    """Short headers with our connection ID, then noise."""

    def make(world: World, rng: random.Random) -> bytes:
        head = b"\x43" + world.peer.client_ids[world.peer.path_ids[0]][0]
        return (head + rng.randbytes(size))[:size]

    return Shape(size, make)


def with_holes(world: World, _rng: random.Random) -> bytes:
    number = world.peer.next_number[APPLICATION] + 1
    return world.peer.seal(APPLICATION, b"\x01", number=number, pad_to=40)


def long_headers(_world: World, rng: random.Random) -> bytes:
    return b"\xe3\x00\x00\x00\x01\x08" + rng.randbytes(8) + b"\x00\x41\x00" + rng.randbytes(300)


DATAGRAMS: dict[str, Shape] = {
    "garbage of 1 byte": Shape(1, lambda _world, _rng: b"\x43"),
    "garbage of 40 bytes": garbage(40),
    "garbage of 1,260 bytes": garbage(1260),
    "garbage with long headers": Shape(317, long_headers),
    "every second packet number": Shape(40, with_holes),
}
