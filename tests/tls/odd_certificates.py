"""A chain of a leaf and its issuer, and everything odd that either may hold.

All signatures are good: what is odd gets as far as it can. A library parses much of a certificate
only when it is asked for it, so each of these fails, or doesn't, somewhere else.
"""

from collections.abc import Callable, Iterator
from functools import cache

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.tls import der, pki
from tests.tls.der import EXPLICIT_3, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, element

SUBJECT_KEY, KEY_USAGE, ALTERNATIVE_NAMES = b"\x55\x1d\x0e", b"\x55\x1d\x0f", b"\x55\x1d\x11"
BASIC_CONSTRAINTS, NAME_CONSTRAINTS = b"\x55\x1d\x13", b"\x55\x1d\x1e"
POLICIES, AUTHORITY_KEY, PURPOSES = b"\x55\x1d\x20", b"\x55\x1d\x23", b"\x55\x1d\x25"
AUTHORITY_ACCESS = bytes.fromhex("2b06010505070101")
TIMESTAMPS = bytes.fromhex("2b06010401d679020402")
UNKNOWN = b"\x2a\x03\x04"
YEAR_0, YEAR_9999 = b"00000101000000Z", b"99991231235959Z"
Change = Callable[[der.Fields], None]


@cache
def issuer() -> pki.Issued:
    return pki.authority("middle", pki.root())


@cache
def leaf() -> pki.Issued:
    return pki.issue(
        "leaf",
        issuer(),
        pki.key_of("p256"),
        names=(pki.NAME, "192.0.2.1"),
        extensions=(
            (pki.SERVER_PURPOSE, False),
            (pki.usage(signature=True, cert_sign=False), True),
        ),
    )


def good_chain() -> tuple[bytes, bytes]:
    return pki.der(leaf().certificate), pki.der(issuer().certificate)


def odd_chains() -> Iterator[tuple[str, tuple[bytes, bytes]]]:
    """Each change in the leaf, and the same in its issuer."""
    first, second = good_chain()
    for label, change in changes():
        yield f"leaf: {label}", (der.forge(leaf(), issuer(), change), second)
        yield f"issuer: {label}", (first, der.forge(issuer(), pki.root(), change))


def changes() -> Iterator[tuple[str, Change]]:
    yield from _dates()
    yield from _numbers()
    yield from _names()
    yield from _keys()
    yield from _extensions()
    yield from _alternative_names()


def _dates() -> Iterator[tuple[str, Change]]:
    for before, after in (
        (YEAR_0, YEAR_0),
        (YEAR_0, YEAR_9999),
        (b"20250101000000Z", YEAR_0),
        (YEAR_9999, YEAR_9999),
        (b"20250230000000Z", YEAR_9999),
        (b"20250101000000Z", b"20251301000000Z"),
        (b"20250101000000Z", b"20300101000060Z"),
        (b"20250101000000+0100", YEAR_9999),
        (b"20250101000000.5Z", YEAR_9999),
        (b"", b""),
    ):
        yield f"dates {before.decode()} {after.decode()}", der.dates(before, after)
    for text in (b"000101000000Z", b"500101000000Z", b"991332000000Z", b"2501010000Z"):
        yield f"dates {text.decode()}", der.dates(text, text, der.UTC_TIME)


def _numbers() -> Iterator[tuple[str, Change]]:
    for digits in (b"\0", b"\x80", b"\xff", b"\x7f" * 21, b"\x7f" * 5000, b"", b"\0\0\1"):
        yield f"serial {digits[:4].hex()}", der.put(der.SERIAL, element(INTEGER, digits))
    for oid in ("2a864886f70d010104", "2a864886f70d01010a", "2a0304", "2b6570"):
        for parameters in (b"", element(NULL), element(SEQUENCE)):
            algorithm = element(SEQUENCE, element(OID, bytes.fromhex(oid)), parameters)
            yield f"algorithm {oid} {parameters.hex()}", der.put(der.ALGORITHM, algorithm)
    for number in (0, 1, 3, 255):
        version = element(0xA0, element(INTEGER, number.to_bytes(2, "big").lstrip(b"\0") or b"\0"))
        yield f"version {number}", der.put(der.VERSION, version)


def _names() -> Iterator[tuple[str, Change]]:
    for tag, text in (
        (der.T61, b"caf\xe9"),
        (der.BMP, b"\0a\0"),
        (der.BMP, b"\xd8\0\xdc"),
        (der.UNIVERSAL, b"\0\0\0a\0"),
        (der.UNIVERSAL, b"\xff\xff\xff\xff"),
        (der.UTF8, b"\xff\xfe"),
        (der.UTF8, b""),
        (der.UTF8, b"\x1b[2J\0"),
        (der.UTF8, b"a" * 60_000),
        (der.PRINTABLE, b"\x80"),
        (der.IA5, b"\xe9"),
        (NULL, b""),
        (INTEGER, b"\1"),
        (der.BIT_STRING, b"\x09a"),
        (SEQUENCE, b""),
    ):
        for kind in ("2.5.4.3", "2.5.4.6", "2.5.4.45"):
            changed = der.name(tag, text, kind)
            yield f"name {kind} {tag:#x} {text[:6]!r}", der.put(der.SUBJECT, changed)
    yield "no name", der.put(der.SUBJECT, element(SEQUENCE))
    yield "an empty part of a name", der.put(der.SUBJECT, element(SEQUENCE, element(der.SET)))
    yield "a name of numbers", der.put(der.SUBJECT, element(INTEGER, b"\1"))


