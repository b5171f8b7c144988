"""Packet protection keys (RFC 9001 section 5): AEAD and header protection for one direction.

A PacketKeys is made of one traffic secret and lives as long as it, and so do its AEAD object and
its header protection context: building them costs more than a packet. `masks` takes the samples of
many packets at once, because one call into the AES code costs the same for one block and for
sixty-four. With AES the mask of a packet is its sample encrypted as one block; with ChaCha20 the
sample is counter and nonce of a key stream. Both give 16 bytes for each sample, of which 5 are
used. Short headers that come in are unmasked elsewhere (short_headers.py).
"""

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..errors import INTERNAL_ERROR, PROTOCOL_VIOLATION, BadPacketError
from ..wire.packets import LongHeader, decode_packet_number
from ..wire.varint import ONE_BYTE
from ..wire.versions import VERSION_1, VERSION_2

TLS_AES_128_GCM_SHA256: Final = 0x1301
TLS_AES_256_GCM_SHA384: Final = 0x1302
TLS_CHACHA20_POLY1305_SHA256: Final = 0x1303
INITIAL_SUITE: Final = TLS_AES_128_GCM_SHA256  # of Initial packets (RFC 9001 section 5.2)

SAMPLE_LENGTH: Final = 16

# RFC 9001 section 5.2, RFC 9369 section 3.3.1
_INITIAL_SALTS: Final = {
    VERSION_1: bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"),
    VERSION_2: bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"),
}

_IV_LENGTH: Final = 12
_ZEROS: Final = bytes(SAMPLE_LENGTH)


# Of each suite its hash function (RFC 8446 appendix B.4), the length of its keys, how many packets
# one key may seal and how many of a connection may fail authentication (RFC 9001 section 6.6); with
# ChaCha20 it may seal as many as there are packet numbers
_SUITES: Final[dict[int, tuple[hashes.HashAlgorithm, int, int, int]]] = {
    TLS_AES_128_GCM_SHA256: (hashes.SHA256(), 16, 1 << 23, 1 << 52),
    TLS_AES_256_GCM_SHA384: (hashes.SHA384(), 32, 1 << 23, 1 << 52),
    TLS_CHACHA20_POLY1305_SHA256: (hashes.SHA256(), 32, 1 << 62, 1 << 36),
}
# In the order of preference
CIPHER_SUITES: Final = tuple(_SUITES)


def suite_hash(cipher_suite: int) -> hashes.HashAlgorithm:
    """The hash function that goes with a TLS 1.3 cipher suite."""
    return _SUITES[cipher_suite][0]


def packet_limits(cipher_suite: int) -> tuple[int, int]:
    """How many packets one key may seal, and how many of a connection may fail authentication."""
    return _SUITES[cipher_suite][2], _SUITES[cipher_suite][3]


def hkdf_expand_label(
    algorithm: hashes.HashAlgorithm, secret: bytes, label: bytes, length: int, context: bytes = b""
) -> bytes:
    """HKDF-Expand-Label (RFC 8446 section 7.1); `label` is without its "tls13 " prefix."""
    return _expand_label(HMAC(secret, algorithm), label, length, context)


def _expand_label(keyed: HMAC, label: bytes, length: int, context: bytes = b"") -> bytes:
    """The same for an HMAC that has the secret as its key, which many labels can share: to set
    the key costs twice what the rest does.

    Nothing here is longer than a digest, so that HKDF-Expand (RFC 5869 section 2.3) is one round.
    """
    mac = keyed.copy()
    mac.update(
        b"%b%c%b%c%b\x01"
        % (length.to_bytes(2, "big"), 6 + len(label), b"tls13 " + label, len(context), context)
    )
    return mac.finalize()[:length]


def initial_secrets(dcid: bytes, version: int = VERSION_1) -> tuple[bytes, bytes]:
    """The client's and the server's Initial secret, from the client's first Destination
    Connection ID, or from a Retry's Source Connection ID (RFC 9001 section 5.2)."""
    sha256 = hashes.SHA256()
    keyed = HMAC(HKDF.extract(sha256, _INITIAL_SALTS[version], dcid), sha256)
    return _expand_label(keyed, b"client in", 32), _expand_label(keyed, b"server in", 32)


