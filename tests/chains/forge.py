"""Certificates of any kind: also those that no library would make.

They are put together from DER, so that versions, hashes, extensions and their order are free. Keys
are made once a process, by kind and owner.
"""

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.tls import der
from tests.tls.pki import DAY, NOW

Key: TypeAlias = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | dsa.DSAPrivateKey
)
Extension: TypeAlias = tuple[str, bytes, bool]
"""OID, content in DER, and whether it is critical."""

CURVES: dict[str, type[ec.EllipticCurve]] = {
    "p192": ec.SECP192R1,
    "p224": ec.SECP224R1,
    "p256": ec.SECP256R1,
    "p384": ec.SECP384R1,
    "p521": ec.SECP521R1,
    "k256": ec.SECP256K1,
    "brainpool256": ec.BrainpoolP256R1,
}
RSA_HASHES = {"md5": 4, "sha1": 5, "sha256": 11, "sha384": 12, "sha512": 13, "sha224": 14}
EC_HASHES = {"sha1": "1", "sha224": "3.1", "sha256": "3.2", "sha384": "3.3", "sha512": "3.4"}
SHA2 = {"sha256": 1, "sha384": 2, "sha512": 3, "sha224": 4}
KINDS: dict[str, hashes.HashAlgorithm] = {
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
# DigestInfo up to the digest (RFC 8017 section 9.2)
OLD_DIGESTS = {
    "md5": bytes.fromhex("3020300c06082a864886f70d020505000410"),
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
}


def key_of(kind: str, owner: str = "") -> Key:
    """Those that take long are two of a kind: one for who is at the top, one for the others."""
    slow = kind == "dsa" or kind.startswith("rsa")
    return _new_key(kind, str(owner == "root") if slow else owner)


@cache
def _new_key(kind: str, owner: str) -> Key:
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    if kind == "dsa":
        return dsa.generate_private_key(2048)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "ed448":
        return ed448.Ed448PrivateKey.generate()
    return ec.generate_private_key(CURVES[kind]())


def oid(dotted: str) -> bytes:
    first, second, *rest = [int(part) for part in dotted.split(".")]
    content = b""
    for number in (first * 40 + second, *rest):
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | number & 0x7F)
        content += bytes(reversed(digits))
    return der.element(der.OID, content)


def name(*parts: str | tuple[str, str], tag: int = der.UTF8) -> bytes:
    """A Name: common names, or other attributes by OID."""
    pairs = [("2.5.4.3", part) if isinstance(part, str) else part for part in parts]
    attributes = [
        der.element(der.SEQUENCE, oid(kind), der.element(_tag(kind, tag), text.encode()))
        for kind, text in pairs
    ]
    return der.element(der.SEQUENCE, *[der.element(der.SET, each) for each in attributes])


def _tag(kind: str, tag: int) -> int:
    return der.IA5 if kind == MAIL else tag


MAIL = "1.2.840.113549.1.9.1"
ORGANIZATION = "2.5.4.10"


