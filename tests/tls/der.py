"""Certificates that no library would make: fields of good ones exchanged, and signed anew.

DER is read and written as a tree of type, length and content (X.690 section 8.1), just as far as
certificates need it.
"""

from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.tls import pki

# Places of the fields in a TBSCertificate of version 3 (RFC 5280 section 4.1)
VERSION, SERIAL, ALGORITHM, ISSUER, VALIDITY, SUBJECT, KEY, EXTENSIONS = range(8)
INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x02, 0x03, 0x04, 0x05, 0x06
UTF8, PRINTABLE, T61, IA5, UTC_TIME, GENERALIZED_TIME = 0x0C, 0x13, 0x14, 0x16, 0x17, 0x18
UNIVERSAL, BMP = 0x1C, 0x1E
SEQUENCE, SET = 0x30, 0x31
EXPLICIT_3 = 0xA3

Fields = list[bytes]


def element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        length = bytes([size])
    else:
        digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
        length = bytes([0x80 | len(digits)]) + digits
    return bytes([tag]) + length + content


def content(data: bytes) -> bytes:
    """What is inside the one element that `data` is."""
    start = 2 if data[1] < 0x80 else 2 + (data[1] & 0x7F)
    return data[start:]


def children(data: bytes) -> Fields:
    """The elements inside of one."""
    rest, found = content(data), []
    while rest:
        if rest[1] < 0x80:
            size = 2 + rest[1]
        else:
            digits = rest[1] & 0x7F
            size = 2 + digits + int.from_bytes(rest[2 : 2 + digits], "big")
        found.append(rest[:size])
        rest = rest[size:]
    return found


def forge(good: pki.Issued, signer: pki.Issued, change: Callable[[Fields], None]) -> bytes:
    """The certificate `good` with changed fields, with a good signature by `signer`."""
    tbs, algorithm, _ = children(pki.der(good.certificate))
    fields = children(tbs)
    change(fields)
    body = element(SEQUENCE, *fields)
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    signature = signer.key.sign(body, ec.ECDSA(hashes.SHA256()))
    return element(SEQUENCE, body, algorithm, element(BIT_STRING, b"\0" + signature))


def dates(before: bytes, after: bytes, tag: int = GENERALIZED_TIME) -> Callable[[Fields], None]:
    def change(fields: Fields) -> None:
        fields[VALIDITY] = element(SEQUENCE, element(tag, before), element(tag, after))

    return change


def name(tag: int, text: bytes, kind: str = "2.5.4.3") -> bytes:
    """A Name of one attribute."""
    oid = x509.ObjectIdentifier(kind).dotted_string.split(".")
    digits = bytes([int(oid[0]) * 40 + int(oid[1]), *map(int, oid[2:])])
    return element(
        SEQUENCE, element(SET, element(SEQUENCE, element(OID, digits), element(tag, text)))
    )


def extension(oid: bytes, value: bytes, *, critical: bool = False) -> bytes:
    mark = b"\x01\x01\xff" if critical else b""
    return element(SEQUENCE, element(OID, oid), mark, element(OCTET_STRING, value))


def extensions(*more: bytes, keep: bool = True) -> Callable[[Fields], None]:
    """Further extensions, beside those there are or instead of them."""

    def change(fields: Fields) -> None:
        (there,) = children(fields[EXTENSIONS])
        kept = children(there) if keep else []
        fields[EXTENSIONS] = element(EXPLICIT_3, element(SEQUENCE, *kept, *more))

    return change


def twice(*oids: bytes) -> Callable[[Fields], None]:
    """Some of the extensions there are once more."""

    def change(fields: Fields) -> None:
        (there,) = children(fields[EXTENSIONS])
        found = children(there)
        again = [one for one in found if content(children(one)[0]) in oids]
        assert again
        fields[EXTENSIONS] = element(EXPLICIT_3, element(SEQUENCE, *found, *again))

    return change


def put(place: int, value: bytes) -> Callable[[Fields], None]:
    def change(fields: Fields) -> None:
        fields[place] = value

    return change
