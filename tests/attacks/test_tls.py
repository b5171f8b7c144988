"""Attacks 14 to 18: CRYPTO data, TLS messages, certificates, tokens and tickets."""

import struct
import zlib
from collections.abc import Callable

import pytest

from tests.attacks.expect import closed_with, goes_on, released
from tests.attacks.handshakes import (
    BAD_CERTIFICATE,
    CERTIFICATE_EXPIRED,
    CERTIFICATE_UNKNOWN,
    DECODE_ERROR,
    DECRYPT_ERROR,
    ILLEGAL_PARAMETER,
    UNEXPECTED_MESSAGE,
    UNKNOWN_CA,
    refused,
    silent,
    with_tls,
)
from tests.peer.certificates import SERVER_NAME, identity
from tests.peer.packets import APPLICATION, HANDSHAKE, INITIAL
from tests.peer.script import (
    ServerScript,
)
from tests.peer.tls_server import (
    CERTIFICATE_VERIFY,
    COMPRESSED_CERTIFICATE,
    KEY_UPDATE,
    TlsScript,
    certificate_message,
    extension,
    message,
    new_session_ticket,
    opaque,
)
from tests.peer.wire import encode_new_token
from tests.peer.world import World
from trioquic._protocol import events as ev
from trioquic._protocol.errors import (
    CRYPTO_BUFFER_EXCEEDED,
    CRYPTO_ERROR,
    FRAME_ENCODING_ERROR,
    PROTOCOL_VIOLATION,
)
from trioquic._protocol.wire import frames as fr

# --- 14 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [200_000, 1 << 32, (1 << 62) - 2])
@pytest.mark.parametrize("space", [INITIAL, APPLICATION])
def test_14_crypto_data_far_ahead(space: int, offset: int) -> None:
    world = silent() if space == INITIAL else World().connect()
    world.attack(fr.encode_crypto(offset, b"x"), space)
    closed_with(world, CRYPTO_BUFFER_EXCEEDED)


def test_14_crypto_data_with_gaps_without_end() -> None:
    """One byte in two, for ever: it ends with an error, not with the memory."""
    world = silent()
    for start in range(1, 200_000, 400):
        parts = [fr.encode_crypto(start + at, b"x") for at in range(0, 400, 4)]
        world.peer.send(INITIAL, b"".join(parts))
        if world.terminated is not None:
            break
        world.run_for(2 * world.delay)
    world.settle()
    closed_with(world, CRYPTO_BUFFER_EXCEEDED)


def test_14_at_least_4_kib_are_buffered() -> None:
    """The handshake arrives with its beginning last."""
    script = with_tls(rewrite=long_flight)
    script.send_crypto = False
    world = World(script)
    world.run_until(lambda: world.peer.tls.output)
    (level, hello), *rest = world.peer.tls.output
    assert level == INITIAL
    world.peer.send_crypto(INITIAL, hello)
    flight = b"".join(data for _, data in rest)
    assert len(flight) > 4096
    for start in reversed(range(0, len(flight), 1000)):
        frame = fr.encode_crypto(start, flight[start : start + 1000])
        world.peer.send(HANDSHAKE, frame)
        world.run_for(2 * world.delay)
    world.peer.tls.output.clear()
    world.connect()
    goes_on(world)


def long_flight(name: str, data: bytes) -> bytes:
    """Makes the Certificate message as long as a chain of four."""
    if name == "certificate":
        return certificate_message(identity().chain * 8)
    return data


# --- 15 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("requested", [0, 1])
def test_15_tls_key_update_message(requested: int) -> None:
    world = World().connect()
    world.peer.send_crypto(APPLICATION, message(KEY_UPDATE, bytes([requested])))
    world.settle()
    closed_with(world, CRYPTO_ERROR + UNEXPECTED_MESSAGE)


def test_15_tls_key_update_message_during_the_handshake() -> None:
    world = silent()
    world.peer.send_crypto(INITIAL, world.peer.tls.output[0][1])
    world.peer.send_crypto(HANDSHAKE, message(KEY_UPDATE, b"\x00"))
    world.settle()
    closed_with(world, CRYPTO_ERROR + UNEXPECTED_MESSAGE)


