"""Roots of the caller's own: how much work a chain can cause, and what is said of a bad one.

Which chains are good is shown in tests/chains.
"""

import datetime
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from tests.tls import der, pki
from tests.tls.pki import DAY, NAME, NOW
from tests.tls.test_verify import CLIENT_PURPOSE, check, refused
from tests.uncollected import uncollected
from trioquic._protocol.errors import BadPacketError
from trioquic._protocol.tls import chain_rules
from trioquic._protocol.tls.certificates import Certificate, read_certificate_untrusted
from trioquic._protocol.tls.chain_certificate import (
    ChainCertificate,
    read_chain_certificate_untrusted,
)
from trioquic._protocol.tls.chain_rules import MOST_COMPARISONS, Judge
from trioquic._protocol.tls.chain_search import ChainSearch
from trioquic._protocol.tls.own_roots import OwnRoots

BAD_CERTIFICATE, CERTIFICATE_EXPIRED, CERTIFICATE_UNKNOWN, UNKNOWN_CA = 42, 45, 46, 48


def leaf_of(issuer: pki.Issued, *extensions: tuple[x509.ExtensionType, bool]) -> pki.Issued:
    return pki.issue("leaf", issuer, pki.key_of("p256"), names=(NAME,), extensions=extensions)


def mesh(size: int) -> list[pki.Issued]:
    """So many authorities that have all certified each other."""
    owners = [pki.authority(f"mesh {number}") for number in range(size)]
    return [
        pki.authority(f"mesh {number}", issuer)
        for number in range(size)
        for place, issuer in enumerate(owners)
        if place != number
    ]


def test_authorities_that_have_all_certified_each_other() -> None:
    """There are dozens of ways to the root; the first good one is taken, and not all bad ones."""
    crossed = mesh(5)
    root = pki.authority("mesh 0")
    last = pki.authority("mesh 4")
    own = pki.trust(root, strict=False)
    check(own, leaf_of(last), *crossed)
    for_clients = leaf_of(last, (CLIENT_PURPOSE, False))
    refused(BAD_CERTIFICATE, "lacks serverAuth", own, for_clients, *crossed)


def test_signatures_are_bounded() -> None:
    """31 certificates that claim to come from five roots of one name."""
    roots = [pki.authority("root", owner=f"generation {number}") for number in range(5)]
    own = pki.trust(*roots, strict=False)
    claims = [pki.authority(f"claim {number}", pki.root("forger")) for number in range(30)]
    leaf = leaf_of(pki.root("forger"))
    refused(BAD_CERTIFICATE, "too many certificates with the same names", own, leaf, *claims)
    check(own, leaf_of(roots[4]), *claims[:20])
    refused(UNKNOWN_CA, "not trusted", own, leaf, *claims[:20])


def test_comparisons_of_names_are_bounded() -> None:
    size = int(MOST_COMPARISONS**0.5) + 1
    subtrees = [x509.DNSName(f"{number}.example.org") for number in range(size)]
    limited = pki.issue(
        "limited",
        None,
        pki.key_of("p256", "limited"),
        ca=True,
        extensions=((x509.NameConstraints(None, subtrees), True),),
    )
    own = pki.trust(limited, strict=False)
    check(own, leaf_of(limited))
    many = (NAME, *[f"{number}.example.com" for number in range(size)])
    leaf = pki.issue("leaf", limited, pki.key_of("p256"), names=many)
    refused(BAD_CERTIFICATE, "too many names", own, leaf)


@pytest.mark.parametrize(
    ("name", "usable"),
    [
        ("a_b.example", True),
        ("_quic.server.example", True),
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("*.example", False),
        ("a b.example", False),
        ("a/b.example", False),
    ],
)
def test_names_that_can_be_asked_for(name: str, usable: bool) -> None:
    own = pki.trust(strict=False)
    if usable:
        own.check_server_name(name)
    else:
        with pytest.raises(ValueError, match="no certificate can name"):
            own.check_server_name(name)


def test_the_public_roots_name_no_host_with_an_underscore() -> None:
    with pytest.raises(ValueError, match="no certificate can name"):
        pki.trust(strict=True).check_server_name("a_b.example")