def extension(value: x509.ExtensionType, critical: bool = False) -> Extension:
    return value.oid.dotted_string, value.public_bytes(), critical


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a certificate is to be like."""

    subject: bytes
    kind: str = "p256"
    owner: str = ""
    extensions: tuple[Extension, ...] = ()
    version_1: bool = False
    since: datetime.datetime = NOW - 10 * DAY
    until: datetime.datetime = NOW + 10 * DAY
    hash_name: str = "sha256"
    pss: bool = False
    """Signed with RSA-PSS."""
    pss_key: bool = False
    """A key that says it is for RSA-PSS only."""
    pss_hash: str = ""
    """With this hash only."""


@dataclass(frozen=True)
class Made:
    """A certificate, and what is needed to issue with it."""

    der: bytes
    subject: bytes
    key: Key = field(repr=False)
    serial: int = 1

    @property
    def identifier(self) -> bytes:
        """As RFC 5280 section 4.2.1.2 (1) makes it."""
        return x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()).digest


_made = 1000


def make(plan: Plan, issuer: Made | None = None) -> Made:
    """Issued by `issuer`, or self-signed."""
    global _made
    _made += 1
    key = key_of(plan.kind, plan.owner)
    signer = issuer.key if issuer else key
    algorithm = _algorithm(signer, plan)
    digits = _made.to_bytes(_made.bit_length() // 8 + 1, "big")
    parts = [
        der.element(der.INTEGER, digits),
        algorithm,
        issuer.subject if issuer else plan.subject,
        der.element(der.SEQUENCE, _time(plan.since), _time(plan.until)),
        plan.subject,
        _public(key, plan),
    ]
    if not plan.version_1:
        parts.insert(0, der.element(0xA0, der.element(der.INTEGER, b"\2")))
        if plan.extensions:
            parts.append(_extensions(plan.extensions))
    body = der.element(der.SEQUENCE, *parts)
    signature = der.element(der.BIT_STRING, b"\0" + _sign(signer, plan, body))
    return Made(der.element(der.SEQUENCE, body, algorithm, signature), plan.subject, key, _made)


def _time(when: datetime.datetime) -> bytes:
    return der.element(der.UTC_TIME, when.strftime("%y%m%d%H%M%SZ").encode())


def _public(key: Key, plan: Plan) -> bytes:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if plan.pss_key:
        algorithm = der.element(der.SEQUENCE, oid("1.2.840.113549.1.1.10"))
        if plan.pss_hash:
            limited = Plan(subject=plan.subject, pss=True, hash_name=plan.pss_hash)
            algorithm = _algorithm(key, limited)
        public = der.element(der.SEQUENCE, algorithm, der.children(public)[1])
    return public


def _extensions(extensions: Iterable[Extension]) -> bytes:
    encoded = [
        der.element(
            der.SEQUENCE,
            oid(kind),
            b"\x01\x01\xff" if critical else b"",
            der.element(der.OCTET_STRING, value),
        )
        for kind, value, critical in extensions
    ]
    return der.element(der.EXPLICIT_3, der.element(der.SEQUENCE, *encoded))


def _algorithm(signer: Key, plan: Plan) -> bytes:
    none = der.element(der.NULL)
    if isinstance(signer, rsa.RSAPrivateKey):
        if not plan.pss:
            number = RSA_HASHES[plan.hash_name]
            return der.element(der.SEQUENCE, oid(f"1.2.840.113549.1.1.{number}"), none)
        digest = der.element(
            der.SEQUENCE, oid(f"2.16.840.1.101.3.4.2.{SHA2[plan.hash_name]}"), none
        )
        mask = der.element(der.SEQUENCE, oid("1.2.840.113549.1.1.8"), digest)
        salt = der.element(der.INTEGER, bytes([KINDS[plan.hash_name].digest_size]))
        parameters = der.element(
            der.SEQUENCE,
            der.element(0xA0, digest),
            der.element(0xA1, mask),
            der.element(0xA2, salt),
        )
        return der.element(der.SEQUENCE, oid("1.2.840.113549.1.1.10"), parameters)
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        return der.element(der.SEQUENCE, oid(f"1.2.840.10045.4.{EC_HASHES[plan.hash_name]}"))
    if isinstance(signer, dsa.DSAPrivateKey):
        return der.element(der.SEQUENCE, oid("2.16.840.1.101.3.4.3.2"))
    last = 112 if isinstance(signer, ed25519.Ed25519PrivateKey) else 113
    return der.element(der.SEQUENCE, oid(f"1.3.101.{last}"))


def _sign(signer: Key, plan: Plan, body: bytes) -> bytes:
    if isinstance(signer, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
        return signer.sign(body)
    if plan.hash_name in OLD_DIGESTS:
        return _sign_as_long_ago(signer, plan.hash_name, body)
    kind = KINDS[plan.hash_name]
    if isinstance(signer, dsa.DSAPrivateKey):
        return signer.sign(body, kind)
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        return signer.sign(body, ec.ECDSA(kind))
    if plan.pss:
        return signer.sign(body, padding.PSS(padding.MGF1(kind), kind.digest_size), kind)
    return signer.sign(body, padding.PKCS1v15(), kind)


def _sign_as_long_ago(signer: Key, hash_name: str, body: bytes) -> bytes:
    """With hashes that libraries have given up."""
    digest = hashlib.new(hash_name, body, usedforsecurity=False).digest()
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        # what is signed is the digest as a number
        return signer.sign(digest.rjust(32, b"\0"), ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    assert isinstance(signer, rsa.RSAPrivateKey)
    numbers = signer.private_numbers()
    modulus = numbers.public_numbers.n
    size = (modulus.bit_length() + 7) // 8
    info = OLD_DIGESTS[hash_name] + digest
    block = b"\0\1" + b"\xff" * (size - 3 - len(info)) + b"\0" + info
    return pow(int.from_bytes(block, "big"), numbers.d, modulus).to_bytes(size, "big")
