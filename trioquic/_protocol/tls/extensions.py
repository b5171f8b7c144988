"""Hello extensions: a list of (type, content) pairs (RFC 8446 section 4.2).

A server may only answer what was offered, only in the message the RFC names for it, and only
once. `check_untrusted` enforces that for a whole message, so that the readers of single
extensions need not think of it.
"""

from collections.abc import Mapping
from typing import Final

from .alerts import ILLEGAL_PARAMETER, UNSUPPORTED_EXTENSION, tls_error
from .codec import Cursor, vector16

SERVER_NAME: Final = 0
STATUS_REQUEST: Final = 5
SUPPORTED_GROUPS: Final = 10
SIGNATURE_ALGORITHMS: Final = 13
ALPN: Final = 16
SIGNED_CERTIFICATE_TIMESTAMP: Final = 18
COMPRESS_CERTIFICATE: Final = 27
PRE_SHARED_KEY: Final = 41
EARLY_DATA: Final = 42
SUPPORTED_VERSIONS: Final = 43
COOKIE: Final = 44
PSK_KEY_EXCHANGE_MODES: Final = 45
KEY_SHARE: Final = 51
QUIC_TRANSPORT_PARAMETERS: Final = 57

# RFC 8446 section 4.2: which of the extensions we may offer can come back in which message
IN_SERVER_HELLO: Final = frozenset((KEY_SHARE, SUPPORTED_VERSIONS, PRE_SHARED_KEY))
IN_HELLO_RETRY_REQUEST: Final = frozenset((KEY_SHARE, SUPPORTED_VERSIONS, COOKIE))
IN_ENCRYPTED_EXTENSIONS: Final = frozenset(
    (SERVER_NAME, SUPPORTED_GROUPS, ALPN, EARLY_DATA, QUIC_TRANSPORT_PARAMETERS)
)
IN_CERTIFICATE: Final = frozenset((STATUS_REQUEST, SIGNED_CERTIFICATE_TIMESTAMP))


def encode_extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector16(content)


def read_extensions_untrusted(cursor: Cursor) -> dict[int, bytes]:
    """The extension block at the cursor, which no type may enter twice."""
    block = Cursor(cursor.vector_untrusted(2), f"{cursor.what}, extensions,")
    found: dict[int, bytes] = {}
    while not block.at_end():
        kind = block.number_untrusted(2)
        if kind in found:
            raise tls_error(ILLEGAL_PARAMETER, f"{cursor.what} has extension {kind} twice")
        found[kind] = block.vector_untrusted(2)
    return found


def check_untrusted(
    extensions: Mapping[int, bytes], allowed: frozenset[int], offered: frozenset[int], what: str
) -> None:
    """Everything in `extensions` must have been offered and must belong into this message."""
    for kind in extensions:
        if kind not in offered:
            raise tls_error(UNSUPPORTED_EXTENSION, f"{what} has extension {kind}, never offered")
        if kind not in allowed:
            raise tls_error(ILLEGAL_PARAMETER, f"{what} must not have extension {kind}")
