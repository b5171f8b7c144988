"""Chains below authorities that may certify some names only."""

from collections.abc import Iterator

from cryptography import x509

from tests.chains.case import Case
from tests.chains.forge import MAIL, ORGANIZATION, Extension, name, oid
from tests.chains.parts import CONSTRAINTS, authority, case, names, server
from tests.tls import der
from tests.tls.pki import NAME

BROKEN = "breaks the name constraints"

# The form of a name, a subtree, a name in the server's certificate, and whether it lies within
DNS, IP, EMAIL, DIRECTORY, URI = 0x82, 0x87, 0x81, 0xA4, 0x86
NETWORK, NETWORK_6 = bytes([10, 0, 0, 0, 255, 0, 0, 0]), bytes([32, *[0] * 15, 255, *[0] * 15])
WITHIN: tuple[tuple[int, bytes, bytes, bool], ...] = (
    (DNS, b"server.example", b"server.example", True),
    (DNS, b"example", b"server.example", True),
    (DNS, b".example", b"server.example", True),
    (DNS, b"EXAMPLE", b"server.example", True),
    (DNS, b"", b"server.example", True),
    (DNS, b".server.example", b"server.example", False),
    (DNS, b"ver.example", b"server.example", False),
    (DNS, b"other.example", b"server.example", False),
    (DNS, b"a.server.example", b"server.example", False),
    (IP, NETWORK, bytes([10, 1, 2, 3]), True),
    (IP, NETWORK, bytes([11, 1, 2, 3]), False),
    (IP, NETWORK, bytes([32, *[0] * 15]), False),
    (IP, NETWORK_6, bytes([32, *[0] * 14, 1]), True),
    (IP, NETWORK_6, bytes([33, *[0] * 15]), False),
    (IP, NETWORK_6, bytes([32, 0, 0, 1]), False),
    (EMAIL, b"mail.example", b"a@mail.example", True),
    (EMAIL, b"mail.example", b"a@MAIL.example", True),
    (EMAIL, b"mail.example", b"a@b.mail.example", False),
    (EMAIL, b".mail.example", b"a@b.mail.example", True),
    (EMAIL, b".mail.example", b"a@mail.example", False),
    (EMAIL, b"a@mail.example", b"a@mail.example", True),
    (EMAIL, b"A@mail.example", b"a@mail.example", False),
    (EMAIL, b"b@mail.example", b"a@mail.example", False),
    (DIRECTORY, name("a"), name("a", "b"), True),
    (DIRECTORY, name("A  "), name("a", "b"), True),
    (DIRECTORY, name("a", tag=der.PRINTABLE), name("a", "b"), True),
    (DIRECTORY, name("a", "b"), name("a"), False),
    (DIRECTORY, name("b"), name("a", "b"), False),
    (URI, b"host.example", b"https://host.example/a", True),
    (URI, b"host.example", b"https://host.example:443/a", True),
    (URI, b"host.example", b"https://a.host.example/", False),
    (URI, b".host.example", b"https://a.host.example/", True),
    (URI, b".host.example", b"https://host.example/", False),
)


def limits(permitted: tuple[bytes, ...] = (), excluded: tuple[bytes, ...] = ()) -> Extension:
    """Critical, of general names."""
    content = b""
    for tag, subtrees in ((0xA0, permitted), (0xA1, excluded)):
        if subtrees:
            content += der.element(tag, *[der.element(der.SEQUENCE, each) for each in subtrees])
    return CONSTRAINTS, der.element(der.SEQUENCE, content), True


def constraint_cases() -> Iterator[Case]:
    for number, (form, subtree, of_server, inside) in enumerate(WITHIN):
        own = der.element(form, of_server)
        base = der.element(form, subtree)
        # the name that is asked for must be there, too, and keep what is for its form
        asked, other = (NAME, der.element(DNS, NAME.encode()))
        alternative = ("2.5.29.17", der.element(der.SEQUENCE, other, own), False)
        if form == DNS:
            alternative = ("2.5.29.17", der.element(der.SEQUENCE, own), False)
        label = f"{number}: {subtree[:24]!r}, {of_server[:24]!r}"
        subject = der.element(der.SEQUENCE)
        for how, extension_, fits in (
            ("permitted", limits(permitted=(base,)), inside),
            ("excluded", limits(excluded=(base,)), not inside),
        ):
            top = authority("limited", None, extension_)
            leaf = server(top, alternative, subject=subject)
            reason = None if fits else BROKEN
            yield case(f"{how} {label}", top, leaf, server_name=asked, reason=reason)
    yield from _places()
    yield from _subjects()
    yield from _odd()