class PacketKeys:
    def __init__(
        self,
        cipher_suite: int,
        secret: bytes,
        keyed: HMAC,
        mask_context: CipherContext,
        version: int,
    ) -> None:
        key = _expand_label(keyed, _label(b"key", version), _SUITES[cipher_suite][1])
        iv = _expand_label(keyed, _label(b"iv", version), _IV_LENGTH)
        aead: AESGCM | ChaCha20Poly1305
        if cipher_suite == TLS_CHACHA20_POLY1305_SHA256:
            aead = ChaCha20Poly1305(key)
        else:
            aead = AESGCM(key)
        self.cipher_suite = cipher_suite
        self._version = version
        self._secret = secret
        self._iv = int.from_bytes(iv, "big")
        self._iv_last = iv[-1]
        self._nonce_high = -1
        self._nonce_front = b""
        # bound once: two attribute look-ups less for every packet
        self._encrypt: Callable[[bytes, bytes, bytes], bytes] = aead.encrypt
        self._decrypt: Callable[[bytes, bytes, bytes], bytes] = aead.decrypt
        self._mask_context = mask_context
        self._stream_masks: bool = cipher_suite == TLS_CHACHA20_POLY1305_SHA256

    @staticmethod
    def derive(cipher_suite: int, secret: bytes, version: int = VERSION_1) -> "PacketKeys":
        """The keys of a new level, from its traffic secret (RFC 9001 section 5.1)."""
        if cipher_suite not in _SUITES:
            raise ValueError(f"not a cipher suite of QUIC version 1: {cipher_suite:#06x}")
        keyed = HMAC(secret, suite_hash(cipher_suite))
        hp = _expand_label(keyed, _label(b"hp", version), _SUITES[cipher_suite][1])
        cipher: Cipher[None] | Cipher[modes.ECB]
        if cipher_suite == TLS_CHACHA20_POLY1305_SHA256:
            cipher = Cipher(algorithms.ChaCha20(hp, _ZEROS), mode=None)
        else:
            # One block of random-looking input for each packet: this is what ECB is for.
            cipher = Cipher(algorithms.AES(hp), modes.ECB())
        return PacketKeys(cipher_suite, secret, keyed, cipher.encryptor(), version)

    def next_secret_keys(self) -> "PacketKeys":
        """The keys of the next phase; header protection stays (RFC 9001 section 6.1)."""
        algorithm = suite_hash(self.cipher_suite)
        label = _label(b"ku", self._version)
        secret = hkdf_expand_label(algorithm, self._secret, label, algorithm.digest_size)
        keyed = HMAC(secret, algorithm)
        return PacketKeys(self.cipher_suite, secret, keyed, self._mask_context, self._version)

    def masks(self, samples: bytes) -> bytes:
        """16 bytes of mask for each 16 bytes of sample.

        BadPacketError: there is a piece of a sample. The cipher would keep it and put it before the
        next one, so that no mask would be right any more."""
        if len(samples) % SAMPLE_LENGTH:
            raise BadPacketError(
                INTERNAL_ERROR, f"{len(samples)} bytes are no header protection samples"
            )
        context = self._mask_context
        if not self._stream_masks:
            return context.update(samples)
        parts: list[bytes] = []
        for start in range(0, len(samples), SAMPLE_LENGTH):
            context.reset_nonce(samples[start : start + SAMPLE_LENGTH])
            parts.append(context.update(_ZEROS))
        return b"".join(parts)

    def seal(self, packet_number: int, header: bytes, payload: bytes) -> bytes:
        """The payload encrypted and its tag; the header is authenticated with it."""
        return self._encrypt(self._nonce(packet_number), payload, header)

    def open(self, packet_number: int, header: bytes, ciphertext: bytes) -> bytes | None:
        """The payload, or None when the packet does not authenticate."""
        try:
            return self._decrypt(self._nonce(packet_number), ciphertext, header)
        except InvalidTag:
            return None

    def _nonce(self, packet_number: int) -> bytes:
        """The IV XOR the packet number (section 5.3)."""
        high = packet_number >> 8
        if high != self._nonce_high:
            # All but the last byte stays for 256 packet numbers.
            self._nonce_high = high
            self._nonce_front = (self._iv >> 8 ^ high).to_bytes(_IV_LENGTH - 1, "big")
        return self._nonce_front + ONE_BYTE[packet_number & 0xFF ^ self._iv_last]


