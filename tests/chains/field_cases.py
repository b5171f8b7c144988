"""Keys, signatures, extensions and names of every kind."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from tests.chains import parts
from tests.chains.case import Case
from tests.chains.forge import Extension, extension, name
from tests.chains.parts import (
    SERVER,
    SIGNS,
    authority,
    case,
    names,
    server,
)
from tests.tls import der


def field_cases() -> Iterator[Case]:
    yield from _keys()
    yield from _signatures()
    yield from _extensions()
    yield from _names()


def _keys() -> Iterator[Case]:
    plain = authority("root")
    for kind, reason in (
        ("rsa1024", "RSA key of 1024 bits"),
        ("rsa2047", "RSA key of 2047 bits"),
        ("rsa2048", None),
        ("rsa3072", None),
        ("p192", "curve secp192r1"),
        ("p224", None),
        ("p384", None),
        ("p521", None),
        ("k256", None),
        ("brainpool256", None),
        ("ed25519", None),
        ("ed448", None),
    ):
        root = authority("root", kind=kind)
        middle = authority("middle", plain, kind=kind)
        rounded = "RSA keys of nearly 2048 bits" if kind == "rsa2047" else ""
        for label, top, sent in (
            ("root", root, (server(root),)),
            ("intermediate", plain, (server(middle), middle)),
            ("leaf", plain, (server(plain, kind=kind),)),
        ):
            yield case(f"{label} with {kind}", top, *sent, reason=reason, difference=rounded)
    old = authority("root", kind="dsa")
    yield case("root with DSA", old, server(old), reason="of a kind", difference="DSA")
    bound = authority("root", kind="rsa2048", pss_key=True)
    yield case("a key for RSA-PSS only", bound, server(bound, pss=True), reason=None)
    yield case("a key for RSA-PSS only, PKCS #1", bound, server(bound), reason="was not signed")
    one_hash = authority("root", kind="rsa2048", pss_key=True, pss_hash="sha512")
    for hash_name, known in (("sha512", ""), ("sha256", "hash of an RSA-PSS key")):
        leaf = server(one_hash, pss=True, hash_name=hash_name)
        yield case(f"a key for RSA-PSS with SHA-512: {hash_name}", one_hash, leaf, difference=known)
    between = authority("middle", plain, kind="rsa2048", pss_key=True)
    for pss, reason in ((True, None), (False, "issuer is not trusted")):
        leaf = server(between, pss=pss)
        yield case(f"an intermediate for RSA-PSS only: {pss}", plain, leaf, between, reason=reason)


def _signatures() -> Iterator[Case]:
    for kind in ("rsa2048", "p256"):
        for hash_name in ("sha1", "sha224", "sha256", "sha384", "sha512"):
            root = authority("root", kind=kind, hash_name=hash_name)
            reason = "signed with SHA1" if hash_name == "sha1" else None
            yield case(f"root signed with {kind} {hash_name}", root, server(root))
            leaf = server(root, hash_name=hash_name)
            yield case(f"leaf signed with {kind} {hash_name}", root, leaf, reason=reason)
            middle = authority("middle", root, hash_name=hash_name)
            yield case(
                f"intermediate signed with {kind} {hash_name}",
                root,
                server(middle),
                middle,
                reason=reason,
            )
    root = authority("root", kind="rsa2048", hash_name="md5")
    yield case("root signed with MD5", root, server(root))
    leaf = server(root, hash_name="md5")
    yield case("leaf signed with MD5", root, leaf, reason="signed with MD5")
    for hash_name in ("sha256", "sha384", "sha512"):
        leaf = server(root, hash_name=hash_name, pss=True)
        yield case(f"leaf signed with RSA-PSS and {hash_name}", root, leaf)


def _odd_extensions() -> Iterator[tuple[str, Extension, str | None, str]]:
    """What it is, for which reason it is refused, and whether OpenSSL differs."""
    policy = x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)
    explicit = x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None)
    place = x509.UniformResourceIdentifier("http://a.example/")
    point = x509.DistributionPoint([place], None, None, None)
    responder = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
    stapled = x509.TLSFeature([x509.TLSFeatureType.status_request])
    issuers = x509.IssuerAlternativeName([x509.DNSName("a.example")])
    proxy = bytes.fromhex("300c300a06082b06010505071501")
    yield "unknown", ("1.2.3.4", b"\x05\x00", True), "1.2.3.4", ""
    yield "not critical unknown", ("1.2.3.4", b"\x05\x00", False), None, ""
    yield "policies", extension(x509.CertificatePolicies([policy]), True), None, ""
    yield "policy constraints", extension(explicit, True), "2.5.29.36", "policies"
    yield "not critical policy constraints", extension(explicit), None, ""
    yield "inhibited policies", extension(x509.InhibitAnyPolicy(0), True), None, ""
    mapping = bytes.fromhex("3010300e06052a0304050606052a03040507")
    yield "policy mappings", ("2.5.29.33", mapping, True), "2.5.29.33", "policies"
    yield "distribution points", extension(x509.CRLDistributionPoints([point]), True), None, ""
    yield "OCSP must be stapled", extension(stapled, True), "1.3.6.1.5.5.7.1.24", ""
    access = x509.AuthorityInformationAccess([responder])
    yield "access", extension(access, True), "1.3.6.1.5.5.7.1.1", ""
    yield "issuer's names", extension(issuers, True), "2.5.29.18", ""
    yield "proxy", ("1.3.6.1.5.5.7.1.14", proxy, True), "1.3.6.1.5.5.7.1.14", ""


def _extensions() -> Iterator[Case]:
    root = authority("root")
    for label, one, reason, difference in _odd_extensions():
        middle, top = authority("middle", root, one), authority("top", None, one)
        for place, trusted, sent in (
            ("leaf", root, (server(root, one),)),
            ("intermediate", root, (server(middle), middle)),
            ("root", top, (server(top),)),
        ):
            yield case(f"{place}: {label}", trusted, *sent, reason=reason, difference=difference)
    only_clients = ("2.16.840.1.113730.1.1", bytes.fromhex("03020780"), False)
    yield case("leaf: nsCertType", root, server(root, only_clients), difference="Netscape")
    malformed = "malformed"
    nothing = authority("root", None, (parts.CONSTRAINTS, der.element(der.SEQUENCE), True))
    yield case(
        "root: constraints of nothing",
        nothing,
        server(nothing),
        reason=malformed,
        difference="malformed",
    )
    twice = (SERVER, SERVER)
    yield case("leaf: purpose twice", root, server(root, *twice), reason=malformed)
    yield case(
        "leaf: unknown twice",
        root,
        server(root, ("1.2.3", b"", False), ("1.2.3", b"", False)),
        reason=malformed,
        difference="malformed",
    )
    middle = authority("middle", root, parts.CA, parts.CA)
    yield case("intermediate: CA twice", root, server(middle), middle, reason=malformed)
    middle = authority("middle", root, SIGNS, SIGNS)
    yield case("intermediate: keyUsage twice", root, server(middle), middle, reason=malformed)
    useless = (parts.BASIC, bytes.fromhex("3003020100"), True)
    yield case(
        "leaf: pathLen and no CA",
        root,
        server(root, useless),
        reason=malformed,
        difference="malformed",
    )


def _names() -> Iterator[Case]:
    root = authority("root")
    for there, asked, fits in (
        ("server.example", "server.example", True),
        ("SERVER.Example", "server.example", True),
        ("server.example", "SERVER.EXAMPLE", True),
        ("server.example", "other.example", False),
        ("server.example", "a.server.example", False),
        ("*.wild.example", "a.wild.example", True),
        ("*.wild.example", "wild.example", False),
        ("*.wild.example", "a.b.wild.example", False),
        ("*.wild.example", "xn--a.wild.example", True),
        ("*.example", "server.example", False),
        ("*", "server.example", False),
        ("a_b.example", "a_b.example", True),
        ("_quic.server.example", "_quic.server.example", True),
        ("*.wild.example", "a_b.wild.example", False),
        ("*.wild_x.example", "a.wild_x.example", False),
        ("a.*.example", "a.b.example", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8:0::1", True),
        ("2001:db8::1", "2001:db8::2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", False),
        ("server.example", "192.0.2.1", False),
    ):
        reason = None if fits else "is not for"
        leaf = server(root, names(there))
        yield case(f"{there} for {asked}", root, leaf, server_name=asked, reason=reason)
    literal = names(x509.DNSName("192.0.2.1"))
    yield case(
        "an address as a name",
        root,
        server(root, literal),
        server_name="192.0.2.1",
        reason="is not for",
    )
    parted = server(root, names(x509.DNSName("s*.wild.example")))
    yield case(
        "a part of a label",
        root,
        parted,
        server_name="server.wild.example",
        reason="is not for",
        difference="wildcards",
    )
    for pattern, host, good in (
        ("*.example.com", "-a-.example.com", True),
        ("*.ex-am--ple.1", "a.ex-am--ple.1", True),
        ("*.EXAMPLE.com", "a.example.COM", True),
        ("*.example.com.", "a.example.com.", False),
        ("*.example.com", "a.example.com.", False),
        ("*.com.", "a.com.", False),
        ("*..example.com", "a..example.com", False),
        ("*.-a.com", "x.-a.com", False),
        ("*.a-.com", "x.a-.com", False),
        ("*.xn--.com", "x.xn--.com", False),
        ("*.a_b.com", "x.a_b.com", False),
        ("a.example.com.", "a.example.com.", True),
        ("a..example", "a..example", True),
    ):
        wild = server(root, names(x509.DNSName(pattern)))
        yield case(f"{pattern} for {host}", root, wild, server_name=host,
                   reason=None if good else "is not for")  # fmt: skip
    bare = server(root, subject=name("server.example"), without=(parts.NAMES,))
    yield case("a common name alone", root, bare, reason="is not for", difference="common name")
    mixed = server(root, names("other.example"), subject=name("server.example"))
    yield case("a common name beside others", root, mixed, reason="is not for")
    leaf = server(root, names("server.example", critical=True), subject=der.element(der.SEQUENCE))
    yield case("no subject, critical names", root, leaf)
