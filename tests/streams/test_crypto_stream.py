"""CRYPTO frames of one level, RFC 9000 sections 7.5 and 19.6."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.streams.harness import Packet, refused, send, send_all, sent_frames
from trioquic._protocol.errors import CRYPTO_BUFFER_EXCEEDED
from trioquic._protocol.streams.crypto_stream import LIMIT, CryptoStream

CONTENT = random.Random(3).randbytes(20_000)


def test_out_and_in() -> None:
    ours, peer = CryptoStream(), CryptoStream()
    assert not ours.has_pending()
    ours.write(CONTENT[:3000])
    ours.write(CONTENT[3000:5000])
    for packet in reversed(send_all(ours, 700)):
        for _name, offset, data in packet.frames:
            peer.on_crypto_untrusted(offset, data)
    assert peer.read() == CONTENT[:5000]
    assert peer.read() == b""


def test_lost_bytes_go_again_and_acknowledged_ones_do_not() -> None:
    stream = CryptoStream()
    stream.write(CONTENT[:2000])
    first, second = send_all(stream, 1100)
    first.lost()
    second.lost()
    second.acked()
    assert sent_frames(stream) == first.frames
    first.acked()
    first.lost()
    assert not stream.has_pending()


def test_the_buffer_has_a_limit_that_counts_from_the_reader() -> None:
    stream = CryptoStream()
    stream.on_crypto_untrusted(LIMIT - 1, b"x")
    with refused(CRYPTO_BUFFER_EXCEEDED):
        stream.on_crypto_untrusted(LIMIT, b"x")
    stream.on_crypto_untrusted(0, bytes(LIMIT - 1))
    assert len(stream.read()) == LIMIT
    stream.on_crypto_untrusted(LIMIT, bytes(LIMIT))
    with refused(CRYPTO_BUFFER_EXCEEDED):
        stream.on_crypto_untrusted((1 << 62) - 2, b"x")


def test_bytes_in_order_that_nobody_reads_count_too() -> None:
    stream = CryptoStream()
    stream.on_crypto_untrusted(0, bytes(LIMIT - 96))
    with refused(CRYPTO_BUFFER_EXCEEDED):
        stream.on_crypto_untrusted(LIMIT - 96, bytes(97))


def test_gaps_without_end() -> None:
    """As many as the limit has room for, at a price that does not depend on their number."""
    stream = CryptoStream()
    for offset in range(1, LIMIT, 2):
        stream.on_crypto_untrusted(offset, b"x")
    with refused(CRYPTO_BUFFER_EXCEEDED):
        stream.on_crypto_untrusted(LIMIT + 1, b"x")
    for offset in range(0, LIMIT, 2):
        stream.on_crypto_untrusted(offset, b"o")
    assert stream.read() == b"ox" * (LIMIT // 2)


def test_the_limit_is_not_below_what_the_specification_wants() -> None:
    assert LIMIT >= 4096


def test_discard() -> None:
    stream = CryptoStream()
    stream.write(CONTENT)
    packet = send(stream)
    stream.on_crypto_untrusted(5, b"x")
    stream.discard()
    packet.lost()
    packet.acked()
    assert not stream.has_pending()
    stream.on_crypto_untrusted(1 << 40, b"x")
    assert stream.read() == b""


def test_every_room() -> None:
    for room in range(1300):
        stream = CryptoStream()
        stream.write(CONTENT[:1250])
        packet = send(stream, room)
        assert sum(len(data) for _n, _o, data in packet.frames) >= min(1250, room - 4)


@given(st.integers(0, 1 << 32), st.lists(st.integers(1, 4000), max_size=5))
def test_exact_bytes_through_loss(seed: int, writes: list[int]) -> None:
    rng = random.Random(seed)
    ours, peer = CryptoStream(), CryptoStream()
    written = 0
    received = b""
    flying: list[Packet] = []
    while writes or ours.has_pending() or flying:
        if writes:
            size = writes.pop()
            ours.write(CONTENT[written : written + size])
            written += size
        if ours.has_pending():
            flying.append(send(ours, rng.randrange(40, 1300)))
        if flying and rng.random() < 0.7:
            packet = flying.pop(rng.randrange(len(flying)))
            if rng.random() < 0.3:
                packet.lost()
                continue
            for _name, offset, data in packet.frames:
                peer.on_crypto_untrusted(offset, data)
            packet.acked()
        received += peer.read()
    assert received == CONTENT[:written]
