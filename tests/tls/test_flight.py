"""Bad flights, bad messages after the handshake: each gets its alert."""

import pytest

from tests.peer import tls_server as peer
from tests.tls import pki
from tests.tls.scripted import (
    BAD_CERTIFICATE,
    DECODE_ERROR,
    DECRYPT_ERROR,
    ILLEGAL_PARAMETER,
    MISSING_EXTENSION,
    NO_APPLICATION_PROTOCOL,
    SHARE,
    UNEXPECTED_MESSAGE,
    UNSUPPORTED_EXTENSION,
    Change,
    extension,
    message,
    opaque,
    refused,
    rewriting,
    run,
)
from trioquic._protocol.errors import CRYPTO_ERROR, PROTOCOL_VIOLATION, BadPacketError
from trioquic._protocol.space import APPLICATION, HANDSHAKE, INITIAL
from trioquic._protocol.tls.assembler import MAX_MESSAGE
from trioquic._protocol.tls.certificate_message import MAX_CHAIN
from trioquic._protocol.tls.client import TlsClient


def with_extensions(extensions: bytes) -> Change:
    def change(data: bytes) -> bytes:
        return message(peer.ENCRYPTED_EXTENSIONS, opaque(2, extensions))

    return change


GOOD_ALPN = extension(16, opaque(2, opaque(1, b"h3")))
PARAMETERS = extension(0x39, b"")


def one_entry(extensions: bytes) -> bytes:
    entry = opaque(3, pki.der(pki.server_identity().certificate)) + opaque(2, extensions)
    return message(peer.CERTIFICATE, opaque(1, b"") + opaque(3, entry))


