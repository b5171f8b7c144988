"""Certificates as bytes: reading the server's, and loading what the caller supplies.

The server's certificates are parsed only as far as they are needed. The loaders take the content
of files (this package opens none) and raise ValueError with a text for people.

The library warns of certificates that it will refuse one day. Its warnings are switched off here:
a server must not be able to write into the client's terminal, and of the public roots, the ones
that are refused are left out.
"""

import warnings
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)
from cryptography.utils import CryptographyDeprecationWarning

from .alerts import BAD_CERTIFICATE, UNSUPPORTED_CERTIFICATE, quoted, tls_error

# A certificate chain as DER, leaf first, and the leaf's private key
ClientCertificate: TypeAlias = tuple[tuple[bytes, ...], PrivateKeyTypes]

PEM_MARK: Final = b"-----BEGIN "
PEM_END: Final = b"-----END CERTIFICATE-----"
MINIMUM_RSA_BITS: Final = 2048

# What the library raises for certificates it cannot make sense of
PARSE_ERRORS: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def parse_certificate_untrusted(der: bytes) -> x509.Certificate:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_der_x509_certificate(der)
    except PARSE_ERRORS as error:
        raise tls_error(
            BAD_CERTIFICATE, f"a certificate is malformed: {quoted(str(error))}"
        ) from None


def public_key_untrusted(certificate: x509.Certificate) -> PublicKeyTypes:
    """The key that the server must prove to hold."""
    try:
        key = certificate.public_key()
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return key
    except PARSE_ERRORS as error:
        raise tls_error(
            UNSUPPORTED_CERTIFICATE, f"the certificate's key cannot be used: {quoted(str(error))}"
        ) from None
    if not usage.digital_signature:
        # RFC 8446 section 4.4.2.2
        raise tls_error(BAD_CERTIFICATE, "the certificate's key is not meant for signatures")
    return key


def load_certificates(data: bytes) -> list[x509.Certificate]:
    """CA certificates from PEM (any number) or DER (one)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            if PEM_MARK in data:
                return x509.load_pem_x509_certificates(data)
            return [x509.load_der_x509_certificate(data)]
    except PARSE_ERRORS as error:
        raise ValueError(f"no certificates could be read, neither PEM nor DER: {error}") from error


def load_public_roots(data: bytes) -> list[x509.Certificate]:
    """The certificates of a large PEM bundle, without those that the library cannot read. A caller
    wants to hear of a bad file of their own; one odd root among a hundred is not their concern."""
    roots: list[x509.Certificate] = []
    for block in data.split(PEM_END)[:-1]:
        try:
            roots += load_certificates(block + PEM_END)
        except ValueError:
            continue
    if not roots:
        raise ValueError("no certificates could be read from the bundle of public roots")
    return roots


def load_private_key(data: bytes, password: bytes | None = None) -> PrivateKeyTypes:
    """A private key from PEM or DER."""
    try:
        if PEM_MARK in data:
            return load_pem_private_key(data, password)
        return load_der_private_key(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"the private key could not be read: {error}") from error


def load_client_certificate(
    chain: bytes, key: bytes, password: bytes | None = None
) -> ClientCertificate:
    """The client's chain (leaf first) and key, checked to belong together."""
    certificates = load_certificates(chain)
    private_key = load_private_key(key, password)
    if not isinstance(
        private_key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey)
    ):
        raise ValueError("a client key must be an EC, RSA or Ed25519 key")
    if isinstance(private_key, rsa.RSAPrivateKey) and private_key.key_size < MINIMUM_RSA_BITS:
        raise ValueError(f"an RSA client key must have at least {MINIMUM_RSA_BITS} bits")
    certified = certificates[0].public_key()
    if _encoded(certified) != _encoded(private_key.public_key()):
        raise ValueError("the client key does not belong to the first certificate of the chain")
    return tuple(c.public_bytes(Encoding.DER) for c in certificates), private_key


def _encoded(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
