"""The server's Certificate (RFC 8446 section 4.4.2): plain or compressed (RFC 8879), and what is
stapled to it.

A certificate's OCSP response (RFC 6066 section 8) and the timestamps of certificate logs (RFC 6962
section 3.3) come as extensions of its entry. They are handed on as they are: only their form is
checked here, and nobody below the application judges them.

A compressed message says how long it will be. That is held against the limit of a plain one before
anything is decompressed, and no more than one byte beyond it is ever produced.
"""

import zlib
from dataclasses import dataclass
from typing import Final

from .alerts import BAD_CERTIFICATE, DECODE_ERROR, ILLEGAL_PARAMETER, tls_error
from .assembler import HEADER_SIZE, MAX_MESSAGE
from .codec import Cursor
from .extensions import (
    IN_CERTIFICATE,
    SIGNED_CERTIFICATE_TIMESTAMP,
    STATUS_REQUEST,
    check_untrusted,
    read_extensions_untrusted,
)

MAX_CHAIN: Final = 32
ZLIB: Final = 1
OCSP: Final = 1


@dataclass(frozen=True, slots=True)
class CertificateMessage:
    """DER certificates, leaf first, and what was stapled to the leaf."""

    chain: tuple[bytes, ...]
    ocsp_response: bytes | None
    signed_certificate_timestamps: bytes | None


def decompress_untrusted(body: bytes) -> bytes:
    """The body of the Certificate that a CompressedCertificate stands for (RFC 8879 section 4)."""
    cursor = Cursor(body, "CompressedCertificate")
    algorithm = cursor.number_untrusted(2)
    size = cursor.number_untrusted(3)
    compressed = cursor.vector_untrusted(3, minimum=1)
    cursor.finish_untrusted()
    if algorithm != ZLIB:
        raise tls_error(ILLEGAL_PARAMETER, f"certificate compression {algorithm} was not offered")
    if size > MAX_MESSAGE - HEADER_SIZE:
        raise tls_error(BAD_CERTIFICATE, f"a Certificate of {size} bytes is refused")
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(compressed, size + 1)
    except zlib.error:
        raise tls_error(BAD_CERTIFICATE, "CompressedCertificate is no zlib data") from None
    if len(content) != size or not stream.eof or stream.unused_data:
        raise tls_error(BAD_CERTIFICATE, "CompressedCertificate is not as long as it says")
    return content


def parse_chain_untrusted(body: bytes, offered: frozenset[int]) -> CertificateMessage:
    """`offered` are the extensions of our ClientHello: nothing else may be stapled."""
    cursor = Cursor(body, "Certificate")
    context = cursor.vector_untrusted(1)
    entries = Cursor(cursor.vector_untrusted(3), "Certificate, list,")
    cursor.finish_untrusted()
    if context:
        raise tls_error(ILLEGAL_PARAMETER, "the server's Certificate has a context")
    chain: list[bytes] = []
    ocsp_response: bytes | None = None
    timestamps: bytes | None = None
    while not entries.at_end():
        if len(chain) == MAX_CHAIN:
            raise tls_error(BAD_CERTIFICATE, f"a chain of over {MAX_CHAIN} certificates is refused")
        chain.append(entries.vector_untrusted(3, minimum=1))
        extensions = read_extensions_untrusted(entries)
        check_untrusted(extensions, IN_CERTIFICATE, offered, "Certificate")
        response = _ocsp_response_untrusted(extensions.get(STATUS_REQUEST))
        stamps = _timestamps_untrusted(extensions.get(SIGNED_CERTIFICATE_TIMESTAMP))
        if len(chain) == 1:
            ocsp_response, timestamps = response, stamps
    if not chain:
        # RFC 8446 section 4.4.2.4: decode_error for an empty server certificate
        raise tls_error(DECODE_ERROR, "the server sent no certificate")
    return CertificateMessage(tuple(chain), ocsp_response, timestamps)


def _ocsp_response_untrusted(content: bytes | None) -> bytes | None:
    """RFC 8446 section 4.4.2.1: a CertificateStatus; of its types only OCSP was asked for."""
    if content is None:
        return None
    cursor = Cursor(content, "Certificate, status_request,")
    status_type = cursor.number_untrusted(1)
    if status_type != OCSP:
        raise tls_error(ILLEGAL_PARAMETER, f"certificate status of type {status_type}")
    response = cursor.vector_untrusted(3, minimum=1)
    cursor.finish_untrusted()
    return response


def _timestamps_untrusted(content: bytes | None) -> bytes | None:
    """RFC 6962 section 3.3: a list of timestamps; it is given out whole."""
    if content is None:
        return None
    cursor = Cursor(content, "Certificate, signed_certificate_timestamp,")
    stamps = Cursor(cursor.vector_untrusted(2, minimum=1), cursor.what)
    cursor.finish_untrusted()
    while not stamps.at_end():
        stamps.vector_untrusted(2, minimum=1)
    return content