def _places() -> Iterator[Case]:
    dns = der.element(DNS, b"other.example")
    below = limits(permitted=(dns,))
    root = authority("root")
    middle = authority("middle", root, below)
    low = authority("low", middle)
    yield case("constraints above", root, server(low), low, middle, reason=BROKEN)
    inner = server(low, names("a.other.example"))
    yield case("kept", root, inner, low, middle, server_name="a.other.example")
    loose = ("2.5.29.30", below[1], False)
    soft = authority("middle", root, loose)
    yield case("not critical", root, server(soft), soft, reason=BROKEN)
    named = authority("low", middle, names("third.example"))
    wide = server(named, names("a.other.example"))
    yield case("an intermediate's names", root, wide, named, middle, reason=BROKEN,
               server_name="a.other.example")  # fmt: skip
    own = server(None, below)
    yield case("of the server for itself", own, own)
    twice = authority("middle", root, limits(permitted=(der.element(DNS, b"example"),)))
    narrow = authority("low", twice, limits(excluded=(der.element(DNS, NAME.encode()),)))
    yield case("two authorities", root, server(narrow), narrow, twice, reason=BROKEN)
    yield case("one of two", root, server(twice), twice)
    several = (dns, der.element(DNS, b"example"))
    some = authority("some", None, limits(permitted=several))
    yield case("one of several", some, server(some))
    others = authority("others", None, limits(permitted=(der.element(EMAIL, b"a.example"),)))
    yield case("for other forms only", others, server(others))


def _subjects() -> Iterator[Case]:
    organization = name((ORGANIZATION, "Ours"))
    top = authority("limited", None, limits(permitted=(der.element(DIRECTORY, organization),)))
    ours = name((ORGANIZATION, "ours"), "a server")
    yield case("a subject within", top, server(top, subject=ours))
    yield case("a subject outside", top, server(top), reason=BROKEN)
    yield case("no subject", top, server(top, subject=der.element(der.SEQUENCE)))
    mails = authority("mails", None, limits(excluded=(der.element(EMAIL, b"mail.example"),)))
    for host, reason in (("mail.example", BROKEN), ("other.example", None)):
        mail = name("a server", (MAIL, f"a@{host}"))
        yield case(f"a subject's mail, {host}", mails, server(mails, subject=mail), reason=reason)
    attribute = der.element(der.SEQUENCE, oid(MAIL), der.element(der.UTF8, b"a@other.example"))
    utf8 = der.element(der.SEQUENCE, der.element(der.SET, attribute))
    yield case("a subject's mail in UTF-8", mails, server(mails, subject=utf8),
               difference="mail in the subject")  # fmt: skip
    middle = authority(name((ORGANIZATION, "ours"), "sub"), top, owner="sub")
    yield case("an authority within", top, server(middle, subject=ours), middle)
    stray = authority("stray", top)
    yield case("an authority outside", top, server(stray, subject=ours), stray, reason=BROKEN)
    itself = authority("limited", top, owner="next")
    yield case("an authority for itself", top, server(itself, subject=ours), itself,
               difference="ways")  # fmt: skip
    common = name("host.other.example")
    dns = authority("dns", None, limits(permitted=(der.element(DNS, b"example.org"),)))
    alone = server(dns, names("192.0.2.1"), subject=common)
    yield case("a common name like a host", dns, alone, server_name="192.0.2.1",
               difference="constraints on common names")  # fmt: skip


def _odd() -> Iterator[Case]:
    wild = names("*.example.com")
    for subtree, reason, difference in (
        (b"secret.example.com", BROKEN, "excluded in a wildcard"),
        (b"a.secret.example.com", None, ""),
        (b".example.com", BROKEN, ""),
        (b"example.com", BROKEN, ""),
        (b"secret.example.org", None, ""),
    ):
        top = authority("limited", None, limits(excluded=(der.element(DNS, subtree),)))
        yield case(
            f"a wildcard, excluded {subtree.decode()}", top, server(top, wild),
            server_name="a.example.com", reason=reason, difference=difference,
        )  # fmt: skip
    permitted = authority("limited", None, limits(permitted=(der.element(DNS, b"a.example.com"),)))
    yield case("a wildcard beyond", permitted, server(permitted, wild),
               server_name="a.example.com", reason=BROKEN)  # fmt: skip
    host = der.element(URI, b"host.example")
    for uri in (b"mailto:x://host.example", b"x:y://host.example", b"urn:host.example"):
        without = der.element(der.SEQUENCE, der.element(DNS, NAME.encode()), der.element(URI, uri))
        for how, subtrees in (("permitted", {"permitted": (host,)}),
                              ("excluded", {"excluded": (host,)})):  # fmt: skip
            top = authority("limited", None, limits(**subtrees))
            leaf = server(top, ("2.5.29.17", without, False))
            yield case(f"{how} {uri.decode()} without a host", top, leaf, reason=BROKEN)
    base = der.element(DNS, b"example")
    for label, bound in (
        ("minimum", der.element(0x80, b"\1")),
        ("maximum", der.element(0x81, b"\5")),
    ):
        bounded = authority("limited", None, limits(permitted=(base + bound,)))
        yield case(f"a subtree's {label}", bounded, server(bounded), reason="malformed")
    registered = der.element(0x88, der.content(oid("1.2.3")))
    kinds = authority("limited", None, limits(permitted=(registered,)))
    yield case("a form that is not known, without such names", kinds, server(kinds))
    named = server(kinds, names(NAME, x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))))
    yield case("a form that is not known, with such a name", kinds, named, reason=BROKEN)