FLIGHT: dict[str, tuple[str, Change, int, str]] = {
    "no ALPN": (
        "encrypted_extensions",
        with_extensions(PARAMETERS),
        NO_APPLICATION_PROTOCOL,
        "chose no application protocol",
    ),
    "ALPN not offered": (
        "encrypted_extensions",
        with_extensions(PARAMETERS + extension(16, opaque(2, opaque(1, b"h2")))),
        NO_APPLICATION_PROTOCOL,
        "b'h2', never offered",
    ),
    "two ALPN protocols": (
        "encrypted_extensions",
        with_extensions(PARAMETERS + extension(16, opaque(2, opaque(1, b"h3") * 2))),
        DECODE_ERROR,
        "ALPN",
    ),
    "empty ALPN list": (
        "encrypted_extensions",
        with_extensions(PARAMETERS + extension(16, opaque(2, b""))),
        DECODE_ERROR,
        "ALPN",
    ),
    "no transport parameters": (
        "encrypted_extensions",
        with_extensions(GOOD_ALPN),
        MISSING_EXTENSION,
        "transport parameters",
    ),
    "key_share in EncryptedExtensions": (
        "encrypted_extensions",
        with_extensions(GOOD_ALPN + PARAMETERS + SHARE),
        ILLEGAL_PARAMETER,
        "extension 51",
    ),
    "early_data that was not offered": (
        "encrypted_extensions",
        with_extensions(GOOD_ALPN + PARAMETERS + extension(42, b"")),
        UNSUPPORTED_EXTENSION,
        "extension 42",
    ),
    "server_name with content": (
        "encrypted_extensions",
        with_extensions(GOOD_ALPN + PARAMETERS + extension(0, b"x")),
        DECODE_ERROR,
        "server_name",
    ),
    "bytes after EncryptedExtensions": (
        "encrypted_extensions",
        lambda data: message(peer.ENCRYPTED_EXTENSIONS, data[4:] + b"x"),
        DECODE_ERROR,
        "too many",
    ),
    "no certificate": (
        "certificate",
        lambda data: peer.certificate_message([]),
        DECODE_ERROR,
        "no certificate",
    ),
    "empty certificate": (
        "certificate",
        lambda data: peer.certificate_message([b""]),
        DECODE_ERROR,
        "too short",
    ),
    "certificate with a context": (
        "certificate",
        lambda data: message(peer.CERTIFICATE, opaque(1, b"c") + data[5:]),
        ILLEGAL_PARAMETER,
        "context",
    ),
    "no X.509": (
        "certificate",
        lambda data: peer.certificate_message([b"rubbish"]),
        BAD_CERTIFICATE,
        "malformed",
    ),
    "something stapled that was not asked for": (
        "certificate",
        lambda data: one_entry(extension(20, b"?")),
        UNSUPPORTED_EXTENSION,
        "extension 20",
    ),
    "endless chain": (
        "certificate",
        lambda data: peer.certificate_message([b"x"] * (MAX_CHAIN + 1)),
        BAD_CERTIFICATE,
        "over 32 certificates",
    ),
    "huge certificate": (
        "certificate",
        lambda data: peer.certificate_message([bytes(MAX_MESSAGE)]),
        ILLEGAL_PARAMETER,
        "bytes is refused",
    ),
    "PKCS#1 signature": (
        "certificate_verify",
        lambda data: message(peer.CERTIFICATE_VERIFY, b"\x04\x01" + data[6:]),
        ILLEGAL_PARAMETER,
        "0x0401",
    ),
    "SHA-1 signature": (
        "certificate_verify",
        lambda data: message(peer.CERTIFICATE_VERIFY, b"\x02\x03" + data[6:]),
        ILLEGAL_PARAMETER,
        "0x0203",
    ),
    "scheme for another kind of key": (
        "certificate_verify",
        lambda data: message(peer.CERTIFICATE_VERIFY, b"\x08\x04" + data[6:]),
        ILLEGAL_PARAMETER,
        "does not fit",
    ),
    "scheme for another curve": (
        "certificate_verify",
        lambda data: message(peer.CERTIFICATE_VERIFY, b"\x05\x03" + data[6:]),
        ILLEGAL_PARAMETER,
        "does not fit",
    ),
    "signature that is no DER": (
        "certificate_verify",
        lambda data: message(peer.CERTIFICATE_VERIFY, b"\x04\x03" + opaque(2, b"rubbish")),
        DECRYPT_ERROR,
        "does not hold the key",
    ),
    "empty signature": (
        "certificate_verify",
        lambda data: message(peer.CERTIFICATE_VERIFY, b"\x04\x03" + opaque(2, b"")),
        DECRYPT_ERROR,
        "does not hold the key",
    ),
    "changed Finished": (
        "finished",
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        DECRYPT_ERROR,
        "Finished does not match",
    ),
    "short Finished": (
        "finished",
        lambda data: message(peer.FINISHED, data[4:-1]),
        DECRYPT_ERROR,
        "Finished does not match",
    ),
    "no Finished": (
        "finished",
        lambda data: message(peer.NEW_SESSION_TICKET, b""),
        UNEXPECTED_MESSAGE,
        "NewSessionTicket",
    ),
    "certificate left out": (
        "certificate",
        lambda data: b"",
        UNEXPECTED_MESSAGE,
        "CertificateVerify",
    ),
    "CertificateVerify left out": (
        "certificate_verify",
        lambda data: b"",
        UNEXPECTED_MESSAGE,
        "Finished while",
    ),
}


@pytest.mark.parametrize("name", FLIGHT)
def test_flight(name: str) -> None:
    which, change, alert, text = FLIGHT[name]
    refused(rewriting(which, change), alert, text)


def test_more_after_finished() -> None:
    """RFC 9001 section 4.1.3: what is left when the keys change is no alert's affair."""
    script = rewriting("finished", lambda data: data + b"\x04")
    with pytest.raises(BadPacketError, match="more after Finished") as caught:
        run(pki.make_client(), script)
    assert caught.value.code == PROTOCOL_VIOLATION