def _label(name: bytes, version: int) -> bytes:
    """RFC 9001 section 5.1, RFC 9369 section 3.3.2."""
    return (b"quicv2 " if version == VERSION_2 else b"quic ") + name


def protect(keys: PacketKeys, header: bytes, pn_length: int, sealed: bytes) -> bytes:
    """The finished packet. `header` ends with the packet number (RFC 9001 section 5.4)."""
    return protect_batch(keys, [(header, len(header) - pn_length, sealed)])


def protect_batch(keys: PacketKeys, packets: list[tuple[bytes, int, bytes]]) -> bytes:
    """`protect` for many packets of (header, offset of the packet number in it, sealed), which
    come out one behind the other."""
    samples: list[bytes] = []
    for header, pn_offset, sealed in packets:
        start = 4 - len(header) + pn_offset
        samples.append(sealed[start : start + 16])
    joined = b"".join(samples)
    if len(joined) != SAMPLE_LENGTH * len(packets):
        raise ValueError("payload too short for a header protection sample")
    masks = keys.masks(joined)
    parts: list[bytes] = []
    at = 0
    for header, pn_offset, sealed in packets:
        _add_masked(parts, header, pn_offset, masks, at)
        parts.append(sealed)
        at += 16
    return b"".join(parts)


def _add_masked(parts: list[bytes], header: bytes, pn_offset: int, masks: bytes, at: int) -> None:
    """Add the protected header in pieces: the packet is joined once, when all of it is there."""
    first = header[0]
    # of the first byte, a long header hides 4 bits and a short one 5 (RFC 9001 section 5.4.1)
    hidden = 0x0F if first & 0x80 else 0x1F
    parts.append(ONE_BYTE[first ^ masks[at] & hidden])
    parts.append(header[1:pn_offset])
    for index in range(pn_offset, len(header)):
        at += 1
        parts.append(ONE_BYTE[header[index] ^ masks[at]])


def unprotect_long_untrusted(
    keys: PacketKeys, datagram: bytes, header: LongHeader, largest_pn: int
) -> tuple[int, int, bytes, bytes]:
    """(packet number, first byte, unprotected header, ciphertext), ready for `keys.open`.

    `largest_pn` is the largest number received in this space, -1 for none. The reserved bits of
    the first byte may be judged only after the packet has been authenticated. BadPacketError:
    the packet is to be dropped.
    """
    pn_offset = header.pn_offset
    if pn_offset + 4 + SAMPLE_LENGTH > header.end:
        # RFC 9001 section 5.4.2
        raise BadPacketError(PROTOCOL_VIOLATION, "packet too short for a sample")
    mask = keys.masks(datagram[pn_offset + 4 : pn_offset + 4 + SAMPLE_LENGTH])
    first = datagram[header.start] ^ mask[0] & 0x0F
    pn_length = (first & 3) + 1
    payload_offset = pn_offset + pn_length
    truncated = int.from_bytes(datagram[pn_offset:payload_offset], "big")
    truncated ^= int.from_bytes(mask[1 : 1 + pn_length], "big")
    plain_header = b"%c%b%b" % (
        first,
        datagram[header.start + 1 : pn_offset],
        truncated.to_bytes(pn_length, "big"),
    )
    return (
        decode_packet_number(truncated, 8 * pn_length, largest_pn),
        first,
        plain_header,
        datagram[payload_offset : header.end],
    )
