"""Who may issue, how many may be below, for what, and with which key identifier."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.chains import parts
from tests.chains.case import Case
from tests.chains.forge import extension
from tests.chains.parts import (
    CLIENT,
    NO_CA,
    SERVER,
    authority,
    case,
    path_length,
    server,
)
from tests.chains.shape_cases import chain_of
from tests.tls.pki import usage


def rule_cases() -> Iterator[Case]:
    yield from _issuers()
    yield from _lengths()
    yield from _purposes()
    yield from _identifiers()


def _issuers() -> Iterator[Case]:
    root = authority("root")
    no_sign = extension(usage(signature=True, cert_sign=False), critical=True)
    for label, changed, without, at_root, below in (
        ("CA:FALSE", (NO_CA,), (), "is no authority", "is no authority"),
        ("CA:FALSE without keyUsage", (NO_CA,), (parts.USAGE,), "is no", "is no authority"),
        ("no basicConstraints", (), (parts.BASIC,), None, "is no authority"),
        ("no keyUsage", (), (parts.USAGE,), None, None),
        ("no extensions", (), (parts.BASIC, parts.USAGE), "is no authority", "is no authority"),
        ("no keyCertSign", (no_sign,), (), "lacks keyCertSign", "lacks keyCertSign"),
        ("only keyUsage, no keyCertSign", (no_sign,), (parts.BASIC,), "lacks key", "lacks key"),
        ("CA not critical", ((parts.BASIC, parts.CA[1], False),), (), None, None),
    ):
        odd_root = authority("odd", None, *changed, without=without)
        yield case(f"root: {label}", odd_root, server(odd_root), reason=at_root)
        middle = authority("middle", root, *changed, without=without)
        yield case(f"intermediate: {label}", root, server(middle), middle, reason=below)
    for kind in ("p256", "rsa2048", "ed25519"):
        ancient = authority("ancient", version_1=True, kind=kind, without=(parts.BASIC,))
        yield case(f"root of version 1, {kind}", ancient, server(ancient))
        middle = authority("middle", ancient)
        yield case(f"root of version 1, {kind}, above", ancient, server(middle), middle)
    middle = authority("middle", root, version_1=True)
    yield case("intermediate of version 1", root, server(middle), middle, reason="is no authority")
    yield case("the same for a root", middle, server(middle), reason="is no authority")
    leaf = server(root, parts.CA, extension(usage(signature=True, cert_sign=True), True))
    yield case("a server that is an authority", root, leaf)
    yield case("a server that issues", root, server(server(root)), server(root), reason="is no")


def _lengths() -> Iterator[Case]:
    for limit in (0, 1, 2):
        root = authority("root", None, path_length(limit))
        for size in (0, 1, 2, 3):
            middles = chain_of(size, root)
            leaf = server(middles[0] if middles else root)
            reason = "pathLen" if size > limit else None
            yield case(f"pathLen {limit}, {size} below", root, leaf, *middles, reason=reason)
    root = authority("root")
    top = authority("top", root, path_length(0))
    low = authority("low", top)
    yield case("pathLen 0 of an intermediate, kept", root, server(top), top)
    yield case("pathLen 0 of an intermediate", root, server(low), low, top, reason="pathLen")
    lower = authority("lower", low, path_length(5))
    yield case("a larger pathLen below", root, server(lower), lower, low, top, reason="pathLen")
    tight = authority("tight", None, path_length(0))
    itself = authority("tight", tight, owner="next")
    yield case(
        "pathLen 0 and a certificate for itself", tight, server(itself), itself, difference="ways"
    )


def _purposes() -> Iterator[Case]:
    root = authority("root")
    some = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
    anything = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    for label, changed, without, reason in (
        ("serverAuth", (SERVER,), (), None),
        ("critical serverAuth", ((SERVER[0], SERVER[1], True),), (), None),
        ("both", (extension(some),), (), None),
        ("none", (), (parts.PURPOSE,), None),
        ("clientAuth", (CLIENT,), (), "lacks serverAuth"),
        ("any", (extension(anything),), (), "lacks serverAuth"),
    ):
        middle = authority("middle", root, *changed, without=without)
        top = authority("top", None, *changed, without=without)
        leaf = server(root, *changed, without=without)
        own = server(None, *changed, without=without)
        yield case(f"leaf for {label}", root, leaf, reason=reason)
        yield case(f"intermediate for {label}", root, server(middle), middle, reason=reason)
        yield case(f"root for {label}", top, server(top), reason=reason)
        yield case(f"self-signed for {label}", own, own, reason=reason)
    signs = extension(usage(signature=True, cert_sign=False), critical=True)
    yield case("leaf for signatures", root, server(root, signs))
    only = extension(usage(signature=False, cert_sign=True), critical=True)
    yield case("leaf for certificates", root, server(root, only), reason="not meant for sig")
    agrees = extension(usage(signature=False, cert_sign=False), critical=True)
    yield case(
        "leaf for key agreement",
        root,
        server(root, agrees),
        reason="not meant for sig",
        difference="keyUsage",
    )


def _identifiers() -> Iterator[Case]:
    key = authority("root").key.public_key()
    own = x509.SubjectKeyIdentifier.from_public_key(key)
    root = authority("root", None, extension(own))
    bare = authority("root")
    fits = x509.AuthorityKeyIdentifier(own.digest, None, None)
    other = x509.AuthorityKeyIdentifier(bytes(20), None, None)
    there = [x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")]))]
    elsewhere = [
        x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other")]))
    ]
    serial = x509.AuthorityKeyIdentifier(None, there, root.serial)
    for label, trusted, identifier, reason in (
        ("its key identifier", root, fits, None),
        ("another key identifier", root, other, "authorityKeyIdentifier"),
        ("a key identifier that the issuer lacks", bare, other, None),
        ("its serial number", root, serial, None),
        ("another serial number", bare, serial, "authorityKeyIdentifier"),
        (
            "another issuer of the issuer",
            root,
            x509.AuthorityKeyIdentifier(None, elsewhere, root.serial),
            "authorityKeyIdentifier",
        ),
    ):
        leaf = server(root, extension(identifier))
        yield case(f"issued by {label}", trusted, leaf, reason=reason)
    leaf = server(root, extension(serial))
    yield case("two roots with one key, by serial number", (bare, root), leaf)
    leaf = server(root, extension(fits, critical=True))
    yield case("a critical key identifier", root, leaf, difference="key identifiers")