def _keys() -> Iterator[tuple[str, Change]]:
    keys = (
        rsa.generate_private_key(65537, 1024),
        dsa.generate_private_key(1024),
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.BrainpoolP256R1()),
        x25519.X25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(),
    )
    for key in keys:
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        yield f"key {type(key).__name__}", der.put(der.KEY, spki)
    rsa_oid, ec_oid = bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a8648ce3d0201")
    p256 = element(OID, bytes.fromhex("2a8648ce3d030107"))

    def odd(oid: bytes, parameters: bytes, bits: bytes) -> Change:
        algorithm = element(SEQUENCE, element(OID, oid), parameters)
        return der.put(der.KEY, element(SEQUENCE, algorithm, element(der.BIT_STRING, bits)))

    for modulus, exponent in ((b"\0", b"\0"), (b"\x7f" * 256, b"\1"), (b"\x80" * 256, b"\x80")):
        pair = element(SEQUENCE, element(INTEGER, modulus), element(INTEGER, exponent))
        yield f"RSA key {modulus[:1].hex()}", odd(rsa_oid, element(NULL), b"\0" + pair)
    huge = element(SEQUENCE, element(INTEGER, b"\x7f" * 8192), element(INTEGER, b"\3"))
    yield "huge RSA key", odd(rsa_oid, element(NULL), b"\0" + huge)
    yield "RSA key of nothing", odd(rsa_oid, element(NULL), b"\0")
    yield "key off the curve", odd(ec_oid, p256, b"\0\4" + bytes(64))
    yield "key at infinity", odd(ec_oid, p256, b"\0\0")
    yield "compressed key", odd(ec_oid, p256, b"\0\2" + b"\5" * 32)
    yield "key of a curve of its own", odd(ec_oid, element(SEQUENCE), b"\0\4" + bytes(64))
    yield "key without a curve", odd(ec_oid, b"", b"\0\4" + bytes(64))
    yield "key of an unknown kind", odd(UNKNOWN, b"", b"\0\1")
    yield "key with loose bits", odd(ec_oid, p256, b"\7\4" + bytes(64))
    yield "short Ed25519 key", odd(bytes.fromhex("2b6570"), b"", b"\0\1")


def _extensions() -> Iterator[tuple[str, Change]]:
    for oid in (ALTERNATIVE_NAMES, PURPOSES, BASIC_CONSTRAINTS, KEY_USAGE, AUTHORITY_KEY):

        def again(fields: der.Fields, oid: bytes = oid) -> None:
            (there,) = der.children(fields[der.EXTENSIONS])
            if oid in there:
                der.twice(oid)(fields)
            else:
                one = der.extension(oid, element(SEQUENCE))
                der.extensions(one, one)(fields)

        yield f"extension {oid.hex()} twice", again
        for value in (b"", element(NULL), element(SEQUENCE), b"\x30\x80", b"\xff" * 9):
            one = der.extension(oid, value)
            yield f"only {oid.hex()} {value[:4].hex()}", der.extensions(one, keep=False)
    unknown = der.extension(UNKNOWN, b"x")
    yield "unknown extension twice", der.extensions(unknown, unknown)
    yield "critical unknown", der.extensions(der.extension(UNKNOWN, b"x", critical=True))
    yield "no extensions", der.put(der.EXTENSIONS, b"")
    yield "empty extensions", der.put(der.EXTENSIONS, element(EXPLICIT_3, element(SEQUENCE)))
    for oid in (AUTHORITY_ACCESS, NAME_CONSTRAINTS, POLICIES, TIMESTAMPS, SUBJECT_KEY):
        for value in (b"", element(NULL), element(SEQUENCE, b""), b"\xff" * 9):
            one = der.extension(oid, value)
            yield f"{oid.hex()} {value[:3].hex()}", der.extensions(one)
    length = element(SEQUENCE, b"\x01\x01\xff", element(INTEGER, b"\x7f" * 9))
    for value in (length, element(SEQUENCE, b"\x01\x01\xff", element(INTEGER, b"\x80"))):
        one = der.extension(BASIC_CONSTRAINTS, value)
        yield f"path length {value[:9].hex()}", der.extensions(one, keep=False)


def _alternative_names() -> Iterator[tuple[str, Change]]:
    good = element(0x82, pki.NAME.encode())
    for label, one in (
        ("other name", element(0xA0, element(OID, UNKNOWN), element(0xA0, element(NULL)))),
        ("mail", element(0x81, b"\xff@x")),
        ("DNS in UTF-8", element(0x82, "bücher.example".encode())),
        ("DNS of nothing", element(0x82)),
        ("DNS with NUL", element(0x82, b"server.example\0.evil.example")),
        ("long DNS", element(0x82, b"a" * 60_000)),
        ("X.400", element(0xA3, b"")),
        ("directory", element(0xA4, der.name(der.BMP, b"a"))),
        ("EDI", element(0xA5, element(0xA1, element(der.UTF8, b"x")))),
        ("URI", element(0x86, b"\xff://[")),
        ("IP of 5 bytes", element(0x87, bytes(5))),
        ("IP of nothing", element(0x87)),
        ("network", element(0x87, bytes(8))),
        ("registered ID", element(0x88, b"\x80")),
        ("unknown kind", element(0x8F, b"x")),
        ("constructed", element(0xA2, element(OCTET_STRING, b"x"))),
    ):
        for parts in ((one,), (good, one)):
            value = element(SEQUENCE, *parts)
            alternative = der.extension(ALTERNATIVE_NAMES, value)
            yield f"{label}, {len(parts)}", der.extensions(alternative, keep=False)