# --- 16 -----------------------------------------------------------------------------------------


def test_16_certificate_for_another_name() -> None:
    script = with_tls(identity=identity("other.test"))
    world = World(script)
    world.run_until(lambda: world.terminated)
    world.settle()
    event = world.terminated
    assert event is not None
    assert event.code in (CRYPTO_ERROR + BAD_CERTIFICATE, CRYPTO_ERROR + CERTIFICATE_UNKNOWN)
    closed_with(world, event.code)
    assert SERVER_NAME in event.reason
    assert not released(world)


def test_16_expired_certificate() -> None:
    refused(with_tls(identity=identity(expired=True)), CRYPTO_ERROR + CERTIFICATE_EXPIRED)


def test_16_untrusted_certificate() -> None:
    refused(with_tls(identity=identity(number=1)), CRYPTO_ERROR + UNKNOWN_CA)


def rewriting(name: str, change: Callable[[bytes], bytes]) -> ServerScript:
    def rewrite(seen: str, data: bytes) -> bytes:
        return change(data) if seen == name else data

    return with_tls(rewrite=rewrite)


def flip_last_bit(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_16_certificates_that_are_a_bomb_when_decompressed() -> None:
    """RFC 8879 section 4: it says that it is as long as a plain one may be, and is 8 MiB long."""
    content = zlib.compress(bytes(8 << 20))
    body = b"\x00\x01" + (128 * 1024 - 4).to_bytes(3, "big") + opaque(3, content)
    script = rewriting("certificate", lambda data: message(COMPRESSED_CERTIFICATE, body))
    refused(script, CRYPTO_ERROR + BAD_CERTIFICATE)


def test_16_bad_certificate_verify() -> None:
    script = rewriting("certificate_verify", flip_last_bit)
    refused(script, CRYPTO_ERROR + DECRYPT_ERROR)


def test_16_certificate_verify_with_a_signature_algorithm_not_offered() -> None:
    def change(data: bytes) -> bytes:
        return message(CERTIFICATE_VERIFY, b"\x02\x01" + data[6:])

    world = refused(rewriting("certificate_verify", change), CRYPTO_ERROR + ILLEGAL_PARAMETER)
    assert world.terminated is not None


def test_16_bad_finished() -> None:
    refused(rewriting("finished", flip_last_bit), CRYPTO_ERROR + DECRYPT_ERROR)


def test_16_empty_chain() -> None:
    script = rewriting("certificate", lambda _: certificate_message([]))
    refused(script, CRYPTO_ERROR + DECODE_ERROR)


def test_16_a_chain_that_is_not_x509() -> None:
    script = rewriting("certificate", lambda _: certificate_message([b"not a certificate"]))
    refused(script, CRYPTO_ERROR + BAD_CERTIFICATE)


def test_16_oversized_chain_ends_before_it_is_buffered() -> None:
    """The header announces 16 MiB: the alert comes with the announcement."""
    world = silent()
    world.peer.send_crypto(INITIAL, world.peer.tls.output[0][1])
    encrypted_extensions = world.peer.tls.output[1][1]
    world.peer.send_crypto(HANDSHAKE, encrypted_extensions)
    world.peer.send_crypto(HANDSHAKE, b"\x0b\xff\xff\xff" + bytes(100))
    world.settle()
    event = world.terminated
    assert event is not None
    assert CRYPTO_ERROR <= event.code <= CRYPTO_ERROR + 255
    closed_with(world, event.code)
    assert not released(world)


@pytest.mark.parametrize(
    ("name", "change", "alert"),
    [
        # a cipher suite that was not offered
        ("server_hello", lambda d: d[:39] + b"\x13\x04" + d[41:], ILLEGAL_PARAMETER),
        # an extension that was not asked for (RFC 8446 section 4.2)
        (
            "encrypted_extensions",
            lambda d: message(8, opaque(2, d[6:] + extension(0x4242, b""))),
            110,
        ),
        # the same extension twice
        (
            "encrypted_extensions",
            lambda d: message(8, opaque(2, d[6:] + extension(16, b"\x00\x05\x04test"))),
            ILLEGAL_PARAMETER,
        ),
        ("server_hello", lambda d: message(2, d[4:-1]), DECODE_ERROR),
    ],
)
def test_16_other_broken_messages(name: str, change: Callable[[bytes], bytes], alert: int) -> None:
    refused(rewriting(name, change), CRYPTO_ERROR + alert)


def test_16_second_hello_retry_request() -> None:
    tls = TlsScript(retry_group=0x18, hello_retries=2, groups=(0x18,))
    refused(ServerScript(tls=tls), CRYPTO_ERROR + UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("size", [8192, 8193, 65_500])
def test_16_a_cookie_larger_than_a_client_hello_can_carry(size: int) -> None:
    """It comes in an Initial packet, which anybody on the way can make."""
    tls = TlsScript(retry_group=0x18, groups=(0x18,), cookie=b"c" * size)
    if size == 8192:
        World(ServerScript(tls=tls)).connect()
    else:
        refused(ServerScript(tls=tls), CRYPTO_ERROR + ILLEGAL_PARAMETER)


# --- 17 -----------------------------------------------------------------------------------------


def test_17_handshake_done_too_early() -> None:
    world = silent()
    world.peer.send_crypto(INITIAL, world.peer.tls.output[0][1])
    world.settle()
    world.attack(b"\x1e", HANDSHAKE)
    closed_with(world, PROTOCOL_VIOLATION, 0x1E)
    assert not world.seen(ev.HandshakeConfirmed)


def test_17_handshake_done_in_1_rtt_before_our_finished() -> None:
    """It waits for its keys, and then says that the server knew what it cannot have known."""
    world = silent()
    world.peer.send(APPLICATION, b"\x1e")
    world.settle()
    assert world.terminated is None
    world.peer.send_flight()
    world.settle()
    closed_with(world, PROTOCOL_VIOLATION, 0x1E)
    assert not world.seen(ev.HandshakeConfirmed)


def test_17_empty_new_token() -> None:
    world = World().connect()
    world.attack(b"\x07\x00")
    closed_with(world, FRAME_ENCODING_ERROR, 0x07)


def test_17_tokens_are_capped() -> None:
    world = World().connect()
    for number in range(100):
        world.peer.send(APPLICATION, encode_new_token(b"token %d" % number + bytes(500)))
        world.run_for(2 * world.delay)
    assert 1 <= len(world.seen(ev.TokenReceived)) <= 16
    goes_on(world)


def test_17_tickets_are_capped() -> None:
    world = World().connect()
    for number in range(100):
        ticket = new_session_ticket(ticket=b"ticket %d" % number + bytes(900))
        world.peer.send_crypto(APPLICATION, ticket)
        world.run_for(2 * world.delay)
    assert world.client.statistics().session_tickets == 100
    assert world.client._parts.handshake.tls.tickets.take() == []
    goes_on(world)


def test_17_no_more_tickets_are_passed_on_than_anybody_needs() -> None:
    world = World(keep_tickets=True).connect()
    for number in range(100):
        ticket = new_session_ticket(ticket=b"ticket %d" % number + bytes(900))
        world.peer.send_crypto(APPLICATION, ticket)
        world.run_for(2 * world.delay)
    found = [e.resumption.ticket for e in world.events if isinstance(e, ev.TicketReceived)]
    # the first ones: the work ends, however long the server goes on
    assert found == [b"ticket %d" % number + bytes(900) for number in range(16)]
    goes_on(world)


# --- 18 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, 1, 0xFFFFFFFE])
def test_18_ticket_with_another_max_early_data(limit: int) -> None:
    world = World().connect()
    world.peer.send_crypto(APPLICATION, new_session_ticket(limit))
    world.settle()
    closed_with(world, PROTOCOL_VIOLATION)


def test_18_ticket_with_the_right_max_early_data() -> None:
    world = World().connect()
    world.peer.send_crypto(APPLICATION, new_session_ticket(0xFFFFFFFF))
    world.settle()
    goes_on(world)


def test_18_ticket_that_is_cut_short() -> None:
    world = World().connect()
    body = struct.pack(">II", 7200, 1) + b"\x05ab"
    world.peer.send_crypto(APPLICATION, message(4, body))
    world.settle()
    closed_with(world, CRYPTO_ERROR + DECODE_ERROR)
