"""The key exchange: X25519MLKEM768, and Diffie-Hellman over X25519, P-256 and P-384.

Diffie-Hellman is that of RFC 8446 sections 4.2.8.2 and 7.4.2. X25519MLKEM768 adds ML-KEM (FIPS 203)
to X25519, so that a recording of the connection stays secret from a quantum computer to come, and
is as good as X25519 should ML-KEM turn out weak (draft-ietf-tls-ecdhe-mlkem). Private keys come
from the caller's source of randomness, so that a simulation can be replayed.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .alerts import ILLEGAL_PARAMETER, tls_error

SECP256R1: Final = 0x0017
SECP384R1: Final = 0x0018
X25519: Final = 0x001D
X25519MLKEM768: Final = 0x11EC

ML_KEM_SEED_SIZE: Final = 64
ML_KEM_CIPHERTEXT_SIZE: Final = 1088


def _has_ml_kem() -> bool:
    """The package has it, but the OpenSSL that it was built with may be too old."""
    try:
        mlkem.MLKEM768PrivateKey.from_seed_bytes(bytes(ML_KEM_SEED_SIZE))
    except UnsupportedAlgorithm:
        return False
    return True


CLASSICAL: Final = (X25519, SECP256R1, SECP384R1)
# What can be had here, in the order of preference
GROUPS: Final = (X25519MLKEM768, *CLASSICAL) if _has_ml_kem() else CLASSICAL


class X25519Share:
    def __init__(self, rng: Callable[[int], bytes]) -> None:
        self.private = x25519.X25519PrivateKey.from_private_bytes(rng(32))
        self.group = X25519
        self.public = self.private.public_key().public_bytes_raw()

    def shared_secret_untrusted(self, peer: bytes) -> bytes:
        try:
            # RFC 7748 section 6.1: the library refuses an all-zero result
            return self.private.exchange(x25519.X25519PublicKey.from_public_bytes(peer))
        except ValueError:
            raise tls_error(ILLEGAL_PARAMETER, "the server's X25519 key share is bad") from None


class EcdhShare:
    def __init__(self, group: int, rng: Callable[[int], bytes]) -> None:
        self.curve: ec.EllipticCurve
        self.curve = ec.SECP256R1() if group == SECP256R1 else ec.SECP384R1()
        # FIPS 186-5 A.2.1: 64 bits more than the order has make the bias of the modulus harmless
        size = self.curve.key_size // 8
        scalar = int.from_bytes(rng(size + 8), "big") % (self.curve.group_order - 1) + 1
        self.private = ec.derive_private_key(scalar, self.curve)
        self.point_size = 1 + 2 * size
        public = self.private.public_key()
        self.group = group
        self.public = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def shared_secret_untrusted(self, peer: bytes) -> bytes:
        # RFC 8446 section 4.2.8.2: uncompressed points only; the library checks the equation
        if len(peer) == self.point_size and peer[0] == 4:
            try:
                public = ec.EllipticCurvePublicKey.from_encoded_point(self.curve, peer)
                return self.private.exchange(ec.ECDH(), public)
            except ValueError:
                pass
        raise tls_error(ILLEGAL_PARAMETER, "the server's key share is no point of the curve")


class HybridShare:
    """X25519MLKEM768: of keys, messages and secrets alike, ML-KEM's comes first."""

    def __init__(self, rng: Callable[[int], bytes], classical: X25519Share) -> None:
        self.private = mlkem.MLKEM768PrivateKey.from_seed_bytes(rng(ML_KEM_SEED_SIZE))
        self.classical = classical
        public = self.private.public_key().public_bytes_raw()
        self.group = X25519MLKEM768
        self.public = public + classical.public

    def shared_secret_untrusted(self, peer: bytes) -> bytes:
        if len(peer) != ML_KEM_CIPHERTEXT_SIZE + len(self.classical.public):
            raise tls_error(ILLEGAL_PARAMETER, "the server's X25519MLKEM768 key share is bad")
        classical = self.classical.shared_secret_untrusted(peer[ML_KEM_CIPHERTEXT_SIZE:])
        # Of this length any ciphertext yields a secret; only with the right one the server has it,
        # too (FIPS 203 section 6.3).
        return self.private.decapsulate(peer[:ML_KEM_CIPHERTEXT_SIZE]) + classical


KeyShare: TypeAlias = X25519Share | EcdhShare | HybridShare
"""Our half of the exchange in one group: the group's number, the public key, and
`shared_secret_untrusted`, the secret shared with whoever sent a public key."""


def make_key_share(group: int, rng: Callable[[int], bytes]) -> KeyShare:
    """A fresh key share; `group` is one of GROUPS."""
    if group == X25519:
        return X25519Share(rng)
    if group == X25519MLKEM768:
        return HybridShare(rng, X25519Share(rng))
    return EcdhShare(group, rng)


def first_key_shares(groups: tuple[int, ...], rng: Callable[[int], bytes]) -> list[KeyShare]:
    """What goes out before anything is known of the server: a share for the first group. Many
    servers do not have X25519MLKEM768, and should not cost a round trip for it: with its share goes
    that of X25519, which is the same key, as draft-ietf-tls-hybrid-design allows."""
    first = make_key_share(groups[0], rng)
    if isinstance(first, HybridShare) and X25519 in groups:
        return [first, first.classical]
    return [first]
