"""Certificates as bytes: reading the server's, and loading what the caller supplies.

The library parses most of a certificate only when it is asked for it: a date in the year 0, an
extension that comes twice or a key of no kind raises something else somewhere else, long after the
certificate was "loaded". So everything that is looked at is read here, at once, and whatever the
library raises becomes bad_certificate (RFC 8446 section 6.2). Names of the owner and the issuer are
not parsed: odd ones, which are common, do no harm.

The loaders take the content of files and raise ValueError with a text for people. The library's
warnings are switched off: a server must not be able to write into the client's terminal.
"""

import datetime
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)
from cryptography.utils import CryptographyDeprecationWarning

from .alerts import BAD_CERTIFICATE, CERTIFICATE_EXPIRED, of_library, quoted, tls_error

# A certificate chain as DER, leaf first, and the leaf's private key
ClientCertificate: TypeAlias = tuple[tuple[bytes, ...], PrivateKeyTypes]

PEM_MARK: Final = b"-----BEGIN "
PEM_END: Final = b"-----END CERTIFICATE-----"
MINIMUM_RSA_BITS: Final = 2048
_OF_THE_CHAIN: Final = "a certificate of the server's chain"
# the tag of the version, [0]
_VERSION: Final = 0xA0

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate whose dates are dates, and the names in it as they are encoded."""

    parsed: x509.Certificate
    issuer: bytes
    subject: bytes
    not_before: datetime.datetime
    not_after: datetime.datetime


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """The server's own certificate, and all that is read from it."""

    certificate: Certificate
    sha256: bytes
    dns_names: tuple[str, ...]
    addresses: tuple[str, ...]
    key: PublicKeyTypes
    for_signatures: bool
    """Whether the key may be used for them (RFC 5280 section 4.2.1.3)."""


def read_certificate_untrusted(der: bytes, what: str = _OF_THE_CHAIN) -> Certificate:
    """Any certificate of the server's chain, or of a chain that was kept with a ticket; `what`
    calls it in an error."""
    return guarded_untrusted(_read_certificate, der, what)


def read_others_untrusted(chain: tuple[bytes, ...]) -> list[Certificate]:
    """What follows the server's own certificate, each once."""
    numbers: dict[bytes, int] = {}
    for number, der in enumerate(chain[1:], 2):
        numbers.setdefault(der, number)
    return [
        read_certificate_untrusted(der, f"certificate {number} of the server's chain")
        for der, number in numbers.items()
    ]


def read_server_certificate_untrusted(der: bytes) -> ServerCertificate:
    """The first certificate of the server's chain."""
    return guarded_untrusted(_read_server_certificate, der, "the server's certificate")


def signing_key_untrusted(leaf: ServerCertificate) -> PublicKeyTypes:
    """The key that the server must prove to hold."""
    if not leaf.for_signatures:
        # RFC 8446 section 4.4.2.2
        raise tls_error(
            BAD_CERTIFICATE,
            "the server certificate's key is not meant for signatures: its keyUsage lacks "
            "digitalSignature, which TLS 1.3 needs; it has to be issued anew",
        )
    return leaf.key


def check_dates_untrusted(certificate: Certificate, when: datetime.datetime, what: str) -> None:
    """RFC 5280 section 4.1.2.5: both dates belong to the time."""
    if when < certificate.not_before:
        since, now = certificate.not_before, f"{when:%Y-%m-%d %H:%M}"
        raise tls_error(
            CERTIFICATE_EXPIRED,
            f"{what} is not valid before {since}; is this system's clock right, {now}?",
        )
    if when > certificate.not_after:
        until = certificate.not_after
        raise tls_error(CERTIFICATE_EXPIRED, f"{what} expired at {until} and has to be renewed")


def guarded_untrusted(read: Callable[[S], T], source: S, what: str = _OF_THE_CHAIN) -> T:
    """What a reader of certificates finds; whatever the library raises is bad_certificate, and
    says which one it was."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(source)
    # There is no list of what a library raises for bytes that nobody has tried yet.
    except BaseException as error:
        if not of_library(error):
            raise
        raise tls_error(
            BAD_CERTIFICATE,
            f"{what} is malformed (RFC 5280 section 4) and has to be issued anew: "
            f"{quoted(str(error))}",
        ) from None


def _read_certificate(der: bytes) -> Certificate:
    parsed = x509.load_der_x509_certificate(der)
    issuer, subject = _encoded_names(parsed.tbs_certificate_bytes)
    before, after = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    return Certificate(parsed, issuer, subject, before, after)


def _encoded_names(body: bytes) -> tuple[bytes, bytes]:
    """The issuer and the subject of a TBSCertificate (RFC 5280 section 4.1), which is known to be
    DER: after the version, if it is there, the serial number and the algorithm, and with the dates
    between them."""
    _, at, _ = _element(body, 0)
    parts: list[bytes] = []
    while len(parts) < 5:
        start = at
        tag, _, at = _element(body, at)
        if tag != _VERSION:
            parts.append(body[start:at])
    return parts[2], parts[4]


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """The tag of the DER element at `at`, where its content begins and where it ends."""
    size = data[at + 1]
    content = at + 2
    if size & 0x80:
        count = size & 0x7F
        size = int.from_bytes(data[content : content + count], "big")
        content += count
    return data[at], content, content + size


def _read_server_certificate(der: bytes) -> ServerCertificate:
    certificate = _read_certificate(der)
    parsed = certificate.parsed
    dns_names: list[str] = []
    addresses: list[str] = []
    for_signatures = True
    for extension in parsed.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName):
            dns_names = value.get_values_for_type(x509.DNSName)
            addresses = [str(each) for each in value.get_values_for_type(x509.IPAddress)]
        elif isinstance(value, x509.KeyUsage):
            for_signatures = value.digital_signature
    return ServerCertificate(
        certificate,
        parsed.fingerprint(hashes.SHA256()),
        tuple(dns_names),
        tuple(addresses),
        parsed.public_key(),
        for_signatures,
    )


def load_certificates(data: bytes) -> list[x509.Certificate]:
    """CA certificates from PEM (any number) or DER (one)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            if PEM_MARK in data:
                return x509.load_pem_x509_certificates(data)
            return [x509.load_der_x509_certificate(data)]
    except Exception as error:
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
    try:
        certified = _encoded(certificates[0].public_key())
    except Exception as error:
        raise ValueError(f"the key in the client certificate could not be read: {error}") from error
    if certified != _encoded(private_key.public_key()):
        raise ValueError("the client key does not belong to the first certificate of the chain")
    return tuple(c.public_bytes(Encoding.DER) for c in certificates), private_key


def _encoded(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