CERTIFICATE_REQUESTS: dict[str, tuple[bytes, int, str]] = {
    "context": (
        opaque(1, b"c") + opaque(2, extension(13, opaque(2, b"\x04\x03"))),
        ILLEGAL_PARAMETER,
        "context",
    ),
    "no signature_algorithms": (opaque(1, b"") + opaque(2, b""), MISSING_EXTENSION, "lacks"),
    "no scheme": (
        opaque(1, b"") + opaque(2, extension(13, opaque(2, b""))),
        DECODE_ERROR,
        "no list",
    ),
    "half a scheme": (
        opaque(1, b"") + opaque(2, extension(13, opaque(2, b"\x04"))),
        DECODE_ERROR,
        "no list",
    ),
    "empty": (b"", DECODE_ERROR, "truncated"),
}


@pytest.mark.parametrize("name", CERTIFICATE_REQUESTS)
def test_certificate_request(name: str) -> None:
    body, alert, text = CERTIFICATE_REQUESTS[name]
    script = rewriting(
        "certificate_request",
        lambda data: message(peer.CERTIFICATE_REQUEST, body),
        request_certificate=True,
    )
    refused(script, alert, text)


def test_unknown_extensions_of_a_certificate_request_are_ignored() -> None:
    """RFC 8446 section 4.3.2, unlike in all other messages."""

    def change(data: bytes) -> bytes:
        extensions = extension(0x4242, b"?") + data[7:]
        return message(peer.CERTIFICATE_REQUEST, opaque(1, b"") + opaque(2, extensions))

    client = pki.make_client()
    run(client, rewriting("certificate_request", change, request_certificate=True))
    assert client.complete


def connected() -> TlsClient:
    client = pki.make_client()
    run(client, peer.TlsScript())
    assert client.complete
    return client


@pytest.mark.parametrize(
    ("data", "code", "text"),
    [
        (message(peer.KEY_UPDATE, b"\x00"), CRYPTO_ERROR + UNEXPECTED_MESSAGE, "message 24"),
        (message(peer.FINISHED, bytes(32)), CRYPTO_ERROR + UNEXPECTED_MESSAGE, "Finished"),
        (message(peer.CERTIFICATE_REQUEST, b""), PROTOCOL_VIOLATION, "CertificateRequest"),
        (peer.new_session_ticket(max_early_data=0), PROTOCOL_VIOLATION, "max_early_data"),
        (peer.new_session_ticket(ticket=b""), CRYPTO_ERROR + DECODE_ERROR, "too short"),
        (
            message(peer.NEW_SESSION_TICKET, b"\x00\x09\x3a\x81" + bytes(4) + b"\x00\x00\x01tXX"),
            CRYPTO_ERROR + DECODE_ERROR,
            "truncated",
        ),
        (
            message(peer.NEW_SESSION_TICKET, b"\x00\x09\x3a\x81" + bytes(4) + b"\x00\x00\x01t\0\0"),
            CRYPTO_ERROR + ILLEGAL_PARAMETER,
            "604801",
        ),
        (b"\x04\x02\x00\x00", CRYPTO_ERROR + ILLEGAL_PARAMETER, "131076 bytes is refused"),
    ],
)
def test_after_the_handshake(data: bytes, code: int, text: str) -> None:
    client = connected()
    with pytest.raises(BadPacketError, match=text) as caught:
        client.receive_untrusted(APPLICATION, data)
    assert caught.value.code == code


def test_a_good_ticket() -> None:
    client = connected()
    client.receive_untrusted(APPLICATION, peer.new_session_ticket(max_early_data=0xFFFFFFFF))
    client.receive_untrusted(APPLICATION, peer.new_session_ticket())
    assert [ticket.max_early_data for ticket in client.tickets.take()] == [0xFFFFFFFF, 0]


@pytest.mark.parametrize("level", [INITIAL, HANDSHAKE])
def test_data_of_earlier_levels(level: int) -> None:
    """RFC 9001 section 4.1.3."""
    client = connected()
    client.receive_untrusted(level, b"")
    with pytest.raises(BadPacketError, match="wrong encryption level") as caught:
        client.receive_untrusted(level, b"\x04")
    assert caught.value.code == PROTOCOL_VIOLATION