def middle(
    subject: str = "middle",
    not_after: datetime.datetime = NOW + DAY,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> pki.Issued:
    return pki.issue(
        subject,
        pki.root(),
        pki.key_of("p256", "middle"),
        ca=True,
        not_after=not_after,
        extensions=extensions,
    )


def test_a_reason_names_the_certificate_the_rule_and_the_way_out() -> None:
    own = pki.trust(strict=False)
    for issuer, alert, text in (
        (
            middle(not_after=NOW - DAY),
            CERTIFICATE_EXPIRED,
            "the intermediate certificate 'CN=middle' expired at .* and has to be renewed",
        ),
        (
            middle(extensions=((CLIENT_PURPOSE, False),)),
            BAD_CERTIFICATE,
            "'CN=middle' is not meant for servers: its extKeyUsage lacks serverAuth",
        ),
        (
            middle(extensions=((x509.NameConstraints([x509.DNSName("b.example")], None), True),)),
            BAD_CERTIFICATE,
            "of the intermediate certificate 'CN=middle', with 'server.example': one of them has",
        ),
    ):
        refused(alert, text, own, leaf_of(issuer), issuer)
    leaf = leaf_of(middle())
    refused(
        UNKNOWN_CA,
        "the issuer of the server's certificate is none of your roots and was not sent; "
        "the server has to send its intermediate certificates, or add that issuer to your roots",
        own,
        leaf,
    )
    refused(
        UNKNOWN_CA,
        "the server's certificate has the name of the root 'CN=root' for its issuer, but was not "
        "signed with that key; is it another root",
        own,
        leaf_of(pki.root("forger")),
    )
    alone = pki.issue(NAME, None, pki.key_of("p256"), names=(NAME,))
    text = "the server's certificate is self-signed and none of your roots; add it, if you know it"
    refused(UNKNOWN_CA, text, own, alone)
    late = NOW - 11 * DAY
    text = (
        "the server's certificate is not valid before .* is this system's clock right, 2025-05-21"
    )
    refused(CERTIFICATE_EXPIRED, text, own, pki.server_identity(), when=late)


def test_the_name_of_an_authority_in_a_reason_is_escaped_and_cut() -> None:
    own = pki.trust(strict=False)
    for subject, shown in (
        ("\x1b[2J" + "m" * 60, r"'CN=\\x1b\[2Jm"),
        (",".join("m" * 30), r"'CN=m(.{3}m){25}.{2}\.\.\.'"),
    ):
        expired = middle(subject, NOW - DAY)
        refused(CERTIFICATE_EXPIRED, shown, own, leaf_of(expired), expired)


def test_a_root_that_cannot_be_read_is_no_harm_to_the_others() -> None:
    root = pki.root()
    dates = der.dates(b"00000101000000Z", b"99991231235959Z")
    year_0 = x509.load_der_x509_certificate(der.forge(root, root, dates))
    check(OwnRoots([year_0, root.certificate, year_0]), pki.server_identity())
    alone = OwnRoots([year_0])
    refused(UNKNOWN_CA, "none of your roots", alone, pki.server_identity())


def excluding(subject: str, issuer: pki.Issued, *subtrees: str) -> list[pki.Issued]:
    """Four certificates of one authority, which may not certify these."""
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    if subtrees:
        limits = x509.NameConstraints(None, [x509.DNSName(each) for each in subtrees])
        extensions = ((limits, True),)
    key = pki.key_of("p256", subject)
    return [pki.issue(subject, issuer, key, ca=True, extensions=extensions) for _ in range(4)]


def test_what_chains_have_in_common_is_looked_at_once() -> None:
    """Sixteen chains over the same nine certificates."""
    upper = excluding("upper", pki.root(), *[f"{n}.example.org" for n in range(50)], "x.example")
    lower = excluding("lower", upper[0])
    many = (*[f"{n}.example.com" for n in range(50)], "x.example")
    leaf = pki.issue("leaf", lower[0], pki.key_of("p256"), names=many)
    sent = [
        read_certificate_untrusted(pki.der(each.certificate)) for each in (leaf, *lower, *upper)
    ]
    root = read_certificate_untrusted(pki.der(pki.root().certificate))
    ways = ChainSearch(sent, {root.subject: [root]}).ways_untrusted()
    assert len(ways) == 16
    judge = Judge(NOW)
    for way in ways:
        with pytest.raises(BadPacketError, match=r"x\.example"):
            judge.judge_untrusted(way)
    # its names, and its subject, against each of the upper ones
    assert judge._comparisons == 4 * (len(many) + 1) * 51
    assert len(judge._links) == 10


@pytest.mark.plain
def test_each_certificate_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the sixteen chains has one of four that cannot be read."""
    upper = excluding("upper", pki.root())
    odd = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_KEY_IDENTIFIER, b"\5\0")
    key = pki.key_of("p256", "lower")
    lower = [
        pki.issue("lower", upper[0], key, ca=True, extensions=((odd, False),)) for _ in range(4)
    ]
    leaf = leaf_of(lower[0])
    own = pki.trust(pki.root(), strict=False)
    seen: list[Certificate] = []

    def read(certificate: Certificate) -> ChainCertificate:
        seen.append(certificate)
        return read_chain_certificate_untrusted(certificate)

    monkeypatch.setattr(chain_rules, "read_chain_certificate_untrusted", read)
    refused(BAD_CERTIFICATE, "malformed", own, leaf, *lower, *upper)
    assert len(seen) == 1 + len(lower)


@pytest.mark.plain
def test_a_chain_that_does_not_do_leaves_nothing_behind() -> None:
    """Without the garbage collector: the error of one chain does not outlive the next one."""
    good = pki.authority("middle", pki.root())
    bad = middle("middle", not_after=NOW - DAY)
    own = pki.trust(pki.root(), strict=False)
    leaf = pki.issue("leaf", good, pki.key_of("p256"), names=(NAME,))
    with uncollected(BadPacketError) as count:
        check(own, leaf, bad, good)
        with suppress(BadPacketError):
            check(own, leaf, bad)
        assert count(BadPacketError) == 0


def test_a_wildcard_stands_for_one_label_at_least() -> None:
    """OpenSSL takes a name that begins with a dot for something else."""
    leaf = pki.issue("leaf", pki.root(), pki.key_of("p256"), names=("*.example.com",))
    own = pki.trust(pki.root(), strict=False)
    check(own, leaf, name="-.example.com")
    refused(CERTIFICATE_UNKNOWN, "is not for", own, leaf, name=".example.com")
    refused(CERTIFICATE_UNKNOWN, "with server_name=", own, leaf, name="b.a.example.org")
