"""Which server certificates are trusted: by certificate authorities, by a fingerprint, or all.

Two classes judge chains. `PublicRoots` holds them against the web's rules; `OwnRoots` is for roots
that the caller supplied, and takes what OpenSSL takes.
"""

import datetime
import hashlib
import hmac
from typing import Final, TypeAlias

from ..errors import BadPacketError
from .alerts import BAD_CERTIFICATE, tls_error
from .certificates import ServerCertificate, read_server_certificate_untrusted
from .own_roots import OwnRoots
from .public_roots import PublicRoots
from .server_names import check_name_untrusted

FINGERPRINT_SIZE: Final = 32


class NoVerification:
    """Any certificate will do: for tests, and for callers who know the server by other means."""

    def check_server_name(self, server_name: str | None) -> None:
        """None is needed."""

    def check_untrusted(
        self,
        leaf: ServerCertificate,
        chain: tuple[bytes, ...],
        server_name: str | None,
        when: datetime.datetime,
    ) -> None:
        return


class FingerprintVerification:
    """Exactly one certificate, whatever its name, dates and issuer."""

    def __init__(self, sha256: bytes) -> None:
        if len(sha256) != FINGERPRINT_SIZE:
            raise ValueError(f"a SHA-256 fingerprint has 32 bytes, not {len(sha256)}")
        self.sha256 = sha256

    def check_server_name(self, server_name: str | None) -> None:
        """None is needed."""

    def check_untrusted(
        self,
        leaf: ServerCertificate,
        chain: tuple[bytes, ...],
        server_name: str | None,
        when: datetime.datetime,
    ) -> None:
        if not hmac.compare_digest(leaf.sha256, self.sha256):
            raise tls_error(
                BAD_CERTIFICATE,
                f"the certificate's fingerprint is {leaf.sha256.hex()}, not the pinned one",
            )


Verification: TypeAlias = NoVerification | FingerprintVerification | PublicRoots | OwnRoots
"""Decides whether the owner of a certificate may be the server."""


def names_server(verification: Verification, certificate: bytes, server_name: str) -> bool:
    """Whether a server that has shown this certificate, DER, would have been trusted under another
    name as well (RFC 9110 section 4.3.4)."""
    if not isinstance(verification, (PublicRoots, OwnRoots)):
        return True
    try:
        check_name_untrusted(read_server_certificate_untrusted(certificate), server_name)
    except (BadPacketError, ValueError):
        return False
    return True


def may_resume(verification: Verification, certificate: bytes, server_name: str | None) -> bool:
    """Whether a session with the server that has shown this certificate, DER, may go on as one with
    a server of this name (RFC 8446 section 4.6.1)."""
    if isinstance(verification, FingerprintVerification):
        return hmac.compare_digest(hashlib.sha256(certificate).digest(), verification.sha256)
    return server_name is None or names_server(verification, certificate, server_name)
