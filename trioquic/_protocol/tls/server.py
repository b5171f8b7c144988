"""Who the server is: its certificates, and that it has their key (RFC 8446 section 4.4)."""

import datetime

from .certificate_message import decompress_untrusted, parse_chain_untrusted
from .certificates import (
    ServerCertificate,
    read_server_certificate_untrusted,
    signing_key_untrusted,
)
from .config import TlsClientConfig
from .messages import parse_certificate_verify_untrusted
from .psk import PskOffer
from .signatures import verify_untrusted


class ServerIdentity:
    """What the server has shown of itself; `wall_time` is in seconds since 1970, in UTC."""

    def __init__(self, config: TlsClientConfig, wall_time: float) -> None:
        self._config = config
        self._wall_time = wall_time
        # as it sent them, or as it did when the session began that is resumed
        self.certificates: tuple[bytes, ...] = ()
        self.ocsp_response: bytes | None = None
        self.signed_certificate_timestamps: bytes | None = None
        # when its own certificate expires, in seconds since 1970
        self.certified_until = 0.0
        # its own certificate, until the key was used
        self._leaf: ServerCertificate | None = None

    def resume(self, psk: PskOffer) -> None:
        """It knows the secret of an earlier session, and sends no certificate."""
        self.certificates = psk.resumption.peer_certificates
        self.certified_until = psk.certified_until

    def on_certificate_untrusted(
        self, body: bytes, compressed: bool, offered: frozenset[int]
    ) -> None:
        """Certificate, whose extensions must be among those `offered`."""
        if compressed:
            body = decompress_untrusted(body)
        found = parse_chain_untrusted(body, offered)
        leaf = read_server_certificate_untrusted(found.chain[0])
        config = self._config
        when = datetime.datetime.fromtimestamp(self._wall_time, datetime.UTC)
        config.verification.check_untrusted(leaf, found.chain, config.server_name, when)
        self.certificates = found.chain
        self.ocsp_response = found.ocsp_response
        self.signed_certificate_timestamps = found.signed_certificate_timestamps
        self._leaf = leaf
        self.certified_until = leaf.certificate.not_after.timestamp()

    def on_certificate_verify_untrusted(self, body: bytes, transcript_hash: bytes) -> None:
        """CertificateVerify: it has the key of its certificate."""
        scheme, signature = parse_certificate_verify_untrusted(body)
        assert self._leaf is not None
        key = signing_key_untrusted(self._leaf)
        self._leaf = None
        verify_untrusted(key, scheme, signature, transcript_hash)
