"""One certificate of a chain, with all that the rules for private authorities ask of it.

It is read at once, in the one place that turns whatever the library raises into bad_certificate.
So a judge of chains compares values and cannot be surprised by an extension that is no extension.
"""

from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import (
    ExtendedKeyUsageOID,
    PublicKeyAlgorithmOID,
    SignatureAlgorithmOID,
)

from ..errors import BadPacketError
from .alerts import quoted
from .certificates import MINIMUM_RSA_BITS, Certificate, guarded_untrusted
from .name_constraints import CertifiedNames, Constraints, read_constraints, read_names

# What TLS libraries ask for today, 112 bits of security: OpenSSL's security level 2.
_LEAST_DIGEST: Final = 28
_LEAST_CURVE_BITS: Final = 224
_WITH_A_HASH_OF_THEIR_OWN: Final = frozenset(
    {SignatureAlgorithmOID.ED25519, SignatureAlgorithmOID.ED448}
)
MAX_NAME_SHOWN: Final = 80

# Extensions that are heeded, or mean nothing to a client that looks at neither policies nor
# revocation lists. Any other one must not be critical (RFC 5280 section 4.2).
_KNOWN: Final = (
    x509.AuthorityKeyIdentifier,
    x509.BasicConstraints,
    x509.CertificatePolicies,
    x509.CRLDistributionPoints,
    x509.ExtendedKeyUsage,
    x509.InhibitAnyPolicy,
    x509.KeyUsage,
    x509.NameConstraints,
    x509.OCSPNoCheck,
    x509.SubjectAlternativeName,
    x509.SubjectKeyIdentifier,
)


@dataclass(frozen=True, slots=True)
class Issuing:
    """Whether a certificate's key may sign others (RFC 5280 sections 4.2.1.3 and 4.2.1.9)."""

    ca: bool | None
    """None: without basicConstraints."""
    path_length: int | None
    key_cert_sign: bool | None
    """None: without keyUsage."""
    version_1: bool


@dataclass(frozen=True, slots=True)
class KeyIdentifiers:
    """What tells keys of one name apart (RFC 5280 sections 4.2.1.1 and 4.2.1.2)."""

    own: bytes | None
    of_issuer: bytes | None
    issuers_serial: int | None
    issuers_issuers: tuple[x509.Name, ...]


@dataclass(frozen=True, slots=True)
class ChainCertificate:
    """A certificate, read to its end."""

    certificate: Certificate
    issuing: Issuing
    identifiers: KeyIdentifiers
    names: CertifiedNames
    constraints: Constraints | None
    for_tls: bool
    """keyUsage lets the key be used by a TLS server, or is not there."""
    for_servers: bool
    """extKeyUsage has serverAuth, or is not there."""
    unknown: str
    """The OID of a critical extension that nobody here understands; '' if there is none."""
    weak_key: str
    """What is wrong with the key; '' if nothing is."""
    called: str
    """The owner's name, for errors."""

    @property
    def self_issued(self) -> bool:
        return self.certificate.issuer == self.certificate.subject


def read_chain_certificate_untrusted(certificate: Certificate) -> ChainCertificate:
    """bad_certificate for what cannot be read."""
    return guarded_untrusted(_read, certificate)


def called(certificate: Certificate) -> str:
    """The owner's name, for errors. Odd names are no reason to fail, least of all here."""
    try:
        text = guarded_untrusted(_subject_text, certificate)
    except BadPacketError:
        text = f"with serial number {certificate.parsed.serial_number:x}"
    if len(text) > MAX_NAME_SHOWN:
        text = text[:MAX_NAME_SHOWN] + "..."
    return quoted(text)


def _subject_text(certificate: Certificate) -> str:
    return certificate.parsed.subject.rfc4514_string()


def weak_signature_untrusted(certificate: Certificate) -> str:
    """The hash of a signature that collisions may be made for; '' if it is a good one. Not read
    with the rest: what a root is signed with does not matter."""
    return guarded_untrusted(_weak_signature, certificate)


def signed_by_untrusted(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the key of `issuer`, which has the right name, has made the signature."""
    try:
        return guarded_untrusted(_signed_by, (certificate.parsed, issuer.parsed))
    except BadPacketError:
        return False


def _signed_by(two: tuple[x509.Certificate, x509.Certificate]) -> bool:
    certificate, issuer = two
    # RFC 4055 section 1.2: a key may be for these signatures only, which the library does not heed
    only_pss = issuer.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS
    if only_pss and certificate.signature_algorithm_oid != SignatureAlgorithmOID.RSASSA_PSS:
        return False
    certificate.verify_directly_issued_by(issuer)
    return True


def _weak_signature(certificate: Certificate) -> str:
    parsed = certificate.parsed
    if parsed.signature_algorithm_oid in _WITH_A_HASH_OF_THEIR_OWN:
        return ""
    try:
        digest = parsed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return f"the algorithm {parsed.signature_algorithm_oid.dotted_string}"
    if digest is None or digest.digest_size >= _LEAST_DIGEST:
        return ""
    return digest.name.upper()


def _read(certificate: Certificate) -> ChainCertificate:
    parsed = certificate.parsed
    ca: bool | None = None
    path_length: int | None = None
    key_cert_sign: bool | None = None
    for_tls = for_servers = True
    unknown = ""
    constraints: Constraints | None = None
    alternative: tuple[x509.GeneralName, ...] = ()
    for extension in parsed.extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints):
            ca, path_length = value.ca, value.path_length
        elif isinstance(value, x509.KeyUsage):
            key_cert_sign = value.key_cert_sign
            for_tls = value.digital_signature or value.key_encipherment or value.key_agreement
        elif isinstance(value, x509.ExtendedKeyUsage):
            for_servers = ExtendedKeyUsageOID.SERVER_AUTH in value
        elif isinstance(value, x509.SubjectAlternativeName):
            alternative = tuple(value)
        elif isinstance(value, x509.NameConstraints):
            constraints = read_constraints(value, parsed.tbs_certificate_bytes)
        if extension.critical and not isinstance(value, _KNOWN):
            unknown = extension.oid.dotted_string
    return ChainCertificate(
        certificate,
        Issuing(ca, path_length, key_cert_sign, parsed.version is x509.Version.v1),
        _read_identifiers(parsed.extensions),
        read_names(parsed, alternative),
        constraints,
        for_tls,
        for_servers,
        unknown,
        _weakness(parsed),
        called(certificate),
    )


def _read_identifiers(extensions: x509.Extensions) -> KeyIdentifiers:
    own: bytes | None = None
    of_issuer: bytes | None = None
    serial: int | None = None
    issuers: tuple[x509.Name, ...] = ()
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            own = value.digest
        elif isinstance(value, x509.AuthorityKeyIdentifier):
            of_issuer = value.key_identifier
            serial = value.authority_cert_serial_number
            for name in value.authority_cert_issuer or ():
                if isinstance(name, x509.DirectoryName):
                    issuers += (name.value,)
    return KeyIdentifiers(own, of_issuer, serial, issuers)


def _weakness(parsed: x509.Certificate) -> str:
    key = parsed.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MINIMUM_RSA_BITS:
            return f"an RSA key of {key.key_size} bits, fewer than {MINIMUM_RSA_BITS}"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.key_size < _LEAST_CURVE_BITS:
            return f"a key on the curve {key.curve.name}"
    elif not isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        return "a key of a kind that is not used for servers"
    return ""
