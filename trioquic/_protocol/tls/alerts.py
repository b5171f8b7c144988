"""TLS alerts. QUIC carries no alert records: an alert becomes the error code 0x100 + alert of a
CONNECTION_CLOSE, and every alert is fatal (RFC 9001 section 4.8).

Everything in `tls` that finds fault with the server's bytes raises what `tls_error` builds.
"""

from typing import Final

from ..errors import CRYPTO_ERROR, PROTOCOL_VIOLATION, BadPacketError

# RFC 8446 section 6
UNEXPECTED_MESSAGE: Final = 10
BAD_CERTIFICATE: Final = 42
CERTIFICATE_EXPIRED: Final = 45
CERTIFICATE_UNKNOWN: Final = 46
ILLEGAL_PARAMETER: Final = 47
UNKNOWN_CA: Final = 48
DECODE_ERROR: Final = 50
DECRYPT_ERROR: Final = 51
PROTOCOL_VERSION: Final = 70
MISSING_EXTENSION: Final = 109
UNSUPPORTED_EXTENSION: Final = 110
NO_APPLICATION_PROTOCOL: Final = 120

CRYPTO_FRAME: Final = 0x06
MAX_QUOTED: Final = 200


def tls_error(alert: int, reason: str) -> BadPacketError:
    """The error for `alert`, blamed on the CRYPTO frame that brought the message."""
    return BadPacketError(CRYPTO_ERROR + alert, reason, CRYPTO_FRAME)


def quoted(text: str) -> str:
    """Text that the server has a say in, for use in a reason: bounded, and without control
    characters that would reach a terminal or a log."""
    if len(text) > MAX_QUOTED:
        text = text[:MAX_QUOTED] + "..."
    return ascii(text)


def of_library(error: BaseException) -> bool:
    """Whether what a call of the cryptography library raised for the server's bytes is its own,
    and not an interrupt of the user's. A panic of its Rust code is no Exception; it has unwound to
    the call, and what failed is this server's certificate or key."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def quic_error(reason: str) -> BadPacketError:
    """For the few TLS messages that RFC 9001 answers with a QUIC error code, not with an alert."""
    return BadPacketError(PROTOCOL_VIOLATION, reason, CRYPTO_FRAME)
