"""Handshake messages (RFC 8446 section 4): the server's are parsed, the client's are written.

Parsing checks the shape of a message; whether its content is acceptable is judged by `hello` and
`client`, which know what was offered. The server's Certificate has a file of its own,
`certificate_message`.
"""

from dataclasses import dataclass
from typing import Final

from .alerts import DECODE_ERROR, ILLEGAL_PARAMETER, MISSING_EXTENSION, quic_error, tls_error
from .codec import Cursor, vector8, vector16, vector24
from .extensions import EARLY_DATA, SIGNATURE_ALGORITHMS, read_extensions_untrusted

CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
NEW_SESSION_TICKET: Final = 4
ENCRYPTED_EXTENSIONS: Final = 8
CERTIFICATE: Final = 11
CERTIFICATE_REQUEST: Final = 13
CERTIFICATE_VERIFY: Final = 15
FINISHED: Final = 20
COMPRESSED_CERTIFICATE: Final = 25
MESSAGE_HASH: Final = 254

LEGACY_VERSION: Final = 0x0303
# SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3)
RETRY_RANDOM: Final = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)
MAX_TICKET_LIFETIME: Final = 604800  # seven days, RFC 8446 section 4.6.1
QUIC_EARLY_DATA: Final = 0xFFFFFFFF  # RFC 9001 section 4.6.1


@dataclass(frozen=True, slots=True)
class ServerHello:
    """ServerHello or, told apart by its random, HelloRetryRequest."""

    legacy_version: int
    random: bytes
    session_id: bytes
    cipher_suite: int
    compression: int
    extensions: dict[int, bytes]


@dataclass(frozen=True, slots=True)
class SessionTicket:
    """What a NewSessionTicket says."""

    lifetime: int
    age_add: int
    nonce: bytes
    ticket: bytes
    max_early_data: int


def encode_message(kind: int, body: bytes) -> bytes:
    """A handshake message with its four-byte header."""
    return kind.to_bytes(1, "big") + vector24(body)


def parse_server_hello_untrusted(body: bytes) -> ServerHello:
    cursor = Cursor(body, "ServerHello")
    legacy_version = cursor.number_untrusted(2)
    random = cursor.take_untrusted(32)
    session_id = cursor.vector_untrusted(1)
    cipher_suite = cursor.number_untrusted(2)
    compression = cursor.number_untrusted(1)
    # A TLS 1.2 server may leave the whole block out; `hello` then finds the version missing.
    extensions = {} if cursor.at_end() else read_extensions_untrusted(cursor)
    cursor.finish_untrusted()
    return ServerHello(legacy_version, random, session_id, cipher_suite, compression, extensions)


def parse_encrypted_extensions_untrusted(body: bytes) -> dict[int, bytes]:
    cursor = Cursor(body, "EncryptedExtensions")
    extensions = read_extensions_untrusted(cursor)
    cursor.finish_untrusted()
    return extensions


def parse_certificate_request_untrusted(body: bytes) -> tuple[int, ...]:
    """The signature schemes the server takes. Unknown extensions are ignored (section 4.3.2)."""
    cursor = Cursor(body, "CertificateRequest")
    context = cursor.vector_untrusted(1)
    extensions = read_extensions_untrusted(cursor)
    cursor.finish_untrusted()
    if context:
        # RFC 8446 section 4.3.2: empty unless the request comes after the handshake
        raise tls_error(ILLEGAL_PARAMETER, "CertificateRequest has a context")
    content = extensions.get(SIGNATURE_ALGORITHMS)
    if content is None:
        raise tls_error(MISSING_EXTENSION, "CertificateRequest lacks signature_algorithms")
    schemes = Cursor(content, "CertificateRequest, signature_algorithms,")
    content = schemes.vector_untrusted(2)
    schemes.finish_untrusted()
    if not content or len(content) % 2:
        raise tls_error(DECODE_ERROR, "signature_algorithms is no list of 2-byte numbers")
    return tuple([int.from_bytes(content[at : at + 2], "big") for at in range(0, len(content), 2)])


def parse_certificate_verify_untrusted(body: bytes) -> tuple[int, bytes]:
    """(signature scheme, signature)"""
    cursor = Cursor(body, "CertificateVerify")
    scheme = cursor.number_untrusted(2)
    signature = cursor.vector_untrusted(2)
    cursor.finish_untrusted()
    return scheme, signature


def parse_new_session_ticket_untrusted(body: bytes) -> SessionTicket:
    cursor = Cursor(body, "NewSessionTicket")
    lifetime = cursor.number_untrusted(4)
    age_add = cursor.number_untrusted(4)
    nonce = cursor.vector_untrusted(1)
    ticket = cursor.vector_untrusted(2, minimum=1)
    extensions = read_extensions_untrusted(cursor)
    cursor.finish_untrusted()
    if lifetime > MAX_TICKET_LIFETIME:
        raise tls_error(ILLEGAL_PARAMETER, f"a ticket's lifetime of {lifetime} s is too long")
    max_early_data = 0
    content = extensions.get(EARLY_DATA)
    if content is not None:
        limit = Cursor(content, "NewSessionTicket, early_data,")
        max_early_data = limit.number_untrusted(4)
        limit.finish_untrusted()
        if max_early_data != QUIC_EARLY_DATA:
            raise quic_error(f"a ticket's max_early_data is {max_early_data}")
    return SessionTicket(lifetime, age_add, nonce, ticket, max_early_data)


def encode_client_hello(random: bytes, cipher_suites: bytes, extensions: bytes) -> bytes:
    """`cipher_suites` is a ready vector, `extensions` the encoded extensions one after another."""
    body = (
        LEGACY_VERSION.to_bytes(2, "big")
        + random
        + vector8(b"")  # RFC 9001 section 8.4: no compatibility mode, so no session ID
        + cipher_suites
        + vector8(b"\x00")  # the null compression method
        + vector16(extensions)
    )
    return encode_message(CLIENT_HELLO, body)


def encode_certificate(chain: tuple[bytes, ...]) -> bytes:
    """The client's Certificate; an empty chain means that there is none to show."""
    entries = [vector24(certificate) + vector16(b"") for certificate in chain]
    return encode_message(CERTIFICATE, vector8(b"") + vector24(b"".join(entries)))


def encode_certificate_verify(scheme: int, signature: bytes) -> bytes:
    return encode_message(CERTIFICATE_VERIFY, scheme.to_bytes(2, "big") + vector16(signature))
