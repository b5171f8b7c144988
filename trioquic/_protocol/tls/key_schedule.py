"""The key schedule (RFC 8446 section 7.1) and the transcript hash that it feeds on (section 4.4.1).

Which hash to use is known only when the server has chosen a cipher suite, so the ClientHello
waits in `waiting` until `choose`. QUIC takes the traffic secrets and derives its own packet keys
from them. Without a resumed session the early secret is the one of an all-zero key.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..crypto.keys import hkdf_expand_label, suite_hash
from .messages import MESSAGE_HASH, encode_message


@dataclass(frozen=True, slots=True)
class TrafficSecret:
    """Both directions' secrets of one encryption level, from the client's point of view."""

    level: int
    cipher_suite: int
    read: bytes
    write: bytes


class KeySchedule:
    def __init__(self) -> None:
        self.algorithm: hashes.HashAlgorithm = hashes.SHA256()
        self.transcript = hashes.Hash(self.algorithm)
        self.waiting = b""
        self.chosen = False
        self.secret = b""

    def absorb(self, message: bytes) -> None:
        """Append a handshake message (with its header) to the transcript."""
        if self.chosen:
            self.transcript.update(message)
        else:
            self.waiting += message

    def choose(self, cipher_suite: int) -> None:
        """The cipher suite is known; a second call, after HelloRetryRequest, changes nothing."""
        if self.chosen:
            return
        self.algorithm = suite_hash(cipher_suite)
        self.transcript = hashes.Hash(self.algorithm)
        self.transcript.update(self.waiting)
        self.waiting = b""
        self.chosen = True
        size = self.algorithm.digest_size
        self.secret = self._extract(bytes(size), bytes(size))

    def replace_first_hello(self) -> None:
        """RFC 8446 section 4.4.1: before a HelloRetryRequest goes in, the first ClientHello is
        replaced by a synthetic message that contains its hash."""
        synthetic = encode_message(MESSAGE_HASH, self.transcript_hash())
        self.transcript = hashes.Hash(self.algorithm)
        self.transcript.update(synthetic)

    def transcript_hash(self) -> bytes:
        return self.transcript.copy().finalize()

    def enter_handshake(self, shared_secret: bytes, psk: bytes = b"") -> tuple[bytes, bytes]:
        """Client and server handshake traffic secrets; the transcript ends with ServerHello. `psk`
        is the secret of the session that is resumed."""
        if psk:
            self.secret = self._extract(bytes(self.algorithm.digest_size), psk)
        self.secret = self._extract(self._derived(), shared_secret)
        return self._traffic(b"c hs traffic"), self._traffic(b"s hs traffic")

    def enter_application(self) -> tuple[bytes, bytes]:
        """Client and server application secrets; the transcript ends with the server's Finished."""
        self.secret = self._extract(self._derived(), bytes(self.algorithm.digest_size))
        return self._traffic(b"c ap traffic"), self._traffic(b"s ap traffic")

    def resumption_secret(self) -> bytes:
        """What the secrets of tickets follow from; the transcript ends with our Finished."""
        return self._derive(b"res master", self.transcript_hash())

    def finished(self, traffic_secret: bytes) -> bytes:
        """The content of a Finished over the transcript so far (RFC 8446 section 4.4.4)."""
        return finished_mac(self.algorithm, traffic_secret, self.transcript_hash())

    def _extract(self, salt: bytes, secret: bytes) -> bytes:
        """HKDF-Extract (RFC 5869 section 2.2)."""
        return HKDF.extract(self.algorithm, salt, secret)

    def _derived(self) -> bytes:
        """The salt of the next stage: Derive-Secret(., "derived", "")."""
        return self._derive(b"derived", hashes.Hash(self.algorithm).finalize())

    def _traffic(self, label: bytes) -> bytes:
        return self._derive(label, self.transcript_hash())

    def _derive(self, label: bytes, context: bytes) -> bytes:
        size = self.algorithm.digest_size
        return hkdf_expand_label(self.algorithm, self.secret, label, size, context)


def finished_mac(algorithm: hashes.HashAlgorithm, secret: bytes, transcript_hash: bytes) -> bytes:
    """Proves that the sender has the secret and the same transcript (RFC 8446 section 4.4.4)."""
    key = hkdf_expand_label(algorithm, secret, b"finished", algorithm.digest_size)
    mac = HMAC(key, algorithm)
    mac.update(transcript_hash)
    return mac.finalize()
