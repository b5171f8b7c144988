"""Signatures of CertificateVerify (RFC 8446 section 4.4.3), both ways.

The PKCS#1 schemes are offered for the signatures *inside* certificates only (section 4.2.3); a
server that uses one to prove possession of its key is refused.
"""

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from .alerts import DECRYPT_ERROR, ILLEGAL_PARAMETER, of_library, tls_error

RSA_PKCS1_SHA256: Final = 0x0401
RSA_PKCS1_SHA384: Final = 0x0501
RSA_PKCS1_SHA512: Final = 0x0601
ECDSA_SECP256R1_SHA256: Final = 0x0403
ECDSA_SECP384R1_SHA384: Final = 0x0503
RSA_PSS_RSAE_SHA256: Final = 0x0804
RSA_PSS_RSAE_SHA384: Final = 0x0805
RSA_PSS_RSAE_SHA512: Final = 0x0806
ED25519: Final = 0x0807

# In the order of preference, with the kind of key (or its curve) and the hash that a scheme fixes;
# also what we sign with ourselves
_SCHEMES: Final[dict[int, tuple[str, hashes.HashAlgorithm]]] = {
    ECDSA_SECP256R1_SHA256: ("secp256r1", hashes.SHA256()),
    ED25519: ("Ed25519", hashes.SHA512()),
    ECDSA_SECP384R1_SHA384: ("secp384r1", hashes.SHA384()),
    RSA_PSS_RSAE_SHA256: ("RSA", hashes.SHA256()),
    RSA_PSS_RSAE_SHA384: ("RSA", hashes.SHA384()),
    RSA_PSS_RSAE_SHA512: ("RSA", hashes.SHA512()),
}
HANDSHAKE_SCHEMES: Final = tuple(_SCHEMES)
OFFERED_SCHEMES: Final = (*HANDSHAKE_SCHEMES, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512)

SERVER_CONTEXT: Final = b"TLS 1.3, server CertificateVerify"
CLIENT_CONTEXT: Final = b"TLS 1.3, client CertificateVerify"


def signed_content(context: bytes, transcript_hash: bytes) -> bytes:
    """What is signed: the padding keeps signatures of other protocol versions apart."""
    return b" " * 64 + context + b"\x00" + transcript_hash


def _pss(algorithm: hashes.HashAlgorithm) -> padding.PSS:
    # RFC 8446 section 4.2.3: the salt is as long as the digest
    return padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)


def _fits(scheme: int, key: PublicKeyTypes | PrivateKeyTypes) -> bool:
    """Whether a key of this kind can make or check signatures of this scheme."""
    kind = ""
    if isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        kind = key.curve.name
    elif isinstance(key, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        kind = "RSA"
    elif isinstance(key, (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey)):
        kind = "Ed25519"
    return kind == _SCHEMES[scheme][0]


def verify_untrusted(
    key: PublicKeyTypes, scheme: int, signature: bytes, transcript_hash: bytes
) -> None:
    """Check the server's CertificateVerify."""
    if scheme not in HANDSHAKE_SCHEMES:
        raise tls_error(ILLEGAL_PARAMETER, f"scheme {scheme:#06x} is not for CertificateVerify")
    if not _fits(scheme, key):
        raise tls_error(ILLEGAL_PARAMETER, f"signature scheme {scheme:#06x} does not fit the key")
    content = signed_content(SERVER_CONTEXT, transcript_hash)
    algorithm = _SCHEMES[scheme][1]
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, content, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, content, _pss(algorithm), algorithm)
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, content)
    # besides InvalidSignature whatever the library has against the server's key
    except BaseException as error:
        if not of_library(error):
            raise
        raise tls_error(
            DECRYPT_ERROR, "the server does not hold the key of its certificate"
        ) from None


def choose_scheme(key: PrivateKeyTypes, wanted: tuple[int, ...]) -> int | None:
    """The first scheme of the server's list that our key can sign with."""
    usable = (scheme for scheme in wanted if scheme in HANDSHAKE_SCHEMES and _fits(scheme, key))
    return next(usable, None)


def sign(key: PrivateKeyTypes, scheme: int, transcript_hash: bytes) -> bytes:
    """The signature of our CertificateVerify; `scheme` comes from `choose_scheme`."""
    content = signed_content(CLIENT_CONTEXT, transcript_hash)
    algorithm = _SCHEMES[scheme][1]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(content, ec.ECDSA(algorithm))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(content, _pss(algorithm), algorithm)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(content)
    raise TypeError(f"{type(key).__name__} cannot sign")
